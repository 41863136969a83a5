/* ask: the question that a request on the public listener asks of the table: who the client is, by what is
 * believed of it, for which path, and in simulation the place that it says it is at. The same for redirects
 * and for the proxy.
 */
#ifndef CDN_ROUTER_ASK_H
#define CDN_ROUTER_ASK_H
#include "common/http/syntax/http_forwarded.h"
#include "common/str.h"
#include "router/base/proxy_settings.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"

struct http_request;
/* `pin` holds what *ret->pin points into; the path is the request's. */
void router_ask(const struct router_table *table, struct http_request *req, struct cdn_buf *pin,
                struct router_question *ret);

/* Whether the request is handed over or sent on: by the host that it is for. */
enum router_mode router_ask_mode(const struct router_table *table, struct http_request *req);

#endif
