/* proxy: the life of an exchange, between the server's callbacks and the tries (attempt.c). What is not
 * handed on is answered here. An exchange goes when its request is over and its stream has let go of it. */
#include "router/proxy/proxy.h"

#include "common/daemon/metrics.h"
#include "common/http/client/http_client.h"
#include "common/http/server/http_head.h"
#include "common/http/server/http_tunnel.h"
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/str.h"
#include "router/base/proxy_settings.h"
#include "router/decide/ask.h"
#include "router/proxy/proxy_private.h"
#include "router/proxy/rules.h"

#include <stdlib.h>

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)
#define LOOK_NS (250 * NS_PER_MS)
#define SPARES 256u
#define KEPT_BYTES ((size_t)16 * 1024)     /* of a buffer of a spare exchange */
#define OVERFLOW_BYTES ((uint64_t)1 << 20) /* of a too large body read before the connection is cut */
#define ALLOW "Allow: GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE"

_Static_assert(sizeof(struct router_proxy_metrics) == ROUTER_PROXY_METRIC_COUNT * sizeof(_Atomic uint64_t),
               "one counter a row");

/* ---- exchanges ---- */

static struct router_exchange *exchange_new(struct router_proxy *p, struct router_table *table,
                                            struct http_request *req)
{
    struct router_exchange *x = p->spare;
    if (x) {
        p->spare = x->next;
        p->spare_count--;
    } else {
        x = cdn_calloc(1, sizeof(*x));
    }
    x->mode = ROUTER_MODE_PROXY;
    x->proxy = p;
    x->http = req;
    x->table = router_table_ref(table);
    x->length = -1;
    x->previous = NULL;
    x->next = p->open;
    if (p->open) {
        p->open->previous = x;
    }
    p->open = x;
    p->exchange_count++;
    if (!p->look.heap_index) {
        loop_timer_start(p->loop, &p->look, LOOK_NS);
    }
    req->app = x;
    return x;
}

static void buffers_free(struct router_exchange *x)
{
    cdn_buf_free(&x->pin);
    cdn_buf_free(&x->upload);
    cdn_buf_free(&x->problem);
    cdn_buf_free(&x->down);
    cdn_buf_free(&x->etag);
    http_head_free(&x->head);
}

/* Emptied; a large one is given back. */
static struct cdn_buf spare_buffer(struct cdn_buf b)
{
    if (b.room > KEPT_BYTES) {
        cdn_buf_free(&b);
        return (struct cdn_buf){0};
    }
    cdn_buf_clear(&b);
    return b;
}

static void recycle(struct router_exchange *x)
{
    struct router_proxy *p = x->proxy;
    if (p->spare_count >= SPARES) {
        buffers_free(x);
        free(x);
        return;
    }
    struct http_head head = {spare_buffer(x->head.date), spare_buffer(x->head.lines), x->head.blank};
    struct router_exchange kept = {.next = p->spare,
                                   .pin = spare_buffer(x->pin),
                                   .upload = spare_buffer(x->upload),
                                   .problem = spare_buffer(x->problem),
                                   .down = spare_buffer(x->down),
                                   .etag = spare_buffer(x->etag),
                                   .head = head};
    *x = kept;
    p->spare = x;
    p->spare_count++;
}

void router_exchange_release(struct router_exchange *x)
{
    if (!x->http && !x->stream) {
        recycle(x);
    }
}

bool router_proxy_has(const struct http_request *req)
{
    const enum router_mode *mode = req->app;
    return mode && *mode == ROUTER_MODE_PROXY;
}

void router_proxy_done(struct http_request *req)
{
    struct router_exchange *x = CDN_TAKE(req->app);
    struct router_proxy *p = x->proxy;
    router_attempt_leave(x);
    if (x->upgrading) {
        p->tunnel_count--;
    }
    *(x->previous ? &x->previous->next : &p->open) = x->next;
    if (x->next) {
        x->next->previous = x->previous;
    }
    p->exchange_count--;
    router_table_unref(x->table);
    x->table = NULL;
    x->http = NULL;
    router_exchange_release(x);
}

/* ---- what is not handed on ---- */

static bool refuse(struct router_proxy *p, struct http_request *req, unsigned status, const char *why)
{
    static const char *const method[] = {"Cache-Control: no-store", ALLOW, NULL};
    static const char *const busy[] = {"Cache-Control: no-store", "Retry-After: 1", NULL};
    static const char *const plain[] = {"Cache-Control: no-store", NULL};
    cdn_metric_add(&p->metrics.proxied_refused_total, 1);
    http_respond_problem_with(req, status, why, status == 405 ? method : status == 503 ? busy : plain);
    return true;
}

