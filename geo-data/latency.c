/* latency: see latency.h */
#include "geo-data/latency.h"

#include "geo-data/geodesy.h"

#include "common/banned.h"

#define FIBRE_KM_PER_MS 200.0
#define DETOUR 1.5
#define ACCESS_MS 3.0

double geo_rtt_ms(double lat1, double lon1, double lat2, double lon2)
{
    return DETOUR * 2 * geo_distance_km(lat1, lon1, lat2, lon2) / FIBRE_KM_PER_MS + ACCESS_MS;
}
