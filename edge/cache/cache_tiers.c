/* cache_tiers: who enters and who leaves the RAM and the disk tier. All under the cache's lock unless said
 * otherwise. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/cache/admission.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/ghost.h"
#include "edge/cache/object.h"
#include "edge/cache/policy.h"
#include "edge/memory/budget.h"
#include "edge/store/store.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <xxhash.h>

#include "common/banned.h"

/* What an allocation costs beside its bytes. */
#define MALLOC_OVERHEAD 16
/* An insertion never walks more than this many items of a policy under the lock at once. */
#define EVICT_STEPS 4096
#define EVICT_FOR_INDEX 8u

uint64_t edge_object_cost(const struct edge_object *o, const struct edge_rep *rep)
{
    return sizeof(*o) + edge_entry_size(o->entry->key_length) + edge_rep_size(rep) + sizeof(struct edge_ram) +
           sizeof(struct edge_blob) + edge_tags_size(o) + (uint64_t)5 * MALLOC_OVERHEAD;
}

static uint64_t disk_cost(const struct edge_object *o, const struct edge_rep *rep)
{
    /* The stored form of a representation is its head and texts after a fixed part of about its own size. */
    return edge_store_cost(o->entry->key_length, edge_rep_size(rep), edge_object_length(o));
}

void edge_tier_drop_if_homeless(struct edge_cache *c, struct edge_object *o, enum edge_ghost_reason reason)
{
    if (!atomic_load(&o->ram) && !o->location.id && !edge_object_is(o, EDGE_OBJECT_SAVING)) {
        edge_cache_remove_locked(c, o, reason);
    }
}

/* ---- RAM ---- */

/* What the index takes for objects that are not in RAM. */
static uint64_t index_bytes(const struct edge_cache *c)
{
    const uint64_t count = edge_policy_count(c->memory);
    return c->object_count > count ? (c->object_count - count) * EDGE_BUDGET_INDEX : 0;
}

static void tell_budget(const struct edge_cache *c)
{
    edge_budget_tier(c->memory_bodies, edge_policy_used(c->memory));
    edge_budget_index(index_bytes(c));
}

void edge_tier_memory_leave(struct edge_cache *c, struct edge_object *o)
{
    struct edge_ram *ram = atomic_exchange(&o->ram, NULL);
    if (ram) {
        edge_cache_changed_locked(c);
        c->memory_bodies -= edge_policy_has(&ram->item) ? (int64_t)edge_blob_bytes(ram->blob) : 0;
        edge_policy_remove(c->memory, &ram->item);
        tell_budget(c);
        edge_ram_unref(ram);
    }
}

static void memory_evicted(struct edge_cache *c, struct edge_policy_item *item)
{
    struct edge_ram *ram = CDN_CONTAINER_OF(item, struct edge_ram, item);
    struct edge_object *o = ram->object;
    c->memory_evictions++;
    c->memory_bodies -= (int64_t)edge_blob_bytes(ram->blob);
    if (edge_object_is(o, EDGE_OBJECT_SAVING)) {
        return; /* out of the policy, but its only copy until the disk writer answers */
    }
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    edge_ram_unref(atomic_exchange(&o->ram, NULL));
    edge_cache_changed_locked(c);
    edge_tier_drop_if_homeless(c, o, EDGE_GHOST_EVICTED);
    edge_object_unref_locked(c, o);
}

/* For `size` more bytes, within what the others leave of the setting. */
static bool memory_room(struct edge_cache *c, uint64_t size)
{
    unsigned steps = EVICT_STEPS;
    while (edge_policy_short(c->memory, size + edge_budget_charge())) {
        struct edge_policy_item *item = edge_policy_evict_next(c->memory, &steps);
        if (!item) {
            return false;
        }
        memory_evicted(c, item);
        tell_budget(c);
    }
    return true;
}

void edge_cache_fit(struct edge_cache *c)
{
    if (edge_budget_is_over()) {
        edge_cache_lock(c);
        memory_room(c, 0);
        edge_cache_unlock(c);
    }
}

