/* request: libmicrohttpd's side of a transaction: its callbacks, and the first state.
 *
 * A plain hit is answered from the hot table without a transaction. All else gets one at the first callback,
 * and the states of step.h run whenever libmicrohttpd asks for the answer: first, and after every suspension.
 */
#include "edge/request/request.h"

#include "common/daemon/metrics.h"
#include "common/http/client/http_client.h"
#include "common/http/server/http_tunnel.h"
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_field_cache.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/http/syntax/http_message.h"
#include "common/http/syntax/http_purge.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "edge/base/metrics.h"
#include "edge/base/tuning.h"
#include "edge/cache/object.h"
#include "edge/fetch/fetch.h"
#include "edge/log/access_format.h"
#include "edge/log/access_log.h"
#include "edge/memory/budget.h"
#include "edge/request/deliver.h"
#include "edge/request/guarded.h"
#include "edge/request/hot.h"
#include "edge/request/pass.h"
#include "edge/request/query.h"
#include "edge/request/queue.h"
#include "edge/request/ranger.h"
#include "edge/request/ruled.h"
#include "edge/request/step.h"
#include "edge/request/tunnel.h"
#include "edge/request/txn.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/semantics/key.h"
#include "edge/semantics/validate.h"
#include "edge/site/rule.h"
#include "edge/site/shield.h"
#include "edge/site/target.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/banned.h"

/* Bytes of a request's body that wait here for the origin. */
#define UPLOAD_ROOM ((size_t)128 * 1024)
#define UPLOAD_SHORT ((size_t)16 * 1024) /* when memory is short */

/* ---- what happens to a transaction from outside ---- */

static void fetch_moved(struct edge_fetch_waiter *waiter)
{
    struct edge_txn *t = CDN_CONTAINER_OF(waiter, struct edge_txn, waiter);
    if (t->tunnel) {
        http_tunnel_moved(t->tunnel);
    } else if (t->stream) {
        http_stream_resume(t->stream);
    } else {
        http_request_resume(t->http);
    }
    edge_queue_serve(t->worker);
}

static void interim(struct edge_fetch_waiter *waiter, const struct http_fetch_head *h)
{
    const struct edge_txn *t = CDN_CONTAINER_OF(waiter, struct edge_txn, waiter);
    http_respond_interim(t->http, h->status, h->fields, h->field_count);
}

static void drop(struct edge_txn *t)
{
    edge_tunnel_leave(t);
    edge_ranger_discard(t);
}

static const struct edge_txn_hooks hooks = {.waiter = {.moved = fetch_moved, .interim = interim},
                                            .drop = drop};

/* ---- begin ---- */

static struct cdn_str joined_field(struct edge_txn *t, enum http_request_field field, size_t *ret_at)
{
    *ret_at = t->text.n;
    if (!t->http->field_lines[field]) {
        return (struct cdn_str){0};
    }
    http_request_joined(t->http, field, &t->text);
    return (struct cdn_str){(const char *)1,
                            t->text.n - *ret_at}; /* `p` follows when the buffer is complete */
}

/* Fields of several lines joined, in one buffer; slices are set once it does not grow any more. */
static void read_conditions(struct edge_txn *t)
{
    static const enum http_request_field ids[] = {
        HTTP_REQ_IF_MATCH, HTTP_REQ_IF_NONE_MATCH, HTTP_REQ_IF_MODIFIED_SINCE, HTTP_REQ_IF_UNMODIFIED_SINCE,
        HTTP_REQ_IF_RANGE, HTTP_REQ_RANGE,         HTTP_REQ_CACHE_CONTROL,     HTTP_REQ_PRAGMA};
    struct cdn_str cache_control = {0};
    struct cdn_str pragma = {0};
    struct cdn_str *to[] = {&t->conditions.if_match,
                            &t->conditions.if_none_match,
                            &t->conditions.if_modified_since,
                            &t->conditions.if_unmodified_since,
                            &t->conditions.if_range,
                            &t->conditions.range,
                            &cache_control,
                            &pragma};
    size_t at[CDN_ARRAY_LEN(ids)];
    cdn_buf_clear(&t->text);
    for (size_t i = 0; i < CDN_ARRAY_LEN(ids); i++) {
        *to[i] = joined_field(t, ids[i], &at[i]);
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(ids); i++) {
        if (to[i]->p) {
            to[i]->p = t->text.p ? t->text.p + at[i] : "";
        }
    }
    edge_request_control_read(cache_control, pragma, &t->control);
}

