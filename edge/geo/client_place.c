/* client_place: one look-up for each value that is asked for; a rule has few, and requests that hit have
 * none. Two letters are a number below 676, so a set of countries is a handful of words. */
#include "edge/geo/client_place.h"

#include "common/http/syntax/http_percent.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/banned.h"

#define UNKNOWN CDN_STR("??")
#define UNKNOWN_NUMBER (26u * 26u)
#define PREFIX CDN_STR("CDN-Client-")

static const struct {
    struct cdn_str word, name;
} fields[] = {
#define X(word, name) {{#word, sizeof(#word) - 1}, {name, sizeof(name) - 1}},
    EDGE_PLACE_FIELDS(X)
#undef X
};

bool edge_place_field_find(struct cdn_str word, enum edge_place_field *ret)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(fields); i++) {
        if (cdn_str_eq(word, fields[i].word)) {
            *ret = (enum edge_place_field)i;
            return true;
        }
    }
    return false;
}

struct cdn_str edge_place_field_name(enum edge_place_field field)
{
    return fields[field].name;
}

bool edge_place_is_ours(struct cdn_str name, enum edge_place_field *ret)
{
    if (name.n <= PREFIX.n || !cdn_str_eq_nocase((struct cdn_str){name.p, PREFIX.n}, PREFIX)) {
        return false;
    }
    size_t i = 0;
    while (i < CDN_ARRAY_LEN(fields) && !cdn_str_eq_nocase(name, fields[i].name)) {
        i++;
    }
    if (ret) {
        *ret = (enum edge_place_field)i;
    }
    return true;
}

/* ---- values ---- */

static bool stays(unsigned char c)
{
    return c >= ' ' && c < 0x7f && c != '%';
}

static bool add_text(struct cdn_str text, struct cdn_buf *into)
{
    http_percent_encode(text, stays, into);
    return text.n > 0;
}

static bool add_degrees(const struct geo_record *record, double degrees, struct cdn_buf *into)
{
    if (record->has_coordinates) {
        cdn_buf_printf(into, "%.4f", degrees);
    }
    return record->has_coordinates;
}

static bool find(const struct geo_db *db, const struct cdn_addr *client, struct geo_record *ret)
{
    return db && client->sa.sa_family != AF_UNSPEC && geo_lookup(db, &client->sa, ret) == CDN_OK;
}

bool edge_place_write(const struct geo_db *db, const struct cdn_addr *client, enum edge_place_field field,
                      struct cdn_buf *into)
{
    struct geo_record record;
    if (!find(db, client, &record)) {
        return false;
    }
    switch (field) {
    case EDGE_PLACE_country:
        return add_text(record.country_code, into);
    case EDGE_PLACE_region:
        return add_text(record.subdivision_code.n ? record.subdivision_code : record.subdivision, into);
    case EDGE_PLACE_city:
        return add_text(record.city, into);
    case EDGE_PLACE_latitude:
        return add_degrees(&record, record.lat, into);
    case EDGE_PLACE_longitude:
        return add_degrees(&record, record.lon, into);
    case EDGE_PLACE_asn:
        if (record.asn) {
            cdn_buf_add_uint(into, record.asn);
        }
        return record.asn != 0;
    case EDGE_PLACE_FIELD_COUNT:
        break;
    }
    return false;
}

/* ---- countries ---- */

static bool number_of(struct cdn_str code, unsigned *ret)
{
    if (cdn_str_eq(code, UNKNOWN)) {
        *ret = UNKNOWN_NUMBER;
        return true;
    }
    if (code.n != 2 || code.p[0] < 'A' || code.p[0] > 'Z' || code.p[1] < 'A' || code.p[1] > 'Z') {
        return false;
    }
    *ret = (unsigned)(code.p[0] - 'A') * 26u + (unsigned)(code.p[1] - 'A');
    return true;
}

bool edge_countries_add(struct edge_countries *countries, struct cdn_str code)
{
    unsigned n;
    if (!number_of(code, &n)) {
        return false;
    }
    countries->set[n / 64] |= UINT64_C(1) << n % 64;
    countries->count++;
    return true;
}

bool edge_countries_has(const struct edge_countries *countries, struct cdn_str code)
{
    unsigned n = UNKNOWN_NUMBER;
    (void)number_of(code, &n); /* what a database calls a country and is none is not known */
    return countries->set[n / 64] >> n % 64 & 1;
}

struct cdn_str edge_place_country(const struct geo_db *db, const struct cdn_addr *client)
{
    struct geo_record record;
    unsigned n;
    return find(db, client, &record) && number_of(record.country_code, &n) ? record.country_code : UNKNOWN;
}
