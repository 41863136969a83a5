/* cache_past: what is remembered of keys beyond what is stored: why it went, that it may not be stored, that
 * its refresh failed. All of it lies in the ghosts, so it is bounded, and may be forgotten. */
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/ghost.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/storable.h"
#include "edge/store/store.h"

#include <stdbool.h>
#include <stdint.h>

#include "common/banned.h"

static enum edge_cause cause_of(enum edge_ghost_reason reason)
{
    switch (reason) {
    case EDGE_GHOST_PURGED:
        return EDGE_CAUSE_PURGED;
    case EDGE_GHOST_CORRUPT:
        return EDGE_CAUSE_CORRUPT;
    case EDGE_GHOST_EXPIRED:
        return EDGE_CAUSE_EXPIRED;
    case EDGE_GHOST_UNSTORABLE:
    case EDGE_GHOST_FAILING:
        return EDGE_CAUSE_COLD;
    case EDGE_GHOST_EVICTED:
    case EDGE_GHOST_REASON_COUNT:
        break;
    }
    return EDGE_CAUSE_EVICTED;
}

void edge_cache_past_locked(const struct edge_cache *c, const struct edge_entry *e, int64_t now_ms,
                            struct edge_past *ret)
{
    struct edge_ghost_entry gone;
    *ret = (struct edge_past){.missing = EDGE_CAUSE_COLD, .may_refresh = true};
    if (!edge_ghost_find(c->ghost, edge_entry_hash(e).a, &gone)) {
        return;
    }
    const int64_t age_s = now_ms / 1000 - gone.time_s;
    ret->missing = cause_of(gone.reason);
    if (gone.reason == EDGE_GHOST_UNSTORABLE) {
        ret->unstorable = true;
        ret->why = (enum edge_store_reason)gone.note;
        ret->parallel = age_s >= 0 && age_s < EDGE_PASS_S;
    } else if (gone.reason == EDGE_GHOST_FAILING) {
        ret->may_refresh = age_s < 0 || age_s > gone.note; /* both are cut to seconds: at least the pause */
        ret->failing = gone.note >= EDGE_REFRESH_PAUSE_LONG_S || !ret->may_refresh;
    }
}

void edge_cache_note_unstorable(struct edge_cache *c, const struct edge_entry *e, enum edge_store_reason why,
                                int64_t now_ms)
{
    const uint64_t hash = edge_entry_hash(e).a;
    edge_cache_lock(c);
    edge_ghost_put(c->ghost, hash, EDGE_GHOST_UNSTORABLE, now_ms / 1000, 0);
    edge_ghost_note(c->ghost, hash, (uint8_t)why);
    edge_cache_unlock(c);
}

void edge_cache_note_storable(struct edge_cache *c, const struct edge_entry *e)
{
    struct edge_ghost_entry gone;
    const uint64_t hash = edge_entry_hash(e).a;
    edge_cache_lock(c);
    if (edge_ghost_find(c->ghost, hash, &gone) && gone.reason == EDGE_GHOST_UNSTORABLE) {
        edge_ghost_forget(c->ghost, hash);
    }
    edge_cache_unlock(c);
}

static bool is_failing(const struct edge_cache *c, const struct edge_entry *e, struct edge_ghost_entry *ret)
{
    return edge_ghost_find(c->ghost, edge_entry_hash(e).a, ret) && ret->reason == EDGE_GHOST_FAILING;
}

void edge_cache_refresh_failed(struct edge_cache *c, const struct edge_entry *e, int64_t now_ms)
{
    struct edge_ghost_entry failing;
    const uint64_t hash = edge_entry_hash(e).a;
    edge_cache_lock(c);
    if (e->objects) {
        const unsigned pause_s = is_failing(c, e, &failing) ? failing.note * 2u : 2u;
        edge_ghost_put(c->ghost, hash, EDGE_GHOST_FAILING, now_ms / 1000, 0);
        edge_ghost_note(c->ghost, hash,
                        pause_s < EDGE_REFRESH_PAUSE_MAX_S ? (uint8_t)pause_s : EDGE_REFRESH_PAUSE_MAX_S);
    }
    edge_cache_unlock(c);
}

void edge_cache_refresh_answered(struct edge_cache *c, const struct edge_entry *e)
{
    struct edge_ghost_entry failing;
    edge_cache_lock(c);
    if (is_failing(c, e, &failing)) {
        edge_ghost_forget(c->ghost, edge_entry_hash(e).a);
    }
    edge_cache_unlock(c);
}

bool edge_cache_may_refresh(struct edge_cache *c, const struct edge_entry *e, int64_t now_ms)
{
    struct edge_past past;
    edge_cache_lock(c);
    edge_cache_past_locked(c, e, now_ms, &past);
    edge_cache_unlock(c);
    return past.may_refresh;
}
