/* health: one probe an edge, begun spread over the interval so that they do not come at once. What
 * the probes saw goes with the edge's name through reloads; what it means is pulse.h's to say. */
#include "router/health.h"

#include "common/clock.h"
#include "common/daemon/metrics.h"
#include "common/http/client/http_client.h"
#include "common/log.h"
#include "common/mem.h"
#include "geo-data/latency.h"
#include "router/base/edges.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define BODY_MAX 16384u
#define EVENTS 256u
#define NS_PER_MS 1000000

struct patient { /* one probed edge */
    struct router_health *health;
    struct loop_timer timer;
    struct http_fetch *fetch; /* the probe under way, or NULL */
    uint16_t edge;
    struct router_pulse pulse;
    unsigned status;
    struct cdn_buf body;
    int64_t patience_ms;           /* of the last probe: after so long it has failed */
    int64_t started_ns, probe_us;  /* of the last probe; monotonic, measured */
    int64_t probed_ms, changed_ms; /* wall clock; 0: never */
    double load;                   /* of the last report; negative: none */
    char error[160];               /* of the last probe; "" when it succeeded */
};

struct event {
    int64_t at_ms; /* wall clock */
    char edge[64];
    char what[16];
    char text[160];
};

CDN_METRICS_STRUCT(health_metrics, ROUTER_HEALTH_METRICS);
static const struct cdn_metric_row metric_rows[] = {ROUTER_HEALTH_METRICS(CDN_METRIC_ROW)};

struct router_health {
    struct loop *loop;
    struct http_client *client;
    struct router_table *table;
    struct router_health_times times;
    struct patient *patients; /* one for each edge of the table */
    size_t count;
    struct event events[EVENTS];
    size_t event_count; /* ever; the newest is at (event_count - 1) % EVENTS */
    struct health_metrics metrics;
};

static const struct router_edge *edge_of(const struct patient *p)
{
    return &p->health->table->edges->at[p->edge];
}

void router_health_note(struct router_health *health, uint16_t edge, const char *event, const char *text)
{
    const char *name = health->table->edges->at[edge].name;
    struct event *e = &health->events[health->event_count++ % EVENTS];
    e->at_ms = cdn_clock_real_ms();
    cdn_str_copy(e->edge, sizeof(e->edge), cdn_str(name));
    cdn_str_copy(e->what, sizeof(e->what), cdn_str(event));
    cdn_str_copy(e->text, sizeof(e->text), cdn_str(text));
    cdn_log(CDN_LOG_INFO, "edge_state", "edge=%s state=%s why=%s", name, event, text);
}

static void schedule(struct patient *p, int64_t after_ns)
{
    loop_timer_start(p->health->loop, &p->timer, after_ns);
}

/* ---- judging one result ---- */

static void judge_load(struct patient *p)
{
    uint64_t capacity = edge_of(p)->capacity;
    struct router_edges *edges = p->health->table->edges;
    bool was = router_edge_flags(edges, p->edge) & ROUTER_EDGE_FULL;
    bool is = capacity > 0 && p->load >= (double)capacity * (was ? 0.9 : 1.0);
    if (is == was) {
        return;
    }
    char text[64];
    snprintf(text, sizeof(text), "load %.0f of %llu", p->load, (unsigned long long)capacity);
    router_edge_flag_set(edges, p->edge, ROUTER_EDGE_FULL, is);
    router_health_note(p->health, p->edge, is ? "full" : "not-full", text);
}

static void read_report(struct patient *p)
{
    json_t *report = json_loadb(p->body.p ? p->body.p : "", p->body.n, 0, NULL);
    const json_t *load = json_object_get(report, "load");
    p->load = json_is_number(load) ? json_number_value(load) : -1;
    json_decref(report);
}

static void judge(struct patient *p, bool ok)
{
    struct router_health *h = p->health;
    p->probed_ms = cdn_clock_real_ms();
    p->probe_us = (cdn_clock_mono_ns() - p->started_ns) / 1000;
    cdn_metric_add(ok ? &h->metrics.probe_ok_total : &h->metrics.probe_failed_total, 1);
    enum router_pulse_change change = router_pulse_beat(&p->pulse, &h->times.rule, ok, cdn_clock_mono_ms());
    if (change != ROUTER_PULSE_SAME) {
        bool fell = change == ROUTER_PULSE_FELL;
        p->changed_ms = p->probed_ms;
        router_edge_flag_set(h->table->edges, p->edge, ROUTER_EDGE_SICK, fell);
        cdn_metric_add(fell ? &h->metrics.edge_down_total : &h->metrics.edge_up_total, 1);
        router_health_note(h, p->edge, fell ? "down" : "up", fell ? p->error : "answers again");
    }
    if (ok) {
        judge_load(p);
    }
    bool doubtful = !ok && !p->pulse.sick;
    schedule(p, doubtful ? h->times.interval_ms * NS_PER_MS / 8 : h->times.interval_ms * NS_PER_MS);
}

