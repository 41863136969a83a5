/* policy: which object leaves when room is needed.
 *
 * One interface over several policies, found by name: "s3fifo", "sieve", "lru", "fifo" (Yang et al., SOSP
 * 2023 and Zhang et al., NSDI 2024 for the first two). A policy owns no memory of the objects: it links the
 * `struct edge_policy_item` that the engine embeds in its entry, and sizes are what the engine says they are
 * (key, head, body and overhead together).
 *
 * Life of an item:
 *     admission = edge_policy_admit(p, hash, size);         a miss; REFUSED: too large, do not store
 *     while (edge_policy_short(p, size))                    room for the whole object first
 *         drop(edge_policy_evict_next(p, &steps));          the victim is unlinked already; NULL: see there
 *     edge_policy_insert(p, &entry->item, size, admission);
 *     edge_policy_hit(&entry->item);                        any number of times, any thread, no lock
 *     edge_policy_remove(p, &entry->item);                  purge; or it is returned by evict_next
 *
 * Locks: edge_policy_hit takes none and may race with everything, as long as the memory of the item lives; it
 * writes one byte, and only if that changes. All else is called under the owner's lock.
 */
#ifndef CDN_EDGE_POLICY_H
#define CDN_EDGE_POLICY_H
#include "common/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct edge_policy_item { /* 24 bytes; zero it before the first insert; all fields but `owner` are the
                             policy's */
    struct edge_policy_item *newer;
    struct edge_policy_item *older;
    uint32_t size_low;
    uint16_t size_high;
    _Atomic uint8_t
        heat;          /* high half: how far hits count (15: not at all, LRU moves); low half: hits counted */
    uint8_t queue : 2; /* 0: in no policy */
    uint8_t owner : 6; /* for the struct that embeds the item, under the owner's lock */
};
/* The hash of the key that an item in the policy stands for, as given to edge_policy_admit. */
typedef uint64_t edge_policy_hash_fn(const struct edge_policy_item *item);

#define EDGE_POLICY_SIZE_MAX ((UINT64_C(1) << 48) - 1)
#define EDGE_POLICY_HEAT_MOVES 0xf0u

struct edge_policy;

enum edge_policy_admission {
    EDGE_POLICY_REFUSED,  /* larger than this policy can hold at its capacity: "too large for this cache" */
    EDGE_POLICY_NEW,      /* welcome, never seen or forgotten */
    EDGE_POLICY_RETURNED, /* welcome, and the policy's ghost remembers it: joins the proven ones */
};

/* Creates a policy for `capacity` bytes. CDN_INVALID for an unknown name (the sentence lists the known). */
enum cdn_status edge_policy_create(const char *name, uint64_t capacity, edge_policy_hash_fn *hash_of,
                                   struct edge_policy **ret, struct cdn_error *err) CDN_MUST_CHECK;
void edge_policy_destroy(struct edge_policy *p); /* does not touch the items */
const char *edge_policy_names(void);             /* "s3fifo, sieve, lru, fifo" */

/* Notes a hit. True only under LRU: then the caller takes the lock and calls edge_policy_touch, whose list
 * moves. */
static inline bool edge_policy_hit(struct edge_policy_item *item)
{
    unsigned heat = atomic_load_explicit(&item->heat, memory_order_relaxed);
    if ((heat & 15u) < heat >> 4 && heat < EDGE_POLICY_HEAT_MOVES) {
        atomic_store_explicit(&item->heat, (uint8_t)(heat + 1), memory_order_relaxed);
    }
    return heat >= EDGE_POLICY_HEAT_MOVES;
}
void edge_policy_touch(struct edge_policy *p, struct edge_policy_item *item);

/* A miss of `hash` is about to be stored with `size` bytes. Takes the key out of the policy's ghost, so call
 * it once a miss, directly before making room and inserting. */
enum edge_policy_admission edge_policy_admit(struct edge_policy *p, uint64_t hash, uint64_t size);
/* The largest size that edge_policy_admit lets in now: for the words of a refusal. */
uint64_t edge_policy_size_max(const struct edge_policy *p);

/* Whether something has to leave before `size` more bytes fit. */
bool edge_policy_short(const struct edge_policy *p, uint64_t size);
/* Unlinks and returns the next item to drop. `steps` (NULL: without bound) is how many items may be looked
 * at; it is counted down. NULL is returned when nothing is left (*steps > 0), or when the steps are used up
 * (*steps is 0): then the caller may drop the lock, and go on later exactly where the policy stood. */
struct edge_policy_item *edge_policy_evict_next(struct edge_policy *p, unsigned *steps);
/* False when the policy does not take it after all (S3-FIFO: exactly as large as its small queue); the item
 * is then in no policy. Inserting does not look at the capacity. */
bool edge_policy_insert(struct edge_policy *p, struct edge_policy_item *item, uint64_t size,
                        enum edge_policy_admission admission);
/* Unlinks (SIEVE's hand moves on first) and forgets the key in the
 * ghost. Harmless on an item in no policy. */
void edge_policy_remove(struct edge_policy *p, struct edge_policy_item *item);
/* Purge of a key that is not resident: it must not come back as a proven one. */
void edge_policy_forget(struct edge_policy *p, uint64_t hash);
/* The object has another size now (revalidated with new headers); make room afterwards if
 * edge_policy_short(p, 0). */
void edge_policy_resize(struct edge_policy *p, struct edge_policy_item *item, uint64_t size);

bool edge_policy_ghost_has(const struct edge_policy *p, uint64_t hash);
uint64_t edge_policy_used(const struct edge_policy *p);  /* bytes */
uint64_t edge_policy_count(const struct edge_policy *p); /* items */
uint64_t edge_policy_capacity(const struct edge_policy *p);
/* Evict until !edge_policy_short(p, 0). */
void edge_policy_capacity_set(struct edge_policy *p, uint64_t capacity);

static inline bool edge_policy_has(const struct edge_policy_item *item)
{
    return item->queue != 0;
}

static inline uint64_t edge_policy_item_size(const struct edge_policy_item *item)
{
    return (uint64_t)item->size_high << 32 | item->size_low;
}

#endif
