/* The ranger walks along a stretch; the rest of this file decides what the stretch is and where its first
 * bytes come from. */
#include "edge/request/part.h"

#include "common/http/server/http_server.h"
#include "common/http/syntax/http_field_range.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/ghost.h"
#include "edge/cache/object.h"
#include "edge/fetch/body.h"
#include "edge/fetch/fetch.h"
#include "edge/memory/budget.h"
#include "edge/request/queue.h"
#include "edge/request/slice.h"
#include "edge/request/stall.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/range.h"
#include "edge/semantics/validate.h"
#include "edge/semantics/vary.h"
#include "edge/store/store.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "common/banned.h"

/* So much of a part on disk is read at once; the second when memory is short. */
#define READ_BYTES ((uint64_t)256 * 1024)
#define READ_SHORT ((uint64_t)4096)
#define MAX_SOURCES_LOST 8u

struct edge_ranger {
    struct edge_txn *txn;
    struct edge_rep *rep;   /* counted: all bytes are of this version */
    uint64_t at, end;       /* the next byte; after the last one */
    struct edge_hold hold;  /* the stored part that `blob` is from */
    struct edge_blob *blob; /* bytes [blob_first, +n) of the whole */
    uint64_t blob_first;
    enum cdn_status read_status;
    unsigned lost;
};

static struct edge_cache *cache_of(const struct edge_txn *t)
{
    return t->worker->edge->cache;
}

static uint64_t slice_size(const struct edge_txn *t)
{
    return t->worker->edge->settings.slice;
}

/* The one range of the request; false: none, or several. */
static bool single_range(const struct edge_txn *t, struct http_range_spec *ret)
{
    struct http_range_set set;
    if (!t->conditions.range.p || !http_range_parse(t->conditions.range, &set) || set.count != 1) {
        return false;
    }
    *ret = set.spec[0];
    return true;
}

/* Whether parts of this version may be put together at all (RFC 9111 3.4). */
static bool is_combinable(const struct edge_rep *rep)
{
    return edge_may_combine(rep->head, rep->head);
}

bool edge_part_wants(struct edge_txn *t)
{
    struct edge_vary_source source = {edge_upstream_vary_get, t};
    struct http_range_spec spec;
    struct edge_hold any = {0};
    if (t->http->method != HTTP_GET || !slice_size(t)) {
        return false;
    }
    if (single_range(t, &spec)) { /* unless the whole is on its way and nearly there */
        return spec.first == HTTP_RANGE_OPEN ||
               !edge_fetch_is_near(t->entry, &source, spec.first, slice_size(t));
    }
    if (t->conditions.range.p ||
        !edge_cache_select_part(cache_of(t), t->entry, &source, UINT64_MAX, NULL, &any, NULL)) {
        return false;
    }
    const bool usable = is_combinable(any.rep);
    edge_cache_release(cache_of(t), &any);
    return usable;
}

void edge_part_discard(struct edge_txn *t)
{
    struct edge_ranger *r = CDN_TAKE(t->ranger);
    if (r) {
        edge_cache_release(cache_of(t), &r->hold);
        edge_rep_unref(r->rep);
        edge_blob_unref(r->blob);
        free(r);
    }
}

/* ---- where the next bytes come from ---- */

static enum edge_reuse decide(const struct edge_txn *t, const struct edge_rep *rep,
                              enum edge_origin_state origin)
{
    struct edge *edge = t->worker->edge;
    const bool unsynced = origin == EDGE_ORIGIN_UP && atomic_load(&edge->unsynced);
    return edge_reuse_decide(&edge_tuning_now(edge)->rules, &rep->fresh, &t->control, origin, unsynced,
                             t->now_ms);
}

static bool is_usable(const struct edge_txn *t, const struct edge_rep *rep)
{
    return t->verdict == EDGE_VERDICT_STALE || edge_reuse_serves(decide(t, rep, EDGE_ORIGIN_UP));
}

static struct edge_fetch_scope scope_of_part(const struct edge_hold *part)
{
    return (struct edge_fetch_scope){.ranged = true,
                                     .range_first = part->rep->first,
                                     .range_last = part->rep->first + edge_hold_length(part) - 1};
}

/* Asks the origin for a stretch; `stale`: the part to confirm, whose references are consumed. */
static void begin(struct edge_txn *t, struct edge_fetch *f, struct edge_hold *stale, bool background)
{
    struct edge_fetch_request r = {.background = background};
    if (stale && stale->object) {
        r.candidate[0] = *stale;
        r.candidate_count = 1;
        *stale = (struct edge_hold){0};
    }
    edge_upstream_request(t, &f->scope, &r);
    edge_fetch_start(f, &t->control, &r);
}