/* ---- one probe ---- */

static void probe_head(void *arg, const struct http_fetch_head *head)
{
    struct patient *p = arg;
    p->status = head->status;
}

static bool probe_data(void *arg, const char *data, size_t n)
{
    struct patient *p = arg;
    if (p->body.n + n <= BODY_MAX) {
        cdn_buf_add(&p->body, data, n);
    }
    return true;
}

static void probe_end(void *arg, enum http_fetch_error error, const char *text)
{
    struct patient *p = arg;
    p->fetch = NULL;
    bool ok = error == HTTP_FETCH_NONE && p->status == 200;
    p->error[0] = '\0';
    bool slow = error == HTTP_FETCH_TIMEOUT || error == HTTP_FETCH_READ_TIMEOUT;
    if (slow) {
        cdn_metric_add(&p->health->metrics.probe_timeout_total, 1);
    }
    if (slow) {
        snprintf(p->error, sizeof(p->error), "slow: no answer within %lld ms", (long long)p->patience_ms);
    } else if (error != HTTP_FETCH_NONE) {
        snprintf(p->error, sizeof(p->error), "%s: %s", http_fetch_error_word(error), text ? text : "");
    } else if (!ok) {
        snprintf(p->error, sizeof(p->error), "status %u", p->status);
    }
    if (ok) {
        read_report(p);
    }
    judge(p, ok);
}

static const struct http_fetch_handler probe_handler = {
    .head = probe_head, .data = probe_data, .end = probe_end};

/* What a probe of this edge may take. The router is where its default place is. */
static int64_t patience_ms(const struct patient *p)
{
    const struct router_health *h = p->health;
    const struct router_edge *edge = edge_of(p);
    if (h->times.slow_ms == 0) {
        return h->times.timeout_ms;
    }
    double modelled = geo_rtt_ms(h->table->default_lat, h->table->default_lon, edge->lat, edge->lon);
    int64_t limit = h->times.slow_ms + (int64_t)modelled;
    return limit < h->times.timeout_ms ? limit : h->times.timeout_ms;
}

static void probe(struct loop_timer *timer)
{
    struct patient *p = CDN_CONTAINER_OF(timer, struct patient, timer);
    CDN_AUTOFREE char *url = cdn_asprintf("%s/health", edge_of(p)->admin);
    p->patience_ms = patience_ms(p);
    struct http_fetch_request request = {
        .method = "GET",
        .url = url,
        .handler = &probe_handler,
        .arg = p,
        .first_byte_timeout_ms = p->patience_ms,
        .total_timeout_ms = p->patience_ms,
    };
    cdn_buf_clear(&p->body);
    p->status = 0;
    p->started_ns = cdn_clock_mono_ns();
    p->fetch = http_fetch_start(p->health->client, &request);
}

void router_health_suspect(struct router_health *health, struct cdn_str name)
{
    const uint16_t edge = router_edges_find(health->table->edges, name);
    struct patient *p = edge == ROUTER_NO_EDGE ? NULL : &health->patients[edge];
    if (p && !p->fetch && edge_of(p)->admin[0] &&
        cdn_clock_mono_ns() - p->started_ns > health->times.interval_ms * NS_PER_MS / 8) {
        schedule(p, 0);
    }
}

/* ---- the set of edges ---- */

static void patients_free(struct router_health *h)
{
    for (size_t i = 0; i < h->count; i++) {
        if (h->patients[i].fetch) {
            http_fetch_cancel(h->patients[i].fetch);
        }
        loop_timer_stop(h->loop, &h->patients[i].timer);
        cdn_buf_free(&h->patients[i].body);
    }
    free(h->patients);
    h->patients = NULL;
    h->count = 0;
}

static void patient_inherit(struct patient *p, const struct patient *from)
{
    p->pulse = from->pulse;
    p->probe_us = from->probe_us;
    p->probed_ms = from->probed_ms;
    p->changed_ms = from->changed_ms;
    p->load = from->load;
    memcpy(p->error, from->error, sizeof(p->error));
}

