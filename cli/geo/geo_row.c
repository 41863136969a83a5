#include "cli/geo/geo_row.h"

#include "common/visible.h"
#include "geo-data/places.h"
#include "router/decide/explain.h"

#include "common/banned.h"

static const struct {
    const char *name, *text;
} fields[] = {
#define X(name, text) {#name, text},
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
    for (size_t i = 0; i < GEO_FIELD_COUNT; i++)
        if (cdn_str_eq(name, cdn_str(fields[i].name))) {
            *ret = (enum geo_field)i;
            return true;
        }
    return false;
}

void geo_put_fixed(struct cdn_buf *out, double value, unsigned decimals)
{
    static const uint64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
    uint64_t power = powers[decimals], all = (uint64_t)((value < 0 ? -value : value) * (double)power + 0.5);
    if (value < 0 && all > 0)
        cdn_buf_add_char(out, '-');
    cdn_buf_add_uint(out, all / power);
    if (decimals == 0)
        return;
    cdn_buf_add_char(out, '.');
    for (uint64_t rest = all % power, p = power / 10; p > 0; p /= 10)
        cdn_buf_add_char(out, (char)('0' + rest / p % 10));
}

enum geo_found geo_row_found(const struct geo_row *row)
{
    const struct router_where *w = &row->decision.where;
    if (w->reason == ROUTER_REASON_SPECIAL)
        return GEO_SPECIAL;
    return w->reason == ROUTER_REASON_DEFAULT && !w->is_recorded ? GEO_UNKNOWN : GEO_FOUND;
}

struct router_candidate *geo_row_ranked(const struct geo_row *row, size_t *ret_n)
{
    const struct router_table *table = row->table;
    const struct geo_record *r = &row->decision.where.record;
    struct router_candidate *ranked = cdn_calloc(table->pops->site_count + 1, sizeof(*ranked));
    *ret_n = router_rank(table->pops, table->policy, r->lat, r->lon, 0, ranked, table->pops->site_count);
    return ranked;
}

static void put_edges(const struct geo_row *row, struct cdn_buf *out)
{
    size_t n;
    CDN_AUTOFREE struct router_candidate *ranked = geo_row_ranked(row, &n);
    const struct router_pops *pops = row->table->pops;
    for (size_t i = 0; i < n; i++) {
        const struct router_site *site = &pops->sites[ranked[i].site];
        for (size_t k = 0; k < site->count; k++) {
            if (i || k)
                cdn_buf_add_char(out, '|');
            cdn_buf_add_str(out, cdn_str(pops->pops[pops->members[site->first + k]].name));
            cdn_buf_add_char(out, ':');
            geo_put_fixed(out, (double)ranked[i].rtt_ms, 1);
        }
    }
}

