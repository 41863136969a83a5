/* lookup: what is stored for a request, what may be done with it, and what follows from the origin's answer.
 */
#include "common/mem.h"
#include "edge/request/txn.h"
#include "edge/cache/cache.h"

#include <stdio.h>

#include "common/banned.h"

/* How often a request looks again because the disk, or a fetch it joined, did not keep its promise. */
#define MAX_TRIES 4u

static void wait_fetch(struct edge_txn *t);

/* Whether the origin may choose this other variant for the request: one that it accepts, and that was not
 * negotiated by another Accept-Encoding. A tag need not tell codings apart, so a 304 does not say which of
 * them is meant. */
static bool may_be_chosen(const struct edge_rep *rep, struct edge_txn *t)
{
    struct edge_vary_source source = {edge_txn_vary_get, t};
    CDN_AUTOBUF struct cdn_buf own = {0};
    edge_vary_key(edge_rep_spec(rep), &source, &own);
    return edge_vary_accepts_coding(rep->head, &source) &&
           edge_vary_same_encoding(edge_rep_spec(rep), edge_rep_variant(rep), cdn_buf_str(&own));
}

/* Stored responses worth asking about: the selected one first, then the other variants. */
static void add_candidates(struct edge_txn *t, struct edge_fetch_request *r)
{
    if (t->hold.object && edge_cache_hold_locked(t->hold.object, &r->candidate[0])) {
        r->candidate_count = 1;
    }
    for (struct edge_object *o = t->entry->objects; o && r->candidate_count < EDGE_FETCH_CANDIDATES;
         o = o->next) {
        const struct edge_rep *rep = atomic_load(&o->rep);
        if (o != t->hold.object && rep && rep->whole < 0 && edge_head_count(rep->head, EDGE_HEAD_ETAG) &&
            may_be_chosen(rep, t) && edge_cache_hold_locked(o, &r->candidate[r->candidate_count])) {
            r->candidate_count++;
        }
    }
}

struct edge_fetch *edge_txn_new_fetch_locked(struct edge_txn *t, struct edge_fetch_request *r,
                                             bool background)
{
    struct edge_cache *cache = t->worker->edge->cache;
    edge_upstream_request(t, false, background, r);
    struct edge_fetch *f = edge_fetch_create(t->worker, edge_cache_ref_locked(t->entry), &t->control, r);
    f->purge_number = edge_cache_purge_number_locked(cache);
    const struct edge_rep *rep = t->entry->objects ? atomic_load(&t->entry->objects->rep) : NULL;
    if (rep) { /* Vary as it was last */
        CDN_AUTOBUF struct cdn_buf variant = {0};
        edge_vary_key(edge_rep_spec(rep), &(struct edge_vary_source){edge_txn_vary_get, t}, &variant);
        f->expected_spec = cdn_str_dup(edge_rep_spec(rep));
        f->expected_variant = cdn_str_dup(cdn_buf_str(&variant));
    }
    edge_fetch_list_locked(f);
    return f;
}

static struct edge_fetch *new_fetch_locked(struct edge_txn *t, bool background)
{
    struct edge_fetch_request r = {0};
    add_candidates(t, &r);
    return edge_txn_new_fetch_locked(t, &r, background);
}

static void refresh_behind_locked(struct edge_txn *t, struct edge_fetch **ret_start)
{
    struct edge_vary_source source = {edge_txn_vary_get, t};
    if (!edge_fetch_find_locked(t->entry, &source, false)) {
        *ret_start = new_fetch_locked(t, true);
    }
}

static bool must_look_on_disk(const struct edge_txn *t)
{
    return !t->looked_on_disk && !edge_cache_loaded(t->worker->edge->cache);
}

/* Under the lock: how the origin does, for all that is known: disconnected, or in trouble with this URL. */
static enum edge_origin_state origin_state(const struct edge_txn *t)
{
    const struct edge *edge = t->worker->edge;
    const enum edge_origin_state state = edge_breaker_state(&edge->breaker);
    return state == EDGE_ORIGIN_UP && edge_cache_failing_locked(edge->cache, t->entry, t->now_ms)
               ? EDGE_ORIGIN_ERROR
               : state;
}

