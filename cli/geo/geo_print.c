/* geo_print: rows in each form: for people, CSV, TSV, JSON, a format of the user's. The form is
 * compiled into a list of columns once; per row only values are put. Foreign text is escaped by the
 * rules of the form. */
#include "cli/base/print.h"
#include "cli/base/table.h"
#include "cli/geo/geo.h"
#include "cli/geo/geo_row.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "common/visible.h"
#include "geo-data/anycast.h"
#include "geo-data/geo.h"
#include "geo-data/places.h"
#include "geo-data/special.h"
#include "router/base/edges.h"
#include "router/base/reason.h"
#include "router/choice/select.h"
#include "router/decide/decide.h"
#include "router/decide/explain.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define FORMAT_PARTS_MAX 64

enum form { FORM_HUMAN, FORM_JSON, FORM_CSV, FORM_TSV, FORM_TEXT };

struct part { /* of a format: a text, then maybe a field */
    struct cdn_buf text;
    enum geo_field field;
    bool has_field;
};

struct geo_printer {
    enum form form;
    bool all_edges, why;
    bool is_dashed; /* "-" for an empty field, so that columns stay columns */
    enum geo_field columns[GEO_FIELD_COUNT];
    size_t column_count;
    size_t part_count;
    struct part parts[FORMAT_PARTS_MAX];
};

static const enum geo_field usual_columns[] = {
    GEO_FIELD_ip,        GEO_FIELD_network,   GEO_FIELD_special,   GEO_FIELD_country,   GEO_FIELD_subdivision,
    GEO_FIELD_city,      GEO_FIELD_lat,       GEO_FIELD_lon,       GEO_FIELD_precision, GEO_FIELD_accuracy_km,
    GEO_FIELD_source,    GEO_FIELD_reason,    GEO_FIELD_edge,      GEO_FIELD_km,        GEO_FIELD_rtt_ms,
    GEO_FIELD_runner_up, GEO_FIELD_margin_ms, GEO_FIELD_ambiguous, GEO_FIELD_edges};

/* ---- --format ---- */

static enum cdn_status unknown_field(const char *option, struct cdn_str name, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf known = {0};
    for (size_t i = 0; i < GEO_FIELD_COUNT; i++) {
        cdn_buf_printf(&known, " %s", geo_field_name((enum geo_field)i));
    }
    return cdn_error_set(err, CDN_USAGE, "%s: no field '" CDN_STR_FMT "'; there are%s", option,
                         CDN_STR_ARG(name), known.p);
}

static enum cdn_status add_field(struct geo_printer *p, struct cdn_str name, struct cdn_error *err)
{
    struct part *part = &p->parts[p->part_count];
    if (!geo_field_find(name, &part->field)) {
        return unknown_field("--format", name, err);
    }
    if (p->part_count + 2 >= FORMAT_PARTS_MAX) {
        return cdn_error_set(err, CDN_USAGE, "--format: more than %d fields", FORMAT_PARTS_MAX - 2);
    }
    part->has_field = true;
    p->part_count++;
    return CDN_OK;
}

/* What is not typed as an escape is shown as one; tabs and line ends may stand as themselves. */
static void add_plain(struct cdn_buf *plain, struct cdn_str letter)
{
    if (letter.p[0] == '\t' || letter.p[0] == '\n') {
        cdn_buf_add_str(plain, letter);
    } else {
        cdn_buf_add_visible(plain, letter);
    }
}

static enum cdn_status compile(struct geo_printer *p, struct cdn_str text, struct cdn_error *err)
{
    while (text.n) {
        struct cdn_buf *plain = &p->parts[p->part_count].text;
        char c = text.p[0], next = text.n > 1 ? text.p[1] : '\0';
        size_t used = 1;
        if (c == '%' && next == '{') {
            ptrdiff_t end = cdn_str_find(text, '}');
            if (end < 0) {
                return cdn_error_set(err, CDN_USAGE, "--format: '" CDN_STR_FMT "' has no '}'",
                                     CDN_STR_ARG(text));
            }
            enum cdn_status status = add_field(p, (struct cdn_str){text.p + 2, (size_t)end - 2}, err);
            if (status != CDN_OK) {
                return status;
            }
            used = (size_t)end + 1;
        } else if ((c == '%' && next == '%') || (c == '\\' && (next == 't' || next == 'n' || next == '\\'))) {
            cdn_buf_add_char(plain, next == 't' ? '\t' : next == 'n' ? '\n' : next);
            used = 2;
        } else if (c == '%') {
            return cdn_error_set(err, CDN_USAGE,
                                 "--format: a field is written %%{NAME}, a per cent sign %%%%");
        } else {
            uint32_t letter;
            size_t n = cdn_utf8_decode(text.p, text.n, &letter);
            used = n ? n : 1;
            add_plain(plain, (struct cdn_str){text.p, used});
        }
        text = cdn_str_sub(text, used);
    }
    p->part_count++; /* the text after the last field */
    return CDN_OK;
}

