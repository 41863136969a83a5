/* end: coordinates are looked up once, when an end is made, and places are the same when their coordinates
 * are: people write TOKYO, Tokyo,JP and nrt for one. */
#include "wan/relay/end.h"

#include "common/mem.h"
#include "common/str.h"
#include "geo-data/geodesy.h"
#include "geo-data/places.h"

#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define SAME_PLACE_KM 15 /* a city's middle and its data centres */
#define NS_PER_MS 1e6

static enum cdn_status locate(struct wan_end *end, const char *place, struct cdn_error *err)
{
    struct geo_place found;
    enum cdn_status status = geo_place_find(cdn_str(place), &found, err);
    if (status == CDN_OK) {
        end->place = cdn_str_dup(found.name);
        end->lat = found.lat;
        end->lon = found.lon;
        geo_rtt_point(found.lat, found.lon, &end->point);
    }
    return status;
}

enum cdn_status wan_end_init(struct wan_end *end, const char *name, const char *place, struct cdn_error *err)
{
    struct wan_end made = {.is_node = true};
    enum cdn_status status = CDN_OK;
    if (place[0]) {
        status = locate(&made, place, err);
    } else {
        made.place = cdn_strdup("");
    }
    if (status == CDN_OK) {
        made.name = cdn_strdup(name);
        *end = made;
    }
    return status;
}

enum cdn_status wan_end_init_client(struct wan_end *end, const char *place, struct cdn_error *err)
{
    struct wan_end made = {0};
    enum cdn_status status = locate(&made, place, err);
    if (status == CDN_OK) {
        made.name = cdn_strdup(made.place);
        *end = made;
    }
    return status;
}

void wan_end_fini(struct wan_end *end)
{
    free(end->name);
    free(end->place);
    *end = (struct wan_end){0};
}

int64_t wan_end_rtt_ns(const struct wan_end *a, const struct wan_end *b)
{
    if (!a->place[0] || !b->place[0] || (a->is_node && b->is_node && strcmp(a->name, b->name) == 0)) {
        return 0;
    }
    return (int64_t)((double)geo_rtt_between(&a->point, &b->point) * NS_PER_MS);
}

bool wan_end_is_at(const struct wan_end *end, double lat, double lon)
{
    return end->place[0] && geo_distance_km(end->lat, end->lon, lat, lon) < SAME_PLACE_KM;
}
