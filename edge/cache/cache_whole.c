/* cache_whole: keys whose origin answers a range with the whole. Such a body is fetched once and stored; one
 * that cannot be kept has to be read from its beginning for each range, of which a client pays for one byte.
 * So how much is read and thrown away for ranges of one key has a limit, too. Bounded in number and time;
 * what is forgotten is asked for a range once more. */
#include "common/str.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/ghost.h"
#include "edge/store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

#define KEYS ((size_t)4096)
#define SKIP_UNIT (EDGE_SKIP_MAX / EDGE_GHOST_NOTE_MAX)

/* As reasons, for want of words of their own. */
#define KEEPABLE EDGE_GHOST_EVICTED
#define NOT_KEEPABLE EDGE_GHOST_UNSTORABLE

struct edge_ghost *edge_whole_create(void)
{
    return edge_ghost_create(KEYS, UINT64_MAX);
}

static bool find(const struct edge_cache *c, uint64_t hash, int64_t now_ms, struct edge_ghost_entry *ret)
{
    if (!edge_ghost_find(c->wholes, hash, ret)) {
        return false;
    }
    const int64_t age_s = now_ms / 1000 - ret->time_s;
    return age_s >= 0 && age_s < EDGE_WHOLE_S;
}

void edge_cache_note_whole(struct edge_cache *c, const struct edge_entry *e, bool keepable, int64_t now_ms)
{
    struct edge_ghost_entry known;
    const uint64_t hash = edge_entry_hash(e).a;
    edge_cache_lock(c);
    const uint8_t skipped = find(c, hash, now_ms, &known) ? known.note : 0;
    const int64_t since_s = skipped ? known.time_s : now_ms / 1000;
    edge_ghost_put(c->wholes, hash, keepable ? KEEPABLE : NOT_KEEPABLE, since_s, 0);
    edge_ghost_note(c->wholes, hash, skipped);
    edge_cache_unlock(c);
}

void edge_cache_note_ranged(struct edge_cache *c, const struct edge_entry *e)
{
    edge_cache_lock(c);
    edge_ghost_forget(c->wholes, edge_entry_hash(e).a);
    edge_cache_unlock(c);
}

enum edge_whole edge_cache_whole_locked(const struct edge_cache *c, const struct edge_entry *e,
                                        int64_t now_ms)
{
    struct edge_ghost_entry known;
    if (!find(c, edge_entry_hash(e).a, now_ms, &known)) {
        return EDGE_WHOLE_UNKNOWN;
    }
    return known.reason == KEEPABLE ? EDGE_WHOLE_KEEPABLE : EDGE_WHOLE_NOT_KEEPABLE;
}

bool edge_cache_may_skip(struct edge_cache *c, struct cdn_str key, uint64_t bytes, int64_t now_ms)
{
    struct edge_store_key hash;
    struct edge_ghost_entry known;
    const uint64_t units = bytes / SKIP_UNIT;
    if (!units) {
        return true;
    }
    edge_cache_hash(key, &hash);
    edge_cache_lock(c);
    if (!find(c, hash.a, now_ms, &known)) {
        known = (struct edge_ghost_entry){.reason = NOT_KEEPABLE};
        edge_ghost_put(c->wholes, hash.a, known.reason, now_ms / 1000, 0);
    }
    const bool may = units <= EDGE_GHOST_NOTE_MAX - known.note;
    if (may) {
        edge_ghost_note(c->wholes, hash.a, (uint8_t)(known.note + units));
    }
    edge_cache_unlock(c);
    return may;
}
