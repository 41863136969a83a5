/* decode: see decode.h. A record is read by tables of rules: key -> member, or key -> table of the map below.
 */
#include "geo-data/decode.h"

#include "common/parse.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "common/banned.h"

static uint32_t big_endian(const uint8_t *p, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return value;
}

/* The control byte's size, with its extra bytes (29: +1, 30: +2, 31: +3). Moves *at behind them. */
static bool read_size(struct mmdb_section s, size_t *at, uint32_t *size)
{
    static const uint32_t base[] = {29, 285, 65821};
    if (*size < 29)
        return true;
    unsigned extra = *size - 28;
    if (s.n - *at < extra)
        return false;
    *size = base[extra - 1] + big_endian(s.p + *at, extra);
    *at += extra;
    return true;
}

static bool read_pointer(struct mmdb_section s, size_t *at, unsigned bits, size_t *ret_target)
{
    static const uint32_t base[] = {0, 2048, 526336, 0};
    unsigned form = bits >> 3 & 3;
    unsigned bytes = form + 1;
    if (s.n - *at < bytes)
        return false;
    uint32_t value = big_endian(s.p + *at, bytes);
    if (form < 3)
        value += (bits & 7) << (8 * bytes);
    *at += bytes;
    *ret_target = (size_t)value + base[form];
    return true;
}

static bool payload_size_fits(unsigned type, uint32_t size)
{
    switch (type) {
    case MMDB_DATA_TYPE_DOUBLE:
        return size == 8;
    case MMDB_DATA_TYPE_FLOAT:
        return size == 4;
    case MMDB_DATA_TYPE_UINT16:
        return size <= 2;
    case MMDB_DATA_TYPE_UINT32:
    case MMDB_DATA_TYPE_INT32:
        return size <= 4;
    case MMDB_DATA_TYPE_UINT64:
        return size <= 8;
    case MMDB_DATA_TYPE_UINT128:
        return size <= 16;
    case MMDB_DATA_TYPE_BOOLEAN:
        return size <= 1;
    case MMDB_DATA_TYPE_UTF8_STRING:
    case MMDB_DATA_TYPE_BYTES:
    case MMDB_DATA_TYPE_MAP:
    case MMDB_DATA_TYPE_ARRAY:
        return true;
    default:
        return false;
    }
}

static bool has_items(unsigned type)
{
    return type == MMDB_DATA_TYPE_MAP || type == MMDB_DATA_TYPE_ARRAY;
}

/* A field that is no pointer; `at` is behind its control byte. */
static bool read_plain(struct mmdb_section s, size_t at, uint8_t control, struct mmdb_field *f)
{
    f->type = control >> 5;
    f->size = control & 31;
    if (f->type == MMDB_DATA_TYPE_EXTENDED) {
        if (at >= s.n || s.p[at] > 8)
            return false;
        f->type = s.p[at++] + 7u;
    }
    if (!read_size(s, &at, &f->size) || !payload_size_fits(f->type, f->size))
        return false;
    f->body = f->next = at;
    if (has_items(f->type))
        return f->size <= s.n - at; /* an item takes a byte at least */
    if (f->type == MMDB_DATA_TYPE_BOOLEAN)
        return true;
    f->next = at + f->size;
    return f->size <= s.n - at;
}

bool mmdb_field_read(struct mmdb_section s, size_t at, struct mmdb_field *ret_field)
{
    if (at >= s.n)
        return false;
    uint8_t control = s.p[at++];
    if (control >> 5 != MMDB_DATA_TYPE_POINTER)
        return read_plain(s, at, control, ret_field);
    size_t target;
    if (!read_pointer(s, &at, control & 31, &target) || target >= s.n ||
        s.p[target] >> 5 == MMDB_DATA_TYPE_POINTER || !read_plain(s, target + 1, s.p[target], ret_field))
        return false;
    ret_field->next = at;
    return true;
}

/* Were the items of a map or array behind the field itself, or elsewhere? Only the former have to be skipped.
 */
static bool is_inline(const struct mmdb_field *f)
{
    return f->next == f->body;
}

