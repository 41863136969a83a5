/* guard: from a rule's settings to what requests are held against, each check with its place in the file.
 * A rule that names keys and has none, or a signature that nobody could make, is refused when it is read:
 * a rule that was meant to guard something never stands open. */
#include "edge/site/guard.h"

#include "common/config/config.h"
#include "common/mix.h"
#include "common/parse.h"
#include "common/rate.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/geo/client_place.h"
#include "edge/signed/keys.h"
#include "edge/signed/keys_file.h"
#include "edge/site/rule_settings.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/banned.h"

#define V4_BITS 32u
#define V6_BITS 128u

struct guarding {
    const struct edge_rule_settings *s;
    char *const *from;
    const char *place, *name;
    struct edge_guard *guard;
    struct cdn_error *err;
};

static bool said(const struct guarding *g, enum edge_rule_row row)
{
    return g->from && g->from[row];
}

/* "cdn.yaml:12: sites.shop.rules[1].KEY: ..." */
#define WRONG(g, row, ...) wrong(g, EDGE_RULE_ROW_##row, #row, __VA_ARGS__)

static enum cdn_status __attribute__((format(printf, 4, 5)))
wrong(const struct guarding *g, enum edge_rule_row row, const char *key, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return cdn_error_set(g->err, CDN_INVALID, "%s: %s.%s: %s", said(g, row) ? g->from[row] : g->place,
                         g->name, key, text);
}

/* ---- signatures ---- */

static enum cdn_status read_keys(const struct guarding *g)
{
    struct cdn_error why;
    if (!said(g, EDGE_RULE_ROW_signed_keys)) {
        return CDN_OK;
    }
    if (!g->s->signed_keys[0]) {
        return WRONG(g, signed_keys, "a rule that wants signatures needs a file with public keys");
    }
    if (edge_keys_read(g->s->signed_keys, &g->guard->keys, &why) != CDN_OK) {
        return WRONG(g, signed_keys, "%s", why.text);
    }
    return CDN_OK;
}

/* ---- rates ---- */

bool edge_guard_networks_read(const char *text, struct cdn_rate_networks *ret)
{
    struct cdn_str rest = cdn_str(text), first = cdn_str_trim(cdn_str_cut(&rest, ','));
    uint64_t v4, v6;
    if (!rest.p || !cdn_parse_u64(first, &v4) || !cdn_parse_u64(cdn_str_trim(rest), &v6) || v4 > V4_BITS ||
        v6 > V6_BITS) {
        return false;
    }
    *ret = (struct cdn_rate_networks){(unsigned)v4, (unsigned)v6};
    return true;
}

/* One number for a place in a file. */
static uint64_t kind_of(const char *place, uint64_t salt)
{
    uint64_t h = salt;
    for (const char *c = place; *c; c++) {
        h = cdn_mix64(h ^ (unsigned char)*c);
    }
    return h;
}

static enum cdn_status read_rates(const struct guarding *g)
{
    const struct edge_rule_settings *s = g->s;
    struct edge_rates *rates = &g->guard->rates;
    if (said(g, EDGE_RULE_ROW_rate_limit)) {
        if (!cdn_rate_parse(cdn_str(s->rate_limit), s->rate_burst, &rates->rate)) {
            return WRONG(g, rate_limit, "\"%s\" is not a rate such as 100/s, 6000/m or off", s->rate_limit);
        }
        rates->rate_kind = kind_of(g->from[EDGE_RULE_ROW_rate_limit], 1);
    } else if (said(g, EDGE_RULE_ROW_rate_burst)) {
        return WRONG(g, rate_burst, "it needs rate_limit");
    }
    if (said(g, EDGE_RULE_ROW_miss_limit)) {
        if (!cdn_rate_parse(cdn_str(s->miss_limit), s->miss_burst, &rates->miss)) {
            return WRONG(g, miss_limit, "\"%s\" is not a rate such as 20/s, 600/m or off", s->miss_limit);
        }
        rates->miss_kind = kind_of(g->from[EDGE_RULE_ROW_miss_limit], 2);
    } else if (said(g, EDGE_RULE_ROW_miss_burst)) {
        return WRONG(g, miss_burst, "it needs miss_limit");
    }
    if (said(g, EDGE_RULE_ROW_rate_networks) &&
        !edge_guard_networks_read(s->rate_networks, &rates->networks)) {
        return WRONG(g, rate_networks, "\"%s\" is not two prefixes such as 24,48", s->rate_networks);
    }
    if (said(g, EDGE_RULE_ROW_over_limit)) {
        rates->cached_only = s->over_limit != 0;
    }
    g->guard->has_rates = rates->rate.interval_us || rates->miss.interval_us;
    return CDN_OK;
}

