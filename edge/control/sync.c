/* sync: one poll after the other, on timers of the control loop, so nothing here needs a lock.
 * Entries are applied in order and skipped by number, so a log that is replayed twice does no
 * harm; the mark on disk may lag behind what was applied, never run ahead of it. */
#include "edge/control/sync.h"

#include "common/clock.h"
#include "common/daemon/daemon.h"
#include "common/daemon/metrics.h"
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/http/syntax/http_percent.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/mix.h"
#include "edge/base/settings.h"
#include "edge/cache/cache.h"
#include "edge/purge/purge.h"
#include "edge/store/store.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)
#define ANSWER_MAX (16u << 20)
#define WAIT_MAX_MS 25000
#define LOADING_MS 10      /* how often to look whether the disk tier is loaded */
#define MARK_MS 50         /* how often to look whether the mark may be written */
#define EARLY_PAUSE_MS 100 /* after an answer without news that came before its time */

CDN_METRICS_STRUCT(sync_metrics, EDGE_SYNC_METRICS);

struct edge_sync {
    struct edge *edge;
    struct loop *loop;
    struct http_client *client;
    char *authorization; /* NULL: none sent */
    int64_t grace_ms;
    struct edge_sync_place place; /* what was applied */
    /* the poll under way */
    struct cdn_buf body;
    unsigned status;
    bool too_large;
    int64_t wait_ms;
    int64_t asked_ns;
    /* between polls */
    struct loop_timer next;
    struct edge_sync_answer waiting; /* for the disk tier to be loaded */
    bool has_waiting;
    unsigned failures; /* in a row */
    uint64_t draws;    /* state of the generator */
    char error[200];   /* of the last poll; "" when it was answered */
    /* contact */
    int64_t contact_ns; /* the last good answer; 0: never */
    struct loop_timer grace;
    /* the mark */
    struct loop_timer mark;
    struct edge_sync_place marked; /* at the store, or on the way there */
    struct edge_sync_place marking;
    uint64_t turn;
    bool settling; /* `marking` waits for writes of `turn` and before */
    struct sync_metrics metrics;
};

#define OWNER(timer, member) CDN_CONTAINER_OF(timer, struct edge_sync, member)

static void poll_router(struct edge_sync *s);

/* 0 <= draw < 1 */
static double draw(struct edge_sync *s)
{
    return cdn_mix_unit(cdn_mix_next(&s->draws));
}

/* ---- synced or not ---- */

static void set_unsynced(struct edge_sync *s, bool unsynced, const char *why)
{
    if (atomic_exchange(&s->edge->unsynced, unsynced) == unsynced) {
        return;
    }
    cdn_metric_set(&s->metrics.sync_synced, !unsynced);
    cdn_log(unsynced ? CDN_LOG_WARN : CDN_LOG_INFO, "sync", "state=%s id=%" PRIu64 " log=%s why=%s",
            unsynced ? "unsynced" : "synced", s->place.id, s->place.log, why);
}

static void on_grace(struct loop_timer *timer)
{
    struct edge_sync *s = OWNER(timer, grace);
    set_unsynced(s, true, s->error[0] ? s->error : "the router has been silent for sync_grace");
}

static void on_contact(struct edge_sync *s)
{
    s->contact_ns = loop_mono_ns(s->loop);
    s->failures = 0;
    s->error[0] = '\0';
    loop_timer_start(s->loop, &s->grace, s->grace_ms * NS_PER_MS);
}

/* ---- the mark ---- */

/* For those that this edge shields (edge/site/shield.h). */
static void tell_state(struct edge_sync *s)
{
    const uint64_t hash = s->place.log[0] ? XXH3_64bits(s->place.log, strlen(s->place.log)) | 1 : 0;
    if (atomic_load(&s->edge->purge_log) != hash) { /* another log: 0 until its number is there */
        atomic_store(&s->edge->purge_id, 0);
        atomic_store(&s->edge->purge_log, hash);
    }
    atomic_store(&s->edge->purge_id, s->place.id);
}

static bool same_place(const struct edge_sync_place *a, const struct edge_sync_place *b)
{
    return a->id == b->id && strcmp(a->log, b->log) == 0;
}

static void begin_mark(struct edge_sync *s)
{
    if (!s->edge->store || s->settling || same_place(&s->place, &s->marked)) {
        return;
    }
    s->settling = true;
    s->marking = s->place;
    s->turn = edge_cache_save_turn(s->edge->cache);
    loop_timer_start(s->loop, &s->mark, MARK_MS * NS_PER_MS);
}