/* ---- columns to print ---- */

static enum cdn_status columns_choose(struct geo_printer *p, const char *names, struct cdn_error *err)
{
    struct cdn_str rest = cdn_str(names);
    if (!names) {
        p->column_count = CDN_ARRAY_LEN(usual_columns) - (p->all_edges ? 0 : 1); /* `edges` is the last one */
        memcpy(p->columns, usual_columns, p->column_count * sizeof(*usual_columns));
        return CDN_OK;
    }
    while (rest.p) {
        struct cdn_str name = cdn_str_trim(cdn_str_cut(&rest, ','));
        if (p->column_count == GEO_FIELD_COUNT) {
            return cdn_error_set(err, CDN_USAGE, "--fields: more names than there are fields");
        }
        if (!geo_field_find(name, &p->columns[p->column_count])) {
            return unknown_field("--fields", name, err);
        }
        p->column_count++;
    }
    return CDN_OK;
}

/* ---- life cycle ---- */

enum cdn_status geo_printer_create(const struct geo_options *options, struct geo_printer **ret,
                                   struct cdn_error *err)
{
    if (options->json + options->csv + options->tsv + (options->format != NULL) + (options->raw != NULL) >
        1) {
        return cdn_error_set(err, CDN_USAGE, "only one of --json, --csv, --tsv, --format and --raw");
    }
    enum form form = options->json                          ? FORM_JSON
                     : options->csv                         ? FORM_CSV
                     : options->tsv                         ? FORM_TSV
                     : options->format || options->annotate ? FORM_TEXT
                                                            : FORM_HUMAN;
    if (options->annotate && (form != FORM_TEXT || options->raw || options->summary)) {
        return cdn_error_set(err, CDN_USAGE, "--annotate goes with --format only");
    }
    if (options->summary && (form > FORM_JSON || options->raw)) {
        return cdn_error_set(err, CDN_USAGE, "--summary goes with --json only");
    }
    if (options->fields && form != FORM_CSV && form != FORM_TSV && !options->summary) {
        return cdn_error_set(err, CDN_USAGE, "--fields goes with --csv, --tsv and --summary");
    }
    if (options->why && (form > FORM_JSON || options->raw)) {
        return cdn_error_set(err, CDN_USAGE, "--why goes with plain lines and --json");
    }
    struct geo_printer *p = cdn_calloc(1, sizeof(*p));
    p->form = form;
    p->all_edges = options->all_edges;
    p->why = options->why;
    p->is_dashed = options->annotate;
    enum cdn_status status =
        form == FORM_TEXT
            ? compile(p, cdn_str(options->format ? options->format : "%{country}\\t%{edge}\\t%{asn}"), err)
            : columns_choose(p, options->fields, err);
    if (status != CDN_OK) {
        geo_printer_destroy(p);
    } else {
        *ret = p;
    }
    return status;
}

void geo_printer_destroy(struct geo_printer *p)
{
    for (size_t i = 0; p && i < FORMAT_PARTS_MAX; i++) {
        cdn_buf_free(&p->parts[i].text);
    }
    free(p);
}

/* ---- columns ---- */

bool geo_printer_repeats(const struct geo_printer *p)
{
    return p->form == FORM_CSV || p->form == FORM_TSV || p->form == FORM_TEXT;
}

void geo_printer_header(const struct geo_printer *p, struct cdn_buf *out)
{
    if (p->form != FORM_CSV && p->form != FORM_TSV) {
        return;
    }
    for (size_t i = 0; i < p->column_count; i++) {
        if (i) {
            cdn_buf_add_char(out, p->form == FORM_CSV ? ',' : '\t');
        }
        cdn_buf_add_str(out, cdn_str(geo_field_name(p->columns[i])));
    }
    cdn_buf_add(out, p->form == FORM_CSV ? "\r\n" : "\n", p->form == FORM_CSV ? 2 : 1);
}

/* Quotes what was added from `from` on, if it needs it (RFC 4180);
 * in TSV, breaking characters become blanks. */
