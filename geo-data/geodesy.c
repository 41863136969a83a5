/* geodesy: the haversine formula on a sphere: half a per cent off an ellipsoid, where the models
 * that use it are off by more, and exact for equal points. */
#include "geo-data/geodesy.h"

#include "common/banned.h"

double geo_distance_km(double lat1, double lon1, double lat2, double lon2)
{
    double north = sin(geo_radians(lat2 - lat1) / 2);
    double east = sin(geo_radians(lon2 - lon1) / 2);
    double h = north * north + cos(geo_radians(lat1)) * cos(geo_radians(lat2)) * east * east;
    return 2 * GEO_EARTH_RADIUS_KM * asin(sqrt(fmin(h, 1)));
}

void geo_canonical(double *lat, double *lon)
{
    if (fabs(*lat) >= 90) {
        *lon = 0;
    } else if (*lon <= -180) {
        *lon = 180;
    }
}

struct geo_unit geo_unit(double lat, double lon)
{
    double phi = geo_radians(lat), lambda = geo_radians(lon);
    return (struct geo_unit){(float)(cos(phi) * cos(lambda)), (float)(cos(phi) * sin(lambda)),
                             (float)sin(phi)};
}
