/* latency_model: round-trip times over a backbone with given parameters. latency.h serves the committed ones;
 * the fitting program tries others.
 *
 *     rtt = 2 ends + the least of
 *             direct: km x direct x (1 + (km / direct_range)^2)
 *             graph:  access km x access + minor, twice, + sum over links (km x land or sea x route x fit +
 *                     hops) + border for each minor hub when the two hubs are in different countries
 * and never under LATENCY_FLOOR times the light's round trip in fibre along the great circle.
 *
 * Each end tries LATENCY_TRIED nearest hubs and keeps those that are not reached sooner through another one,
 * which are one or two as a rule.
 *
 * Life cycle: latency_model_create computes all pairs of nodes (some ten ms), then it never changes and any
 * thread may ask; latency_model_destroy. The backbone is borrowed.
 */
#ifndef CDN_GEO_DATA_LATENCY_MODEL_H
#define CDN_GEO_DATA_LATENCY_MODEL_H
#include "geo-data/backbone.h"
#include "geo-data/latency.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LATENCY_KM_PER_MS 99.93 /* round trip at 2/3 of the speed of light */
#define LATENCY_FLOOR 1.2       /* nothing measured is under 1.2 times the light's round trip in fibre */
#define LATENCY_TRIED GEO_RTT_ACCESS_MAX
#define LATENCY_ACCESS_KM 300.0 /* a hub further than this and twice the nearest one is not tried */

#define LATENCY_PARAMETERS(X) /* name, value, text */                                  \
    X(end, 1.8, "ms at each end: access network and first routers")                    \
    X(minor, 8, "ms for entering or leaving at a hub that is not major")               \
    X(border, 5, "ms more at a hub that is not major, to or from another country")     \
    X(access, 1.7, "times the great circle between a place and its hub")               \
    X(land, 1.5, "times the great circle of a land link")                              \
    X(sea, 1.2, "times the great circle of a sea link")                                \
    X(hop, 0.5, "ms for each hub on the way (half of it at each hub's end of a link)") \
    X(direct, 1.8, "times the great circle of a way without hub")                      \
    X(direct_range, 600, "km at which such a way costs twice that")

struct latency_parameters {
#define X(name, value, text) double name;
    LATENCY_PARAMETERS(X)
#undef X
};
extern const struct latency_parameters latency_fitted;

struct latency_hub { /* what the search for near hubs reads: small, in a row */
    float x, y, z;   /* on the unit sphere */
    uint16_t node;
};

struct latency_model {
    const struct backbone *backbone;
    struct latency_parameters parameters;
    struct latency_hub *hubs;
    size_t hub_count;
    float *link_ms;   /* by link */
    float *border_ms; /* by node: the parameter, or 0 for a major hub */
    float *ms;        /* node_count x node_count, symmetric */
    uint16_t *came;   /* node_count x 2 x node_count: how the ways from a node came there, see the .c */
};

struct latency_model *latency_model_create(const struct backbone *backbone,
                                           const struct latency_parameters *parameters);
void latency_model_destroy(struct latency_model *model);

void latency_model_point(const struct latency_model *model, double lat, double lon,
                         struct geo_rtt_point *ret);

struct latency_choice { /* how the best way runs */
    double km;          /* great circle */
    float ms;           /* before the floor, without ends */
    float rtt_ms;
    bool direct;
    bool abroad;                            /* `border` was added */
    const struct geo_rtt_access *from, *to; /* of the two points; NULL when direct */
};
struct latency_choice latency_model_choose(const struct latency_model *model,
                                           const struct geo_rtt_point *from, const struct geo_rtt_point *to);

/* The links of the shortest way in the order of travel, at most LATENCY_WAY_MAX; how many. */
#define LATENCY_WAY_MAX (GEO_RTT_LEGS_MAX - 2)
size_t latency_model_way(const struct latency_model *model, uint16_t from, uint16_t to,
                         uint16_t ret_links[static LATENCY_WAY_MAX]);
/* The node at the other end. */
uint16_t latency_model_over(const struct latency_model *model, uint16_t link, uint16_t at);

#endif
