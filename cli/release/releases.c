/* releases: `pocketcdn releases`: what was published, by whom and when: the numbers that diff and rollback
 * take. The store is read while others publish: a list is of one moment. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/base/table.h"
#include "cli/base/terminal.h"
#include "cli/release/session.h"
#include "cli/release/summary.h"
#include "cli/run/control.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "origin/release/store.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "common/banned.h"

#define RELEASES_OPTIONS(X)             \
    X(FLAG, json, 'j', NULL, "As JSON") \
    SESSION_OPTIONS(X)
CLI_OPTIONS_STRUCT(releases_options, RELEASES_OPTIONS);

static const char *state_of(const struct release_info *info, const struct release_info *current)
{
    return info == current ? "current" : info->live_ms ? "" : "staged";
}

static void print_list(const struct release_list *list)
{
    const struct release_info *current = release_list_current(list);
    struct table table;
    CDN_AUTOBUF struct cdn_buf text = {0};
    table_init(&table, ">release|when|1who|>files|>new||message");
    for (size_t i = list->n; i > 0; i--) {
        const struct release_info *info = &list->items[i - 1];
        char when[SUMMARY_TEXT_SIZE], size[SUMMARY_TEXT_SIZE];
        summary_time(info->live_ms, when);
        summary_size(info->new_bytes, size);
        table_add(&table, "%" PRIu64, info->number);
        table_add(&table, "%s", info->live_ms ? when : "");
        table_add(&table, "%s", info->who);
        table_add(&table, "%" PRIu64, info->files);
        table_add(&table, "%s", size);
        table_add(&table, "%s", state_of(info, current));
        table_add(&table, "%s", info->message);
    }
    table_print_to(&table, terminal_of(STDOUT_FILENO), &text);
    fwrite(text.p ? text.p : "", 1, text.n, stdout);
    table_fini(&table);
}

static json_t *list_json(const struct release_list *list)
{
    const struct release_info *current = release_list_current(list);
    json_t *all = json_array();
    for (size_t i = list->n; i > 0; i--) {
        const struct release_info *info = &list->items[i - 1];
        char when[SUMMARY_TEXT_SIZE];
        summary_time_json(info->live_ms, when);
        json_t *entry = json_pack(
            "{s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:b}", "release", (json_int_t)info->number, "when",
            when, "who", info->who, "message", info->message, "files", (json_int_t)info->files, "bytes",
            (json_int_t)info->bytes, "new_files", (json_int_t)info->new_files, "new_bytes",
            (json_int_t)info->new_bytes, "current", info == current, "purged", info->purged);
        if (info->back_to) {
            json_object_set_new(entry, "back_to", json_integer((json_int_t)info->back_to));
        }
        json_array_append_new(all, entry);
    }
    return all;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct releases_options *options = opaque;
    const struct control_where where = CONTROL_WHERE(options);
    struct session session;
    struct release_list list = {0};
    if (args->n) {
        return cdn_error_set(err, CDN_USAGE, "takes no argument, but got '%s'", args->items[0]);
    }
    enum cdn_status status = session_open(&where, options->store, false, &session, err);
    if (status != CDN_OK) {
        return status;
    }
    status = release_store_list(session.store, &list, err);
    if (status == CDN_OK && options->json) {
        cli_print_json(list_json(&list), JSON_INDENT(2));
    } else if (status == CDN_OK && list.n) {
        print_list(&list);
    } else if (status == CDN_OK) {
        status = cdn_error_set(err, CDN_NOT_FOUND, "nothing has been published yet in %s", session.folder);
    }
    release_list_free(&list);
    session_close(&session);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct releases_options, __VA_ARGS__)
static const struct cli_option rows[] = {RELEASES_OPTIONS(ROW)};

const struct cli_command cli_command_releases = {
    .name = "releases",
    .summary = "List what was published: number, time, who, message, files, new bytes",
    .usage = "[--json] [--store DIR]",
    .more = "The newest comes first. Exit code 1: there is none yet.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct releases_options),
    .run = run,
};
_Static_assert(sizeof(struct releases_options) <= CLI_OPTIONS_MAX, "options do not fit");
