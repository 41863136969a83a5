/* explain: a decision as JSON, key by key in a fixed order. It takes what was decided and decides
 * nothing, so that GET /route and the redirect cannot differ. */
#include "router/decide/explain.h"

#include "common/mem.h"
#include "common/str.h"
#include "geo-data/anycast.h"
#include "geo-data/geo.h"
#include "geo-data/special.h"
#include "router/base/among.h"
#include "router/base/edges.h"
#include "router/base/reason.h"
#include "router/choice/overrides.h"
#include "router/choice/select.h"

#include <math.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

static json_t *text_or_null(struct cdn_str s)
{
    json_t *text = s.n > 0 ? json_stringn(s.p, s.n) : NULL;
    return text ? text : json_null(); /* NULL also for text that is not UTF-8 */
}

/* Rounded to 4 decimals (11 m), so that floats do not show their noise. */
static json_t *number(double x, double scale)
{
    return json_real(round(x * scale) / scale);
}

void router_explain_network(const struct router_where *where, char out[static ROUTER_NETWORK_TEXT_SIZE])
{
    struct cdn_addr masked = where->address;
    unsigned char *bytes = masked.sa.sa_family == AF_INET ? (unsigned char *)&masked.v4.sin_addr
                                                          : (unsigned char *)&masked.v6.sin6_addr;
    size_t n = masked.sa.sa_family == AF_INET ? 4 : 16;
    for (size_t i = 0; i < n; i++) {
        unsigned keep = where->network_len > 8 * i ? where->network_len - (unsigned)(8 * i) : 0;
        if (keep < 8) {
            bytes[i] &= (unsigned char)(0xff00u >> keep);
        }
    }
    char text[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format_ip(&masked, text);
    snprintf(out, ROUTER_NETWORK_TEXT_SIZE, "%s/%u", text, where->network_len);
}

static json_t *override_json(const struct router_override *o)
{
    if (!o) {
        return json_null();
    }
    json_t *network = o->kind == ROUTER_OVERRIDE_NETWORK ? json_string(o->match) : json_null();
    return json_pack("{s:s, s:o, s:s, s:s}", "match", o->match, "network", network, "target", o->text,
                     "origin", o->origin);
}

/* "193.0.0.0/18" of the client's own address. */
static json_t *scope_json(const struct router_question *question, unsigned scope_len)
{
    struct router_where where = {.address = question->client, .network_len = scope_len};
    char text[ROUTER_NETWORK_TEXT_SIZE];
    cdn_addr_unmap(&where.address);
    router_explain_network(&where, text);
    return json_string(text);
}

static void add_address(json_t *into, const struct router_question *question, const struct router_where *w)
{
    char asked[CDN_ADDR_TEXT_SIZE], used[CDN_ADDR_TEXT_SIZE], network[ROUTER_NETWORK_TEXT_SIZE];
    cdn_addr_format_ip(&question->client, asked);
    cdn_addr_format_ip(&w->address, used);
    router_explain_network(w, network);
    json_object_set_new(into, "ip", json_string(asked));
    if (strcmp(asked, used) != 0) {
        json_object_set_new(into, "address", json_string(used));
    }
    json_object_set_new(into, "network", json_string(network));
    json_object_set_new(into, "special", w->special ? json_string(w->special->word) : json_null());
    json_object_set_new(into, "anycast", w->anycast ? json_string(w->anycast->text) : json_null());
    if (w->special) {
        json_object_set_new(into, "special_text",
                            json_sprintf("%s (%s)", w->special->text, w->special->source));
    }
}

static void add_place(json_t *into, const struct router_where *w)
{
    const struct geo_record *r = &w->record;
    json_object_set_new(into, "continent", text_or_null(r->continent_code));
    json_object_set_new(into, "country", text_or_null(r->country_code));
    json_object_set_new(into, "country_name", text_or_null(r->country));
    json_object_set_new(into, "registered_country", text_or_null(r->registered_country_code));
    json_object_set_new(into, "subdivision", text_or_null(r->subdivision));
    json_object_set_new(into, "city", text_or_null(r->city));
    json_object_set_new(into, "postcode", text_or_null(r->postcode));
    json_object_set_new(into, "time_zone", text_or_null(r->time_zone));
    json_object_set_new(into, "asn", r->asn ? json_integer((json_int_t)r->asn) : json_null());
    json_object_set_new(into, "organization", text_or_null(r->organization));
    json_object_set_new(into, "lat", number(r->lat, 1e4));
    json_object_set_new(into, "lon", number(r->lon, 1e4));
    json_object_set_new(into, "accuracy_km", json_integer(w->uncertainty_km));
    json_object_set_new(into, "accuracy_assumed", json_boolean(w->uncertainty_assumed));
    json_object_set_new(into, "precision", json_string(router_where_precision(w)));
    json_object_set_new(into, "source", json_string(router_where_source(w)));
    json_object_set_new(into, "override", override_json(w->override));
}

static json_t *edge_name(const struct router_edges *edges, uint16_t edge)
{
    return edge == ROUTER_NO_EDGE ? json_null() : json_string(edges->at[edge].name);
}

static void add_choice(json_t *into, const struct router_table *table, const struct router_decision *d)
{
    const struct router_choice *c = &d->choice;
    bool any = c->edge != ROUTER_NO_EDGE, two = c->runner_up != ROUTER_NO_EDGE;
    json_object_set_new(into, "reason", json_string(router_reason_word(d->reason)));
    json_object_set_new(into, "place_reason", json_string(router_reason_word(d->where.reason)));
    json_object_set_new(into, "edge", edge_name(table->edges, c->edge));
    json_object_set_new(into, "url", any ? json_string(table->edges->at[c->edge].url) : json_null());
    json_object_set_new(into, "km", any ? number((double)c->at.km, 10) : json_null());
    json_object_set_new(into, "rtt_ms", any ? number((double)c->at.rtt_ms, 100) : json_null());
    json_object_set_new(into, "rtt_label", json_string("modelled"));
    json_object_set_new(into, "runner_up", edge_name(table->edges, c->runner_up));
    json_object_set_new(into, "margin_ms", two ? number((double)d->margin_ms, 100) : json_null());
    json_object_set_new(into, "ambiguous", json_boolean(d->ambiguous));
    json_object_set_new(into, "optimistic", json_boolean(c->optimistic));
    json_object_set_new(into, "policy", json_string(router_policy_word(table->policy)));
}

static json_t *candidate_json(const struct router_edges *edges, uint16_t edge,
                              const struct router_candidate *at, bool allowed)
{
    uint32_t flags = router_edge_flags(edges, edge);
    return json_pack("{s:s, s:s, s:o, s:o, s:b, s:b, s:b, s:b, s:i}", "edge", edges->at[edge].name, "place",
                     edges->at[edge].place, "km", number((double)at->km, 10), "rtt_ms",
                     number((double)at->rtt_ms, 100), "allowed", allowed, "healthy",
                     !(flags & ROUTER_EDGE_SICK), "drained", (flags & ROUTER_EDGE_DRAINED) != 0, "full",
                     (flags & ROUTER_EDGE_FULL) != 0, "weight", (int)router_edge_weight(edges, edge));
}

struct listing { /* of candidates */
    const struct router_edges *edges;
    const struct router_limits *limits;
    json_t *list;
    size_t max;
};

/* The edges of a row of sites that are allowed, or those that are not; preferred ones of a site that stands
 * there twice only the first time. */
static void list_add(struct listing *l, const struct router_candidate *row, size_t n, bool allowed)
{
    for (size_t i = 0; i < n; i++) {
        const struct router_site *site = &l->edges->sites[row[i].site];
        for (size_t j = 0; j < site->count && json_array_size(l->list) < l->max; j++) {
            uint16_t edge = l->edges->members[site->first + j];
            bool first = router_among_has(router_limits_among(l->limits, row[i].preferred), edge);
            for (size_t k = 0; k < i && allowed; k++) {
                first &= !(row[k].preferred && row[k].site == row[i].site &&
                           router_among_has(&l->limits->preferred, edge));
            }
            if (first == allowed) {
                json_array_append_new(l->list, candidate_json(l->edges, edge, &row[i], allowed));
            }
        }
    }
}

/* In the order in which they would be taken, then those that the client is not sent to. */
static json_t *candidates_json(const struct router_table *table, const struct router_question *question,
                               const struct router_where *w, size_t max)
{
    const struct router_edges *edges = table->edges;
    struct router_limits limits;
    size_t room = 2 * edges->site_count;
    struct router_candidate *row = cdn_calloc(room + 1, sizeof(*row));
    router_decide_limits(table, w->override, question, &limits);
    struct listing l = {edges, &limits, json_array(), max};
    size_t n =
        router_select_rank_within(edges, table->policy, w->record.lat, w->record.lon, 0, &limits, row, room);
    list_add(&l, row, n, true);
    n = router_select_rank(edges, table->policy, w->record.lat, w->record.lon, 0, row, edges->site_count);
    list_add(&l, row, n, false);
    free(row);
    return l.list;
}

static json_t *steps_json(const struct router_trace *trace)
{
    json_t *list = json_array();
    for (size_t i = 0; i < trace->count; i++) {
        json_t *text = json_string(trace->steps[i].text);
        if (!text) { /* cut within a letter, or a pin that is not UTF-8 */
            text = json_string("(not UTF-8)");
        }
        json_array_append_new(
            list, json_pack("{s:s, s:o}", "step", router_step_word(trace->steps[i].step), "text", text));
    }
    return list;
}

json_t *router_explain(const struct router_table *table, const struct router_question *question,
                       const struct router_decision *decision, const struct router_trace *trace,
                       size_t max_candidates)
{
    json_t *o = json_object();
    add_address(o, question, &decision->where);
    if (atomic_load(&table->compiled)) {
        json_object_set_new(o, "scope", scope_json(question, decision->scope_len));
    }
    add_place(o, &decision->where);
    add_choice(o, table, decision);
    json_object_set_new(o, "candidates", candidates_json(table, question, &decision->where, max_candidates));
    if (trace) {
        json_object_set_new(o, "steps", steps_json(trace));
    }
    return o;
}
