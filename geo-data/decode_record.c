/* decode_record: a record's fields by tables of rules: key -> member, or key -> table of the map below. A
 * schema that writes another key for the same gets a row. */
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "geo-data/decode.h"
#include "geo-data/geo.h"
#include "geo-data/places.h"

#include <math.h>
#include <maxminddb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

enum target {
    TEXT,      /* struct cdn_str */
    REAL,      /* double, from any number or from text */
    UINT,      /* unsigned */
    ASN,       /* asn, from a number or from "AS64496"; with a name after it, organization */
    OWNER,     /* organization; with "AS64496" before it, asn */
    COUNTRY,   /* country_code when it has two or three letters, else country */
    CONTINENT, /* continent_code, from a code or a name */
    REGION,    /* subdivision_code when it has up to three letters, all of them capitals, else subdivision */
    POINT,     /* lat and lon, from "35.6,139.7" */
    NOTHING
};

struct rule {
    struct cdn_str key; /* p NULL ends the table */
    enum target target;
    size_t member;            /* offset in struct geo_record, for a value */
    const struct rule *below; /* for a map, INSIDE: it is a record in the record */
};

#define KEY(literal)                 \
    {                                \
        literal, sizeof(literal) - 1 \
    }
#define MEMBER(m) offsetof(struct geo_record, m)
#define NAMES(m)                                                           \
    (const struct rule[])                                                  \
    {                                                                      \
        {KEY("en"), TEXT, MEMBER(m), NULL}, {{NULL, 0}, NOTHING, 0, NULL}, \
    }

#define END                         \
    {                               \
        {NULL, 0}, NOTHING, 0, NULL \
    }
static const struct rule inside;
#define INSIDE (&inside)

