/* gc: `pocketcdn gc`: removes the releases that the origin serves nothing of any more, and the blobs that
 * only they have. What the origin keeps (its settings, asked of it where it runs) is never removed; a blob
 * goes after the release that named it is gone for good, so a kill in between leaves too much, never too
 * little. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/release/session.h"
#include "cli/release/summary.h"
#include "cli/run/control.h"
#include "common/clock.h"
#include "common/index.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "origin/release/blob.h"
#include "origin/release/file.h"
#include "origin/release/store.h"
#include "origin/release/table.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define GC_OPTIONS(X)                                                                                     \
    X(FLAG, dry_run, 'n', NULL, "Only say what would be removed")                                         \
    X(TEXT, keep, 0, "N", "Releases before the current one to keep; default: the origin's keep_releases") \
    X(TEXT, keep_age, 0, "TIME", "And those that were current within this time; default: its keep_age")   \
    X(TEXT, lock_timeout, 0, "TIME", "The longest wait for another publisher; default: 1m, at most 1d")   \
    SESSION_OPTIONS(X)
CLI_OPTIONS_STRUCT(gc_options, GC_OPTIONS);

struct gc {
    const struct gc_options *options;
    struct session session;
    struct release_blobs *blobs;
    struct release_list list;
    unsigned char (*kept)[RELEASE_SHA_SIZE]; /* of all blobs that stay */
    size_t n, room;
    struct cdn_index index;
    unsigned char (*gone)[RELEASE_SHA_SIZE];
    size_t gone_count, gone_room;
    uint64_t gone_bytes;
    size_t releases; /* removed */
};

struct wanted {
    unsigned char (*const *all)[RELEASE_SHA_SIZE];
    const unsigned char *sha;
};

static bool is_same(const void *ctx, uint32_t number)
{
    const struct wanted *wanted = ctx;
    return memcmp((*wanted->all)[number], wanted->sha, RELEASE_SHA_SIZE) == 0;
}

static uint64_t hash_of(const unsigned char *sha)
{
    uint64_t hash;
    memcpy(&hash, sha, sizeof(hash));
    return hash;
}

static bool is_kept(const struct gc *gc, const unsigned char *sha)
{
    const struct wanted wanted = {&gc->kept, sha};
    return cdn_index_find(&gc->index, hash_of(sha), is_same, &wanted) != CDN_INDEX_NONE;
}

static enum cdn_status keep_files(struct gc *gc, uint64_t number, struct cdn_error *err)
{
    struct release_files files = {0};
    const enum cdn_status status = release_store_files(gc->session.store, number, &files, err);
    for (size_t i = 0; i < files.n; i++) {
        const unsigned char *sha = files.items[i].sha;
        if (is_kept(gc, sha)) {
            continue;
        }
        if (gc->n == gc->room) {
            gc->room = gc->room ? 2 * gc->room : 256;
            gc->kept = cdn_realloc(gc->kept, gc->room, sizeof(*gc->kept));
        }
        memcpy(gc->kept[gc->n], sha, RELEASE_SHA_SIZE);
        cdn_index_put(&gc->index, hash_of(sha), (uint32_t)gc->n++);
    }
    release_files_free(&files);
    return status;
}

static enum cdn_status remove_release(struct gc *gc, const struct release_info *info, struct cdn_error *err)
{
    gc->releases++;
    cli_print("%s: release %" PRIu64 "%s%s\n", gc->options->dry_run ? "would remove" : "removed",
              info->number, info->message[0] ? ", " : "", info->message);
    return gc->options->dry_run ? CDN_OK : release_store_drop(gc->session.store, info->number, err);
}

/* From the newest to the oldest, as the origin's look-up goes (origin/release/table.h). */
static enum cdn_status sort_out(struct gc *gc, struct cdn_error *err)
{
    const struct release_info *current = release_list_current(&gc->list);
    const int64_t now_ms = cdn_clock_real_ms();
    int64_t ended_ms = RELEASE_FOR_EVER;
    uint64_t newer = 0;
    enum cdn_status status = CDN_OK;
    for (size_t i = gc->list.n; i > 0 && status == CDN_OK; i--) {
        const struct release_info *info = &gc->list.items[i - 1];
        bool stays = info == current;
        if (info->live_ms && info != current) {
            stays = release_kept_until(ended_ms, ++newer, gc->session.keep, gc->session.keep_ms) > now_ms;
        }
        status = stays ? keep_files(gc, info->number, err) : remove_release(gc, info, err);
        ended_ms = info->live_ms ? info->live_ms : ended_ms;
    }
    return status;
}