static bool end_mark(struct edge_sync *s)
{
    if (!s->settling || !edge_cache_saves_settled(s->edge->cache, s->turn)) {
        return false;
    }
    CDN_AUTOBUF struct cdn_buf text = {0};
    edge_sync_place_format(&s->marking, &text);
    edge_store_mark(s->edge->store, cdn_buf_str(&text));
    s->marked = s->marking;
    s->settling = false;
    return true;
}

static void on_mark(struct loop_timer *timer)
{
    struct edge_sync *s = OWNER(timer, mark);
    if (end_mark(s)) {
        begin_mark(s);
    } else {
        loop_timer_start(s->loop, timer, MARK_MS * NS_PER_MS);
    }
}

/* Nothing is stored any more: after the flush all writes are settled. */
static void last_mark(struct edge_sync *s)
{
    if (s->edge->store) {
        edge_store_flush(s->edge->store);
        end_mark(s);
        begin_mark(s);
        end_mark(s);
    }
}

/* ---- applying ---- */

static uint64_t apply_items(struct edge_sync *s, const json_t *entry, const char *name,
                            enum edge_purge_kind kind)
{
    const json_t *list = json_object_get(entry, name);
    uint64_t total = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const struct edge_purge p = {.kind = kind,
                                     .text = {json_string_value(item), json_string_length(item)},
                                     .soft = json_is_true(json_object_get(entry, "soft"))};
        struct cdn_error err;
        uint64_t count = 0;
        if (p.text.p && edge_purge_apply(s->edge, &p, cdn_clock_now_ms(), &count, &err) != CDN_OK) {
            cdn_log(CDN_LOG_WARN, "sync", "skipped=%s", err.text); /* no key here can be so */
        }
        total += count;
    }
    return total;
}

static uint64_t apply_entry(struct edge_sync *s, const json_t *entry)
{
    if (json_is_true(json_object_get(entry, "all"))) {
        bool soft = json_is_true(json_object_get(entry, "soft"));
        return edge_cache_purge_all(s->edge->cache, soft, cdn_clock_now_ms());
    }
    uint64_t total = 0;
#define X(name, one, several) total += apply_items(s, entry, several, EDGE_PURGE_##name);
    EDGE_PURGE_KINDS(X)
#undef X
    return total;
}

static void apply_reset(struct edge_sync *s, const struct edge_sync_answer *a)
{
    uint64_t count = edge_cache_purge_all(s->edge->cache, false, cdn_clock_now_ms());
    cdn_log(CDN_LOG_WARN, "sync",
            "reset=yes id=%" PRIu64 " log=%s was_id=%" PRIu64 " was_log=%s objects=%" PRIu64, a->last, a->log,
            s->place.id, s->place.log, count);
    cdn_metric_add(&s->metrics.sync_reset_total, 1);
    cdn_metric_add(&s->metrics.sync_object_total, count);
    s->place.id = a->last;
}

static void apply_purges(struct edge_sync *s, const struct edge_sync_answer *a)
{
    for (size_t i = 0; i < json_array_size(a->purges); i++) {
        const json_t *entry = json_array_get(a->purges, i);
        uint64_t id = (uint64_t)json_integer_value(json_object_get(entry, "id"));
        if (id <= s->place.id) {
            continue;
        }
        uint64_t count = apply_entry(s, entry);
        cdn_log(CDN_LOG_INFO, "sync", "id=%" PRIu64 " objects=%" PRIu64, id, count);
        cdn_metric_add(&s->metrics.sync_purge_total, 1);
        cdn_metric_add(&s->metrics.sync_object_total, count);
        s->place.id = id;
    }
}

static bool has_news(const struct edge_sync_answer *a)
{
    return a->reset || json_array_size(a->purges) > 0;
}

/* Takes the answer's reference. */
static void apply(struct edge_sync *s, struct edge_sync_answer *a)
{
    bool early = !has_news(a) && loop_mono_ns(s->loop) - s->asked_ns < s->wait_ms * NS_PER_MS / 2;
    if (a->reset) {
        apply_reset(s, a);
    } else {
        apply_purges(s, a);
    }
    memcpy(s->place.log, a->log, sizeof(s->place.log));
    json_decref(CDN_TAKE(a->purges));
    cdn_metric_set(&s->metrics.sync_id, s->place.id);
    tell_state(s);
    begin_mark(s);
    if (s->place.id >= a->last) {
        set_unsynced(s, false, "the log was replayed");
    }
    if (early) {
        loop_timer_start(s->loop, &s->next, EARLY_PAUSE_MS * NS_PER_MS);
    } else {
        poll_router(s);
    }
}

