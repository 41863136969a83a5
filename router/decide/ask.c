/* ask: from a request to a question. The one place where a client's address, path and pin are read, so that
 * a redirect and a request that is handed over can never mean two edges. */
#include "router/decide/ask.h"

#include "common/http/server/http_server.h"
#include "common/http/syntax/http_forwarded.h"
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
