/* address: as many points as there are cities, found in one walk; a lookup compares with each of them, which
 * is microseconds, and nothing waits for a database while connections are under way. */
#include "wan/relay/address.h"

#include "common/mem.h"
#include "geo-data/geo.h"
#include "geo-data/geodesy.h"
#include "geo-data/near.h"
#include "geo-data/places.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "common/banned.h"

struct wan_addresses {
    size_t n;
    struct geo_unit *units;
    struct geo_near *points;
};

enum cdn_status wan_addresses_create(struct wan_addresses **ret, struct cdn_error *err)
{
    struct geo_db *db;
    enum cdn_status status = geo_db_open_embedded(&db, err);
    if (status != CDN_OK) {
        return status;
    }
    struct wan_addresses *all = cdn_calloc(1, sizeof(*all));
    all->n = geo_place_count();
    all->points = cdn_calloc(all->n, sizeof(*all->points));
    all->units = cdn_calloc(all->n, sizeof(*all->units));
    for (size_t i = 0; i < all->n; i++) {
        const struct geo_place *place = geo_place_at(i);
        all->points[i] = (struct geo_near){.lat = place->lat, .lon = place->lon};
        all->units[i] = geo_unit(place->lat, place->lon);
    }
    status = geo_near_find(db, all->points, all->n, err);
    geo_db_unref(db);
    if (status != CDN_OK) {
        wan_addresses_destroy(all);
        return status;
    }
    *ret = all;
    return CDN_OK;
}

void wan_addresses_destroy(struct wan_addresses *addresses)
{
    if (addresses) {
        free(addresses->points);
        free(addresses->units);
        free(addresses);
    }
}

void wan_addresses_find(const struct wan_addresses *addresses, double lat, double lon, struct cdn_addr *ret)
{
    const struct geo_unit here = geo_unit(lat, lon);
    float best = -2;
    *ret = (struct cdn_addr){0};
    for (size_t i = 0; i < addresses->n; i++) {
        float cosine = geo_unit_dot(here, addresses->units[i]);
        if (cosine > best && isfinite(addresses->points[i].km)) {
            best = cosine;
            *ret = addresses->points[i].address;
        }
    }
}