/* Joins or makes the fetch of the stretch around `at`. False: look again. */
static bool join_stretch(struct edge_txn *t, uint64_t at, const struct edge_fetch_scope *scope,
                         const struct edge_moment *moment, const struct edge_rep *newest,
                         struct edge_hold *stale)
{
    struct edge_vary_source source = {edge_upstream_vary_get, t};
    struct edge_fetch_wish wish = {
        .source = &source, .moment = *moment, .newest = newest, .scope = *scope, .at = at};
    wish.scope.authorized = t->http->field[HTTP_REQ_AUTHORIZATION].p != NULL;
    bool made;
    struct edge_fetch *f = edge_fetch_join_or_make(t->worker, t->entry, &wish, &t->waiter, &made);
    if (!f) {
        return false;
    }
    t->fetch = f;
    t->leader = made;
    t->wish = EDGE_WISH_SLICE;
    if (made) {
        begin(t, f, stale, false);
    }
    return true;
}

static void drop_source(struct edge_ranger *r)
{
    edge_cache_release(cache_of(r->txn), &r->hold);
    edge_blob_unref(CDN_TAKE(r->blob));
}

/* Neither a part nor a fetch afterwards: look again. */
static void next_source(struct edge_ranger *r)
{
    struct edge_txn *t = r->txn;
    struct edge_vary_source source = {edge_upstream_vary_get, t};
    struct edge_hold part = {0};
    struct edge_moment moment;
    drop_source(r);
    bool found = edge_cache_select_part(cache_of(t), t->entry, &source, r->at, r->rep->head, &part, &moment);
    if (found && is_usable(t, part.rep)) {
        r->hold = part;
        return;
    }
    const struct edge_fetch_scope scope =
        found ? scope_of_part(&part) : edge_slice_around(slice_size(t), r->at, 0, (uint64_t)r->rep->whole);
    join_stretch(t, r->at, &scope, &moment, r->rep, &part);
    edge_cache_release(cache_of(t), &part); /* unless the fetch took it */
}

static void lose_source(struct edge_ranger *r, enum cdn_status status)
{
    edge_cache_disk_lost(cache_of(r->txn), &r->hold,
                         status == CDN_CORRUPT ? EDGE_GHOST_CORRUPT : EDGE_GHOST_EVICTED);
    drop_source(r);
    r->lost++;
}

static void read_done(void *arg) /* loop thread */
{
    struct edge_txn *t = arg;
    t->disk_pending = false;
    if (edge_txn_release(t)) {
        return;
    }
    if (t->ranger->read_status != CDN_OK) {
        lose_source(t->ranger, t->ranger->read_status);
    }
    if (t->stream) {
        http_stream_resume(t->stream);
    }
}

static void read_elsewhere(void *arg, enum cdn_status status) /* store's reader thread */
{
    struct edge_txn *t = arg;
    t->ranger->read_status = status;
    loop_post(t->worker->loop, read_done, t);
}

/* Bytes of the held part around r->at into r->blob; false: they are being read. */
static bool load(struct edge_ranger *r)
{
    struct edge_store *store = r->txn->worker->edge->store;
    const uint64_t first = r->hold.rep->first;
    if (r->hold.ram) {
        r->blob = edge_blob_ref(r->hold.ram->blob);
        r->blob_first = first;
        return true;
    }
    edge_blob_unref(CDN_TAKE(r->blob));
    const uint64_t most = edge_budget_has(READ_BYTES) ? READ_BYTES : READ_SHORT;
    const uint64_t from = (r->at - first) / most * most;
    const uint64_t rest = edge_hold_length(&r->hold) - from;
    r->blob = edge_blob_create((size_t)(rest < most ? rest : most));
    r->blob_first = first + from;
    enum cdn_status status = edge_store_try_read(store, &r->hold.location, from, r->blob->data, r->blob->n);
    if (status == CDN_UNAVAILABLE) {
        r->txn->disk_pending = true;
        edge_store_read(store, &r->hold.location, from, r->blob->data, r->blob->n, read_elsewhere, r->txn);
        return false;
    }
    if (status != CDN_OK) {
        lose_source(r, status);
    }
    return true;
}

static bool in_blob(const struct edge_ranger *r)
{
    return r->blob && r->at >= r->blob_first && r->at < r->blob_first + r->blob->n;
}

static bool in_part(const struct edge_ranger *r)
{
    return r->hold.object && r->at >= r->hold.rep->first &&
           r->at < r->hold.rep->first + edge_hold_length(&r->hold);
}

