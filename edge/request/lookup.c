/* lookup: what is stored for a request, what may be done with it, and what follows from the origin's answer.
 */
#include "common/mem.h"
#include "edge/request/part.h"
#include "edge/request/txn.h"
#include "edge/cache/cache.h"

#include <stdio.h>

#include "common/banned.h"

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

static enum edge_step serve_stored(struct edge_txn *t, enum edge_reuse reuse)
{
    t->verdict = reuse == EDGE_REUSE_FRESH ? EDGE_VERDICT_HIT : EDGE_VERDICT_STALE;
    t->cause = edge_stored_cause(reuse, &t->hold.rep->fresh);
    edge_cache_hit(t->worker->edge->cache, &t->hold);
    return EDGE_STEP_STORED;
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
static struct edge_fetch *join_or_make_locked(struct edge_txn *t, bool alone, bool for_range)
{
    struct edge_vary_source source = {edge_txn_vary_get, t};
    struct edge_fetch *f = edge_fetch_find_locked(t->entry, &source, alone);
    struct edge_fetch *made = NULL;
    if (!f) {
        f = made = new_fetch_locked(t, false);
        f->request.parallel = alone;
        f->request.for_range = for_range;
    }
    edge_fetch_join(f, t->worker, &t->waiter);
    t->fetch = f;
    t->leader = made != NULL;
    t->wish = EDGE_WISH_WHOLE;
    return made;
}

static void start_and_drop(struct edge_fetch *f)
{
    if (f) {
        edge_fetch_start(f);
        edge_fetch_unref(f);
    }
}

enum edge_step edge_lookup(struct edge_txn *t)
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
            return edge_txn_wait_disk(t, EDGE_STEP_LOOKUP);
        }
        edge_cache_lock(cache);
    }
    bool found = edge_cache_select_locked(cache, t->entry, &source, &t->hold, &others);
    if (!found && must_look_on_disk(t)) {
        edge_cache_unlock(cache);
        t->looked_on_disk = true;
        const enum edge_step wait = edge_txn_wait_disk(t, EDGE_STEP_LOOKUP);
        edge_cache_find_on_disk(cache, cdn_buf_str(&t->key), edge_txn_disk_done, t);
        return wait;
    }
    if (found) {
        t->hashed = t->hashed && t->hold.rep->fresh.promise != EDGE_PROMISE_BROKEN;
        reuse = decide(t);
        t->cause = edge_reuse_cause(reuse);
    } else {
        t->cause = others ? EDGE_CAUSE_VARY : edge_cache_missing_locked(cache, t->entry);
    }
    const bool only_cached = edge_txn_only_cached(t);
    bool serves = found && edge_reuse_serves(reuse);
    const bool alone = is_alone_locked(t);
    const enum edge_whole whole = !found && t->conditions.range.p
                                      ? edge_cache_whole_locked(cache, t->entry, t->now_ms)
                                      : EDGE_WHOLE_UNKNOWN;
    const bool passes = !found && t->conditions.range.p && /* of what could not be stored whole */
                        (alone || whole == EDGE_WHOLE_NOT_KEEPABLE);
    if (whole != EDGE_WHOLE_UNKNOWN && (passes || t->cause == EDGE_CAUSE_COLD)) {
        t->cause = EDGE_CAUSE_RANGE_IGNORED;
    } else if (passes) {
        t->cause = EDGE_CAUSE_BYPASS_RESPONSE;
    }
    if (!found && !passes && whole == EDGE_WHOLE_UNKNOWN && edge_part_wants_locked(t)) {
        edge_cache_unlock(cache);
        return EDGE_STEP_PART;
    }
    if (may_refresh_locked(t, reuse)) {
        refresh_behind_locked(t, &start);
    } else if (!serves && !only_cached && !passes && t->http->method == HTTP_GET) {
        start = join_or_make_locked(t, alone, whole == EDGE_WHOLE_KEEPABLE);
    }
    edge_cache_unlock(cache);
    start_and_drop(start);
    if (serves) {
        return serve_stored(t, reuse);
    }
    if (only_cached) {
        return edge_txn_refuse_uncached(t);
    }
    return t->fetch ? EDGE_STEP_FETCHED : edge_txn_pass(t, t->cause);
}
