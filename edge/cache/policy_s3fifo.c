/* S3-FIFO (Yang et al., SOSP 2023): a small queue that new items must pass, a main queue for those that were
 * hit there at least twice, and a ghost that sends a key straight to main when it returns soon after leaving
 * small.
 *
 * Shares as measured best all round: small a tenth of the capacity, ghost nine tenths (in bytes of the
 * objects it names), counters to 3. Variable sizes: what is larger than the small queue is refused, since
 * bypassing it into main costs more hits than it brings. A ghost hit goes to main even when main is over its
 * share; the next eviction corrects that.
 */
#include "edge/cache/ghost.h"
#include "edge/cache/policy.h"
#include "edge/cache/policy_private.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

#define SMALL_SHARE 0.10
#define GHOST_SHARE 0.90
#define PROMOTE_AT 2u
#define GHOST_ENTRIES (4u << 20) /* bounds the ghost's memory against a flood of tiny objects */

static enum edge_policy_admission admit(struct edge_policy *p, uint64_t hash, uint64_t size)
{
    bool returned = edge_ghost_forget(p->ghost, hash);
    if (size > p->small_share) {
        return EDGE_POLICY_REFUSED;
    }
    return returned ? EDGE_POLICY_RETURNED : EDGE_POLICY_NEW;
}

static uint64_t size_max(const struct edge_policy *p)
{
    return p->small_share;
}

static bool insert(struct edge_policy *p, struct edge_policy_item *item, enum edge_policy_admission admission)
{
    bool returned = admission == EDGE_POLICY_RETURNED;
    if (!returned && edge_policy_item_size(item) >= p->small_share) {
        return false;
    }
    edge_policy_push(p, returned ? EDGE_POLICY_MAIN : EDGE_POLICY_SMALL, item);
    return true;
}

static struct edge_policy_item *step_small(struct edge_policy *p)
{
    struct edge_policy_item *item = p->queues[EDGE_POLICY_SMALL].oldest;
    unsigned heat = edge_policy_heat(item);
    edge_policy_unlink(p, item);
    if (heat < PROMOTE_AT) {
        edge_ghost_put(p->ghost, p->hash_of(item), EDGE_GHOST_EVICTED, 0, edge_policy_item_size(item));
        return item;
    }
    edge_policy_heat_set(p, item, 0);
    edge_policy_push(p, EDGE_POLICY_MAIN, item);
    return NULL;
}

static struct edge_policy_item *step_main(struct edge_policy *p)
{
    struct edge_policy_item *item = p->queues[EDGE_POLICY_MAIN].oldest;
    unsigned heat = edge_policy_heat(item);
    edge_policy_unlink(p, item);
    if (heat == 0) {
        return item;
    }
    edge_policy_heat_set(p, item, heat - 1);
    edge_policy_push(p, EDGE_POLICY_MAIN, item);
    return NULL;
}

static int choose(const struct edge_policy *p)
{
    bool main_over = p->queues[EDGE_POLICY_MAIN].bytes > p->capacity - p->small_share;
    return main_over || !p->queues[EDGE_POLICY_SMALL].oldest ? EDGE_POLICY_MAIN : EDGE_POLICY_SMALL;
}

/* Stays in the queue once chosen until an item leaves or the queue is empty, also when the steps run out
 * between. */
static struct edge_policy_item *evict(struct edge_policy *p, unsigned *steps)
{
    struct edge_policy_item *victim = NULL;
    while (!victim && p->count > 0 && edge_policy_step(steps)) {
        if (p->evicting == EDGE_POLICY_OUT || !p->queues[p->evicting].oldest) {
            p->evicting = choose(p);
        }
        victim = p->evicting == EDGE_POLICY_SMALL ? step_small(p) : step_main(p);
    }
    if (victim) {
        p->evicting = EDGE_POLICY_OUT;
    }
    return victim;
}

static void capacity_set(struct edge_policy *p)
{
    uint64_t ghost_bytes = (uint64_t)((double)p->capacity * GHOST_SHARE);
    p->small_share = (uint64_t)((double)p->capacity * SMALL_SHARE);
    if (p->ghost) {
        edge_ghost_limit(p->ghost, GHOST_ENTRIES, ghost_bytes);
    } else {
        p->ghost = edge_ghost_create(GHOST_ENTRIES, ghost_bytes);
    }
}

const struct edge_policy_ops edge_policy_s3fifo = {
    .name = "s3fifo",
    .heat = 0x30,
    .admit = admit,
    .size_max = size_max,
    .evict = evict,
    .insert = insert,
    .capacity_set = capacity_set,
};
