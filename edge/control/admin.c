/* admin: what only an edge knows of the admin listener; listener, tokens and problem documents
 * are common/daemon's. Metrics and status are written from the same rows, so the two cannot tell
 * different stories. A reload checks all that may fail before it changes anything. */
#include "edge/control/admin.h"

#include "common/admin_address.h"
#include "common/clock.h"
#include "common/config/config.h"
#include "common/daemon/daemon.h"
#include "common/daemon/daemon_purge.h"
#include "common/daemon/metrics.h"
#include "common/http/server/http_faults.h"
#include "common/http/server/http_server.h"
#include "common/http/server/tls_set.h"
#include "common/http/syntax/http_purge.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/proxy_url.h"
#include "common/str.h"
#include "edge/base/metrics.h"
#include "edge/base/settings.h"
#include "edge/base/tuning.h"
#include "edge/cache/cache.h"
#include "edge/control/certificate.h"
#include "edge/control/explain_now.h"
#include "edge/control/health.h"
#include "edge/control/sync.h"
#include "edge/control/why.h"
#include "edge/log/access_log.h"
#include "edge/purge/purge.h"
#include "edge/purge/purge_job.h"
#include "edge/request/hot.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/key.h"
#include "edge/site/breaker.h"
#include "edge/site/origin.h"
#include "edge/site/site.h"
#include "edge/site/target.h"
#include "edge/store/store.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/banned.h"

#define LIST_LIMIT 1000u

/* ---- metrics ---- */

static const struct cdn_metric_row rows[] = {EDGE_METRICS(CDN_METRIC_ROW)
#define X(name, text, meaning) \
    CDN_METRIC_LABELLED(COUNTER, "answer_total", "verdict=\"" text "\"", "Answers by verdict")
                                                 EDGE_VERDICTS(X)
#undef X
#define X(name, word, fwd, meaning)                                   \
    CDN_METRIC_LABELLED(COUNTER, "cause_total", "cause=\"" word "\"", \
                        "Answers by the cause of their not being a plain hit")
                                                     EDGE_CAUSES(X)
#undef X
};
_Static_assert(offsetof(struct edge_metrics, hit_time) == CDN_ARRAY_LEN(rows) * sizeof(uint64_t),
               "one row per counter");

static const struct cdn_metric_row service_rows[] = {EDGE_SERVICE_METRICS(CDN_METRIC_ROW)};

static const struct cdn_metric_row gauges[] = {
#define GAUGES(X)                                                                                       \
    X(objects, "Objects in the index")                                                                  \
    X(memory_objects, "Objects whose body is in RAM")                                                   \
    X(memory_bytes, "Bytes that count against the RAM budget")                                          \
    X(memory_capacity, "The RAM budget, bytes")                                                         \
    X(memory_on_the_way, "Bytes of bodies being fetched, written or sent that are not in the RAM tier") \
    X(memory_connections, "Bytes that connections, origin requests and ready answers take, about")      \
    X(memory_index, "Bytes that the index takes for objects that are on disk only, about")              \
    X(memory_spare, "Bytes kept ready for the next bodies")                                             \
    X(disk_objects, "Objects whose body is on disk")                                                    \
    X(disk_bytes, "Bytes that count against the disk budget")                                           \
    X(disk_capacity, "The disk budget for objects, bytes")                                              \
    X(memory_evictions, "Bodies evicted from RAM")                                                      \
    X(disk_evictions, "Objects evicted from disk")                                                      \
    X(too_large, "Objects refused by a tier for their size")                                            \
    X(not_admitted, "Objects not written to the nearly full disk on their first request")
#define X(name, help) CDN_METRIC_LABELLED(GAUGE, #name, NULL, help)
    GAUGES(X)
#undef X
};

static void gauge_values(struct edge *edge, uint64_t *values)
{
    struct edge_cache_stats s;
    edge_cache_stats(edge->cache, &s);
    size_t i = 0;
#define X(name, help) values[i++] = s.name;
    GAUGES(X)
#undef X
}

static void sum_counters(struct edge *edge, uint64_t *sum)
{
    for (unsigned i = 0; i < edge->worker_count; i++) {
        cdn_metrics_sum(&edge->worker[i].metrics, sum, CDN_ARRAY_LEN(rows));
    }
}

