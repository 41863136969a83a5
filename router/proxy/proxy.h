/* proxy: the public listener as a proxy (`mode: proxy`): each request goes to the edge that a redirect
 * would have named, and the edge's answer comes back on the client's connection. One of these a worker.
 *
 * An exchange is one request with its answer. Life, on the worker's thread:
 *
 *     begin -> (try an edge)+ -> head -> body -> done
 *
 * Bodies go through windows of 128 KiB in either direction, so the slower side sets the pace. A try that
 * fails before the answer's head is repeated on the runner-up where nothing was sent, or the method is
 * safe and nothing of a body was taken; small answers of known length are held until they are whole, so
 * that an edge that dies in one is not noticed either, and another one may go on with a large one
 * (resume.c). An edge that failed gets nothing for `proxy_avoid`
 * while another can serve, and is probed at once. An edge that falls sick while it is asked is left in the
 * same way.
 *
 * What is believed of a request is decided by the router's own trusted_proxies; what the edge is told of
 * the client is written anew from that (outgoing.c). Nothing that purges is handed on: an edge would take
 * the router's address, which may be allowed to purge, for the client's.
 */
#ifndef CDN_ROUTER_PROXY_H
#define CDN_ROUTER_PROXY_H
#include "common/http/server/http_server.h"
#include "common/loop.h"
#include "common/status.h"
#include "router/base/settings.h"
#include "router/decide/decide.h"
#include "router/table/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUTER_PROXY_METRICS(X)                                                                    \
    X(COUNTER, proxied_total, "Requests that were handed to an edge")                              \
    X(COUNTER, proxied_retry_total, "Tries of them on another edge, since one had failed")         \
    X(COUNTER, proxied_failed_total, "Requests answered 502, 503 or 504, since no edge answered")  \
    X(COUNTER, proxied_resumed_total, "Answers that another edge went on with")                    \
    X(COUNTER, proxied_broken_total, "Answers of edges that broke off on their way to the client") \
    X(COUNTER, proxied_refused_total, "Requests that are not handed on: purges, loops, too large") \
    X(COUNTER, proxied_up_bytes_total, "Bytes of request bodies taken for edges")                  \
    X(COUNTER, proxied_down_bytes_total, "Bytes of answers' bodies from edges")                    \
    X(GAUGE, tunnels, "WebSocket tunnels open now")                                                \
    X(COUNTER, tunnel_total, "WebSocket tunnels opened")                                           \
    X(COUNTER, tunnel_refused_total, "Requests for WebSocket answered 501 or 503")                 \
    X(COUNTER, tunnel_up_bytes_total, "Bytes of tunnels from clients")                             \
    X(COUNTER, tunnel_down_bytes_total, "Bytes of tunnels to clients")

struct router_proxy;

struct router_proxy_hooks { /* called on the worker's thread */
    void *self;
    /* An edge has answered: the first of the decision. */
    void (*chosen)(void *self, const struct router_table *table, const struct router_brief *decision);
    void (*failed)(void *self, const char *edge); /* it could not be reached, or broke off */
};

/* `settings` are copied. `descriptors`: what this worker may open beside its clients' connections. */
enum cdn_status router_proxy_create(struct loop *loop, const struct router_settings *settings,
                                    uint64_t descriptors, const struct router_proxy_hooks *hooks,
                                    struct router_proxy **ret, struct cdn_error *err) CDN_MUST_CHECK;
void router_proxy_end_tunnels(struct router_proxy *proxy); /* before the server is stopped */
void router_proxy_destroy(struct router_proxy *proxy);     /* after; NULL is fine */

/* The server's callbacks (struct http_handler). The first two begin an exchange, and put it into req->app;
 * the others are for requests that have one (router_proxy_has). */
void router_proxy_head(struct router_proxy *proxy, struct router_table *table, struct http_request *req);
void router_proxy_ready(struct router_proxy *proxy, struct router_table *table, struct http_request *req);
void router_proxy_held(struct http_request *req);
size_t router_proxy_body(struct http_request *req, const char *data, size_t n);
void router_proxy_done(struct http_request *req);
bool router_proxy_has(const struct http_request *req);

#define ROUTER_PROXY_METRIC_COUNT 13
/* Adds this worker's counters, in the order of the rows. Any thread. */
void router_proxy_metrics_sum(const struct router_proxy *proxy, uint64_t values[ROUTER_PROXY_METRIC_COUNT]);

#endif
