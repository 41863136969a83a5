/* policy: what the policies have in common: queues, sizes, the ghost, and the usual behaviour of
 * each operation. A policy is a table of functions (struct edge_policy_ops), and leaves to the
 * functions here what it does as all do, so that each file shows what is its own. */
#include "edge/cache/policy.h"

#include "common/mem.h"
#include "edge/cache/ghost.h"
#include "edge/cache/policy_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

static_assert(sizeof(struct edge_policy_item) == 24, "two links and a word");

static const struct edge_policy_ops *const policies[] = {
    &edge_policy_s3fifo,
    &edge_policy_sieve,
    &edge_policy_lru,
    &edge_policy_fifo,
};

const char *edge_policy_names(void)
{
    return "s3fifo, sieve, lru, fifo";
}

enum cdn_status edge_policy_create(const char *name, uint64_t capacity, edge_policy_hash_fn *hash_of,
                                   struct edge_policy **ret, struct cdn_error *err)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(policies); i++) {
        if (strcmp(policies[i]->name, name) == 0) {
            struct edge_policy *p = cdn_calloc(1, sizeof(*p));
            p->ops = policies[i];
            p->hash_of = hash_of;
            edge_policy_capacity_set(p, capacity);
            *ret = p;
            return CDN_OK;
        }
    }
    return cdn_error_set(err, CDN_INVALID, "unknown eviction policy '%s': one of %s", name,
                         edge_policy_names());
}

void edge_policy_destroy(struct edge_policy *p)
{
    if (p) {
        edge_ghost_destroy(p->ghost);
        free(p);
    }
}

void edge_policy_push(struct edge_policy *p, int queue, struct edge_policy_item *item)
{
    struct edge_policy_queue *q = &p->queues[queue];
    item->queue = (unsigned)queue & 3u;
    item->newer = NULL;
    item->older = q->newest;
    *(q->newest ? &q->newest->newer : &q->oldest) = item;
    q->newest = item;
    q->bytes += edge_policy_item_size(item);
    p->used += edge_policy_item_size(item);
    p->count++;
}

void edge_policy_unlink(struct edge_policy *p, struct edge_policy_item *item)
{
    struct edge_policy_queue *q = &p->queues[item->queue];
    *(item->newer ? &item->newer->older : &q->newest) = item->older;
    *(item->older ? &item->older->newer : &q->oldest) = item->newer;
    item->newer = item->older = NULL;
    item->queue = EDGE_POLICY_OUT;
    q->bytes -= edge_policy_item_size(item);
    p->used -= edge_policy_item_size(item);
    p->count--;
}

static void size_set(struct edge_policy_item *item, uint64_t size)
{
    assert(size <= EDGE_POLICY_SIZE_MAX);
    item->size_low = (uint32_t)size;
    item->size_high = (uint16_t)(size >> 32);
}

void edge_policy_touch(struct edge_policy *p, struct edge_policy_item *item)
{
    if (edge_policy_has(item)) {
        int queue = item->queue;
        edge_policy_unlink(p, item);
        edge_policy_push(p, queue, item);
    }
}

enum edge_policy_admission edge_policy_admit(struct edge_policy *p, uint64_t hash, uint64_t size)
{
    return p->ops->admit(p, hash, size);
}

uint64_t edge_policy_size_max(const struct edge_policy *p)
{
    return p->ops->size_max(p);
}

bool edge_policy_short(const struct edge_policy *p, uint64_t size)
{
    return size > p->capacity || p->used > p->capacity - size;
}

struct edge_policy_item *edge_policy_evict_next(struct edge_policy *p, unsigned *steps)
{
    return p->ops->evict(p, steps);
}

bool edge_policy_insert(struct edge_policy *p, struct edge_policy_item *item, uint64_t size,
                        enum edge_policy_admission admission)
{
    assert(!edge_policy_has(item) && admission != EDGE_POLICY_REFUSED);
    size_set(item, size);
    edge_policy_heat_set(p, item, 0);
    return p->ops->insert(p, item, admission);
}

void edge_policy_remove(struct edge_policy *p, struct edge_policy_item *item)
{
    if (edge_policy_has(item)) {
        if (p->ops->leave) {
            p->ops->leave(p, item);
        }
        edge_policy_unlink(p, item);
    }
    if (p->ghost) {
        edge_policy_forget(p, p->hash_of(item));
    }
}

void edge_policy_forget(struct edge_policy *p, uint64_t hash)
{
    if (p->ghost) {
        edge_ghost_forget(p->ghost, hash);
    }
}

void edge_policy_resize(struct edge_policy *p, struct edge_policy_item *item, uint64_t size)
{
    if (edge_policy_has(item)) {
        uint64_t old = edge_policy_item_size(item);
        p->queues[item->queue].bytes += size - old;
        p->used += size - old;
        size_set(item, size);
    }
}

bool edge_policy_ghost_has(const struct edge_policy *p, uint64_t hash)
{
    return p->ghost && edge_ghost_find(p->ghost, hash, NULL);
}

uint64_t edge_policy_used(const struct edge_policy *p)
{
    return p->used;
}

uint64_t edge_policy_count(const struct edge_policy *p)
{
    return p->count;
}

uint64_t edge_policy_capacity(const struct edge_policy *p)
{
    return p->capacity;
}

void edge_policy_capacity_set(struct edge_policy *p, uint64_t capacity)
{
    p->capacity = capacity < EDGE_POLICY_SIZE_MAX ? capacity : EDGE_POLICY_SIZE_MAX;
    if (p->ops->capacity_set) {
        p->ops->capacity_set(p);
    }
}

enum edge_policy_admission edge_policy_admit_any(struct edge_policy *p, uint64_t hash, uint64_t size)
{
    (void)hash;
    return size > p->capacity ? EDGE_POLICY_REFUSED : EDGE_POLICY_NEW;
}

uint64_t edge_policy_size_any(const struct edge_policy *p)
{
    return p->capacity;
}

bool edge_policy_insert_main(struct edge_policy *p, struct edge_policy_item *item,
                             enum edge_policy_admission admission)
{
    (void)admission;
    edge_policy_push(p, EDGE_POLICY_MAIN, item);
    return true;
}

struct edge_policy_item *edge_policy_evict_oldest(struct edge_policy *p, unsigned *steps)
{
    struct edge_policy_item *victim = p->queues[EDGE_POLICY_MAIN].oldest;
    if (!victim || !edge_policy_step(steps)) {
        return NULL;
    }
    edge_policy_unlink(p, victim);
    return victim;
}
