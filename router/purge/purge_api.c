/* purge_api: requests that wait are a list of suspended ones, each with a timer; whatever may have
 * changed an answer looks through it. Waiting is bounded in number and time, and none outlives the
 * drain. */
#include "router/purge/purge_api.h"

#include "common/clock.h"
#include "common/daemon/daemon_purge.h"
#include "common/daemon/metrics.h"
#include "common/http/syntax/http_message.h"
#include "common/http/syntax/http_purge.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "router/purge/purge_api_private.h"
#include "router/purge/purge_book.h"
#include "router/purge/purge_item.h"
#include "router/purge/purge_log.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

#define WAIT_MAX_MS 60000
#define CHECK_MS 50 /* an edge that falls sick meanwhile is not waited for any longer */
#define NS_PER_MS INT64_C(1000000)

struct router_waiter { /* a suspended request */
    struct router_purges *purges;
    struct http_request *req;
    struct router_waiter *next, **link; /* of the list; link NULL: taken out, being answered */
    struct loop_timer timer;
    int64_t until_ns;
    bool polls;
    size_t edge;     /* of a poll; ROUTER_BOOK_NO_EDGE: nobody's */
    uint64_t number; /* poll: the last one it has; otherwise: the purge whose receipts it wants */
};

/* ---- the log ---- */

static enum cdn_status log_open(struct router_purges *p, const char *path, struct cdn_error *err)
{
    struct router_purge_log *log = NULL;
    enum cdn_status status = router_purge_log_open(path, &p->limits, &log, err);
    if (status != CDN_OK) {
        return status;
    }
    router_purge_log_close(p->log);
    p->log = log;
    cdn_log(CDN_LOG_INFO, "purge_log", "path=%s log=%s last=%" PRIu64 " oldest=%" PRIu64,
            path ? path : "(in memory)", router_purge_log_identity(log), router_purge_log_last(log),
            router_purge_log_oldest(log));
    return CDN_OK;
}

/* The first purge, or an edge that follows: from now on the log has to outlive the router. */
static enum cdn_status put_to_use(struct router_purges *p, struct cdn_error *err)
{
    if (!p->unused_path) {
        return CDN_OK;
    }
    enum cdn_status status = log_open(p, p->unused_path, err);
    if (status != CDN_OK) {
        return status;
    }
    free(p->unused_path);
    p->unused_path = NULL;
    return CDN_OK;
}

/* ---- waiting ---- */

static void unlink_waiter(struct router_waiter *w)
{
    struct router_purges *p = w->purges;
    loop_timer_stop(p->loop, &w->timer);
    if (!w->link) {
        return;
    }
    *w->link = w->next;
    if (w->next) {
        w->next->link = w->link;
    }
    w->link = NULL;
    p->waiting--;
    p->receipts_waiting -= !w->polls;
}

static void on_over(void *arg)
{
    struct router_waiter *w = arg;
    unlink_waiter(w);
    free(w);
}

static void answer_waiter(struct router_waiter *w)
{
    unlink_waiter(w);
    if (w->polls) {
        router_purges_answer_page(w->purges, w->req, w->number);
    } else {
        router_purges_answer_receipts(w->purges, w->req, w->number);
    }
}

static bool is_due(const struct router_waiter *w)
{
    if (w->polls) {
        return router_purge_log_last(w->purges->log) > w->number;
    }
    return router_purges_has_all(w->purges, w->number);
}

static void start_timer(struct router_waiter *w)
{
    struct loop *loop = w->purges->loop;
    int64_t at = loop_mono_ns(loop) + CHECK_MS * NS_PER_MS;
    loop_timer_start_at(loop, &w->timer, w->polls || at > w->until_ns ? w->until_ns : at);
}

static void on_timer(struct loop_timer *timer)
{
    struct router_waiter *w = CDN_CONTAINER_OF(timer, struct router_waiter, timer);
    if (loop_mono_ns(w->purges->loop) >= w->until_ns || is_due(w)) {
        answer_waiter(w);
    } else {
        start_timer(w);
    }
}