/* Bytes of a slice on its way. 0: go on elsewhere. */
static ssize_t read_fetch(struct edge_ranger *r, char *into, size_t max)
{
    struct edge_txn *t = r->txn;
    struct edge_fetch *f = t->fetch;
    enum edge_fetch_phase phase = edge_fetch_phase_now(f);
    if (phase == EDGE_FETCH_ASKING) {
        return HTTP_STREAM_WAIT;
    }
    if (phase == EDGE_FETCH_CONFIRMED) {
        (void)edge_cache_hold(cache_of(t), f->result.object, &r->hold);
        edge_txn_leave_fetch(t);
        return r->hold.object || ++r->lost < MAX_SOURCES_LOST ? 0 : HTTP_STREAM_FAIL;
    }
    if (phase != EDGE_FETCH_STORING || (!t->leader && !edge_txn_fits(t, f->rep)) ||
        f->rep->whole != r->rep->whole || r->at < f->rep->first ||
        (f->rep != r->rep && !edge_may_combine(r->rep->head, f->rep->head))) {
        return HTTP_STREAM_FAIL; /* another version: what was sent cannot be continued */
    }
    if (!t->reader.joined && !edge_stall_join(t, r->at - f->rep->first)) {
        return HTTP_STREAM_FAIL;
    }
    ssize_t got = edge_body_read(f->body, &t->reader, into, max);
    if (got == EDGE_BODY_END) {
        bool moved = r->at > f->rep->first;
        edge_txn_leave_fetch(t);
        return moved ? 0 : HTTP_STREAM_FAIL;
    }
    return got == EDGE_BODY_NOTHING ? HTTP_STREAM_WAIT : got == EDGE_BODY_FAILED ? HTTP_STREAM_FAIL : got;
}

static ssize_t ranger_read(void *arg, uint64_t at, char *into, size_t max)
{
    struct edge_ranger *r = arg;
    (void)at;
    while (r->at < r->end && r->lost < MAX_SOURCES_LOST) {
        const size_t most = r->end - r->at < max ? (size_t)(r->end - r->at) : max;
        ssize_t got = 0;
        if (r->txn->disk_pending) {
            return HTTP_STREAM_WAIT;
        }
        if (in_blob(r)) {
            uint64_t left = r->blob_first + r->blob->n - r->at;
            got = (ssize_t)(left < most ? left : most);
            memcpy(into, r->blob->data + (r->at - r->blob_first), (size_t)got);
        } else if (r->txn->fetch) {
            got = read_fetch(r, into, most);
        } else if (!in_part(r)) {
            next_source(r);
        } else if (!load(r)) {
            return HTTP_STREAM_WAIT;
        }
        if (got != 0) {
            r->at += got > 0 ? (uint64_t)got : 0;
            r->txn->sent += got > 0 ? (uint64_t)got : 0;
            return got;
        }
    }
    return r->at < r->end ? HTTP_STREAM_FAIL : HTTP_STREAM_END;
}

static void ranger_over(void *arg)
{
    struct edge_ranger *r = arg;
    r->txn->stream = NULL;
    edge_budget_sub(r->txn->block);
    r->txn->block = 0;
    edge_txn_release(r->txn);
}

/* ---- the answer ---- */

/* The stretch that the request wants of this version; false: none of it. */
static bool resolve(const struct edge_txn *t, const struct edge_rep *rep, struct edge_range *ret)
{
    struct http_range_spec spec = {0, HTTP_RANGE_OPEN};
    single_range(t, &spec);
    return edge_range_resolve(&spec, (uint64_t)rep->whole, ret);
}

/* Whether every byte of [from, from + n) is stored. */
static bool is_stored(struct edge_txn *t, const struct edge_rep *rep, uint64_t from, uint64_t n)
{
    struct edge_vary_source source = {edge_upstream_vary_get, t};
    uint64_t at = from;
    bool all = true;
    while (all && at < from + n) {
        struct edge_hold part = {0};
        all = edge_cache_select_part(cache_of(t), t->entry, &source, at, rep->head, &part, NULL);
        if (all) {
            at = part.rep->first + edge_hold_length(&part);
            edge_cache_release(cache_of(t), &part);
        }
    }
    return all;
}

/* `part` (borrowed) tells the version and reaches to `end`
 * (exclusive); the bytes come from wherever they are. */
