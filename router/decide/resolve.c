/* resolve: the links of the chain as functions over one struct, each of which may end it. Assumed
 * radii stand here: a database that does not say how sure it is must not make every place look
 * exact. */
#include "router/decide/resolve.h"

#include "common/http/syntax/http_forwarded.h"
#include "common/mem.h"
#include "geo-data/anycast.h"
#include "geo-data/places.h"
#include "geo-data/special.h"
#include "router/base/edges.h"
#include "router/choice/overrides.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/banned.h"

/* How far off a place may be when its record does not say, by precision: half the side of a cell, the usual
 * reach of a city's networks, the usual size of a region and of a country. */
static const unsigned assumed_km[GEO_PRECISION_COUNT] = {
    [GEO_PRECISION_NONE] = 20000, [GEO_PRECISION_CONTINENT] = 4000, [GEO_PRECISION_COUNTRY] = 1000,
    [GEO_PRECISION_REGION] = 250, [GEO_PRECISION_CELL] = 100,       [GEO_PRECISION_CITY] = 25,
};
#define NOWHERE_KM 20000u /* the default place: half the Earth's circumference */

static const char *const step_words[] = {
#define X(name, word) word,
    ROUTER_STEP_TABLE(X)
#undef X
};

const char *router_step_word(enum router_step step)
{
    return step_words[step];
}

void router_trace_add(struct router_trace *trace, enum router_step step, const char *fmt, ...)
{
    if (!trace || trace->count == ROUTER_TRACE_MAX) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    trace->steps[trace->count].step = step;
    vsnprintf(trace->steps[trace->count].text, sizeof(trace->steps[0].text), fmt, args);
    va_end(args);
    trace->count++;
}

struct chain { /* what the links share */
    const struct router_table *table;
    const struct router_question *question;
    struct router_trace *trace;
    struct router_where *where;
    bool edge_named; /* where->reason says by whom; the chain goes on for the place */
};

static void located(struct chain *c, enum router_reason reason)
{
    if (!c->edge_named) {
        c->where->reason = reason;
    }
}

/* The answer is a place that somebody named. */
static void locate_at(struct chain *c, enum router_reason reason, struct cdn_str name,
                      struct cdn_str country_code, double lat, double lon, unsigned uncertainty_km)
{
    const struct geo_country *country = geo_country_find(country_code);
    c->where->record = (struct geo_record){
        .precision = GEO_PRECISION_CITY,
        .has_coordinates = true,
        .lat = lat,
        .lon = lon,
        .prefix_len = c->where->network_len,
        .entry = GEO_ENTRY_NONE,
        .city = name,
        .country_code = country_code,
        .country = country ? country->name : CDN_STR(""),
        .continent_code = country ? country->continent_code : CDN_STR(""),
    };
    c->where->uncertainty_km = uncertainty_km;
    located(c, reason);
}

static void name_edge(struct chain *c, enum router_reason reason, uint16_t edge)
{
    c->where->edge = edge;
    c->where->reason = reason;
    c->edge_named = true;
}

/* Takes the entry over: edge and place. True: the place is known by it. */
static bool apply_override(struct chain *c, const struct router_override *o)
{
    router_trace_add(c->trace, ROUTER_STEP_OVERRIDE, "%s is '%s' (%s)", o->match, o->text, o->origin);
    c->where->override = o;
    if (o->edge != ROUTER_NO_EDGE && !c->edge_named) {
        name_edge(c, ROUTER_REASON_OVERRIDE, o->edge);
    }
    if (!o->has_place) {
        return false;
    }
    locate_at(c, ROUTER_REASON_OVERRIDE, cdn_str(o->place), CDN_STR(""), o->lat, o->lon, 0);
    return true;
}

/* AS, country and continent, once they are known. */
static bool override_by_record(struct chain *c, const struct geo_record *r)
{
    const struct router_override *o =
        c->where->override ? NULL : router_overrides_find_record(c->table->overrides, r);
    return o && apply_override(c, o);
}

static const char *edge_name(const struct chain *c, uint16_t edge)
{
    return c->table->edges->at[edge].name;
}

static bool pinned_edge(struct chain *c, struct cdn_str pin)
{
    const struct cdn_str key = CDN_STR("edge:");
    if (!cdn_str_starts(pin, key)) {
        return false;
    }
    uint16_t edge = router_edges_find(c->table->edges, cdn_str_sub(pin, key.n));
    if (edge == ROUTER_NO_EDGE) {
        router_trace_add(c->trace, ROUTER_STEP_PINNED, "'" CDN_STR_FMT "' is no edge: ignored",
                         CDN_STR_ARG(pin));
    } else {
        router_trace_add(c->trace, ROUTER_STEP_PINNED, "the client asks for edge %s", edge_name(c, edge));
        name_edge(c, ROUTER_REASON_PINNED, edge);
    }
    return true;
}