/* `as` says who waits and for what. */
static void suspend(struct http_request *req, const struct router_waiter *as, int64_t wait_ms)
{
    struct router_purges *p = as->purges;
    struct router_waiter *w = cdn_malloc(sizeof(*w));
    *w = *as;
    w->req = req;
    w->timer = (struct loop_timer){.fire = on_timer};
    w->until_ns = loop_mono_ns(p->loop) + wait_ms * NS_PER_MS;
    w->next = p->waiters;
    w->link = &p->waiters;
    if (w->next) {
        w->next->link = &w->next;
    }
    p->waiters = w;
    p->waiting++;
    p->receipts_waiting += !w->polls;
    daemon_on_end(req, on_over, w);
    http_request_suspend(req);
    start_timer(w);
}

/* Answers who waited for what has just happened; `all`: everybody. */
static void wake(struct router_purges *p, bool all)
{
    for (struct router_waiter *w = p->waiters, *next; w; w = next) {
        next = w->next;
        if (all || is_due(w)) {
            answer_waiter(w);
        }
    }
}

/* Of the admin listener's connections each kind of those that wait for no edge has a quarter: where few files
 * may be open the edges' own polls have room, too. */
static unsigned at_most(const struct router_purges *p, unsigned most)
{
    const unsigned part = daemon_admin_connections(p->daemon) / 4;
    return part < most ? part : most;
}

/* An edge has one poll: a further one means that it gave the one before up. Nobody's are a few; the oldest
 * goes. The newest stand first in the list. */
static void replace_poll(struct router_purges *p, size_t edge)
{
    unsigned kept = 1, most = edge == ROUTER_BOOK_NO_EDGE ? at_most(p, ROUTER_PURGE_READERS) : 1;
    for (struct router_waiter *w = p->waiters, *next; w; w = next) {
        next = w->next;
        if (w->polls && w->edge == edge && kept++ >= most) {
            answer_waiter(w);
        }
    }
}

static bool may_wait(const struct router_purges *p, bool polls)
{
    return !p->draining && (polls || p->receipts_waiting < at_most(p, ROUTER_PURGE_WAITERS));
}

/* ---- what a request says ---- */

static enum cdn_status wait_parse(const char *text, int64_t *ret_ms, struct cdn_error *err)
{
    int64_t ms = 0;
    if (text && (!cdn_parse_duration_ms(cdn_str(text), &ms) || ms < 0)) {
        return cdn_error_set(err, CDN_INVALID, "wait: '%.64s' is not a time such as 500ms or 25s", text);
    }
    *ret_ms = ms < WAIT_MAX_MS ? ms : WAIT_MAX_MS;
    return CDN_OK;
}

/* "wait" of the body ("2s", or seconds as a number), else of the query. */
static enum cdn_status wait_of(const struct http_request *req, const json_t *body, int64_t *ret_ms,
                               struct cdn_error *err)
{
    const json_t *value = json_object_get(body, "wait");
    CDN_AUTOFREE char *query = daemon_query(req, "wait");
    char number[32];
    if (value && !json_is_string(value) && !json_is_integer(value)) {
        return cdn_error_set(err, CDN_INVALID, "wait: must be a time such as \"2s\"");
    }
    if (json_is_integer(value)) {
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
        return wait_parse(number, ret_ms, err);
    }
    return wait_parse(value ? json_string_value(value) : query, ret_ms, err);
}

struct question { /* of GET /purges */
    uint64_t after;
    int64_t wait_ms;
    size_t edge;
    bool ours; /* `after` is a number of this log, and not out of reach */
};

struct edge_field {
    struct cdn_str value;
    unsigned lines;
};

static bool find_edge_field(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct edge_field *f = arg;
    if (cdn_str_eq_nocase(name, CDN_STR("Pocketcdn-Edge"))) {
        f->value = cdn_str_trim(value);
        f->lines++;
    }
    return true;
}

