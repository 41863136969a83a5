#include "cli/command.h"
#include "cli/control.h"

#include <ctype.h>
#include <stdio.h>

#include "common/banned.h"

#define WHY_OPTIONS(X)                                                \
    X(FLAG, json, 'j', NULL, "The edges' answers as one JSON object") \
    X(TEXT, state, 0, "DIR", "State folder of the CDN")
CLI_OPTIONS_STRUCT(why_options, WHY_OPTIONS);

static long long number(const json_t *object, const char *key)
{
    return (long long)json_number_value(json_object_get(object, key));
}

static void show(const char *name, const json_t *answer)
{
    const json_t *stored = json_object_get(answer, "stored");
    size_t i;
    json_t *object;
    if (json_array_size(stored) == 0) {
        const char *gone = control_text(answer, "gone");
        printf("%-8s not stored%s%s\n", name, gone[0] ? ": " : "", gone);
    }
    json_array_foreach(stored, i, object)
    {
        printf(
            "%-8s %lld, %lld bytes, age %lld s, next request: %s (lifetime from %s), %lld hits, in %s%s%s\n",
            name, number(object, "status"), number(object, "bytes"), number(object, "age_s"),
            control_text(object, "next_request"), control_text(object, "lifetime_source"),
            number(object, "hits"), json_is_true(json_object_get(object, "memory")) ? "memory" : "",
            json_is_true(json_object_get(object, "memory")) && json_is_true(json_object_get(object, "disk"))
                ? " and "
                : "",
            json_is_true(json_object_get(object, "disk")) ? "disk" : "");
    }
}

/* Percent-encoded for a query. */
static void encode(const char *text, struct cdn_buf *out)
{
    for (const char *c = text; *c; c++) {
        if (isalnum((unsigned char)*c) || strchr("/-._~:", *c))
            cdn_buf_add_char(out, *c);
        else
            cdn_buf_printf(out, "%%%02X", (unsigned char)*c);
    }
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct why_options *options = opaque;
    CDN_AUTOBUF struct cdn_buf path = {0};
    if (args->n != 1)
        return cdn_error_set(err, CDN_USAGE, "one URL or path, please (pocketcdn help why)");
    cdn_buf_printf(&path, "/why?url=");
    encode(args->items[0], &path);
    struct control_request request = {"edge", "GET", path.p, NULL, options->json, show};
    return control_all(options->state, &request, err);
}

#define ROW(...) CLI_OPTION_ROW(struct why_options, __VA_ARGS__)
static const struct cli_option rows[] = {WHY_OPTIONS(ROW)};

const struct cli_command cli_command_why = {
    .name = "why",
    .summary = "What each edge has of a URL, and what the next request would get",
    .usage = "URL | /PATH",
    .more = "With --json also the arithmetic of its freshness.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct why_options),
    .run = run,
};
