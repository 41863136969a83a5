/* status: `pocketcdn status`: one row a node from its own report, asked now. A node that does not
 * answer is a row too: that is what one wants to know. */
#include "cli/base/options.h"
#include "cli/base/subcommand.h"
#include "cli/base/table.h"
#include "cli/base/terminal.h"
#include "cli/run/control.h"
#include "cli/run/up_display.h"
#include "common/http/client/http_client.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "common/banned.h"

#define TIMEOUT_MS 2000
#define BODY_MAX (4u << 20)

#define STATUS_OPTIONS(X)                                                    \
    X(FLAG, json, 'j', NULL, "One JSON object with every node's own report") \
    CONTROL_OPTIONS(X)
CLI_OPTIONS_STRUCT(status_options, STATUS_OPTIONS);

static void set_state(json_t *node, const char *state, json_t *take_report, const char *error)
{
    json_object_set_new(node, "state", json_string(state));
    json_object_set_new(node, "status", take_report ? take_report : json_null());
    json_object_set_new(node, "error", error ? json_string(error) : json_null());
    json_object_del(node, "token");
}

/* An origin that is not ours is up when it answers anything at all. */
static bool ask_external(json_t *node)
{
    struct http_simple_result result = {0};
    struct cdn_error err;
    enum cdn_status status = http_simple("HEAD", control_text(node, "url"), NULL, 0, (struct cdn_str){0},
                                         TIMEOUT_MS, BODY_MAX, &result, &err);
    set_state(node, status != CDN_OK ? "down" : "up", NULL, status != CDN_OK ? err.text : NULL);
    if (status == CDN_OK) {
        http_simple_free(&result);
    }
    return status == CDN_OK;
}

/* Adds "state", "status" (the node's own report or null) and "error" to a node. */
static bool ask(json_t *node)
{
    struct cdn_error err;
    json_t *report = NULL;
    if (json_is_true(json_object_get(node, "external"))) {
        return ask_external(node);
    }
    enum cdn_status status = control_ask_for(node, "GET", "/status", NULL, TIMEOUT_MS, &report, &err);
    bool healthy = status == CDN_OK && !json_is_false(json_object_get(report, "healthy"));
    set_state(node,
              status != CDN_OK ? "down"
              : healthy        ? "up"
                               : "sick",
              report, status != CDN_OK ? err.text : NULL);
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
    {
        const json_t *report = json_object_get(node, "status");
        const json_t *pid = json_object_get(node, "pid");
        up_display_row(&table,
                       &(struct up_display_node){
                           .name = control_text(node, "name"),
                           .place = control_text(node, "place"),
                           .state = control_text(node, "state"),
                           .url = control_text(node, "url"),
                           .error = control_text(node, "error"),
                           .pid = (long)json_integer_value(pid ? pid : json_object_get(report, "pid")),
                           .restarts = (unsigned)json_integer_value(json_object_get(node, "restarts")),
                           .external = json_is_true(json_object_get(node, "external")),
                           .status = report,
                       });
    }
    table_print_to(&table, terminal_of(STDOUT_FILENO), &text);
    fwrite(text.p, 1, text.n, stdout);
    table_fini(&table);
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct status_options *options = opaque;
    struct control_where where = CONTROL_WHERE(options);
    json_t *all, *node;
    size_t i, well = 0;
    if (args->n) {
        return cdn_error_set(err, CDN_USAGE, "takes no argument, but got '%s'", args->items[0]);
    }
    enum cdn_status status = control_open(&where, &all, err);
    if (status != CDN_OK) {
        return status;
    }
    json_t *nodes = json_object_get(all, "nodes");
    json_array_foreach(nodes, i, node) well += ask(node);
    if (options->json) {
        control_print(json_incref(all));
    } else {
        print_table(nodes);
    }
    if (well < json_array_size(nodes)) {
        status = cdn_error_set(err, CDN_NOT_FOUND, "%zu of %zu nodes are well", well, json_array_size(nodes));
    }
    json_decref(all);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct status_options, __VA_ARGS__)
static const struct cli_option rows[] = {STATUS_OPTIONS(ROW)};

const struct cli_command cli_command_status = {
    .name = "status",
    .summary = "What runs, and how it does",
    .usage = "[--json] [--state DIR | -c FILE | --router URL]",
    .more = "Exit code 1 when no CDN runs there or when a node is not well, 3 when the state folder is not "
            "yours\n"
            "alone or its up.json is damaged. NOTE says what is out of the ordinary: faults, a moved clock,\n"
            "restarts, an edge that checks every reuse because the router is away.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct status_options),
    .run = run,
};
