/* fetch_answer: what the origin says, and what becomes of it. The owner's thread. */
#include "common/clock.h"
#include "common/daemon/metrics.h"
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_date.h"
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_field_range.h"
#include "common/http/syntax/http_message.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/breaker.h"
#include "edge/base/metrics.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/ghost.h"
#include "edge/cache/object.h"
#include "edge/fetch/body.h"
#include "edge/fetch/confirm.h"
#include "edge/fetch/fetch.h"
#include "edge/fetch/fetch_private.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/semantics/invalidation.h"
#include "edge/semantics/outgoing.h"
#include "edge/semantics/promise.h"
#include "edge/semantics/storable.h"
#include "edge/semantics/vary.h"
#include "edge/store/store.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "common/banned.h"

/* Whether the origin had something to use in place of what is stored; if not, it is not asked for this URL
 * again at once. */
static void note_refresh(struct edge_fetch *f, bool good)
{
    struct edge_cache *cache = f->owner->edge->cache;
    if (!f->entry || f->request.pass || !f->request.candidate_count) {
        return;
    }
    if (good) {
        edge_cache_refresh_answered(cache, f->entry);
    } else {
        edge_cache_refresh_failed(cache, f->entry, loop_now_ms(f->owner->loop));
    }
}

static void note_answer(struct edge_fetch *f, unsigned status)
{
    struct edge_worker *w = f->owner;
    note_refresh(f, !edge_freshness_status_is_error(status));
    edge_breaker_reached(&w->edge->breaker);
    cdn_metric_add(&w->metrics.origin_error_total, edge_freshness_status_is_error(status));
}

static void note_failure(struct edge_fetch *f, enum http_fetch_error error)
{
    struct edge_worker *w = f->owner;
    const enum edge_origin_state kind = edge_breaker_kind(error);
    note_refresh(f, false);
    if (kind == EDGE_ORIGIN_UP) {
        return;
    }
    if (kind == EDGE_ORIGIN_DISCONNECTED) {
        edge_breaker_unreachable(&w->edge->breaker, loop_mono_ns(w->loop));
    } else {
        edge_breaker_reached(&w->edge->breaker);
    }
    cdn_metric_add(&w->metrics.origin_error_total, 1);
}

static void note_time(struct edge_fetch *f)
{
    struct http_fetch_times times;
    http_fetch_times_get(f->http, &times);
    f->origin_us = times.first_byte_us;
    cdn_histogram_add(&f->owner->metrics.origin_time,
                      (uint64_t)(times.first_byte_us > 0 ? times.first_byte_us : 0));
}

/* The origin's fields, with a Date where it sent none (RFC 9110 6.6.1). The array is the caller's to free. */
static struct http_field *with_date(const struct http_fetch_head *h, int64_t now_ms,
                                    char date[static HTTP_DATE_SIZE], size_t *ret_count)
{
    struct cdn_str first;
    struct http_field *fields = cdn_malloc((h->field_count + 1) * sizeof(*fields));
    memcpy(fields, h->fields, h->field_count * sizeof(*fields));
    *ret_count = h->field_count;
    if (!http_fields_find(h->fields, h->field_count, CDN_STR("Date"), &first)) {
        http_date_format(now_ms / 1000, date);
        fields[(*ret_count)++] = (struct http_field){CDN_STR("Date"), cdn_str(date)};
    }
    return fields;
}

static void compute(struct edge_fetch *f, const struct edge_head *head, struct cdn_buf *scratch,
                    struct edge_control *ret_control, struct edge_freshness *ret_fresh, int64_t now_ms)
{
    const struct edge_rules *rules = &edge_tuning_now(f->owner->edge)->rules;
    edge_control_read(rules, head, scratch, ret_control);
    edge_freshness_compute(rules, head, ret_control, f->request_ms, now_ms, cdn_clock_offset_ms(), ret_fresh);
    ret_fresh->received = f->received;
}

static struct cdn_str entry_url(const struct edge_fetch *f)
{
    return f->entry ? edge_entry_key(f->entry) : cdn_str(f->request.url);
}

