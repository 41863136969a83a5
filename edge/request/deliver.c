/* deliver: the answer to a request: what is the same for all of them, conditions and ranges, and the
 * answer that is coming from the origin. What is stored is deliver_stored.c's, which uses this file. */
#include "edge/request/deliver.h"

#include "common/http/server/http_head.h"
#include "common/http/server/http_problem.h"
#include "common/http/server/http_server.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/fetch/body.h"
#include "edge/fetch/fetch.h"
#include "edge/memory/budget.h"
#include "edge/request/compress.h"
#include "edge/request/decorate.h"
#include "edge/request/deliver_private.h"
#include "edge/request/hot.h"
#include "edge/request/request_id.h"
#include "edge/request/serve.h"
#include "edge/request/stall.h"
#include "edge/request/step.h"
#include "edge/request/txn.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/semantics/range.h"
#include "edge/semantics/validate.h"
#include "edge/site/guard.h"
#include "edge/site/page.h"
#include "edge/site/rule.h"
#include "edge/site/target.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

#define REQUEST_ID CDN_STR("X-Request-ID")
#define ALLOW "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, QUERY"

/* ---- what is the same for all ---- */

static struct cdn_str edge_name(const struct edge_txn *t)
{
    return cdn_str(t->worker->edge->settings.name);
}

static struct edge_marks marks_of(const struct edge_txn *t, const struct edge_rep *rep)
{
    const struct edge_fetch *f = t->fetch;
    const int64_t now_ms = loop_now_ms(t->worker->loop);
    const bool from_cache = t->verdict == EDGE_VERDICT_HIT || t->verdict == EDGE_VERDICT_STALE;
    const bool first_hand = !from_cache && t->verdict != EDGE_VERDICT_REVALIDATED;
    struct edge_marks m = {
        .status = {.name = edge_name(t), .hit = from_cache, .cause = t->cause},
        .verdict = t->verdict,
        .age_s = first_hand && f && !f->had_age ? -1 : edge_freshness_age(&rep->fresh, now_ms),
        .origin_us = -1,
        .received = rep->fresh.received,
    };
    if (!t->passing) {
        m.status.has_ttl = true;
        m.status.ttl_s = edge_freshness_left(&rep->fresh, now_ms);
    }
    if (f && !from_cache) {
        m.status.fwd_status = t->verdict == EDGE_VERDICT_REVALIDATED
                                  ? 304
                                  : edge_head_status(f->rep ? f->rep->head : rep->head);
        m.status.stored = edge_fetch_phase_now(f) == EDGE_FETCH_STORING && f->may_keep;
        m.status.collapsed = !t->leader;
        m.origin_us = f->origin_us;
    }
    return m;
}

/* Personal fields are for the one whose request the origin answered; nobody else's answer has them, whatever
 * an older version stored. */
static enum edge_serve_personal personal_for(const struct edge_txn *t)
{
    if (t->passing || (t->fetch && t->leader)) {
        return EDGE_SERVE_ALL;
    }
    return t->target.rule->rules.set_cookie == EDGE_SET_COOKIE_REPLAY ? EDGE_SERVE_COOKIES
                                                                      : EDGE_SERVE_SHARED;
}

/* A hit may become a ready answer for others; and nobody was asked for it. */
static bool shows_request_id(const struct edge_txn *t)
{
    return edge_tuning_now(t->worker->edge)->send_request_id;
}

void edge_deliver_respond(struct edge_txn *t, struct MHD_Response *response, unsigned status,
                          const struct edge_rep *rep, const struct edge_range_plan *plan, uint64_t body_bytes)
{
    struct http_head *head = &t->worker->head;
    const struct edge_serve_choice choice = {.personal = personal_for(t),
                                             .tags = t->worker->edge->settings.send_tags,
                                             .rule = t->target.rule->changes_answer ? t->target.rule : NULL};
    edge_serve_fields(head, rep->head, status, plan, &choice);
    edge_decorate(t, rep->head, head);
    if (!t->passing && edge_compress_adds_vary(t->worker->edge->compress, rep->head)) {
        http_head_add(head, CDN_STR("Vary"), CDN_STR("Accept-Encoding"));
    }
    struct edge_marks marks = marks_of(t, rep);
    edge_serve_marks(head, &marks);
    const bool numbered = t->verdict != EDGE_VERDICT_HIT && shows_request_id(t);
    const bool replaced = numbered && edge_head_get_named(rep->head, REQUEST_ID, &(struct cdn_str){0});
    if (numbered && !replaced) {
        http_head_add(head, REQUEST_ID, edge_request_id(t));
    }
    http_head_seal(head, response);
    if (replaced) { /* of the answer's own request, which was another where it is stored */
        http_head_renew(response, REQUEST_ID, edge_request_id(t));
    }
    t->status = status;
    t->sent = t->http->method == HTTP_HEAD || status == 304 ? 0 : body_bytes;
    http_respond(t->http, status, response);
}

