/* policy_private: what the policies share; included by policy*.c only.
 *
 * A policy is a row of functions over one `struct edge_policy`: all four are made of one or two queues, so
 * the struct holds what any of them needs and there is nothing to allocate but S3-FIFO's ghost.
 */
#ifndef CDN_EDGE_POLICY_PRIVATE_H
#define CDN_EDGE_POLICY_PRIVATE_H
#include "edge/cache/policy.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct edge_policy_queue {
    struct edge_policy_item *newest;
    struct edge_policy_item *oldest;
    uint64_t bytes;
};

struct edge_policy_ops {
    const char *name;
    uint8_t heat; /* of a new item, see struct edge_policy_item */
    enum edge_policy_admission (*admit)(struct edge_policy *p, uint64_t hash, uint64_t size);
    uint64_t (*size_max)(const struct edge_policy *p);
    struct edge_policy_item *(*evict)(struct edge_policy *p, unsigned *steps);
    bool (*insert)(struct edge_policy *p, struct edge_policy_item *item,
                   enum edge_policy_admission admission);
    void (*leave)(struct edge_policy *p,
                  struct edge_policy_item *item); /* before it is unlinked; may be NULL */
    void (*capacity_set)(struct edge_policy *p);  /* may be NULL */
};

enum {
    EDGE_POLICY_OUT,
    EDGE_POLICY_MAIN,
    EDGE_POLICY_SMALL,
    EDGE_POLICY_QUEUES,
};

struct edge_policy {
    const struct edge_policy_ops *ops;
    edge_policy_hash_fn *hash_of;
    uint64_t capacity;
    uint64_t used;
    uint64_t count;
    struct edge_policy_queue queues[EDGE_POLICY_QUEUES]; /* [EDGE_POLICY_OUT] is not used */
    struct edge_policy_item *hand;                       /* SIEVE: where it rests; NULL: at the oldest */
    struct edge_ghost *ghost;                            /* S3-FIFO */
    uint64_t small_share;                                /* S3-FIFO, bytes */
    int evicting;                                        /* S3-FIFO: the queue it is at, between two calls */
};

void edge_policy_push(struct edge_policy *p, int queue, struct edge_policy_item *item); /* as the newest */
void edge_policy_unlink(struct edge_policy *p, struct edge_policy_item *item);
/* For policies that take whatever fits. */
enum edge_policy_admission edge_policy_admit_any(struct edge_policy *p, uint64_t hash, uint64_t size);
uint64_t edge_policy_size_any(const struct edge_policy *p);
bool edge_policy_insert_main(struct edge_policy *p, struct edge_policy_item *item,
                             enum edge_policy_admission admission);
struct edge_policy_item *edge_policy_evict_oldest(struct edge_policy *p, unsigned *steps);

static inline unsigned edge_policy_heat(const struct edge_policy_item *item)
{
    return atomic_load_explicit(&item->heat, memory_order_relaxed) & 15u;
}

/* A hit between the look and this store is lost: one of several, and nobody waits for it. */
static inline void edge_policy_heat_set(const struct edge_policy *p, struct edge_policy_item *item,
                                        unsigned heat)
{
    atomic_store_explicit(&item->heat, (uint8_t)(p->ops->heat | heat), memory_order_relaxed);
}

static inline bool edge_policy_step(unsigned *steps) /* false: used up */
{
    return !steps || (*steps > 0 && (*steps)-- > 0);
}

extern const struct edge_policy_ops edge_policy_s3fifo, edge_policy_sieve, edge_policy_lru, edge_policy_fifo;

#endif
