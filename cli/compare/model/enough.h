/* enough: how many edges are enough, and where one more would help most. Pure: clients with weights and
 * candidate places in, places in the order of their use out.
 *
 * Greedy: the next edge is always the one that takes most off the weighted mean of all clients' modelled
 * round trip to their nearest edge. For this kind of aim greedy is never far from the best choice (a monotone
 * submodular gain: at least 63 % of it), and each step can be read as "this one more".
 */
#ifndef CDN_CLI_COMPARE_ENOUGH_H
#define CDN_CLI_COMPARE_ENOUGH_H
#include "geo-data/latency.h"

#include <stddef.h>

struct enough_client {
    const struct geo_rtt_point *at; /* borrowed */
    double weight;
};

struct enough_step {
    size_t candidate;      /* the place that was added */
    double mean_ms;        /* over the clients, by weight, with all edges so far */
    double p50_ms, p95_ms; /* nearest rank, by weight */
};

/* Up to `steps` places out of `candidates`, beside edges that are there already (`edges` may be NULL).
 * Returns how many: fewer when there are no more, or none that helps. */
size_t enough_greedy(const struct enough_client *clients, size_t n, const struct geo_rtt_point *edges,
                     size_t edge_count, const struct geo_rtt_point *candidates, size_t candidate_count,
                     size_t steps, struct enough_step *ret);
/* Of the edges as they are. */
struct enough_step enough_now(const struct enough_client *clients, size_t n,
                              const struct geo_rtt_point *edges, size_t edge_count);

#endif
