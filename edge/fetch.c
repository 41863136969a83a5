#include "edge/fetch.h"

#include "common/http_date.h"
#include "common/http_field.h"
#include "common/log.h"
#include "common/mem.h"
#include "edge/txn.h"
#include "edge/validate.h"

#include <gnutls/crypto.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/banned.h"

/* After an answer that may not be stored, requests for its key do not wait for each other for so long. */
#define PASS_MEMORY_MS 10000

/* ---- fields ---- */

void edge_fields_add(struct edge_fields *f, struct cdn_str name, struct cdn_str value)
{
    if ((f->count & (f->count + 1)) == 0) { /* 0, 1, 3, 7 ...: double */
        f->item = cdn_realloc(f->item, 2 * (f->count + 1), sizeof *f->item);
    }
    cdn_buf_add_str(&f->text, name);
    cdn_buf_add_str(&f->text, value);
    f->item[f->count++] = (struct http_field){.name = {NULL, name.n}, .value = {NULL, value.n}};
}

void edge_fields_seal(struct edge_fields *f)
{
    const char *at = f->text.p;
    for (size_t i = 0; i < f->count; i++) {
        f->item[i].name.p = at;
        at += f->item[i].name.n;
        f->item[i].value.p = at;
        at += f->item[i].value.n;
    }
}

void edge_fields_free(struct edge_fields *f)
{
    cdn_buf_free(&f->text);
    free(CDN_TAKE(f->item));
    f->count = 0;
}

/* ---- references and waiters ---- */

