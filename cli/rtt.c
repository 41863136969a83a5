/* rtt: `pocketcdn rtt`: the modelled time between two places, with the way it takes; or of many
 * pairs, a line each, for programs. It says that it is modelled wherever it prints a number. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/base/table.h"
#include "cli/geo/geo_input.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "geo-data/geodesy.h"
#include "geo-data/latency.h"
#include "geo-data/places.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

#define FLUSH_AT (64u << 10)
#define MS_LEAST 0.005 /* shorter legs would print as 0.00 ms */

#define RTT_OPTIONS(X) X(FLAG, json, 'j', NULL, "JSON: one object, or with '-' one object a line")
CLI_OPTIONS_STRUCT(rtt_options, RTT_OPTIONS);

struct place {
    char *name; /* as typed, or the city's */
    double lat, lon;
};

/* ---- FROM and TO ---- */

static enum cdn_status place_of_address(const struct cdn_addr *address, const char *text, struct place *ret,
                                        struct cdn_error *err)
{
    struct geo_db *db;
    struct geo_record record;
    enum cdn_status status = geo_db_open_embedded(&db, err);
    if (status != CDN_OK) {
        return status;
    }
    status = geo_lookup(db, &address->sa, &record);
    geo_db_unref(db);
    if (status != CDN_OK || !record.has_coordinates) {
        return cdn_error_set(err, CDN_NOT_FOUND, "the database has no place for %s", text);
    }
    *ret = (struct place){cdn_strdup(text), record.lat, record.lon};
    return CDN_OK;
}

static enum cdn_status place_of(const char *text, struct place *ret, struct cdn_error *err)
{
    struct cdn_addr address;
    struct geo_place found;
    if (cdn_parse_ip(cdn_str(text), &address)) {
        return place_of_address(&address, text, ret, err);
    }
    enum cdn_status status = geo_place_find(cdn_str(text), &found, err);
    if (status == CDN_OK) {
        *ret =
            (struct place){found.name.n ? cdn_str_dup(found.name) : cdn_strdup(text), found.lat, found.lon};
    }
    return status;
}

/* ---- one pair ---- */

static void add_row(struct table *table, const char *how, const char *to, double km, double ms)
{
    table_add(table, "%s", how);
    table_add(table, "%s", to);
    table_add(table, "%.0f", km);
    table_add(table, "%.2f", ms);
}

/* A chain of sea points is one cable: only its ends are worth a line. */
static void add_legs(struct table *table, const struct geo_rtt_path *path, const struct place *to)
{
    double km = 0, ms = 0;
    for (size_t i = 0; i < path->leg_count; i++) {
        const struct geo_rtt_leg *leg = &path->legs[i];
        bool last = i + 1 == path->leg_count;
        km += leg->km;
        ms += leg->ms;
        if (!last && leg->kind == GEO_RTT_SEA && leg->to_country.n == 0 && leg[1].kind == GEO_RTT_SEA) {
            continue;
        }
        CDN_AUTOFREE char *name =
            last ? cdn_asprintf("%s", to->name)
                 : cdn_asprintf(CDN_STR_FMT "%s" CDN_STR_FMT, CDN_STR_ARG(leg->to),
                                leg->to_country.n ? "," : "", CDN_STR_ARG(leg->to_country));
        if (ms >= MS_LEAST) {
            add_row(table, geo_rtt_leg_word(leg->kind), name, km, ms);
        }
        km = ms = 0;
    }
}

static void print_text(const struct place *from, const struct place *to, const struct geo_rtt_path *path)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    struct table table;
    cdn_buf_printf(&out,
                   "%.1f ms modelled round trip, %s to %s (great circle %.0f km, light in fibre %.1f ms)\n\n",
                   path->rtt_ms, from->name, to->name, path->km, path->light_ms);
    table_init(&table, "BY|TO|>KM|>MS");
    add_legs(&table, path, to);
    add_row(&table, "ends", "access networks of both ends", 0, path->end_ms);
    if (path->floor_ms >= MS_LEAST) {
        add_row(&table, "floor", "nothing is faster than 1.2 times light in fibre", 0, path->floor_ms);
    }
    table_print(&table, &out);
    table_fini(&table);
    fwrite(out.p, 1, out.n, stdout);
}

static json_t *json_of_place(const struct place *place)
{
    return json_pack("{s:s, s:f, s:f}", "name", place->name, "lat", place->lat, "lon", place->lon);
}

static json_t *json_of_legs(const struct geo_rtt_path *path)
{
    json_t *legs = json_array();
    for (size_t i = 0; i < path->leg_count; i++) {
        const struct geo_rtt_leg *leg = &path->legs[i];
        json_t *to = leg->to.n ? json_stringn(leg->to.p, leg->to.n) : json_null();
        json_t *country =
            leg->to_country.n ? json_stringn(leg->to_country.p, leg->to_country.n) : json_null();
        json_array_append_new(legs,
                              json_pack("{s:s, s:o, s:o, s:f, s:f, s:f, s:f}", "by",
                                        geo_rtt_leg_word(leg->kind), "to", to, "country", country, "lat",
                                        leg->lat, "lon", leg->lon, "km", leg->km, "ms", leg->ms));
    }
    return legs;
}

