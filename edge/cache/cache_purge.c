/* cache_purge: by key, prefix and tag, and all; each walks only what it hits. A purge has a number; a fetch
 * that began before it does not bring back what it hit.
 */
#include "common/str.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/ghost.h"
#include "edge/cache/object.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/key.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

#define SEARCHES_MAX 256u /* rules of one path */

/* A soft purge makes the object stale (its windows count from now); the new representation goes to disk as
 * well, so that it stays stale over a restart. */
static void soften(struct edge_cache *c, struct edge_object *o, int64_t now_ms)
{
    const struct edge_rep *old = atomic_load(&o->rep);
    if (!old) {
        edge_sleep_soften(c, o, now_ms);
        return;
    }
    struct edge_freshness fresh = old->fresh;
    edge_freshness_soft_purge(&fresh, now_ms);
    struct edge_rep *rep = edge_rep_with(old, NULL, &fresh, old->stored_ms);
    edge_rep_unref(atomic_exchange(&o->rep, rep));
    edge_cache_changed_locked(c);
    edge_tier_disk_update(c, o, rep);
}

static uint64_t purge_entry(struct edge_cache *c, struct edge_entry *e, bool soft, int64_t now_ms)
{
    uint64_t count = 0;
    edge_cache_ref_locked(e);
    e->use->purged_at = c->purge_number;
    for (struct edge_object *o = e->objects, *next; o; o = next, count++) {
        next = o->next;
        if (soft) {
            soften(c, o, now_ms);
        } else {
            edge_cache_remove_locked(c, o, EDGE_GHOST_PURGED);
        }
    }
    edge_cache_leave_locked(c, e);
    return count;
}

uint64_t edge_cache_purge_key(struct edge_cache *c, struct cdn_str key, bool soft, int64_t now_ms)
{
    edge_cache_lock(c);
    c->purge_number++;
    if (!soft && !edge_cache_loaded(c)) {
        edge_cache_purge_early(c, key);
    }
    struct edge_entry *e = edge_cache_find_locked(c, key);
    uint64_t count = e ? purge_entry(c, e, soft, now_ms) : 0;
    edge_cache_unlock(c);
    return count;
}

uint64_t edge_cache_purge_prefix(struct edge_cache *c, struct cdn_str prefix, bool soft, int64_t now_ms)
{
    uint64_t count = 0;
    edge_cache_lock(c);
    c->purge_number++;
    for (struct edge_entry *e = edge_keys_from(c, prefix, false), *next;
         e && cdn_str_starts(edge_entry_key(e), prefix); e = next) {
        next = edge_keys_from(c, edge_entry_key(e), true);
        count += purge_entry(c, e, soft, now_ms);
    }
    edge_cache_unlock(c);
    return count;
}

uint64_t edge_cache_purge_all(struct edge_cache *c, bool soft, int64_t now_ms)
{
    return edge_cache_purge_prefix(c, CDN_STR(""), soft, now_ms);
}

bool edge_cache_next_site(struct edge_cache *c, struct cdn_buf *site)
{
    if (site->n) {
        cdn_buf_add_char(site, '/' + 1); /* after all keys of this one */
    }
    edge_cache_lock(c);
    const struct edge_entry *e = edge_keys_from(c, cdn_buf_str(site), false);
    cdn_buf_clear(site);
    if (e) {
        const struct cdn_str key = edge_entry_key(e);
        cdn_buf_add(site, key.p, (size_t)(edge_key_path(key).p - key.p));
    }
    edge_cache_unlock(c);
    return site->n > 0;
}

static uint64_t purge_hash(struct edge_cache *c, uint64_t hash, bool soft, int64_t now_ms)
{
    uint64_t count = 0;
    edge_cache_lock(c);
    edge_tags_note_purge(c, hash);
    for (struct edge_tag_link *link = edge_tags_first(c, hash), *next; link; link = next, count++) {
        next = edge_tags_next(link);
        if (soft) {
            soften(c, link->object, now_ms);
        } else {
            edge_cache_remove_locked(c, link->object, EDGE_GHOST_PURGED);
        }
    }
    edge_cache_unlock(c);
    return count;
}

uint64_t edge_cache_purge_tag(struct edge_cache *c, struct cdn_str tag, bool soft, int64_t now_ms)
{
    return purge_hash(c, edge_tags_hash(tag), soft, now_ms);
}

uint64_t edge_cache_purge_group(struct edge_cache *c, struct cdn_str key, struct cdn_str group,
                                int64_t now_ms)
{
    return purge_hash(c, edge_tags_group_hash(key, group), false, now_ms);
}

uint64_t edge_cache_purge_search(struct edge_cache *c, struct cdn_str key, bool soft, int64_t now_ms)
{
    uint64_t tags[SEARCHES_MAX], count = 0;
    if (!atomic_load_explicit(&c->search_count, memory_order_relaxed)) {
        return 0;
    }
    const unsigned n = edge_search_tags(c, key, tags, SEARCHES_MAX);
    for (unsigned i = 0; i < n; i++) {
        count += purge_hash(c, tags[i], soft, now_ms);
    }
    return count;
}
