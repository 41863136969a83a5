/* spread: weighted rendezvous hashing over the edges of one site. The path is brought to its one
 * spelling before it is hashed, because an edge keys all spellings of it as one. */
#include "router/choice/spread.h"

#include "common/http/syntax/http_path.h"
#include "common/mix.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "common/banned.h"

#define ROUTER_SPREAD_MAX 8192u /* longer paths are taken as they are */

/* An edge keys all spellings of a path as one, so they all go to one edge. Few have another than the plain
 * one. */
uint64_t router_spread_hash(struct cdn_str path)
{
    char text[ROUTER_SPREAD_MAX];
    size_t n = 0;
    if (path.n == 0 || (!memchr(path.p, '%', path.n) && !memmem(path.p, path.n, "/.", 2)) ||
        http_encoding_write(path, text, sizeof(text), &n) != HTTP_ENCODING_OK || n > sizeof(text)) {
        return XXH3_64bits(path.p, path.n);
    }
    return XXH3_64bits(text, http_path_remove_dots(text, n));
}

/* -ln(u)/weight with u evenly in (0, 1]: the smallest of these is the winner. */
static double draw(uint64_t hash, uint64_t seed, uint32_t weight)
{
    double u = ((double)(cdn_mix64(hash ^ seed) >> 11) + 1) * 0x1p-53;
    return -log(u) / weight;
}

uint16_t router_spread(const struct router_edges *edges, uint16_t site, uint64_t hash, uint32_t blocked,
                       const struct router_among *among)
{
    const struct router_site *s = &edges->sites[site];
    uint16_t best = ROUTER_NO_EDGE;
    double best_draw = INFINITY;
    for (size_t i = 0; i < s->count; i++) {
        uint16_t edge = edges->members[s->first + i];
        uint32_t weight = router_edge_weight(edges, edge);
        if (weight == 0 || (router_edge_flags(edges, edge) & blocked) ||
            (among && !router_among_has(among, edge))) {
            continue;
        }
        if (s->count == 1) {
            return edge;
        }
        double d = draw(hash, edges->at[edge].seed, weight);
        if (d < best_draw || best == ROUTER_NO_EDGE) {
            best = edge;
            best_draw = d;
        }
    }
    return best;
}
