/* part: what the stretch is that a request wants, whether it can be answered from parts, and with which
 * of them the answer begins. Joining and asking is part_fetch.c's; from the first byte on the ranger goes its
 * own way (ranger.h).
 */
#include "edge/request/part.h"

#include "common/http/server/http_server.h"
#include "common/http/syntax/http_field_range.h"
#include "common/http/syntax/http_message.h"
#include "common/str.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/fetch/fetch.h"
#include "edge/request/deliver.h"
#include "edge/request/guarded.h"
#include "edge/request/part_private.h"
#include "edge/request/queue.h"
#include "edge/request/ranger.h"
#include "edge/request/slice.h"
#include "edge/request/step.h"
#include "edge/request/txn.h"
#include "edge/request/upstream.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/range.h"
#include "edge/semantics/validate.h"
#include "edge/semantics/vary.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

static struct edge_cache *cache_of(const struct edge_txn *t)
{
    return t->worker->edge->cache;
}

/* After the last byte of a part. */
static uint64_t end_of(const struct edge_hold *part)
{
    return part->rep->first + edge_hold_length(part);
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
    return edge_validate_may_combine(rep->head, rep->head);
}

bool edge_part_wants(struct edge_txn *t)
{
    struct edge_vary_source source = edge_upstream_source(t);
    struct http_range_spec spec;
    struct edge_hold any = {0};
    if (t->http->method != HTTP_GET || !edge_part_slice_size(t)) {
        return false;
    }
    if (single_range(t, &spec)) { /* unless the whole is on its way and nearly there */
        return spec.first == HTTP_RANGE_OPEN ||
               !edge_fetch_is_near(t->entry, &source, spec.first, edge_part_slice_size(t));
    }
    if (t->conditions.range.p ||
        !edge_cache_select_part(cache_of(t), t->entry, &source, UINT64_MAX, NULL, &any, NULL)) {
        return false;
    }
    const bool usable = is_combinable(any.rep);
    edge_cache_release(cache_of(t), &any);
    return usable;
}

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
    struct edge_vary_source source = edge_upstream_source(t);
    uint64_t at = from;
    bool all = true;
    while (all && at < from + n) {
        struct edge_hold part = {0};
        all = edge_cache_select_part(cache_of(t), t->entry, &source, at, rep->head, &part, NULL);
        if (all) {
            at = end_of(&part);
            edge_cache_release(cache_of(t), &part);
        }
    }
    return all;
}

/* `part` (borrowed) tells the version and reaches to `end` (exclusive); the bytes come from wherever they
 * are. `held`: that part, when it is stored. */
static enum edge_step serve(struct edge_txn *t, struct edge_rep *part, uint64_t end,
                            const struct edge_hold *held)
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
        struct MHD_Response *response = edge_ranger_stream(t, part, from, n, held);
        if (t->fetch && (from < t->fetch->rep->first || from > t->fetch->scope.range_last)) {
            edge_txn_leave_fetch(t); /* which may hold the last reference to `part` but the ranger's */
        }
        edge_deliver_respond(t, response, single ? 206 : 200, whole, single ? &plan : NULL, 0);
        MHD_destroy_response(response);
    }
    edge_rep_unref(whole);
    return EDGE_STEP_DONE;
}

/* Served from `part` on, all that the request wants of it can be had without the origin. */
static bool is_enough(struct edge_txn *t, const struct edge_hold *part)
{
    const struct edge_rep *rep = part->rep;
    struct edge_range wanted;
    if (!resolve(t, rep, &wanted)) {
        return false;
    }
    if (wanted.first >= rep->first && wanted.last < end_of(part)) {
        return true; /* it is held, whatever becomes of the others */
    }
    /* An error that is being stored takes the place of all of them. */
    return edge_fetch_phase_now(t->fetch) != EDGE_FETCH_STORING &&
           is_stored(t, rep, wanted.first, edge_range_length(&wanted));
}

