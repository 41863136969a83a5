/* verify: `pocketcdn verify`: reads every blob that a release names and compares its SHA-256: disks rot, and
 * people edit. Each blob once, however many names it has; all faults are told. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/release/session.h"
#include "cli/release/summary.h"
#include "cli/run/control.h"
#include "common/mem.h"
#include "common/status.h"
#include "origin/release/blob.h"
#include "origin/release/file.h"
#include "origin/release/store.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define VERIFY_OPTIONS(X) SESSION_OPTIONS(X)
CLI_OPTIONS_STRUCT(verify_options, VERIFY_OPTIONS);

static int compare_sha(const void *a, const void *b)
{
    return memcmp(((const struct release_file *)a)->sha, ((const struct release_file *)b)->sha,
                  RELEASE_SHA_SIZE);
}

/* The files of all releases in one list, in the order of their hashes. */
static enum cdn_status gather(struct session *session, struct release_files *ret, struct cdn_error *err)
{
    struct release_list list = {0};
    enum cdn_status status = release_store_list(session->store, &list, err);
    for (size_t i = 0; i < list.n && status == CDN_OK; i++) {
        struct release_files files = {0};
        status = release_store_files(session->store, list.items[i].number, &files, err);
        for (size_t k = 0; k < files.n; k++) {
            struct release_file *file = release_files_add(ret, files.items[k].name);
            memcpy(file->sha, files.items[k].sha, RELEASE_SHA_SIZE);
            file->size = files.items[k].size;
        }
        release_files_free(&files);
    }
    release_list_free(&list);
    if (ret->n) {
        qsort(ret->items, ret->n, sizeof(*ret->items), compare_sha);
    }
    return status;
}

static enum cdn_status check_all(struct session *session, struct release_blobs *blobs, struct cdn_error *err)
{
    struct release_files files = {0};
    size_t blobs_seen = 0, faults = 0;
    uint64_t bytes = 0;
    enum cdn_status status = gather(session, &files, err);
    for (size_t i = 0; i < files.n && status == CDN_OK; i++) {
        struct cdn_error why;
        if (i && compare_sha(&files.items[i - 1], &files.items[i]) == 0) {
            continue;
        }
        blobs_seen++;
        bytes += files.items[i].size;
        if (release_blobs_check(blobs, &files.items[i], &why) != CDN_OK) {
            faults++;
            cli_print("/%s\n", why.text);
        }
    }
    release_files_free(&files);
    if (status != CDN_OK) {
        return status;
    }
    char size[SUMMARY_TEXT_SIZE];
    summary_size(bytes, size);
    if (faults) {
        return cdn_error_set(
            err, CDN_NOT_FOUND,
            "%zu of %zu blobs are not what was published: remove these files, and publish again", faults,
            blobs_seen);
    }
    cli_print("all %zu blobs (%s) are what was published\n", blobs_seen, size);
    return CDN_OK;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct verify_options *options = opaque;
    const struct control_where where = CONTROL_WHERE(options);
    struct session session;
    struct release_blobs *blobs;
    if (args->n) {
        return cdn_error_set(err, CDN_USAGE, "takes no argument, but got '%s'", args->items[0]);
    }
    enum cdn_status status = session_open(&where, options->store, false, &session, err);
    if (status != CDN_OK) {
        return status;
    }
    status = release_blobs_open(session.folder, &blobs, err);
    if (status == CDN_OK) {
        status = check_all(&session, blobs, err);
        release_blobs_close(blobs);
    }
    session_close(&session);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct verify_options, __VA_ARGS__)
static const struct cli_option rows[] = {VERIFY_OPTIONS(ROW)};

const struct cli_command cli_command_verify = {
    .name = "verify",
    .summary = "Compare the bytes of all releases with their hashes",
    .usage = "[--store DIR]",
    .more = "Exit code 1: a blob has other bytes than were published, or is missing; each is named.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct verify_options),
    .run = run,
};
_Static_assert(sizeof(struct verify_options) <= CLI_OPTIONS_MAX, "options do not fit");
