/* latency: the modelled round-trip time between two places. Modelled, never measured: whoever shows it says
 * so.
 *
 * Cables go round continents, so the way runs over a graph of landing points and carrier cities
 * (backbone.csv); latency_model.h has the formula, docs/latency.md its errors. The time is symmetric, the
 * same in every process, at least 1.2 times the round trip of light in fibre along the great circle, and in
 * ms.
 *
 * The first call prepares the graph (some ten ms); from then on nothing changes and any thread may call.
 * Whoever compares one place with many prepares each place once (geo_rtt_point, one to three microseconds)
 * and then pays 20 to 50 nanoseconds a pair.
 */
#ifndef CDN_GEO_DATA_LATENCY_H
#define CDN_GEO_DATA_LATENCY_H
#include "common/str.h"

#include <stddef.h>
#include <stdint.h>

/* Degrees, north and east positive. */
double geo_rtt_ms(double lat1, double lon1, double lat2, double lon2);

#define GEO_RTT_ACCESS_MAX 6

struct geo_rtt_access {
    uint16_t node;
    float ms;
};

struct geo_rtt_point { /* a place with its ways into the graph; a value, to be copied freely */
    double lat, lon;
    double x, y, z; /* on the unit sphere */
    unsigned n;
    struct geo_rtt_access access[GEO_RTT_ACCESS_MAX];
};
void geo_rtt_point(double lat, double lon, struct geo_rtt_point *ret);
/* The same numbers as geo_rtt_ms, to the bit of a float. */
float geo_rtt_between(const struct geo_rtt_point *from, const struct geo_rtt_point *to);
void geo_rtt_row(const struct geo_rtt_point *from, const struct geo_rtt_point *to, size_t n, float *ret_ms);

#define GEO_RTT_LEG_TABLE(X) /* name, word, text */    \
    X(ACCESS, "access", "between a place and its hub") \
    X(LAND, "land", "over a land link")                \
    X(SEA, "sea", "over a sea link")                   \
    X(DIRECT, "direct", "straight, over no hub: the places are near")

enum geo_rtt_leg_kind {
#define X(name, word, text) GEO_RTT_##name,
    GEO_RTT_LEG_TABLE(X)
#undef X
        GEO_RTT_LEG_KIND_COUNT
};
const char *geo_rtt_leg_word(enum geo_rtt_leg_kind kind);

struct geo_rtt_leg {
    enum geo_rtt_leg_kind kind;
    struct cdn_str to;         /* name of the node reached; empty where it is the place asked for */
    struct cdn_str to_country; /* empty at sea */
    double lat, lon;           /* of what is reached */
    double km, ms;             /* great circle; ms with hops */
};

#define GEO_RTT_LEGS_MAX 128
struct geo_rtt_path {
    double rtt_ms;   /* as geo_rtt_ms */
    double km;       /* great circle from end to end */
    double light_ms; /* the round trip of light in fibre along it */
    double end_ms;   /* both ends together */
    double floor_ms; /* added because the rest was under the floor; mostly 0 */
    double kind_km[GEO_RTT_LEG_KIND_COUNT];
    double kind_ms[GEO_RTT_LEG_KIND_COUNT]; /* with end_ms and floor_ms they add up to rtt_ms */
    size_t leg_count;
    struct geo_rtt_leg legs[GEO_RTT_LEGS_MAX]; /* in the order of travel, the last ends at the second place */
};
void geo_rtt_path(double lat1, double lon1, double lat2, double lon2, struct geo_rtt_path *ret);

#endif
