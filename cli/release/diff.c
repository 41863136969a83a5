/* diff: `pocketcdn diff A B`: the names that stand for other bytes in one release than in another. By
 * hash, so a file that was only touched is not in it. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/release/session.h"
#include "cli/run/control.h"
#include "common/mem.h"
#include "common/status.h"
#include "origin/release/file.h"
#include "origin/release/store.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/banned.h"

#define DIFF_OPTIONS(X)                 \
    X(FLAG, json, 'j', NULL, "As JSON") \
    SESSION_OPTIONS(X)
CLI_OPTIONS_STRUCT(diff_options, DIFF_OPTIONS);

static void print_change(void *arg, enum release_change change, const struct release_file *from,
                         const struct release_file *to)
{
    (void)arg;
    cli_print("%-8s /%s\n", release_change_word(change), to ? to->name : from->name);
}

static void add_change(void *arg, enum release_change change, const struct release_file *from,
                       const struct release_file *to)
{
    json_array_append_new(json_object_get(arg, release_change_word(change)),
                          json_string(to ? to->name : from->name));
}

static void show(const struct release_files *from, const struct release_files *to, bool json)
{
    if (!json) {
        release_diff(from, to, print_change, NULL);
        return;
    }
    json_t *all = json_object();
    for (enum release_change change = 0; change < RELEASE_CHANGE_COUNT; change++) {
        json_object_set_new(all, release_change_word(change), json_array());
    }
    release_diff(from, to, add_change, all);
    cli_print_json(all, JSON_INDENT(2));
}

/* "A B", "A" (to the current one), or nothing: the last change. */
static enum cdn_status find_both(const struct release_list *list, const struct cli_args *args,
                                 const struct release_info *ret[static 2], struct cdn_error *err)
{
    const struct release_info *current = release_list_current(list);
    if (args->n > 2 || !current) {
        return args->n > 2 ? cdn_error_set(err, CDN_USAGE, "two releases at most")
                           : cdn_error_set(err, CDN_NOT_FOUND, "nothing has been published yet");
    }
    ret[1] = current;
    ret[0] = current > list->items ? current - 1 : NULL;
    for (size_t i = 0; i < args->n; i++) {
        const enum cdn_status status = session_find(list, args->items[i], &ret[i], err);
        if (status != CDN_OK) {
            return status;
        }
    }
    return CDN_OK;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct diff_options *options = opaque;
    const struct control_where where = CONTROL_WHERE(options);
    const struct release_info *both[2];
    struct session session;
    struct release_list list = {0};
    struct release_files from = {0}, to = {0};
    enum cdn_status status = session_open(&where, options->store, false, &session, err);
    if (status != CDN_OK) {
        return status;
    }
    status = release_store_list(session.store, &list, err);
    if (status == CDN_OK) {
        status = find_both(&list, args, both, err);
    }
    if (status == CDN_OK && both[0]) {
        status = release_store_files(session.store, both[0]->number, &from, err);
    }
    if (status == CDN_OK) {
        status = release_store_files(session.store, both[1]->number, &to, err);
    }
    if (status == CDN_OK) {
        show(&from, &to, options->json);
    }
    release_files_free(&from);
    release_files_free(&to);
    release_list_free(&list);
    session_close(&session);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct diff_options, __VA_ARGS__)
static const struct cli_option rows[] = {DIFF_OPTIONS(ROW)};

const struct cli_command cli_command_diff = {
    .name = "diff",
    .summary = "What differs between two releases: added, changed, removed",
    .usage = "[A [B]] [--json] [--store DIR]",
    .more = "Without B the current release; without A, too, what the last release changed.\n"
            "\n"
            "  pocketcdn diff 3 4\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct diff_options),
    .run = run,
};
_Static_assert(sizeof(struct diff_options) <= CLI_OPTIONS_MAX, "options do not fit");
