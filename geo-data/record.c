/* record: what follows from a record's own fields: precision, country, default points. Files of all
 * makers are brought to one meaning here, so that nobody above asks which file it was. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/database.h"
#include "geo-data/decode.h"
#include "geo-data/geo.h"
#include "geo-data/geodesy.h"
#include "geo-data/places.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

/* Points that MaxMind's databases give when they know the country only, in old and new editions. */
static const struct {
    char country[3];
    float lat, lon;
} default_points[] = {
    {"US", 37.751F, -97.822F},    {"US", 38.0F, -97.0F},       {"CA", 43.6319F, -79.3716F},
    {"CA", 60.0F, -95.0F},        {"GB", 51.4964F, -0.1224F},  {"GB", 51.5F, -0.13F},
    {"DE", 51.2993F, 9.491F},     {"DE", 51.0F, 9.0F},         {"FR", 48.8582F, 2.3387F},
    {"FR", 46.0F, 2.0F},          {"NL", 52.3824F, 4.8995F},   {"NL", 52.5F, 5.75F},
    {"IT", 43.1479F, 12.1097F},   {"IT", 42.8333F, 12.8333F},  {"ES", 40.4172F, -3.684F},
    {"ES", 40.0F, -4.0F},         {"CN", 34.7725F, 113.7266F}, {"CN", 35.0F, 105.0F},
    {"JP", 35.69F, 139.69F},      {"JP", 36.0F, 138.0F},       {"KR", 37.5112F, 126.9741F},
    {"KR", 37.0F, 127.5F},        {"AU", -33.494F, 143.2104F}, {"AU", -27.0F, 133.0F},
    {"BR", -22.8305F, -43.2192F}, {"BR", -10.0F, -55.0F},      {"IN", 21.9974F, 79.0011F},
    {"IN", 20.0F, 77.0F},         {"RU", 55.7386F, 37.6068F},  {"RU", 60.0F, 100.0F},
    {"SE", 59.3247F, 18.056F},    {"SE", 62.0F, 15.0F},        {"CH", 47.1449F, 8.1551F},
    {"CH", 47.0F, 8.0F},          {"PL", 52.2394F, 21.0362F},  {"PL", 52.0F, 20.0F},
};

static bool is_default_point(const struct geo_record *r)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(default_points); i++) {
        if (cdn_str_eq(r->country_code, (struct cdn_str){default_points[i].country, 2}) &&
            fabs(r->lat - (double)default_points[i].lat) < 0.0006 &&
            fabs(r->lon - (double)default_points[i].lon) < 0.0006) {
            return true;
        }
    }
    return false;
}

/* Codes that stand for no country: user-assigned ones of ISO 3166-1 that databases write for "unknown", and
 * MaxMind's former ones for anonymous proxies, satellites and "other". */
static bool is_no_country(struct cdn_str code)
{
    static const char codes[][3] = {"ZZ", "XX", "A1", "A2", "O1", "T1", "--", "??"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(codes); i++) {
        if (cdn_str_eq_nocase(code, cdn_str(codes[i]))) {
            return true;
        }
    }
    return false;
}

/* One code for a country, whatever a file calls it: "jp", "JPN", "UK", "Japan". */
static void name_country(struct geo_record *r)
{
    if (is_no_country(r->country_code)) {
        r->country_code = CDN_STR("");
    }
    struct cdn_str text = r->country_code.n ? r->country_code : r->country;
    const struct geo_country *country = geo_country_named(text);
    const struct geo_continent *continent = country ? NULL : geo_continent_find(text);
    if (country) {
        r->country_code = country->code;
    } else if (continent &&
               (cdn_str_eq(continent->code, CDN_STR("EU")) || cdn_str_eq(continent->code, CDN_STR("AP")))) {
        r->country_code = continent->code; /* as registries write it */
    }
    if (continent && r->continent_code.n == 0) {
        r->continent_code = continent->code;
    }
    country = geo_country_named(r->registered_country_code);
    if (country) {
        r->registered_country_code = country->code;
    }
}

static void complete_country(struct geo_record *r)
{
    if (r->country_code.n > 0) {
        return;
    }
    r->country_code = r->registered_country_code;
    r->country = CDN_STR("");
}

