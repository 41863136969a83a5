/* geo_row: the fields of a row by name: one table for all forms, so a new field is a row here and
 * appears in CSV, formats, summaries and help. */
#include "cli/geo/geo_row.h"

#include "common/mem.h"
#include "common/parse.h"
#include "common/visible.h"
#include "geo-data/geo.h"
#include "geo-data/places.h"
#include "geo-data/special.h"
#include "router/base/edges.h"
#include "router/base/reason.h"
#include "router/choice/select.h"
#include "router/decide/explain.h"
#include "router/table/table.h"

#include "common/banned.h"

void geo_put_fixed(struct cdn_buf *out, double value, unsigned decimals)
{
    static const uint64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
    uint64_t power = powers[decimals], all = (uint64_t)((value < 0 ? -value : value) * (double)power + 0.5);
    if (value < 0 && all > 0) {
        cdn_buf_add_char(out, '-');
    }
    cdn_buf_add_uint(out, all / power);
    if (decimals == 0) {
        return;
    }
    cdn_buf_add_char(out, '.');
    for (uint64_t rest = all % power, p = power / 10; p > 0; p /= 10) {
        cdn_buf_add_char(out, (char)('0' + rest / p % 10));
    }
}

enum geo_found geo_row_found(const struct geo_row *row)
{
    const struct router_where *w = &row->decision.where;
    if (w->reason == ROUTER_REASON_SPECIAL) {
        return GEO_SPECIAL;
    }
    return w->reason == ROUTER_REASON_DEFAULT && !w->is_recorded ? GEO_UNKNOWN : GEO_FOUND;
}

struct router_candidate *geo_row_ranked(const struct geo_row *row, size_t *ret_n)
{
    const struct router_table *table = row->table;
    const struct geo_record *r = &row->decision.where.record;
    struct router_candidate *ranked = cdn_calloc(table->edges->site_count + 1, sizeof(*ranked));
    *ret_n =
        router_select_rank(table->edges, table->policy, r->lat, r->lon, 0, ranked, table->edges->site_count);
    return ranked;
}

/* ---- the fields: one PUT(name) for each row of GEO_FIELDS ---- */

#define PUT(name) static void put_##name(const struct geo_row *row, struct cdn_buf *out)
#define WHERE (&row->decision.where)
#define RECORD (&row->decision.where.record)
#define CHOICE (&row->decision.choice)

static void put_text(struct cdn_str text, struct cdn_buf *out)
{
    cdn_buf_add_str(out, text);
}

static void put_word(const char *word, struct cdn_buf *out) /* NULL: nothing */
{
    cdn_buf_add_str(out, cdn_str(word));
}

