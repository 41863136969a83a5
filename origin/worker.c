/* worker: a thread with a loop, a server and files of its own. Others speak to it by messages only
 * (policy, drain, stop), so that a request takes no lock and its counters need no locked
 * instruction. */
#include "origin/worker.h"

#include "common/clock.h"
#include "common/daemon/daemon.h"
#include "common/daemon/metrics.h"
#include "common/http/server/http_faults.h"
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/http/syntax/http_message.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "origin/base/root.h"
#include "origin/exchange.h"
#include "origin/metrics.h"
#include "origin/release/table.h"
#include "origin/settings.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define WATCH_EVERY_NS INT64_C(50000000)
#define DRAIN_LOOK_NS INT64_C(5000000)

void origin_policy_unref(struct origin_policy *policy)
{
    if (policy && atomic_fetch_sub(&policy->owners, 1) == 1) {
        free(policy->trusted);
        free(policy);
    }
}

/* ---- files under way: the kernel sends them, so nobody here sees the bytes go by ---- */

static void watch_fire(struct loop_timer *timer)
{
    struct origin_worker *worker = CDN_CONTAINER_OF(timer, struct origin_worker, watch_timer);
    for (struct exchange *x = worker->watched; x; x = x->watch_next) {
        if (!origin_file_id_holds(x->watch_fd, &x->watch_id)) {
            exchange_break(x);
        }
    }
    if (worker->watched) {
        loop_timer_start(worker->loop, &worker->watch_timer, WATCH_EVERY_NS);
    }
}

/* ---- exchanges ---- */

static void on_head(void *self, struct http_request *req)
{
    struct origin_worker *worker = self;
    struct exchange *x = worker->free_exchanges;
    if (x) {
        worker->free_exchanges = x->next_free;
    } else {
        x = cdn_malloc(sizeof(*x));
    }
    *x = (struct exchange){.worker = worker, .req = req, .watch_fd = -1};
    req->app = x;
    if (req->method != HTTP_GET && req->method != HTTP_HEAD && req->method != HTTP_OPTIONS && req->has_body) {
        exchange_answer(x); /* refuses it before the body is sent */
    }
}

static void on_ready(void *self, struct http_request *req)
{
    (void)self;
    exchange_answer(req->app);
}

static void log_access(const struct exchange *x, enum http_end end)
{
    char client[CDN_ADDR_TEXT_SIZE];
    struct cdn_addr addr;
    struct http_request *req = x->req;
    http_request_client(req, &addr);
    cdn_addr_format_ip(&addr, client);
    CDN_AUTOFREE char *method = cdn_str_dup(req->method_name);
    CDN_AUTOFREE char *target = cdn_str_dup(req->target);
    cdn_log(CDN_LOG_INFO, "request",
            "client=%s method=%s target=%s status=%u bytes=%" PRIu64 " us=%" PRId64 " complete=%s", client,
            method, target, x->status, x->bytes, (cdn_clock_mono_ns() - req->started_ns) / 1000,
            end == HTTP_END_OK ? "yes" : "no");
}

static void count_end(struct origin_metrics *m, const struct exchange *x, enum http_end end)
{
    if (end != HTTP_END_OK) {
        cdn_metric_add(&m->aborted, 1);
        return;
    }
    _Atomic uint64_t *class = x->status < 300   ? &m->status_2xx
                              : x->status < 400 ? &m->status_3xx
                              : x->status < 500 ? &m->status_4xx
                                                : &m->status_5xx;
    cdn_metric_add(class, 1);
    cdn_metric_add(&m->body_bytes, x->bytes);
}

static void on_done(void *self, struct http_request *req, enum http_end end)
{
    struct origin_worker *worker = self;
    struct exchange *x = req->app;
    count_end(&worker->metrics, x, end);
    if (worker->policy->access_log) {
        log_access(x, end);
    }
    exchange_release(x);
    x->next_free = worker->free_exchanges;
    worker->free_exchanges = x;
}

/* ---- life ---- */

static void on_refused(void *self, unsigned status)
{
    struct origin_worker *worker = self;
    cdn_metric_add(status < 500 ? &worker->metrics.status_4xx : &worker->metrics.status_5xx, 1);
    cdn_metric_add(&worker->metrics.refused, 1);
}

static bool is_proxy(void *self, const struct cdn_addr *peer)
{
    const struct origin_worker *worker = self;
    return http_is_trusted(&worker->policy->trust, peer);
}

static void announced(void *self, bool accepted)
{
    struct origin_worker *worker = self;
    cdn_metric_add(accepted ? &worker->metrics.proxied : &worker->metrics.proxied_badly, 1);
}

static const struct http_handler handler = {
    .head = on_head, .ready = on_ready, .done = on_done, .refused = on_refused};

static void drain_look(struct loop_timer *timer)
{
    struct origin_worker *worker = CDN_CONTAINER_OF(timer, struct origin_worker, drain_timer);
    if (http_server_open_requests(worker->server) == 0) {
        atomic_store(&worker->is_drained, true);
    } else {
        loop_timer_start(worker->loop, &worker->drain_timer, DRAIN_LOOK_NS);
    }
}

static void note_release(struct origin_worker *worker)
{
    atomic_store(&worker->release, release_table_current(worker->table));
    atomic_store(&worker->newest, release_table_newest(worker->table));
}