static void add_histogram(struct edge *edge, const char *name, const char *help, size_t offset,
                          struct cdn_buf *out)
{
    const struct cdn_histogram *parts[64];
    for (unsigned i = 0; i < edge->worker_count; i++) {
        parts[i] =
            (const struct cdn_histogram *)(const void *)((const char *)&edge->worker[i].metrics + offset);
    }
    cdn_histogram_prometheus("pocketcdn_edge_", name, help, parts, edge->worker_count, out);
}

static void write_metrics(void *self, struct cdn_buf *out)
{
    struct edge *edge = self;
    uint64_t sum[CDN_ARRAY_LEN(rows)] = {0};
    uint64_t values[CDN_ARRAY_LEN(gauges)];
    sum_counters(edge, sum);
    gauge_values(edge, values);
    cdn_metrics_prometheus("pocketcdn_edge_", rows, sum, CDN_ARRAY_LEN(rows), out);
    cdn_metrics_prometheus("pocketcdn_edge_", gauges, values, CDN_ARRAY_LEN(gauges), out);
    uint64_t service[CDN_ARRAY_LEN(service_rows)] = {0};
    cdn_metrics_sum(&edge->service, service, CDN_ARRAY_LEN(service));
    cdn_metrics_prometheus("pocketcdn_edge_", service_rows, service, CDN_ARRAY_LEN(service), out);
    edge_sync_metrics(edge->sync, out);
    add_histogram(edge, "hit_seconds", "Time of answers from the cache that were not in the ready table",
                  offsetof(struct edge_metrics, hit_time), out);
    add_histogram(edge, "miss_seconds", "Time of answers that needed the origin",
                  offsetof(struct edge_metrics, miss_time), out);
    add_histogram(edge, "origin_seconds", "Time to the origin's first byte",
                  offsetof(struct edge_metrics, origin_time), out);
}

/* ---- status ---- */

static json_t *store_events(struct edge *edge)
{
    json_t *events = json_object();
    for (int i = 0; i < EDGE_STORE_EVENT_COUNT; i++) {
        json_object_set_new(events, edge_store_event_word((enum edge_store_event)i),
                            json_integer((json_int_t)atomic_load(&edge->store_events[i])));
    }
    return events;
}

static json_t *store_status(struct edge *edge)
{
    struct edge_store_stats s;
    edge_store_stats(edge->store, &s);
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:o}", "disk_bytes", (json_int_t)s.disk_bytes,
        "live_bytes", (json_int_t)s.live_bytes, "queued_bytes", (json_int_t)s.queued_bytes, "segments",
        (json_int_t)s.segments, "files", (json_int_t)s.files, "written_bytes", (json_int_t)s.written_bytes,
        "refused", (json_int_t)s.refused, "full", s.full, "loading", s.loading, "events", store_events(edge));
}

static unsigned requests_under_way(void *self)
{
    const struct edge *edge = self;
    unsigned open = 0;
    for (unsigned i = 0; i < edge->worker_count; i++) {
        open += http_server_open_requests(edge->worker[i].server);
    }
    return open;
}

/* Of all rules; the sum of failures in a row says at a glance that one is in trouble. */
static void tell_origins(struct edge *edge, json_t *into)
{
    json_t *list = json_array();
    unsigned failures = 0;
    for (struct edge_origin *o = atomic_load(&edge->origins.first); o; o = o->next) {
        if (!o->used) {
            continue;
        }
        const unsigned row = atomic_load(&o->breaker.failures);
        failures += row;
        json_array_append_new(list, json_pack("{s:s, s:b, s:b, s:i, s:I, s:I}", "url", o->text, "well",
                                              edge_origin_is_well(o), "sick", atomic_load(&o->sick),
                                              "failures_in_a_row", row, "requests",
                                              (json_int_t)atomic_load(&o->requests), "failures",
                                              (json_int_t)atomic_load(&o->failures)));
    }
    json_object_set_new(into, "origins", list);
    json_object_set_new(into, "origin_failures", json_integer(failures));
}