/* For HEAD and 304: fields of an answer whose body is `length` long (negative: unknown), without the body. */
static void respond_bodiless(struct edge_txn *t, unsigned status, const struct edge_rep *rep,
                             const struct edge_range_plan *plan, int64_t length)
{
    struct MHD_Response *response = http_response_bodiless(length);
    edge_deliver_respond(t, response, status, rep, plan, 0);
    MHD_destroy_response(response);
}

static void respond_empty(struct edge_txn *t, unsigned status, const struct edge_rep *rep,
                          const struct edge_range_plan *plan)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    edge_deliver_respond(t, response, status, rep, plan, 0);
    MHD_destroy_response(response);
}

enum edge_step edge_deliver_error(struct edge_txn *t, unsigned status, const char *detail)
{
    return edge_deliver_error_with(t, status, detail,
                                   status == 405   ? ALLOW
                                   : status == 503 ? "Retry-After: 1"
                                                   : NULL);
}

/* The site's own page, for who asks for HTML. */
static bool respond_page(struct edge_txn *t, unsigned status, const char *detail, const char *const *fields)
{
    const struct edge_rule *rule = t->target.rule;
    const struct edge_page *page = rule ? rule->page : edge_tuning_now(t->worker->edge)->page;
    CDN_AUTOBUF struct cdn_buf body = {0};
    if (!page || !http_request_wants_html(t->http)) {
        return false;
    }
    const struct http_problem_page filled = {
        .text = cdn_buf_str(&page->text),
        .status = status,
        .detail = detail,
        .request_id = page->numbered ? edge_request_id(t) : CDN_STR(""),
    };
    http_problem_fill(&filled, &body);
    http_respond_text(t->http, status, "text/html; charset=utf-8", cdn_buf_str(&body), fields);
    t->sent = body.n;
    return true;
}

enum edge_step edge_deliver_error_with(struct edge_txn *t, unsigned status, const char *detail,
                                       const char *field)
{
    CDN_AUTOBUF struct cdn_buf line = {0};
    struct edge_cache_status cs = {.name = edge_name(t), .own = !t->fetch, .cause = t->cause};
    if (t->cause == EDGE_CAUSE_NONE) { /* else the cause's word, as everywhere; the body has the sentence */
        cs.detail = cdn_str(detail);
    }
    cdn_buf_add_str(&line, CDN_STR("Cache-Status: "));
    edge_cache_status_build(&cs, &line);
    CDN_AUTOFREE char *verdict = cdn_asprintf("X-Cache: %s", edge_verdict_text(t->verdict));
    CDN_AUTOFREE char *number =
        shows_request_id(t) ? cdn_asprintf("X-Request-ID: %s", edge_request_id(t).p) : NULL;
    const char *const fields[] = {
        line.p, verdict, "Cache-Control: no-store", field ? field : number, field ? number : NULL, NULL};
    t->status = 0;
    if (!respond_page(t, status, detail, fields)) {
        t->sent = http_respond_problem_with(t->http, status, detail, fields);
    }
    t->sent = t->http->method == HTTP_HEAD ? 0 : t->sent;
    return EDGE_STEP_DONE;
}

enum edge_step edge_deliver_uncached(struct edge_txn *t)
{
    return edge_deliver_error(t, 504, "only-if-cached, and nothing usable is stored");
}

enum edge_step edge_deliver_options(struct edge_txn *t)
{
    static const char *const allow[] = {ALLOW, NULL};
    http_respond_text(t->http, 204, "text/plain", CDN_STR(""), allow);
    return EDGE_STEP_DONE;
}

/* ---- bodies in several ranges ---- */

struct multi { /* a multipart/byteranges body, from a blob or a file */
    struct edge_range_plan plan;
    struct edge_blob *blob;
    int fd;
    off_t base;
    struct cdn_buf text;
    size_t block;
};

static ssize_t multi_read(void *arg, uint64_t at, char *into, size_t max)
{
    struct multi *m = arg;
    uint64_t from = 0;
    uint64_t n = 0;
    cdn_buf_clear(&m->text);
    if (!edge_range_piece(&m->plan, at, &m->text, &from, &n)) {
        return HTTP_STREAM_END;
    }
    if (m->text.n) {
        size_t take = m->text.n < max ? m->text.n : max;
        memcpy(into, m->text.p, take);
        return (ssize_t)take;
    }
    size_t take = n < max ? (size_t)n : max;
    if (m->blob) {
        memcpy(into, m->blob->data + from, take);
        return (ssize_t)take;
    }
    ssize_t got = pread(m->fd, into, take, m->base + (off_t)from);
    return got > 0 ? got : HTTP_STREAM_FAIL;
}

