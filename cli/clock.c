#include "cli/command.h"
#include "cli/control.h"

#include <stdio.h>

#include "common/banned.h"

#define CLOCK_OPTIONS(X)                                              \
    X(TEXT, set, 0, "INSTANT", "Go there, as 2027-01-01T00:00:00Z")   \
    X(FLAG, reset, 0, NULL, "Back to the true time")                  \
    X(FLAG, json, 'j', NULL, "The nodes' answers as one JSON object") \
    X(TEXT, state, 0, "DIR", "State folder of the CDN")
CLI_OPTIONS_STRUCT(clock_options, CLOCK_OPTIONS);

static void show(const char *name, const json_t *answer)
{
    printf("%-8s %s\n", name, control_text(answer, "now"));
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct clock_options *options = opaque;
    if (args->n + (options->set != NULL) + options->reset > 1)
        return cdn_error_set(err, CDN_USAGE, "only one of TIME, --set and --reset");
    json_t *body = NULL;
    if (args->n)
        body = json_pack("{s:s}", "advance", args->items[0] + (args->items[0][0] == '+'));
    else if (options->set)
        body = json_pack("{s:s}", "set", options->set);
    else if (options->reset)
        body = json_pack("{s:b}", "reset", 1);
    struct control_request request = {NULL, body ? "POST" : "GET", "/clock", body, options->json, show};
    enum cdn_status status = control_all(options->state, &request, err);
    json_decref(body);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct clock_options, __VA_ARGS__)
static const struct cli_option rows[] = {CLOCK_OPTIONS(ROW)};

const struct cli_command cli_command_clock = {
    .name = "clock",
    .summary = "Show or move the time of every node (simulation)",
    .usage = "[+TIME | -- -TIME | --set INSTANT | --reset]",
    .more = "Freshness, Age and purges go by this clock, so a day passes in a moment:\n"
            "\n"
            "  pocketcdn clock +1d\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct clock_options),
    .run = run,
};