/* What lies on disk and is not known yet cannot be purged. */
static bool may_apply(const struct edge_sync *s, const struct edge_sync_answer *a)
{
    return !has_news(a) || !s->edge->store || edge_cache_loaded(s->edge->cache);
}

/* ---- polling ---- */

static void on_next(struct loop_timer *timer)
{
    struct edge_sync *s = OWNER(timer, next);
    if (!s->has_waiting) {
        poll_router(s);
    } else if (may_apply(s, &s->waiting)) {
        s->has_waiting = false;
        on_contact(s);
        apply(s, &s->waiting);
    } else {
        loop_timer_start(s->loop, timer, LOADING_MS * NS_PER_MS);
    }
}

static void on_failure(struct edge_sync *s, const char *text)
{
    if (s->failures++ == 0) {
        cdn_log(CDN_LOG_WARN, "sync", "failed=%s", text);
    }
    cdn_str_copy(s->error, sizeof(s->error), cdn_str(text));
    cdn_metric_add(&s->metrics.sync_failure_total, 1);
    loop_timer_start(s->loop, &s->next, edge_sync_pause_ms(s->failures, draw(s)) * NS_PER_MS);
}

static void on_head(void *arg, const struct http_fetch_head *head)
{
    struct edge_sync *s = arg;
    s->status = head->status;
}

static bool on_data(void *arg, const char *data, size_t n)
{
    struct edge_sync *s = arg;
    s->too_large = s->too_large || s->body.n + n > ANSWER_MAX;
    if (!s->too_large) {
        cdn_buf_add(&s->body, data, n);
    }
    return true;
}

static void on_answer(struct edge_sync *s)
{
    struct edge_sync_answer answer = {0};
    struct cdn_error err;
    if (edge_sync_answer_parse(cdn_buf_str(&s->body), &answer, &err) != CDN_OK) {
        on_failure(s, err.text);
        return;
    }
    cdn_metric_add(&s->metrics.sync_poll_total, 1);
    on_contact(s);
    if (may_apply(s, &answer)) {
        apply(s, &answer);
        return;
    }
    set_unsynced(s, true, "purges wait until the disk tier is loaded");
    s->waiting = answer;
    s->has_waiting = true;
    loop_timer_start(s->loop, &s->next, LOADING_MS * NS_PER_MS);
}

/* The router's own sentence, when it gave one. */
static char *refusal_text(const struct edge_sync *s)
{
    json_t *problem = json_loadb(cdn_buf_str(&s->body).p, s->body.n, 0, NULL);
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    char *text =
        cdn_asprintf("the router answered %u%s%.300s", s->status, detail ? ": " : "", detail ? detail : "");
    json_decref(problem);
    return text;
}

static void on_end(void *arg, enum http_fetch_error error, const char *text)
{
    struct edge_sync *s = arg;
    if (error == HTTP_FETCH_NONE && s->status == 200 && !s->too_large) {
        on_answer(s);
        return;
    }
    CDN_AUTOFREE char *line = error != HTTP_FETCH_NONE
                                  ? cdn_asprintf("%s: %s", http_fetch_error_word(error), text ? text : "")
                              : s->too_large ? cdn_strdup("the router's answer is too large")
                                             : refusal_text(s);
    on_failure(s, line);
}

static void write_url(const struct edge_sync *s, struct cdn_buf *out)
{
    struct cdn_str base = cdn_str(s->edge->settings.control);
    base.n -= cdn_str_ends(base, CDN_STR("/"));
    cdn_buf_printf(out,
                   CDN_STR_FMT "/purges?after=%" PRIu64 "&log=%s&wait=%" PRId64 "ms&edge=", CDN_STR_ARG(base),
                   s->place.id, s->place.log, s->wait_ms);
    http_percent_encode(cdn_str(s->edge->settings.name), http_percent_is_unreserved, out);
}

static void poll_router(struct edge_sync *s)
{
    static const struct http_fetch_handler handler = {.head = on_head, .data = on_data, .end = on_end};
    const struct http_field fields[] = {{CDN_STR("Pocketcdn-Edge"), cdn_str(s->edge->settings.name)},
                                        {CDN_STR("Authorization"), cdn_str(s->authorization)}};
    CDN_AUTOBUF struct cdn_buf url = {0};
    int64_t wait_ms = s->grace_ms / 2 < WAIT_MAX_MS ? s->grace_ms / 2 : WAIT_MAX_MS;
    s->wait_ms = atomic_load(&s->edge->unsynced) ? 0 : wait_ms;
    s->status = 0;
    s->too_large = false;
    s->asked_ns = loop_mono_ns(s->loop);
    cdn_buf_clear(&s->body);
    write_url(s, &url);
    struct http_fetch_request request = {
        .method = "GET",
        .url = url.p,
        .fields = fields,
        .field_count = s->authorization ? 2 : 1,
        .handler = &handler,
        .arg = s,
        .first_byte_timeout_ms = s->grace_ms,
        .total_timeout_ms = s->grace_ms,
    };
    http_fetch_start(s->client, &request);
}

