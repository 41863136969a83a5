/* warm: `pocketcdn warm`: asks edges for everything on a list, so that the first visitor after a deploy or a
 * purge gets hits. Straight at the edges' own listeners, with the site's name in Host: neither DNS nor the
 * router has a say in which edge is warmed. Reading, asking and telling are one after the other. */
#include "cli/warm/warm.h"

#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/base/table.h"
#include "cli/run/control.h"
#include "cli/warm/warm_list.h"
#include "cli/warm/warm_private.h"
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define CONCURRENCY 16u
#define CONCURRENCY_MAX 256u
#define RATE_MAX 100000u
#define SHOWN 20u /* failures on a terminal */

/* ---- what was asked for ---- */

static enum cdn_status read_number(const char *option, const char *text, size_t standard, size_t most,
                                   size_t *ret, struct cdn_error *err)
{
    uint64_t number = standard;
    if (text && (!cdn_parse_u64(cdn_str(text), &number) || number < 1 || number > most)) {
        return cdn_error_set(err, CDN_USAGE, "--%s: '%s' is not a number from 1 to %zu", option, text, most);
    }
    *ret = number;
    return CDN_OK;
}

static bool asks_for_coding(const struct warm *warm)
{
    for (size_t i = 0; i < warm->field_count; i++) {
        if (cdn_str_eq_nocase(warm->fields[i].name, CDN_STR("Accept-Encoding"))) {
            return true;
        }
    }
    return false;
}

static enum cdn_status read_fields(struct warm *warm, struct cdn_error *err)
{
    const struct cli_list *lines = &warm->options->header;
    for (size_t i = 0; i < lines->n; i++) {
        struct cdn_str value = cdn_str(lines->items[i]), name = cdn_str_cut(&value, ':');
        if (!value.p || !name.n || strpbrk(lines->items[i], "\r\n \t") == lines->items[i]) {
            return cdn_error_set(err, CDN_USAGE, "-H: '%s' is not a field such as 'Accept-Encoding: br'",
                                 lines->items[i]);
        }
        if (cdn_str_eq_nocase(name, CDN_STR("Host"))) {
            return cdn_error_set(err, CDN_USAGE,
                                 "-H: the host comes from the URLs; --base http://HOST/ gives paths one");
        }
        warm->fields[warm->field_count++] = (struct http_field){name, cdn_str_trim(value)};
    }
    if (!asks_for_coding(warm)) {
        warm->fields[warm->field_count++] =
            (struct http_field){CDN_STR("Accept-Encoding"), CDN_STR("gzip, deflate, br")};
    }
    return CDN_OK;
}

static enum cdn_status read_base(const char *base, struct cdn_error *err)
{
    struct warm_url url;
    if (!base) {
        return CDN_OK;
    }
    if (strpbrk(base, "?#") || warm_url_read(cdn_str(base), CDN_STR(""), &url, err) != CDN_OK) {
        return cdn_error_set(err, CDN_USAGE, "--base: '%s' is neither http://HOST/PATH/ nor /PATH/", base);
    }
    warm_url_free(&url);
    return CDN_OK;
}

static enum cdn_status add_edge(struct warm *warm, const json_t *node, struct cdn_error *err)
{
    if (warm->edge_count == WARM_EDGES_MAX) {
        return cdn_error_set(err, CDN_TOO_LARGE, "more than %d edges; name some with --edge", WARM_EDGES_MAX);
    }
    warm->edges[warm->edge_count++] =
        (struct warm_edge){.name = control_text(node, "name"), .url = control_text(node, "url")};
    return CDN_OK;
}

static enum cdn_status find_edges(struct warm *warm, const json_t *cdn, struct cdn_error *err)
{
    const struct cli_list *names = &warm->options->edge;
    enum cdn_status status = CDN_OK;
    json_t *node;
    size_t i;
    if (names->n && warm->options->all) {
        return cdn_error_set(err, CDN_USAGE, "only one of --edge and --all");
    }
    for (i = 0; i < names->n && status == CDN_OK; i++) {
        status = control_node(cdn, "edge", names->items[i], &node, err);
        status = status == CDN_OK ? add_edge(warm, node, err) : status;
    }
    json_array_foreach(json_object_get(cdn, "nodes"), i, node)
    {
        if (status == CDN_OK && !names->n && strcmp(control_text(node, "kind"), "edge") == 0) {
            status = add_edge(warm, node, err);
        }
    }
    if (status == CDN_OK && warm->edge_count == 0) {
        status = cdn_error_set(err, CDN_NOT_FOUND, "no edge runs here");
    }
    return status;
}

/* ---- what is told ---- */