static enum edge_key_error build_target(struct edge_txn *t)
{
    const struct edge_key_parts parts = {.secure = t->http->asked_secure,
                                         .host = t->http->asked_host,
                                         .path = t->http->path,
                                         .query = t->http->query};
    struct cdn_str digits;
    char text[EDGE_KEY_MAX]; /* a transaction keeps what the key needs, not what a key may need */
    edge_tuning_unref(t->tuning);
    t->tuning = edge_tuning_ref(edge_tuning_now(t->worker->edge));
    enum edge_key_error e = edge_target_build(&t->tuning->sites, &parts, text, &t->target);
    if (e == EDGE_KEY_OK) {
        cdn_buf_clear(&t->key);
        cdn_buf_add_str(&t->key, t->target.key);
        edge_target_moved(&t->target, t->key.p);
        t->hashed = edge_key_hashed(t->target.key, &digits);
    }
    return e;
}

static bool is_loop(struct edge_txn *t)
{
    CDN_AUTOBUF struct cdn_buf value = {0};
    return http_request_joined(t->http, HTTP_REQ_CDN_LOOP, &value) &&
           http_cdn_loop_has(cdn_buf_str(&value), cdn_str(t->worker->edge->loop_id));
}

static bool is_purge(const struct http_request *req)
{
    return req->method == HTTP_PURGE || (req->method == HTTP_OTHER && http_purge_is_method(req->method_name));
}

static bool find_shield_for(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct edge_txn *t = arg;
    (void)value;
    t->for_edge = t->for_edge || cdn_str_eq_nocase(name, CDN_STR(EDGE_SHIELD_FOR));
    return true;
}

/* Edges that ask for others are believed when they are among the trusted proxies. */
static void note_edge(struct edge_txn *t)
{
    struct edge *edge = t->worker->edge;
    struct cdn_addr peer;
    if (!t->http->field[HTTP_REQ_CDN_LOOP].p) {
        return;
    }
    http_request_client(t->http, &peer);
    if (http_is_trusted(&t->tuning->trust, &peer)) {
        http_request_each_field(t->http, find_shield_for, t);
    }
    if (t->for_edge) {
        t->seen.log = atomic_load(&edge->purge_log);
        t->seen.id = atomic_load(&edge->purge_id);
    }
}

/* What needs neither cache nor origin; LOOKUP: it does. */
static enum edge_step at_once(struct edge_txn *t)
{
    struct http_request *req = t->http;
    uint32_t hops;
    if (is_loop(t)) {
        return edge_deliver_error(t, 508, "the request came back to this edge (CDN-Loop)");
    }
    if (req->method == HTTP_TRACE) {
        return edge_deliver_error(t, 405, "TRACE is not answered");
    }
    if (is_purge(req)) {
        return EDGE_STEP_PURGE;
    }
    if (req->method == HTTP_OPTIONS && req->field[HTTP_REQ_MAX_FORWARDS].p &&
        http_max_forwards_parse(req->field[HTTP_REQ_MAX_FORWARDS], &hops) && hops == 0) {
        return edge_deliver_options(t);
    }
    return EDGE_STEP_LOOKUP;
}

enum edge_step edge_request_begin(struct edge_txn *t)
{
    if (cdn_str_eq(t->http->path, CDN_STR("*"))) { /* about the server as a whole (RFC 9110 9.3.7): us */
        return edge_deliver_options(t);
    }
    enum edge_key_error e = build_target(t);
    if (e != EDGE_KEY_OK) {
        return edge_deliver_error(t, edge_key_error_status(e), edge_key_error_text(e));
    }
    note_edge(t);
    read_conditions(t);
    if (t->collecting) {
        edge_query_begin(t);
        t->conditions.range = t->conditions.if_range = (struct cdn_str){0}; /* whole answers only */
    }
    const enum edge_step step = at_once(t);
    if (step != EDGE_STEP_LOOKUP) {
        return step;
    }
    const enum edge_step ruled = edge_ruled_begin(t);
    if (http_request_asks_upgrade(t->http) && ruled != EDGE_STEP_DONE) {
        return EDGE_STEP_UPGRADE;
    }
    if (ruled != EDGE_STEP_LOOKUP) {
        return ruled;
    }
    if (!edge_txn_is_cached_method(t)) {
        return edge_txn_pass(t, EDGE_CAUSE_BYPASS_METHOD);
    }
    if (http_cc_has(&t->control.cc, HTTP_CC_NO_STORE) && t->target.rule->rules.honour_request) {
        return edge_txn_pass(t, EDGE_CAUSE_BYPASS_REQUEST);
    }
    return EDGE_STEP_LOOKUP;
}

/* ---- libmicrohttpd's side ---- */

/* Scheme and host that a trusted proxy tells of its client's request: they are in the key, so before all
 * else. */