/* RFC 9110 7.6.2 and 9.3.7: about this server, or no further than this one. */
static bool is_for_us(struct http_request *req)
{
    uint32_t hops;
    return req->method == HTTP_OPTIONS &&
           (cdn_str_eq(req->path, CDN_STR("*")) ||
            (req->field[HTTP_REQ_MAX_FORWARDS].p &&
             http_max_forwards_parse(req->field[HTTP_REQ_MAX_FORWARDS], &hops) && hops == 0));
}

/* True: it is answered. */
static bool answer_here(struct router_proxy *p, const struct router_table *table, struct http_request *req)
{
    static const char *const allow[] = {ALLOW, NULL};
    if (!router_rule_hands_on(req->method_name)) {
        return refuse(p, req, 405,
                      "the router does not hand on TRACE and purges: a purge has to reach every edge, see "
                      "POST /purge on the admin listener");
    }
    if (is_for_us(req)) {
        http_respond_text(req, 204, NULL, CDN_STR(""), allow);
        return true;
    }
    if (router_outgoing_is_loop(p, req)) {
        return refuse(p, req, 508, "the request came back to this router (CDN-Loop)");
    }
    if (req->body_length > 0 && (uint64_t)req->body_length > table->proxy.max_body) {
        return refuse(p, req, 413, "the request's body is larger than max_body");
    }
    if (p->exchange_count - p->tunnel_count >= p->exchange_max) {
        return refuse(p, req, 503, "as many requests are under way to edges as this router allows");
    }
    return false;
}

static bool refuse_upgrade(struct router_proxy *p, const struct router_table *table, struct http_request *req)
{
    if (table->proxy.tunnels && p->tunnel_count < p->tunnel_max) {
        return false;
    }
    cdn_metric_add(&p->metrics.tunnel_refused_total, 1);
    return table->proxy.tunnels
               ? refuse(p, req, 503, "as many WebSocket tunnels as this router allows are open")
               : refuse(p, req, 501, "this router opens no WebSocket tunnels");
}

/* ---- the server's callbacks ---- */

static struct router_exchange *begin(struct router_proxy *p, struct router_table *table,
                                     struct http_request *req)
{
    struct router_exchange *x = exchange_new(p, table, req);
    router_ask(table, req, &x->pin, &x->question);
    x->safe = router_rule_is_safe(req->method, req->method_name);
    cdn_metric_add(&p->metrics.proxied_total, 1);
    return x;
}

/* RFC 9110 10.1.1: whether the body is wanted is the edge's to say. */
static bool expects_continue(const struct http_request *req)
{
    return !req->http10 &&
           cdn_str_eq_nocase(cdn_str_trim(req->field[HTTP_REQ_EXPECT]), CDN_STR("100-continue"));
}

/* Requests with a body begin here: it follows as it comes. That of a GET or HEAD means nothing (RFC 9110
 * 9.3.1), and edges throw it away. */
void router_proxy_head(struct router_proxy *p, struct router_table *table, struct http_request *req)
{
    if (!req->has_body || req->method == HTTP_GET || req->method == HTTP_HEAD || answer_here(p, table, req)) {
        return;
    }
    struct router_exchange *x = begin(p, table, req);
    x->sends_body = true;
    x->holding = expects_continue(req);
    router_attempt_next(x);
    if (x->holding) {
        router_respond(x);
    }
}

void router_proxy_held(struct http_request *req)
{
    struct router_exchange *x = req->app;
    if (x->holding) {
        router_respond(x); /* or waits on */
    }
}

size_t router_proxy_body(struct http_request *req, const char *data, size_t n)
{
    struct router_exchange *x = req->app;
    x->uploaded += n;
    if (x->uploaded > x->table->proxy.max_body) {
        if (x->uploaded - x->table->proxy.max_body > OVERFLOW_BYTES) {
            http_abort(req);
        } else if (x->state == ROUTER_ASKING) {
            router_attempt_leave(x);
            router_exchange_fail(x, 413, "the request's body is larger than max_body");
        }
    }
    if (!x->fetch || x->state != ROUTER_ASKING || !x->sends_body) {
        return n; /* nobody wants it (any more) */
    }
    const size_t room = ROUTER_WINDOW > x->upload.n ? ROUTER_WINDOW - x->upload.n : 0;
    const size_t taken = n < room ? n : room;
    cdn_buf_add(&x->upload, data, taken);
    cdn_metric_add(&x->proxy->metrics.proxied_up_bytes_total, taken);
    x->uploaded -= n - taken; /* offered again */
    x->upload_full = taken < n;
    router_attempt_body_ready(x);
    return taken;
}

