/* What is stored (one look at the index) -> what to do (a pure decision) -> doing it. No lock is held in
 * between: what was found is held by references, and who joins a fetch says when it looked. */
#include "edge/request/lookup.h"

#include "common/http/server/http_server.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/base/worker.h"
#include "edge/cache/object.h"
#include "edge/fetch/fetch.h"
#include "edge/memory/budget.h"
#include "edge/request/deliver.h"
#include "edge/request/guarded.h"
#include "edge/request/part.h"
#include "edge/request/queue.h"
#include "edge/request/step.h"
#include "edge/request/txn.h"
#include "edge/request/upstream.h"
#include "edge/semantics/validate.h"
#include "edge/semantics/vary.h"
#include "edge/site/breaker.h"
#include "edge/site/origin.h"
#include "edge/site/rule.h"
#include "edge/site/target.h"

#include <stdatomic.h>
#include <stddef.h>

#include "common/banned.h"

#define SEARCHES_MAX 4u /* other spellings that are tried */

/* ---- the decision ---- */

static bool passes_range(const struct edge_lookup_facts *f)
{
    return !f->found && f->ranged && (f->alone || f->whole == EDGE_WHOLE_NOT_KEEPABLE);
}

enum edge_cause edge_lookup_cause(const struct edge_lookup_facts *f, enum edge_cause missing)
{
    if (f->found) {
        return edge_cause_of_reuse(f->reuse);
    }
    if (f->ranged && f->whole != EDGE_WHOLE_UNKNOWN && (passes_range(f) || missing == EDGE_CAUSE_COLD)) {
        return EDGE_CAUSE_RANGE_IGNORED;
    }
    return passes_range(f) ? EDGE_CAUSE_BYPASS_RESPONSE : missing;
}

enum edge_lookup_act edge_lookup_decide(const struct edge_lookup_facts *f)
{
    const bool passes = passes_range(f);
    if (f->found && edge_reuse_serves(f->reuse)) {
        return f->may_refresh ? EDGE_LOOKUP_SERVE_AND_REFRESH : EDGE_LOOKUP_SERVE;
    }
    if (!f->found && !passes && f->wants_part && !(f->ranged && f->whole != EDGE_WHOLE_UNKNOWN)) {
        return EDGE_LOOKUP_PART;
    }
    if (f->only_cached) {
        return EDGE_LOOKUP_REFUSE;
    }
    if (passes) {
        return EDGE_LOOKUP_PASS_RANGE;
    }
    return f->get ? EDGE_LOOKUP_FETCH : EDGE_LOOKUP_PASS;
}

static bool needs_origin(const struct edge_lookup_facts *f)
{
    const enum edge_lookup_act act = edge_lookup_decide(f);
    return act != EDGE_LOOKUP_SERVE && act != EDGE_LOOKUP_SERVE_AND_REFRESH && act != EDGE_LOOKUP_REFUSE;
}

/* ---- the facts ---- */

static bool must_look_on_disk(const struct edge_txn *t)
{
    return !t->looked_on_disk && !edge_cache_loaded(t->worker->edge->cache);
}

/* How the origin does, for all that is known: disconnected, or in trouble with this URL. */
static enum edge_origin_state origin_state(const struct edge_txn *t, const struct edge_stored *s)
{
    const enum edge_origin_state state =
        t->guard.limited ? EDGE_ORIGIN_DISCONNECTED : edge_rule_origin_state(t->target.rule);
    return state == EDGE_ORIGIN_UP && s->failing ? EDGE_ORIGIN_ERROR : state;
}

/* What may be done with the stored response. */
static enum edge_reuse reuse_of(const struct edge_txn *t, const struct edge_stored *s)
{
    struct edge *edge = t->worker->edge;
    const struct edge_rules *rules = &t->target.rule->rules;
    const struct edge_freshness *fresh = &s->hold.rep->fresh;
    enum edge_reuse reuse =
        edge_reuse_decide(rules, fresh, &t->control, EDGE_ORIGIN_UP,
                          atomic_load_explicit(&edge->unsynced, memory_order_relaxed), t->now_ms);
    if (edge_reuse_serves(reuse) || reuse == EDGE_REUSE_VALIDATE_REQUEST) {
        return reuse;
    }
    const enum edge_origin_state origin = origin_state(t, s);
    enum edge_reuse down = edge_reuse_decide(rules, fresh, &t->control, origin, false, t->now_ms);
    return origin != EDGE_ORIGIN_UP && edge_reuse_serves(down) ? down : reuse;
}

