/* server: threads that share a port and nothing else. A new table goes to each as a message and is
 * swapped between two requests; counters are each thread's own and summed when somebody asks. */
#include "router/server.h"

#include "common/daemon/daemon.h"
#include "common/daemon/daemon_tls.h"
#include "common/daemon/metrics.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/loop.h"
#include "common/mem.h"
#include "router/answer.h"
#include "router/base/edges.h"
#include "router/base/proxy_settings.h"
#include "router/base/reason.h"
#include "router/decide/ask.h"
#include "router/decide/decide.h"
#include "router/proxy/proxy.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define REASON_ROW(name, word, text) \
    CDN_METRIC_LABELLED(COUNTER, "decision_total", "reason=\"" word "\"", "Decisions by reason")

CDN_METRICS_STRUCT(server_metrics, ROUTER_SERVER_METRICS);
static const struct cdn_metric_row metric_rows[] = {ROUTER_SERVER_METRICS(CDN_METRIC_ROW)
                                                        ROUTER_REASON_TABLE(REASON_ROW)};
#define PLAIN_ROWS (CDN_ARRAY_LEN(metric_rows) - ROUTER_REASON_COUNT)
static const struct cdn_metric_row proxy_rows[] = {ROUTER_PROXY_METRICS(CDN_METRIC_ROW)};
_Static_assert(CDN_ARRAY_LEN(proxy_rows) == ROUTER_PROXY_METRIC_COUNT, "one row a counter");

struct view {
    struct router_table *table;
    struct worker *worker;
    uint16_t *heirs; /* new index of each edge of the view before, or ROUTER_NO_EDGE; NULL for the first */
    _Atomic uint64_t answers[]; /* by edge; written by the worker only */
};

struct worker {
    _Alignas(64) struct server_metrics metrics; /* written by the worker, like what follows */
    _Atomic uint64_t reasons[ROUTER_REASON_COUNT];
    struct view *view;
    struct router_answer answer;
    struct router_proxy *proxy;
    struct http_server *http;

    _Alignas(64) struct loop *loop; /* written by the control thread before the start */
    struct router_server *server;
    const struct view *latest; /* the view sent last: the control thread's */
    pthread_t thread;
    bool running;

    _Atomic unsigned reports; /* since the drain: how often the worker has told `open` */
    _Atomic unsigned open;
};

struct router_server {
    struct http_server_config clients; /* limits */
    void (*failed)(void *self, const char *edge);
    void *failed_self;
    struct cdn_addr address;
    unsigned count;
    struct worker workers[];
};

/* ---- on the workers' threads ---- */

static void count(struct worker *w, enum router_outcome outcome)
{
    struct server_metrics *m = &w->metrics;
    switch (outcome) {
    case ROUTER_REDIRECTED:
        cdn_metric_add(&m->redirect_total, 1);
        cdn_metric_add(&w->view->answers[w->answer.decision.edges[0]], 1);
        cdn_metric_add(&w->reasons[w->answer.decision.reason], 1);
        cdn_metric_add(&m->ambiguous_total, w->answer.decision.ambiguous);
        cdn_metric_add(&m->decision_nanoseconds_total, (uint64_t)w->answer.decision_ns);
        break;
    case ROUTER_PREFLIGHT:
        cdn_metric_add(&m->preflight_total, 1);
        break;
    case ROUTER_REFUSED:
        cdn_metric_add(&m->refused_total, 1);
        break;
    case ROUTER_UNSERVED:
        cdn_metric_add(&m->no_edge_total, 1);
        break;
    }
}

static void serve(struct worker *w, struct http_request *req)
{
    cdn_metric_add(&w->metrics.request_total, 1);
    count(w, router_answer(&w->answer, w->view->table, req));
}

static bool is_proxied(const struct worker *w, struct http_request *req)
{
    return router_ask_mode(w->view->table, req) == ROUTER_MODE_PROXY;
}

/* A body is of no use here, unless it is handed on: the client sends it again to the edge. */
static void on_head(void *self, struct http_request *req)
{
    struct worker *w = self;
    if (req->has_body && is_proxied(w, req)) {
        router_proxy_head(w->proxy, w->view->table, req);
    } else if (req->has_body) {
        serve(w, req);
    }
}

static void on_held(void *self, struct http_request *req)
{
    (void)self;
    if (router_proxy_has(req)) {
        router_proxy_held(req);
    }
}

static size_t on_body(void *self, struct http_request *req, const char *data, size_t n)
{
    (void)self;
    return router_proxy_has(req) ? router_proxy_body(req, data, n) : n;
}

static void on_ready(void *self, struct http_request *req)
{
    struct worker *w = self;
    if (router_proxy_has(req) || (!req->answered && is_proxied(w, req))) {
        router_proxy_ready(w->proxy, w->view->table, req);
    } else if (!req->answered) {
        serve(w, req);
    }
}

