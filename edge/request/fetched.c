/* What follows from what the origin said, in one place: a table of what the request waits for (the whole, a
 * slice, an answer to itself alone) by the phase of its fetch. */
#include "common/http/client/http_client.h"
#include "common/str.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/fetch/fetch.h"
#include "edge/request/deliver.h"
#include "edge/request/invalidate.h"
#include "edge/request/part.h"
#include "edge/request/step.h"
#include "edge/request/tunnel.h"
#include "edge/request/txn.h"
#include "edge/request/upstream.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/semantics/validate.h"
#include "edge/site/breaker.h"
#include "edge/site/rule.h"
#include "edge/site/target.h"

#include <stdbool.h>
#include <stdio.h>

#include "common/banned.h"

/* How often a request looks again because the disk, or a fetch it joined, did not keep its promise. */
#define MAX_TRIES 4u

static enum edge_step look_again(struct edge_txn *t)
{
    edge_txn_leave_fetch(t);
    return ++t->tries > MAX_TRIES ? edge_txn_pass(t, t->cause) : EDGE_STEP_LOOKUP;
}

/* After an error of the origin: whether the stale answer is given instead (RFC 5861 4; RFC 9111 4.2.4). */
static bool takes_stale(struct edge_txn *t, enum edge_origin_state state)
{
    if (!t->hold.object) {
        return false;
    }
    enum edge_reuse reuse =
        edge_reuse_decide(&t->target.rule->rules, &t->hold.rep->fresh, &t->control, state, false, t->now_ms);
    if (!edge_reuse_serves(reuse)) {
        return false;
    }
    edge_txn_leave_fetch(t);
    t->verdict = EDGE_VERDICT_STALE;
    return true;
}

/* A content-hashed name pins its bytes: an error never replaces what is stored for it. */
static bool keeps_hashed(struct edge_txn *t, unsigned status)
{
    if (!t->hashed || !t->hold.object || status < 400 || edge_head_status(t->hold.rep->head) != 200) {
        return false;
    }
    edge_txn_leave_fetch(t);
    t->verdict = EDGE_VERDICT_STALE;
    return true;
}

/* Whether what is stored is given in place of the error that its fetch brought. */
static bool keeps_stored(struct edge_txn *t)
{
    const unsigned status = edge_head_status(t->fetch->rep->head);
    return (edge_freshness_status_is_error(status) && takes_stale(t, EDGE_ORIGIN_ERROR)) ||
           keeps_hashed(t, status);
}

/* It says 'what you have is good' to somebody who has nothing. */
static bool is_unasked_304(const struct edge_txn *t)
{
    return edge_head_status(t->fetch->rep->head) == 304 && edge_txn_is_cached_method(t) &&
           !t->conditions.if_none_match.p && !t->conditions.if_modified_since.p;
}

static enum edge_step refuse_unasked_304(struct edge_txn *t)
{
    return edge_deliver_error(t, 502, "the origin answered 304 to a request without a condition");
}

static enum edge_step failed(struct edge_txn *t)
{
    const enum http_fetch_error e = t->fetch->error;
    if (takes_stale(t, edge_breaker_kind(e)) || keeps_hashed(t, 502)) {
        return EDGE_STEP_STORED;
    }
    const bool forbidden = t->hold.object && t->hold.rep->fresh.must_revalidate; /* RFC 9111 5.2.2.2 */
    const bool late = e == HTTP_FETCH_TIMEOUT || e == HTTP_FETCH_READ_TIMEOUT;
    char detail[128];
    snprintf(detail, sizeof(detail), "the origin did not answer: %s", http_fetch_error_word(e));
    return edge_deliver_error(t, late || forbidden ? 504 : 502, detail);
}

/* ---- of the whole, for all who wait ---- */

static enum edge_step whole_answered(struct edge_txn *t)
{
    const struct edge_fetch *f = t->fetch;
    const unsigned status = edge_head_status(f->rep->head);
    if (keeps_stored(t)) {
        return EDGE_STEP_STORED;
    }
    if (!t->leader && !edge_upstream_fits(t, f->rep)) {
        return look_again(t);
    }
    if (is_unasked_304(t)) {
        return refuse_unasked_304(t);
    }
    t->verdict = t->hold.object ? EDGE_VERDICT_EXPIRED : EDGE_VERDICT_MISS;
    if (edge_fetch_phase_now(t->fetch) == EDGE_FETCH_PASSING && !edge_freshness_status_is_error(status)) {
        t->verdict = EDGE_VERDICT_BYPASS;
        t->cause = t->hold.object ? t->cause
                   : status == 200 && (f->scope.ranged || f->request.for_range)
                       ? EDGE_CAUSE_RANGE_IGNORED
                       : edge_cause_of_unstorable(f->reason);
    }
    return EDGE_STEP_STREAM;
}

