/* cache_publish: what fetches bring: complete responses in place of what they supersede, and newer words
 * about what is stored. In one place, since both ask whether a purge came in between, and both tell those
 * who wait for a fetch that something was published. */
#include "common/mem.h"
#include "common/str.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/ghost.h"
#include "edge/cache/object.h"
#include "edge/semantics/validate.h"
#include "edge/store/store.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

static bool same_variant(const struct edge_rep *a, const struct edge_rep *b)
{
    return cdn_str_eq(edge_rep_spec(a), edge_rep_spec(b)) &&
           cdn_str_eq(edge_rep_variant(a), edge_rep_variant(b));
}

/* Whether `old` has nothing to say any more once `now` is stored: the same variant, whole or the same part;
 * parts of a whole that is complete now; and whatever was part of, or is, another version of it. */
static bool superseded(const struct edge_rep *old, const struct edge_rep *now)
{
    if (!same_variant(old, now)) {
        return false;
    }
    if (now->whole < 0 || (old->whole >= 0 && old->first == now->first)) {
        return true;
    }
    return !edge_validate_may_combine(old->head, now->head);
}

static void supersede(struct edge_cache *c, struct edge_entry *e, const struct edge_rep *rep)
{
    unsigned kept = 0;
    for (struct edge_object *o = e->objects, *next; o; o = next) {
        const struct edge_rep *old = atomic_load(&o->rep);
        next = o->next;
        kept += !old || old->whole < 0;
        /* One that nobody woke may say anything: then it goes. */
        if (!old || superseded(old, rep) || (old->whole < 0 && kept >= c->config.variants)) {
            edge_cache_remove_locked(c, o, EDGE_GHOST_EXPIRED);
        }
    }
}

/* Without a user the entry does not remember: then any purge since may have been meant. */
static bool purged_since(const struct edge_cache *c, const struct edge_object *o, uint64_t number)
{
    const struct edge_use *use = o->entry->use;
    return (use ? use->purged_at : c->purge_number) > number || edge_tags_purged_since(c, o, number);
}

/* After the change: who finds a fetch gone then finds this number changed, too. */
static void note_published(struct edge_entry *e)
{
    if (e->use) {
        atomic_fetch_add_explicit(&e->use->published, 1, memory_order_release);
    }
}

void edge_cache_publish(struct edge_cache *c, struct edge_entry *e, uint64_t purge_number,
                        struct edge_rep *rep, struct edge_blob *blob, struct edge_store_file *file,
                        uint64_t file_length, struct edge_hold *ret_hold, bool *ret_kept)
{
    edge_cache_lock(c);
    supersede(c, e, rep);
    struct edge_object *o = edge_object_create(e, rep, blob ? blob->n : file_length);
    edge_object_link_locked(c, o);
    note_published(e);
    edge_ghost_forget(c->ghost, edge_entry_hash(e).a);
    bool purged = purged_since(c, o, purge_number);
    bool to_disk = !purged && c->disk && edge_tier_disk_admit(c, o, rep);
    bool in_memory = !purged && blob && edge_tier_memory_insert(c, o, blob, to_disk);
    edge_object_set(o, EDGE_OBJECT_SAVING, to_disk);
    *ret_kept = to_disk || in_memory;
    struct edge_rep *for_disk = to_disk ? edge_rep_ref(rep) : NULL;
    edge_cache_hold_locked(o, ret_hold);
    if (!*ret_kept) {
        edge_cache_remove_locked(c, o, purged ? EDGE_GHOST_PURGED : EDGE_GHOST_EVICTED);
    }
    edge_object_unref_locked(c, o);
    edge_cache_unlock(c);
    if (to_disk) {
        edge_tier_disk_write(c, ret_hold->object, for_disk, blob, CDN_TAKE(file));
    } else if (file) {
        edge_store_file_abort(file);
    }
    edge_blob_unref(blob);
}

bool edge_cache_refresh(struct edge_cache *c, struct edge_object *o, struct edge_rep *rep,
                        uint64_t purge_number)
{
    edge_cache_lock(c);
    bool there = edge_object_is(o, EDGE_OBJECT_LINKED) && !purged_since(c, o, purge_number) &&
                 !edge_tags_head_purged_since(c, o, rep->head, purge_number);
    if (there) {
        note_published(o->entry);
        edge_rep_unref(atomic_exchange(&o->rep, rep));
        edge_cache_changed_locked(c);
        edge_tags_unlink(c, o);
        edge_tags_link(c, o, rep->head);
        edge_tier_disk_update(c, o, rep);
        edge_tier_memory_resize(c, o); /* the last: the object may be the one that has to go */
    }
    edge_cache_unlock(c);
    if (!there) {
        edge_rep_unref(rep);
    }
    return there;
}