static void on_done(void *self, struct http_request *req, enum http_end end)
{
    struct worker *w = self;
    (void)end;
    if (router_proxy_has(req)) {
        cdn_metric_add(&w->metrics.request_total, 1);
        router_proxy_done(req);
        return;
    }
    router_answer_done(&w->answer, req);
}

static void proxy_chosen(void *self, const struct router_table *table, const struct router_brief *decision)
{
    struct worker *w = self;
    if (table == w->view->table) { /* else it was decided before a reload: another numbering */
        cdn_metric_add(&w->view->answers[decision->edges[0]], 1);
    }
    cdn_metric_add(&w->reasons[decision->reason], 1);
    cdn_metric_add(&w->metrics.ambiguous_total, decision->ambiguous);
}

static void proxy_failed(void *self, const char *edge)
{
    const struct worker *w = self;
    w->server->failed(w->server->failed_self, edge);
}

static void on_refused(void *self, unsigned status)
{
    (void)status;
    struct worker *w = self;
    cdn_metric_add(&w->metrics.request_total, 1);
    cdn_metric_add(&w->metrics.refused_total, 1);
}

static bool is_proxy(void *self, const struct cdn_addr *peer)
{
    const struct worker *w = self;
    return http_is_trusted(&w->view->table->trust, peer);
}

static void announced(void *self, bool accepted)
{
    struct worker *w = self;
    cdn_metric_add(accepted ? &w->metrics.proxy_header_total : &w->metrics.proxy_header_refused_total, 1);
}

static const struct http_handler handler = {.head = on_head,
                                            .held = on_held,
                                            .body = on_body,
                                            .ready = on_ready,
                                            .done = on_done,
                                            .refused = on_refused};

static void view_free(struct view *v)
{
    if (!v) {
        return;
    }
    router_table_unref(v->table);
    free(v->heirs);
    free(v);
}

static void view_adopt(void *arg)
{
    struct view *next = arg;
    struct worker *w = next->worker;
    for (size_t i = 0; w->view && i < w->view->table->edges->count; i++) {
        if (next->heirs[i] != ROUTER_NO_EDGE) {
            cdn_metric_add(&next->answers[next->heirs[i]], cdn_metric_get(&w->view->answers[i]));
        }
    }
    view_free(w->view);
    w->view = next;
    router_answer_renew(&w->answer);
}

static void drain(void *arg)
{
    struct worker *w = arg;
    if (w->http) {
        http_server_drain(w->http);
    }
}

static void report_open(void *arg)
{
    struct worker *w = arg;
    atomic_store(&w->open, w->http ? http_server_open_requests(w->http) : 0);
    atomic_fetch_add(&w->reports, 1);
}

static void worker_stop(struct worker *w)
{
    if (w->proxy) {
        router_proxy_end_tunnels(w->proxy);
    }
    http_server_stop(CDN_TAKE(w->http));
}

static void *run(void *arg)
{
    struct worker *w = arg;
    loop_run(w->loop);
    worker_stop(w);
    return NULL;
}

/* ---- on the control thread ---- */

static struct view *view_create(struct worker *w, struct router_table *table)
{
    struct view *v = cdn_calloc(1, sizeof(*v) + (table->edges->count + 1) * sizeof(v->answers[0]));
    v->table = router_table_ref(table);
    v->worker = w;
    if (w->latest) {
        const struct router_edges *before = w->latest->table->edges;
        v->heirs = cdn_calloc(before->count + 1, sizeof(*v->heirs));
        for (size_t i = 0; i < before->count; i++) {
            v->heirs[i] = router_edges_find(table->edges, cdn_str(before->at[i].name));
        }
    }
    w->latest = v;
    return v;
}

