/* why: `pocketcdn why`: the story of one URL at every edge, as the edges tell it (GET /why), turned
 * from fields into sentences. It decides nothing itself. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/run/control.h"
#include "common/http/syntax/http_percent.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/banned.h"

#define WHY_OPTIONS(X)                                                \
    X(TEXT, edge, 'e', "NAME", "Ask this edge alone")                 \
    X(FLAG, json, 'j', NULL, "The edges' answers as one JSON object") \
    CONTROL_OPTIONS(X)
CLI_OPTIONS_STRUCT(why_options, WHY_OPTIONS);

static long long number(const json_t *object, const char *key)
{
    return (long long)json_number_value(json_object_get(object, key));
}

static bool is_on(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* "200, 19 bytes", or of a part "206, bytes 1048576-2097151 of 5242880" */
static void add_what(const json_t *object, struct cdn_buf *out)
{
    long long bytes = number(object, "bytes"), first = number(object, "first_byte");
    cdn_buf_printf(out, "%lld, ", number(object, "status"));
    if (json_object_get(object, "part_of")) {
        cdn_buf_printf(out, "bytes %lld-%lld of %lld", first, first + bytes - 1, number(object, "part_of"));
    } else {
        cdn_buf_printf(out, "%lld bytes", bytes);
    }
    const char *variant = control_text(object, "variant"), *vary = control_text(object, "vary");
    if (vary[0]) {
        cdn_buf_printf(out, ", varies by %s%s%s", vary, variant[0] ? ": " : "", variant);
    }
}

/* "HIT (59 s left, lifetime from max-age)" */
static void add_next(const json_t *object, struct cdn_buf *out)
{
    const char *cause = control_text(object, "next_cause");
    long long left = number(object, "ttl_s");
    if (!is_on(object, "next_serves")) {
        cdn_buf_printf(out, "asks the origin (%s", cause);
    } else if (left > 0) {
        cdn_buf_printf(out, "HIT (%s%s%lld s left", cause, cause[0] ? ", " : "", left);
    } else if (cause[0]) {
        cdn_buf_printf(out, "STALE (%s, %s", cause, control_text(object, "next_request"));
    } else {
        cdn_buf_printf(out, "HIT (%lld s left", left);
    }
    if (cause[0] && left < 0) {
        cdn_buf_printf(out, ", %lld s past its lifetime", -left);
    }
    cdn_buf_printf(out, "; lifetime from %s)", control_text(object, "lifetime_source"));
}

static void add_object(const json_t *object, struct cdn_buf *line)
{
    bool memory = is_on(object, "memory"), disk = is_on(object, "disk");
    add_what(object, line);
    cdn_buf_printf(line, ", age %lld s, %lld hits, in %s%s%s; next request: ", number(object, "age_s"),
                   number(object, "hits"), memory ? "memory" : "", memory && disk ? " and " : "",
                   disk ? "disk" : "");
    add_next(object, line);
    cdn_buf_add_char(line, '\n');
}

/* What an edge says, a line for each thing. */
static void add_story(const json_t *answer, struct cdn_buf *out)
{
    const json_t *stored = json_object_get(answer, "stored");
    size_t i;
    json_t *object;
    json_array_foreach(stored, i, object) add_object(object, out);
    if (json_array_size(stored) == 0) {
        cdn_buf_printf(out, "not stored; next request: MISS (%s: %s)\n", control_text(answer, "missing"),
                       control_text(answer, "because"));
    }
    if (json_object_get(answer, "ranges")) {
        cdn_buf_printf(out, "%s: %s\n", control_text(answer, "ranges"),
                       control_text(answer, "ranges_because"));
    }
    if (is_on(answer, "fetching")) {
        cdn_buf_printf(out, "is being fetched now\n");
    }
    if (json_object_get(answer, "passing")) {
        cdn_buf_printf(out, "%s\n", control_text(answer, "passing"));
    }
}

static void print_story(const json_t *names, const char *story)
{
    size_t n = json_array_size(names);
    struct cdn_str rest = cdn_str(story);
    if (n > 1) {
        cli_print("%zu edges (", n);
        for (size_t i = 0; i < n; i++) {
            cli_print("%s%s", i ? " " : "", json_string_value(json_array_get(names, i)));
        }
        cli_print(")\n");
    }
    while (rest.n) {
        struct cdn_str line = cdn_str_cut(&rest, '\n');
        cli_print("%-8s " CDN_STR_FMT "\n", n > 1 ? "" : json_string_value(json_array_get(names, 0)),
                  CDN_STR_ARG(line));
    }
}

/* Edges that say the same are told together. */
static void show_all(const json_t *answers)
{
    json_t *stories = json_object(), *answer, *names;
    const char *name, *story;
    json_object_foreach((json_t *)(uintptr_t)answers, name, answer)
    {
        CDN_AUTOBUF struct cdn_buf text = {0};
        add_story(answer, &text);
        names = json_object_get(stories, text.p);
        if (!names) {
            names = json_array();
            json_object_set_new(stories, text.p, names);
        }
        json_array_append_new(names, json_string(name));
    }
    json_object_foreach(stories, story, names) print_story(names, story);
    json_decref(stories);
}

/* What stays as it is in a query of ours: readable, and never a separator. */
static bool keeps(unsigned char c)
{
    return http_percent_is_unreserved(c) || c == '/' || c == ':';
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct why_options *options = opaque;
    struct control_where where = CONTROL_WHERE(options);
    CDN_AUTOBUF struct cdn_buf path = {0};
    json_t *cdn;
    if (args->n != 1) {
        return cdn_error_set(err, CDN_USAGE, "one URL or path, please (pocketcdn help why)");
    }
    cdn_buf_printf(&path, "/why?url=");
    http_percent_encode(cdn_str(args->items[0]), keeps, &path);
    enum cdn_status status = control_open(&where, &cdn, err);
    if (status != CDN_OK) {
        return status;
    }
    struct control_request request = {.kind = "edge",
                                      .name = options->edge,
                                      .method = "GET",
                                      .path = path.p,
                                      .json = options->json,
                                      .show_all = show_all};
    status = control_all(cdn, &request, err);
    json_decref(cdn);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct why_options, __VA_ARGS__)
static const struct cli_option rows[] = {WHY_OPTIONS(ROW)};

const struct cli_command cli_command_why = {
    .name = "why",
    .summary = "What each edge has for a URL, and what the next request would get",
    .usage = "URL | /PATH [--edge NAME]",
    .more = "With --json also the arithmetic of its freshness.\n"
            "\n"
            "  pocketcdn why /static/app.css --edge fra\n"
            "  pocketcdn why /static/app.css -c cdn.yaml       programs that were started one by one\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct why_options),
    .run = run,
};
