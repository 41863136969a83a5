/* backbone: the graph that the latency model walks, read from backbone.csv.
 *
 * A hub is a landing point, an exchange or a carrier's city: traffic can enter and leave there. A major hub
 * has a large exchange or data centres of the large clouds, with fibre to match. A point is a place at sea
 * where a cable bends or branches; with points a sea link is as long as the way by water. Links have no
 * direction. Rows, hubs and points before the links that name them:
 *
 *     major,NAME,COUNTRY,LAT,LON
 *     hub,NAME,COUNTRY,LAT,LON
 *     point,NAME,,LAT,LON
 *     land,FROM,TO,ROUTE,FIT
 *     sea,FROM,TO,ROUTE,FIT
 *     border-land,FROM,TO,ROUTE,FIT
 *     border-sea,FROM,TO,ROUTE,FIT
 *
 * A border link joins hubs of two countries and carries nothing but traffic that begins or ends in the
 * country of FROM: Kathmandu to Delhi is Nepal's, and Vladivostok to Tokyo is no way from Europe to Japan.
 *
 * ROUTE is written by hand: 1 is usual, more for a link that winds or that few networks use. FIT is what
 * fit-latency found on top of it. A link costs its length times both. Lines that begin with '#' are comments.
 *
 * Life cycle: backbone_parse, then unchanged, backbone_destroy. Names are borrowed from the text.
 */
#ifndef CDN_GEO_DATA_BACKBONE_H
#define CDN_GEO_DATA_BACKBONE_H
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BACKBONE_NODES_MAX 2000u
#define BACKBONE_LINKS_MAX 8000u

struct backbone_vector { /* a point of the unit sphere */
    double x, y, z;
};

struct backbone_node {
    struct cdn_str name;
    struct cdn_str country_code; /* empty for a point */
    uint16_t country;            /* a number for each code; 0 for a point */
    double lat, lon;
    struct backbone_vector at;
    bool is_hub;
    bool is_major;                 /* a hub too */
    uint32_t first_end, end_count; /* in `ends` */
};

struct backbone_link {
    uint16_t from, to; /* nodes */
    bool is_sea;
    bool is_border;
    double km; /* great circle */
    double route, fit;
};

struct backbone_end { /* a link as seen from one of its nodes */
    uint16_t node;    /* the other one */
    uint16_t link;
};

struct backbone {
    struct backbone_node *nodes;
    size_t node_count;
    struct backbone_link *links;
    size_t link_count;
    struct backbone_end *ends; /* 2 x link_count, by node */
};

/* CDN_INVALID names the line and what is wrong with it: unknown kind or node, a name or link twice,
 * numbers out of range (factors 0.2 to 10), a border link within a country or to a point, a graph in
 * more than one piece, no hub. */
enum cdn_status backbone_parse(struct cdn_str text, struct backbone **ret,
                               struct cdn_error *err) CDN_MUST_CHECK;
void backbone_destroy(struct backbone *backbone);
/* The rows again, with the factors as they are now. */
void backbone_print(const struct backbone *backbone, struct cdn_buf *out);

struct backbone_vector backbone_vector(double lat, double lon);
double backbone_km(struct backbone_vector a, struct backbone_vector b);

#endif
