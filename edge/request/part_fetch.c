/* part_fetch: what of a part may be used, and the fetches that bring what is missing.
 *
 * Both part.c, for the first byte of an answer, and the ranger, for each that follows, ask here, so that a
 * part is judged in one way however far an answer has come. A stale part is fetched as exactly the stretch
 * that it covers, so that a 304 confirms it; what is not stored, as the slice around it.
 */
#include "common/http/server/http_server.h"
#include "common/str.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/fetch/fetch.h"
#include "edge/request/part_private.h"
#include "edge/request/txn.h"
#include "edge/request/upstream.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/vary.h"
#include "edge/site/rule.h"
#include "edge/site/target.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

uint64_t edge_part_slice_size(const struct edge_txn *t)
{
    return t->worker->edge->settings.slice;
}

enum edge_reuse edge_part_reuse(const struct edge_txn *t, const struct edge_rep *rep,
                                enum edge_origin_state origin)
{
    struct edge *edge = t->worker->edge;
    const bool unsynced = origin == EDGE_ORIGIN_UP && atomic_load(&edge->unsynced);
    return edge_reuse_decide(&t->target.rule->rules, &rep->fresh, &t->control, origin, unsynced, t->now_ms);
}

bool edge_part_is_usable(const struct edge_txn *t, const struct edge_rep *rep)
{
    return t->verdict == EDGE_VERDICT_STALE || edge_reuse_serves(edge_part_reuse(t, rep, EDGE_ORIGIN_UP));
}

struct edge_fetch_scope edge_part_scope(const struct edge_hold *part)
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
bool edge_part_join(struct edge_txn *t, uint64_t at, const struct edge_fetch_scope *scope,
                    const struct edge_moment *moment, const struct edge_rep *newest, struct edge_hold *stale)
{
    struct edge_vary_source source = edge_upstream_source(t);
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

/* A fetch that confirms the stale part while it is being served, unless one is on its way. */
void edge_part_refresh(struct edge_txn *t, const struct edge_hold *part, const struct edge_moment *moment)
{
    struct edge_vary_source source = edge_upstream_source(t);
    const struct edge_fetch_wish wish = {.source = &source,
                                         .moment = *moment,
                                         .newest = part->rep,
                                         .scope = edge_part_scope(part),
                                         .at = part->rep->first};
    struct edge_hold own = {0};
    bool made;
    struct edge_fetch *f = edge_fetch_join_or_make(t->worker, t->entry, &wish, NULL, &made);
    if (f) {
        (void)edge_cache_hold(t->worker->edge->cache, part->object, &own);
        begin(t, f, &own, true);
    }
}
