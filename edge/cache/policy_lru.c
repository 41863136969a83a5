/* LRU: the least recently used leaves. The only policy whose hits move lists: see edge_policy_touch. */
#include "edge/cache/policy.h"
#include "edge/cache/policy_private.h"

#include "common/banned.h"

const struct edge_policy_ops edge_policy_lru = {
    .name = "lru",
    .heat = EDGE_POLICY_HEAT_MOVES,
    .admit = edge_policy_admit_any,
    .size_max = edge_policy_size_any,
    .evict = edge_policy_evict_oldest,
    .insert = edge_policy_insert_main,
};
