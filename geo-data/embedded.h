/* embedded: the data files that are linked into the program. */
#ifndef CDN_GEO_DATA_EMBEDDED_H
#define CDN_GEO_DATA_EMBEDDED_H
#include "common/str.h"

struct cdn_str geo_embedded_world(void);     /* world.mmdb */
struct cdn_str geo_embedded_cities(void);    /* cities.csv */
struct cdn_str geo_embedded_countries(void); /* countries.csv */
struct cdn_str geo_embedded_sites(void);     /* sites.csv */
struct cdn_str geo_embedded_backbone(void);  /* backbone.csv */
struct cdn_str geo_embedded_land(void);      /* land.txt: outlines for drawings */

#endif