/* Which part of the whole a 206 brings; false when it cannot be told, or it is not what was asked for. */
static bool place_part(const struct edge_fetch *f, struct edge_rep *rep)
{
    const struct edge_fetch_scope *r = &f->scope;
    struct http_content_range range;
    if (!r->ranged || !http_content_range_parse(edge_head_get(rep->head, EDGE_HEAD_CONTENT_RANGE), &range) ||
        range.unsatisfied || range.complete_length < 0) {
        return false;
    }
    const uint64_t whole = (uint64_t)range.complete_length;
    const bool is_suffix = r->range_first == HTTP_RANGE_OPEN;
    const uint64_t first = !is_suffix ? r->range_first : r->range_last < whole ? whole - r->range_last : 0;
    const uint64_t last = is_suffix || r->range_last >= whole ? whole - 1 : r->range_last;
    rep->first = range.first;
    rep->whole = range.complete_length;
    return range.first == first && range.last == last;
}

/* A part that is the whole, as the complete answer that it is (RFC 9111 3.3); otherwise the part itself. A
 * new reference, or NULL when its length is not what it said. */
static struct edge_rep *as_stored(const struct edge_fetch *f, uint64_t length)
{
    struct http_content_range range;
    struct edge_rep *rep = f->rep;
    if (edge_head_status(rep->head) != 206) {
        return edge_rep_ref(rep);
    }
    if (!http_content_range_parse(edge_head_get(rep->head, EDGE_HEAD_CONTENT_RANGE), &range) ||
        length != range.last - range.first + 1) {
        return NULL;
    }
    const bool is_whole = rep->first == 0 && length == (uint64_t)rep->whole;
    return is_whole ? edge_rep_as_whole(rep) : edge_rep_ref(rep);
}

/* A POST whose answer is what a GET would get (RFC 9110 9.3.3). */
static bool names_itself(const struct edge_fetch *f, const struct edge_head *head)
{
    CDN_AUTOBUF struct cdn_buf url = {0};
    struct cdn_str location = edge_head_get(head, EDGE_HEAD_CONTENT_LOCATION);
    return f->request.about.method == HTTP_POST && f->entry && !f->request.unkeyed && location.p &&
           edge_invalidation_target(edge_entry_key(f->entry), location, &url) &&
           cdn_str_eq(cdn_buf_str(&url), edge_entry_key(f->entry));
}

/* It takes the place of what is stored (RFC 9111 4.4), so it must not fall to its own invalidation. */
static void replace_stored(struct edge_fetch *f, int64_t now_ms)
{
    struct edge_cache *cache = f->owner->edge->cache;
    cdn_metric_add(&f->owner->metrics.invalidated_total,
                   edge_cache_purge_key(cache, edge_entry_key(f->entry), false, now_ms));
    f->purge_number = edge_cache_purge_number(cache);
}

bool edge_fetch_sent_get(void *arg, struct cdn_str name, struct cdn_buf *into)
{
    return !edge_outgoing_is_condition(name) && edge_vary_fields_get(arg, name, into);
}

/* Head without the fields that may not be stored, and the representation made from it. */
static struct edge_rep *make_rep(struct edge_fetch *f, const struct http_field *fields, size_t count,
                                 unsigned status, int64_t now_ms)
{
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    struct edge_head *head;
    struct edge_control control;
    struct edge_freshness fresh;
    struct cdn_error err;
    if (edge_head_build(status, fields, count, NULL, 0, &head, &err) != CDN_OK) {
        cdn_log(CDN_LOG_WARN, "origin_head", "url=%s error=%s", f->request.url, err.text);
        return NULL;
    }
    compute(f, head, &scratch, &control, &fresh, now_ms);
    const struct edge_rules *rules = &edge_tuning_now(f->owner->edge)->rules;
    f->request.about.names_itself = names_itself(f, head);
    f->reason = f->request.pass && !f->request.about.names_itself
                    ? EDGE_STORE_METHOD
                    : edge_storable(rules, &f->request.about, head, &control, &fresh);
    f->had_age = edge_head_count(head, EDGE_HEAD_AGE) > 0;
    struct cdn_str drop[EDGE_DROP_MAX];
    size_t drops = edge_store_reason_ok(f->reason)
                       ? edge_storable_drop(rules, head, &control, drop, CDN_ARRAY_LEN(drop))
                       : 0;
    CDN_AUTOBUF struct cdn_buf spec = {0};
    CDN_AUTOBUF struct cdn_buf variant = {0};
    struct edge_vary_fields from = {f->request.fields.item, f->request.fields.count};
    struct edge_vary_source source = {edge_fetch_sent_get, &from};
    fresh.despite = edge_vary_despite(head, &source);
    if (edge_vary_spec(head, &spec)) {
        edge_vary_key(cdn_buf_str(&spec), &source, &variant);
    }
    struct edge_head *less;
    if (drops && edge_head_build(status, fields, count, drop, drops, &less, &err) == CDN_OK) {
        f->leader_rep = edge_rep_create(head, &fresh, now_ms, cdn_buf_str(&spec), cdn_buf_str(&variant));
        head = less;
    }
    struct edge_rep *rep = edge_rep_create(head, &fresh, now_ms, cdn_buf_str(&spec), cdn_buf_str(&variant));
    if (status == 206 && edge_store_reason_ok(f->reason) && !place_part(f, rep)) {
        f->reason = EDGE_STORE_PARTIAL;
    }
    return rep;
}