struct edge_fetch *edge_fetch_ref(struct edge_fetch *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void edge_fetch_unref(struct edge_fetch *f)
{
    if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    struct edge_cache *cache = f->owner->edge->cache;
    for (unsigned i = 0; i < f->request.candidate_count; i++) {
        edge_cache_release(cache, &f->request.candidate[i]);
    }
    edge_cache_release(cache, &f->result);
    if (f->entry) {
        edge_cache_leave(cache, f->entry);
    }
    edge_rep_unref(f->rep);
    edge_body_unref(f->body);
    edge_fields_free(&f->request.fields);
    free(f->request.url);
    free(f->expected_spec);
    free(f->expected_variant);
    free(f);
}

enum edge_fetch_phase edge_fetch_phase_now(struct edge_fetch *f)
{
    return atomic_load(&f->phase);
}

static void tell_slot(struct edge_fetch_slot *slot)
{
    for (struct edge_txn *t = slot->first, *next; t; t = next) {
        next = edge_txn_next_waiter(t);
        edge_txn_fetch_moved(t);
    }
}

static void tell_posted(void *arg)
{
    struct edge_fetch_slot *slot = arg;
    struct edge_fetch *f = slot->fetch;
    atomic_store(&slot->posted, false);
    tell_slot(slot);
    edge_fetch_unref(f);
}

static void tell_all(struct loop_deferred *d)
{
    struct edge_fetch *f = (struct edge_fetch *)(void *)((char *)d - offsetof(struct edge_fetch, tell));
    for (unsigned i = 0; i < f->owner->edge->worker_count; i++) {
        struct edge_fetch_slot *slot = &f->slot[i];
        if (!atomic_load(&slot->any)) {
            continue;
        }
        if (slot->worker == f->owner) {
            tell_slot(slot);
        } else if (!atomic_exchange(&slot->posted, true)) {
            edge_fetch_ref(f);
            loop_post(slot->worker->loop, tell_posted, slot);
        }
    }
    edge_fetch_unref(f);
}

static void tell_later(struct edge_fetch *f)
{
    if (!f->tell.queued) {
        edge_fetch_ref(f); /* tell_all gives it back */
        loop_defer(f->owner->loop, &f->tell);
    }
}

void edge_fetch_join(struct edge_fetch *f, struct edge_worker *worker, struct edge_txn *t)
{
    struct edge_fetch_slot *slot = &f->slot[worker->index];
    edge_fetch_ref(f);
    edge_txn_set_next_waiter(t, slot->first);
    slot->first = t;
    atomic_store(&slot->any, true);
}

static void end_early(struct edge_fetch *f);

void edge_fetch_leave(struct edge_fetch *f, struct edge_worker *worker, struct edge_txn *t)
{
    struct edge_fetch_slot *slot = &f->slot[worker->index];
    struct edge_txn *before = NULL;
    for (struct edge_txn *at = slot->first; at != t; at = edge_txn_next_waiter(at)) {
        before = at;
    }
    if (before) {
        edge_txn_set_next_waiter(before, edge_txn_next_waiter(t));
    } else {
        slot->first = edge_txn_next_waiter(t);
    }
    atomic_store(&slot->any, slot->first != NULL);
    if (worker == f->owner && f->request.leader == t) { /* the leader is always the owner's */
        f->request.leader = NULL;
        if (f->request.pass || edge_fetch_phase_now(f) == EDGE_FETCH_PASSING) {
            end_early(f);
        }
    }
    edge_fetch_unref(f);
}

/* ---- in the entry's list ---- */

void edge_fetch_list_locked(struct edge_fetch *f)
{
    f->next = f->entry->fetches;
    f->entry->fetches = f;
    f->listed = true;
}

static void unlist(struct edge_fetch *f)
{
    if (!f->entry) {
        return;
    }
    edge_cache_lock(f->owner->edge->cache);
    if (f->listed) {
        struct edge_fetch **link = &f->entry->fetches;
        while (*link != f) {
            link = &(*link)->next;
        }
        *link = f->next;
        f->listed = false;
    }
    edge_cache_unlock(f->owner->edge->cache);
}

static bool fits(const struct edge_fetch *f, const struct edge_vary_source *source)
{
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    if (atomic_load(&((struct edge_fetch *)(uintptr_t)f)->phase) == EDGE_FETCH_STORING) {
        return f->rep->spec_length == 0 ||
               edge_vary_match(edge_rep_spec(f->rep), edge_rep_variant(f->rep), source, &scratch);
    }
    return !f->expected_spec ||
           edge_vary_match(cdn_str(f->expected_spec), cdn_str(f->expected_variant), source, &scratch);
}

struct edge_fetch *edge_fetch_find_locked(struct edge_entry *e, const struct edge_vary_source *source)
{
    struct edge_fetch *f = e->fetches;
    while (f && (f->request.ranged || !fits(f, source))) {
        f = f->next;
    }
    return f;
}

struct edge_fetch *edge_fetch_find_part_locked(struct edge_entry *e, const struct edge_vary_source *source,
                                               uint64_t at)
{
    struct edge_fetch *f = e->fetches;
    while (f && (!f->request.ranged || at < f->request.range_first || at > f->request.range_last ||
                 !fits(f, source))) {
        f = f->next;
    }
    return f;
}

/* ---- life ---- */

static void room_again(void *arg);
static const struct http_fetch_handler handler;

struct edge_fetch *edge_fetch_create(struct edge_worker *owner, struct edge_entry *entry,
                                     const struct edge_request_control *control,
                                     struct edge_fetch_request *request)
{
    const unsigned workers = owner->edge->worker_count;
    struct edge_fetch *f = cdn_calloc(1, sizeof *f + workers * sizeof f->slot[0]);
    atomic_init(&f->refs, 1);
    f->owner = owner;
    f->entry = entry;
    f->request = *request;
    f->control = *control;
    f->request.about.control = &f->control;
    f->tell.call = tell_all;
    f->may_keep = true;
    f->origin_us = -1;
    for (unsigned i = 0; i < workers; i++) {
        f->slot[i].fetch = f;
        f->slot[i].worker = &owner->edge->worker[i];
    }
    *request = (struct edge_fetch_request){0};
    return f;
}

void edge_fetch_start(struct edge_fetch *f)
{
    struct edge_worker *w = f->owner;
    f->request_ms = loop_now_ms(w->loop);
    struct http_fetch_request r = {
        .method = f->request.method,
        .url = f->request.url,
        .fields = f->request.fields.item,
        .field_count = f->request.fields.count,
        .has_body = f->request.has_body,
        .body_length = f->request.body_length,
        .read_body = f->request.read_body,
        .handler = &handler,
        .arg = f,
    };
    edge_fetch_ref(f); /* until on_end or end_early */
    cdn_metric_add(&w->metrics.origin_request_total, 1);
    f->http = http_fetch_start(w->client, &r);
}

static void publish_phase(struct edge_fetch *f, enum edge_fetch_phase phase)
{
    atomic_store(&f->phase, phase);
    tell_later(f);
}

static void fail(struct edge_fetch *f, enum http_fetch_error error)
{
    unlist(f);
    f->error = error;
    atomic_store(&f->finished, true);
    publish_phase(f, EDGE_FETCH_FAILED);
}

/* Nobody wants it any more. */
static void end_early(struct edge_fetch *f)
{
    if (!f->http) {
        return;
    }
    http_fetch_cancel(CDN_TAKE(f->http));
    if (f->body) {
        edge_body_finish(f->body, false);
    }
    if (edge_fetch_phase_now(f) == EDGE_FETCH_ASKING) {
        fail(f, HTTP_FETCH_ABORTED);
    }
    atomic_store(&f->finished, true);
    edge_fetch_unref(f);
}

static void resume_posted(void *arg)
{
    struct edge_fetch *f = arg;
    if (f->http) {
        http_fetch_resume(f->http);
    }
    edge_fetch_unref(f);
}

static void room_again(void *arg) /* any thread */
{
    struct edge_fetch *f = arg;
    edge_fetch_ref(f);
    loop_post(f->owner->loop, resume_posted, f);
}

void edge_fetch_body_ready(struct edge_fetch *f)
{
    if (f->http) {
        http_fetch_resume(f->http);
    }
}

/* ---- what the origin says ---- */

static void note_origin(struct edge_fetch *f, bool good)
{
    struct edge_worker *w = f->owner;
    if (good) {
        edge_breaker_success(&w->edge->breaker);
        return;
    }
    edge_breaker_failure(&w->edge->breaker, loop_mono_ns(w->loop));
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
    struct http_field *fields = cdn_malloc((h->field_count + 1) * sizeof *fields);
    memcpy(fields, h->fields, h->field_count * sizeof *fields);
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
    edge_freshness_compute(rules, head, ret_control, f->request_ms, now_ms, ret_fresh);
}

static struct cdn_str entry_url(const struct edge_fetch *f)
{
    return f->entry ? edge_entry_key(f->entry) : cdn_str(f->request.url);
}

/* Which part of the whole a 206 brings; false when it cannot be told, or it is not what was asked for. */
static bool place_part(const struct edge_fetch *f, struct edge_rep *rep)
{
    const struct edge_fetch_request *r = &f->request;
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
    struct edge_head *head;
    if (rep->first != 0 || length != (uint64_t)rep->whole) {
        return edge_rep_ref(rep);
    }
    const struct http_field none[] = {{CDN_STR("Content-Range"), {NULL, 0}},
                                      {CDN_STR("Content-Length"), {NULL, 0}}};
    if (edge_head_with(rep->head, 200, none, CDN_ARRAY_LEN(none), &head, NULL) != CDN_OK) {
        return NULL;
    }
    struct edge_rep *whole = edge_rep_with(rep, head, &rep->fresh, rep->stored_ms);
    whole->whole = -1;
    return whole;
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
    f->reason =
        f->request.pass ? EDGE_STORE_METHOD : edge_storable(rules, &f->request.about, head, &control, &fresh);
    f->had_age = edge_head_count(head, EDGE_HEAD_AGE) > 0;
    struct cdn_str drop[32];
    size_t drops =
        edge_store_reason_ok(f->reason) ? edge_storable_drop(rules, &control, drop, CDN_ARRAY_LEN(drop)) : 0;
    if (drops) {
        struct edge_head *less;
        if (edge_head_build(status, fields, count, drop, drops, &less, &err) == CDN_OK) {
            edge_head_destroy(head);
            head = less;
        }
    }
    CDN_AUTOBUF struct cdn_buf spec = {0};
    CDN_AUTOBUF struct cdn_buf variant = {0};
    if (edge_vary_spec(head, &spec)) {
        struct edge_vary_fields from = {f->request.fields.item, f->request.fields.count};
        struct edge_vary_source source = {edge_vary_fields_get, &from};
        edge_vary_key(cdn_buf_str(&spec), &source, &variant);
    }
    struct edge_rep *rep = edge_rep_create(head, &fresh, now_ms, cdn_buf_str(&spec), cdn_buf_str(&variant));
    if (status == 206 && edge_store_reason_ok(f->reason) && !place_part(f, rep)) {
        f->reason = EDGE_STORE_PARTIAL;
    }
    return rep;
}

static void on_interim(void *arg, const struct http_fetch_head *h)
{
    struct edge_fetch *f = arg;
    for (struct edge_txn *t = f->slot[f->owner->index].first; t; t = edge_txn_next_waiter(t)) {
        edge_txn_interim(t, h);
    }
}

/* Answers to a GET that replace what is stored without being storable themselves end the stored one (errors
 * do not). */
static void drop_candidates(struct edge_fetch *f)
{
    for (unsigned i = 0; i < f->request.candidate_count; i++) {
        edge_cache_remove(f->owner->edge->cache, f->request.candidate[i].object, EDGE_GHOST_EXPIRED);
    }
}

static bool keeps_hashed(const struct edge_fetch *f, unsigned status)
{
    return f->request.about.hashed_name && status >= 400;
}

static void take_answer(struct edge_fetch *f, const struct http_fetch_head *h, int64_t now_ms)
{
    char date[HTTP_DATE_SIZE];
    size_t count;
    CDN_AUTOFREE struct http_field *fields = with_date(h, now_ms, date, &count);
    f->rep = make_rep(f, fields, count, h->status, now_ms);
    if (!f->rep) {
        http_fetch_cancel(CDN_TAKE(f->http));
        fail(f, HTTP_FETCH_PROTOCOL);
        edge_fetch_unref(f);
        return;
    }
    struct edge *edge = f->owner->edge;
    const bool storing = edge_store_reason_ok(f->reason);
    const uint64_t max_object = edge_tuning_now(edge)->max_object;
    f->may_keep = storing && (h->content_length < 0 || (uint64_t)h->content_length <= max_object);
    f->content_length = h->content_length;
    f->body =
        edge_body_create(h->content_length, (size_t)edge->settings.memory_object, edge->store, room_again, f);
    if (!f->may_keep) {
        edge_body_do_not_keep(f->body);
    }
    if (storing) {
        publish_phase(f, EDGE_FETCH_STORING);
        return;
    }
    unlist(f);
    if (f->entry && !edge_status_is_error(h->status) && !keeps_hashed(f, h->status)) {
        drop_candidates(f);
        edge_cache_lock(edge->cache);
        f->entry->pass_until_ms = now_ms + PASS_MEMORY_MS;
        edge_cache_unlock(edge->cache);
    }
    publish_phase(f, EDGE_FETCH_PASSING);
    if (!f->request.leader) {
        end_early(f);
    }
}

/* A 304 made a stored response good again; false when what it confirms is gone or cannot be told. */
static bool confirm(struct edge_fetch *f, const struct http_fetch_head *h, int64_t now_ms)
{
    struct edge_hold *c = f->request.candidate;
    const struct edge_head *heads[EDGE_FETCH_CANDIDATES];
    for (unsigned i = 0; i < f->request.candidate_count; i++) {
        heads[i] = c[i].rep->head;
    }
    ptrdiff_t which = edge_validators_select(heads, f->request.candidate_count, h->fields, h->field_count);
    struct edge_head *head;
    if (which < 0 || edge_head_update(heads[which], h->fields, h->field_count, &head, NULL) != CDN_OK) {
        return false;
    }
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    struct edge_control control;
    struct edge_freshness fresh;
    compute(f, head, &scratch, &control, &fresh, now_ms);
    struct edge_rep *rep = edge_rep_with(c[which].rep, head, &fresh, now_ms);
    struct edge_cache *cache = f->owner->edge->cache;
    edge_rep_ref(rep);
    if (!edge_cache_refresh(cache, c[which].object, rep)) {
        edge_rep_unref(rep);
        return false; /* purged meanwhile: the origin must be asked for the body */
    }
    f->result = c[which];
    c[which] = c[--f->request.candidate_count];
    edge_rep_unref(f->result.rep);
    f->result.rep = rep;
    return true;
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
    http_fetch_cancel(CDN_TAKE(f->http));
    edge_fetch_start(f);
    edge_fetch_unref(f); /* the reference of the first try */
}

static void on_head(void *arg, const struct http_fetch_head *h)
{
    struct edge_fetch *f = arg;
    const int64_t now_ms = loop_now_ms(f->owner->loop);
    note_time(f);
    note_origin(f, !edge_status_is_error(h->status));
    if (h->status != 304 || !f->request.candidate_count) {
        take_answer(f, h, now_ms);
    } else if (confirm(f, h, now_ms)) {
        unlist(f);
        cdn_metric_add(&f->owner->metrics.validated_total, 1);
        atomic_store(&f->finished, true);
        publish_phase(f, EDGE_FETCH_CONFIRMED);
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
    if (f->may_keep && edge_body_length(f->body) + n > edge_tuning_now(f->owner->edge)->max_object) {
        f->may_keep = false;
        edge_body_do_not_keep(f->body);
    }
    if (!edge_body_append(f->body, data, n)) {
        tell_later(f);
        return false;
    }
    cdn_metric_add(&f->owner->metrics.origin_bytes_total, n);
    tell_later(f);
    return true;
}

/* Whether the body is what a content-hashed name promises (12 hex digits of its MD5, as Django writes them).
 */
static bool matches_name(struct edge_fetch *f, const struct edge_blob *blob)
{
    struct cdn_str digits;
    if (!blob || edge_head_status(f->rep->head) != 200 ||
        edge_head_count(f->rep->head, EDGE_HEAD_CONTENT_ENCODING) ||
        !edge_key_hashed(entry_url(f), &digits)) {
        return true;
    }
    unsigned char md5[16];
    char hex[33];
    gnutls_hash_fast(GNUTLS_DIG_MD5, blob->data, blob->n, md5);
    for (unsigned i = 0; i < sizeof md5; i++) {
        snprintf(hex + 2 * i, 3, "%02x", md5[i]);
    }
    if (memcmp(hex, digits.p, 12) == 0) {
        return true;
    }
    cdn_metric_add(&f->owner->metrics.mismatch_total, 1);
    cdn_log(CDN_LOG_WARN, "hash_mismatch", "url=%s md5=%s", f->request.url, hex);
    return false;
}

static void store(struct edge_fetch *f)
{
    struct edge *edge = f->owner->edge;
    struct edge_blob *blob = edge_body_blob(f->body);
    struct edge_store_file *file = blob ? NULL : edge_body_take_file(f->body);
    struct edge_rep *rep = as_stored(f, edge_body_length(f->body));
    if ((!blob && !file) || !rep || !f->may_keep || !matches_name(f, blob)) {
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
    switch (edge_fetch_phase_now(f)) {
    case EDGE_FETCH_ASKING:
        note_origin(f, false);
        cdn_log(CDN_LOG_WARN, "origin_failed", "url=%s error=%s detail=%s", f->request.url,
                http_fetch_error_word(error), text);
        fail(f, error);
        break;
    case EDGE_FETCH_STORING:
    case EDGE_FETCH_PASSING:
        if (error != HTTP_FETCH_NONE) {
            note_origin(f, false);
            cdn_log(CDN_LOG_WARN, "origin_broke_off", "url=%s error=%s detail=%s bytes=%" PRIu64,
                    f->request.url, http_fetch_error_word(error), text, edge_body_length(f->body));
        }
        edge_body_finish(f->body, error == HTTP_FETCH_NONE);
        if (error == HTTP_FETCH_NONE && edge_fetch_phase_now(f) == EDGE_FETCH_STORING) {
            store(f);
        }
        unlist(f);
        atomic_store(&f->finished, true);
        tell_later(f);
        break;
    case EDGE_FETCH_CONFIRMED:
    case EDGE_FETCH_FAILED:
        break;
    }
    edge_fetch_unref(f);
}

static const struct http_fetch_handler handler = {
    .interim = on_interim,
    .head = on_head,
    .data = on_data,
    .end = on_end,
};