bool mmdb_field_skip(struct mmdb_section s, const struct mmdb_field *f, unsigned depth, uint32_t *budget,
                     size_t *ret_next)
{
    size_t at = f->next;
    if (!has_items(f->type) || !is_inline(f)) {
        *ret_next = at;
        return true;
    }
    uint64_t items = f->type == MMDB_DATA_TYPE_MAP ? 2 * (uint64_t)f->size : f->size;
    for (; items > 0; items--) {
        struct mmdb_field item;
        if (depth == 0 || *budget == 0 || !mmdb_field_read(s, at, &item))
            return false;
        (*budget)--;
        if (!mmdb_field_skip(s, &item, depth - 1, budget, &at))
            return false;
    }
    *ret_next = at;
    return true;
}

static bool is_utf8(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        unsigned more = p[i] < 0x80                   ? 0
                        : p[i] >= 0xc2 && p[i] < 0xe0 ? 1
                        : p[i] >= 0xe0 && p[i] < 0xf0 ? 2
                                                      : 3;
        if (p[i] > 0xf4 || (p[i] >= 0x80 && p[i] < 0xc2) || n - i <= more)
            return false;
        for (unsigned k = 1; k <= more; k++)
            if (p[i + k] >> 6 != 2)
                return false;
        i += more + 1;
    }
    return true;
}

/* Checks `f` and all below it; *ret_next is where the next sibling stands. */
static bool check_field(struct mmdb_section s, const struct mmdb_field *f, unsigned depth, uint32_t *budget,
                        size_t *ret_next)
{
    *ret_next = f->next;
    if (f->type == MMDB_DATA_TYPE_UTF8_STRING)
        return is_utf8(s.p + f->body, f->size);
    if (!has_items(f->type))
        return true;
    bool is_map = f->type == MMDB_DATA_TYPE_MAP;
    size_t at = f->body;
    uint64_t items = is_map ? 2 * (uint64_t)f->size : f->size;
    for (uint64_t i = 0; i < items; i++) {
        struct mmdb_field item;
        if (depth == 0 || *budget == 0 || !mmdb_field_read(s, at, &item))
            return false;
        (*budget)--;
        if (is_map && i % 2 == 0 && item.type != MMDB_DATA_TYPE_UTF8_STRING)
            return false;
        if (!check_field(s, &item, depth - 1, budget, &at))
            return false;
    }
    if (is_inline(f))
        *ret_next = at;
    return true;
}

bool mmdb_field_check(struct mmdb_section s, size_t at, unsigned depth, uint32_t *budget)
{
    struct mmdb_field f;
    size_t next;
    return mmdb_field_read(s, at, &f) && check_field(s, &f, depth, budget, &next);
}

/* ---- records ---- */

enum target {
    TEXT, /* struct cdn_str */
    REAL, /* double, from any number or from text */
    UINT, /* unsigned */
    ASN,  /* uint32_t, from a number or from "AS64496" */
    NOTHING
};