static void look_at_blob(void *arg, const unsigned char sha[static RELEASE_SHA_SIZE], uint64_t size)
{
    struct gc *gc = arg;
    if (is_kept(gc, sha)) {
        return;
    }
    if (gc->gone_count == gc->gone_room) {
        gc->gone_room = gc->gone_room ? 2 * gc->gone_room : 256;
        gc->gone = cdn_realloc(gc->gone, gc->gone_room, sizeof(*gc->gone));
    }
    memcpy(gc->gone[gc->gone_count++], sha, RELEASE_SHA_SIZE);
    gc->gone_bytes += size;
}

/* The origin has to know first that the names are gone. */
static enum cdn_status remove_blobs(struct gc *gc, struct cdn_error *err)
{
    char size[SUMMARY_TEXT_SIZE];
    enum cdn_status status = release_blobs_each(gc->blobs, look_at_blob, gc, err);
    if (status != CDN_OK) {
        return status;
    }
    const struct release_info *current = release_list_current(&gc->list);
    if (!gc->options->dry_run) {
        release_blobs_clean(gc->blobs);
        if (gc->releases && current) {
            session_tell_origin(&gc->session, current->number, true);
        }
    }
    for (size_t i = 0; i < gc->gone_count && !gc->options->dry_run; i++) {
        (void)release_blobs_remove(gc->blobs, gc->gone[i]);
    }
    summary_size(gc->gone_bytes, size);
    cli_print("%s: %zu releases, %zu blobs (%s)\n", gc->options->dry_run ? "would remove" : "removed",
              gc->releases, gc->gone_count, size);
    return CDN_OK;
}

/* What is said on the command line, but never less than what the origin still serves. */
static enum cdn_status read_limits(struct gc *gc, struct cdn_error *err)
{
    uint64_t keep = gc->session.keep;
    int64_t keep_ms = gc->session.keep_ms;
    const struct gc_options *options = gc->options;
    if (options->keep && !cdn_parse_u64(cdn_str(options->keep), &keep)) {
        return cdn_error_set(err, CDN_USAGE, "--keep: '%s' is not a number", options->keep);
    }
    if (options->keep_age && (!cdn_parse_duration_ms(cdn_str(options->keep_age), &keep_ms) || keep_ms < 0)) {
        return cdn_error_set(err, CDN_USAGE, "--keep-age: '%s' is not a time", options->keep_age);
    }
    if (gc->session.origin && (keep < gc->session.keep || keep_ms < gc->session.keep_ms)) {
        return cdn_error_set(err, CDN_USAGE,
                             "the origin still serves files of the last %" PRIu64 " releases and %" PRId64
                             " days: lower its keep_releases and keep_age first",
                             gc->session.keep, gc->session.keep_ms / 86400000);
    }
    gc->session.keep = keep;
    gc->session.keep_ms = keep_ms;
    return CDN_OK;
}

static enum cdn_status collect(struct gc *gc, struct cdn_error *err)
{
    enum cdn_status status = read_limits(gc, err);
    if (status == CDN_OK) {
        status = session_lock(&gc->session, "gc", gc->options->lock_timeout, err);
    }
    if (status == CDN_OK) {
        status = release_blobs_open(gc->session.folder, &gc->blobs, err);
    }
    if (status == CDN_OK) {
        status = release_store_list(gc->session.store, &gc->list, err);
    }
    if (status == CDN_OK) {
        status = sort_out(gc, err);
    }
    return status == CDN_OK ? remove_blobs(gc, err) : status;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    struct gc gc = {.options = opaque};
    const struct control_where where = CONTROL_WHERE(gc.options);
    if (args->n) {
        return cdn_error_set(err, CDN_USAGE, "takes no argument, but got '%s'", args->items[0]);
    }
    enum cdn_status status = session_open(&where, gc.options->store, false, &gc.session, err);
    if (status != CDN_OK) {
        return status;
    }
    status = collect(&gc, err);
    release_blobs_close(gc.blobs);
    release_list_free(&gc.list);
    cdn_index_free(&gc.index);
    free(gc.kept);
    free(gc.gone);
    session_close(&gc.session);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct gc_options, __VA_ARGS__)
static const struct cli_option rows[] = {GC_OPTIONS(ROW)};

const struct cli_command cli_command_gc = {
    .name = "gc",
    .summary = "Remove releases that are not served any more, and their bytes",
    .usage = "[--dry-run] [--keep N] [--keep-age TIME] [--store DIR]",
    .more =
        "A release stays while it is one of the last N before the current one, or was current within TIME.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct gc_options),
    .run = run,
};
_Static_assert(sizeof(struct gc_options) <= CLI_OPTIONS_MAX, "options do not fit");