static void believe(struct edge_worker *w, struct http_request *req)
{
    const struct http_trust *trust = &edge_tuning_now(w->edge)->trust;
    const struct cdn_str *f = req->field;
    if (!trust->count ||
        !(f[HTTP_REQ_X_FORWARDED_PROTO].p || f[HTTP_REQ_X_FORWARDED_HOST].p || f[HTTP_REQ_FORWARDED].p)) {
        return;
    }
    __attribute__((cleanup(http_forwarded_text_free))) struct http_forwarded_text text = {0};
    struct http_forwarded way;
    http_forwarded_of_request(req, trust, &text, &way);
    req->asked_secure = way.secure;
    if (way.host.p != req->host.p) { /* from `text`, which goes */
        cdn_buf_clear(&req->text);
        cdn_buf_add_str(&req->text, way.host);
        req->asked_host = cdn_buf_str(&req->text);
    }
}

/* RFC 9110 10.1.1: whether the body is wanted is the origin's to say. */
static bool expects_continue(const struct http_request *req)
{
    return !req->http10 &&
           cdn_str_eq_nocase(cdn_str_trim(req->field[HTTP_REQ_EXPECT]), CDN_STR("100-continue"));
}

/* The origin is asked; the body follows as it comes. */
static void begin_upload(struct edge_txn *t)
{
    edge_queue_leave(t);
    t->waits_in_head = false;
    t->upload_charged = true;
    edge_budget_add(EDGE_BUDGET_UPLOAD);
    edge_pass_start(t);
    t->step = EDGE_STEP_FETCHED;
    if (t->holding) {
        http_request_suspend(t->http);
    }
}

static void on_head(void *self, struct http_request *req)
{
    struct edge_worker *w = self;
    if (!req->has_body || req->method == HTTP_GET || req->method == HTTP_HEAD) {
        return;
    }
    believe(w, req);
    struct edge_txn *t = edge_txn_new(w, req, &hooks);
    enum edge_key_error e = build_target(t);
    if (e != EDGE_KEY_OK || is_loop(t) || req->method == HTTP_TRACE || is_purge(req)) {
        t->upload_done = true; /* the body is thrown away, then BEGIN answers */
        t->step = EDGE_STEP_BEGIN;
        return;
    }
    if (edge_ruled_refuses(t)) {
        t->upload_done = true; /* the same */
        t->step = EDGE_STEP_BEGIN;
        return;
    }
    if (edge_query_collects(t)) {
        t->collecting = true;
        t->step = EDGE_STEP_BEGIN;
        return;
    }
    if (!edge_guarded_miss(t)) {
        t->upload_done = true; /* thrown away, too; PASS answers */
        t->step = EDGE_STEP_BEGIN;
        return;
    }
    read_conditions(t);
    t->cause = EDGE_CAUSE_BYPASS_METHOD;
    t->verdict = EDGE_VERDICT_BYPASS;
    t->holding = expects_continue(req);
    if (edge_queue_must_wait(t)) {
        t->waits_in_head = true;
        t->step = edge_queue_before(t, EDGE_STEP_PASS);
        edge_step_run(t);
        return;
    }
    begin_upload(t);
}

/* An upload got its turn, or did not; or the fetch moved while the client held its body back: 100 Continue
 * is sent unless this answers or suspends. */
static void on_held(void *self, struct http_request *req)
{
    (void)self;
    struct edge_txn *t = req->app;
    if (t->waits_in_head && t->queue.state == EDGE_QUEUE_ADMITTED) {
        begin_upload(t);
    } else if (t->waits_in_head) {
        edge_step_run(t);
    } else if (t->holding && edge_fetch_phase_now(t->fetch) == EDGE_FETCH_ASKING) {
        http_request_suspend(req);
    } else if (t->holding) {
        edge_step_run(t);
    }
}

static size_t on_body(void *self, struct http_request *req, const char *data, size_t n)
{
    (void)self;
    struct edge_txn *t = req->app;
    if (t && t->collecting) {
        if (edge_query_take(t, data, n)) {
            return n;
        }
        t->collecting = false; /* what is there already goes first */
        read_conditions(t);
        t->cause = EDGE_CAUSE_BYPASS_METHOD;
        t->verdict = EDGE_VERDICT_BYPASS;
        begin_upload(t);
    }
    if (!t || !t->fetch || atomic_load(&t->fetch->finished) ||
        edge_fetch_phase_now(t->fetch) != EDGE_FETCH_ASKING) {
        return n; /* nobody wants it (any more) */
    }
    const size_t most = edge_budget_has(UPLOAD_ROOM) ? UPLOAD_ROOM : UPLOAD_SHORT;
    const size_t room = most > t->upload.n ? most - t->upload.n : 0;
    size_t taken = n < room ? n : room;
    const size_t before = t->upload.room;
    cdn_buf_add(&t->upload, data, taken);
    edge_budget_add(t->upload.room - before);
    t->upload_full = taken < n;
    edge_fetch_body_ready(t->fetch);
    return taken;
}

