/* clock: `pocketcdn clock`: shows and moves the cache clock of every node. All are asked one after
 * the other and all are told the same, because edges whose clocks differ disagree about what is
 * fresh. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/run/control.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

#define CLOCK_OPTIONS(X)                                                        \
    X(TEXT, set, 0, "INSTANT", "Go to this time, such as 2027-01-01T00:00:00Z") \
    X(FLAG, reset, 0, NULL, "Back to the true time")                            \
    X(FLAG, json, 'j', NULL, "The nodes' answers as one JSON object")           \
    CONTROL_OPTIONS(X)
CLI_OPTIONS_STRUCT(clock_options, CLOCK_OPTIONS);

/* The wish: at most one of them. */
struct move {
    const char *advance, *set;
    bool reset;
};

static void show(const char *name, const json_t *answer)
{
    int64_t ms = json_integer_value(json_object_get(answer, "offset_ms"));
    char by[24];
    cdn_format_duration_ms(ms < 0 ? -ms : ms, by);
    if (ms) {
        cli_print("%-8s %s  (%s%s)\n", name, control_text(answer, "now"), ms < 0 ? "-" : "+", by);
    } else {
        cli_print("%-8s %s\n", name, control_text(answer, "now"));
    }
}

/* "advance 1d", "set INSTANT", "reset", or a time alone. */
static enum cdn_status read_words(const struct cli_args *args, struct move *move, struct cdn_error *err)
{
    const char *word = args->n ? args->items[0] : "";
    bool advance = strcmp(word, "advance") == 0, set = strcmp(word, "set") == 0;
    if (args->n != (advance || set ? 2u : args->n > 0)) {
        return cdn_error_set(err, CDN_USAGE,
                             advance || set ? "%s needs one value (pocketcdn help clock)"
                                            : "one TIME, please, but there is more behind '%s'",
                             word);
    }
    if (advance) {
        move->advance = args->items[1];
    } else if (set) {
        move->set = args->items[1];
    } else if (strcmp(word, "reset") == 0) {
        move->reset = true;
    } else if (args->n) {
        move->advance = word;
    }
    return CDN_OK;
}

static enum cdn_status read_move(const struct clock_options *options, const struct cli_args *args,
                                 struct move *move, struct cdn_error *err)
{
    int64_t ms;
    enum cdn_status status = read_words(args, move, err);
    if (status != CDN_OK) {
        return status;
    }
    if ((args->n > 0) + (options->set != NULL) + options->reset > 1) {
        return cdn_error_set(err, CDN_USAGE, "only one of TIME, --set and --reset");
    }
    if (options->set) {
        move->set = options->set;
    }
    move->reset |= options->reset;
    const char *time = move->advance;
    if (time && !cdn_parse_duration_ms(cdn_str(time + (time[0] == '+' || time[0] == '-')), &ms)) {
        return cdn_error_set(
            err, CDN_USAGE, "'%s' is not a time such as +30s, +1d or 1h30m, nor advance, set or reset", time);
    }
    return CDN_OK;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct clock_options *options = opaque;
    struct control_where where = CONTROL_WHERE(options);
    struct move move = {0};
    json_t *body = NULL, *cdn;
    enum cdn_status status = read_move(options, args, &move, err);
    if (status == CDN_OK) {
        status = control_open(&where, &cdn, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    if (move.advance) {
        body = json_pack("{s:s}", "advance", move.advance + (move.advance[0] == '+'));
    } else if (move.set) {
        body = json_pack("{s:s}", "set", move.set);
    } else if (move.reset) {
        body = json_pack("{s:b}", "reset", 1);
    }
    struct control_request request = {
        .method = body ? "POST" : "GET", .path = "/clock", .body = body, .json = options->json, .show = show};
    status = control_all(cdn, &request, err);
    json_decref(body);
    json_decref(cdn);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct clock_options, __VA_ARGS__)
static const struct cli_option rows[] = {CLOCK_OPTIONS(ROW)};

const struct cli_command cli_command_clock = {
    .name = "clock",
    .summary = "Show or move the time of every node (simulation)",
    .usage = "[+TIME | -TIME | advance TIME | set INSTANT | reset]",
    .more = "Freshness, Age and purges go by this clock, so a day passes in a moment.\n"
            "\n"
            "  pocketcdn clock +1d\n"
            "  pocketcdn clock set 2027-01-01T00:00:00Z\n"
            "  pocketcdn clock reset\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct clock_options),
    .run = run,
};
