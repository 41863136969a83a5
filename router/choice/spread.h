/* spread: which edge of a site serves a path, by weighted rendezvous hashing (Thaler and Ravishankar 1998;
 * weights after Schindelhauer and Schomaker 2005).
 *
 * Each edge draws a number from the path and its own name; the largest, scaled by the weight, wins. So a path
 * stays where it is while its edge lives, an edge that goes takes only its own paths along, and shares follow
 * the weights exactly. No ring of points has to be kept; the cost is one multiplication and one logarithm for
 * each edge of the site.
 */
#ifndef CDN_ROUTER_SPREAD_H
#define CDN_ROUTER_SPREAD_H
#include "common/str.h"
#include "router/base/among.h"
#include "router/base/edges.h"

#include <stdint.h>

uint64_t router_spread_hash(struct cdn_str path);
/* The edge of the site, among those that have none of the `blocked` flags and some weight, and are in `among`
 * (NULL: all); ROUTER_NO_EDGE when none. */
uint16_t router_spread(const struct router_edges *edges, uint16_t site, uint64_t hash, uint32_t blocked,
                       const struct router_among *among);

#endif