static enum cdn_status worker_open(struct router_server *s, struct worker *w,
                                   const struct router_server_config *how, bool first, struct cdn_error *err)
{
    const struct router_proxy_hooks hooks = {w, proxy_chosen, proxy_failed};
    w->server = s;
    enum cdn_status status = loop_create(&w->loop, err);
    if (status == CDN_OK) {
        status = router_proxy_create(w->loop, how->settings, daemon_descriptors(s->count) / s->count / 2,
                                     &hooks, &w->proxy, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    struct http_server_config config = s->clients;
    config.listen = s->address;
    config.share_port = s->count > 1;
    config.port_is_claimed = !first;
    config.max_body = UINT64_MAX; /* answered before it is read, or limited by the proxy */
    config.upgrades = true;
    config.handler = &handler;
    config.handler_self = w;
    config.is_proxy = is_proxy;
    config.announced = announced;
    status = http_server_start(w->loop, &config, &w->http, err);
    if (status == CDN_OK && first) {
        http_server_address(w->http, &s->address);
    }
    return status;
}

enum cdn_status router_server_create(const struct router_server_config *how, struct router_table *table,
                                     struct router_server **ret, struct cdn_error *err)
{
    const unsigned threads = how->threads;
    size_t size = offsetof(struct router_server, workers) + threads * sizeof(struct worker);
    struct router_server *s = cdn_aligned_calloc(_Alignof(struct worker), size);
    s->clients = how->clients;
    s->address = how->clients.listen;
    s->failed = how->failed;
    s->failed_self = how->failed_self;
    s->count = threads;
    for (unsigned i = 0; i < threads; i++) {
        struct worker *w = &s->workers[i];
        enum cdn_status status = worker_open(s, w, how, i == 0, err);
        if (status != CDN_OK) {
            router_server_destroy(s);
            return status;
        }
        view_adopt(view_create(w, table));
    }
    *ret = s;
    return CDN_OK;
}

/* Signals are the control thread's. */
enum cdn_status router_server_start(struct router_server *server, struct cdn_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = 0;
    for (unsigned i = 0; i < server->count && !failed; i++) {
        struct worker *w = &server->workers[i];
        failed = pthread_create(&w->thread, NULL, run, w);
        w->running = !failed;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? cdn_error_set(err, CDN_UNAVAILABLE, "cannot start a thread: %s", strerror(failed))
                  : CDN_OK;
}

void router_server_address(const struct router_server *server, struct cdn_addr *ret)
{
    *ret = server->address;
}

void router_server_publish(struct router_server *server, struct router_table *table)
{
    for (unsigned i = 0; i < server->count; i++) {
        loop_post(server->workers[i].loop, view_adopt, view_create(&server->workers[i], table));
    }
}

void router_server_certify(struct router_server *server, struct cdn_tls_set *tls)
{
    for (unsigned i = 0; i < server->count; i++) {
        daemon_tls_give(tls, server->workers[i].loop, &server->workers[i].http);
    }
}

void router_server_disturb(struct router_server *server, struct http_fault_set *set)
{
    for (unsigned i = 0; i < server->count; i++) {
        daemon_disturb(set, server->workers[i].loop, &server->workers[i].http);
    }
}

void router_server_drain(struct router_server *server)
{
    for (unsigned i = 0; i < server->count; i++) {
        loop_post(server->workers[i].loop, drain, &server->workers[i]);
    }
}

bool router_server_drained(struct router_server *server)
{
    bool all = true;
    for (unsigned i = 0; i < server->count; i++) {
        struct worker *w = &server->workers[i];
        all = all && atomic_load(&w->reports) > 0 && atomic_load(&w->open) == 0;
        loop_post(w->loop, report_open, w);
    }
    return all;
}

void router_server_destroy(struct router_server *server)
{
    if (!server) {
        return;
    }
    for (unsigned i = 0; i < server->count; i++) {
        struct worker *w = &server->workers[i];
        if (w->running) {
            loop_stop(w->loop);
            pthread_join(w->thread, NULL);
        }
    }
    for (unsigned i = 0; i < server->count; i++) {
        struct worker *w = &server->workers[i];
        worker_stop(w);
        router_proxy_destroy(CDN_TAKE(w->proxy));
        if (w->loop) {
            loop_destroy(w->loop);
        }
        view_free(w->view);
        router_answer_fini(&w->answer);
    }
    free(server);
}

uint64_t router_server_answers(const struct router_server *server, uint16_t edge)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < server->count; i++) {
        sum += cdn_metric_get(&server->workers[i].latest->answers[edge]);
    }
    return sum;
}

static void metrics_sum(const struct router_server *server, uint64_t values[CDN_ARRAY_LEN(metric_rows)],
                        uint64_t of_proxy[ROUTER_PROXY_METRIC_COUNT])
{
    for (unsigned i = 0; i < server->count; i++) {
        router_proxy_metrics_sum(server->workers[i].proxy, of_proxy);
        cdn_metrics_sum(&server->workers[i].metrics, values, PLAIN_ROWS);
        cdn_metrics_sum(server->workers[i].reasons, values + PLAIN_ROWS, ROUTER_REASON_COUNT);
    }
}

void router_server_metrics(const struct router_server *server, struct cdn_buf *out)
{
    uint64_t values[CDN_ARRAY_LEN(metric_rows)] = {0};
    uint64_t of_proxy[ROUTER_PROXY_METRIC_COUNT] = {0};
    metrics_sum(server, values, of_proxy);
    cdn_metrics_prometheus("pocketcdn_router_", metric_rows, values, CDN_ARRAY_LEN(values), out);
    cdn_metrics_prometheus("pocketcdn_router_", proxy_rows, of_proxy, CDN_ARRAY_LEN(of_proxy), out);
}

json_t *router_server_metrics_json(const struct router_server *server)
{
    uint64_t values[CDN_ARRAY_LEN(metric_rows)] = {0};
    json_t *metrics = json_object();
    uint64_t of_proxy[ROUTER_PROXY_METRIC_COUNT] = {0};
    metrics_sum(server, values, of_proxy);
    cdn_metrics_json(metric_rows, values, CDN_ARRAY_LEN(values), metrics);
    cdn_metrics_json(proxy_rows, of_proxy, CDN_ARRAY_LEN(of_proxy), metrics);
    return metrics;
}
