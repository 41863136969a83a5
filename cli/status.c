#include "cli/command.h"
#include "cli/state.h"
#include "cli/up_display.h"
#include "common/http_client.h"

#include <stdio.h>

#include "common/banned.h"

#define TIMEOUT_MS 2000
#define BODY_MAX (4u << 20)

#define STATUS_OPTIONS(X)                                                    \
    X(FLAG, json, 'j', NULL, "One JSON object with every node's own report") \
    X(TEXT, state, 0, "DIR", "State folder of the CDN")
CLI_OPTIONS_STRUCT(status_options, STATUS_OPTIONS);

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Adds "state" and, when it answers, "status" to a node. */
static bool ask(json_t *node)
{
    CDN_AUTOFREE char *url = cdn_asprintf("%s/status", text_of(node, "admin"));
    struct http_simple_result result = {0};
    struct cdn_error err;
    enum cdn_status status =
        http_simple("GET", url, NULL, 0, (struct cdn_str){0}, TIMEOUT_MS, BODY_MAX, &result, &err);
    json_t *report =
        !status && result.status == 200 ? json_loadb(result.body.p, result.body.n, 0, NULL) : NULL;
    bool healthy = report && !json_is_false(json_object_get(report, "healthy"));
    json_object_set_new(node, "state", json_string(!report ? "down" : healthy ? "up" : "sick"));
    json_object_set_new(node, "status", report ? report : json_null());
    if (!status)
        http_simple_free(&result);
    return healthy;
}

static void print_table(const json_t *nodes)
{
    struct table table;
    CDN_AUTOBUF struct cdn_buf text = {0};
    size_t i;
    json_t *node;
    table_init(&table, UP_DISPLAY_HEADS);
    json_array_foreach(nodes, i, node)
        up_display_row(&table, text_of(node, "name"), text_of(node, "place"), text_of(node, "state"),
                       (long)json_integer_value(json_object_get(node, "pid")),
                       json_object_get(node, "status"), text_of(node, "url"), "");
    table_print(&table, &text);
    fwrite(text.p, 1, text.n, stdout);
    table_fini(&table);
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct status_options *options = opaque;
    CDN_AUTOFREE char *path = NULL;
    json_t *all, *node;
    size_t i, well = 0;
    if (args->n)
        return cdn_error_set(err, CDN_USAGE, "takes no argument, but got '%s'", args->items[0]);
    enum cdn_status status = state_path(options->state, &path, err);
    if (!status)
        status = state_read(path, &all, err);
    if (status)
        return status;
    json_t *nodes = json_object_get(all, "nodes");
    json_array_foreach(nodes, i, node) well += ask(node);
    if (options->json) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_table(nodes);
    }
    if (well < json_array_size(nodes))
        status = cdn_error_set(err, CDN_NOT_FOUND, "%zu of %zu nodes are well", well, json_array_size(nodes));
    json_decref(all);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct status_options, __VA_ARGS__)
static const struct cli_option rows[] = {STATUS_OPTIONS(ROW)};

const struct cli_command cli_command_status = {
    .name = "status",
    .summary = "What runs, and how it does",
    .usage = "[--json] [--state DIR]",
    .more = "Exit code 1 when no CDN runs there or when a node is not well.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct status_options),
    .run = run,
};
