/* near: one pass over the networks keeps the widest one of each place that the database knows; these places
 * are some thousand, so that each point is compared with all of them, by the cosine of the angle. */
#include "geo-data/near.h"

#include "common/index.h"
#include "common/mem.h"
#include "geo-data/geodesy.h"
#include "geo-data/special.h"

#include <math.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

struct candidate { /* one of the database's places, and the widest network there */
    struct geo_unit place;
    struct cdn_addr address;
    uint32_t entry;
    unsigned prefix_len;
    bool placed;
};

struct search {
    const struct geo_db *db;
    struct candidate *items;
    size_t n, room;
    struct cdn_index by_entry;
};

static struct candidate *candidate_of(struct search *s, uint32_t entry)
{
    uint32_t number = cdn_index_find(&s->by_entry, entry, NULL, NULL);
    if (number != CDN_INDEX_NONE) {
        return &s->items[number];
    }
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 4096;
        s->items = cdn_realloc(s->items, s->room, sizeof(*s->items));
    }
    struct geo_record record;
    bool placed = geo_entry_record(s->db, AF_INET, entry, &record) == CDN_OK && record.has_coordinates;
    cdn_index_put(&s->by_entry, entry, (uint32_t)s->n);
    s->items[s->n] = (struct candidate){.place = geo_unit(record.lat, record.lon),
                                        .entry = entry,
                                        .prefix_len = UINT32_MAX,
                                        .placed = placed};
    return &s->items[s->n++];
}

static bool visit(void *ctx, const struct geo_net *net)
{
    struct search *s = ctx;
    struct cdn_addr address = {.v4 = {.sin_family = AF_INET}};
    memcpy(&address.v4.sin_addr, net->address, 4);
    if (net->entry == GEO_ENTRY_NONE || net->prefix_len < 8 || geo_special(&address.sa)) {
        return true;
    }
    struct candidate *c = candidate_of(s, net->entry);
    if (net->prefix_len < c->prefix_len) {
        c->prefix_len = net->prefix_len;
        c->address = address;
    }
    return true;
}

/* NULL: there is none with a place. */
static const struct candidate *nearest(const struct search *s, double lat, double lon)
{
    const struct geo_unit here = geo_unit(lat, lon);
    const struct candidate *best = NULL;
    float best_cosine = -2;
    for (size_t i = 0; i < s->n; i++) {
        const struct candidate *c = &s->items[i];
        float cosine = c->placed ? geo_unit_dot(here, c->place) : -2;
        if (cosine > best_cosine || (best && cosine >= best_cosine && c->prefix_len < best->prefix_len)) {
            best = c;
            best_cosine = cosine;
        }
    }
    return best;
}

enum cdn_status geo_near_find(const struct geo_db *db, struct geo_near *points, size_t n,
                              struct cdn_error *err)
{
    struct search s = {.db = db};
    enum cdn_status status = geo_walk(db, AF_INET, visit, &s, err);
    for (size_t i = 0; i < n && status == CDN_OK; i++) {
        struct geo_record record;
        const struct candidate *found = nearest(&s, points[i].lat, points[i].lon);
        points[i].km = INFINITY;
        if (!found) {
            continue;
        }
        points[i].address = found->address;
        if (found->prefix_len < 32) { /* the second address: the first one is the network's own */
            points[i].address.v4.sin_addr.s_addr |= htonl(1);
        }
        if (geo_lookup(db, &points[i].address.sa, &record) == CDN_OK) {
            points[i].km = geo_distance_km(points[i].lat, points[i].lon, record.lat, record.lon);
        }
    }
    cdn_index_free(&s.by_entry);
    free(s.items);
    return status;
}
