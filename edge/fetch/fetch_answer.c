/* fetch_answer: what the origin says, and what becomes of it. The owner's thread. */
#include "common/clock.h"
#include "common/daemon/metrics.h"
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_date.h"
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_message.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/metrics.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
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
#include "edge/site/breaker.h"
#include "edge/site/origin.h"
#include "edge/site/rule.h"
#include "edge/site/shield.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "common/banned.h"

/* What a shield says of itself: its layer's cache, for the client that waits. */
static const struct cdn_str marks[] = {
    {"Cache-Status", 12}, {"X-Cache", 7}, {"Server-Timing", 13}, {"Via", 3}};

static bool is_mark(struct cdn_str name)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(marks); i++) {
        if (cdn_str_eq_nocase(name, marks[i])) {
            return true;
        }
    }
    return false;
}

/* Its words are for the leader, and in no stored answer. */
static bool is_for_us(const struct edge_fetch *f, const struct http_fetch_head *h, struct cdn_str name)
{
    return f->shielded &&
           (cdn_str_eq_nocase(name, CDN_STR(EDGE_SHIELD_STATE)) || (h->status == 304 && is_mark(name)));
}

/* A status by which the origin, or the shield, has no answer; or the shield's is too old. */
static bool is_no_answer(const struct edge_fetch *f, const struct http_fetch_head *h)
{
    struct cdn_str state = {0};
    if (!f->shielded) {
        return edge_rule_fails_over(f->request.rule, h->status);
    }
    const struct edge_purge_state ours = {.log = atomic_load(&f->owner->edge->purge_log),
                                          .id = atomic_load(&f->owner->edge->purge_id)};
    (void)http_fields_find(h->fields, h->field_count, CDN_STR(EDGE_SHIELD_STATE), &state);
    return h->status == 421 || h->status == 508 || (h->status >= 502 && h->status <= 504) ||
           !edge_shield_state_covers(state, &ours);
}

/* The origin's fields, with a Date where it sent none (RFC 9110 6.6.1). The array is the caller's to free. */
static struct http_field *with_date(const struct edge_fetch *f, const struct http_fetch_head *h,
                                    int64_t now_ms, char date[static HTTP_DATE_SIZE], size_t *ret_count)
{
    struct cdn_str first;
    struct http_field *fields = cdn_malloc((h->field_count + 1) * sizeof(*fields));
    *ret_count = 0;
    for (size_t i = 0; i < h->field_count; i++) {
        if (!is_for_us(f, h, h->fields[i].name)) {
            fields[(*ret_count)++] = h->fields[i];
        }
    }
    if (!http_fields_find(h->fields, h->field_count, CDN_STR("Date"), &first)) {
        http_date_format(now_ms / 1000, date);
        fields[(*ret_count)++] = (struct http_field){CDN_STR("Date"), cdn_str(date)};
    }
    return fields;
}

static void compute(struct edge_fetch *f, const struct edge_head *head, struct cdn_buf *scratch,
                    struct edge_control *ret_control, struct edge_freshness *ret_fresh, int64_t now_ms)
{
    const struct edge_rules *rules = &f->request.rule->rules;
    edge_control_read(rules, head, scratch, ret_control);
    edge_freshness_compute(rules, head, ret_control, f->request_ms, now_ms, cdn_clock_offset_ms(), ret_fresh);
    ret_fresh->received = f->received;
}