/* For the one whose request it was (RFC 8297 2): it may set cookies, and speaks before it is known whether
 * the answer may be shared. */
static void on_interim(void *arg, const struct http_fetch_head *h)
{
    struct edge_fetch *f = arg;
    if (f->request.leader) {
        f->request.leader->interim(f->request.leader, h);
    }
}

/* The stale answer that the request selects, after the origin gave another in its place that may not be
 * stored. */
static void settle(struct edge_fetch *f, const struct edge_hold *stale, bool gone)
{
    struct edge_cache *cache = f->owner->edge->cache;
    if (gone) {
        edge_cache_remove(cache, stale->object, EDGE_GHOST_EXPIRED);
    } else if (stale->rep->fresh.swr_s > 0) {
        struct edge_freshness fresh = stale->rep->fresh;
        fresh.swr_s = 0;
        (void)edge_cache_refresh(cache, stale->object,
                                 edge_rep_with(stale->rep, NULL, &fresh, stale->rep->stored_ms),
                                 f->purge_number);
    }
}

/* What follows for others from an answer that is not stored. */
static void note_unstorable(struct edge_fetch *f, unsigned status, int64_t now_ms)
{
    const enum edge_aftermath after = edge_storable_aftermath(f->reason, &f->request.about, status);
    struct edge_vary_fields from = {f->request.fields.item, f->request.fields.count};
    struct edge_vary_source source = {edge_fetch_sent_get, &from};
    if (after == EDGE_AFTER_NOTHING) {
        return;
    }
    for (unsigned i = 0; after != EDGE_AFTER_PARALLEL && i < f->request.candidate_count; i++) {
        const struct edge_hold *c = &f->request.candidate[i];
        if (edge_freshness_left(&c->rep->fresh, now_ms) <= 0 && edge_cache_rep_suits(c->rep, &source)) {
            settle(f, c, after == EDGE_AFTER_GONE);
        }
    }
    edge_cache_note_unstorable(f->owner->edge->cache, f->entry, f->reason, now_ms);
}

static bool asks_for_part(const struct edge_fetch *f)
{
    struct cdn_str range;
    return http_fields_find(f->request.fields.item, f->request.fields.count, CDN_STR("Range"), &range);
}

/* A request for a range has an answer: whether the origin knows ranges. That this one may not be stored is
 * noted elsewhere (note_unstorable): the next one may. */
static void note_range(struct edge_fetch *f, unsigned status, int64_t now_ms)
{
    struct edge_cache *cache = f->owner->edge->cache;
    if (!f->entry || f->request.pass || !(f->scope.ranged || f->request.for_range)) {
        return;
    }
    if (status == 206) {
        edge_cache_note_ranged(cache, f->entry);
    } else if (status == 200) {
        const bool too_large = edge_store_reason_ok(f->reason) && !f->may_keep;
        edge_cache_note_whole(cache, f->entry, !too_large, now_ms);
    }
}

/* It was to be stored, but found no place. */
static void note_homeless(struct edge_fetch *f)
{
    struct edge_cache *cache = f->owner->edge->cache;
    if ((f->scope.ranged || f->request.for_range) && edge_fetch_is_whole(f) && !atomic_load(&f->kept)) {
        if (f->purge_number == edge_cache_purge_number(cache)) { /* else a purge may be why */
            edge_cache_note_whole(cache, f->entry, false, loop_now_ms(f->owner->loop));
        }
    }
}