/* ---- life ---- */

static void start(struct edge_sync *s)
{
    const char *mark = s->edge->store ? edge_store_mark_found(s->edge->store) : "";
    struct edge_store_key seed;
    if (mark[0] && !edge_sync_place_parse(cdn_str(mark), &s->place)) {
        cdn_log(CDN_LOG_WARN, "sync", "damaged_mark=%s", mark);
    }
    s->marked = s->place;
    s->grace.fire = on_grace;
    s->next.fire = on_next;
    s->mark.fire = on_mark;
    edge_cache_hash(cdn_str(s->edge->settings.name), &seed);
    s->draws = seed.a;
    atomic_store(&s->edge->unsynced, true);
    cdn_metric_set(&s->metrics.sync_id, s->place.id);
    tell_state(s);
    cdn_log(CDN_LOG_INFO, "sync", "state=starting id=%" PRIu64 " log=%s control=%s", s->place.id,
            s->place.log, s->edge->settings.control);
    loop_timer_start(s->loop, &s->next, 0);
}

enum cdn_status edge_sync_create(struct edge *edge, struct edge_sync **ret, struct cdn_error *err)
{
    const struct edge_settings *settings = &edge->settings;
    struct cdn_str control = cdn_str(settings->control);
    struct http_client_config config = {
        .max_connections = 2, .connect_timeout_ms = settings->sync_grace, .proxy = settings->control_proxy};
    if (control.n == 0) {
        return CDN_OK;
    }
    if (!cdn_str_starts(control, CDN_STR("http://")) && !cdn_str_starts(control, CDN_STR("https://"))) {
        return cdn_error_set(err, CDN_INVALID, "--control: \"%s\" is not a URL such as http://127.0.0.1:9080",
                             settings->control);
    }
    struct edge_sync *s = cdn_calloc(1, sizeof(*s));
    s->edge = edge;
    s->loop = daemon_loop(edge->daemon);
    s->grace_ms = settings->sync_grace;
    enum cdn_status status = http_client_create(s->loop, &config, &s->client, err);
    if (status != CDN_OK) {
        free(s);
        return status;
    }
    if (settings->admin_token[0]) {
        s->authorization = cdn_asprintf("Bearer %s", settings->admin_token);
    }
    start(s);
    *ret = s;
    return CDN_OK;
}

void edge_sync_destroy(struct edge_sync *s)
{
    if (!s) {
        return;
    }
    http_client_destroy(s->client);
    last_mark(s);
    loop_timer_stop(s->loop, &s->next);
    loop_timer_stop(s->loop, &s->grace);
    loop_timer_stop(s->loop, &s->mark);
    json_decref(s->waiting.purges);
    cdn_buf_free(&s->body);
    free(s->authorization);
    free(s);
}

/* ---- telling ---- */

void edge_sync_status(const struct edge_sync *s, json_t *into)
{
    if (!s) {
        return;
    }
    double contact_s = (double)(loop_mono_ns(s->loop) - s->contact_ns) / 1e9;
    json_object_set_new(
        into, "sync",
        json_pack("{s:s, s:s, s:I, s:I, s:b, s:o, s:I, s:o}", "control", s->edge->settings.control, "log",
                  s->place.log, "id", (json_int_t)s->place.id, "kept_id", (json_int_t)s->marked.id, "synced",
                  !atomic_load(&s->edge->unsynced), "last_contact_s",
                  s->contact_ns ? json_real(contact_s) : json_null(), "failures", (json_int_t)s->failures,
                  "error", s->error[0] ? json_string(s->error) : json_null()));
}

void edge_sync_metrics(const struct edge_sync *s, struct cdn_buf *out)
{
    static const struct cdn_metric_row rows[] = {EDGE_SYNC_METRICS(CDN_METRIC_ROW)};
    uint64_t values[CDN_ARRAY_LEN(rows)] = {0};
    if (s) {
        cdn_metrics_sum(&s->metrics, values, CDN_ARRAY_LEN(rows));
        cdn_metrics_prometheus("pocketcdn_edge_", rows, values, CDN_ARRAY_LEN(rows), out);
    }
}