static void multi_release(void *arg)
{
    struct multi *m = arg;
    edge_budget_sub(m->block);
    edge_blob_unref(m->blob);
    if (m->fd >= 0) {
        close(m->fd);
    }
    cdn_buf_free(&m->text);
    free(m);
}

void edge_deliver_multi(struct edge_txn *t, const struct edge_rep *rep, const struct edge_range_plan *plan,
                        struct edge_blob *blob, int fd, off_t base)
{
    struct multi *m = cdn_calloc(1, sizeof(*m));
    *m = (struct multi){.plan = *plan, .blob = blob ? edge_blob_ref(blob) : NULL, .fd = fd, .base = base};
    m->block = edge_budget_block((int64_t)plan->body_length);
    struct http_stream_source source = {
        .read = multi_read, .release = multi_release, .arg = m, .block = m->block};
    struct MHD_Response *response;
    http_stream_create(t->http, (int64_t)plan->body_length, &source, &response);
    edge_deliver_respond(t, response, 206, rep, plan, plan->body_length);
    MHD_destroy_response(response);
}

/* ---- all of it, or what is wanted of it ---- */

bool edge_deliver_choose(struct edge_txn *t, const struct edge_rep *rep, uint64_t length,
                         struct edge_range_plan *ret_plan)
{
    const unsigned status = edge_head_status(rep->head);
    const bool is_get = edge_txn_gets(t);
    bool use_range = false;
    if (status == 200) {
        enum edge_condition c =
            edge_conditions_decide(&t->conditions, rep->head, true, rep->fresh.response_ms, &use_range);
        if (c == EDGE_CONDITION_NOT_MODIFIED) {
            respond_bodiless(t, 304, rep, NULL, (int64_t)length);
            return false;
        }
        if (c == EDGE_CONDITION_FAILED) {
            respond_empty(t, 412, rep, NULL);
            return false;
        }
    }
    struct cdn_str range = use_range && is_get ? t->conditions.range : (struct cdn_str){0};
    edge_range_plan(range, length, edge_head_get(rep->head, EDGE_HEAD_CONTENT_TYPE), (uint64_t)rep->stored_ms,
                    ret_plan);
    if (ret_plan->kind == EDGE_RANGE_UNSATISFIABLE) {
        respond_empty(t, 416, rep, ret_plan);
        return false;
    }
    if (!is_get) {
        respond_bodiless(t, status, rep, NULL, (int64_t)length);
        return false;
    }
    return true;
}

static bool is_hot_variant(const struct edge_rep *rep)
{
    struct cdn_str spec = edge_rep_spec(rep);
    return (spec.n == 0 || cdn_str_eq(spec, CDN_STR("accept-encoding"))) && rep->whole < 0 &&
           edge_head_count(rep->head, EDGE_HEAD_CACHE_STATUS) == 0 &&
           edge_head_count(rep->head, EDGE_HEAD_VIA) == 0 &&
           edge_head_count(rep->head, EDGE_HEAD_SET_COOKIE) == 0; /* whose replaying a reload may end */
}

/* Whether the rule lets requests like this one be answered without a look at it. */
static bool is_hot_rule(const struct edge_txn *t)
{
    const struct edge_rule *rule = t->target.rule;
    return !rule->never_hot && t->tuning == edge_tuning_now(t->worker->edge) &&
           !(rule->hot_without_cookie && t->http->field[HTTP_REQ_COOKIE].p);
}

void edge_deliver_blob(struct edge_txn *t, const struct edge_rep *rep, const struct edge_range_plan *plan,
                       struct edge_blob *blob, const struct edge_hold *hold)
{
    if (plan->kind == EDGE_RANGE_MULTIPLE) {
        edge_deliver_multi(t, rep, plan, blob, -1, 0);
        return;
    }
    const bool single = plan->kind == EDGE_RANGE_SINGLE;
    const size_t from = single ? (size_t)plan->part[0].first : 0;
    const size_t n = single ? (size_t)edge_range_length(&plan->part[0]) : blob->n;
    struct MHD_Response *response = edge_serve_blob(blob, from, n);
    edge_deliver_respond(t, response, single ? 206 : edge_head_status(rep->head), rep, single ? plan : NULL,
                         n);
    if (hold && !single && t->verdict == EDGE_VERDICT_HIT && edge_hot_is_plain(t->http) &&
        is_hot_variant(rep) && is_hot_rule(t)) {
        const struct edge_rule *rule = t->target.rule;
        const struct edge_hot_terms terms = {rule->hot_without_cookie,
                                             rule->guard.has_rates ? &rule->guard : NULL};
        edge_hot_add(t->worker->hot, t->http, hold, blob, response, &terms, loop_now_ms(t->worker->loop));
        return; /* the table keeps the response */
    }
    MHD_destroy_response(response);
}