static enum edge_policy_admission memory_admit(struct edge_cache *c, const struct edge_object *o,
                                               uint64_t size, uint64_t body)
{
    const uint64_t hash = edge_entry_hash(o->entry).a;
    if (body > c->config.memory_object) {
        return EDGE_POLICY_REFUSED;
    }
    if (c->disk && edge_admission_nearly_full(edge_policy_used(c->memory), edge_policy_capacity(c->memory)) &&
        !edge_admission_by_size(c->config.seed, hash, c->draws++, body, EDGE_ADMISSION_SCALE)) {
        return EDGE_POLICY_REFUSED;
    }
    return edge_policy_admit(c->memory, hash, size);
}

/* `forced`: the body must stay for the disk writer; then it is held even when the policy does not want it. */
bool edge_tier_memory_insert(struct edge_cache *c, struct edge_object *o, struct edge_blob *blob, bool forced)
{
    const uint64_t size = edge_object_cost(o, atomic_load(&o->rep)) + edge_blob_bytes(blob);
    enum edge_policy_admission admission = memory_admit(c, o, size, blob->n);
    bool wanted = admission != EDGE_POLICY_REFUSED && memory_room(c, size);
    if ((!wanted && !forced) || !edge_object_is(o, EDGE_OBJECT_LINKED)) {
        c->too_large += !forced;
        return false;
    }
    struct edge_ram *ram = edge_ram_create(o, blob);
    if (wanted) {
        wanted = edge_policy_insert(c->memory, &ram->item, size, admission);
    }
    if (!wanted && !forced) {
        edge_ram_unref(ram);
        return false;
    }
    c->memory_bodies += wanted ? (int64_t)edge_blob_bytes(blob) : 0;
    tell_budget(c);
    atomic_store(&o->ram, ram);
    return true;
}

void edge_tier_memory_resize(struct edge_cache *c, struct edge_object *o)
{
    struct edge_ram *ram = atomic_load(&o->ram);
    if (ram && edge_policy_has(&ram->item)) {
        edge_policy_resize(c->memory, &ram->item,
                           edge_object_cost(o, atomic_load(&o->rep)) + edge_blob_bytes(ram->blob));
        memory_room(c, 0);
        tell_budget(c);
    }
}

void edge_cache_add_coded(struct edge_cache *c, struct edge_ram *ram, enum edge_coded_form form,
                          struct edge_blob *blob)
{
    struct edge_coded *coded = edge_blob_coded(ram->blob);
    edge_cache_lock(c);
    const uint64_t before = edge_blob_bytes(ram->blob);
    coded->blob[form] = blob;
    if (edge_policy_has(&ram->item)) {
        const uint64_t more = edge_blob_bytes(ram->blob) - before;
        edge_policy_resize(c->memory, &ram->item, edge_policy_item_size(&ram->item) + more);
        c->memory_bodies += (int64_t)more;
        memory_room(c, 0);
        tell_budget(c);
    }
    atomic_store(&coded->state[form], EDGE_CODED_DONE);
    edge_cache_unlock(c);
}

/* ---- disk ---- */

void edge_tier_disk_leave(struct edge_cache *c, struct edge_object *o)
{
    if (!c->disk) {
        return;
    }
    edge_policy_remove(c->disk, &o->disk_item);
    if (o->location.id) {
        edge_store_remove(c->config.store, &o->location);
        o->location.id = 0;
    }
}

static void disk_evicted(struct edge_cache *c, struct edge_policy_item *item)
{
    struct edge_object *o = CDN_CONTAINER_OF(item, struct edge_object, disk_item);
    c->disk_evictions++;
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    edge_tier_disk_leave(c, o);
    edge_tier_drop_if_homeless(c, o, EDGE_GHOST_EVICTED);
    edge_object_unref_locked(c, o);
}

bool edge_tier_index_is_full(const struct edge_cache *c)
{
    return index_bytes(c) >= edge_budget_index_most();
}