static struct cdn_str entry_url(const struct edge_fetch *f)
{
    return f->entry ? edge_entry_key(f->entry) : cdn_str(f->url);
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
    CDN_AUTOBUF struct cdn_buf cookies = {0};
    struct cdn_str value;
    if (!cdn_str_starts(name, CDN_STR("cookie;"))) {
        return !edge_outgoing_is_condition(name) && edge_vary_fields_get(arg, name, into);
    }
    if (!edge_vary_fields_get(arg, CDN_STR("Cookie"), &cookies) ||
        !edge_rule_cookie_find(cdn_buf_str(&cookies), cdn_str_sub(name, 7), &value)) {
        return false;
    }
    cdn_buf_add_str(into, value);
    return true;
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
        cdn_log(CDN_LOG_WARN, "origin_head", "url=%s error=%s", f->url, err.text);
        return NULL;
    }
    compute(f, head, &scratch, &control, &fresh, now_ms);
    const struct edge_rules *rules = &f->request.rule->rules;
    f->request.about.names_itself = names_itself(f, head);
    f->reason = f->request.pass && !f->request.about.names_itself
                    ? EDGE_STORE_METHOD
                    : edge_storable(rules, &f->request.about, head, &control, &fresh);
    f->had_age = edge_head_count(head, EDGE_HEAD_AGE) > 0;
    struct cdn_str drop[EDGE_DROP_MAX + CDN_ARRAY_LEN(marks)];
    size_t drops =
        edge_store_reason_ok(f->reason) ? edge_storable_drop(rules, head, &control, drop, EDGE_DROP_MAX) : 0;
    for (size_t i = 0; f->shielded && edge_store_reason_ok(f->reason) && i < CDN_ARRAY_LEN(marks); i++) {
        drop[drops++] = marks[i];
    }
    CDN_AUTOBUF struct cdn_buf spec = {0};
    CDN_AUTOBUF struct cdn_buf variant = {0};
    struct edge_vary_fields from = {f->request.fields.item, f->request.fields.count};
    struct edge_vary_source source = {edge_fetch_sent_get, &from, cdn_str(f->request.rule->key_names)};
    fresh.despite = edge_vary_despite(head, &source);
    if (edge_vary_spec(head, cdn_str(f->request.rule->key_names), &spec)) {
        edge_vary_key(cdn_buf_str(&spec), &source, &variant);
    }
    struct edge_head *less;
    if (drops && edge_head_build(status, fields, count, drop, drops, &less, &err) == CDN_OK) {
        f->leader_rep = edge_rep_create(head, &fresh, now_ms, cdn_buf_str(&spec), cdn_buf_str(&variant));
        head = less;
    }
    struct edge_rep *rep = edge_rep_create(head, &fresh, now_ms, cdn_buf_str(&spec), cdn_buf_str(&variant));
    if (status == 206 && edge_store_reason_ok(f->reason) && !edge_fetch_place_part(f, rep)) {
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

static bool asks_for_part(const struct edge_fetch *f)
{
    struct cdn_str range;
    return http_fields_find(f->request.fields.item, f->request.fields.count, CDN_STR("Range"), &range);
}

static void take_answer(struct edge_fetch *f, const struct http_fetch_head *h, int64_t now_ms)
{
    if (h->status == 206 && !asks_for_part(f)) {
        cdn_log(CDN_LOG_WARN, "origin_head", "url=%s error=%s", f->url, "a part (206) that nobody asked for");
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
    edge_fetch_note_range(f, h->status, now_ms);
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
        edge_fetch_note_unstorable(f, h->status, now_ms);
    }
    edge_fetch_unlist(f);
    edge_fetch_publish(f, EDGE_FETCH_PASSING);
    if (!f->request.leader) {
        edge_fetch_end_early(f);
    }
}

/* The same request again without conditions: of the same origin, since it is there. */
static void ask_again(struct edge_fetch *f)
{
    f->asked = UINT32_MAX;
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
    CDN_AUTOFREE struct http_field *fields = with_date(f, sent, now_ms, date, &dated.field_count);
    dated.fields = fields;
    if (is_no_answer(f, sent) && edge_fetch_may_fail_over(f, true)) {
        edge_breaker_reached(&f->origin->breaker);
        atomic_fetch_add_explicit(&f->origin->failures, 1, memory_order_relaxed);
        http_fetch_cancel(CDN_TAKE(f->http));
        edge_fetch_fail_over(f);
        return;
    }
    f->received = sent->version == 11 ? 0 : (uint8_t)sent->version;
    edge_fetch_note_time(f);
    edge_fetch_note_answer(f, h->status);
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

static void on_end(void *arg, enum http_fetch_error error, const char *text)
{
    struct edge_fetch *f = arg;
    f->http = NULL;
    edge_fetch_uncharge(f);
    switch (edge_fetch_phase_now(f)) {
    case EDGE_FETCH_ASKING:
        edge_fetch_note_origin(f, error);
        cdn_log(CDN_LOG_WARN, "origin_failed", "url=%s error=%s detail=%s", f->url,
                http_fetch_error_word(error), text);
        if (edge_breaker_kind(error) != EDGE_ORIGIN_UP &&
            edge_fetch_may_fail_over(f, edge_breaker_kind(error) != EDGE_ORIGIN_DISCONNECTED)) {
            edge_fetch_fail_over(f);
            return;
        }
        edge_fetch_note_failure(f, error);
        edge_fetch_fail(f, error);
        break;
    case EDGE_FETCH_STORING:
    case EDGE_FETCH_PASSING:
        if (error != HTTP_FETCH_NONE) {
            edge_fetch_note_origin(f, error);
            edge_fetch_note_failure(f, error);
            cdn_log(CDN_LOG_WARN, "origin_broke_off", "url=%s error=%s detail=%s bytes=%" PRIu64, f->url,
                    http_fetch_error_word(error), text, edge_body_length(f->body));
        }
        edge_body_finish(f->body, error == HTTP_FETCH_NONE);
        if (error == HTTP_FETCH_NONE && edge_fetch_phase_now(f) == EDGE_FETCH_STORING) {
            edge_fetch_store(f);
            edge_fetch_note_homeless(f);
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
