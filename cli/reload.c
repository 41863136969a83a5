/* reload: `pocketcdn reload`: every node reads its settings again. One that refuses a file keeps what it
 * had and does not stop the others, as with each program's own reload; so the file is said to be wrong by
 * all whom it concerns. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/run/control.h"
#include "common/mem.h"
#include "common/status.h"

#include <jansson.h>
#include <stddef.h>

#include "common/banned.h"

#define RELOAD_OPTIONS(X)                                             \
    X(FLAG, json, 'j', NULL, "The nodes' answers as one JSON object") \
    CONTROL_OPTIONS(X)
CLI_OPTIONS_STRUCT(reload_options, RELOAD_OPTIONS);

static void show(const char *name, const json_t *answer)
{
    (void)answer;
    cli_print("%-8s reloaded\n", name);
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct reload_options *options = opaque;
    const struct control_where where = CONTROL_WHERE(options);
    json_t *cdn;
    if (args->n) {
        return cdn_error_set(err, CDN_USAGE, "takes no argument, and there is '%s'", args->items[0]);
    }
    enum cdn_status status = control_open(&where, &cdn, err);
    if (status != CDN_OK) {
        return status;
    }
    const struct control_request request = {
        .method = "POST", .path = "/reload", .json = options->json, .show = show};
    status = control_all(cdn, &request, err);
    json_decref(cdn);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct reload_options, __VA_ARGS__)
static const struct cli_option rows[] = {RELOAD_OPTIONS(ROW)};

const struct cli_command cli_command_reload = {
    .name = "reload",
    .summary = "Every node reads its settings again",
    .usage = "[--json] [--state DIR | -c FILE | --router URL]",
    .more =
        "As SIGHUP or POST /reload at each. A node that refuses the file says why and goes on as before.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct reload_options),
    .run = run,
};