/* An object whose body is in RAM, too, leaves the disk and no room in the index: so a few, not one. */
static void index_room(struct edge_cache *c)
{
    unsigned steps = EVICT_STEPS;
    for (unsigned i = 0; i < EVICT_FOR_INDEX && edge_tier_index_is_full(c); i++) {
        struct edge_policy_item *item = edge_policy_evict_next(c->disk, &steps);
        if (!item) {
            return;
        }
        disk_evicted(c, item);
    }
}

bool edge_tier_disk_admit(struct edge_cache *c, struct edge_object *o, const struct edge_rep *rep)
{
    const uint64_t hash = edge_entry_hash(o->entry).a;
    const uint64_t size = disk_cost(o, rep);
    bool seen = edge_admission_roomy(edge_policy_used(c->disk), edge_policy_capacity(c->disk)) ||
                edge_doorkeeper_seen(c->doorkeeper, hash);
    if (!seen && edge_admission_nearly_full(edge_policy_used(c->disk), edge_policy_capacity(c->disk))) {
        c->not_admitted++;
        return false;
    }
    enum edge_policy_admission admission = edge_policy_admit(c->disk, hash, size);
    if (admission == EDGE_POLICY_REFUSED) {
        c->too_large++;
        return false;
    }
    index_room(c);
    unsigned steps = EVICT_STEPS;
    while (edge_policy_short(c->disk, size)) {
        struct edge_policy_item *item = edge_policy_evict_next(c->disk, &steps);
        if (!item) {
            return false;
        }
        disk_evicted(c, item);
    }
    if (!edge_policy_insert(c->disk, &o->disk_item, size, admission)) {
        return false;
    }
    edge_object_set(o, EDGE_OBJECT_SAVE_PARITY, c->save_turn & 1);
    c->saves_open[c->save_turn & 1]++;
    return true;
}

uint64_t edge_cache_save_turn(struct edge_cache *c)
{
    edge_cache_lock(c);
    uint64_t turn = c->save_turn;
    edge_cache_unlock(c);
    return turn;
}

/* A turn ends when the one before has no writes left, so two counters are enough (as in sleepable RCU). */
bool edge_cache_saves_settled(struct edge_cache *c, uint64_t turn)
{
    edge_cache_lock(c);
    c->save_turn += c->save_turn == turn && c->saves_open[(turn + 1) & 1] == 0;
    bool settled = c->save_turn > turn + 1 || (c->save_turn == turn + 1 && c->saves_open[turn & 1] == 0);
    edge_cache_unlock(c);
    return settled;
}

struct write_job { /* what the disk writer gets to carry */
    struct edge_cache *cache;
    struct edge_object *object; /* counted */
    struct edge_rep *rep;       /* counted: what was written */
    struct edge_blob *blob;     /* counted; NULL: a file of its own */
};

/* The representation may have changed while the disk writer had the old one. */
static struct edge_rep *changed_since(struct write_job *job)
{
    struct edge_rep *now = atomic_load(&job->object->rep);
    return now && now != job->rep ? edge_rep_ref(now) : NULL;
}

bool edge_cache_await_save(struct edge_cache *c, const struct edge_object *o, struct edge_save_waiter *waiter)
{
    edge_cache_lock(c);
    const bool saving = edge_object_is(o, EDGE_OBJECT_SAVING);
    if (saving) {
        waiter->object = o;
        waiter->next = c->save_waiters;
        c->save_waiters = waiter;
    }
    edge_cache_unlock(c);
    return saving;
}

static struct edge_save_waiter *take_waiters(struct edge_cache *c, const struct edge_object *o)
{
    struct edge_save_waiter *taken = NULL;
    for (struct edge_save_waiter **at = &c->save_waiters; *at;) {
        struct edge_save_waiter *w = *at;
        if (w->object == o) {
            *at = w->next;
            w->next = taken;
            taken = w;
        } else {
            at = &w->next;
        }
    }
    return taken;
}

void edge_tier_disk_update(struct edge_cache *c, struct edge_object *o, const struct edge_rep *rep)
{
    if (o->location.id) {
        CDN_AUTOBUF struct cdn_buf meta = {0};
        edge_rep_format(rep, &meta);
        edge_object_set(o, EDGE_OBJECT_UPDATED, true);
        const struct edge_store_key hash = edge_entry_hash(o->entry);
        edge_store_update(c->config.store, &hash, &o->location, cdn_buf_str(&meta));
    }
}