static void protect(struct cdn_buf *out, size_t from, bool csv)
{
    bool needed = false;
    for (size_t i = from; i < out->n; i++) {
        char c = out->p[i];
        needed |= c == '"' || c == ',' || c == '\n' || c == '\r';
        if (!csv && (c == '\t' || c == '\n' || c == '\r')) {
            out->p[i] = ' ';
        }
    }
    if (!csv || !needed) {
        return;
    }
    CDN_AUTOFREE char *plain = cdn_strndup(out->p + from, out->n - from);
    out->n = from;
    cdn_buf_add_char(out, '"');
    for (const char *c = plain; *c; c++) {
        if (*c == '"') {
            cdn_buf_add_char(out, '"');
        }
        cdn_buf_add_char(out, *c);
    }
    cdn_buf_add_char(out, '"');
}

static void put_columns(const struct geo_printer *p, const struct geo_row *row, struct cdn_buf *out)
{
    for (size_t i = 0; i < p->column_count; i++) {
        if (i) {
            cdn_buf_add_char(out, p->form == FORM_CSV ? ',' : '\t');
        }
        size_t from = out->n;
        geo_field_put_visible(row, p->columns[i], out);
        protect(out, from, p->form == FORM_CSV);
    }
    cdn_buf_add(out, p->form == FORM_CSV ? "\r\n" : "\n", p->form == FORM_CSV ? 2 : 1);
}

/* ---- people ---- */

/* A record without a place: whose network it is, if that is known. */
static void put_owner(const struct geo_record *r, struct cdn_buf *out)
{
    if (r->asn) {
        cdn_buf_printf(out, "AS%u", r->asn);
    }
    if (r->organization.n) {
        cdn_buf_printf(out, "%s" CDN_STR_FMT, r->asn ? " " : "", CDN_STR_ARG(r->organization));
    }
    cdn_buf_printf(out, "%splace not known", r->asn + r->organization.n ? "; " : "");
}

static void put_place(const struct geo_row *row, struct cdn_buf *out)
{
    const struct router_where *w = &row->decision.where;
    const struct geo_record *r = &w->record;
    if (w->anycast) {
        cdn_buf_printf(out, "anycast (%s), ", w->anycast->text);
    }
    if (w->special) {
        cdn_buf_printf(out, "%s (%s)", w->special->text, w->special->source);
    } else if (router_where_is_default(w) && w->is_recorded) {
        put_owner(r, out);
    } else if (router_where_is_default(w)) {
        cdn_buf_printf(out, "not in the database");
    }
    if (router_where_is_default(w)) {
        cdn_buf_printf(out, ", taken as %s", row->table->default_name);
        return;
    }
    if (w->special) {
        cdn_buf_printf(out, "; ");
    }
    struct cdn_str city = r->city;
    if (w->record.precision == GEO_PRECISION_CELL) {
        double km;
        city = geo_place_nearest(r->lat, r->lon, &km)->name;
        if (km > GEO_NEAR_KM) {
            cdn_buf_printf(out, "%.0f km from ", km);
        } else {
            cdn_buf_printf(out, "near ");
        }
    }
    if (city.n) {
        cdn_buf_printf(out, CDN_STR_FMT ", ", CDN_STR_ARG(city));
    }
    if (r->subdivision.n && !cdn_str_eq(r->subdivision, r->city)) {
        cdn_buf_printf(out, CDN_STR_FMT ", ", CDN_STR_ARG(r->subdivision));
    }
    struct cdn_str country = r->country.n ? r->country : r->country_code;
    if (country.n) {
        cdn_buf_printf(out, CDN_STR_FMT " ", CDN_STR_ARG(country));
    }
    cdn_buf_printf(out, "%.2f,%.2f (%s, %s%u km)", r->lat, r->lon, router_where_precision(w),
                   w->uncertainty_assumed ? "about " : "", w->uncertainty_km);
}

static void put_candidates(const struct geo_row *row, struct cdn_buf *out)
{
    size_t n;
    struct table table;
    CDN_AUTOFREE struct router_candidate *ranked = geo_row_ranked(row, &n);
    const struct router_edges *edges = row->table->edges;
    table_init(&table, "    EDGE|PLACE|>KM|>MS (MODELLED)");
    for (size_t i = 0; i < n; i++) {
        const struct router_site *site = &edges->sites[ranked[i].site];
        for (size_t k = 0; k < site->count; k++) {
            const struct router_edge *edge = &edges->at[edges->members[site->first + k]];
            table_add(&table, "    %s", edge->name);
            table_add(&table, "%s", edge->place);
            table_add(&table, "%.0f", (double)ranked[i].km);
            table_add(&table, "%.1f", (double)ranked[i].rtt_ms);
        }
    }
    table_print(&table, out);
    table_fini(&table);
}