static size_t sum(const struct warm *warm, enum warm_outcome outcome)
{
    size_t n = 0;
    for (size_t i = 0; i < warm->edge_count; i++) {
        n += warm->edges[i].counts[outcome];
    }
    return n;
}

static char *url_text(const struct warm *warm, size_t i)
{
    const struct warm_url *url = &warm->list.urls[i];
    return cdn_asprintf("%s%s%s", url->host[0] ? (url->secure ? "https://" : "http://") : "", url->host,
                        url->target);
}

static void print_edges(const struct warm *warm)
{
    struct table table;
    CDN_AUTOBUF struct cdn_buf text = {0};
    table_init(&table, "edge|>warmed|>were hits|>not kept|>failed|>bytes");
    for (size_t i = 0; i < warm->edge_count; i++) {
        const struct warm_edge *edge = &warm->edges[i];
        table_add(&table, "%s", edge->name);
        for (size_t k = 0; k < WARM_OUTCOME_COUNT; k++) {
            table_add(&table, "%zu", edge->counts[k]);
        }
        table_add(&table, "%llu", (unsigned long long)edge->bytes);
    }
    table_print(&table, &text);
    fwrite(text.p, 1, text.n, stdout);
    table_fini(&table);
}

static void print_notes(const struct warm *warm, enum warm_outcome outcome)
{
    size_t shown = 0, all = sum(warm, outcome);
    for (size_t i = 0; i < warm->note_count && shown < SHOWN; i++) {
        const struct warm_note *note = &warm->notes[i];
        if (note->outcome == outcome) {
            CDN_AUTOFREE char *url = url_text(warm, note->url);
            cli_print("%s  %s  %s\n", warm->edges[note->edge].name, url, note->why);
            shown++;
        }
    }
    if (shown < all) {
        cli_print("and %zu more; --json has them\n", all - shown);
    }
}

static void print_summary(const struct warm *warm)
{
    print_notes(warm, WARM_FAILED);
    print_notes(warm, WARM_NOT_KEPT);
    print_edges(warm);
    cli_print(
        "%zu URLs at %zu edges in %.1f s: %zu warmed, %zu were hits already, %zu not kept, %zu failed\n",
        warm->list.n, warm->edge_count, (double)warm->took_ns / 1e9, sum(warm, WARM_WARMED),
        sum(warm, WARM_HIT), sum(warm, WARM_NOT_KEPT), sum(warm, WARM_FAILED));
    if (warm->differing) {
        cli_print("edges have different versions (ETag) of %zu URLs; purge them, or wait for their end\n",
                  warm->differing);
    }
}

static json_t *json_counts(const size_t counts[static WARM_OUTCOME_COUNT], uint64_t bytes)
{
    json_t *object = json_object();
#define X(name, key, meaning) json_object_set_new(object, key, json_integer((json_int_t)counts[WARM_##name]));
    WARM_OUTCOMES(X)
#undef X
    json_object_set_new(object, "bytes", json_integer((json_int_t)bytes));
    return object;
}