/* Whether a stale answer is refreshed in the background now. */
static bool may_refresh(struct edge_txn *t, const struct edge_stored *s, enum edge_reuse reuse)
{
    const struct edge_rule *rule = t->target.rule;
    if (reuse == EDGE_REUSE_STALE_ERROR && edge_rule_origin_state(rule) != EDGE_ORIGIN_UP) {
        return edge_breaker_may_probe(&rule->origin[0]->breaker, loop_mono_ns(t->worker->loop));
    }
    return (reuse == EDGE_REUSE_STALE_REVALIDATE || reuse == EDGE_REUSE_STALE_ERROR) && s->may_refresh &&
           edge_budget_fetches() > 0;
}

static void read_facts(struct edge_txn *t, const struct edge_stored *s, struct edge_lookup_facts *ret)
{
    const bool found = s->hold.object != NULL;
    *ret = (struct edge_lookup_facts){
        .found = found,
        .reuse = found ? reuse_of(t, s) : EDGE_REUSE_COUNT,
        .get = edge_txn_gets(t),
        .only_cached = edge_txn_only_cached(t),
        .ranged = t->conditions.range.p != NULL,
        .alone = t->alone || s->parallel,
        .whole = s->whole,
    };
    ret->may_refresh = found && !t->guard.limited && may_refresh(t, s, ret->reuse);
    ret->wants_part = !found && edge_part_wants(t);
}

/* ---- doing it ---- */

static enum edge_step serve_stored(struct edge_txn *t, enum edge_reuse reuse)
{
    t->verdict = reuse == EDGE_REUSE_FRESH ? EDGE_VERDICT_HIT : EDGE_VERDICT_STALE;
    t->cause = edge_cause_of_stored(reuse, &t->hold.rep->fresh);
    edge_cache_hit(t->worker->edge->cache, &t->hold);
    return EDGE_STEP_STORED;
}

/* Asks the origin with what is stored as conditions. */
static void begin(struct edge_txn *t, struct edge_fetch *f, const struct edge_stored *s, bool background,
                  bool for_range)
{
    struct edge_vary_source source = edge_upstream_source(t);
    struct edge_fetch_request r = {.background = background, .for_range = for_range};
    if (s->newest) {
        r.candidate_count = edge_cache_candidates(t->worker->edge->cache, t->entry, &t->hold, &source,
                                                  r.candidate, EDGE_FETCH_CANDIDATES);
    }
    edge_upstream_request(t, &f->scope, &r);
    edge_fetch_start(f, &t->control, &r);
}

static struct edge_fetch_wish wish_of(struct edge_txn *t, const struct edge_stored *s,
                                      const struct edge_vary_source *source, bool alone)
{
    return (struct edge_fetch_wish){
        .source = source,
        .moment = s->moment,
        .newest = s->newest,
        .sure = alone,
        .scope = {.parallel = alone, .authorized = t->http->field[HTTP_REQ_AUTHORIZATION].p != NULL},
    };
}

static void refresh_behind(struct edge_txn *t, const struct edge_stored *s)
{
    struct edge_vary_source source = edge_upstream_source(t);
    const struct edge_fetch_wish wish = wish_of(t, s, &source, false);
    bool made;
    struct edge_fetch *f = edge_fetch_join_or_make(t->worker, t->entry, &wish, NULL, &made);
    if (f) {
        begin(t, f, s, true, false);
    }
}

static enum edge_step fetch(struct edge_txn *t, const struct edge_stored *s,
                            const struct edge_lookup_facts *facts)
{
    struct edge_vary_source source = edge_upstream_source(t);
    struct edge_fetch_wish wish = wish_of(t, s, &source, facts->alone);
    wish.only_join = edge_queue_must_wait(t);
    bool made;
    struct edge_fetch *f = edge_fetch_join_or_make(t->worker, t->entry, &wish, &t->waiter, &made);
    if (!f) {
        return wish.only_join ? edge_queue_before(t, EDGE_STEP_LOOKUP) : EDGE_STEP_LOOKUP;
    }
    t->fetch = f;
    t->leader = made;
    t->wish = EDGE_WISH_WHOLE;
    if (made) {
        begin(t, f, s, false, facts->ranged && facts->whole == EDGE_WHOLE_KEEPABLE);
    }
    return EDGE_STEP_FETCHED;
}

