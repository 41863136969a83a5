/* select: from a place to ranked sites, and from ranked sites to one edge. Pure.
 *
 * Two steps, because the first depends on the place only and the second on the moment: router_select_rank
 * orders the sites for a place by their cost (the policy's), router_select_pick takes the first whose edges
 * can serve. A ranked row can therefore be computed long before it is used, and fail-over is a test of bits.
 */
#ifndef CDN_ROUTER_SELECT_H
#define CDN_ROUTER_SELECT_H
#include "router/base/among.h"
#include "router/base/edges.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUTER_POLICY_TABLE(X) /* name, word, text */    \
    X(RTT, "rtt", "the lowest modelled round-trip time") \
    X(DISTANCE, "distance", "the shortest great circle") \
    X(PINNED, "pinned", "the first edge of the configuration that can serve; the others stand by")

enum router_policy {
#define X(name, word, text) ROUTER_POLICY_##name,
    ROUTER_POLICY_TABLE(X)
#undef X
        ROUTER_POLICY_COUNT
};
const char *router_policy_word(enum router_policy policy);

struct router_candidate {
    uint16_t site;
    bool preferred; /* only by its preferred edges (struct router_limits) */
    float km;       /* great circle from the client's place */
    float rtt_ms;   /* modelled */
};

#define ROUTER_ROW 8u /* sites that a plain decision looks at first */

struct router_limits { /* which edges a client may be sent to, and which come first; zeroed: all, none */
    struct router_among allowed, preferred; /* preferred: those of the allowed ones, with `prefers` */
    bool prefers;
    float margin_ms; /* a preferred edge may cost so much more than the best one, whatever their health */
    bool by_override;
};

/* The best `max` sites for a point, best first; equals in the order of the configuration. Sites whose edges
 * all have one of the `blocked` flags (or no weight) are left out; 0 keeps all. Returns how many. */
size_t router_select_rank(const struct router_edges *edges, enum router_policy policy, double lat, double lon,
                          uint32_t blocked, struct router_candidate *ret, size_t max);
/* The same within limits (NULL: none): sites of preferred edges first, then all that have an allowed edge; a
 * site of both kinds is there twice. */
size_t router_select_rank_within(const struct router_edges *edges, enum router_policy policy, double lat,
                                 double lon, uint32_t blocked, const struct router_limits *limits,
                                 struct router_candidate *ret, size_t max);
/* The edges of a candidate that count. */
static inline const struct router_among *router_limits_among(const struct router_limits *limits,
                                                             bool preferred)
{
    return preferred ? &limits->preferred : &limits->allowed;
}
/* Whether any edge of the site is among these, whatever its state. */
bool router_select_site_is_among(const struct router_edges *edges, uint16_t site,
                                 const struct router_among *among);
/* Distance and time to one site. */
struct router_candidate router_candidate_of(const struct router_edges *edges, uint16_t site, double lat,
                                            double lon);

#define ROUTER_BLOCK_ALL (ROUTER_EDGE_SICK | ROUTER_EDGE_DRAINED | ROUTER_EDGE_FULL)

/* What bars an edge, from the usual to the desperate: full edges are used when no other is left, sick ones
 * when all look sick (the probes' view is then likely what is wrong), draining ones never. */
#define ROUTER_STRICTNESS_COUNT 3u
extern const uint32_t router_strictness[ROUTER_STRICTNESS_COUNT];

struct router_choice {
    uint16_t edge;      /* ROUTER_NO_EDGE: no edge at all can serve */
    uint16_t runner_up; /* the next edge elsewhere that could serve, or ROUTER_NO_EDGE */
    uint16_t skipped;   /* the edge that would come first if all were well, when it is another one; else
                           ROUTER_NO_EDGE */
    bool optimistic;    /* every edge looks sick, so none is held to be */
    struct router_candidate at, runner_at;
};

/* `hash` is of the path, for sites of several edges. `row` is from router_select_rank_within with these
 * limits. */
void router_select_pick(const struct router_edges *edges, enum router_policy policy, double lat, double lon,
                        uint64_t hash, const struct router_limits *limits, const struct router_candidate *row,
                        size_t row_n, struct router_choice *ret);

#endif