static enum edge_step whole_unstorable(struct edge_txn *t)
{
    if (t->leader) {
        return whole_answered(t);
    }
    if (keeps_stored(t)) {
        return EDGE_STEP_STORED;
    }
    t->alone = true;
    return look_again(t);
}

static enum edge_step whole_confirmed(struct edge_txn *t)
{
    struct edge_cache *cache = t->worker->edge->cache;
    struct edge_hold *result = &t->fetch->result;
    if (!t->leader && /* the leader's request is the one the origin chose for */
        (t->fetch->leader_only || !edge_upstream_fits(t, result->rep))) {
        t->alone = t->fetch->leader_only;
        return look_again(t);
    }
    edge_cache_release(cache, &t->hold);
    if (!edge_cache_hold(cache, result->object, &t->hold)) {
        return look_again(t);
    }
    if (t->leader && t->fetch->leader_rep) {
        edge_rep_unref(t->hold.rep);
        t->hold.rep = edge_rep_ref(t->fetch->leader_rep);
    }
    t->verdict = EDGE_VERDICT_REVALIDATED;
    edge_cache_hit(cache, &t->hold);
    return EDGE_STEP_STORED;
}

/* ---- of one slice ---- */

static enum edge_step slice_answered(struct edge_txn *t)
{
    const struct edge_fetch *f = t->fetch;
    enum edge_step step;
    if (f->rep->whole < 0 && edge_freshness_status_is_error(edge_head_status(f->rep->head)) &&
        edge_part_serve_stale(t, EDGE_ORIGIN_ERROR, &step)) {
        return step;
    }
    if (f->rep->whole < 0) { /* the origin sends the whole */
        return whole_answered(t);
    }
    if (!t->leader && !edge_upstream_fits(t, f->rep)) { /* the leader's request chose it */
        return edge_txn_pass_instead(t, EDGE_CAUSE_BYPASS_RESPONSE);
    }
    return edge_part_serve_fetched(t);
}

static enum edge_step slice_unstorable(struct edge_txn *t)
{
    enum edge_step step;
    const unsigned status = edge_head_status(t->fetch->rep->head);
    if (edge_freshness_status_is_error(status) && edge_part_serve_stale(t, EDGE_ORIGIN_ERROR, &step)) {
        return step;
    }
    if (t->leader && status != 206) {
        return whole_answered(t);
    } /* nobody else's stretch: ask for exactly what the client wants */
    return edge_txn_pass_instead(t, EDGE_CAUSE_BYPASS_RESPONSE);
}

static enum edge_step slice_failed(struct edge_txn *t)
{
    enum edge_step step;
    return edge_part_serve_stale(t, edge_breaker_kind(t->fetch->error), &step) ? step : failed(t);
}

/* ---- for this request alone ---- */

static enum edge_step alone_answered(struct edge_txn *t)
{
    edge_invalidate_after_unsafe(t);
    if (keeps_stored(t)) { /* HEAD of something stale */
        return EDGE_STEP_STORED;
    }
    if (is_unasked_304(t)) {
        return refuse_unasked_304(t);
    }
    return t->upgrading ? edge_tunnel_answer(t) : EDGE_STEP_STREAM;
}

/* ---- which of them ---- */

static enum edge_step wait(struct edge_txn *t)
{
    return edge_txn_wait(t, EDGE_STEP_FETCHED);
}

enum edge_step edge_fetched(struct edge_txn *t)
{
    static enum edge_step (*const act[EDGE_WISH_COUNT][EDGE_FETCH_PHASE_COUNT])(struct edge_txn *) = {
        [EDGE_WISH_WHOLE] = {[EDGE_FETCH_ASKING] = wait,
                             [EDGE_FETCH_STORING] = whole_answered,
                             [EDGE_FETCH_PASSING] = whole_unstorable,
                             [EDGE_FETCH_CONFIRMED] = whole_confirmed,
                             [EDGE_FETCH_FAILED] = failed},
        [EDGE_WISH_SLICE] = {[EDGE_FETCH_ASKING] = wait,
                             [EDGE_FETCH_STORING] = slice_answered,
                             [EDGE_FETCH_PASSING] = slice_unstorable,
                             [EDGE_FETCH_CONFIRMED] = edge_part_serve_confirmed,
                             [EDGE_FETCH_FAILED] = slice_failed},
        [EDGE_WISH_ALONE] = {[EDGE_FETCH_ASKING] = wait,
                             [EDGE_FETCH_STORING] = alone_answered,
                             [EDGE_FETCH_PASSING] = alone_answered,
                             [EDGE_FETCH_CONFIRMED] = failed,
                             [EDGE_FETCH_FAILED] = failed},
    };
    return act[t->wish][edge_fetch_phase_now(t->fetch)](t);
}