enum cdn_status origin_worker_create(struct origin_shared *shared, struct origin_policy *policy,
                                     const struct cdn_addr *listen, bool claimed, struct origin_worker **ret,
                                     struct cdn_error *err)
{
    const struct origin_settings *s = shared->settings;
    struct origin_worker *worker = aligned_alloc(64, sizeof(*worker));
    if (!worker) {
        abort();
    }
    memset(worker, 0, sizeof(*worker));
    worker->shared = shared;
    worker->policy = policy;
    atomic_fetch_add(&policy->owners, 1);
    if (shared->sources.table) {
        worker->table = release_table_ref(shared->sources.table);
        note_release(worker);
    }
    worker->watch_timer.fire = watch_fire;
    worker->drain_timer.fire = drain_look;
    enum cdn_status status = loop_create(&worker->loop, err);
    if (status == CDN_OK) {
        const struct http_server_config config = {
            .listen = *listen,
            .share_port = s->threads > 1,
            .port_is_claimed = claimed,
            .max_connections = shared->connections,
            .idle_timeout_s = (unsigned)(s->keepalive / 1000),
            .head_timeout_ms = (unsigned)s->head_timeout,
            .body_timeout_ms = (unsigned)s->body_timeout,
            .body_rate = s->body_rate,
            .max_body = 65536,
            .handler = &handler,
            .handler_self = worker,
            .proxy_protocol = (enum http_proxy_protocol)s->proxy_protocol,
            .is_proxy = is_proxy,
            .announced = announced,
        };
        status = http_server_start(worker->loop, &config, &worker->server, err);
    }
    if (status != CDN_OK) {
        origin_worker_destroy(worker);
        return status;
    }
    const struct origin_files_config config = {
        .sources = shared->sources,
        .mime = shared->mime,
        .hasher = shared->hasher,
        .metrics = &worker->metrics,
        .policy = policy,
        .budget = s->memory / s->threads,
    };
    worker->files = origin_files_create(&config);
    *ret = worker;
    return CDN_OK;
}

void origin_worker_address(const struct origin_worker *worker, struct cdn_addr *ret)
{
    http_server_address(worker->server, ret);
}

const struct origin_metrics *origin_worker_metrics(const struct origin_worker *worker)
{
    return &worker->metrics;
}

static void *run(void *arg)
{
    loop_run(((struct origin_worker *)arg)->loop);
    return NULL;
}

enum cdn_status origin_worker_start(struct origin_worker *worker, struct cdn_error *err)
{
    const int problem = pthread_create(&worker->thread, NULL, run, worker);
    if (problem) {
        return cdn_error_set(err, CDN_UNAVAILABLE, "threads: cannot start a worker: %s", strerror(problem));
    }
    worker->is_running = true;
    pthread_setname_np(worker->thread, "origin-worker");
    return CDN_OK;
}

struct message {
    struct origin_worker *worker;
    struct origin_policy *policy;
    struct release_table *table;
};

static void take_policy(void *arg)
{
    struct message *m = arg;
    origin_files_set_policy(m->worker->files, m->policy);
    origin_policy_unref(m->worker->policy);
    m->worker->policy = m->policy;
    free(m);
}

void origin_worker_post_policy(struct origin_worker *worker, struct origin_policy *policy)
{
    struct message *m = cdn_calloc(1, sizeof(*m));
    *m = (struct message){.worker = worker, .policy = policy};
    loop_post(worker->loop, take_policy, m);
}

static void take_table(void *arg)
{
    struct message *m = arg;
    struct origin_worker *worker = m->worker;
    origin_files_set_table(worker->files, m->table);
    release_table_unref(worker->table);
    worker->table = m->table;
    note_release(worker);
    free(m);
}

void origin_worker_post_table(struct origin_worker *worker, struct release_table *table)
{
    struct message *m = cdn_calloc(1, sizeof(*m));
    *m = (struct message){.worker = worker, .table = table};
    loop_post(worker->loop, take_table, m);
}

void origin_worker_release(const struct origin_worker *worker, uint64_t *ret_current, uint64_t *ret_newest)
{
    *ret_current = atomic_load(&worker->release);
    *ret_newest = atomic_load(&worker->newest);
}

void origin_worker_disturb(struct origin_worker *worker, struct http_fault_set *set)
{
    daemon_disturb(set, worker->loop, &worker->server);
}

static void take_drain(void *arg)
{
    struct origin_worker *worker = arg;
    http_server_drain(worker->server);
    drain_look(&worker->drain_timer);
}

void origin_worker_drain(struct origin_worker *worker)
{
    loop_post(worker->loop, take_drain, worker);
}

bool origin_worker_is_drained(const struct origin_worker *worker)
{
    return atomic_load(&worker->is_drained);
}

static void take_stop(void *arg)
{
    struct origin_worker *worker = arg;
    while (worker->waiting) {
        exchange_wake(worker->waiting);
    }
    loop_timer_stop(worker->loop, &worker->watch_timer);
    loop_timer_stop(worker->loop, &worker->drain_timer);
    http_server_stop(CDN_TAKE(worker->server));
    loop_stop(worker->loop);
}

void origin_worker_stop(struct origin_worker *worker)
{
    if (worker && worker->is_running) {
        loop_post(worker->loop, take_stop, worker);
        pthread_join(worker->thread, NULL);
        worker->is_running = false;
    }
}

void origin_worker_destroy(struct origin_worker *worker)
{
    if (!worker) {
        return;
    }
    http_server_stop(worker->server);
    origin_files_destroy(worker->files);
    loop_destroy(worker->loop);
    origin_policy_unref(worker->policy);
    release_table_unref(worker->table);
    while (worker->free_exchanges) {
        struct exchange *x = worker->free_exchanges;
        worker->free_exchanges = x->next_free;
        free(x);
    }
    free(worker);
}