void router_proxy_ready(struct router_proxy *p, struct router_table *table, struct http_request *req)
{
    struct router_exchange *x = req->app;
    if (!x) {
        const bool upgrade = http_request_asks_upgrade(req);
        if (answer_here(p, table, req) || (upgrade && refuse_upgrade(p, table, req))) {
            return;
        }
        x = begin(p, table, req);
        x->upgrading = upgrade;
        p->tunnel_count += upgrade;
        x->upload_done = !upgrade;
        router_attempt_next(x);
    } else if (!x->upload_done && !x->upgrading) {
        x->upload_done = true;
        router_attempt_body_ready(x);
    }
    router_respond(x);
}

/* ---- life ---- */

static void look(struct loop_timer *timer)
{
    struct router_proxy *p = CDN_CONTAINER_OF(timer, struct router_proxy, look);
    for (struct router_exchange *x = p->open; x; x = x->next) {
        router_attempt_reconsider(x);
    }
    if (p->open) {
        loop_timer_start(p->loop, timer, LOOK_NS);
    }
}

static unsigned least(uint64_t a, uint64_t b)
{
    const uint64_t n = a < b ? a : b;
    return n ? (unsigned)n : 1;
}

static enum cdn_status clients_create(struct router_proxy *p, const struct router_settings *s,
                                      uint64_t descriptors, struct cdn_error *err)
{
    const unsigned connections = least(s->proxy_connections, descriptors / 2);
    struct http_client_config config = {
        .max_connections = connections,
        .max_per_host = connections,
        .connect_timeout_ms = s->proxy_connect_timeout,
        .first_byte_timeout_ms = s->proxy_first_byte_timeout,
        .idle_timeout_ms = s->proxy_idle_timeout,
        .max_idle = least(s->proxy_idle_connections, connections),
        .ca_file = s->proxy_ca[0] ? s->proxy_ca : NULL,
    };
    enum cdn_status status = http_client_create(p->loop, &config, &p->client, err);
    if (status != CDN_OK) {
        return status;
    }
    p->exchange_max = connections; /* none waits for a connection */
    p->tunnel_max = least(s->upgrade_connections, descriptors / 4);
    p->upgrade_idle_ms = s->upgrade_idle;
    config.upgrades = true;
    config.max_connections = config.max_per_host = p->tunnel_max;
    config.idle_timeout_ms = s->upgrade_idle;
    return http_client_create(p->loop, &config, &p->upgrades, err);
}

enum cdn_status router_proxy_create(struct loop *loop, const struct router_settings *settings,
                                    uint64_t descriptors, const struct router_proxy_hooks *hooks,
                                    struct router_proxy **ret, struct cdn_error *err)
{
    struct router_proxy *p = cdn_aligned_calloc(_Alignof(struct router_proxy), sizeof(*p));
    p->loop = loop;
    p->hooks = *hooks;
    p->name = cdn_strdup(settings->proxy_name);
    p->loop_id = cdn_asprintf("pocketcdn.%s", settings->proxy_name); /* edges: "pocketcdn-NAME" */
    p->look.fire = look;
    enum cdn_status status =
        http_is_token(cdn_str(p->name))
            ? clients_create(p, settings, descriptors, err)
            : cdn_error_set(err, CDN_INVALID,
                            "proxy_name: '%s' is not a name for Via: letters, digits and "
                            "-._~",
                            p->name);
    if (status != CDN_OK) {
        router_proxy_destroy(p);
        return status;
    }
    *ret = p;
    return CDN_OK;
}

void router_proxy_end_tunnels(struct router_proxy *proxy)
{
    for (struct router_exchange *x = proxy->open, *next; x; x = next) {
        next = x->next;
        if (x->tunnel) {
            http_tunnel_end(x->tunnel, false);
        }
    }
}

void router_proxy_destroy(struct router_proxy *proxy)
{
    if (!proxy) {
        return;
    }
    loop_timer_stop(proxy->loop, &proxy->look);
    http_client_destroy(proxy->client);
    http_client_destroy(proxy->upgrades);
    while (proxy->spare) {
        struct router_exchange *x = proxy->spare;
        proxy->spare = x->next;
        buffers_free(x);
        free(x);
    }
    cdn_buf_free(&proxy->url);
    cdn_buf_free(&proxy->text);
    free(proxy->fields);
    free(proxy->among);
    free(proxy->name);
    free(proxy->loop_id);
    free(proxy);
}

void router_proxy_metrics_sum(const struct router_proxy *proxy, uint64_t values[ROUTER_PROXY_METRIC_COUNT])
{
    cdn_metrics_sum(&proxy->metrics, values, ROUTER_PROXY_METRIC_COUNT);
}
