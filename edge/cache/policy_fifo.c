/* FIFO: the oldest leaves, however often it was asked for. It is what the other policies are
 * compared with, and shows the least that a policy has to say. */
#include "edge/cache/policy_private.h"

#include "common/banned.h"

const struct edge_policy_ops edge_policy_fifo = {
    .name = "fifo",
    .admit = edge_policy_admit_any,
    .size_max = edge_policy_size_any,
    .evict = edge_policy_evict_oldest,
    .insert = edge_policy_insert_main,
};