static void count_hot(struct edge_worker *w, uint64_t bytes)
{
    cdn_metric_add(&w->metrics.request_total, 1);
    cdn_metric_add(&w->metrics.hot_hit_total, 1);
    cdn_metric_add(&w->metrics.verdict[EDGE_VERDICT_HIT], 1);
    cdn_metric_add(&w->metrics.body_bytes_total, bytes);
}

static void on_ready(void *self, struct http_request *req)
{
    struct edge_worker *w = self;
    struct edge_txn *t = req->app;
    if (!t) {
        uint64_t bytes;
        unsigned status;
        believe(w, req);
        if (edge_hot_is_plain(req) && !atomic_load_explicit(&w->edge->unsynced, memory_order_relaxed) &&
            edge_hot_answer(w->hot, req, loop_now_ms(w->loop), &bytes, &status)) {
            count_hot(w, bytes);
            if (w->access) {
                edge_access_log_add(w, req,
                                    &(struct edge_access_record){.status = (uint16_t)status,
                                                                 .bytes = bytes,
                                                                 .origin_us = -1,
                                                                 .verdict = EDGE_VERDICT_HIT,
                                                                 .cause = EDGE_CAUSE_NONE},
                                    (struct cdn_str){0});
            }
            return;
        }
        t = edge_txn_new(w, req, &hooks);
        t->step = EDGE_STEP_BEGIN;
    }
    if (!t->upload_done && !t->upgrading) {
        t->upload_done = true;
        if (t->fetch && t->http->has_body) {
            edge_fetch_body_ready(t->fetch);
        }
    }
    edge_step_run(t);
}

static void count_txn(struct edge_txn *t)
{
    struct edge_metrics *m = &t->worker->metrics;
    cdn_metric_add(&m->request_total, 1);
    if (!t->status) {
        cdn_metric_add(&m->refused_total, 1);
        return;
    }
    cdn_metric_add(&m->verdict[t->verdict], 1);
    cdn_metric_add(&m->cause[t->cause], 1);
    cdn_metric_add(&m->body_bytes_total, t->status == 101 ? 0 : t->sent);
    cdn_metric_add(&m->collapsed_total, t->fetch && !t->leader);
    if (t->upgrading && t->status == 101) {
        return; /* a life, not a wait */
    }
    uint64_t us = (uint64_t)(loop_mono_ns(t->worker->loop) - t->http->started_ns) / 1000;
    cdn_histogram_add(t->verdict == EDGE_VERDICT_HIT ? &m->hit_time : &m->miss_time, us);
}

static void log_txn(const struct edge_txn *t, enum http_end end)
{
    struct edge_access_record r = {.status = (uint16_t)t->http->status,
                                   .bytes = t->sent,
                                   .origin_us = -1,
                                   .verdict = (uint8_t)(t->status ? t->verdict : EDGE_VERDICT_COUNT),
                                   .cause = (uint8_t)t->cause,
                                   .collapsed = t->fetch && !t->leader,
                                   .aborted = end == HTTP_END_ABORTED};
    const enum edge_fetch_phase phase = t->fetch ? edge_fetch_phase_now(t->fetch) : EDGE_FETCH_ASKING;
    if (phase != EDGE_FETCH_ASKING) {
        r.origin_us = t->fetch->origin_us;
        r.stored = atomic_load(&t->fetch->kept);
        r.fwd_status = phase == EDGE_FETCH_CONFIRMED ? 304
                       : t->fetch->rep               ? (uint16_t)edge_head_status(t->fetch->rep->head)
                                                     : 0;
    }
    edge_access_log_add(t->worker, t->http, &r, cdn_str(t->request_id));
}

static void on_done(void *self, struct http_request *req, enum http_end end)
{
    (void)self;
    struct edge_txn *t = req->app;
    if (!t) {
        return;
    }
    count_txn(t);
    if (t->worker->access) {
        log_txn(t, end);
    }
    struct edge_worker *w = t->worker;
    edge_txn_leave_fetch(t);
    edge_queue_leave(t);
    t->over = true;
    t->http = NULL;
    edge_txn_release(t);
    edge_queue_serve(w);
}

static void on_refused(void *self, unsigned status)
{
    (void)status;
    struct edge_worker *w = self;
    cdn_metric_add(&w->metrics.request_total, 1);
    cdn_metric_add(&w->metrics.refused_total, 1);
}

const struct http_handler edge_request_handler = {.head = on_head,
                                                  .held = on_held,
                                                  .body = on_body,
                                                  .ready = on_ready,
                                                  .done = on_done,
                                                  .refused = on_refused};

void edge_request_free(struct edge_worker *w)
{
    for (struct edge_txn *t = w->free_txn, *next; t; t = next) {
        next = t->next;
        cdn_buf_free(&t->key);
        cdn_buf_free(&t->text);
        free(t);
    }
    w->free_txn = NULL;
}