bool edge_part_serve_stale(struct edge_txn *t, enum edge_origin_state origin, enum edge_step *ret)
{
    const struct edge_fetch_request *asked = &t->fetch->request;
    struct edge_hold part = {0};
    if (asked->candidate_count != 1 ||
        !edge_reuse_serves(edge_part_reuse(t, asked->candidate[0].rep, origin)) ||
        !is_enough(t, &asked->candidate[0])) {
        return false;
    }
    edge_cache_hold_again(&asked->candidate[0], &part);
    edge_txn_leave_fetch(t);
    t->verdict = EDGE_VERDICT_STALE;
    *ret = serve(t, part.rep, end_of(&part), &part);
    edge_cache_release(cache_of(t), &part);
    return true;
}

enum edge_step edge_part_serve_fetched(struct edge_txn *t)
{
    return serve(t, t->fetch->rep, edge_slice_end(&t->fetch->scope, (uint64_t)t->fetch->rep->whole), NULL);
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
    const enum edge_step step = serve(t, part.rep, end_of(&part), &part);
    edge_cache_release(cache_of(t), &part);
    return step;
}

/* The stored part that holds the first byte wanted, and whether it may be used. */
static bool find_part(struct edge_txn *t, const struct edge_rep *known, uint64_t at,
                      struct edge_hold *ret_part, struct edge_moment *ret_moment)
{
    struct edge_vary_source source = edge_upstream_source(t);
    const struct edge_head *like = is_combinable(known) ? known->head : NULL;
    if (!edge_cache_select_part(cache_of(t), t->entry, &source, at, like, ret_part, ret_moment)) {
        return false;
    }
    const enum edge_reuse reuse = edge_part_reuse(t, ret_part->rep, EDGE_ORIGIN_UP);
    t->cause = edge_cause_of_reuse(reuse);
    if (edge_reuse_serves(reuse) && reuse != EDGE_REUSE_FRESH) {
        t->verdict = EDGE_VERDICT_STALE;
    }
    if (reuse == EDGE_REUSE_STALE_REVALIDATE && edge_cache_may_refresh(cache_of(t), t->entry, t->now_ms)) {
        edge_part_refresh(t, ret_part, ret_moment);
    }
    return edge_reuse_serves(reuse);
}

/* Whether one part, this one or the slice that is to be fetched, has all that is wanted. */
static bool in_one_part(const struct edge_txn *t, const struct edge_hold *part,
                        const struct edge_range *range)
{
    return part->object ? range->last < end_of(part)
                        : range->first / edge_part_slice_size(t) == range->last / edge_part_slice_size(t);
}

/* With what is stored, or not at all. */
static enum edge_step serve_only_stored(struct edge_txn *t, const struct edge_hold *part,
                                        const struct edge_range *range)
{
    if (part && !t->conditions.if_range.p &&
        is_stored(t, part->rep, range->first, edge_range_length(range))) {
        return serve(t, part->rep, end_of(part), part);
    }
    return t->guard.limited ? edge_guarded_limited(t) : edge_deliver_uncached(t);
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
        s->part.object ? edge_part_scope(&s->part)
                       : edge_slice_around(edge_part_slice_size(t), s->at,
                                           s->spec.first == HTTP_RANGE_OPEN ? s->spec.last : 0, s->whole);
    return edge_part_join(t, s->at, &scope, &s->moment, known->rep, &s->part) ? EDGE_STEP_FETCHED
                                                                              : EDGE_STEP_LOOKUP;
}

enum edge_step edge_part_begin(struct edge_txn *t)
{
    struct edge_vary_source source = edge_upstream_source(t);
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
        step = serve(t, s.part.rep, end_of(&s.part), &s.part);
    } else if (edge_queue_must_wait(t)) {
        step = edge_queue_before(t, EDGE_STEP_LOOKUP);
    } else {
        step = fetch_stretch(t, &known, &s);
    }
    edge_cache_release(cache_of(t), &known);
    edge_cache_release(cache_of(t), &s.part);
    return step;
}
