/* near: one pass over the networks keeps, for each point, the best place seen so far by the cosine of
 * the angle; records are decoded once for a run of networks that share one. */
#include "geo-data/near.h"

#include "common/mem.h"
#include "geo-data/geodesy.h"
#include "geo-data/special.h"

#include <math.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

struct search {
    const struct geo_db *db;
    struct geo_near *points;
    size_t n;
    struct seen {
        float nearest; /* cosine of the angle to the best place yet */
        unsigned prefix_len;
    } * best;
    struct geo_unit *units;
    uint32_t entry; /* the last one decoded */
    struct geo_unit place;
    bool placed;
};

static bool visit(void *ctx, const struct geo_net *net)
{
    struct search *s = ctx;
    struct cdn_addr address = {.v4 = {.sin_family = AF_INET}};
    if (net->entry == GEO_ENTRY_NONE) {
        return true;
    }
    memcpy(&address.v4.sin_addr, net->address, 4);
    if (net->entry != s->entry) {
        struct geo_record record;
        s->entry = net->entry;
        s->placed = geo_entry_record(s->db, AF_INET, net->entry, &record) == CDN_OK && record.has_coordinates;
        s->place = geo_unit(record.lat, record.lon);
    }
    if (!s->placed || net->prefix_len < 8 || geo_special(&address.sa)) {
        return true;
    }
    for (size_t i = 0; i < s->n; i++) {
        float cosine = geo_unit_dot(s->units[i], s->place);
        struct seen *best = &s->best[i];
        if (cosine < best->nearest || (cosine <= best->nearest && net->prefix_len >= best->prefix_len)) {
            continue;
        }
        *best = (struct seen){cosine, net->prefix_len};
        s->points[i].address = address;
    }
    return true;
}

enum cdn_status geo_near_find(const struct geo_db *db, struct geo_near *points, size_t n,
                              struct cdn_error *err)
{
    CDN_AUTOFREE struct seen *best = cdn_calloc(n, sizeof(*best));
    CDN_AUTOFREE struct geo_unit *units = cdn_calloc(n, sizeof(*units));
    struct search s = {
        .db = db, .points = points, .n = n, .best = best, .units = units, .entry = GEO_ENTRY_NONE};
    for (size_t i = 0; i < n; i++) {
        units[i] = geo_unit(points[i].lat, points[i].lon);
        best[i] = (struct seen){-2, 0};
        points[i].km = INFINITY;
    }
    enum cdn_status status = geo_walk(db, AF_INET, visit, &s, err);
    for (size_t i = 0; i < n && status == CDN_OK; i++) {
        struct geo_record record;
        if (best[i].nearest < -1) {
            continue;
        }
        if (best[i].prefix_len < 32) { /* the second address: the first one is the network's own */
            points[i].address.v4.sin_addr.s_addr |= htonl(1);
        }
        if (geo_lookup(db, &points[i].address.sa, &record) == CDN_OK) {
            points[i].km = geo_distance_km(points[i].lat, points[i].lon, record.lat, record.lon);
        }
    }
    return status;
}
