/* client_place: where a client is, for rules that ask: fields that tell the origin, and countries that are
 * let in or kept out. From the same databases as routing (geo-data), which only rules that ask make an
 * edge load.
 *
 * What is not known is left out; a country that is not known is "??" in lists of countries. Fields of
 * these names that a client sends itself never reach an origin, whatever the rules say. */
#ifndef CDN_EDGE_CLIENT_PLACE_H
#define CDN_EDGE_CLIENT_PLACE_H
#include "common/parse.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct geo_db;

/* word in `geo_fields`, name of the field */
#define EDGE_PLACE_FIELDS(X)             \
    X(country, "CDN-Client-Country")     \
    X(region, "CDN-Client-Region")       \
    X(city, "CDN-Client-City")           \
    X(latitude, "CDN-Client-Latitude")   \
    X(longitude, "CDN-Client-Longitude") \
    X(asn, "CDN-Client-ASN")

enum edge_place_field {
#define X(word, name) EDGE_PLACE_##word,
    EDGE_PLACE_FIELDS(X)
#undef X
        EDGE_PLACE_FIELD_COUNT
};
bool edge_place_field_find(struct cdn_str word, enum edge_place_field *ret); /* "city" */
struct cdn_str edge_place_field_name(enum edge_place_field field);
/* Whether a field is for an edge to write; *ret (NULL is fine) is which, COUNT: none that there is. */
bool edge_place_is_ours(struct cdn_str name, enum edge_place_field *ret);

/* Appends the value for a client, safe for a field: all but printing ASCII, and '%', percent-encoded (UTF-8).
 * False: it is not known. */
bool edge_place_write(const struct geo_db *db, const struct cdn_addr *client, enum edge_place_field field,
                      struct cdn_buf *into);

/* Countries by their two letters (ISO 3166-1); "??" are addresses whose country is not known. */
struct edge_countries {
    uint64_t set[(26 * 26 + 64) / 64];
    size_t count;
};
bool edge_countries_add(struct edge_countries *countries, struct cdn_str code); /* false: it is none */
/* The client's country, and "??". */
struct cdn_str edge_place_country(const struct geo_db *db, const struct cdn_addr *client);
bool edge_countries_has(const struct edge_countries *countries, struct cdn_str code);

#endif