static enum edge_step serve(struct edge_txn *t, struct edge_rep *part, uint64_t end)
{
    struct edge_range_plan plan;
    const bool own = t->fetch && t->leader && t->fetch->leader_rep && part == t->fetch->rep;
    struct edge_rep *whole = edge_rep_as_whole(own ? t->fetch->leader_rep : part);
    struct edge_range wanted;
    if (!whole || (!is_combinable(part) && !(resolve(t, part, &wanted) && wanted.first >= part->first &&
                                             wanted.last < end && !t->conditions.if_range.p))) {
        edge_rep_unref(whole); /* one part is all there will ever be of it, and not enough */
        return edge_txn_pass_instead(t, EDGE_CAUSE_BYPASS_RESPONSE);
    }
    if (edge_deliver_choose(t, whole, (uint64_t)part->whole, &plan)) {
        const bool single = plan.kind == EDGE_RANGE_SINGLE;
        const uint64_t from = single ? plan.part[0].first : 0;
        const uint64_t n = single ? edge_range_length(&plan.part[0]) : (uint64_t)part->whole;
        if (!t->fetch && t->verdict == EDGE_VERDICT_MISS && is_stored(t, part, from, n)) {
            t->verdict = EDGE_VERDICT_HIT;
            t->cause = EDGE_CAUSE_NONE;
        }
        t->ranger = cdn_calloc(1, sizeof(*t->ranger));
        *t->ranger = (struct edge_ranger){.txn = t, .rep = edge_rep_ref(part), .at = from, .end = from + n};
        if (t->fetch && (from < t->fetch->rep->first || from > t->fetch->scope.range_last)) {
            edge_txn_leave_fetch(t);
        }
        t->block = edge_budget_block((int64_t)n);
        struct http_stream_source source = {
            .read = ranger_read, .release = ranger_over, .arg = t->ranger, .block = t->block};
        struct MHD_Response *response;
        t->stream = http_stream_create(t->http, (int64_t)n, &source, &response);
        edge_deliver_respond(t, response, single ? 206 : 200, whole, single ? &plan : NULL, 0);
        MHD_destroy_response(response);
    }
    edge_rep_unref(whole);
    return EDGE_STEP_DONE;
}

bool edge_part_serve_stale(struct edge_txn *t, enum edge_origin_state origin, enum edge_step *ret)
{
    const struct edge_fetch *f = t->fetch;
    struct edge_range wanted;
    if (f->request.candidate_count != 1) {
        return false;
    }
    struct edge_rep *rep = f->request.candidate[0].rep;
    const uint64_t end = rep->first + edge_hold_length(&f->request.candidate[0]);
    if (!edge_reuse_serves(decide(t, rep, origin)) || !resolve(t, rep, &wanted) ||
        !is_stored(t, rep, wanted.first, edge_range_length(&wanted))) {
        return false;
    }
    edge_rep_ref(rep);
    edge_txn_leave_fetch(t);
    t->verdict = EDGE_VERDICT_STALE;
    *ret = serve(t, rep, end);
    edge_rep_unref(rep);
    return true;
}

enum edge_step edge_part_serve_fetched(struct edge_txn *t)
{
    return serve(t, t->fetch->rep, edge_slice_end(&t->fetch->scope, (uint64_t)t->fetch->rep->whole));
}

enum edge_step edge_part_serve_confirmed(struct edge_txn *t)
{
    struct edge_hold part = {0};
    (void)edge_cache_hold(cache_of(t), t->fetch->result.object, &part);
    edge_txn_leave_fetch(t);
    if (!part.object) {
        return edge_txn_pass(t, t->cause);
    }
    t->verdict = EDGE_VERDICT_REVALIDATED;
    const enum edge_step step = serve(t, part.rep, part.rep->first + edge_hold_length(&part));
    edge_cache_release(cache_of(t), &part);
    return step;
}

/* A fetch that confirms the stale part while it is being served, unless one is on its way. */
static void refresh_behind(struct edge_txn *t, const struct edge_hold *part, const struct edge_moment *moment)
{
    struct edge_vary_source source = {edge_upstream_vary_get, t};
    const struct edge_fetch_wish wish = {.source = &source,
                                         .moment = *moment,
                                         .newest = part->rep,
                                         .scope = scope_of_part(part),
                                         .at = part->rep->first};
    struct edge_hold own = {0};
    bool made;
    struct edge_fetch *f = edge_fetch_join_or_make(t->worker, t->entry, &wish, NULL, &made);
    if (f) {
        (void)edge_cache_hold(cache_of(t), part->object, &own);
        begin(t, f, &own, true);
    }
}

