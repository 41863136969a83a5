/* object: one stored response, as the index knows it.
 *
 * An entry (cache.h) stands for a cache key and has a list of objects, one for each stored variant (Vary) or
 * part (206). What an object *says* is its representation (`struct edge_rep`: head, freshness, variant),
 * immutable and counted; a 304 or a soft purge swaps in another one, a removal swaps in NULL. So whoever
 * holds a reference reads it without a lock, and a shortcut that was taken for a representation (hot.c) is
 * good exactly as long as the object's pointer still is that representation: one load on every hit, of a line
 * that is written only when it changes.
 *
 * The body is in RAM (`ram`), on disk (`location`), or both; while the disk writer works (`saving`) it stays
 * in RAM. An object that is only on disk and that nobody uses *sleeps*: what it says stays on disk too, and
 * its pointer is NULL until it is woken (cache_sleep.c). Who changes what: rep, ram, location, the flags and
 * the policy items under the cache's lock (cache.c).
 */
#ifndef CDN_EDGE_OBJECT_H
#define CDN_EDGE_OBJECT_H
#include "common/status.h"
#include "common/str.h"
#include "edge/cache/blob.h"
#include "edge/cache/policy.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/store/store.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct edge_entry;

struct edge_rep { /* one block with its head: in an order that leaves no gap before it */
    _Atomic unsigned refs;
    unsigned variant_length;
    struct edge_freshness fresh;
    int64_t stored_ms; /* cache clock: when it was stored or last confirmed */
    uint64_t first;    /* position of the body's first byte in the whole: 0 unless a part */
    int64_t whole;     /* length of the whole of which this is a part; -1: not a part */
    unsigned spec_length;
    struct edge_head head[]; /* one and its records; then the Vary spec, and the secondary key under it
                                (vary.h) */
};

/* Takes `head` over (copied, and freed). */
struct edge_rep *edge_rep_create(struct edge_head *head, const struct edge_freshness *fresh,
                                 int64_t stored_ms, struct cdn_str spec, struct cdn_str variant);
/* The same with another head (taken over; NULL: a copy of the old one) and freshness. */
struct edge_rep *edge_rep_with(const struct edge_rep *old, struct edge_head *head,
                               const struct edge_freshness *fresh, int64_t stored_ms);
/* What a part (206) says, as the answer for the whole: 200, without Content-Range. NULL when no head can be
 * made of it. */
struct edge_rep *edge_rep_as_whole(const struct edge_rep *part);
struct edge_rep *edge_rep_ref(struct edge_rep *rep);
void edge_rep_unref(struct edge_rep *rep); /* NULL is fine */
struct cdn_str edge_rep_spec(const struct edge_rep *rep);
struct cdn_str edge_rep_variant(const struct edge_rep *rep);
size_t edge_rep_size(const struct edge_rep *rep); /* bytes of memory */
/* A soft purge of the stored form, in place: an edge_store_edit_fn. */
void edge_rep_soften_stored(char *meta, size_t n, int64_t now_ms);
/* As the disk tier keeps it; parse believes nothing (CDN_CORRUPT). */
void edge_rep_format(const struct edge_rep *rep, struct cdn_buf *into);
enum cdn_status edge_rep_parse(struct cdn_str meta, struct edge_rep **ret,
                               struct cdn_error *err) CDN_MUST_CHECK;

struct edge_ram { /* the RAM tier's hold on a body; counted, since a hot table marks hits on it */
    struct edge_policy_item item;
    struct edge_object *object; /* borrowed; valid while item is in the policy (lock) */
    struct edge_blob *blob;
    _Atomic unsigned refs;
};
struct edge_ram *edge_ram_create(struct edge_object *object,
                                 struct edge_blob *blob); /* takes a reference of blob */
struct edge_ram *edge_ram_ref(struct edge_ram *ram);
void edge_ram_unref(struct edge_ram *ram); /* NULL is fine */

/* Bits of an object, in its item's `owner`. */
enum {
    EDGE_OBJECT_LINKED = 1,      /* in its entry's list */
    EDGE_OBJECT_SAVING = 2,      /* the disk writer has it */
    EDGE_OBJECT_SAVE_PARITY = 4, /* of the turn in which the writing began */
    EDGE_OBJECT_RESTING = 8,     /* among those that will sleep next */
    EDGE_OBJECT_UPDATED = 16,    /* what it says now is in the store's index only, not where the body lies */
};

struct edge_object { /* there are as many as the disk holds: 96 bytes */
    struct edge_policy_item disk_item;
    struct edge_store_location location; /* id 0: not on disk; body is its length anyway */
    struct edge_entry *entry;            /* counted; fixed */
    struct edge_object *next;            /* in the entry's list, newest first */
    struct edge_rep *_Atomic rep;        /* counted; NULL: gone, or asleep while linked */
    struct edge_ram *_Atomic ram;        /* counted; NULL: not in RAM */
    struct edge_tags *tags;              /* owned; the surrogate keys (cache_tags.c); NULL: none */
    _Atomic unsigned refs;
    _Atomic unsigned hits; /* counted on the long way, and by hot tables when they let go */
};

/* Under the cache's lock. */
static inline uint64_t edge_object_length(const struct edge_object *o) /* of the body; never changes */
{
    return o->location.body;
}

static inline bool edge_object_is(const struct edge_object *o, unsigned bit)
{
    return (o->disk_item.owner & bit) != 0;
}

static inline void edge_object_set(struct edge_object *o, unsigned bit, bool on)
{
    o->disk_item.owner = (on ? o->disk_item.owner | bit : o->disk_item.owner & ~bit) & 63u;
}

static inline bool edge_object_asleep(struct edge_object *o)
{
    return edge_object_is(o, EDGE_OBJECT_LINKED) && !atomic_load_explicit(&o->rep, memory_order_relaxed);
}

#endif
