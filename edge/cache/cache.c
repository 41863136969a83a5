/* cache: entries and objects: finding, holding, linking, removing. Tiers, tags, purging, loading
 * and sleep are in cache_*.c. Functions named ..._locked are called with the lock held. The
 * table's places come from a secret, so that nobody can choose URLs that all fall into one chain. */
#include "edge/cache/cache.h"

#include "common/clock.h"
#include "common/lock.h"
#include "common/mem.h"
#include "common/mix.h"
#include "common/secret.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/cache/admission.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/ghost.h"
#include "edge/cache/object.h"
#include "edge/cache/policy.h"
#include "edge/memory/budget.h"
#include "edge/memory/lock_order.h"
#include "edge/memory/pages.h"
#include "edge/store/store.h"

#include <assert.h>
#include <bsd/sys/tree.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/banned.h"

/* What is remembered of keys, for USUAL_MEMORY and more; with less memory less. */
#define USUAL_MEMORY (UINT64_C(256) << 20)
#define GHOST_ENTRIES ((size_t)1 << 17)
#define DOORKEEPER_LOG2_BITS 24
#define DOORKEEPER_ROTATE 500000
#define LEAST_SHIFT 5u /* a 32nd of that */
#define FIRST_BUCKETS ((size_t)1 << 10)

static_assert(sizeof(struct edge_object) == 96, "an object stays small");
static_assert(offsetof(struct edge_entry, key) == 46, "an entry stays small");

void edge_cache_hash(struct cdn_str key, struct edge_store_key *ret)
{
    XXH128_hash_t h = XXH3_128bits(key.p, key.n);
    *ret = (struct edge_store_key){.a = h.low64, .b = h.high64, .variant = 0};
}

struct edge_store_key edge_entry_hash(const struct edge_entry *e)
{
    struct edge_store_key hash;
    edge_cache_hash(edge_entry_key(e), &hash);
    return hash;
}

/* ---- for the policies ---- */

static uint64_t memory_hash(const struct edge_policy_item *item)
{
    const void *ram = (const char *)item - offsetof(struct edge_ram, item);
    return edge_entry_hash(((const struct edge_ram *)ram)->object->entry).a;
}

static uint64_t disk_hash(const struct edge_policy_item *item)
{
    const void *object = (const char *)item - offsetof(struct edge_object, disk_item);
    return edge_entry_hash(((const struct edge_object *)object)->entry).a;
}

/* The power of two by which the memory is less than usual. */
static unsigned memory_shift(uint64_t memory)
{
    unsigned shift = 0;
    while (shift < LEAST_SHIFT && memory << shift < USUAL_MEMORY) {
        shift++;
    }
    return shift;
}

enum cdn_status edge_cache_create(const struct edge_cache_config *config, struct edge_cache **ret,
                                  struct cdn_error *err)
{
    struct edge_cache *c = cdn_calloc(1, sizeof(*c));
    c->config = *config;
    cdn_lock_init(&c->lock, EDGE_LOCK_CACHE);
    c->secret = cdn_secret64();
    RB_INIT(&c->tags);
    c->bucket = cdn_calloc(FIRST_BUCKETS, sizeof(*c->bucket));
    c->bucket_mask = FIRST_BUCKETS - 1;
    const unsigned shift = memory_shift(config->memory);
    c->ghost = edge_ghost_create(GHOST_ENTRIES >> shift, UINT64_MAX);
    c->wholes = edge_whole_create();
    atomic_init(&c->loaded, config->store == NULL);
    enum cdn_status status =
        edge_policy_create(config->memory_policy, config->memory, memory_hash, &c->memory, err);
    if (status == CDN_OK && config->store) {
        status = edge_policy_create(config->disk_policy, edge_store_capacity(config->store), disk_hash,
                                    &c->disk, err);
        c->doorkeeper = edge_doorkeeper_create(DOORKEEPER_LOG2_BITS - shift, DOORKEEPER_ROTATE >> shift);
    }
    if (status != CDN_OK) {
        edge_cache_destroy(c);
        return status;
    }
    *ret = c;
    return CDN_OK;
}

