/* Places as people type them: any text is a place on the globe or refused, never a point beyond
 * the poles. */
#include "common/status.h"
#include "fuzz.h"
#include "geo-data/places.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct geo_place place;
    struct cdn_error err = {0};
    if (geo_place_find(fuzz_text(data, n), &place, &err) == CDN_OK) {
        MUST(place.lat >= -90 && place.lat <= 90 && place.lon >= -180 && place.lon <= 180);
        MUST(geo_place_nearest(place.lat, place.lon, NULL));
    } else {
        fuzz_check_error(&err);
    }
    (void)geo_country_find(fuzz_text(data, n));
    return 0;
}
