/* route: inside of `pocketcdn route`, for its files only.
 *
 *     route.c        options, the decision in words
 *     route_scene.c  what there is to draw: land, edges, the client, the modelled path
 *     route_map.c    the scene in a terminal
 *     route_svg.c    the scene as SVG
 *
 * No map is drawn from: land is where the addresses are. The places of the embedded database and the built-in
 * cities show the continents well enough to find oneself.
 */
#ifndef CDN_CLI_ROUTE_H
#define CDN_CLI_ROUTE_H
#include "common/status.h"
#include "common/str.h"
#include "router/decide/decide.h"
#include "router/table/table.h"

#include <stdbool.h>
#include <stddef.h>

struct route_point {
    float lat, lon;
};

struct route_scene {
    const struct router_table *table;
    const struct router_decision *decision;
    struct route_point *land; /* distinct, to a degree */
    size_t land_count;
    struct route_point *path; /* from the client to the edge, at most a degree apart; empty without an edge */
    size_t path_count;
};

enum cdn_status route_scene_init(struct route_scene *scene, const struct router_table *table,
                                 const struct router_decision *decision,
                                 struct cdn_error *err) CDN_MUST_CHECK;
void route_scene_fini(struct route_scene *scene);

/* The part of the world that is drawn: nobody has an address farther north or south. */
#define ROUTE_NORTH 78.0f
#define ROUTE_SOUTH (-57.0f)

struct route_map_style {
    unsigned columns; /* 20 to 240 */
    bool unicode, colour;
};
void route_map_print(const struct route_scene *scene, const struct route_map_style *style,
                     struct cdn_buf *out);
void route_svg_print(const struct route_scene *scene, struct cdn_buf *out);

#endif