static void take_answer(struct edge_fetch *f, const struct http_fetch_head *h, int64_t now_ms)
{
    if (h->status == 206 && !asks_for_part(f)) {
        cdn_log(CDN_LOG_WARN, "origin_head", "url=%s error=%s", f->request.url,
                "a part (206) that nobody asked for");
    } else {
        f->rep = make_rep(f, h->fields, h->field_count, h->status, now_ms);
    }
    if (f->rep && f->request.pass && f->request.candidate_count && h->status == 200) {
        edge_confirm_by_head(f, h, now_ms);
    }
    if (!f->rep) {
        http_fetch_cancel(CDN_TAKE(f->http));
        edge_fetch_fail(f, HTTP_FETCH_PROTOCOL);
        edge_fetch_unref(f);
        return;
    }
    struct edge *edge = f->owner->edge;
    const bool storing = edge_store_reason_ok(f->reason);
    const uint64_t max_object = edge_tuning_now(edge)->max_object;
    f->may_keep = storing && (h->content_length < 0 || (uint64_t)h->content_length <= max_object);
    f->content_length = h->content_length;
    note_range(f, h->status, now_ms);
    f->body = edge_body_create(h->content_length, h->status == 101 ? 0 : (size_t)edge->settings.memory_object,
                               edge->store, edge_fetch_room_again, f);
    if (!f->may_keep) {
        edge_body_do_not_keep(f->body);
    } else {
        f->promise = edge_promise_begin(entry_url(f), f->rep->head);
    }
    edge_cache_fit(edge->cache);
    edge_body_await(f->body, f->request.leader != NULL); /* it hears of the answer at the end of the turn */
    if (storing) {
        if (f->request.pass) {
            replace_stored(f, now_ms);
        }
        if (f->scope.parallel) {
            edge_cache_note_storable(edge->cache, f->entry);
        }
        edge_fetch_publish(f, EDGE_FETCH_STORING);
        return;
    }
    if (f->entry && !f->request.pass) {
        note_unstorable(f, h->status, now_ms);
    }
    edge_fetch_unlist(f);
    edge_fetch_publish(f, EDGE_FETCH_PASSING);
    if (!f->request.leader) {
        edge_fetch_end_early(f);
    }
}

/* The same request again without conditions. */
static void ask_again(struct edge_fetch *f)
{
    struct edge_fields plain = {0};
    for (size_t i = 0; i < f->request.fields.count; i++) {
        const struct http_field *x = &f->request.fields.item[i];
        if (!cdn_str_eq_nocase(x->name, CDN_STR("If-None-Match")) &&
            !cdn_str_eq_nocase(x->name, CDN_STR("If-Modified-Since"))) {
            edge_fields_add(&plain, x->name, x->value);
        }
    }
    edge_fields_seal(&plain);
    edge_fields_free(&f->request.fields);
    f->request.fields = plain;
    for (; f->request.candidate_count; f->request.candidate_count--) {
        edge_cache_release(f->owner->edge->cache, &f->request.candidate[f->request.candidate_count - 1]);
    }
    f->purge_number = edge_cache_purge_number(f->owner->edge->cache);
    http_fetch_cancel(CDN_TAKE(f->http));
    edge_fetch_send(f);
    edge_fetch_unref(f); /* the reference of the first try */
}

static void on_head(void *arg, const struct http_fetch_head *sent)
{
    struct edge_fetch *f = arg;
    const int64_t now_ms = loop_now_ms(f->owner->loop);
    struct http_fetch_head dated = *sent;
    const struct http_fetch_head *h = &dated;
    char date[HTTP_DATE_SIZE];
    CDN_AUTOFREE struct http_field *fields = with_date(sent, now_ms, date, &dated.field_count);
    dated.fields = fields;
    f->received = sent->version == 11 ? 0 : (uint8_t)sent->version;
    note_time(f);
    note_answer(f, h->status);
    if (h->status != 304 || !f->request.candidate_count || f->request.pass) {
        take_answer(f, h, now_ms);
    } else if (edge_confirm_not_modified(f, h, now_ms)) {
        edge_fetch_unlist(f);
        cdn_metric_add(&f->owner->metrics.validated_total, 1);
        atomic_store(&f->finished, true);
        edge_fetch_publish(f, EDGE_FETCH_CONFIRMED);
    } else {
        ask_again(f);
    }
}

static bool on_data(void *arg, const char *data, size_t n)
{
    struct edge_fetch *f = arg;
    if (!f->body) {
        return true; /* a 304 with a body: thrown away */
    }
    if (edge_fetch_abandon(f)) {
        return true;
    }
    if (f->may_keep && edge_body_length(f->body) + n > edge_tuning_now(f->owner->edge)->max_object) {
        f->may_keep = false;
        edge_body_do_not_keep(f->body);
    }
    if (!edge_body_append(f->body, data, n)) {
        edge_fetch_tell_later(f);
        return false;
    }
    edge_promise_add(f->promise, data, n);
    cdn_metric_add(&f->owner->metrics.origin_bytes_total, n);
    edge_fetch_tell_later(f);
    return true;
}