void edge_cache_destroy(struct edge_cache *c)
{
    if (!c) {
        return;
    }
    edge_cache_lock(c);
    for (size_t i = 0; i <= c->bucket_mask; i++) {
        for (struct edge_entry *e = c->bucket[i], *next; e; e = next) {
            next = e->chain;
            edge_cache_ref_locked(e); /* stays while its objects go */
            while (e->objects) {
                e->objects->location.id = 0; /* stays on disk */
                edge_cache_remove_locked(c, e->objects, EDGE_GHOST_EVICTED);
            }
            edge_cache_leave_locked(c, e);
        }
    }
    edge_cache_unlock(c);
    edge_policy_destroy(c->memory);
    edge_policy_destroy(c->disk);
    edge_doorkeeper_destroy(c->doorkeeper);
    edge_ghost_destroy(c->ghost);
    edge_ghost_destroy(c->wholes);
    cdn_lock_destroy(&c->lock);
    free(c->bucket);
    free(c->early);
    free(c);
}

/* ---- entries ---- */

/* What places an entry: from the hash that it has on disk, too, by which the store speaks of it. */
uint32_t edge_cache_place(const struct edge_cache *c, const struct edge_store_key *key)
{
    return (uint32_t)cdn_mix64(cdn_mix64(key->a ^ c->secret) + key->b);
}

static uint32_t place_of(const struct edge_cache *c, struct cdn_str key)
{
    struct edge_store_key hash;
    edge_cache_hash(key, &hash);
    return edge_cache_place(c, &hash);
}

static void grow(struct edge_cache *c)
{
    size_t mask = c->bucket_mask * 2 + 1;
    struct edge_entry **bucket = cdn_calloc(mask + 1, sizeof(*bucket));
    for (size_t i = 0; i <= c->bucket_mask; i++) {
        for (struct edge_entry *e = c->bucket[i], *next; e; e = next) {
            next = e->chain;
            e->chain = bucket[e->hash & mask];
            bucket[e->hash & mask] = e;
        }
    }
    free(c->bucket);
    c->bucket = bucket;
    c->bucket_mask = mask;
}

static struct edge_entry *find(struct edge_cache *c, struct cdn_str key, uint32_t hash)
{
    struct edge_entry *e = c->bucket[hash & c->bucket_mask];
    while (e && !(e->hash == hash && cdn_str_eq(edge_entry_key(e), key))) {
        e = e->chain;
    }
    return e;
}

struct edge_entry *edge_cache_find_locked(struct edge_cache *c, struct cdn_str key)
{
    return find(c, key, place_of(c, key));
}

struct edge_entry *edge_cache_ref_locked(struct edge_entry *e)
{
    if (!e->use) {
        e->use = cdn_calloc(1, sizeof(*e->use));
    }
    e->use->refs++;
    return e;
}

struct edge_entry *edge_cache_enter_locked(struct edge_cache *c, struct cdn_str key)
{
    const uint32_t place = place_of(c, key);
    struct edge_entry *e = find(c, key, place);
    assert(key.n <= UINT16_MAX);
    if (!e) {
        if (c->entry_count > c->bucket_mask) {
            grow(c);
        }
        e = cdn_calloc(1, edge_entry_size(key.n));
        e->hash = place;
        e->key_length = (uint16_t)key.n;
        memcpy(e->key, key.p, key.n);
        e->chain = c->bucket[e->hash & c->bucket_mask];
        c->bucket[e->hash & c->bucket_mask] = e;
        c->entry_count++;
        edge_keys_insert(c, e);
    }
    return edge_cache_ref_locked(e);
}

struct edge_entry *edge_cache_enter(struct edge_cache *c, struct cdn_str key)
{
    edge_cache_lock(c);
    struct edge_entry *e = edge_cache_enter_locked(c, key);
    edge_cache_unlock(c);
    return e;
}

struct edge_entry *edge_cache_ref(struct edge_cache *c, struct edge_entry *e)
{
    edge_cache_lock(c);
    edge_cache_ref_locked(e);
    edge_cache_unlock(c);
    return e;
}

