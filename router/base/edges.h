/* edges: the edges a router may send clients to, grouped by place.
 *
 * What the configuration says of an edge never changes while the table lives. What changes at run time
 * (sick, draining, at capacity, weight, pinned) stands apart in atomic words: the control loop writes
 * them, any thread reads them without a lock. Only which edge failed a request just now is written by all
 * threads. Edges with equal coordinates are one *site*: clients are ranked to sites, and the edges of a
 * site share its clients (spread.h).
 *
 * Life cycle: router_edges_create copies the descriptions; router_edges_destroy. */
#ifndef CDN_ROUTER_EDGES_H
#define CDN_ROUTER_EDGES_H
#include "common/status.h"
#include "common/str.h"
#include "geo-data/latency.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUTER_EDGES_MAX 4096u
#define ROUTER_NO_EDGE UINT16_MAX
#define ROUTER_WEIGHT_MAX 10000u

/* Bits of router_edge_state.flags. */
#define ROUTER_EDGE_FLAGS(X) /* name, bit, word */ \
    X(SICK, 1u, "sick")                            \
    X(DRAINED, 2u, "drained")                      \
    X(FULL, 4u, "full")

enum router_edge_flag {
#define X(name, bit, word) ROUTER_EDGE_##name = (bit),
    ROUTER_EDGE_FLAGS(X)
#undef X
};

struct router_edge_config { /* borrowed by router_edges_create */
    const char *name;       /* unique; letters, digits, '-', '_', '.' */
    const char *place;      /* as the operator wrote it */
    double lat, lon;
    const char *url;    /* scheme://host[:port], no path: what clients are sent to */
    const char *admin;  /* the same for the admin listener, or "" for an edge that is not probed */
    unsigned weight;    /* share among the edges of one place; 0: no new clients */
    uint64_t capacity;  /* requests under way at which it counts as full; 0: no limit */
    const char *origin; /* where it was read, for messages: "cdn.yaml:12" */
};

struct router_edge {
    char *name, *place, *url, *admin, *origin;
    size_t url_n;
    double lat, lon;
    unsigned weight;
    uint64_t capacity;
    uint64_t seed; /* of the name, for spreading */
    uint16_t site;
};

struct router_site {
    double lat, lon;
    struct geo_rtt_point point; /* the same, prepared for the latency model */
    uint16_t first;             /* index into members */
    uint16_t count;
    uint16_t order; /* the smallest index of its edges: the place in the configuration */
};

struct router_edge_state {
    _Atomic uint32_t flags;
    _Atomic uint32_t weight;
    _Atomic int64_t avoid_until_ms; /* monotonic: it failed a request that was handed to it; 0: never */
};

struct router_edges {
    struct router_edge *at; /* by number */
    size_t count;
    struct router_site *sites;
    size_t site_count;
    uint16_t *members;               /* edges by site, in the order of the configuration */
    uint64_t *ipv4;                  /* edges that a client with IPv4 alone may reach (among.h); NULL: all, as
                                       far as is known. See url_is_ipv6 */
    struct router_edge_state *state; /* one per edge */
    _Atomic int64_t avoid_until_ms;  /* the latest of all edges' */
    _Atomic uint32_t pinned;         /* the edge that gets everything, or ROUTER_NO_EDGE */
    _Atomic bool all_well;           /* no edge has a flag, all have weight, none is pinned */
};

/* CDN_INVALID names the two edges of one name, and a bad name, URL or number with its origin. */
enum cdn_status router_edges_create(const struct router_edge_config *configs, size_t count,
                                    struct router_edges **ret, struct cdn_error *err) CDN_MUST_CHECK;
void router_edges_destroy(struct router_edges *edges);
uint16_t router_edges_find(const struct router_edges *edges, struct cdn_str name); /* or ROUTER_NO_EDGE */
/* Takes over what was set at run time (sick, full, draining, pinned) for edges that `from` has too. */
void router_edges_inherit(struct router_edges *edges, const struct router_edges *from);

static inline uint32_t router_edge_flags(const struct router_edges *edges, uint16_t edge)
{
    return atomic_load_explicit(&edges->state[edge].flags, memory_order_relaxed);
}

static inline uint32_t router_edge_weight(const struct router_edges *edges, uint16_t edge)
{
    return atomic_load_explicit(&edges->state[edge].weight, memory_order_relaxed);
}

static inline uint32_t router_edges_pinned(const struct router_edges *edges)
{
    return atomic_load_explicit(&edges->pinned, memory_order_relaxed);
}

/* Usually true, and then nothing else of the edges' state needs a look. */
static inline bool router_edges_all_well(const struct router_edges *edges)
{
    return atomic_load_explicit(&edges->all_well, memory_order_relaxed);
}

void router_edge_flag_set(struct router_edges *edges, uint16_t edge, enum router_edge_flag flag, bool on);
void router_edge_weight_set(struct router_edges *edges, uint16_t edge, unsigned weight);
void router_edges_pin(struct router_edges *edges, uint16_t edge); /* ROUTER_NO_EDGE: nobody */

/* For proxies, which see an edge fail before the next probe does: it gets nothing until then, while another
 * can serve. Any thread. */
void router_edge_avoid(struct router_edges *edges, uint16_t edge, int64_t until_ms);
static inline bool router_edge_is_avoided(const struct router_edges *edges, uint16_t edge, int64_t now_ms)
{
    return atomic_load_explicit(&edges->state[edge].avoid_until_ms, memory_order_relaxed) > now_ms;
}
static inline bool router_edges_any_avoided(const struct router_edges *edges, int64_t now_ms)
{
    return atomic_load_explicit(&edges->avoid_until_ms, memory_order_relaxed) > now_ms;
}

#endif
