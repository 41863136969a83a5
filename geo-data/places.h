/* places: cities, countries and server sites by name and by coordinates, from the .csv files in this folder,
 * which are part of the program. The tables are read once, at the first call, and never change: any thread
 * may call. */
#ifndef CDN_GEO_DATA_PLACES_H
#define CDN_GEO_DATA_PLACES_H
#include "common/status.h"
#include "common/str.h"

#include <stddef.h>

struct geo_place {
    struct cdn_str name;         /* UTF-8, the name most used in English: "Zürich" */
    struct cdn_str other_names;  /* separated by '|': "Zuerich|Zurigo"; may be empty */
    struct cdn_str country_code; /* "CH"; empty for bare coordinates */
    double lat, lon;             /* degrees */
    unsigned population_k;       /* thousands, of the urban area, roughly; 0 for bare coordinates */
};

struct geo_country {
    struct cdn_str code;           /* ISO 3166-1 alpha-2 */
    struct cdn_str name;           /* English */
    struct cdn_str continent_code; /* AF AN AS EU NA OC SA */
    double lat, lon;               /* of its most populous city in the table, else of its middle */
};

struct geo_site {
    struct cdn_str name; /* "fra" */
    struct cdn_str city; /* "Frankfurt" */
    double lat, lon;
};

/* A place from what a person types: a city in any of its spellings ("Zürich", "zurich", "Muenchen"; case,
 * accents, blanks and hyphens do not count), "City,CC" or "City,Country" where names repeat (otherwise the
 * most populous counts), a site's short name ("fra"), or "LAT,LON" in degrees. CDN_NOT_FOUND names the
 * closest spellings. */
enum cdn_status geo_place_find(struct cdn_str text, struct geo_place *ret_place,
                               struct cdn_error *err) CDN_MUST_CHECK;
/* The city nearest to a point and, when ret_km is not NULL, its distance. Never NULL. */
const struct geo_place *geo_place_nearest(double lat, double lon, double *ret_km);
size_t geo_place_count(void);
const struct geo_place *geo_place_at(size_t i); /* i < geo_place_count(), in the file's order */

const struct geo_country *geo_country_find(struct cdn_str code); /* any case; NULL when unknown */
/* From a code of two or three letters, a former one ("UK", "YU"), or an English name in one of the spellings
 * of countries.csv; case, accents and punctuation do not count. */
const struct geo_country *geo_country_named(struct cdn_str text);
size_t geo_country_count(void);
const struct geo_country *geo_country_at(size_t i);

/* A point in the middle of a continent's people, for addresses of which no more is known. */
#define GEO_CONTINENT_TABLE(X) /* code, English name, latitude, longitude */ \
    X("AF", "Africa", 5, 20)                                                 \
    X("AN", "Antarctica", -80, 0)                                            \
    X("AP", "Asia/Pacific", 15, 110)                                         \
    X("AS", "Asia", 28, 95)                                                  \
    X("EU", "Europe", 50, 10)                                                \
    X("NA", "North America", 40, -95)                                        \
    X("OC", "Oceania", -30, 145)                                             \
    X("SA", "South America", -16, -56)

struct geo_continent {
    struct cdn_str code; /* AP: databases have it as a country, as they have EU */
    struct cdn_str name;
    double lat, lon;
};

const struct geo_continent *geo_continent_find(struct cdn_str text); /* code or name, any case; or NULL */

/* 30 sites for simulations and for judging databases; the first GEO_DEFAULT_EDGES of them are the default
 * edges. */
#define GEO_DEFAULT_EDGES 10u
size_t geo_site_count(void);
const struct geo_site *geo_site_at(size_t i);

#endif
