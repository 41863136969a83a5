/* fault: `pocketcdn fault`: makes a node late, wrong or silent, by POST /faults of its admin
 * listener. Words become the JSON that the node checks; nothing is judged twice. */
#include "cli/base/note.h"
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/run/control.h"
#include "cli/travel/fault_link.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

#define FAULT_OPTIONS(X)                                             \
    X(TEXT, node, 0, "NAME", "Node to disturb; default: the origin") \
    X(FLAG, json, 'j', NULL, "What is on, as JSON")                  \
    CONTROL_OPTIONS(X)
CLI_OPTIONS_STRUCT(fault_options, FAULT_OPTIONS);

/* A number or a truth value as such, everything else as text. */
static json_t *value_of(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    return value ? value : json_string(text);
}

static enum cdn_status make_body(const struct cli_args *args, json_t *body, struct cdn_error *err)
{
    if (args->n == 0) {
        return cdn_error_set(err, CDN_USAGE, "which fault? KEY=VALUE... or off (pocketcdn help fault)");
    }
    if (args->n == 1 && strcmp(args->items[0], "off") == 0) {
        json_object_set_new(body, "off", json_true());
        return CDN_OK;
    }
    for (size_t i = 0; i < args->n; i++) {
        const char *equals = strchr(args->items[i], '=');
        if (!equals || equals == args->items[i]) {
            return cdn_error_set(err, CDN_USAGE, "'%s' is neither KEY=VALUE nor off", args->items[i]);
        }
        CDN_AUTOFREE char *key = cdn_strndup(args->items[i], (size_t)(equals - args->items[i]));
        json_object_set_new(body, key, value_of(equals + 1));
    }
    return CDN_OK;
}

/* Origins alone can be faulty; every other wish gets the reason, and the names that there are. */
static enum cdn_status find_node(const json_t *cdn, const char *name, json_t **ret, struct cdn_error *err)
{
    json_t *node;
    size_t i;
    json_array_foreach(json_object_get(cdn, "nodes"), i, node)
    {
        if (strcmp(control_text(node, "name"), name) != 0) {
            continue;
        }
        if (json_is_true(json_object_get(node, "external"))) {
            return cdn_error_set(err, CDN_NOT_FOUND,
                                 "the origin %s is not one of ours: it has no faults to switch on",
                                 control_text(node, "url"));
        }
        if (strcmp(control_text(node, "kind"), "origin") != 0) {
            return cdn_error_set(err, CDN_NOT_FOUND,
                                 "'%s' is %s: faults can be switched on at the origin alone", name,
                                 strcmp(control_text(node, "kind"), "edge") == 0 ? "an edge" : "the router");
        }
        *ret = node;
        return CDN_OK;
    }
    return control_node(cdn, "origin", name, ret, err);
}

static enum cdn_status show(const json_t *node, bool json, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    json_t *report;
    enum cdn_status status = control_ask(node, "GET", "/status", NULL, &report, err);
    if (status != CDN_OK) {
        return status;
    }
    json_t *faults = json_object_get(report, "faults");
    if (json) {
        control_print(json_incref(faults));
    } else {
        note_faults(faults, &text);
        cli_print("%s: %s\n", control_text(node, "name"), text.n ? text.p : "no faults");
    }
    json_decref(report);
    return CDN_OK;
}

static enum cdn_status trouble(const json_t *cdn, const struct fault_options *options, const json_t *body,
                               struct cdn_error *err)
{
    json_t *node, *answer;
    enum cdn_status status = find_node(cdn, options->node ? options->node : "origin", &node, err);
    if (status == CDN_OK) {
        status = control_ask(node, "POST", "/faults", body, &answer, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    json_decref(answer);
    return show(node, options->json, err);
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct fault_options *options = opaque;
    struct control_where where = CONTROL_WHERE(options);
    if (args->n && strcmp(args->items[0], "link") == 0) {
        return fault_link(&where, args->items + 1, args->n - 1, options->json, err);
    }
    json_t *body = json_object(), *cdn = NULL;
    enum cdn_status status = make_body(args, body, err);
    if (status == CDN_OK) {
        status = control_open(&where, &cdn, err);
    }
    if (status == CDN_OK) {
        status = trouble(cdn, options, body, err);
    }
    json_decref(cdn);
    json_decref(body);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct fault_options, __VA_ARGS__)
static const struct cli_option rows[] = {FAULT_OPTIONS(ROW)};

const struct cli_command cli_command_fault = {
    .name = "fault",
    .summary = "Make the origin slow or faulty (simulation)",
    .usage = "KEY=VALUE... | off",
    .more = "Keys: delay (200ms), error_rate and drop_rate (0 to 1), status (of the errors), paths (a shell\n"
            "pattern), seed. What is not given is off. `status` shows what is on.\n"
            "\n"
            "  pocketcdn fault delay=200ms error_rate=0.1\n"
            "  pocketcdn fault off\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct fault_options),
    .run = run,
};