void edge_cache_leave_locked(struct edge_cache *c, struct edge_entry *e)
{
    if (--e->use->refs) {
        return;
    }
    free(CDN_TAKE(e->use));
    if (e->objects) {
        for (struct edge_object *o = e->objects; o; o = o->next) {
            edge_sleep_rest(c, o);
        }
        return;
    }
    struct edge_entry **link = &c->bucket[e->hash & c->bucket_mask];
    while (*link != e) {
        link = &(*link)->chain;
    }
    *link = e->chain;
    c->entry_count--;
    edge_keys_remove(c, e);
    free(e);
}

void edge_cache_leave(struct edge_cache *c, struct edge_entry *e)
{
    edge_cache_lock(c);
    edge_cache_leave_locked(c, e);
    edge_cache_unlock(c);
}

/* ---- objects ---- */

struct edge_object *edge_object_create(struct edge_entry *entry, struct edge_rep *rep, uint64_t body_length)
{
    struct edge_object *o = cdn_calloc(1, sizeof(*o));
    atomic_init(&o->refs, 1);
    atomic_init(&o->rep, rep);
    o->entry = edge_cache_ref_locked(entry);
    o->location.body = body_length & EDGE_STORE_BODY_MAX;
    return o;
}

void edge_object_unref_locked(struct edge_cache *c, struct edge_object *o)
{
    unsigned refs = atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel);
    if (refs == 2) {
        edge_sleep_rest(c, o);
    }
    if (refs > 1) {
        return;
    }
    edge_rep_unref(atomic_load(&o->rep));
    edge_ram_unref(atomic_load(&o->ram));
    edge_cache_leave_locked(c, o->entry);
    free(o->tags);
    free(o);
}

bool edge_cache_hold_locked(struct edge_object *o, struct edge_hold *ret)
{
    struct edge_rep *rep = atomic_load_explicit(&o->rep, memory_order_relaxed);
    if (!rep) {
        return false;
    }
    struct edge_ram *ram = atomic_load_explicit(&o->ram, memory_order_relaxed);
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    *ret = (struct edge_hold){.object = o,
                              .rep = edge_rep_ref(rep),
                              .ram = ram ? edge_ram_ref(ram) : NULL,
                              .location = o->location};
    return true;
}

bool edge_cache_hold(struct edge_cache *c, struct edge_object *o, struct edge_hold *ret)
{
    edge_cache_lock(c);
    const bool awake = edge_cache_hold_locked(o, ret);
    edge_cache_unlock(c);
    return awake;
}

void edge_cache_hold_again(const struct edge_hold *hold, struct edge_hold *ret)
{
    *ret = *hold;
    if (hold->object) {
        atomic_fetch_add_explicit(&hold->object->refs, 1, memory_order_relaxed);
        edge_rep_ref(hold->rep);
    }
    if (hold->ram) {
        edge_ram_ref(hold->ram);
    }
}

void edge_cache_release(struct edge_cache *c, struct edge_hold *hold)
{
    if (!hold->object) {
        return;
    }
    edge_rep_unref(hold->rep);
    edge_ram_unref(hold->ram);
    /* Usually not the last, nor the last user of what is on disk only: then no lock is needed. */
    const unsigned last = atomic_load_explicit(&hold->object->ram, memory_order_relaxed) ? 1 : 2;
    unsigned refs = atomic_load_explicit(&hold->object->refs, memory_order_relaxed);
    while (refs > last) {
        if (atomic_compare_exchange_weak_explicit(&hold->object->refs, &refs, refs - 1, memory_order_acq_rel,
                                                  memory_order_relaxed)) {
            *hold = (struct edge_hold){0};
            return;
        }
    }
    edge_cache_lock(c);
    edge_object_unref_locked(c, hold->object);
    edge_cache_unlock(c);
    *hold = (struct edge_hold){0};
}

void edge_object_link_locked(struct edge_cache *c, struct edge_object *o)
{
    o->next = o->entry->objects;
    o->entry->objects = o;
    o->entry->use->refs--; /* from now on the list keeps the entry; who links it holds another reference */
    edge_object_set(o, EDGE_OBJECT_LINKED, true);
    c->object_count++;
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    edge_tags_link(c, o, atomic_load(&o->rep)->head);
}