/* Whether the body that is to be stored with this head is what a content-hashed name promises. */
static enum edge_promise_state check_name(struct edge_fetch *f, const struct edge_rep *rep,
                                          const struct edge_blob *blob)
{
    char hex[33];
    if (edge_head_status(rep->head) != 200) {
        return EDGE_PROMISE_KEPT;
    }
    const struct cdn_str body = blob ? (struct cdn_str){blob->data, blob->n} : (struct cdn_str){0};
    const enum edge_promise_state state = edge_promise_check(f->promise, body, hex);
    if (state == EDGE_PROMISE_BROKEN) {
        cdn_metric_add(&f->owner->metrics.mismatch_total, 1);
        cdn_log(CDN_LOG_INFO, "hash_mismatch", "url=%s md5=%s", f->request.url, hex);
    }
    return state;
}

/* Whether the request was to renew what its hashed name promises: that is never replaced by another body. */
static bool renews_hashed(const struct edge_fetch *f)
{
    const struct edge_rep *old = f->request.candidate_count ? f->request.candidate[0].rep : NULL;
    return old && f->request.about.hashed_name && old->fresh.promise != EDGE_PROMISE_BROKEN &&
           edge_head_status(old->head) == 200;
}

/* An ordinary file that looks hashed (bundlers write 12 digits of other hashes), or one that cannot be
 * compared: stored with a mark that says so. */
static struct edge_rep *marked(struct edge_rep *rep, enum edge_promise_state state)
{
    struct edge_freshness fresh = rep->fresh;
    fresh.promise = (uint8_t)state;
    struct edge_rep *copy = edge_rep_with(rep, NULL, &fresh, rep->stored_ms);
    edge_rep_unref(rep);
    return copy;
}

static void store(struct edge_fetch *f)
{
    struct edge *edge = f->owner->edge;
    struct edge_blob *blob = edge_body_blob(f->body);
    struct edge_store_file *file = blob ? NULL : edge_body_take_file(f->body);
    struct edge_rep *rep = as_stored(f, edge_body_length(f->body));
    const bool there = (blob || file) && rep && f->may_keep;
    const enum edge_promise_state state = there ? check_name(f, rep, blob) : EDGE_PROMISE_KEPT;
    if (state != EDGE_PROMISE_KEPT) {
        rep = marked(rep, state);
    }
    if (!there || (state == EDGE_PROMISE_BROKEN && renews_hashed(f))) {
        edge_rep_unref(rep);
        edge_blob_unref(blob);
        if (file) {
            edge_store_file_abort(file);
        }
        return;
    }
    bool kept;
    edge_cache_publish(edge->cache, f->entry, f->purge_number, rep, blob, file, edge_body_length(f->body),
                       &f->result, &kept);
    atomic_store(&f->kept, kept);
    cdn_metric_add(&f->owner->metrics.stored_total, kept);
}

static void on_end(void *arg, enum http_fetch_error error, const char *text)
{
    struct edge_fetch *f = arg;
    f->http = NULL;
    edge_fetch_uncharge(f);
    switch (edge_fetch_phase_now(f)) {
    case EDGE_FETCH_ASKING:
        note_failure(f, error);
        cdn_log(CDN_LOG_WARN, "origin_failed", "url=%s error=%s detail=%s", f->request.url,
                http_fetch_error_word(error), text);
        edge_fetch_fail(f, error);
        break;
    case EDGE_FETCH_STORING:
    case EDGE_FETCH_PASSING:
        if (error != HTTP_FETCH_NONE) {
            note_failure(f, error);
            cdn_log(CDN_LOG_WARN, "origin_broke_off", "url=%s error=%s detail=%s bytes=%" PRIu64,
                    f->request.url, http_fetch_error_word(error), text, edge_body_length(f->body));
        }
        edge_body_finish(f->body, error == HTTP_FETCH_NONE);
        if (error == HTTP_FETCH_NONE && edge_fetch_phase_now(f) == EDGE_FETCH_STORING) {
            store(f);
            note_homeless(f);
        }
        edge_fetch_unlist(f);
        atomic_store(&f->finished, true);
        edge_fetch_tell_later(f);
        break;
    case EDGE_FETCH_CONFIRMED:
    case EDGE_FETCH_FAILED:
        break;
    }
    edge_fetch_unref(f);
}

const struct http_fetch_handler edge_fetch_handler = {
    .interim = on_interim,
    .head = on_head,
    .data = on_data,
    .end = on_end,
};
