/* geodesy: distances on a sphere of the Earth's mean radius. Degrees in, kilometres out. */
#ifndef CDN_GEO_DATA_GEODESY_H
#define CDN_GEO_DATA_GEODESY_H
#include <math.h>
#include <stdbool.h>

#define GEO_EARTH_RADIUS_KM 6371.0088 /* IUGG mean radius */

struct geo_unit {
    float x, y, z;
};

static inline double geo_radians(double degrees)
{
    return degrees * (3.14159265358979323846 / 180.0);
}

/* Finite and within -90..90 and -180..180. */
static inline bool geo_coordinates_valid(double lat, double lon)
{
    return isfinite(lat) && isfinite(lon) && fabs(lat) <= 90 && fabs(lon) <= 180;
}

/* One way to write each point: 180 for the meridian that is -180 too, and longitude 0 for the poles, which
 * have all of them. */
void geo_canonical(double *lat, double *lon);

/* Great-circle distance by the haversine formula: exact also for near points. */
double geo_distance_km(double lat1, double lon1, double lat2, double lon2);

/* The point as a unit vector. The dot product of two is the cosine of their angle: the nearest of many points
 * has the largest dot product, which is far cheaper than a haversine each. Floats resolve about 2 km. */
struct geo_unit geo_unit(double lat, double lon);

static inline float geo_unit_dot(struct geo_unit a, struct geo_unit b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

#endif