/* Writer thread: the body is on disk, or will not be. */
static void written(void *arg, enum cdn_status status, const struct edge_store_location *location)
{
    struct write_job *job = arg;
    struct edge_cache *c = job->cache;
    struct edge_object *o = job->object;
    struct edge_rep *update = NULL;
    edge_cache_lock(c);
    edge_object_set(o, EDGE_OBJECT_SAVING, false);
    if (status == CDN_OK && edge_object_is(o, EDGE_OBJECT_LINKED) && edge_policy_has(&o->disk_item)) {
        o->location = *location;
        update = changed_since(job);
    } else {
        edge_policy_remove(c->disk, &o->disk_item);
        if (status == CDN_OK) {
            edge_store_remove(c->config.store, location);
        }
    }
    struct edge_ram *ram = atomic_load(&o->ram);
    if (ram && !edge_policy_has(&ram->item)) { /* was only kept for the writer */
        edge_ram_unref(atomic_exchange(&o->ram, NULL));
        edge_cache_changed_locked(c);
    }
    edge_tier_drop_if_homeless(c, o, EDGE_GHOST_EVICTED);
    if (update) {
        edge_tier_disk_update(c, o, update);
        edge_rep_unref(update);
    }
    c->saves_open[edge_object_is(o, EDGE_OBJECT_SAVE_PARITY)]--;
    struct edge_save_waiter *waiter = take_waiters(c, o);
    edge_object_unref_locked(c, o);
    edge_cache_unlock(c);
    for (struct edge_save_waiter *next; waiter; waiter = next) {
        next = waiter->next;
        waiter->done(waiter->arg);
    }
    edge_rep_unref(job->rep);
    edge_blob_unref(job->blob);
    free(job);
}

static bool write_file(struct edge_cache *c, struct edge_blob *blob, struct edge_store_file **ret)
{
    if (edge_store_file_create(c->config.store, ret, NULL) != CDN_OK) {
        return false;
    }
    if (edge_store_file_write(*ret, 0, blob->data, blob->n, NULL) != CDN_OK) {
        edge_store_file_abort(*ret);
        return false;
    }
    return true;
}

void edge_tier_disk_write(struct edge_cache *c, struct edge_object *o, struct edge_rep *rep,
                          struct edge_blob *blob, struct edge_store_file *file)
{
    struct write_job *job = cdn_malloc(sizeof(*job));
    assert(blob || file);
    *job = (struct write_job){.cache = c, .object = o, .rep = rep, .blob = blob ? edge_blob_ref(blob) : NULL};
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    CDN_AUTOBUF struct cdn_buf meta = {0};
    edge_rep_format(rep, &meta);
    struct edge_store_key hash = edge_entry_hash(o->entry);
    struct cdn_str variant = edge_rep_variant(rep);
    hash.variant = XXH3_64bits(variant.p, variant.n) + rep->first + (uint64_t)rep->whole;
    if (blob && blob->n <= EDGE_STORE_PACKED_MAX) {
        struct edge_store_put put = {.key_hash = hash,
                                     .key = edge_entry_key(o->entry),
                                     .meta = cdn_buf_str(&meta),
                                     .body = blob->data,
                                     .body_length = blob->n,
                                     .done = written,
                                     .arg = job};
        if (!edge_store_put(c->config.store, &put)) {
            written(job, CDN_UNAVAILABLE, NULL);
        }
        return;
    }
    if (!file && !write_file(c, blob, &file)) {
        written(job, CDN_UNAVAILABLE, NULL);
        return;
    }
    struct edge_store_commit commit = {.key_hash = hash,
                                       .key = edge_entry_key(o->entry),
                                       .meta = cdn_buf_str(&meta),
                                       .body_length = edge_object_length(o),
                                       .done = written,
                                       .arg = job};
    edge_store_file_commit(file, &commit);
}
