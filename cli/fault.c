#include "cli/command.h"
#include "cli/control.h"

#include <stdio.h>

#include "common/banned.h"

#define FAULT_OPTIONS(X)                                             \
    X(TEXT, node, 0, "NAME", "Node to trouble; default: the origin") \
    X(TEXT, state, 0, "DIR", "State folder of the CDN")
CLI_OPTIONS_STRUCT(fault_options, FAULT_OPTIONS);

/* A number or a truth value as such, everything else as text. */
static json_t *value_of(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    return value ? value : json_string(text);
}

static enum cdn_status make_body(const struct cli_args *args, json_t *body, struct cdn_error *err)
{
    if (args->n == 0)
        return cdn_error_set(err, CDN_USAGE, "which fault? KEY=VALUE... or off (pocketcdn help fault)");
    if (args->n == 1 && strcmp(args->items[0], "off") == 0) {
        json_object_set_new(body, "off", json_true());
        return CDN_OK;
    }
    for (size_t i = 0; i < args->n; i++) {
        const char *equals = strchr(args->items[i], '=');
        if (!equals || equals == args->items[i])
            return cdn_error_set(err, CDN_USAGE, "'%s' is neither KEY=VALUE nor off", args->items[i]);
        CDN_AUTOFREE char *key = cdn_strndup(args->items[i], (size_t)(equals - args->items[i]));
        json_object_set_new(body, key, value_of(equals + 1));
    }
    return CDN_OK;
}

static enum cdn_status send(const json_t *up, const char *name, const json_t *body, struct cdn_error *err)
{
    json_t *node, *answer;
    size_t i;
    json_array_foreach(json_object_get(up, "nodes"), i, node)
    {
        if (strcmp(control_text(node, "name"), name) != 0)
            continue;
        enum cdn_status status = control_ask(node, "POST", "/faults", body, &answer, err);
        if (status)
            return status;
        json_dumpf(answer, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(answer);
        return CDN_OK;
    }
    return cdn_error_set(err, CDN_NOT_FOUND, "no node '%s' runs here", name);
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct fault_options *options = opaque;
    json_t *body = json_object(), *up = NULL;
    enum cdn_status status = make_body(args, body, err);
    if (!status)
        status = control_open(options->state, &up, err);
    if (!status)
        status = send(up, options->node ? options->node : "origin", body, err);
    json_decref(up);
    json_decref(body);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct fault_options, __VA_ARGS__)
static const struct cli_option rows[] = {FAULT_OPTIONS(ROW)};

const struct cli_command cli_command_fault = {
    .name = "fault",
    .summary = "Make a node slow or faulty (simulation)",
    .usage = "KEY=VALUE... | off",
    .more = "Keys of the origin: delay (200ms), error_rate and drop_rate (0 to 1), status (of the errors), "
            "paths (a shell\n"
            "pattern), seed. What is not given is off.\n"
            "\n"
            "  pocketcdn fault delay=200ms error_rate=0.1\n"
            "  pocketcdn fault off\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct fault_options),
    .run = run,
};
