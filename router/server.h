/* server: the public listener: several threads, each with its own loop, listening socket and view of the
 * table.
 *
 *     GET, HEAD            redirect_status to the edge, path and query kept
 *     OPTIONS              204: the answer to a CORS preflight
 *     PURGE TRACE CONNECT  405: a purge has to reach every edge, see the admin API
 *     any other method     307, so that method and body are kept; the body itself is not read
 *
 * 503 when there is no edge at all; 400 for a target without a path, 414 for one that is too long.
 * With `mode: proxy` all of that is router/proxy's instead.
 *
 * A view is a table plus this thread's counters of answers by edge. The control thread makes one for each
 * thread and posts it; the thread adds its old counts to the new view and drops the old one. Only the control
 * thread sends views, so the last one it sent to a thread stays readable for it.
 *
 * Called on the control thread. Life cycle: create -> start -> (publish)* -> drain -> destroy.
 */
#ifndef CDN_ROUTER_SERVER_H
#define CDN_ROUTER_SERVER_H
#include "common/http/server/http_faults.h"
#include "common/http/server/http_server.h"
#include "common/http/server/tls_set.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/table/table.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define ROUTER_SERVER_METRICS(X)                                                                            \
    X(COUNTER, request_total, "Requests on the public listener")                                            \
    X(COUNTER, redirect_total, "Requests sent to an edge")                                                  \
    X(COUNTER, preflight_total, "OPTIONS answered")                                                         \
    X(COUNTER, refused_total, "Requests answered 400, 405 or 414")                                          \
    X(COUNTER, proxy_header_total, "Connections that began with a PROXY protocol header")                   \
    X(COUNTER, proxy_header_refused_total, "Connections of trusted proxies refused for their PROXY header") \
    X(COUNTER, no_edge_total, "Requests answered 503, since no edge could serve")                           \
    X(COUNTER, ambiguous_total, "Decisions whose place may be off by more than the margin")                 \
    X(COUNTER, decision_nanoseconds_total, "Time spent on deciding; divide by redirect_total")

struct router_server;

struct router_server_config {
    struct http_server_config clients; /* where, and the limits of connections and times */
    unsigned threads;
    const struct router_settings *settings;       /* of the proxy; borrowed until it is created */
    void (*failed)(void *self, const char *edge); /* an edge failed a request; on any worker's thread */
    void *failed_self;
};
/* Opens the listening sockets. CDN_CONFLICT: the address is in use. */
enum cdn_status router_server_create(const struct router_server_config *how, struct router_table *table,
                                     struct router_server **ret, struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status router_server_start(struct router_server *server, struct cdn_error *err) CDN_MUST_CHECK;
void router_server_address(const struct router_server *server, struct cdn_addr *ret);
/* Certificates for new connections; the listener speaks TLS already. */
void router_server_certify(struct router_server *server, struct cdn_tls_set *tls);
void router_server_publish(struct router_server *server, struct router_table *table);
void router_server_disturb(struct router_server *server, struct http_fault_set *set);
void router_server_drain(struct router_server *server);
/* True once every thread has said, after the drain, that none of its requests is open. */
bool router_server_drained(struct router_server *server);
void router_server_destroy(struct router_server *server); /* joins the threads; NULL is fine */

/* Sent to this edge, ever. */
uint64_t router_server_answers(const struct router_server *server, uint16_t edge);
void router_server_metrics(const struct router_server *server, struct cdn_buf *out);
json_t *router_server_metrics_json(const struct router_server *server); /* a new reference */

#endif