static bool link_pinned(struct chain *c)
{
    struct cdn_str pin = c->question->pin;
    if (pin.n == 0) {
        return false;
    }
    if (!c->table->simulate) {
        router_trace_add(c->trace, ROUTER_STEP_PINNED,
                         "the client names a place, which counts in simulation only");
        return false;
    }
    struct cdn_addr address;
    struct geo_place place;
    if (pinned_edge(c, pin)) {
        return false;
    }
    if (cdn_parse_ip(pin, &address)) {
        router_trace_add(c->trace, ROUTER_STEP_PINNED, "simulated address " CDN_STR_FMT, CDN_STR_ARG(pin));
        c->where->address = address;
        return false;
    }
    if (geo_place_find(pin, &place, NULL) != CDN_OK) {
        router_trace_add(c->trace, ROUTER_STEP_PINNED,
                         "'" CDN_STR_FMT "' is no address, place or edge: ignored", CDN_STR_ARG(pin));
        return false;
    }
    router_trace_add(c->trace, ROUTER_STEP_PINNED, "the client says it is in " CDN_STR_FMT " (%.4f,%.4f)",
                     CDN_STR_ARG(place.name), place.lat, place.lon);
    locate_at(c, ROUTER_REASON_PINNED, place.name, place.country_code, place.lat, place.lon, 0);
    const struct geo_record here = c->where->record;
    if (override_by_record(c, &here)) { /* its edges count; the client knows better where it is */
        locate_at(c, ROUTER_REASON_PINNED, place.name, place.country_code, place.lat, place.lon, 0);
    }
    return true;
}

static bool link_override(struct chain *c)
{
    const struct router_overrides *all = c->table->overrides;
    const struct router_override *o = router_overrides_find(all, &c->where->address);
    if (!o) {
        size_t n = router_overrides_count_of(all, ROUTER_OVERRIDE_NETWORK);
        if (n > 0) {
            router_trace_add(c->trace, ROUTER_STEP_OVERRIDE, "none of %zu networks holds the address", n);
        }
        return false;
    }
    c->where->network_len = o->network.prefix;
    return apply_override(c, o);
}

/* The default place is where to begin ranking; nobody says that the client is there, so it has no names. */
static bool locate_by_default(struct chain *c, enum router_reason reason)
{
    const struct router_table *t = c->table;
    const struct geo_record known = c->where->record;
    router_trace_add(c->trace, ROUTER_STEP_DEFAULT, "%s (%.4f,%.4f) stands for it", t->default_name,
                     t->default_lat, t->default_lon);
    locate_at(c, reason, CDN_STR(""), CDN_STR(""), t->default_lat, t->default_lon, NOWHERE_KM);
    c->where->record.asn = known.asn;
    c->where->record.organization = known.organization;
    return true;
}

/* Most addresses begin with a byte that no special range has. */
static const struct geo_special *special_of(const struct router_table *table, const struct cdn_addr *a)
{
    size_t n;
    const unsigned char *bytes = cdn_addr_bytes(a, &n);
    return table->special_heads[n == 16][bytes[0]] ? geo_special(&a->sa) : NULL;
}

static bool link_special(struct chain *c)
{
    const struct geo_special *special = special_of(c->table, &c->where->address);
    if (!special) {
        return false;
    }
    c->where->special = special;
    c->where->network_len = special->prefix_len;
    router_trace_add(c->trace, ROUTER_STEP_SPECIAL, "%s: %s (%s)", special->network, special->text,
                     special->source);
    struct sockaddr_in inner;
    if (geo_special_embedded(special, &c->where->address.sa, &inner) &&
        !geo_special((struct sockaddr *)&inner)) {
        c->where->address = (struct cdn_addr){.v4 = inner};
        char text[CDN_ADDR_TEXT_SIZE];
        cdn_addr_format_ip(&c->where->address, text);
        router_trace_add(c->trace, ROUTER_STEP_SPECIAL, "it carries %s, which is looked up instead", text);
        return false;
    }
    return locate_by_default(c, ROUTER_REASON_SPECIAL);
}

