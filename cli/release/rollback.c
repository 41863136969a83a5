/* rollback: `pocketcdn rollback [N]`: a new release with the files of an earlier one. New, and not a step
 * back in the list: so times only grow (a file that is back has changed now, and If-Modified-Since is told
 * so), and a rollback can be rolled back. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/release/session.h"
#include "cli/release/summary.h"
#include "cli/run/control.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/status.h"
#include "origin/release/file.h"
#include "origin/release/store.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/banned.h"

#define ROLLBACK_OPTIONS(X)                                                            \
    X(TEXT, message, 'm', "TEXT", "Why, for `pocketcdn releases`; default: back to N") \
    SESSION_CHANGE_OPTIONS(X)
CLI_OPTIONS_STRUCT(rollback_options, ROLLBACK_OPTIONS);

/* The release named, or the one before the current. */
static enum cdn_status find_target(const struct release_list *list, const struct cli_args *args,
                                   const struct release_info **ret, struct cdn_error *err)
{
    const struct release_info *current = release_list_current(list);
    if (args->n > 1) {
        return cdn_error_set(err, CDN_USAGE, "back to one release");
    }
    if (args->n) {
        return session_find(list, args->items[0], ret, err);
    }
    if (!current || current == list->items) {
        return cdn_error_set(err, CDN_NOT_FOUND, "there is no release before the current one");
    }
    *ret = current - 1;
    return CDN_OK;
}

static enum cdn_status go_back(struct session *session, const struct rollback_options *options,
                               const struct release_info *target, const struct release_info *current,
                               struct cdn_error *err)
{
    struct release_files files = {0}, before = {0};
    CDN_AUTOFREE char *who = session_who();
    CDN_AUTOFREE char *message = options->message ? cdn_strdup(options->message)
                                                  : cdn_asprintf("back to release %" PRIu64, target->number);
    const int64_t now_ms = cdn_clock_real_ms();
    struct release_info info = {.live_ms = now_ms,
                                .who = who,
                                .message = message,
                                .files = target->files,
                                .bytes = target->bytes,
                                .back_to = target->number};
    enum cdn_status status = release_store_files(session->store, target->number, &files, err);
    if (status == CDN_OK) {
        status = release_store_files(session->store, current->number, &before, err);
    }
    struct summary_counts counts;
    summary_count(&before, &files, &counts);
    const size_t changes =
        counts.changes[RELEASE_ADDED] + counts.changes[RELEASE_CHANGED] + counts.changes[RELEASE_REMOVED];
    if (status == CDN_OK && changes == 0) {
        cli_print("release %" PRIu64 " has the files of release %" PRIu64 ", which stays the current one\n",
                  target->number, current->number);
    } else if (status == CDN_OK) {
        release_files_inherit(&files, &before, now_ms / 1000);
        status = release_store_add(session->store, &info, &files, err);
    }
    if (status == CDN_OK && changes) {
        summary_print(&info, &before, &files);
    }
    release_files_free(&files);
    release_files_free(&before);
    return status == CDN_OK
               ? session_purge(session, info.number ? info.number : current->number, options->wait, err)
               : status;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct rollback_options *options = opaque;
    const struct control_where where = CONTROL_WHERE(options);
    const struct release_info *target;
    struct session session;
    struct release_list list = {0};
    enum cdn_status status = session_open(&where, options->store, false, &session, err);
    if (status != CDN_OK) {
        return status;
    }
    status = session_lock(&session, "rollback", options->lock_timeout, err);
    if (status == CDN_OK) {
        status = release_store_list(session.store, &list, err);
    }
    if (status == CDN_OK) {
        status = find_target(&list, args, &target, err);
    }
    if (status == CDN_OK && target == release_list_current(&list)) {
        cli_print("release %" PRIu64 " is the current one\n", target->number);
        status = session_purge(&session, target->number, options->wait, err);
    } else if (status == CDN_OK) {
        status = go_back(&session, options, target, release_list_current(&list), err);
    }
    release_list_free(&list);
    session_close(&session);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct rollback_options, __VA_ARGS__)
static const struct cli_option rows[] = {ROLLBACK_OPTIONS(ROW)};

const struct cli_command cli_command_rollback = {
    .name = "rollback",
    .summary = "Serve the files of an earlier release again",
    .usage = "[N] [--message TEXT] [--wait] [--store DIR]",
    .more =
        "Without N: the release before the current one. It becomes a new release, so that a rollback can be\n"
        "rolled back; what differs is purged.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct rollback_options),
    .run = run,
};
_Static_assert(sizeof(struct rollback_options) <= CLI_OPTIONS_MAX, "options do not fit");