/* ---- places ---- */

static enum cdn_status read_fields(const struct guarding *g)
{
    const struct cdn_config_list *words = &g->s->geo_fields, *keyed = &g->s->key_fields;
    enum edge_place_field field;
    for (size_t i = 0; i < words->n; i++) {
        if (!edge_place_field_find(cdn_str(words->items[i].key), &field)) {
            return WRONG(g, geo_fields,
                         "\"%s\" is not one of country, region, city, latitude, longitude, asn",
                         words->items[i].key);
        }
        g->guard->place_fields |= 1u << field;
    }
    for (size_t i = 0; i < keyed->n; i++) { /* what is in the key is told to the origin, too */
        if (!edge_place_is_ours(cdn_str(keyed->items[i].key), &field)) {
            continue;
        }
        if (field == EDGE_PLACE_FIELD_COUNT) {
            return WRONG(g, key_fields, "\"%s\": there is no such field of a client's place",
                         keyed->items[i].key);
        }
        g->guard->place_fields |= 1u << field;
    }
    return CDN_OK;
}

static enum cdn_status read_countries(const struct guarding *g)
{
    const struct cdn_config_list *allow = &g->s->allow_countries, *deny = &g->s->deny_countries;
    struct edge_guard *guard = g->guard;
    for (size_t i = 0; i < allow->n; i++) {
        if (!edge_countries_add(&guard->allow, cdn_str(allow->items[i].key))) {
            return WRONG(g, allow_countries, "\"%s\" is not a country such as DE, or ??",
                         allow->items[i].key);
        }
    }
    for (size_t i = 0; i < deny->n; i++) {
        if (!edge_countries_add(&guard->deny, cdn_str(deny->items[i].key))) {
            return WRONG(g, deny_countries, "\"%s\" is not a country such as DE, or ??", deny->items[i].key);
        }
    }
    guard->by_country = allow->n || deny->n;
    if (!guard->by_country && (said(g, EDGE_RULE_ROW_allow_countries))) {
        return WRONG(g, allow_countries, "the list is empty, so nobody could come in");
    }
    guard->deny_status = g->s->deny_status ? 403 : 451;
    return CDN_OK;
}

enum cdn_status edge_guard_create(const struct edge_rule_settings *settings, char *const *from,
                                  const char *place, const char *name, const struct edge_rates *rates,
                                  struct edge_guard *ret, struct cdn_error *err)
{
    static enum cdn_status (*const read[])(const struct guarding *) = {read_keys, read_rates, read_fields,
                                                                       read_countries};
    struct edge_guard guard = {.rates = *rates};
    const struct guarding g = {settings, from, place, name, &guard, err};
    for (size_t i = 0; i < sizeof(read) / sizeof(*read); i++) {
        const enum cdn_status status = read[i](&g);
        if (status != CDN_OK) {
            edge_guard_free(&guard);
            return status;
        }
    }
    guard.needs_places = guard.place_fields || guard.by_country;
    *ret = guard;
    return CDN_OK;
}

void edge_guard_free(struct edge_guard *guard)
{
    edge_keys_destroy(guard->keys);
    *guard = (struct edge_guard){0};
}