/* ---- another spelling of the query ---- */

static struct cdn_str key_of(const struct edge_txn *t)
{
    return t->search_key.n ? cdn_buf_str(&t->search_key) : cdn_buf_str(&t->key);
}

static void leave(struct edge_txn *t)
{
    edge_cache_release(t->worker->edge->cache, &t->hold);
    if (t->entry) {
        edge_cache_leave(t->worker->edge->cache, CDN_TAKE(t->entry));
    }
}

/* Whether another key is to be looked up; what is stored there serves as it is, or not at all: whatever the
 * origin is asked is this request's own. */
static bool search(struct edge_txn *t)
{
    const bool found =
        t->searches < SEARCHES_MAX && !t->query_keyed &&
        edge_cache_search(t->worker->edge->cache, cdn_buf_str(&t->key), t->searches, &t->search_key);
    t->searches = found ? t->searches + 1 : SEARCHES_MAX;
    if (found) {
        leave(t);
    }
    return found;
}

/* What was found serves not: another, or the request's own key again. */
static void search_on(struct edge_txn *t)
{
    if (!search(t)) {
        cdn_buf_clear(&t->search_key);
        leave(t);
    }
}

static enum edge_step act(struct edge_txn *t, const struct edge_stored *s,
                          const struct edge_lookup_facts *facts)
{
    switch (edge_lookup_decide(facts)) {
    case EDGE_LOOKUP_SERVE_AND_REFRESH:
        refresh_behind(t, s);
        return serve_stored(t, facts->reuse);
    case EDGE_LOOKUP_SERVE:
        return serve_stored(t, facts->reuse);
    case EDGE_LOOKUP_PART:
        return EDGE_STEP_PART;
    case EDGE_LOOKUP_FETCH:
        return fetch(t, s, facts);
    case EDGE_LOOKUP_PASS:
    case EDGE_LOOKUP_PASS_RANGE:
        return edge_txn_pass(t, t->cause);
    case EDGE_LOOKUP_REFUSE:
        break;
    }
    return t->guard.limited ? edge_guarded_limited(t) : edge_deliver_uncached(t);
}

enum edge_step edge_lookup(struct edge_txn *t)
{
    struct edge_cache *cache = t->worker->edge->cache;
    struct edge_vary_source source = edge_upstream_source(t);
    struct edge_stored stored;
    struct edge_lookup_facts facts;
    edge_cache_release(cache, &t->hold);
    edge_cache_look(cache, key_of(t), &t->entry, &source, t->now_ms, &stored);
    if (stored.asleep) {
        return edge_cache_wake(cache, t->entry, edge_txn_disk_done, t)
                   ? EDGE_STEP_LOOKUP
                   : edge_txn_wait_disk(t, EDGE_STEP_LOOKUP);
    }
    t->hold = stored.hold;
    if (!t->hold.object && must_look_on_disk(t)) {
        edge_rep_unref(stored.newest);
        t->looked_on_disk = true;
        const enum edge_step wait = edge_txn_wait_disk(t, EDGE_STEP_LOOKUP);
        edge_cache_find_on_disk(cache, key_of(t), edge_txn_disk_done, t);
        return wait;
    }
    if (!t->hold.object && !t->search_key.n && search(t)) {
        edge_rep_unref(stored.newest);
        return EDGE_STEP_LOOKUP;
    }
    read_facts(t, &stored, &facts);
    if (t->search_key.n && edge_lookup_decide(&facts) != EDGE_LOOKUP_SERVE) {
        search_on(t);
        edge_rep_unref(stored.newest);
        return EDGE_STEP_LOOKUP;
    }
    if (needs_origin(&facts) && !edge_guarded_miss(t)) {
        read_facts(t, &stored, &facts); /* without the origin */
    }
    t->hashed = t->hashed && !(facts.found && t->hold.rep->fresh.promise == EDGE_PROMISE_BROKEN);
    t->cause = edge_lookup_cause(&facts, stored.others ? EDGE_CAUSE_VARY : stored.missing);
    const enum edge_step step = act(t, &stored, &facts);
    edge_rep_unref(stored.newest);
    return step;
}
