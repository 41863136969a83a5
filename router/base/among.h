/* among: sets of edges, one bit for each, and "in all of these". Pure. */
#ifndef CDN_ROUTER_AMONG_H
#define CDN_ROUTER_AMONG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUTER_AMONG_SETS 3u
struct router_among { /* an edge has to be in each set that is not NULL; zeroed: all edges are */
    const uint64_t *sets[ROUTER_AMONG_SETS];
};

static inline size_t router_among_words(size_t edges)
{
    return edges / 64 + 1;
}

static inline bool router_among_set_has(const uint64_t *set, size_t edge)
{
    return set[edge / 64] >> edge % 64 & 1;
}

static inline void router_among_set_add(uint64_t *set, size_t edge)
{
    set[edge / 64] |= (uint64_t)1 << edge % 64;
}

static inline bool router_among_has(const struct router_among *among, size_t edge)
{
    for (size_t i = 0; i < ROUTER_AMONG_SETS; i++) {
        if (among->sets[i] && !router_among_set_has(among->sets[i], edge)) {
            return false;
        }
    }
    return true;
}

/* Whether an edge is in both. */
static inline bool router_among_sets_meet(const uint64_t *a, const uint64_t *b, size_t edges)
{
    for (size_t i = 0; i < router_among_words(edges); i++) {
        if (a[i] & b[i]) {
            return true;
        }
    }
    return false;
}

#endif
