/* traveller: a place as the command line gives it becomes an address by a walk over the database
 * (geo-data/near.h); an address stands for itself, wherever it is. */
#include "cli/run/traveller.h"

#include "common/mem.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "geo-data/near.h"
#include "geo-data/places.h"

#include <math.h>

#include "common/banned.h"

enum cdn_status traveller_from_text(const char *text, struct cdn_addr *ret_address, char **ret_name,
                                    struct cdn_error *err)
{
    struct geo_place place;
    struct geo_db *db;
    if (cdn_parse_ip(cdn_str(text), ret_address)) {
        *ret_name = cdn_strdup("");
        return CDN_OK;
    }
    enum cdn_status status = geo_place_find(cdn_str(text), &place, err);
    if (status != CDN_OK) {
        return cdn_error_prefix(err, "--from");
    }
    struct geo_near near = {.lat = place.lat, .lon = place.lon};
    status = geo_db_open_embedded(&db, err);
    if (status != CDN_OK) {
        return status;
    }
    status = geo_near_find(db, &near, 1, err);
    geo_db_unref(db);
    if (status != CDN_OK) {
        return status;
    }
    if (!isfinite(near.km)) {
        return cdn_error_set(err, CDN_NOT_FOUND, "--from: the database has no address near %s", text);
    }
    *ret_address = near.address;
    *ret_name = cdn_str_dup(place.name);
    return CDN_OK;
}