static const struct rule country_rules[] = {
    {KEY("iso_code"), TEXT, MEMBER(country_code), NULL},
    {KEY("code"), TEXT, MEMBER(country_code), NULL},
    {KEY("name"), TEXT, MEMBER(country), NULL},
    {KEY("names"), NOTHING, 0, NAMES(country)},
    END,
};
static const struct rule registered_rules[] = {
    {KEY("iso_code"), TEXT, MEMBER(registered_country_code), NULL},
    END,
};
static const struct rule continent_names[] = {{KEY("en"), CONTINENT, 0, NULL}, END};
static const struct rule continent_rules[] = {
    {KEY("code"), CONTINENT, 0, NULL},
    {KEY("name"), CONTINENT, 0, NULL},
    {KEY("names"), NOTHING, 0, continent_names},
    END,
};
static const struct rule city_rules[] = {
    {KEY("name"), TEXT, MEMBER(city), NULL},
    {KEY("names"), NOTHING, 0, NAMES(city)},
    END,
};
static const struct rule subdivision_rules[] = {
    {KEY("iso_code"), TEXT, MEMBER(subdivision_code), NULL},
    {KEY("code"), TEXT, MEMBER(subdivision_code), NULL},
    {KEY("name"), TEXT, MEMBER(subdivision), NULL},
    {KEY("names"), NOTHING, 0, NAMES(subdivision)},
    END,
};
static const struct rule postal_rules[] = {
    {KEY("code"), TEXT, MEMBER(postcode), NULL},
    END,
};
static const struct rule asn_rules[] = {
    {KEY("asn"), ASN, 0, NULL},   {KEY("number"), ASN, 0, NULL},         {KEY("name"), OWNER, 0, NULL},
    {KEY("org"), OWNER, 0, NULL}, {KEY("organization"), OWNER, 0, NULL}, END,
};
static const struct rule root_rules[] = {
    {KEY("country_code"), TEXT, MEMBER(country_code), NULL},
    {KEY("latitude"), REAL, MEMBER(lat), NULL},
    {KEY("longitude"), REAL, MEMBER(lon), NULL},
    {KEY("lat"), REAL, MEMBER(lat), NULL},
    {KEY("lng"), REAL, MEMBER(lon), NULL},
    {KEY("lon"), REAL, MEMBER(lon), NULL},
    {KEY("accuracy_radius"), UINT, MEMBER(accuracy_radius_km), NULL},
    {KEY("time_zone"), TEXT, MEMBER(time_zone), NULL},
    {KEY("city"), TEXT, MEMBER(city), city_rules},
    {KEY("state1"), TEXT, MEMBER(subdivision), NULL},
    {KEY("country"), COUNTRY, 0, country_rules},
    {KEY("autonomous_system_number"), ASN, 0, NULL},
    {KEY("autonomous_system_organization"), OWNER, 0, NULL},
    {KEY("asn"), ASN, 0, asn_rules},
    {KEY("as_name"), OWNER, 0, NULL},
    {KEY("location"), POINT, 0, INSIDE},
    {KEY("continent"), CONTINENT, 0, continent_rules},
    {KEY("subdivisions"), NOTHING, 0, subdivision_rules},
    {KEY("registered_country"), TEXT, MEMBER(registered_country_code), registered_rules},
    {KEY("postal"), TEXT, MEMBER(postcode), postal_rules},
    {KEY("traits"), NOTHING, 0, INSIDE},
    {KEY("connection"), NOTHING, 0, INSIDE},
    {KEY("geo"), NOTHING, 0, INSIDE},
    {KEY("geolocation"), NOTHING, 0, INSIDE},
    {KEY("network"), NOTHING, 0, INSIDE},
    {KEY("data"), NOTHING, 0, INSIDE},
    {KEY("postcode"), TEXT, MEMBER(postcode), NULL},
    {KEY("region"), REGION, 0, subdivision_rules},
    {KEY("continent_code"), CONTINENT, 0, NULL},
    {KEY("continent_name"), CONTINENT, 0, NULL},
    {KEY("country_name"), TEXT, MEMBER(country), NULL},
    /* other spellings of the same */
    {KEY("country_iso_code"), TEXT, MEMBER(country_code), NULL},
    {KEY("country_iso"), TEXT, MEMBER(country_code), NULL},
    {KEY("country_code3"), TEXT, MEMBER(country_code), NULL},
    {KEY("cc"), TEXT, MEMBER(country_code), NULL},
    {KEY("country_short"), TEXT, MEMBER(country_code), NULL},
    {KEY("iso_code"), TEXT, MEMBER(country_code), NULL},
    {KEY("country_long"), TEXT, MEMBER(country), NULL},
    {KEY("registered_country_code"), TEXT, MEMBER(registered_country_code), NULL},
    {KEY("region_name"), TEXT, MEMBER(subdivision), NULL},
    {KEY("region_code"), TEXT, MEMBER(subdivision_code), NULL},
    {KEY("state"), REGION, 0, subdivision_rules},
    {KEY("stateprov"), TEXT, MEMBER(subdivision), NULL},
    {KEY("subdivision"), REGION, 0, subdivision_rules},
    {KEY("city_name"), TEXT, MEMBER(city), NULL},
    {KEY("loc"), POINT, 0, INSIDE},
    {KEY("coordinates"), POINT, 0, INSIDE},
    {KEY("postal_code"), TEXT, MEMBER(postcode), NULL},
    {KEY("zip_code"), TEXT, MEMBER(postcode), NULL},
    {KEY("zip"), TEXT, MEMBER(postcode), NULL},
    {KEY("as_number"), ASN, 0, NULL},
    {KEY("asn_number"), ASN, 0, NULL},
    {KEY("as"), ASN, 0, asn_rules},
    {KEY("autonomous_system"), ASN, 0, asn_rules},
    {KEY("as_org"), OWNER, 0, NULL},
    {KEY("as_organization"), OWNER, 0, NULL},
    {KEY("asn_org"), OWNER, 0, NULL},
    {KEY("asn_name"), OWNER, 0, NULL},
    {KEY("org"), OWNER, 0, NULL},
    {KEY("organization"), OWNER, 0, NULL},
    {KEY("isp"), OWNER, 0, NULL},
    END,
};