static void print_as_json(const struct warm *warm)
{
    size_t counts[WARM_OUTCOME_COUNT] = {0};
    uint64_t bytes = 0;
    json_t *edges = json_object(), *notes = json_array();
    for (size_t i = 0; i < warm->edge_count; i++) {
        const struct warm_edge *edge = &warm->edges[i];
        json_object_set_new(edges, edge->name, json_counts(edge->counts, edge->bytes));
        bytes += edge->bytes;
    }
    for (size_t k = 0; k < WARM_OUTCOME_COUNT; k++) {
        counts[k] = sum(warm, (enum warm_outcome)k);
    }
    for (size_t i = 0; i < warm->note_count; i++) {
        const struct warm_note *note = &warm->notes[i];
        CDN_AUTOFREE char *url = url_text(warm, note->url);
        json_array_append_new(notes,
                              json_pack("{s:s, s:s, s:b, s:s}", "edge", warm->edges[note->edge].name, "url",
                                        url, "failed", note->outcome == WARM_FAILED, "why", note->why));
    }
    json_t *all = json_counts(counts, bytes);
    json_object_set_new(all, "urls", json_integer((json_int_t)warm->list.n));
    json_object_set_new(all, "differing", json_integer((json_int_t)warm->differing));
    json_object_set_new(all, "seconds", json_real((double)warm->took_ns / 1e9));
    json_object_set_new(all, "edges", edges);
    json_object_set_new(all, "notes", notes);
    json_object_set_new(all, "notes_left_out", json_integer((json_int_t)warm->notes_left_out));
    cli_print_json(all, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
}

static enum cdn_status tell(const struct warm *warm, struct cdn_error *err)
{
    size_t failed = sum(warm, WARM_FAILED), all = warm->list.n * warm->edge_count;
    if (warm->options->json) {
        print_as_json(warm);
    } else {
        print_summary(warm);
    }
    return failed ? cdn_error_set(err, CDN_NOT_FOUND, "%zu of %zu requests failed", failed, all) : CDN_OK;
}

/* ---- the command ---- */

static void warm_free(struct warm *warm)
{
    for (size_t i = 0; i < warm->note_count; i++) {
        free(warm->notes[i].why);
    }
    free(warm->notes);
    warm_list_free(&warm->list);
}

static enum cdn_status read_all(struct warm *warm, const struct cli_args *args, const json_t *cdn,
                                struct cdn_error *err)
{
    enum cdn_status status = find_edges(warm, cdn, err);
    for (size_t i = 0; i < args->n && status == CDN_OK; i++) {
        status = warm_source_read(warm, args->items[i], err);
    }
    if (status == CDN_OK && warm->list.n == 0) {
        status = cdn_error_set(err, CDN_INVALID, "%s: names no URL", args->items[0]);
    }
    return status;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct warm_options *options = opaque;
    struct control_where where = CONTROL_WHERE(options);
    struct warm warm = {.options = options};
    json_t *cdn = NULL;
    if (args->n == 0) {
        return cdn_error_set(err, CDN_USAGE, "warm what? A list, staticfiles.json or a sitemap");
    }
    enum cdn_status status = read_number("concurrency", options->concurrency, CONCURRENCY, CONCURRENCY_MAX,
                                         &warm.concurrency, err);
    if (status == CDN_OK) {
        status = read_number("rate", options->rate, 0, RATE_MAX, &warm.rate, err);
    }
    if (status == CDN_OK) {
        status = read_fields(&warm, err);
    }
    if (status == CDN_OK) {
        status = read_base(options->base, err);
    }
    if (status == CDN_OK) {
        status = control_open(&where, &cdn, err);
    }
    if (status == CDN_OK) {
        warm.ca_file = options->cacert ? options->cacert : control_bundle(cdn);
        http_simple_trust(warm.ca_file);
        status = read_all(&warm, args, cdn, err);
    }
    if (status == CDN_OK) {
        status = warm_run(&warm, err);
    }
    if (status == CDN_OK) {
        status = tell(&warm, err);
    }
    warm_free(&warm);
    json_decref(cdn);
    return status;
}

enum cdn_status warm_paths(const json_t *cdn, struct cdn_str paths, struct cdn_error *err)
{
    static const struct warm_options standard;
    const struct warm_base base = {"/"};
    struct warm warm = {.options = &standard, .concurrency = CONCURRENCY, .ca_file = control_bundle(cdn)};
    enum cdn_status status = read_fields(&warm, err);
    if (status == CDN_OK) {
        status = find_edges(&warm, cdn, err);
    }
    if (status == CDN_OK) {
        status = warm_list_add(&warm.list, "new files", paths, &base, err);
    }
    if (status == CDN_OK) {
        status = warm_run(&warm, err);
    }
    if (status == CDN_OK) {
        status = tell(&warm, err);
    }
    warm_free(&warm);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct warm_options, __VA_ARGS__)
static const struct cli_option rows[] = {WARM_OPTIONS(ROW)};

const struct cli_command cli_command_warm = {
    .name = "warm",
    .summary = "Ask the edges for everything on a list, before visitors do",
    .usage = "FILE | - | URL ... [--edge NAME]... [--rate N] [--json]",
    .more =
        "FILE is one of: a list (a URL, a path or a name on each line, '#' for remarks); Django's manifest\n"
        "staticfiles.json, of which the hashed files are asked for; a sitemap or an index of sitemaps, also\n"
        "with gzip. A URL is fetched, by the first edge. Requests go straight to the edges, with the\n"
        "site's name as Host; a path alone is one of the site behind them.\n"
        "\n"
        "  pocketcdn warm staticfiles.json\n"
        "  pocketcdn warm staticfiles.json --base https://shop.example/static/ --edge fra --edge nrt\n"
        "  pocketcdn warm https://shop.example/sitemap.xml --rate 50\n"
        "  printf '%s\\n' /app.css /app.js | pocketcdn warm -\n"
        "\n"
        "Every body is read to its end and its length compared with Content-Length. Exit code 1: there\n"
        "were failures (no answer, a cut one, a status that is not 200). What may not be kept, such as\n"
        "answers with no-store, is told apart, and is no failure.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct warm_options),
    .run = run,
};
_Static_assert(sizeof(struct warm_options) <= CLI_OPTIONS_MAX, "options do not fit");