/* Under the lock, with something stored: what may be done with it. */
static enum edge_reuse decide(struct edge_txn *t)
{
    struct edge *edge = t->worker->edge;
    const struct edge_rules *rules = &edge_tuning_now(edge)->rules;
    enum edge_reuse reuse =
        edge_reuse_decide(rules, &t->hold.rep->fresh, &t->control, EDGE_ORIGIN_UP,
                          atomic_load_explicit(&edge->unsynced, memory_order_relaxed), t->now_ms);
    if (edge_reuse_serves(reuse) || reuse == EDGE_REUSE_VALIDATE_REQUEST) {
        return reuse;
    }
    const enum edge_origin_state origin = origin_state(t);
    enum edge_reuse down =
        edge_reuse_decide(rules, &t->hold.rep->fresh, &t->control, origin, false, t->now_ms);
    return origin != EDGE_ORIGIN_UP && edge_reuse_serves(down) ? down : reuse;
}

/* Under the lock: whether a stale answer is refreshed behind now. */
static bool may_refresh_locked(struct edge_txn *t, enum edge_reuse reuse)
{
    struct edge *edge = t->worker->edge;
    if (reuse == EDGE_REUSE_STALE_ERROR && edge_breaker_state(&edge->breaker) != EDGE_ORIGIN_UP) {
        return edge_breaker_may_probe(&edge->breaker, loop_mono_ns(t->worker->loop));
    }
    return (reuse == EDGE_REUSE_STALE_REVALIDATE || reuse == EDGE_REUSE_STALE_ERROR) &&
           edge_cache_may_refresh_locked(edge->cache, t->entry, t->now_ms);
}

static void serve_stored(struct edge_txn *t, enum edge_reuse reuse)
{
    t->verdict = reuse == EDGE_REUSE_FRESH ? EDGE_VERDICT_HIT : EDGE_VERDICT_STALE;
    t->cause = edge_reuse_cause(reuse);
    if (t->cause == EDGE_CAUSE_NONE && t->hold.rep->fresh.mismatch) {
        t->cause = EDGE_CAUSE_HASH_MISMATCH;
    }
    edge_cache_hit(t->worker->edge->cache, &t->hold);
    edge_deliver_hold(t);
}

/* Whether it should not wait for another's fetch. */
static bool is_alone_locked(const struct edge_txn *t)
{
    enum edge_store_reason why;
    bool parallel;
    return t->alone ||
           (edge_cache_unstorable_locked(t->worker->edge->cache, t->entry, t->now_ms, &why, &parallel) &&
            parallel);
}

/* Under the lock: joins the running fetch or makes one (returned for starting without the lock). */
static struct edge_fetch *join_or_make_locked(struct edge_txn *t, bool alone)
{
    struct edge_vary_source source = {edge_txn_vary_get, t};
    struct edge_fetch *f = edge_fetch_find_locked(t->entry, &source, alone);
    struct edge_fetch *made = NULL;
    if (!f) {
        f = made = new_fetch_locked(t, false);
        f->request.parallel = alone;
    }
    edge_fetch_join(f, t->worker, &t->waiter);
    t->fetch = f;
    t->leader = made != NULL;
    return made;
}

static void start_and_drop(struct edge_fetch *f)
{
    if (f) {
        edge_fetch_start(f);
        edge_fetch_unref(f);
    }
}

bool edge_txn_only_cached(const struct edge_txn *t)
{
    return edge_request_only_if_cached(&edge_tuning_now(t->worker->edge)->rules, &t->control);
}

void edge_txn_refuse_uncached(struct edge_txn *t)
{
    edge_deliver_error(t, 504, "only-if-cached, and nothing usable is stored");
}

