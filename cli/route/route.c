/* route: `pocketcdn route`: one decision, in words, as a map of the terminal or as SVG. The
 * decision is made by the router's own code with the same table, so the picture cannot disagree
 * with the redirect. */
#include "cli/route/route.h"

#include "cli/base/options.h"
#include "cli/base/subcommand.h"
#include "cli/geo/geo.h"
#include "cli/geo/geo_row.h"
#include "common/mem.h"
#include "common/parse.h"
#include "router/decide/resolve.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/banned.h"

#define ROUTE_OPTIONS(X)                                                                                    \
    X(FLAG, map, 'm', NULL, "Draw the world with client, edges and modelled path")                          \
    X(TEXT, svg, 0, "FILE", "Write the drawing as SVG")                                                     \
    X(TEXT, explain_log, 0, "FILE", "As `geo --explain-log`: which edges the clients of a log are sent to") \
    X(FLAG, ascii, 0, NULL, "Draw with plain characters; otherwise as the locale says")                     \
    X(FLAG, json, 'j', NULL, "The decision as JSON, as GET /route?ip= of the router gives it")              \
    X(LIST, db, 0, "FILE", "Database (.mmdb); twice: one for each address family")                          \
    X(TEXT, config, 'c', "FILE", "Decide as the router of this cdn.yaml; default: the built-in edges")
CLI_OPTIONS_STRUCT(route_options, ROUTE_OPTIONS);

/* ---- drawing ---- */

static struct route_map_style style_of(const struct route_options *options)
{
    struct winsize size;
    bool terminal = isatty(STDOUT_FILENO);
    struct route_map_style style = {.columns = 80, .colour = terminal && !getenv("NO_COLOR")};
    if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) {
        style.columns = size.ws_col < 160 ? size.ws_col : 160;
    }
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    if (locale) {
        style.unicode = !options->ascii && strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
        freelocale(locale);
    }
    return style;
}

static enum cdn_status write_svg(const struct route_scene *scene, const char *path, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    route_svg_print(scene, &out);
    FILE *file = fopen(path, "we");
    bool ok = file && fwrite(out.p, 1, out.n, file) == out.n;
    int why = errno;
    if (file && fclose(file) != 0) {
        why = errno;
        ok = false;
    }
    return ok ? CDN_OK : cdn_error_set(err, CDN_IO, "%s: %s", path, strerror(why));
}

static enum cdn_status draw(const struct route_options *options, const struct geo_row *row,
                            struct cdn_buf *out, struct cdn_error *err)
{
    struct route_scene scene;
    enum cdn_status status = route_scene_init(&scene, row->table, &row->decision, err);
    if (status == CDN_OK && options->map) {
        struct route_map_style style = style_of(options);
        route_map_print(&scene, &style, out);
    }
    if (status == CDN_OK && options->svg) {
        status = write_svg(&scene, options->svg, err);
    }
    route_scene_fini(&scene);
    return status;
}

/* ---- the command ---- */

static enum cdn_status explain(const struct route_options *options, struct router_table *table,
                               const char *ip, struct cdn_error *err)
{
    struct geo_options as_geo = {.json = options->json, .why = true, .all_edges = true};
    struct geo_row row = {.table = table, .line = 1};
    struct router_trace trace = {0};
    struct geo_printer *printer;
    CDN_AUTOBUF struct cdn_buf out = {0};
    if (!cdn_parse_ip(cdn_str(ip), &row.question.client)) {
        return cdn_error_set(err, CDN_USAGE, "'%s' is not an IP address", ip);
    }
    enum cdn_status status = geo_printer_create(&as_geo, &printer, err);
    if (status != CDN_OK) {
        return status;
    }
    router_decide(table, &row.question, &trace, &row.decision);
    if (options->map || options->svg) {
        status = draw(options, &row, &out, err);
    }
    geo_printer_row(printer, &row, &trace, &out);
    geo_printer_destroy(printer);
    if (status == CDN_OK && fwrite(out.p, 1, out.n, stdout) != out.n) {
        status = cdn_error_set(err, CDN_IO, "standard output: %s", strerror(errno));
    }
    return status;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct route_options *options = opaque;
    struct router_table *table;
    if (args->n != (options->explain_log ? 0 : 1)) {
        return cdn_error_set(err, CDN_USAGE, "one address or --explain-log, please (pocketcdn help route)");
    }
    if (options->map && options->json) {
        return cdn_error_set(err, CDN_USAGE, "only one of --map and --json");
    }
    enum cdn_status status = geo_table_make(options->config, &options->db, &table, err);
    if (status != CDN_OK) {
        return status;
    }
    status = options->explain_log ? geo_explain_log(table, options->explain_log, NULL, options->json, err)
                                  : explain(options, table, args->items[0], err);
    router_table_unref(table);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct route_options, __VA_ARGS__)
static const struct cli_option rows[] = {ROUTE_OPTIONS(ROW)};

const struct cli_command cli_command_route = {
    .name = "route",
    .summary = "Which edge an address is sent to, why, and over which path",
    .usage = "[--map] [--svg FILE] IP\n       pocketcdn route --explain-log FILE [--json]",
    .more = "Edges count as healthy: what a running router knows of them, its GET /route?ip= says. Times and "
            "the path are\n"
            "modelled, not measured. The land is where addresses of the embedded database are.\n"
            "\n"
            "  pocketcdn route --map 200.160.2.3\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct route_options),
    .run = run,
};
_Static_assert(sizeof(struct route_options) <= CLI_OPTIONS_MAX, "options do not fit");
