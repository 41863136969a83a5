/* route_scene: what there is to draw, in degrees, before anybody knows on what: land, edges, the
 * client and the way of the latency model. Both drawings take the same scene. */
#include "cli/route/route.h"
#include "common/mem.h"
#include "common/status.h"
#include "geo-data/geo.h"
#include "geo-data/geodesy.h"
#include "geo-data/latency.h"
#include "geo-data/places.h"
#include "router/base/edges.h"
#include "router/choice/select.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/banned.h"

#define CELLS (180u * 360u)

struct land { /* which cells of a degree have a place */
    const struct geo_db *db;
    uint32_t last_entry;
    bool cell[CELLS];
};

static void land_add(struct land *land, double lat, double lon)
{
    int row = (int)floor(lat) + 90, column = (int)floor(lon) + 180;
    row = row > 179 ? 179 : row;
    column = column > 359 ? 359 : column;
    land->cell[row * 360 + column] = true;
}

static bool visit(void *ctx, const struct geo_net *net)
{
    struct land *land = ctx;
    struct geo_record record;
    if (net->entry != land->last_entry &&
        geo_entry_record(land->db, AF_INET, net->entry, &record) == CDN_OK && record.has_coordinates) {
        land_add(land, record.lat, record.lon);
    }
    land->last_entry = net->entry;
    return true;
}

static void land_take(struct route_scene *scene, const struct land *land)
{
    scene->land = cdn_malloc(CELLS * sizeof(*scene->land));
    for (unsigned i = 0; i < CELLS; i++) {
        if (land->cell[i]) {
            scene->land[scene->land_count++] =
                (struct route_point){(float)(i / 360) - 89.5f, (float)(i % 360) - 179.5f};
        }
    }
}

static enum cdn_status land_find(struct route_scene *scene, struct cdn_error *err)
{
    struct geo_db *db;
    enum cdn_status status = geo_db_open_embedded(&db, err);
    if (status != CDN_OK) {
        return status;
    }
    struct land *land = cdn_calloc(1, sizeof(*land));
    land->db = db;
    land->last_entry = GEO_ENTRY_NONE;
    for (size_t i = 0; i < geo_place_count(); i++) {
        land_add(land, geo_place_at(i)->lat, geo_place_at(i)->lon);
    }
    status = geo_walk(db, AF_INET, visit, land, err);
    if (status == CDN_OK) {
        land_take(scene, land);
    }
    free(land);
    geo_db_unref(db);
    return status;
}

static struct route_point point_of(struct geo_unit u)
{
    const float degrees = 57.29578f;
    return (struct route_point){atan2f(u.z, hypotf(u.x, u.y)) * degrees, atan2f(u.y, u.x) * degrees};
}

/* Points along the great circle from where the path ends now. */
static void path_extend(struct route_scene *scene, double lat, double lon)
{
    struct route_point from = scene->path[scene->path_count - 1];
    struct geo_unit a = geo_unit((double)from.lat, (double)from.lon), b = geo_unit(lat, lon);
    float angle = acosf(fminf(fmaxf(geo_unit_dot(a, b), -1), 1));
    unsigned steps = (unsigned)(angle * 57.29578f) + 1;
    scene->path = cdn_realloc(scene->path, scene->path_count + steps, sizeof(*scene->path));
    for (unsigned i = 1; i < steps && angle > 0.001f; i++) {
        float t = angle * (float)i / (float)steps, p = sinf(angle - t), q = sinf(t);
        struct geo_unit u = {a.x * p + b.x * q, a.y * p + b.y * q, a.z * p + b.z * q};
        scene->path[scene->path_count++] = point_of(u);
    }
    scene->path[scene->path_count++] = (struct route_point){(float)lat, (float)lon};
}

static void path_find(struct route_scene *scene)
{
    uint16_t edge = scene->decision->choice.edge;
    if (edge == ROUTER_NO_EDGE) {
        return;
    }
    const struct geo_record *from = &scene->decision->where.record;
    const struct router_edge *to = &scene->table->edges->at[edge];
    struct geo_rtt_path *path = cdn_malloc(sizeof(*path));
    geo_rtt_path(from->lat, from->lon, to->lat, to->lon, path);
    scene->path = cdn_malloc(sizeof(*scene->path));
    scene->path[scene->path_count++] = (struct route_point){(float)from->lat, (float)from->lon};
    for (size_t i = 0; i < path->leg_count; i++) {
        path_extend(scene, path->legs[i].lat, path->legs[i].lon);
    }
    free(path);
}

enum cdn_status route_scene_init(struct route_scene *scene, const struct router_table *table,
                                 const struct router_decision *decision, struct cdn_error *err)
{
    *scene = (struct route_scene){.table = table, .decision = decision};
    enum cdn_status status = land_find(scene, err);
    if (status == CDN_OK) {
        path_find(scene);
    }
    return status;
}

void route_scene_fini(struct route_scene *scene)
{
    free(scene->land);
    free(scene->path);
}