void edge_request_lookup(struct edge_txn *t)
{
    struct edge_cache *cache = t->worker->edge->cache;
    struct edge_vary_source source = {edge_txn_vary_get, t};
    struct edge_fetch *start = NULL;
    enum edge_reuse reuse = EDGE_REUSE_COUNT;
    bool others = false;
    edge_cache_release(cache, &t->hold);
    edge_cache_lock(cache);
    if (!t->entry) {
        t->entry = edge_cache_enter_locked(cache, cdn_buf_str(&t->key));
    }
    while (edge_cache_asleep_locked(t->entry)) {
        edge_cache_unlock(cache);
        if (!edge_cache_wake(cache, t->entry, edge_txn_disk_done, t)) {
            edge_txn_wait_disk(t, edge_request_lookup);
            return;
        }
        edge_cache_lock(cache);
    }
    bool found = edge_cache_select_locked(cache, t->entry, &source, &t->hold, &others);
    if (!found && must_look_on_disk(t)) {
        edge_cache_unlock(cache);
        t->looked_on_disk = true;
        edge_txn_wait_disk(t, edge_request_lookup);
        edge_cache_find_on_disk(cache, cdn_buf_str(&t->key), edge_txn_disk_done, t);
        return;
    }
    if (found) {
        t->hashed = t->hashed && !t->hold.rep->fresh.mismatch;
        reuse = decide(t);
        t->cause = edge_reuse_cause(reuse);
    } else {
        t->cause = others ? EDGE_CAUSE_VARY : edge_cache_missing_locked(cache, t->entry);
    }
    const bool only_cached = edge_txn_only_cached(t);
    bool serves = found && edge_reuse_serves(reuse);
    const bool alone = is_alone_locked(t);
    bool passes = !found && alone && t->conditions.range.p; /* of what could not be stored whole */
    if (!found && !passes && edge_part_wants_locked(t)) {
        edge_cache_unlock(cache);
        edge_part_begin(t);
        return;
    }
    if (may_refresh_locked(t, reuse)) {
        refresh_behind_locked(t, &start);
    } else if (!serves && !only_cached && !passes && t->http->method == HTTP_GET) {
        start = join_or_make_locked(t, alone);
    }
    edge_cache_unlock(cache);
    start_and_drop(start);
    if (serves) {
        serve_stored(t, reuse);
    } else if (only_cached) {
        edge_txn_refuse_uncached(t);
    } else if (t->fetch) {
        wait_fetch(t);
    } else {
        edge_txn_pass(t, passes ? EDGE_CAUSE_BYPASS_RESPONSE : t->cause);
    }
}

/* ---- waiting for the origin ---- */

static void look_again(struct edge_txn *t)
{
    edge_txn_leave_fetch(t);
    if (++t->tries > MAX_TRIES) {
        edge_txn_pass(t, t->cause);
        return;
    }
    edge_request_lookup(t);
}

/* After an error of the origin: may the stale answer be given instead (RFC 5861 4; RFC 9111 4.2.4)? */
static bool serve_stale_instead(struct edge_txn *t, enum edge_origin_state state)
{
    if (!t->hold.object) {
        return false;
    }
    struct edge *edge = t->worker->edge;
    enum edge_reuse reuse = edge_reuse_decide(&edge_tuning_now(edge)->rules, &t->hold.rep->fresh, &t->control,
                                              state, false, t->now_ms);
    if (!edge_reuse_serves(reuse)) {
        return false;
    }
    edge_txn_leave_fetch(t);
    t->verdict = EDGE_VERDICT_STALE;
    edge_deliver_hold(t);
    return true;
}

/* A content-hashed name pins its bytes: an error never replaces what is stored for it. */
static bool keep_hashed(struct edge_txn *t, unsigned status)
{
    if (!t->hashed || !t->hold.object || status < 400 || edge_head_status(t->hold.rep->head) != 200) {
        return false;
    }
    edge_txn_leave_fetch(t);
    t->verdict = EDGE_VERDICT_STALE;
    edge_deliver_hold(t);
    return true;
}

bool edge_txn_keeps_stored(struct edge_txn *t)
{
    const unsigned status = edge_head_status(t->fetch->rep->head);
    return (edge_status_is_error(status) && serve_stale_instead(t, EDGE_ORIGIN_ERROR)) ||
           keep_hashed(t, status);
}