static void patient_init(struct patient *p, struct router_health *h, const struct router_table *table,
                         uint16_t edge)
{
    const struct router_edge *now = &table->edges->at[edge];
    *p = (struct patient){.health = h, .edge = edge, .timer.fire = probe, .load = -1};
    uint16_t old = h->table ? router_edges_find(h->table->edges, cdn_str(now->name)) : ROUTER_NO_EDGE;
    if (old != ROUTER_NO_EDGE && strcmp(h->table->edges->at[old].admin, now->admin) == 0) {
        patient_inherit(p, &h->patients[old]);
        return;
    }
    router_edge_flag_set(table->edges, edge, ROUTER_EDGE_SICK, false);
    router_edge_flag_set(table->edges, edge, ROUTER_EDGE_FULL, false);
}

void router_health_watch(struct router_health *health, struct router_table *table,
                         const struct router_health_times *times)
{
    size_t count = table->edges->count;
    struct patient *patients = cdn_calloc(count + 1, sizeof(*patients));
    for (size_t i = 0; i < count; i++) {
        patient_init(&patients[i], health, table, (uint16_t)i);
    }
    patients_free(health);
    router_table_ref(table);
    router_table_unref(health->table);
    health->table = table;
    health->times = *times;
    health->patients = patients;
    health->count = count;
    for (size_t i = 0; i < count; i++) { /* spread over the interval, the first at once */
        if (table->edges->at[i].admin[0]) {
            schedule(&patients[i], times->interval_ms * NS_PER_MS / 2 * (int64_t)i / (int64_t)count);
        }
    }
}

enum cdn_status router_health_create(struct loop *loop, const char *proxy, struct router_health **ret,
                                     struct cdn_error *err)
{
    struct router_health *h = cdn_calloc(1, sizeof(*h));
    h->loop = loop;
    struct http_client_config config = {
        .max_connections = ROUTER_EDGES_MAX,
        .max_per_host = 4,
        .connect_timeout_ms = 60000, /* each probe has a shorter one */
        .user_agent = "pocketcdn-router/" CDN_VERSION,
        .proxy = proxy,
    };
    enum cdn_status status = http_client_create(loop, &config, &h->client, err);
    if (status != CDN_OK) {
        free(h);
        return status;
    }
    *ret = h;
    return CDN_OK;
}

void router_health_destroy(struct router_health *health)
{
    if (!health) {
        return;
    }
    patients_free(health);
    http_client_destroy(health->client);
    router_table_unref(health->table);
    free(health);
}

/* ---- telling ---- */

json_t *router_health_edge_json(const struct router_health *health, uint16_t edge)
{
    const struct patient *p = &health->patients[edge];
    json_t *o = json_object();
    json_object_set_new(o, "known", json_boolean(p->pulse.known));
    json_object_set_new(o, "healthy", json_boolean(!p->pulse.sick));
    json_object_set_new(o, "probe_ms", p->probed_ms ? json_real((double)p->probe_us / 1000) : json_null());
    json_object_set_new(o, "probe_label", json_string("measured"));
    json_object_set_new(o, "probe_limit_ms", json_integer(patience_ms(p)));
    json_object_set_new(o, "last_probe_ms", p->probed_ms ? json_integer(p->probed_ms) : json_null());
    json_object_set_new(o, "last_change_ms", p->changed_ms ? json_integer(p->changed_ms) : json_null());
    json_object_set_new(o, "error", p->error[0] ? json_string(p->error) : json_null());
    json_object_set_new(o, "load", p->load >= 0 ? json_real(p->load) : json_null());
    json_object_set_new(o, "flaps", json_integer(p->pulse.flaps));
    return o;
}

json_t *router_health_events_json(const struct router_health *health)
{
    json_t *list = json_array();
    size_t n = health->event_count < EVENTS ? health->event_count : EVENTS;
    for (size_t i = health->event_count - n; i < health->event_count; i++) {
        const struct event *e = &health->events[i % EVENTS];
        json_array_append_new(list, json_pack("{s:I, s:s, s:s, s:s}", "at_ms", (json_int_t)e->at_ms, "edge",
                                              e->edge, "event", e->what, "text", e->text));
    }
    return list;
}

void router_health_metrics(const struct router_health *health, struct cdn_buf *out)
{
    uint64_t values[CDN_ARRAY_LEN(metric_rows)] = {0};
    cdn_metrics_sum(&health->metrics, values, CDN_ARRAY_LEN(values));
    cdn_metrics_prometheus("pocketcdn_router_", metric_rows, values, CDN_ARRAY_LEN(values), out);
}