static enum geo_precision precision_of(const struct geo_record *r, bool is_cell)
{
    if (is_cell) {
        return GEO_PRECISION_CELL;
    }
    if (r->city.n > 0) {
        return GEO_PRECISION_CITY;
    }
    if (r->default_point || r->subdivision.n + r->subdivision_code.n == 0) {
        return GEO_PRECISION_COUNTRY;
    }
    return GEO_PRECISION_REGION;
}

static void stand_in(struct geo_record *r, double lat, double lon, enum geo_precision precision)
{
    r->lat = lat;
    r->lon = lon;
    r->has_coordinates = r->default_point = true;
    r->precision = precision;
}

static bool are_coordinates(const struct geo_record *r)
{
    /* 0,0 is in the sea: files write it where they know nothing */
    return geo_coordinates_valid(r->lat, r->lon) && (r->lat != 0 || r->lon != 0);
}

static void derive(struct geo_record *r, bool is_cell)
{
    complete_country(r);
    const struct geo_country *country = geo_country_find(r->country_code);
    const struct geo_continent *continent = geo_continent_find(r->continent_code);
    if (!continent && !country) { /* AS, NA and SA are countries as well */
        continent = geo_continent_find(r->country_code);
    }
    if (country && r->country.n == 0) {
        r->country = country->name;
    } else if (continent && r->country_code.n && r->country.n == 0) {
        r->country = continent->name;
    }
    if (country && !continent) {
        r->continent_code = country->continent_code;
    } else if (continent) {
        r->continent_code = continent->code;
    }
    r->has_coordinates = are_coordinates(r);
    if (r->has_coordinates) {
        r->default_point = !is_cell && r->city.n == 0 && is_default_point(r);
        r->precision = precision_of(r, is_cell);
        r->default_point = r->default_point || r->precision == GEO_PRECISION_COUNTRY;
        return;
    }
    r->lat = r->lon = 0;
    if (country) {
        stand_in(r, country->lat, country->lon, GEO_PRECISION_COUNTRY);
    } else if (continent) {
        stand_in(r, continent->lat, continent->lon, GEO_PRECISION_CONTINENT);
    }
}

#define TEXTS(X) /* members */ \
    X(country_code)            \
    X(registered_country_code) \
    X(continent_code) X(subdivision) X(subdivision_code) X(city) X(postcode) X(time_zone) X(organization)

static void clear(struct geo_record *r)
{
    *r = (struct geo_record){.entry = GEO_ENTRY_NONE, .lat = NAN, .lon = NAN, .country = CDN_STR("")};
#define X(member) r->member = CDN_STR("");
    TEXTS(X)
#undef X
}

/* Fills what `r` lacks from `more`; true when the coordinates are of `more`. */
static bool fill(struct geo_record *r, const struct geo_record *more)
{
    if (r->country_code.n == 0 ||
        (r->country.n == 0 && cdn_str_eq_nocase(r->country_code, more->country_code))) {
        r->country = more->country; /* the name of the country that the code means */
    }
#define X(member)         \
    if (r->member.n == 0) \
        r->member = more->member;
    TEXTS(X)
#undef X
    if (r->asn == 0) {
        r->asn = more->asn;
    }
    if (are_coordinates(r) || !are_coordinates(more)) {
        return false;
    }
    r->lat = more->lat;
    r->lon = more->lon;
    r->accuracy_radius_km = more->accuracy_radius_km;
    return true;
}

enum cdn_status geo_files_record(const struct geo_file *const files[], const uint32_t entries[], size_t n,
                                 struct geo_record *ret_record)
{
    struct geo_record r, one;
    bool is_cell = false;
    clear(&r);
    for (size_t i = 0; i < n; i++) {
        if (entries[i] == GEO_ENTRY_NONE) {
            continue;
        }
        clear(&one);
        if (!mmdb_record_decode(files[i]->data, entries[i], &one)) {
            return CDN_CORRUPT;
        }
        name_country(&one);
        if (fill(&r, &one)) {
            is_cell = files[i]->is_cells;
        }
    }
    derive(&r, is_cell);
    *ret_record = r;
    return CDN_OK;
}