/* ---- from a fetch ---- */

static ssize_t stream_read(void *arg, uint64_t at, char *into, size_t max)
{
    struct edge_txn *t = arg;
    (void)at;
    ssize_t got = edge_body_read(t->fetch->body, &t->reader, into, max);
    if (got > 0) {
        t->sent += (uint64_t)got;
        return got;
    }
    return got == EDGE_BODY_NOTHING ? HTTP_STREAM_WAIT
           : got == EDGE_BODY_END   ? HTTP_STREAM_END
                                    : HTTP_STREAM_FAIL;
}

static void stream_over(void *arg)
{
    struct edge_txn *t = arg;
    t->stream = NULL;
    edge_budget_sub(t->block);
    t->block = 0;
    edge_txn_release(t);
}

static bool status_has_body(unsigned status)
{
    return status >= 200 && status != 204 && status != 304;
}

static const struct edge_rep *told(const struct edge_txn *t)
{
    return edge_fetch_told(t->fetch, t->leader);
}

/* `length` bytes from `from` on (negative: all until the end). */
static enum edge_step respond_stream(struct edge_txn *t, unsigned status, const struct edge_range_plan *plan,
                                     uint64_t from, int64_t length)
{
    if (!edge_stall_join(t, from)) {
        if (t->leader) {
            return edge_deliver_error(t, 502, "the beginning of the origin's answer is gone");
        } /* too late for what nobody keeps: an answer of its own */
        return edge_txn_pass_instead(t, EDGE_CAUSE_BYPASS_RESPONSE);
    }
    struct http_stream_source source = {
        .read = stream_read, .release = stream_over, .arg = t, .block = edge_budget_block(length)};
    t->block = source.block;
    struct MHD_Response *response;
    t->stream = http_stream_create(t->http, length, &source, &response);
    edge_deliver_respond(t, response, status, told(t), plan, 0);
    MHD_destroy_response(response);
    return EDGE_STEP_DONE;
}

static enum edge_step deliver_passing(struct edge_txn *t)
{
    struct edge_fetch *f = t->fetch;
    const unsigned status = edge_head_status(f->rep->head);
    if (t->http->method == HTTP_HEAD || !status_has_body(status)) {
        respond_bodiless(t, status, told(t), NULL, status_has_body(status) ? f->content_length : 0);
        return EDGE_STEP_DONE;
    }
    return respond_stream(t, status, NULL, 0, f->content_length);
}

/* The origin was passed a range and sends the whole in its place: the range is cut out here, and no more is
 * read than it needs. */
static bool cuts_range(const struct edge_txn *t, unsigned status)
{
    return t->http->method == HTTP_GET && t->conditions.range.p && status == 200 &&
           t->fetch->content_length >= 0;
}

/* What nobody keeps is read from its beginning to get to a range: only so much of it. Beyond that the client
 * gets the whole, as from the origin, and takes every byte itself. */
static bool may_read_to(const struct edge_txn *t, uint64_t first)
{
    const struct edge_fetch *f = t->fetch;
    const bool kept = edge_fetch_phase_now(t->fetch) == EDGE_FETCH_STORING && atomic_load(&f->may_keep);
    return kept || edge_cache_may_skip(t->worker->edge->cache, cdn_buf_str(&t->key), first, t->now_ms);
}

enum edge_step edge_deliver_fetch(struct edge_txn *t)
{
    struct edge_fetch *f = t->fetch;
    const unsigned status = edge_head_status(f->rep->head);
    if ((t->passing && !cuts_range(t, status)) || status == 206 || !status_has_body(status)) {
        return deliver_passing(t);
    }
    struct edge_range_plan plan;
    struct edge_blob *blob = atomic_load(&f->finished) ? edge_body_blob(f->body) : NULL;
    if (blob) {
        if (edge_deliver_choose(t, told(t), blob->n, &plan)) {
            edge_deliver_blob(t, told(t), &plan, blob, NULL);
        }
        edge_blob_unref(blob);
        return EDGE_STEP_DONE;
    }
    if (f->content_length < 0) { /* no ranges of an unknown length; the whole is a right answer too */
        t->conditions.range = (struct cdn_str){0};
    }
    if (!edge_deliver_choose(t, told(t), f->content_length < 0 ? 0 : (uint64_t)f->content_length, &plan)) {
        return EDGE_STEP_DONE;
    }
    return plan.kind == EDGE_RANGE_SINGLE && may_read_to(t, plan.part[0].first)
               ? respond_stream(t, 206, &plan, plan.part[0].first, (int64_t)edge_range_length(&plan.part[0]))
               : respond_stream(t, status, NULL, 0, f->content_length);
}
