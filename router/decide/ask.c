/* ask: from a request to a question. The one place where a client's address, path and pin are read, so that
 * a redirect and a request that is handed over can never mean two edges. */
#include "router/decide/ask.h"

#include "common/http/server/http_server.h"
#include "common/http/syntax/http_forwarded.h"
#include "router/base/sites.h"
#include "router/decide/pin.h"

#include "common/banned.h"

void router_ask(const struct router_table *table, struct http_request *req, struct cdn_buf *pin,
                struct router_question *ret)
{
    *ret = (struct router_question){.path = req->path};
    http_forwarded_client(req, &table->trust, &ret->client);
    if (table->simulate && router_pin_find(req->query, req->field[HTTP_REQ_COOKIE], pin)) {
        ret->pin = cdn_buf_str(pin);
    }
}

enum router_mode router_ask_mode(const struct router_table *table, struct http_request *req)
{
    if (!table->sites.count) {
        return table->mode;
    }
    if (!table->trust.count) { /* else a proxy may say what its client asked for */
        return router_sites_mode(&table->sites, req->host, table->mode);
    }
    __attribute__((cleanup(http_forwarded_text_free))) struct http_forwarded_text text = {0};
    struct http_forwarded way;
    http_forwarded_of_request(req, &table->trust, &text, &way);
    return router_sites_mode(&table->sites, way.host, table->mode);
}