static void put_human(const struct geo_printer *p, const struct geo_row *row,
                      const struct router_trace *trace, struct cdn_buf *out)
{
    const struct router_choice *c = &row->decision.choice;
    const struct router_edges *edges = row->table->edges;
    size_t from = out->n;
    geo_field_put(row, GEO_FIELD_ip, out);
    cdn_buf_add(out, "  ", 2);
    put_place(row, out);
    cdn_buf_printf(out, "  in ");
    geo_field_put(row, GEO_FIELD_network, out);
    if (c->edge == ROUTER_NO_EDGE) {
        cdn_buf_printf(out, "  -> no edge");
    } else {
        cdn_buf_printf(out, "  -> %s %.0f km, %.1f ms modelled", edges->at[c->edge].name, (double)c->at.km,
                       (double)c->at.rtt_ms);
        if (c->runner_up != ROUTER_NO_EDGE) {
            cdn_buf_printf(out, "; then %s %+.1f ms", edges->at[c->runner_up].name,
                           (double)row->decision.margin_ms);
        }
        cdn_buf_printf(out, "  [%s%s]", router_reason_word(row->decision.reason),
                       row->decision.ambiguous ? ", ambiguous" : "");
    }
    cdn_buf_make_visible(out, from);
    cdn_buf_add_char(out, '\n');
    if (p->all_edges) {
        put_candidates(row, out);
    }
    for (size_t i = 0; trace && i < trace->count; i++) {
        cdn_buf_printf(out, "    %-9s ", router_step_word(trace->steps[i].step));
        cdn_buf_add_visible(out, cdn_str(trace->steps[i].text));
        cdn_buf_add_char(out, '\n');
    }
}

/* ---- programs ---- */

static void put_json(const struct geo_printer *p, const struct geo_row *row, const struct router_trace *trace,
                     struct cdn_buf *out)
{
    json_t *o =
        router_explain(row->table, &row->question, &row->decision, trace, p->all_edges ? SIZE_MAX : 0);
    if (!p->all_edges) {
        json_object_del(o, "candidates");
    }
    cli_add_json(out, o, JSON_COMPACT | JSON_REAL_PRECISION(10));
    cdn_buf_add_char(out, '\n');
    json_decref(o);
}

static void put_format(const struct geo_printer *p, const struct geo_row *row, struct cdn_buf *out)
{
    for (size_t i = 0; i < p->part_count; i++) {
        cdn_buf_add_str(out, cdn_buf_str(&p->parts[i].text));
        size_t from = out->n;
        if (p->parts[i].has_field && row) {
            geo_field_put_visible(row, p->parts[i].field, out);
        }
        if (p->parts[i].has_field && p->is_dashed && out->n == from) {
            cdn_buf_add_char(out, '-');
        }
    }
    cdn_buf_add_char(out, '\n');
}

void geo_printer_blank(const struct geo_printer *p, struct cdn_buf *out)
{
    put_format(p, NULL, out);
}

static json_t *text_of(const struct geo_row *row, enum geo_field field)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    if (row) {
        geo_field_put(row, field, &text);
    }
    json_t *value = text.n ? json_stringn(text.p, text.n) : NULL;
    return value ? value : json_null();
}

void geo_print_members(struct cdn_str line, const struct geo_row *row, struct cdn_buf *out)
{
    uint32_t asn = row ? row->decision.where.record.asn : 0;
    json_t *o = json_pack("{s:o, s:o, s:o}", "geo_country", text_of(row, GEO_FIELD_country), "geo_edge",
                          text_of(row, GEO_FIELD_edge), "geo_asn", asn ? json_integer(asn) : json_null());
    CDN_AUTOBUF struct cdn_buf members = {0};
    cli_add_json(&members, o, JSON_COMPACT);
    struct cdn_str inside = cdn_str_trim((struct cdn_str){line.p + 1, line.n - 2});
    cdn_buf_add_visible_json(out, (struct cdn_str){line.p, line.n - 1});
    if (inside.n > 0) {
        cdn_buf_add_char(out, ',');
    }
    cdn_buf_printf(out, "%s\n", members.p + 1);
    json_decref(o);
}

void geo_printer_row(const struct geo_printer *p, const struct geo_row *row, const struct router_trace *trace,
                     struct cdn_buf *out)
{
    switch (p->form) {
    case FORM_HUMAN:
        put_human(p, row, trace, out);
        break;
    case FORM_JSON:
        put_json(p, row, trace, out);
        break;
    case FORM_TEXT:
        put_format(p, row, out);
        break;
    case FORM_CSV:
    case FORM_TSV:
        put_columns(p, row, out);
        break;
    }
}