PUT(ip)
{
    char text[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format_ip(&row->question.client, text);
    put_word(text, out);
}

PUT(network)
{
    char text[ROUTER_NETWORK_TEXT_SIZE];
    router_explain_network(WHERE, text);
    put_word(text, out);
}

PUT(special)
{
    put_word(WHERE->special ? WHERE->special->word : NULL, out);
}

PUT(continent)
{
    put_text(RECORD->continent_code, out);
}

PUT(country)
{
    put_text(RECORD->country_code, out);
}

PUT(country_name)
{
    put_text(RECORD->country, out);
}

PUT(registered_country)
{
    put_text(RECORD->registered_country_code, out);
}

PUT(subdivision)
{
    put_text(RECORD->subdivision, out);
}

/* The built-in database knows cells and no cities: the one that a cell is near. */
PUT(city)
{
    const struct geo_record *r = RECORD;
    double km;
    if (r->city.n || r->precision != GEO_PRECISION_CELL) {
        put_text(r->city, out);
        return;
    }
    const struct geo_place *place = geo_place_nearest(r->lat, r->lon, &km);
    if (km <= GEO_NEAR_KM) {
        put_text(place->name, out);
    }
}

PUT(near)
{
    if (!router_where_is_default(WHERE)) {
        put_text(geo_place_nearest(RECORD->lat, RECORD->lon, NULL)->name, out);
    }
}

PUT(postcode)
{
    put_text(RECORD->postcode, out);
}

PUT(time_zone)
{
    put_text(RECORD->time_zone, out);
}

PUT(asn)
{
    if (RECORD->asn) {
        cdn_buf_add_uint(out, RECORD->asn);
    }
}

PUT(organization)
{
    put_text(RECORD->organization, out);
}

PUT(lat)
{
    geo_put_fixed(out, RECORD->lat, 4);
}

PUT(lon)
{
    geo_put_fixed(out, RECORD->lon, 4);
}

PUT(accuracy_km)
{
    cdn_buf_add_uint(out, WHERE->uncertainty_km);
}

PUT(precision)
{
    put_word(router_where_precision(WHERE), out);
}

PUT(source)
{
    put_word(router_where_source(WHERE), out);
}

PUT(reason)
{
    put_word(router_reason_word(row->decision.reason), out);
}

static const struct router_edge *edge_of(const struct geo_row *row, uint16_t edge) /* NULL: no edge */
{
    return edge == ROUTER_NO_EDGE ? NULL : &row->table->edges->at[edge];
}

PUT(edge)
{
    const struct router_edge *edge = edge_of(row, CHOICE->edge);
    put_word(edge ? edge->name : NULL, out);
}

PUT(url)
{
    const struct router_edge *edge = edge_of(row, CHOICE->edge);
    put_word(edge ? edge->url : NULL, out);
}

PUT(km)
{
    if (CHOICE->edge != ROUTER_NO_EDGE) {
        geo_put_fixed(out, (double)CHOICE->at.km, 1);
    }
}

PUT(rtt_ms)
{
    if (CHOICE->edge != ROUTER_NO_EDGE) {
        geo_put_fixed(out, (double)CHOICE->at.rtt_ms, 2);
    }
}

PUT(runner_up)
{
    const struct router_edge *edge = edge_of(row, CHOICE->runner_up);
    put_word(edge ? edge->name : NULL, out);
}

PUT(margin_ms)
{
    if (CHOICE->runner_up != ROUTER_NO_EDGE) {
        geo_put_fixed(out, (double)row->decision.margin_ms, 2);
    }
}

PUT(ambiguous)
{
    put_word(row->decision.ambiguous ? "yes" : "no", out);
}

PUT(edges)
{
    size_t n;
    CDN_AUTOFREE struct router_candidate *ranked = geo_row_ranked(row, &n);
    const struct router_edges *edges = row->table->edges;
    for (size_t i = 0; i < n; i++) {
        const struct router_site *site = &edges->sites[ranked[i].site];
        for (size_t k = 0; k < site->count; k++) {
            if (i || k) {
                cdn_buf_add_char(out, '|');
            }
            put_word(edges->at[edges->members[site->first + k]].name, out);
            cdn_buf_add_char(out, ':');
            geo_put_fixed(out, (double)ranked[i].rtt_ms, 1);
        }
    }
}

PUT(line)
{
    cdn_buf_add_uint(out, row->line);
}

/* ---- the table ---- */

static const struct {
    const char *name, *text;
    void (*put)(const struct geo_row *row, struct cdn_buf *out);
} fields[] = {
#define X(name, text) {#name, text, put_##name},
    GEO_FIELDS(X)
#undef X
};

const char *geo_field_name(enum geo_field field)
{
    return fields[field].name;
}

const char *geo_field_text(enum geo_field field)
{
    return fields[field].text;
}

bool geo_field_find(struct cdn_str name, enum geo_field *ret)
{
    for (size_t i = 0; i < GEO_FIELD_COUNT; i++) {
        if (cdn_str_eq(name, cdn_str(fields[i].name))) {
            *ret = (enum geo_field)i;
            return true;
        }
    }
    return false;
}

static bool put_mark(enum geo_field field, struct cdn_buf *out)
{
    char mark = field == GEO_FIELD_ip        ? GEO_MARK_IP
                : field == GEO_FIELD_network ? GEO_MARK_NETWORK
                : field == GEO_FIELD_line    ? GEO_MARK_LINE
                                             : '\0';
    if (mark) {
        cdn_buf_add_char(out, mark);
    }
    return mark != '\0';
}

void geo_field_put(const struct geo_row *row, enum geo_field field, struct cdn_buf *out)
{
    if (!row->stencil || !put_mark(field, out)) {
        fields[field].put(row, out);
    }
}

void geo_field_put_visible(const struct geo_row *row, enum geo_field field, struct cdn_buf *out)
{
    size_t from = out->n;
    if (row->stencil && put_mark(field, out)) {
        return;
    }
    geo_field_put(row, field, out);
    cdn_buf_make_visible(out, from);
}