/* The stored part that holds the first byte wanted, and whether it may be used. */
static bool find_part(struct edge_txn *t, const struct edge_rep *known, uint64_t at,
                      struct edge_hold *ret_part, struct edge_moment *ret_moment)
{
    struct edge_vary_source source = {edge_upstream_vary_get, t};
    const struct edge_head *like = is_combinable(known) ? known->head : NULL;
    if (!edge_cache_select_part(cache_of(t), t->entry, &source, at, like, ret_part, ret_moment)) {
        return false;
    }
    const enum edge_reuse reuse = decide(t, ret_part->rep, EDGE_ORIGIN_UP);
    t->cause = edge_reuse_cause(reuse);
    if (edge_reuse_serves(reuse) && reuse != EDGE_REUSE_FRESH) {
        t->verdict = EDGE_VERDICT_STALE;
    }
    if (reuse == EDGE_REUSE_STALE_REVALIDATE && edge_cache_may_refresh(cache_of(t), t->entry, t->now_ms)) {
        refresh_behind(t, ret_part, ret_moment);
    }
    return edge_reuse_serves(reuse);
}

/* Whether one part, this one or the slice that is to be fetched, has all that is wanted. */
static bool in_one_part(const struct edge_txn *t, const struct edge_hold *part,
                        const struct edge_range *range)
{
    return part->object ? range->last < part->rep->first + edge_hold_length(part)
                        : range->first / slice_size(t) == range->last / slice_size(t);
}

/* With what is stored, or not at all. */
static enum edge_step serve_only_stored(struct edge_txn *t, const struct edge_hold *part,
                                        const struct edge_range *range)
{
    if (part && !t->conditions.if_range.p &&
        is_stored(t, part->rep, range->first, edge_range_length(range))) {
        return serve(t, part->rep, part->rep->first + edge_hold_length(part));
    }
    return edge_txn_refuse_uncached(t);
}

/* What the request wants, by what is known of the whole from any stored part. */
struct stretch {
    struct http_range_spec spec;
    struct edge_range range; /* when it can be told */
    uint64_t at;             /* the first byte wanted */
    uint64_t whole;          /* 0: not known */
    struct edge_hold part;   /* stored, and holds `at`; or zeroed */
    struct edge_moment moment;
    bool fresh;  /* the part may be used */
    bool passes; /* parts cannot be put together, and one is not enough */
};

static void find_stretch(struct edge_txn *t, const struct edge_hold *known, struct stretch *s)
{
    s->spec = (struct http_range_spec){0, HTTP_RANGE_OPEN};
    single_range(t, &s->spec);
    s->at = s->spec.first;
    s->whole = known->object ? (uint64_t)known->rep->whole : 0;
    if (known->object && edge_range_resolve(&s->spec, s->whole, &s->range)) {
        s->at = s->range.first;
        s->fresh = find_part(t, known->rep, s->at, &s->part, &s->moment);
        s->passes = !is_combinable(known->rep) && !in_one_part(t, &s->part, &s->range);
    }
}

static enum edge_step fetch_stretch(struct edge_txn *t, const struct edge_hold *known, struct stretch *s)
{
    const struct edge_fetch_scope scope =
        s->part.object ? scope_of_part(&s->part)
                       : edge_slice_around(slice_size(t), s->at,
                                           s->spec.first == HTTP_RANGE_OPEN ? s->spec.last : 0, s->whole);
    return join_stretch(t, s->at, &scope, &s->moment, known->rep, &s->part) ? EDGE_STEP_FETCHED
                                                                            : EDGE_STEP_LOOKUP;
}

enum edge_step edge_part_begin(struct edge_txn *t)
{
    struct edge_vary_source source = {edge_upstream_vary_get, t};
    struct edge_hold known = {0};
    struct stretch s = {0};
    enum edge_step step;
    t->verdict = EDGE_VERDICT_MISS;
    (void)edge_cache_select_part(cache_of(t), t->entry, &source, UINT64_MAX, NULL, &known, &s.moment);
    find_stretch(t, &known, &s);
    if (edge_txn_only_cached(t)) {
        step = serve_only_stored(t, s.fresh ? &s.part : NULL, &s.range);
    } else if (s.passes) {
        step = edge_txn_pass_instead(t, EDGE_CAUSE_BYPASS_RESPONSE);
    } else if (s.fresh) {
        step = serve(t, s.part.rep, s.part.rep->first + edge_hold_length(&s.part));
    } else if (edge_queue_must_wait(t)) {
        step = edge_queue_before(t, EDGE_STEP_LOOKUP);
    } else {
        step = fetch_stretch(t, &known, &s);
    }
    edge_cache_release(cache_of(t), &known);
    edge_cache_release(cache_of(t), &s.part);
    return step;
}