static void write_status(void *self, json_t *into)
{
    struct edge *edge = self;
    uint64_t sum[CDN_ARRAY_LEN(rows)] = {0};
    uint64_t values[CDN_ARRAY_LEN(gauges)];
    json_t *metrics = json_object();
    json_t *cache = json_object();
    unsigned connections = 0;
    sum_counters(edge, sum);
    gauge_values(edge, values);
    cdn_metrics_json(rows, sum, CDN_ARRAY_LEN(rows), metrics);
    uint64_t service[CDN_ARRAY_LEN(service_rows)] = {0};
    cdn_metrics_sum(&edge->service, service, CDN_ARRAY_LEN(service));
    cdn_metrics_json(service_rows, service, CDN_ARRAY_LEN(service), metrics);
    cdn_metrics_json(gauges, values, CDN_ARRAY_LEN(gauges), cache);
    for (unsigned i = 0; i < edge->worker_count; i++) {
        connections += http_server_open_connections(edge->worker[i].server);
    }
    json_object_set_new(into, "place", json_string(edge->settings.place));
    json_object_set_new(into, "origin", json_string(edge->settings.origin));
    CDN_AUTOBUF struct cdn_buf proxy = {0};
    proxy_url_show(cdn_str(edge->settings.origin_proxy), &proxy);
    json_object_set_new(into, "origin_proxy", proxy.n ? json_string(proxy.p) : json_null());
    json_object_set_new(into, "threads", json_integer(edge->worker_count));
    json_object_set_new(into, "connections", json_integer(connections));
    json_object_set_new(into, "requests_under_way", json_integer(requests_under_way(edge)));
    json_object_set_new(into, "loading", json_boolean(atomic_load(&edge->loaded_objects) < 0));
    json_object_set_new(into, "unsynced", json_boolean(atomic_load(&edge->unsynced)));
    edge_sync_status(edge->sync, into);
    tell_origins(edge, into);
    json_object_set_new(into, "certificates", cdn_tls_set_json(edge->tls, cdn_clock_real_ms() / 1000));
    json_object_set_new(into, "metrics", metrics);
    json_object_set_new(into, "cache", cache);
    if (edge->store) {
        json_object_set_new(into, "store", store_status(edge));
    }
}

/* ---- verbs ---- */

/* Of a path of the one site: those of http, then those of https, as keys are ordered. */
static enum edge_key_error list_path(struct edge *edge, struct cdn_str prefix, struct cdn_str after,
                                     json_t *list)
{
    for (int secure = 0; secure <= 1 && json_array_size(list) < LIST_LIMIT; secure++) {
        char into[EDGE_KEY_MAX];
        struct edge_target t;
        enum edge_key_error e = edge_target_of_url(&edge_tuning_now(edge)->sites, prefix, secure, into, &t);
        if (e != EDGE_KEY_OK) {
            return e;
        }
        const bool begins = secure && !cdn_str_starts(after, CDN_STR("https:"));
        json_t *part = edge_cache_list(edge->cache, t.key, begins ? CDN_STR("") : after,
                                       LIST_LIMIT - (unsigned)json_array_size(list), cdn_clock_now_ms());
        json_array_extend(list, part);
        json_decref(part);
    }
    return EDGE_KEY_OK;
}

static void handle_objects(void *self, struct http_request *req, json_t *body)
{
    struct edge *edge = self;
    (void)body;
    CDN_AUTOFREE char *prefix = daemon_query(req, "prefix");
    CDN_AUTOFREE char *after = daemon_query(req, "after");
    json_t *list = NULL;
    enum edge_key_error e = EDGE_KEY_OK;
    if (prefix && prefix[0] == '/') {
        list = json_array();
        e = list_path(edge, cdn_str(prefix), cdn_str(after), list);
    } else {
        list = edge_cache_list(edge->cache, cdn_str(prefix), cdn_str(after), LIST_LIMIT, cdn_clock_now_ms());
    }
    if (e != EDGE_KEY_OK) {
        struct cdn_error err;
        cdn_error_set(&err, CDN_INVALID, "objects: prefix: %s", edge_key_error_text(e));
        daemon_answer_error(req, &err);
        json_decref(list);
        return;
    }
    daemon_answer_json(req, 200, json_pack("{s:o, s:i}", "objects", list, "limit", (int)LIST_LIMIT));
}

