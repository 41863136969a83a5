/* overrides_parse: one entry of `overrides` from text: key, then actions. Every complaint names
 * entry and value as written, and names that are no edge are told apart from places that are not
 * known. */
#include "common/config/config.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/places.h"
#include "router/base/among.h"
#include "router/base/edges.h"
#include "router/choice/overrides.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

/* ---- keys ---- */

static uint32_t letters(struct cdn_str code)
{
    return code.n == 2 ? (uint32_t)toupper((unsigned char)code.p[0]) << 8 |
                             (uint32_t)toupper((unsigned char)code.p[1])
                       : 0;
}

static bool key_starts(struct cdn_str key, const char *word, struct cdn_str *ret_rest)
{
    size_t n = strlen(word);
    if (key.n < n || !cdn_str_eq_nocase((struct cdn_str){key.p, n}, cdn_str(word))) {
        return false;
    }
    *ret_rest = cdn_str_trim(cdn_str_sub(key, n));
    return true;
}

/* "3320" or "AS3320". */
static enum cdn_status asn_key(struct router_override *o, struct cdn_str text, struct cdn_error *err)
{
    uint64_t number = 0;
    struct cdn_str digits = text;
    key_starts(text, "AS", &digits);
    if (!cdn_parse_u64(digits, &number) || number < 1 || number > UINT32_MAX) {
        return cdn_error_set(err, CDN_INVALID, "'" CDN_STR_FMT "' is not the number of an AS, 1 to %u",
                             CDN_STR_ARG(text), UINT32_MAX);
    }
    o->kind = ROUTER_OVERRIDE_ASN;
    o->number = (uint32_t)number;
    o->match = cdn_asprintf("asn:%u", o->number);
    return CDN_OK;
}

static enum cdn_status country_key(struct router_override *o, struct cdn_str text, struct cdn_error *err)
{
    const struct geo_country *country = geo_country_find(text);
    if (!country) {
        return cdn_error_set(err, CDN_INVALID,
                             "'" CDN_STR_FMT "' is not the code of a country (two letters of ISO 3166-1)",
                             CDN_STR_ARG(text));
    }
    o->kind = ROUTER_OVERRIDE_COUNTRY;
    o->number = letters(country->code);
    o->match = cdn_asprintf("country:" CDN_STR_FMT, CDN_STR_ARG(country->code));
    return CDN_OK;
}

static enum cdn_status continent_key(struct router_override *o, struct cdn_str text, struct cdn_error *err)
{
    static const char *const codes[] = {"AF", "AN", "AS", "EU", "NA", "OC", "SA"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(codes); i++) {
        if (cdn_str_eq_nocase(text, cdn_str(codes[i]))) {
            o->kind = ROUTER_OVERRIDE_CONTINENT;
            o->number = letters(text);
            o->match = cdn_asprintf("continent:%s", codes[i]);
            return CDN_OK;
        }
    }
    return cdn_error_set(err, CDN_INVALID, "'" CDN_STR_FMT "' is not a continent: AF AN AS EU NA OC SA",
                         CDN_STR_ARG(text));
}

