/* record: what follows from a record's own fields: precision, country, default points. */
#include "geo-data/database.h"
#include "geo-data/geodesy.h"
#include "geo-data/places.h"

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
    for (size_t i = 0; i < CDN_ARRAY_LEN(default_points); i++)
        if (cdn_str_eq(r->country_code, (struct cdn_str){default_points[i].country, 2}) &&
            fabs(r->lat - (double)default_points[i].lat) < 0.0006 &&
            fabs(r->lon - (double)default_points[i].lon) < 0.0006)
            return true;
    return false;
}

/* Some files write the code where others write the name. */
static void complete_country(struct geo_record *r)
{
    if (r->country_code.n == 0 && r->country.n == 2) {
        r->country_code = r->country;
        r->country = CDN_STR("");
    }
    if (r->country_code.n == 0)
        r->country_code = r->registered_country_code;
}

static enum geo_precision precision_of(const struct geo_file *file, const struct geo_record *r)
{
    if (file->is_cells)
        return GEO_PRECISION_CELL;
    if (r->city.n > 0)
        return GEO_PRECISION_CITY;
    if (r->default_point || r->subdivision.n == 0)
        return GEO_PRECISION_COUNTRY;
    return GEO_PRECISION_REGION;
}

static void derive(const struct geo_file *file, struct geo_record *r)
{
    complete_country(r);
    const struct geo_country *country = geo_country_find(r->country_code);
    if (country && r->country.n == 0)
        r->country = country->name;
    if (country && r->continent_code.n == 0)
        r->continent_code = country->continent_code;
    /* 0,0 is in the sea: files write it where they know nothing */
    r->has_coordinates = geo_coordinates_valid(r->lat, r->lon) && (r->lat != 0 || r->lon != 0);
    if (r->has_coordinates) {
        r->default_point = !file->is_cells && r->city.n == 0 && is_default_point(r);
        r->precision = precision_of(file, r);
        r->default_point = r->default_point || r->precision == GEO_PRECISION_COUNTRY;
        return;
    }
    r->lat = r->lon = 0;
    if (!country)
        return;
    r->lat = country->lat;
    r->lon = country->lon;
    r->has_coordinates = r->default_point = true;
    r->precision = GEO_PRECISION_COUNTRY;
}

enum cdn_status geo_file_record(const struct geo_file *file, uint32_t entry, struct geo_record *ret_record)
{
    struct geo_record r = {.entry = entry, .lat = NAN, .lon = NAN};
    struct cdn_str *const texts[] = {&r.country_code,   &r.country,     &r.registered_country_code,
                                     &r.continent_code, &r.subdivision, &r.subdivision_code,
                                     &r.city,           &r.postcode,    &r.time_zone,
                                     &r.organization};
    for (size_t i = 0; i < CDN_ARRAY_LEN(texts); i++)
        *texts[i] = CDN_STR("");
    if (!mmdb_record_decode(file->data, entry, &r))
        return CDN_CORRUPT;
    derive(file, &r);
    *ret_record = r;
    return CDN_OK;
}