static void trace_record(struct chain *c, const struct geo_record *r)
{
    if (!c->trace) {
        return;
    }
    char text[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format_ip(&c->where->address, text);
    router_trace_add(c->trace, ROUTER_STEP_DATABASE,
                     "%s is in a /%u: " CDN_STR_FMT "%s" CDN_STR_FMT " (%.4f,%.4f), precision %s", text,
                     r->prefix_len, CDN_STR_ARG(r->city), r->city.n ? ", " : "", CDN_STR_ARG(r->country),
                     r->lat, r->lon, geo_precision_word(r->precision));
    if (r->precision <= GEO_PRECISION_COUNTRY) {
        router_trace_add(c->trace, ROUTER_STEP_COUNTRY, "only the %s is known: its usual point stands for it",
                         geo_precision_word(r->precision));
    }
}

static bool link_database(struct chain *c)
{
    struct router_where *w = c->where;
    struct geo_record r;
    enum cdn_status status = router_resolve_lookup(c->table, &w->address, &r);
    if (!w->override) {
        w->network_len = r.prefix_len;
    }
    w->is_recorded = status == CDN_OK;
    bool located_here = status == CDN_OK && r.has_coordinates;
    if (located_here) {
        trace_record(c, &r);
    }
    if (override_by_record(c, &r)) {
        return true;
    }
    if (!located_here) {
        router_trace_add(c->trace, ROUTER_STEP_DATABASE,
                         status == CDN_OK
                             ? "the record has neither coordinates nor a known country or continent"
                         : status == CDN_NOT_FOUND ? "nothing is known about the address"
                                                   : "the record cannot be read");
        if (status == CDN_OK) {
            w->record = r; /* whose network it is */
        }
        return false;
    }
    w->record = r;
    w->uncertainty_assumed = r.accuracy_radius_km == 0;
    w->uncertainty_km = r.accuracy_radius_km ? r.accuracy_radius_km : assumed_km[r.precision];
    w->anycast = geo_anycast(&w->address.sa);
    if (w->anycast) {
        w->uncertainty_assumed = true;
        w->uncertainty_km = NOWHERE_KM;
        router_trace_add(c->trace, ROUTER_STEP_DATABASE,
                         "%s is anycast (%s): many places have it, so one place says little",
                         w->anycast->network, w->anycast->text);
    }
    located(c, r.precision <= GEO_PRECISION_COUNTRY ? ROUTER_REASON_GEO_COUNTRY : ROUTER_REASON_GEO);
    return true;
}

enum cdn_status router_resolve_lookup(const struct router_table *table, const struct cdn_addr *address,
                                      struct geo_record *ret)
{
    return geo_lookup(table->db, &address->sa, ret);
}

static bool link_default(struct chain *c)
{
    return locate_by_default(c, ROUTER_REASON_DEFAULT);
}

void router_resolve(const struct router_table *table, const struct router_question *question,
                    struct router_trace *trace, struct router_where *ret)
{
    static bool (*const links[])(struct chain *) = {link_pinned, link_override, link_special, link_database,
                                                    link_default};
    *ret = (struct router_where){.address = question->client, .edge = ROUTER_NO_EDGE};
    cdn_addr_unmap(&ret->address);
    struct chain chain = {table, question, trace, ret, false};
    if (links[0](&chain)) {
        return;
    }
    if (!http_forwarded_is_known(&ret->address)) {
        router_trace_add(trace, ROUTER_STEP_DEFAULT, "the proxy does not say who the client is");
        (void)link_default(&chain);
        return;
    }
    for (size_t i = 1; i < CDN_ARRAY_LEN(links); i++) {
        if (links[i](&chain)) {
            return;
        }
    }
}

bool router_resolve_entry(const struct router_table *table, const struct cdn_addr *client,
                          struct router_where *ret)
{
    ret->address = *client;
    cdn_addr_unmap(&ret->address);
    if (special_of(table, &ret->address) || geo_anycast(&ret->address.sa) ||
        router_overrides_find(table->overrides, &ret->address)) {
        return false;
    }
    return geo_lookup_entry(table->db, &ret->address.sa, &ret->record.entry, &ret->network_len) == CDN_OK;
}

bool router_where_is_default(const struct router_where *where)
{
    return where->record.entry == GEO_ENTRY_NONE && where->uncertainty_km > 0;
}

static bool is_named_place(const struct router_where *w)
{
    return w->record.entry == GEO_ENTRY_NONE && w->uncertainty_km == 0;
}

const char *router_where_precision(const struct router_where *where)
{
    if (is_named_place(where)) {
        return "exact";
    }
    return where->record.entry == GEO_ENTRY_NONE ? "default" : geo_precision_word(where->record.precision);
}

const char *router_where_source(const struct router_where *where)
{
    if (is_named_place(where)) {
        return where->override ? "override" : "pinned";
    }
    return where->record.entry == GEO_ENTRY_NONE ? "default" : "database";
}
