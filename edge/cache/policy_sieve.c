/* SIEVE (Zhang et al., NSDI 2024): one queue, one bit, one hand.
 *
 * The hand walks from the oldest to the newest, clears the bits it finds set and removes the first item
 * without; it rests on the neighbour towards the newest, and begins again at the oldest when there is none.
 * New items always come in as the newest, never at the hand: that is what makes new and old compete.
 */
#include "edge/cache/policy.h"
#include "edge/cache/policy_private.h"

#include <stddef.h>

#include "common/banned.h"

static void leave(struct edge_policy *p, struct edge_policy_item *item)
{
    if (p->hand == item) {
        p->hand = item->newer;
    }
}

static struct edge_policy_item *evict(struct edge_policy *p, unsigned *steps)
{
    while (p->count > 0 && edge_policy_step(steps)) {
        struct edge_policy_item *item = p->hand ? p->hand : p->queues[EDGE_POLICY_MAIN].oldest;
        p->hand = item->newer;
        if (edge_policy_heat(item) == 0) {
            edge_policy_unlink(p, item);
            return item;
        }
        edge_policy_heat_set(p, item, 0);
    }
    return NULL;
}

const struct edge_policy_ops edge_policy_sieve = {
    .name = "sieve",
    .heat = 0x10,
    .admit = edge_policy_admit_any,
    .size_max = edge_policy_size_any,
    .evict = evict,
    .insert = edge_policy_insert_main,
    .leave = leave,
};