static void put_ip(const struct cdn_addr *address, struct cdn_buf *out)
{
    char text[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format_ip(address, text);
    cdn_buf_add_str(out, cdn_str(text));
}

static void put_network(const struct router_where *where, struct cdn_buf *out)
{
    char text[ROUTER_NETWORK_TEXT_SIZE];
    router_where_network(where, text);
    cdn_buf_add_str(out, cdn_str(text));
}

/* The built-in database knows cells and no cities: the one that a cell is near. */
static struct cdn_str city_of(const struct router_where *w)
{
    double km;
    if (w->record.city.n || w->record.precision != GEO_PRECISION_CELL)
        return w->record.city;
    const struct geo_place *place = geo_place_nearest(w->record.lat, w->record.lon, &km);
    return km <= GEO_NEAR_KM ? place->name : (struct cdn_str){0};
}

static void put_place_field(const struct router_where *w, enum geo_field field, struct cdn_buf *out)
{
    const struct geo_record *r = &w->record;
    struct cdn_str text = field == GEO_FIELD_continent            ? r->continent_code
                          : field == GEO_FIELD_country            ? r->country_code
                          : field == GEO_FIELD_country_name       ? r->country
                          : field == GEO_FIELD_registered_country ? r->registered_country_code
                          : field == GEO_FIELD_subdivision        ? r->subdivision
                          : field == GEO_FIELD_city               ? city_of(w)
                          : field == GEO_FIELD_postcode           ? r->postcode
                          : field == GEO_FIELD_organization       ? r->organization
                                                                  : r->time_zone;
    cdn_buf_add_str(out, text);
}

static void put_edge(const struct geo_row *row, enum geo_field field, struct cdn_buf *out)
{
    const struct router_choice *c = &row->decision.choice;
    const struct router_pops *pops = row->table->pops;
    bool runner = field == GEO_FIELD_runner_up || field == GEO_FIELD_margin_ms;
    uint16_t pop = runner ? c->runner_up : c->pop;
    if (pop == ROUTER_NO_POP)
        return;
    if (field == GEO_FIELD_edge || field == GEO_FIELD_runner_up)
        cdn_buf_add_str(out, cdn_str(pops->pops[pop].name));
    else if (field == GEO_FIELD_url)
        cdn_buf_add_str(out, cdn_str(pops->pops[pop].url));
    else if (field == GEO_FIELD_km)
        geo_put_fixed(out, (double)c->at.km, 1);
    else
        geo_put_fixed(out, (double)(field == GEO_FIELD_rtt_ms ? c->at.rtt_ms : row->decision.margin_ms), 2);
}

static bool put_mark(enum geo_field field, struct cdn_buf *out)
{
    char mark = field == GEO_FIELD_ip        ? GEO_MARK_IP
                : field == GEO_FIELD_network ? GEO_MARK_NETWORK
                : field == GEO_FIELD_line    ? GEO_MARK_LINE
                                             : '\0';
    if (mark)
        cdn_buf_add_char(out, mark);
    return mark != '\0';
}

void geo_field_put(const struct geo_row *row, enum geo_field field, struct cdn_buf *out)
{
    const struct router_where *w = &row->decision.where;
    if (row->stencil && put_mark(field, out))
        return;
    switch (field) {
    case GEO_FIELD_ip:
        put_ip(&row->question.client, out);
        break;
    case GEO_FIELD_network:
        put_network(w, out);
        break;
    case GEO_FIELD_special:
        cdn_buf_add_str(out, cdn_str(w->special ? w->special->word : NULL));
        break;
    case GEO_FIELD_asn:
        if (w->record.asn)
            cdn_buf_add_uint(out, w->record.asn);
        break;
    case GEO_FIELD_lat:
        geo_put_fixed(out, w->record.lat, 4);
        break;
    case GEO_FIELD_lon:
        geo_put_fixed(out, w->record.lon, 4);
        break;
    case GEO_FIELD_accuracy_km:
        cdn_buf_add_uint(out, w->uncertainty_km);
        break;
    case GEO_FIELD_precision:
        cdn_buf_add_str(out, cdn_str(router_where_precision(w)));
        break;
    case GEO_FIELD_source:
        cdn_buf_add_str(out, cdn_str(router_where_source(w)));
        break;
    case GEO_FIELD_reason:
        cdn_buf_add_str(out, cdn_str(router_reason_word(row->decision.reason)));
        break;
    case GEO_FIELD_ambiguous:
        cdn_buf_add_str(out, cdn_str(row->decision.ambiguous ? "yes" : "no"));
        break;
    case GEO_FIELD_edge:
    case GEO_FIELD_url:
    case GEO_FIELD_km:
    case GEO_FIELD_rtt_ms:
    case GEO_FIELD_runner_up:
    case GEO_FIELD_margin_ms:
        put_edge(row, field, out);
        break;
    case GEO_FIELD_edges:
        put_edges(row, out);
        break;
    case GEO_FIELD_near:
        if (!router_where_is_default(w))
            cdn_buf_add_str(out, geo_place_nearest(w->record.lat, w->record.lon, NULL)->name);
        break;
    case GEO_FIELD_line:
        cdn_buf_add_uint(out, row->line);
        break;
    case GEO_FIELD_continent:
    case GEO_FIELD_country:
    case GEO_FIELD_country_name:
    case GEO_FIELD_registered_country:
    case GEO_FIELD_subdivision:
    case GEO_FIELD_city:
    case GEO_FIELD_postcode:
    case GEO_FIELD_time_zone:
    case GEO_FIELD_organization:
        put_place_field(w, field, out);
        break;
    case GEO_FIELD_COUNT:
        break;
    }
}

void geo_field_put_visible(const struct geo_row *row, enum geo_field field, struct cdn_buf *out)
{
    size_t from = out->n;
    if (row->stencil && put_mark(field, out))
        return;
    geo_field_put(row, field, out);
    cdn_buf_make_visible(out, from);
}