static void print_json(const struct place *from, const struct place *to, const struct geo_rtt_path *path)
{
    json_t *parts = json_pack("{s:f, s:f}", "ends_ms", path->end_ms, "floor_ms", path->floor_ms);
    json_t *km = json_object();
    for (unsigned kind = 0; kind < GEO_RTT_LEG_KIND_COUNT; kind++) {
        CDN_AUTOFREE char *key = cdn_asprintf("%s_ms", geo_rtt_leg_word(kind));
        json_object_set_new(parts, key, json_real(path->kind_ms[kind]));
        json_object_set_new(km, geo_rtt_leg_word(kind), json_real(path->kind_km[kind]));
    }
    json_t *all =
        json_pack("{s:f, s:b, s:o, s:o, s:f, s:f, s:o, s:o, s:o}", "rtt_ms", path->rtt_ms, "modelled", 1,
                  "from", json_of_place(from), "to", json_of_place(to), "km", path->km, "light_ms",
                  path->light_ms, "parts", parts, "path_km", km, "path", json_of_legs(path));
    cli_print_json(all, JSON_INDENT(2) | JSON_REAL_PRECISION(7));
}

static enum cdn_status answer_pair(const struct rtt_options *options, const char *from_text,
                                   const char *to_text, struct cdn_error *err)
{
    struct place from = {0}, to = {0};
    enum cdn_status status = place_of(from_text, &from, err);
    if (status == CDN_OK) {
        status = place_of(to_text, &to, err);
    }
    if (status == CDN_OK) {
        struct geo_rtt_path path;
        geo_rtt_path(from.lat, from.lon, to.lat, to.lon, &path);
        (options->json ? print_json : print_text)(&from, &to, &path);
    }
    free(from.name);
    free(to.name);
    return status;
}

/* ---- lines ---- */

static void flush(void *self)
{
    struct cdn_buf *out = self;
    fwrite(out->p, 1, out->n, stdout);
    fflush(stdout);
    cdn_buf_clear(out);
}

static bool read_line(struct cdn_str line, double ret[static 4])
{
    for (size_t i = 0; i < 4; i++) {
        if (!line.p || !cdn_parse_real(cdn_str_trim(cdn_str_cut(&line, ',')), &ret[i])) {
            return false;
        }
    }
    return !line.p && geo_coordinates_valid(ret[0], ret[1]) && geo_coordinates_valid(ret[2], ret[3]);
}

static void answer_line(const struct rtt_options *options, const double at[static 4], struct cdn_buf *out)
{
    double ms = geo_rtt_ms(at[0], at[1], at[2], at[3]);
    if (options->json) {
        cdn_buf_printf(out, "{\"rtt_ms\":%.3f,\"modelled\":true}\n", ms);
    } else {
        cdn_buf_printf(out, "%.3f\n", ms);
    }
    if (out->n >= FLUSH_AT) {
        flush(out);
    }
}

static enum cdn_status answer_lines(const struct rtt_options *options, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    struct geo_reader reader;
    struct cdn_str line;
    enum cdn_status status;
    bool bad = false;
    geo_reader_init(&reader, STDIN_FILENO, flush, &out);
    while ((status = geo_reader_line(&reader, &line, err)) == CDN_OK || status == CDN_TOO_LARGE) {
        double at[4];
        line = status != CDN_OK ? (struct cdn_str){0} : cdn_str_trim(line);
        if (status == CDN_OK && (line.n == 0 || line.p[0] == '#')) {
            continue;
        }
        if (status == CDN_OK && read_line(line, at)) {
            answer_line(options, at, &out);
            continue;
        }
        bad = true;
        cli_complain("pocketcdn rtt: line %llu: not LAT,LON,LAT,LON in degrees: '%.*s'\n",
                     (unsigned long long)reader.line, line.n < 80 ? (int)line.n : 80, line.n ? line.p : "");
    }
    flush(&out);
    geo_reader_fini(&reader);
    err->text[0] = '\0';
    if (status != CDN_NOT_FOUND) {
        return cdn_error_set(err, status, "standard input cannot be read");
    }
    if (ferror(stdout) && errno != EPIPE) {
        return cdn_error_set(err, CDN_IO, "standard output: %s", strerror(errno));
    }
    return bad ? CDN_INVALID : CDN_OK;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct rtt_options *options = opaque;
    if (args->n == 1 && strcmp(args->items[0], "-") == 0) {
        return answer_lines(options, err);
    }
    if (args->n != 2) {
        return cdn_error_set(err, CDN_USAGE, "takes two places, or '-' (pocketcdn help rtt)");
    }
    return answer_pair(options, args->items[0], args->items[1], err);
}

#define ROW(...) CLI_OPTION_ROW(struct rtt_options, __VA_ARGS__)
static const struct cli_option rows[] = {RTT_OPTIONS(ROW)};

const struct cli_command cli_command_rtt = {
    .name = "rtt",
    .summary = "The modelled round-trip time between two places, and its path",
    .usage = "[--json] FROM TO\n       pocketcdn rtt [--json] -",
    .more =
        "FROM and TO are a city (\"Zurich\", \"Valencia,VE\"), a site (fra), LAT,LON or an IP address. For "
        "'-', lines\n"
        "LAT,LON,LAT,LON are read from standard input and answered in milliseconds, one a line, in order; a "
        "bad line is\n"
        "named on standard error and has no answer. Empty lines and '#' lines do not count.\n"
        "\n"
        "  pocketcdn rtt Frankfurt Singapore\n"
        "  pocketcdn rtt -- -33.87,151.21 51.5,-0.13\n"
        "  echo 52.5,13.4,35.7,139.7 | pocketcdn rtt -\n"
        "\n"
        "All times are modelled, none is measured. Exit codes: 0 done, 1 a place was not found, 2 usage or a "
        "bad line.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct rtt_options),
    .run = run,
};
