/* near: an address that the database places near a point, for who stands in for clients elsewhere: the
 * command line's visits and the network between places. The database has no index by place, so its networks
 * are walked; ask for all points at once. */
#ifndef CDN_GEO_DATA_NEAR_H
#define CDN_GEO_DATA_NEAR_H
#include "common/parse.h"
#include "common/status.h"
#include "geo-data/geo.h"

#include <stddef.h>

struct geo_near {
    double lat, lon;         /* in: where to stand */
    struct cdn_addr address; /* out: an IPv4 address of the network whose place is nearest */
    double km;               /* out: from (lat, lon) to that place; infinite when the database has none */
};

/* One walk over the database for all of them; of several networks of the nearest place the widest is taken,
 * so that the same point has the same address at every call. Special addresses are none. */
enum cdn_status geo_near_find(const struct geo_db *db, struct geo_near *points, size_t n,
                              struct cdn_error *err) CDN_MUST_CHECK;

#endif