void edge_cache_remove_locked(struct edge_cache *c, struct edge_object *o, enum edge_ghost_reason reason)
{
    if (!edge_object_is(o, EDGE_OBJECT_LINKED)) {
        return;
    }
    struct edge_entry *e = o->entry;
    struct edge_object **link = &e->objects;
    while (*link != o) {
        link = &(*link)->next;
    }
    *link = o->next;
    edge_cache_ref_locked(e);
    edge_object_set(o, EDGE_OBJECT_LINKED, false);
    edge_sleep_forget(c, o);
    c->object_count--;
    struct edge_rep *rep = atomic_exchange(&o->rep, NULL);
    edge_cache_changed_locked(c);
    edge_tags_unlink(c, o);
    edge_tier_memory_leave(c, o);
    edge_tier_disk_leave(c, o);
    if (!e->objects) {
        edge_ghost_put(c->ghost, edge_entry_hash(e).a, reason, cdn_clock_now_s(), edge_object_length(o));
    }
    edge_rep_unref(rep);
    edge_object_unref_locked(c, o);
}

void edge_cache_remove(struct edge_cache *c, struct edge_object *o, enum edge_ghost_reason reason)
{
    edge_cache_lock(c);
    edge_cache_remove_locked(c, o, reason);
    edge_cache_unlock(c);
}

void edge_cache_disk_lost(struct edge_cache *c, const struct edge_hold *hold, enum edge_ghost_reason reason)
{
    const struct edge_store_location *was = &hold->location;
    edge_cache_lock(c);
    if (edge_store_location_eq(was, &hold->object->location)) {
        edge_cache_remove_locked(c, hold->object, reason);
    }
    edge_cache_unlock(c);
}

uint64_t edge_cache_changes(const struct edge_cache *c)
{
    return atomic_load_explicit(&c->changes, memory_order_acquire);
}

void edge_cache_hit(struct edge_cache *c, struct edge_hold *hold)
{
    atomic_fetch_add_explicit(&hold->object->hits, 1, memory_order_relaxed);
    bool moves = hold->ram ? edge_policy_hit(&hold->ram->item) : edge_policy_hit(&hold->object->disk_item);
    if (!moves) {
        return;
    }
    edge_cache_lock(c);
    if (hold->ram && edge_policy_has(&hold->ram->item)) {
        edge_policy_touch(c->memory, &hold->ram->item);
    } else if (!hold->ram && edge_policy_has(&hold->object->disk_item)) {
        edge_policy_touch(c->disk, &hold->object->disk_item);
    }
    edge_cache_unlock(c);
}

void edge_cache_offer_ram(struct edge_cache *c, struct edge_object *o, struct edge_blob *blob)
{
    edge_cache_lock(c);
    if (edge_object_is(o, EDGE_OBJECT_LINKED) && !atomic_load(&o->ram)) {
        edge_tier_memory_insert(c, o, blob, false);
    }
    edge_cache_unlock(c);
}

void edge_cache_stats(struct edge_cache *c, struct edge_cache_stats *ret)
{
    struct edge_budget_stats budget;
    struct edge_pages_stats pages;
    edge_budget_stats(&budget);
    edge_pages_stats(&pages);
    edge_cache_lock(c);
    *ret = (struct edge_cache_stats){
        .entries = c->entry_count,
        .objects = c->object_count,
        .memory_objects = edge_policy_count(c->memory),
        .memory_bytes = edge_policy_used(c->memory),
        .memory_capacity = edge_policy_capacity(c->memory),
        .disk_objects = c->disk ? edge_policy_count(c->disk) : 0,
        .disk_bytes = c->disk ? edge_policy_used(c->disk) : 0,
        .disk_capacity = c->disk ? edge_policy_capacity(c->disk) : 0,
        .memory_evictions = c->memory_evictions,
        .disk_evictions = c->disk_evictions,
        .too_large = c->too_large,
        .not_admitted = c->not_admitted,
        .memory_on_the_way = budget.on_the_way,
        .memory_connections = budget.connections + budget.fetches,
        .memory_index = budget.index,
        .memory_spare = pages.ready,
    };
    edge_cache_unlock(c);
}