static bool is_joint(char c)
{
    return c == '_' || c == '-' || c == ' ' || c == '.';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* "countryCode", "COUNTRY-CODE" and "country_code" are one key. */
static bool same_words(struct cdn_str a, struct cdn_str b)
{
    size_t i = 0, k = 0;
    for (;;) {
        while (i < a.n && is_joint(a.p[i])) {
            i++;
        }
        while (k < b.n && is_joint(b.p[k])) {
            k++;
        }
        if (i == a.n || k == b.n) {
            return i == a.n && k == b.n;
        }
        if (lower(a.p[i++]) != lower(b.p[k++])) {
            return false;
        }
    }
}

static const struct rule *find_rule(const struct rule *rules, struct cdn_str key)
{
    for (const struct rule *rule = rules; rule->key.p; rule++) {
        if (cdn_str_eq(rule->key, key)) {
            return rule;
        }
    }
    for (const struct rule *rule = rules; rule->key.p; rule++) {
        if (same_words(rule->key, key)) {
            return rule;
        }
    }
    return NULL;
}

static bool as_unsigned(const uint8_t *p, const struct mmdb_field *f, uint64_t *ret)
{
    if (f->type != MMDB_DATA_TYPE_UINT16 && f->type != MMDB_DATA_TYPE_UINT32 &&
        f->type != MMDB_DATA_TYPE_UINT64) {
        return false;
    }
    *ret = 0;
    for (uint32_t i = 0; i < f->size; i++) {
        *ret = *ret << 8 | p[i];
    }
    return true;
}

static bool text_as_real(const uint8_t *p, size_t size, double *ret)
{
    char text[32], *end;
    if (size == 0 || size >= sizeof(text)) {
        return false;
    }
    memcpy(text, p, size);
    text[size] = '\0';
    *ret = strtod(text, &end);
    return *end == '\0';
}

static bool as_real(const uint8_t *p, const struct mmdb_field *f, double *ret)
{
    uint64_t integer;
    if (f->type == MMDB_DATA_TYPE_DOUBLE) {
        uint64_t bits = (uint64_t)mmdb_big_endian(p, 4) << 32 | mmdb_big_endian(p + 4, 4);
        memcpy(ret, &bits, sizeof(bits));
    } else if (f->type == MMDB_DATA_TYPE_FLOAT) {
        uint32_t bits = mmdb_big_endian(p, 4);
        float value;
        memcpy(&value, &bits, sizeof(bits));
        *ret = (double)value;
    } else if (f->type == MMDB_DATA_TYPE_INT32) {
        *ret = (int32_t)mmdb_big_endian(p, f->size);
    } else if (as_unsigned(p, f, &integer)) {
        *ret = (double)integer;
    } else {
        return f->type == MMDB_DATA_TYPE_UTF8_STRING && text_as_real(p, f->size, ret);
    }
    return true;
}

/* A whole number of any type that is no text. */
static bool as_whole(const uint8_t *p, const struct mmdb_field *f, uint64_t *ret)
{
    double real;
    if (as_unsigned(p, f, ret)) {
        return true;
    }
    if (f->type == MMDB_DATA_TYPE_UTF8_STRING || !as_real(p, f, &real) || !(real >= 0 && real <= 1e15)) {
        return false;
    }
    *ret = (uint64_t)real;
    return true;
}

/* Words that files write where they know nothing. */
static struct cdn_str known_text(struct cdn_str text)
{
    static const char *const nothing[] = {"-", "N/A", "null", "unknown", "not available"};
    text = cdn_str_trim(text);
    for (size_t i = 0; i < CDN_ARRAY_LEN(nothing); i++) {
        if (cdn_str_eq_nocase(text, cdn_str(nothing[i]))) {
            return CDN_STR("");
        }
    }
    return text;
}

static void set_text(struct cdn_str *member, struct cdn_str text)
{
    if (member->n == 0) {
        *member = text;
    }
}

static void set_asn(struct geo_record *record, uint64_t number)
{
    if (record->asn == 0 && number <= UINT32_MAX) {
        record->asn = (uint32_t)number;
    }
}

/* "AS64496 Example Net", "64496", "Example Net": a number stands before a blank or alone. */
static void store_owner(struct geo_record *record, struct cdn_str text, bool is_number)
{
    struct cdn_str rest = text, word = cdn_str_cut(&rest, ' ');
    if (cdn_str_eq_nocase(word, CDN_STR("AS")) && rest.p) { /* "AS 64496" */
        rest = cdn_str_trim(rest);
        word = cdn_str_cut(&rest, ' ');
    }
    bool is_marked = word.n > 2 && cdn_str_same_nocase(word.p, "AS", 2);
    uint64_t number;
    if ((is_marked || is_number) && cdn_parse_u64(is_marked ? cdn_str_sub(word, 2) : word, &number)) {
        set_asn(record, number);
        text = rest.p ? cdn_str_trim(rest) : CDN_STR("");
    } else if (is_number) {
        return;
    }
    set_text(&record->organization, text);
}

static bool is_code(struct cdn_str text)
{
    bool is = text.n <= 3;
    for (size_t i = 0; is && i < text.n; i++) {
        is = (text.p[i] >= 'A' && text.p[i] <= 'Z') || (text.p[i] >= '0' && text.p[i] <= '9');
    }
    return is;
}

static void store_point(struct geo_record *record, struct cdn_str text)
{
    double lat, lon;
    struct cdn_str rest = text, first = cdn_str_trim(cdn_str_cut(&rest, ','));
    rest = rest.p ? cdn_str_trim(rest) : CDN_STR("");
    if (!isnan(record->lat) || !isnan(record->lon) ||
        !text_as_real((const uint8_t *)first.p, first.n, &lat) ||
        !text_as_real((const uint8_t *)rest.p, rest.n, &lon)) {
        return;
    }
    record->lat = lat;
    record->lon = lon;
}

static void store_continent(struct geo_record *record, struct cdn_str text)
{
    const struct geo_continent *continent = geo_continent_find(text);
    if (continent) {
        set_text(&record->continent_code, continent->code);
    }
}

static void store_text(struct cdn_str text, const struct rule *rule, struct geo_record *record)
{
    text = known_text(text);
    switch (rule->target) {
    case TEXT:
        set_text((struct cdn_str *)(void *)((char *)record + rule->member), text);
        break;
    case COUNTRY:
        set_text(text.n <= 3 ? &record->country_code : &record->country, text);
        break;
    case CONTINENT:
        store_continent(record, text);
        break;
    case REGION:
        set_text(is_code(text) ? &record->subdivision_code : &record->subdivision, text);
        break;
    case ASN:
    case OWNER:
        store_owner(record, text, rule->target == ASN);
        break;
    case POINT:
        store_point(record, text);
        break;
    case REAL:
    case UINT:
    case NOTHING:
        break;
    }
}

/* Values of an unexpected type are passed over: the file knows something that we do not. Of two keys for the
 * same the first one in the record counts. */
static void store(struct mmdb_section s, const struct mmdb_field *f, const struct rule *rule,
                  struct geo_record *record)
{
    const uint8_t *p = s.p + f->body;
    uint64_t integer;
    double real;
    if (rule->target == REAL && as_real(p, f, &real)) {
        double *member = (double *)(void *)((char *)record + rule->member);
        if (isnan(*member)) {
            *member = real;
        }
    } else if (f->type == MMDB_DATA_TYPE_UTF8_STRING) {
        store_text((struct cdn_str){(const char *)p, f->size}, rule, record);
    } else if (rule->target == ASN && as_whole(p, f, &integer)) {
        set_asn(record, integer);
    } else if (rule->target == UINT && as_whole(p, f, &integer)) {
        unsigned value =
            integer > 40000 ? 40000 : (unsigned)integer; /* no radius is longer than the equator */
        memcpy((char *)record + rule->member, &value, sizeof(value));
    }
}

static bool decode_map(struct mmdb_section s, const struct mmdb_field *map, const struct rule *rules,
                       unsigned depth, uint32_t *budget, struct geo_record *record);

/* The value `f` of a key with a rule: a map goes to the rules below, an array gives its first item. */
static bool decode_value(struct mmdb_section s, const struct mmdb_field *f, const struct rule *rule,
                         unsigned depth, uint32_t *budget, struct geo_record *record)
{
    struct mmdb_field one = *f;
    if (f->type == MMDB_DATA_TYPE_ARRAY && f->size > 0 && !mmdb_field_read(s, f->body, &one)) {
        return false;
    }
    if (!mmdb_has_items(one.type)) {
        store(s, &one, rule, record);
    }
    if (one.type != MMDB_DATA_TYPE_MAP || !rule->below) {
        return true;
    }
    const struct rule *below = rule->below == INSIDE ? root_rules : rule->below;
    return depth > 0 && decode_map(s, &one, below, depth - 1, budget, record);
}

static bool decode_map(struct mmdb_section s, const struct mmdb_field *map, const struct rule *rules,
                       unsigned depth, uint32_t *budget, struct geo_record *record)
{
    size_t at = map->body;
    for (uint32_t i = 0; i < map->size; i++) {
        struct mmdb_field key, value;
        if (*budget == 0 || !mmdb_field_read(s, at, &key) || key.type != MMDB_DATA_TYPE_UTF8_STRING ||
            !mmdb_field_read(s, key.next, &value)) {
            return false;
        }
        (*budget)--;
        const struct rule *rule = find_rule(rules, (struct cdn_str){(const char *)s.p + key.body, key.size});
        if (rule && !decode_value(s, &value, rule, depth, budget, record)) {
            return false;
        }
        if (!mmdb_field_skip(s, &value, depth, budget, &at)) {
            return false;
        }
    }
    return true;
}

bool mmdb_record_decode(struct mmdb_section s, size_t entry, struct geo_record *record)
{
    uint32_t budget = MMDB_BUDGET;
    struct mmdb_field field;
    if (!mmdb_field_read(s, entry, &field)) {
        return false;
    }
    /* the format allows a record of any type; only a map says something that is understood here */
    return field.type != MMDB_DATA_TYPE_MAP ||
           decode_map(s, &field, root_rules, MMDB_DEPTH_MAX, &budget, record);
}
