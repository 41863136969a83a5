/* spread: see spread.h */
#include "router/spread.h"

#include <math.h>
#include <xxhash.h>

#include "common/banned.h"

uint64_t router_spread_hash(struct cdn_str path)
{
    return XXH3_64bits(path.p, path.n);
}

/* The finaliser of splitmix64: each bit of the path's and the name's hashes moves every bit of the draw. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* -ln(u)/weight with u evenly in (0, 1]: the smallest of these is the winner. */
static double draw(uint64_t hash, uint64_t seed, uint32_t weight)
{
    double u = ((double)(mix(hash ^ seed) >> 11) + 1) * 0x1p-53;
    return -log(u) / weight;
}

uint16_t router_spread(const struct router_pops *pops, uint16_t site, uint64_t hash, uint32_t blocked,
                       const struct router_among *among)
{
    const struct router_site *s = &pops->sites[site];
    uint16_t best = ROUTER_NO_POP;
    double best_draw = INFINITY;
    for (size_t i = 0; i < s->count; i++) {
        uint16_t pop = pops->members[s->first + i];
        uint32_t weight = router_pop_weight(pops, pop);
        if (weight == 0 || (router_pop_flags(pops, pop) & blocked) ||
            (among && !router_among_has(among, pop)))
            continue;
        if (s->count == 1)
            return pop;
        double d = draw(hash, pops->pops[pop].seed, weight);
        if (d < best_draw || best == ROUTER_NO_POP) {
            best = pop;
            best_draw = d;
        }
    }
    return best;
}