static void handle_why(void *self, struct http_request *req, json_t *body)
{
    struct edge *edge = self;
    (void)body;
    CDN_AUTOFREE char *url = daemon_query(req, "url");
    struct cdn_error err;
    json_t *story = NULL;
    if (!url) {
        cdn_error_set(&err, CDN_USAGE, "why: give ?url=");
        daemon_answer_error(req, &err);
    } else if (edge_why(edge, cdn_str(url), cdn_clock_now_ms(), &story, &err) != CDN_OK) {
        daemon_answer_error(req, &err);
    } else {
        daemon_answer_json(req, 200, story);
    }
}

static void answer_explained(struct edge *edge, struct http_request *req, const json_t *question)
{
    struct cdn_error err;
    json_t *story = NULL;
    if (edge_explain_now(edge, question, cdn_clock_now_ms(), &story, &err) != CDN_OK) {
        daemon_answer_error(req, &err);
    } else {
        daemon_answer_json(req, 200, story);
    }
}

/* ?url=&method=&fields=: fields as lines. */
static void handle_explain(void *self, struct http_request *req, json_t *body)
{
    CDN_AUTOFREE char *url = daemon_query(req, "url");
    CDN_AUTOFREE char *method = daemon_query(req, "method");
    CDN_AUTOFREE char *fields = daemon_query(req, "fields");
    (void)body;
    json_t *list = json_array();
    for (struct cdn_str rest = cdn_str(fields ? fields : ""); rest.p && rest.n;) {
        const struct cdn_str line = cdn_str_cut(&rest, '\n');
        json_array_append_new(list, json_stringn(line.p, line.n));
    }
    json_t *question = json_pack("{s:s*, s:s*, s:o}", "url", url, "method", method, "fields", list);
    answer_explained(self, req, question);
    json_decref(question);
}

static void handle_explain_body(void *self, struct http_request *req, json_t *body)
{
    answer_explained(self, req, body);
}

struct purge_call {
    struct edge_purge_job job;
    struct http_request *req; /* NULL: over */
    json_t *body;             /* counted */
    struct http_purge form;   /* in place of a body of ours */
    bool formed;
    struct cdn_error err;
    enum cdn_status status;
    bool pending; /* the job is not done */
};

static void end_purge(struct purge_call *p)
{
    if (!p->req && !p->pending) {
        json_decref(p->body);
        http_purge_free(&p->form);
        free(p);
    }
}

static void purge_over(void *arg)
{
    struct purge_call *p = arg;
    p->req = NULL;
    end_purge(p);
}

static bool apply_purge(struct edge_purge_job *job)
{
    struct purge_call *p = CDN_CONTAINER_OF(job, struct purge_call, job);
    if (p->req && p->formed) {
        job->count = edge_purge_form(job->edge, &p->form, CDN_STR(""), cdn_clock_now_ms());
        return true;
    }
    p->status =
        p->req ? edge_purge_json(job->edge, p->body, cdn_clock_now_ms(), &job->count, &p->err) : CDN_OK;
    return p->req && p->status == CDN_OK;
}

static void answer_purge(struct purge_call *p)
{
    p->pending = false;
    if (!p->req) {
        end_purge(p);
    } else if (p->status != CDN_OK) {
        daemon_answer_error(p->req, &p->err);
    } else if (p->formed) {
        daemon_answer_json(p->req, 200, daemon_purge_answer(&p->form, p->job.count));
    } else {
        daemon_answer_json(p->req, 200,
                           json_pack("{s:s, s:I}", "status", "ok", "purged", (json_int_t)p->job.count));
    }
}

static void purge_done(struct edge_purge_job *job)
{
    answer_purge(CDN_CONTAINER_OF(job, struct purge_call, job));
}

static void run_purge(struct edge *edge, const struct purge_call *as)
{
    struct purge_call *p = cdn_calloc(1, sizeof(*p));
    *p = *as;
    p->pending = true;
    p->job = (struct edge_purge_job){
        .edge = edge, .loop = daemon_loop(edge->daemon), .apply = apply_purge, .done = purge_done};
    daemon_on_end(p->req, purge_over, p);
    if (edge_purge_job_run(&p->job)) {
        answer_purge(p);
    } else {
        http_request_suspend(p->req);
    }
}

static void handle_purge(void *self, struct http_request *req, json_t *body)
{
    run_purge(self, &(struct purge_call){.req = req, .body = json_incref(body)});
}