struct rule {
    struct cdn_str key; /* p NULL ends the table */
    enum target target;
    size_t member;            /* offset in struct geo_record, for a value */
    const struct rule *below; /* for a map, or for the first map in an array */
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

static const struct rule country_rules[] = {
    {KEY("iso_code"), TEXT, MEMBER(country_code), NULL},
    {KEY("names"), NOTHING, 0, NAMES(country)},
    {{NULL, 0}, NOTHING, 0, NULL},
};
static const struct rule registered_rules[] = {
    {KEY("iso_code"), TEXT, MEMBER(registered_country_code), NULL},
    {{NULL, 0}, NOTHING, 0, NULL},
};
static const struct rule continent_rules[] = {
    {KEY("code"), TEXT, MEMBER(continent_code), NULL},
    {{NULL, 0}, NOTHING, 0, NULL},
};
static const struct rule city_rules[] = {
    {KEY("names"), NOTHING, 0, NAMES(city)},
    {{NULL, 0}, NOTHING, 0, NULL},
};
static const struct rule subdivision_rules[] = {
    {KEY("iso_code"), TEXT, MEMBER(subdivision_code), NULL},
    {KEY("names"), NOTHING, 0, NAMES(subdivision)},
    {{NULL, 0}, NOTHING, 0, NULL},
};
static const struct rule location_rules[] = {
    {KEY("latitude"), REAL, MEMBER(lat), NULL},
    {KEY("longitude"), REAL, MEMBER(lon), NULL},
    {KEY("accuracy_radius"), UINT, MEMBER(accuracy_radius_km), NULL},
    {KEY("time_zone"), TEXT, MEMBER(time_zone), NULL},
    {{NULL, 0}, NOTHING, 0, NULL},
};
static const struct rule postal_rules[] = {
    {KEY("code"), TEXT, MEMBER(postcode), NULL},
    {{NULL, 0}, NOTHING, 0, NULL},
};
#define NETWORK_RULES                                                           \
    {KEY("autonomous_system_number"), ASN, MEMBER(asn), NULL},                  \
    {                                                                           \
        KEY("autonomous_system_organization"), TEXT, MEMBER(organization), NULL \
    }
static const struct rule traits_rules[] = {
    NETWORK_RULES,
    {{NULL, 0}, NOTHING, 0, NULL},
};
static const struct rule root_rules[] = {
    {KEY("country_code"), TEXT, MEMBER(country_code), NULL},
    {KEY("latitude"), REAL, MEMBER(lat), NULL},
    {KEY("longitude"), REAL, MEMBER(lon), NULL},
    {KEY("lat"), REAL, MEMBER(lat), NULL},
    {KEY("lng"), REAL, MEMBER(lon), NULL},
    {KEY("lon"), REAL, MEMBER(lon), NULL},
    {KEY("city"), TEXT, MEMBER(city), city_rules},
    {KEY("state1"), TEXT, MEMBER(subdivision), NULL},
    {KEY("region"), TEXT, MEMBER(subdivision), NULL},
    {KEY("timezone"), TEXT, MEMBER(time_zone), NULL},
    {KEY("time_zone"), TEXT, MEMBER(time_zone), NULL},
    {KEY("postcode"), TEXT, MEMBER(postcode), NULL},
    {KEY("postal_code"), TEXT, MEMBER(postcode), NULL},
    {KEY("accuracy_radius"), UINT, MEMBER(accuracy_radius_km), NULL},
    {KEY("continent_code"), TEXT, MEMBER(continent_code), NULL},
    {KEY("country"), TEXT, MEMBER(country), country_rules},
    {KEY("country_name"), TEXT, MEMBER(country), NULL},
    {KEY("location"), NOTHING, 0, location_rules},
    {KEY("continent"), NOTHING, 0, continent_rules},
    {KEY("subdivisions"), NOTHING, 0, subdivision_rules},
    {KEY("registered_country"), NOTHING, 0, registered_rules},
    {KEY("postal"), NOTHING, 0, postal_rules},
    {KEY("traits"), NOTHING, 0, traits_rules},
    NETWORK_RULES,
    {KEY("asn"), ASN, MEMBER(asn), NULL},
    {KEY("as_name"), TEXT, MEMBER(organization), NULL},
    {{NULL, 0}, NOTHING, 0, NULL},
};

static const struct rule *find_rule(const struct rule *rules, struct cdn_str key)
{
    for (; rules->key.p; rules++)
        if (cdn_str_eq(rules->key, key))
            return rules;
    return NULL;
}

static bool as_unsigned(const uint8_t *p, const struct mmdb_field *f, uint64_t *ret)
{
    if (f->type != MMDB_DATA_TYPE_UINT16 && f->type != MMDB_DATA_TYPE_UINT32 &&
        f->type != MMDB_DATA_TYPE_UINT64)
        return false;
    *ret = 0;
    for (uint32_t i = 0; i < f->size; i++)
        *ret = *ret << 8 | p[i];
    return true;
}

static bool text_as_real(const uint8_t *p, uint32_t size, double *ret)
{
    char text[32], *end;
    if (size == 0 || size >= sizeof text)
        return false;
    memcpy(text, p, size);
    text[size] = '\0';
    *ret = strtod(text, &end);
    return *end == '\0';
}

static bool as_real(const uint8_t *p, const struct mmdb_field *f, double *ret)
{
    uint64_t integer;
    if (f->type == MMDB_DATA_TYPE_DOUBLE) {
        uint64_t bits = (uint64_t)big_endian(p, 4) << 32 | big_endian(p + 4, 4);
        memcpy(ret, &bits, sizeof bits);
    } else if (f->type == MMDB_DATA_TYPE_FLOAT) {
        uint32_t bits = big_endian(p, 4);
        float value;
        memcpy(&value, &bits, sizeof bits);
        *ret = (double)value;
    } else if (f->type == MMDB_DATA_TYPE_INT32) {
        *ret = (int32_t)big_endian(p, f->size);
    } else if (as_unsigned(p, f, &integer)) {
        *ret = (double)integer;
    } else {
        return f->type == MMDB_DATA_TYPE_UTF8_STRING && text_as_real(p, f->size, ret);
    }
    return true;
}

static bool as_asn(const uint8_t *p, const struct mmdb_field *f, uint32_t *ret)
{
    uint64_t number;
    struct cdn_str text = {(const char *)p, f->size};
    if (f->type == MMDB_DATA_TYPE_UTF8_STRING) {
        if (cdn_str_starts(text, CDN_STR("AS")))
            text = cdn_str_sub(text, 2);
        if (!cdn_parse_u64(text, &number))
            return false;
    } else if (!as_unsigned(p, f, &number)) {
        return false;
    }
    if (number > UINT32_MAX)
        return false;
    *ret = (uint32_t)number;
    return true;
}

/* Values of an unexpected type are passed over: the file knows something that we do not. */
static void store(struct mmdb_section s, const struct mmdb_field *f, const struct rule *rule,
                  struct geo_record *record)
{
    char *member = (char *)record + rule->member;
    const uint8_t *p = s.p + f->body;
    uint64_t integer;
    uint32_t asn;
    double real;
    if (rule->target == TEXT && f->type == MMDB_DATA_TYPE_UTF8_STRING) {
        struct cdn_str text = {(const char *)p, f->size};
        memcpy(member, &text, sizeof text);
    } else if (rule->target == REAL && as_real(p, f, &real)) {
        memcpy(member, &real, sizeof real);
    } else if (rule->target == ASN && as_asn(p, f, &asn)) {
        memcpy(member, &asn, sizeof asn);
    } else if (rule->target == UINT && as_unsigned(p, f, &integer)) {
        unsigned value =
            integer > 40000 ? 40000 : (unsigned)integer; /* no radius is longer than the equator */
        memcpy(member, &value, sizeof value);
    }
}

static bool decode_map(struct mmdb_section s, const struct mmdb_field *map, const struct rule *rules,
                       unsigned depth, uint32_t *budget, struct geo_record *record);

/* The value `f` of a key with a rule: a map goes to the rules below, an array gives its first map, else a
 * value. */
static bool decode_value(struct mmdb_section s, const struct mmdb_field *f, const struct rule *rule,
                         unsigned depth, uint32_t *budget, struct geo_record *record)
{
    if (!has_items(f->type)) {
        store(s, f, rule, record);
        return true;
    }
    struct mmdb_field map = *f;
    if (f->type == MMDB_DATA_TYPE_ARRAY && f->size > 0 && !mmdb_field_read(s, f->body, &map))
        return false;
    if (map.type != MMDB_DATA_TYPE_MAP || !rule->below)
        return true;
    return depth > 0 && decode_map(s, &map, rule->below, depth - 1, budget, record);
}

static bool decode_map(struct mmdb_section s, const struct mmdb_field *map, const struct rule *rules,
                       unsigned depth, uint32_t *budget, struct geo_record *record)
{
    size_t at = map->body;
    for (uint32_t i = 0; i < map->size; i++) {
        struct mmdb_field key, value;
        if (*budget == 0 || !mmdb_field_read(s, at, &key) || key.type != MMDB_DATA_TYPE_UTF8_STRING ||
            !mmdb_field_read(s, key.next, &value))
            return false;
        (*budget)--;
        const struct rule *rule = find_rule(rules, (struct cdn_str){(const char *)s.p + key.body, key.size});
        if (rule && !decode_value(s, &value, rule, depth, budget, record))
            return false;
        if (!mmdb_field_skip(s, &value, depth, budget, &at))
            return false;
    }
    return true;
}

bool mmdb_record_decode(struct mmdb_section s, size_t entry, struct geo_record *record)
{
    uint32_t budget = 2000; /* MaxMind's richest records have about 150 items */
    struct mmdb_field map;
    return mmdb_field_read(s, entry, &map) && map.type == MMDB_DATA_TYPE_MAP &&
           decode_map(s, &map, root_rules, MMDB_DEPTH_MAX, &budget, record);
}