bool edge_txn_fits(struct edge_txn *t, const struct edge_rep *rep)
{
    return edge_rep_suits(rep, &(struct edge_vary_source){edge_txn_vary_get, t});
}

/* It says 'what you have is good' to somebody who has nothing. */
bool edge_txn_is_unasked_304(const struct edge_txn *t)
{
    return edge_head_status(t->fetch->rep->head) == 304 && edge_txn_is_cached_method(t) &&
           !t->conditions.if_none_match.p && !t->conditions.if_modified_since.p;
}

void edge_txn_got_answer(struct edge_txn *t)
{
    const struct edge_fetch *f = t->fetch;
    const unsigned status = edge_head_status(f->rep->head);
    if (edge_txn_keeps_stored(t)) {
        return;
    }
    if (!t->leader && !edge_txn_fits(t, f->rep)) {
        look_again(t);
        return;
    }
    if (edge_txn_is_unasked_304(t)) {
        edge_deliver_error(t, 502, "the origin answered 304 to a request without a condition");
        return;
    }
    t->verdict = t->hold.object ? EDGE_VERDICT_EXPIRED : EDGE_VERDICT_MISS;
    if (edge_fetch_phase_now(t->fetch) == EDGE_FETCH_PASSING && !edge_status_is_error(status)) {
        t->verdict = EDGE_VERDICT_BYPASS;
        t->cause = t->hold.object ? t->cause : edge_unstorable_cause(f->reason);
    }
    edge_deliver_fetch(t);
}

static void got_confirmation(struct edge_txn *t)
{
    struct edge_cache *cache = t->worker->edge->cache;
    struct edge_hold *result = &t->fetch->result;
    if (!t->leader && /* the leader's request is the one the origin chose for */
        (t->fetch->leader_only || !edge_txn_fits(t, result->rep))) {
        t->alone = t->fetch->leader_only;
        look_again(t);
        return;
    }
    edge_cache_release(cache, &t->hold);
    edge_cache_lock(cache);
    bool there = edge_cache_hold_locked(result->object, &t->hold);
    edge_cache_unlock(cache);
    if (!there) {
        look_again(t);
        return;
    }
    if (t->leader && t->fetch->leader_rep) {
        edge_rep_unref(t->hold.rep);
        t->hold.rep = edge_rep_ref(t->fetch->leader_rep);
    }
    t->verdict = EDGE_VERDICT_REVALIDATED;
    edge_cache_hit(cache, &t->hold);
    edge_deliver_hold(t);
}

void edge_txn_got_failure(struct edge_txn *t)
{
    const enum http_fetch_error e = t->fetch->error;
    if (serve_stale_instead(t, edge_breaker_kind(e)) || keep_hashed(t, 502)) {
        return;
    }
    const bool forbidden = t->hold.object && t->hold.rep->fresh.must_revalidate; /* RFC 9111 5.2.2.2 */
    const bool late = e == HTTP_FETCH_TIMEOUT || e == HTTP_FETCH_READ_TIMEOUT;
    char detail[128];
    snprintf(detail, sizeof detail, "the origin did not answer: %s", http_fetch_error_word(e));
    edge_deliver_error(t, late || forbidden ? 504 : 502, detail);
}

static void wait_fetch(struct edge_txn *t)
{
    switch (edge_fetch_phase_now(t->fetch)) {
    case EDGE_FETCH_ASKING:
        edge_txn_wait(t, wait_fetch);
        break;
    case EDGE_FETCH_STORING:
        edge_txn_got_answer(t);
        break;
    case EDGE_FETCH_PASSING:
        if (t->leader) {
            edge_txn_got_answer(t);
        } else if (!edge_txn_keeps_stored(t)) {
            t->alone = true;
            look_again(t);
        }
        break;
    case EDGE_FETCH_CONFIRMED:
        got_confirmation(t);
        break;
    case EDGE_FETCH_FAILED:
        edge_txn_got_failure(t);
        break;
    }
}