/* In a form of Fastly's API. */
static void handle_service(void *self, struct http_request *req, json_t *body)
{
    struct purge_call p = {.req = req, .formed = true};
    struct cdn_error err;
    enum cdn_status status = daemon_purge_read(req, body, &p.form, &err);
    if (status == CDN_OK) {
        status = edge_purge_form_check(self, &p.form, &err);
    }
    if (status != CDN_OK) {
        http_purge_free(&p.form);
        daemon_answer_error(req, &err);
        return;
    }
    run_purge(self, &p);
}

static const struct daemon_route routes[] = {
    {"GET", "/objects", handle_objects},   {"GET", "/why", handle_why},
    {"GET", "/explain", handle_explain},   {"POST", "/explain", handle_explain_body},
    {"POST", "/purge", handle_purge},      {"POST", "/purge/", handle_service},
    {"POST", "/service/", handle_service}, {0},
};

/* ---- life ---- */

static void clear_hot(struct edge_worker *w)
{
    edge_hot_clear(w->hot);
}

static enum cdn_status reload(void *self, struct cdn_error *err)
{
    struct edge *edge = self;
    struct edge_settings next = {0};
    enum cdn_config_outcome outcome;
    struct edge_tuning *tuning = NULL;
    struct cdn_tls_set *tls = NULL;
    enum cdn_status status =
        cdn_config_load(&edge_program, edge->argc, edge->argv, &next, &outcome, NULL, NULL, err);
    if (status != CDN_OK) {
        return status;
    }
    status = cdn_config_can_reload(&edge_program, &edge->settings, &next, err);
    if (status == CDN_OK) {
        status = edge_certificate_reread(edge, &next, &tls, err);
    }
    if (status == CDN_OK) {
        status =
            edge_tuning_create(&next, edge->config_path, &edge->origins, edge_tuning_now(edge), &tuning, err);
    }
    if (status == CDN_OK) {
        status = edge_access_log_reopen(edge->access_log, err);
    }
    if (status != CDN_OK) {
        cdn_tls_set_unref(tls);
        edge_tuning_destroy(tuning);
        cdn_config_free(&edge_program, &next);
        return status;
    }
    tuning->sites.names = &edge->machine;
    tuning->settings = next;
    tuning->keep_settings = true;
    tuning->home = daemon_loop(edge->daemon);
    struct edge_tuning *old = atomic_exchange(&edge->tuning, tuning);
    edge_sites_use(&tuning->sites, &edge->origins);
    edge_health_wake(edge->health);
    edge_tuning_retire(edge, old, clear_hot); /* ready answers may be by its rules */
    edge_certificate_use(edge, tls);
    cdn_log_set_level((enum cdn_log_level)next.log_level);
    return CDN_OK;
}

static void drain_worker(void *arg)
{
    struct edge_worker *w = arg;
    if (w->server) {
        http_server_drain(w->server);
    }
}

static void drain(void *self)
{
    struct edge *edge = self;
    atomic_store(&edge->draining, true);
    for (unsigned i = 0; i < edge->worker_count; i++) {
        loop_post(edge->worker[i].loop, drain_worker, &edge->worker[i]);
    }
}

static void disturb(void *self, struct http_fault_set *set)
{
    struct edge *edge = self;
    for (unsigned i = 0; i < edge->worker_count; i++) {
        daemon_disturb(set, edge->worker[i].loop, &edge->worker[i].server);
    }
}

static bool drained(void *self)
{
    return requests_under_way(self) == 0;
}

static bool healthy(void *self, char why[static 128])
{
    struct edge *edge = self;
    if (atomic_load(&edge->draining)) {
        snprintf(why, 128, "draining");
        return false;
    }
    return true;
}

enum cdn_status edge_admin_create(struct edge *edge, struct cdn_error *err)
{
    char address[CDN_ADDR_TEXT_SIZE];
    cdn_admin_address(edge->settings.admin, edge->settings.listen, address);
    struct daemon_config config = {
        .program = edge_program.name,
        .node = edge->settings.name,
        .admin_listen = address,
        .admin_token = edge->settings.admin_token,
        .simulate = edge->settings.simulate,
        .routes = routes,
        .self = edge,
        .metrics = write_metrics,
        .status = write_status,
        .healthy = healthy,
        .load = requests_under_way,
        .reload = reload,
        .disturb = disturb,
        .drain = drain,
        .drained = drained,
    };
    return daemon_create(&config, &edge->daemon, err);
}