/* Whether the request may speak, and acknowledge, for the edge. */
static enum cdn_status speaks_for(const struct router_purges *p, struct http_request *req, const char *edge,
                                  struct cdn_error *err)
{
    struct edge_field field = {0};
    http_request_each_field(req, find_edge_field, &field);
    if (field.lines != 1 || !cdn_str_eq(field.value, cdn_str(edge))) {
        return cdn_error_set(err, CDN_REFUSED,
                             "edge: acknowledging for '%.64s' needs the field Pocketcdn-Edge with its name",
                             edge);
    }
    if (router_edges_find(p->edges, cdn_str(edge)) == ROUTER_NO_EDGE && !daemon_has_token(p->daemon, req)) {
        return cdn_error_set(err, CDN_REFUSED,
                             "edge: '%.64s' is no edge of the configuration, and there is no admin token",
                             edge);
    }
    return CDN_OK;
}

static enum cdn_status question_parse(struct router_purges *p, struct http_request *req, struct question *ret,
                                      struct cdn_error *err)
{
    CDN_AUTOFREE char *after = daemon_query(req, "after");
    CDN_AUTOFREE char *edge = daemon_query(req, "edge");
    CDN_AUTOFREE char *wait = daemon_query(req, "wait");
    CDN_AUTOFREE char *log = daemon_query(req, "log");
    struct question q = {.edge = ROUTER_BOOK_NO_EDGE};
    if (after && (!cdn_parse_u64(cdn_str(after), &q.after) || q.after > INT64_MAX)) {
        return cdn_error_set(err, CDN_INVALID, "after: '%.64s' is not the number of a purge", after);
    }
    enum cdn_status status = wait_parse(wait, &q.wait_ms, err);
    if (status == CDN_OK && edge) {
        status = speaks_for(p, req, edge, err);
    }
    if (status == CDN_OK && edge) {
        status = put_to_use(p, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    q.ours = (!log || !log[0] || strcmp(log, router_purge_log_identity(p->log)) == 0) &&
             router_purge_log_reaches(p->log, q.after);
    if (edge) {
        q.edge = router_book_edge(p->book, cdn_str(edge));
    }
    if (edge && q.edge == ROUTER_BOOK_NO_EDGE) {
        return cdn_error_set(err, CDN_INVALID, "edge: empty, too long, or one of more than %u edges",
                             ROUTER_PURGE_EDGES);
    }
    *ret = q;
    return CDN_OK;
}

/* ---- verbs ---- */

static enum cdn_status append(struct router_purges *p, const json_t *body, uint64_t *ret_id,
                              struct cdn_error *err)
{
    static const char *const besides[] = {"wait", NULL};
    json_t *item = NULL;
    enum cdn_status status = router_purge_item(body, besides, &item, err);
    if (status != CDN_OK) {
        return status;
    }
    CDN_AUTOFREE char *what = json_dumps(item, JSON_COMPACT);
    json_decref(item);
    status = put_to_use(p, err);
    if (status != CDN_OK) {
        return status;
    }
    int64_t began_ns = cdn_clock_mono_ns();
    status = router_purge_log_append(p->log, cdn_clock_real_ms(), cdn_str(what), ret_id, err);
    if (status != CDN_OK) {
        return status;
    }
    cdn_log(CDN_LOG_INFO, "purge", "id=%" PRIu64 " took_us=%" PRId64 " what=%.*s", *ret_id,
            (cdn_clock_mono_ns() - began_ns) / 1000, 200, what);
    router_book_purge(p->book, *ret_id, began_ns);
    cdn_metric_add(&p->metrics.purge_total, 1);
    return CDN_OK;
}

void router_purge_post(struct router_purges *p, struct http_request *req, json_t *body)
{
    struct router_waiter w = {.purges = p};
    struct cdn_error err;
    int64_t wait_ms = 0;
    if (wait_of(req, body, &wait_ms, &err) != CDN_OK || append(p, body, &w.number, &err) != CDN_OK) {
        daemon_answer_error(req, &err);
        return;
    }
    if (wait_ms > 0 && may_wait(p, false) && !is_due(&w)) {
        suspend(req, &w, wait_ms);
    } else {
        router_purges_answer_receipts(p, req, w.number);
    }
    wake(p, false);
}

void router_purge_form(struct router_purges *p, struct http_request *req, json_t *body)
{
    struct http_purge form;
    struct cdn_error err;
    uint64_t id = 0;
    enum cdn_status status = daemon_purge_read(req, body, &form, &err);
    if (status == CDN_OK) {
        json_t *what = router_purge_of_form(&form, req->host, req->target);
        status = append(p, what, &id, &err);
        json_decref(what);
    }
    if (status != CDN_OK) {
        daemon_answer_error(req, &err);
    } else if (req->method == HTTP_POST) {
        daemon_answer_json(req, 200, daemon_purge_answer(&form, id));
    } else {
        router_purges_answer_receipts(p, req, id);
    }
    http_purge_free(&form);
    wake(p, false);
}

void router_purge_receipts(struct router_purges *p, struct http_request *req, json_t *body)
{
    struct cdn_str text = cdn_str_sub(req->path, sizeof("/purges/") - 1);
    struct cdn_error err;
    uint64_t id;
    (void)body;
    if (!cdn_parse_u64(text, &id) || id == 0 || id > router_purge_log_last(p->log)) {
        cdn_error_set(&err, CDN_NOT_FOUND, "there is no purge '" CDN_STR_FMT "'", CDN_STR_ARG(text));
        daemon_answer_error(req, &err);
        return;
    }
    router_purges_answer_receipts(p, req, id);
}

void router_purge_list(struct router_purges *p, struct http_request *req, json_t *body)
{
    struct question q = {0};
    struct cdn_error err;
    (void)body;
    if (question_parse(p, req, &q, &err) != CDN_OK) {
        daemon_answer_error(req, &err);
        return;
    }
    if (q.edge != ROUTER_BOOK_NO_EDGE) {
        cdn_metric_add(&p->metrics.purge_poll_total, 1);
        router_book_acknowledge(p->book, q.edge, q.ours ? q.after : 0, cdn_clock_mono_ns());
    }
    if (q.edge != ROUTER_BOOK_NO_EDGE || q.wait_ms > 0) {
        replace_poll(p, q.edge);
    }
    struct router_waiter w = {.purges = p, .polls = true, .edge = q.edge, .number = q.after};
    if (!q.ours) {
        router_purges_answer_list(p, req, NULL);
    } else if (q.wait_ms > 0 && !is_due(&w) && may_wait(p, true)) {
        suspend(req, &w, q.wait_ms);
    } else {
        router_purges_answer_page(p, req, q.after);
    }
    if (q.edge != ROUTER_BOOK_NO_EDGE) {
        wake(p, false);
    }
}

/* ---- life ---- */

enum cdn_status router_purges_create(const struct router_settings *settings, struct daemon *daemon,
                                     struct router_purges **ret, struct cdn_error *err)
{
    struct router_purges *p = cdn_calloc(1, sizeof(*p));
    CDN_AUTOFREE char *path = NULL;
    p->loop = daemon_loop(daemon);
    p->daemon = daemon;
    p->limits = (struct router_purge_limits){settings->purge_keep, settings->purge_keep_age,
                                             settings->purge_keep_size};
    p->book = router_book_create(ROUTER_PURGE_EDGES);
    if (!settings->state[0] && (path = router_purge_log_default_path(settings->admin)) &&
        access(path, F_OK) != 0) {
        p->unused_path = path;
        path = NULL;
    } else if (settings->state[0] && strcmp(settings->state, "none") != 0) {
        path = cdn_asprintf("%s/purges.db", settings->state);
    }
    enum cdn_status status = log_open(p, path, err);
    if (status != CDN_OK) {
        router_purges_destroy(p);
        return status;
    }
    *ret = p;
    return CDN_OK;
}

void router_purges_watch(struct router_purges *p, const struct router_edges *edges)
{
    p->edges = edges;
}

void router_purges_drain(struct router_purges *p)
{
    p->draining = true;
    wake(p, true);
}

void router_purges_destroy(struct router_purges *p)
{
    if (!p) {
        return;
    }
    router_purge_log_close(p->log);
    router_book_destroy(p->book);
    free(p->unused_path);
    free(p);
}