static enum cdn_status key_parse(struct router_override *o, struct cdn_str key, struct cdn_error *err)
{
    struct cdn_str rest;
    if (key_starts(key, "asn:", &rest)) {
        return asn_key(o, rest, err);
    }
    if (key_starts(key, "country:", &rest)) {
        return country_key(o, rest, err);
    }
    if (key_starts(key, "continent:", &rest)) {
        return continent_key(o, rest, err);
    }
    if (key_starts(key, "AS", &rest) && rest.n > 0 && isdigit((unsigned char)rest.p[0])) {
        return asn_key(o, key, err);
    }
    if (!cdn_parse_cidr(key, &o->network)) {
        return cdn_error_set(err, CDN_INVALID,
                             "'" CDN_STR_FMT "' is not a network (ADDRESS/PREFIX without bits behind the "
                             "prefix), asn:NUMBER, country:CODE or continent:CODE",
                             CDN_STR_ARG(key));
    }
    char text[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format_ip(&o->network.addr, text);
    o->kind = ROUTER_OVERRIDE_NETWORK;
    o->match = cdn_asprintf("%s/%u", text, o->network.prefix);
    return CDN_OK;
}

/* ---- actions ---- */

enum list_action { ONLY, EXCLUDE, PREFER, LIST_ACTIONS };
static const char *const list_words[LIST_ACTIONS] = {"only:", "exclude:", "prefer:"};

struct parsing {
    struct router_override *o;
    const struct router_edges *edges;
    uint64_t *lists[LIST_ACTIONS]; /* NULL: not given */
    int last;                      /* the list action before, which a bare name of an edge goes on with; -1 */
};

static enum cdn_status edge_find(const struct parsing *p, struct cdn_str name, uint16_t *ret,
                                 struct cdn_error *err)
{
    *ret = router_edges_find(p->edges, name);
    return *ret != ROUTER_NO_EDGE
               ? CDN_OK
               : cdn_error_set(err, CDN_INVALID, "there is no edge '" CDN_STR_FMT "'", CDN_STR_ARG(name));
}

/* Cuts " within 20ms" off the end. */
static enum cdn_status margin_cut(struct parsing *p, struct cdn_str *list, struct cdn_error *err)
{
    struct cdn_str word = CDN_STR(" within ");
    for (size_t i = 0; i + word.n <= list->n; i++) {
        if (!cdn_str_eq((struct cdn_str){list->p + i, word.n}, word)) {
            continue;
        }
        struct cdn_str time = cdn_str_trim(cdn_str_sub(*list, i + word.n));
        int64_t ms;
        if (!cdn_parse_duration_ms(time, &ms) || ms < 0 || ms > 60000) {
            return cdn_error_set(err, CDN_INVALID, "within '" CDN_STR_FMT "' is not a time such as 20ms",
                                 CDN_STR_ARG(time));
        }
        p->o->margin_ms = (float)ms;
        list->n = i;
        break;
    }
    return CDN_OK;
}

static enum cdn_status list_add(struct parsing *p, int action, struct cdn_str list, struct cdn_error *err)
{
    enum cdn_status status = action == PREFER ? margin_cut(p, &list, err) : CDN_OK;
    while (status == CDN_OK && list.p) {
        struct cdn_str name = cdn_str_trim(cdn_str_cut(&list, ','));
        uint16_t edge;
        if (name.n == 0) {
            return cdn_error_set(err, CDN_INVALID, "%s without an edge", list_words[action]);
        }
        status = edge_find(p, name, &edge, err);
        if (status == CDN_OK) {
            router_among_set_add(p->lists[action], edge);
        }
    }
    return status;
}

static enum cdn_status list_action(struct parsing *p, int action, struct cdn_str list, struct cdn_error *err)
{
    if (p->lists[action]) {
        return cdn_error_set(err, CDN_INVALID, "%s is there twice", list_words[action]);
    }
    p->lists[action] = cdn_calloc(router_among_words(p->edges->count), sizeof(uint64_t));
    p->last = action;
    return list_add(p, action, list, err);
}

static enum cdn_status edge_action(struct parsing *p, struct cdn_str name, struct cdn_error *err)
{
    struct router_override *o = p->o;
    if (o->edge != ROUTER_NO_EDGE) {
        return cdn_error_set(err, CDN_INVALID, "edge: is there twice");
    }
    enum cdn_status status = edge_find(p, name, &o->edge, err);
    if (status == CDN_OK && !o->has_place) {
        o->lat = p->edges->at[o->edge].lat;
        o->lon = p->edges->at[o->edge].lon;
    }
    return status;
}

static enum cdn_status place_action(struct parsing *p, struct cdn_str text, struct cdn_error *err)
{
    struct router_override *o = p->o;
    struct geo_place place;
    if (o->has_place) {
        return cdn_error_set(err, CDN_INVALID, "two places: '%s' and '" CDN_STR_FMT "'", o->place,
                             CDN_STR_ARG(text));
    }
    enum cdn_status status = geo_place_find(text, &place, err);
    if (status != CDN_OK) {
        return status;
    }
    o->has_place = true;
    o->place = cdn_str_dup(text);
    o->lat = place.lat;
    o->lon = place.lon;
    return CDN_OK;
}

static enum cdn_status action_parse(struct parsing *p, struct cdn_str text, struct cdn_error *err)
{
    struct cdn_str edge = CDN_STR("edge:");
    if (text.n == 0) {
        return cdn_error_set(err, CDN_INVALID, "says neither a place nor an edge");
    }
    for (int i = 0; i < LIST_ACTIONS; i++) {
        if (cdn_str_starts(text, cdn_str(list_words[i]))) {
            return list_action(p, i, cdn_str_sub(text, strlen(list_words[i])), err);
        }
    }
    /* a flow sequence of YAML cuts [only:fra,lhr] at the comma */
    struct cdn_str rest = text, name = cdn_str_trim(cdn_str_cut(&rest, ' '));
    if (p->last >= 0 && router_edges_find(p->edges, name) != ROUTER_NO_EDGE) {
        return list_add(p, p->last, text, err);
    }
    p->last = -1;
    return cdn_str_starts(text, edge) ? edge_action(p, cdn_str_trim(cdn_str_sub(text, edge.n)), err)
                                      : place_action(p, text, err);
}

/* ---- all actions together ---- */

static void allowed_fill(struct parsing *p)
{
    const uint64_t *only = p->lists[ONLY], *exclude = p->lists[EXCLUDE];
    if (!only && !exclude) {
        return;
    }
    p->o->allowed = cdn_calloc(router_among_words(p->edges->count), sizeof(uint64_t));
    for (size_t i = 0; i < p->edges->count; i++) {
        if ((!only || router_among_set_has(only, i)) && !(exclude && router_among_set_has(exclude, i))) {
            router_among_set_add(p->o->allowed, i);
        }
    }
}

static bool is_allowed(const struct parsing *p, size_t edge)
{
    return !p->o->allowed || router_among_set_has(p->o->allowed, edge);
}

/* Actions of one entry must not contradict each other. */
static enum cdn_status actions_check(const struct parsing *p, struct cdn_error *err)
{
    const struct router_override *o = p->o;
    bool any = false;
    if (o->edge != ROUTER_NO_EDGE && o->preferred) {
        return cdn_error_set(err, CDN_INVALID, "edge: and prefer: both say which edge comes first");
    }
    for (size_t i = 0; i < p->edges->count; i++) {
        any |= is_allowed(p, i);
        bool wanted = i == o->edge || (o->preferred && router_among_set_has(o->preferred, i));
        if (wanted && !is_allowed(p, i)) {
            return cdn_error_set(err, CDN_INVALID,
                                 "edge '%s' shall come first, and is left out by only: or "
                                 "exclude:",
                                 p->edges->at[i].name);
        }
    }
    return any || !o->allowed ? CDN_OK : cdn_error_set(err, CDN_INVALID, "only: and exclude: leave no edge");
}

static enum cdn_status actions_parse(struct parsing *p, struct cdn_error *err)
{
    struct cdn_str rest = cdn_str(p->o->text);
    enum cdn_status status = CDN_OK;
    while (status == CDN_OK && rest.p) {
        status = action_parse(p, cdn_str_trim(cdn_str_cut(&rest, ';')), err);
    }
    if (status != CDN_OK) {
        return status;
    }
    allowed_fill(p);
    p->o->preferred = p->lists[PREFER];
    p->lists[PREFER] = NULL;
    return actions_check(p, err);
}

enum cdn_status router_override_parse(const struct cdn_config_entry *entry, const struct router_edges *edges,
                                      struct router_override *ret, struct cdn_error *err)
{
    *ret = (struct router_override){.edge = ROUTER_NO_EDGE,
                                    .margin_ms = INFINITY,
                                    .text = cdn_strdup(entry->value),
                                    .origin = cdn_strdup(entry->origin ? entry->origin : "overrides")};
    struct parsing p = {.o = ret, .edges = edges, .last = -1};
    struct cdn_error why;
    if (key_parse(ret, cdn_str(entry->key), &why) != CDN_OK) {
        return cdn_error_set(err, CDN_INVALID, "%s: overrides: %s: %s", ret->origin, entry->key, why.text);
    }
    enum cdn_status status = actions_parse(&p, &why);
    for (size_t i = 0; i < LIST_ACTIONS; i++) {
        free(p.lists[i]);
    }
    return status == CDN_OK
               ? CDN_OK
               : cdn_error_set(err, CDN_INVALID, "%s: overrides: %s: %s", ret->origin, entry->key, why.text);
}
