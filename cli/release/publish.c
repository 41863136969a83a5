/* publish: `pocketcdn publish DIR`: a folder becomes the release that the origin serves. In this order: all
 * bytes to disk; the release into the database (current at once, or staged while the edges are warmed);
 * the origin told; the edges purged of what changed. Whatever ends it before the switch leaves the old
 * release. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/release/session.h"
#include "cli/release/summary.h"
#include "cli/run/control.h"
#include "cli/warm/warm.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "common/visible.h"
#include "origin/base/root.h"
#include "origin/release/blob.h"
#include "origin/release/file.h"
#include "origin/release/manifest.h"
#include "origin/release/name.h"
#include "origin/release/pack.h"
#include "origin/release/store.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

#define MESSAGE_MAX 1000u
#define MANIFEST_MAX ((size_t)64 << 20)
#define PROGRESS_NS INT64_C(100000000)
#define BAR 30u

#define PUBLISH_OPTIONS(X)                                                                                   \
    X(TEXT, message, 'm', "TEXT", "What this release is about, for `pocketcdn releases`")                    \
    X(TEXT, base, 0, "/PATH/", "Where the files stand in the site, such as /static/; default: /")            \
    X(FLAG, warm, 0, NULL, "Ask every edge for the new files with hashed names before the switch")           \
    X(FLAG, any_hash, 0, NULL, "Take files whose name looks content-hashed but is not the MD5 of its bytes") \
    SESSION_CHANGE_OPTIONS(X)
CLI_OPTIONS_STRUCT(publish_options, PUBLISH_OPTIONS);

struct publish {
    const struct publish_options *options;
    struct session session;
    struct release_pack pack;
    struct release_blobs *blobs;
    struct release_list list;
    struct release_files before;
    char *prefix;
    int64_t told_ns;
    bool on_terminal;
};

/* ---- what was asked for ---- */

static enum cdn_status read_base(const char *base, char **ret_prefix, struct cdn_error *err)
{
    const struct cdn_str text = cdn_str(base ? base : "/");
    if (text.n && text.p[0] == '/' && cdn_str_ends(text, CDN_STR("/"))) {
        if (text.n == 1) {
            *ret_prefix = cdn_strdup("");
            return CDN_OK;
        }
        if (!release_name_fault((struct cdn_str){text.p + 1, text.n - 2})) {
            *ret_prefix = cdn_strdup(text.p + 1);
            return CDN_OK;
        }
    }
    return cdn_error_set(err, CDN_USAGE, "--base: '%s' is not a path such as /static/", text.p);
}

static enum cdn_status check_options(const struct publish_options *options, const struct cli_args *args,
                                     struct cdn_error *err)
{
    if (args->n != 1) {
        return cdn_error_set(err, CDN_USAGE, args->n ? "one folder at a time" : "publish what? A folder");
    }
    if (options->message && strlen(options->message) > MESSAGE_MAX) {
        return cdn_error_set(err, CDN_USAGE, "--message: longer than %u bytes", MESSAGE_MAX);
    }
    return CDN_OK;
}

/* A store in the folder would be published with it, and each release hold all those before. */
static enum cdn_status check_apart(const char *dir, const char *store, struct cdn_error *err)
{
    CDN_AUTOFREE char *outer = realpath(dir, NULL);
    CDN_AUTOFREE char *inner = realpath(store, NULL);
    const size_t n = outer ? strlen(outer) : 0;
    const bool within =
        outer && inner && strncmp(outer, inner, n) == 0 && (inner[n] == '/' || inner[n] == '\0' || n == 1);
    return within ? cdn_error_set(err, CDN_USAGE, "%s: the releases (%s) are in this folder themselves", dir,
                                  store)
                  : CDN_OK;
}

/* ---- the bytes ---- */

static void show_progress(void *arg, size_t done, size_t total)
{
    struct publish *p = arg;
    const int64_t now_ns = cdn_clock_mono_ns();
    if (!p->on_terminal || (now_ns - p->told_ns < PROGRESS_NS && done < total)) {
        return;
    }
    char bar[BAR + 1];
    p->told_ns = now_ns;
    for (size_t i = 0; i < BAR; i++) {
        bar[i] = i * total < done * BAR ? '#' : '-';
    }
    bar[BAR] = '\0';
    fprintf(stderr, "\r\033[K[%s] %zu of %zu files%s", bar, done, total, done == total ? "\r\033[K" : "");
}

static void tell_notes(const struct release_manifest_note *note)
{
    if (note->left_over) {
        cli_complain("warning: %zu hashed file%s in no entry of " RELEASE_MANIFEST
                     ", such as %s: left over from "
                     "before (collectstatic --clear removes them)\n",
                     note->left_over, note->left_over == 1 ? " is" : "s are", note->first_left_over);
    }
    if (note->unknown) {
        cli_complain("warning: %zu file%s no entry in " RELEASE_MANIFEST
                     ", such as %s: {%% static %%} does not "
                     "know what was added after collectstatic\n",
                     note->unknown, note->unknown == 1 ? " has" : "s have", note->first_unknown);
    }
}

static enum cdn_status check_manifest(struct publish *p, struct cdn_error *err)
{
    CDN_AUTOFREE char *name = cdn_asprintf("%s" RELEASE_MANIFEST, p->prefix);
    CDN_AUTOFREE char *text = NULL;
    struct release_manifest_note note;
    size_t n = 0;
    if (!release_files_find(&p->pack.files, cdn_str(name))) {
        return CDN_OK;
    }
    enum cdn_status status = release_pack_read(&p->pack, RELEASE_MANIFEST, MANIFEST_MAX, &text, &n, err);
    if (status == CDN_OK) {
        status = release_manifest_check((struct cdn_str){text, n}, &p->pack.files, p->prefix, &note, err);
    }
    if (status == CDN_OK) {
        tell_notes(&note);
    }
    return status;
}

/* As the origin sees it: a sibling that is older than its file is from before an edit, and not served. */
static void tell_old_siblings(const struct release_files *files)
{
    const char *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < files->n; i++) {
        struct cdn_str digits;
        const struct cdn_str name = cdn_str(files->items[i].name), of = release_name_of_sibling(name);
        const struct release_file *file = of.n ? release_files_find(files, of) : NULL;
        if (file && !release_name_promises(name, &digits) &&
            files->items[i].modified_s + RELEASE_SIBLING_SLACK_S < file->modified_s) {
            first = n++ ? first : files->items[i].name;
        }
    }
    if (n) {
        cli_complain(
            "warning: %zu compressed file%s older than what %s made of, such as %s: not served until "
            "made anew\n",
            n, n == 1 ? " is" : "s are", n == 1 ? "it is" : "they are", first);
    }
}

static enum cdn_status take_bytes(struct publish *p, const char *dir, struct cdn_error *err)
{
    enum cdn_status status = release_pack_scan(&p->pack, err);
    if (status == CDN_OK && p->pack.files.n == 0) {
        status = cdn_error_set(err, CDN_INVALID,
                               "no files in it: a release without files would take the site "
                               "away");
    }
    if (status == CDN_OK) {
        status = check_manifest(p, err);
    }
    if (status == CDN_OK) {
        tell_old_siblings(&p->pack.files);
        release_blobs_clean(p->blobs);
        status = release_pack_fill(&p->pack, p->blobs, err);
    }
    if (status != CDN_OK && p->on_terminal) {
        fputs("\r\033[K", stderr);
    }
    if (status == CDN_OK) {
        status = release_blobs_commit(p->blobs, err);
    }
    return status == CDN_OK ? status : cdn_error_prefix(err, "%s", dir);
}

/* ---- the release ---- */

static void add_new(void *arg, enum release_change change, const struct release_file *from,
                    const struct release_file *to)
{
    struct cdn_str digits;
    (void)from;
    if (change != RELEASE_REMOVED && release_name_promises(cdn_str(to->name), &digits) &&
        !release_name_of_sibling(cdn_str(to->name)).n) {
        release_name_add_path(cdn_str(to->name), arg);
        cdn_buf_add_char(arg, '\n');
    }
}

/* Hashed names of a staged release are served, so the edges can be asked for them. One that is away is no
 * reason against a deploy: it will ask by itself. */
static void warm_new(struct publish *p, uint64_t number)
{
    struct cdn_error why;
    CDN_AUTOBUF struct cdn_buf paths = {0};
    release_diff(&p->before, &p->pack.files, add_new, &paths);
    if (!paths.n) {
        cli_print("warmed: nothing, as there are no new files with hashed names\n");
        return;
    }
    session_tell_origin(&p->session, number, false);
    if (warm_paths(p->session.cdn, cdn_buf_str(&paths), &why) != CDN_OK) {
        cli_complain("warning: not every edge is warm: %s\n", why.text);
    }
    fflush(stdout);
}

static enum cdn_status put(struct publish *p, uint64_t *ret_number, struct cdn_error *err)
{
    const int64_t now_ms = cdn_clock_real_ms();
    CDN_AUTOFREE char *who = session_who();
    CDN_AUTOFREE char *message = cdn_visible(p->options->message ? p->options->message : "");
    struct release_info info = {
        .live_ms = p->options->warm ? 0 : now_ms,
        .who = who,
        .message = message,
        .files = p->pack.files.n,
        .bytes = p->pack.bytes,
        .new_files = p->pack.new_files,
        .new_bytes = p->pack.new_bytes,
    };
    release_files_inherit(&p->pack.files, &p->before, now_ms / 1000);
    enum cdn_status status = release_store_add(p->session.store, &info, &p->pack.files, err);
    if (status == CDN_OK && p->options->warm) {
        warm_new(p, info.number);
        status = release_store_switch(p->session.store, info.number, cdn_clock_real_ms(), err);
    }
    if (status == CDN_OK) {
        summary_print(&info, &p->before, &p->pack.files);
        *ret_number = info.number;
    }
    return status;
}

static void count(void *arg, enum release_change change, const struct release_file *from,
                  const struct release_file *to)
{
    (void)change, (void)from, (void)to;
    ++*(size_t *)arg;
}

static enum cdn_status switch_over(struct publish *p, struct cdn_error *err)
{
    enum cdn_status status = release_store_list(p->session.store, &p->list, err);
    const struct release_info *current = status == CDN_OK ? release_list_current(&p->list) : NULL;
    if (status == CDN_OK && current) {
        status = release_store_files(p->session.store, current->number, &p->before, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    size_t changes = 0;
    uint64_t number = current ? current->number : 0;
    release_diff(&p->before, &p->pack.files, count, &changes);
    if (current && changes == 0) {
        cli_print("nothing has changed: release %" PRIu64 " stays\n", current->number);
    } else {
        status = put(p, &number, err);
    }
    return status == CDN_OK ? session_purge(&p->session, number, p->options->wait, err) : status;
}

static enum cdn_status publish(struct publish *p, const char *dir, struct cdn_error *err)
{
    enum cdn_status status = check_apart(dir, p->session.folder, err);
    if (status == CDN_OK && p->options->warm && !p->session.cdn) {
        status = cdn_error_set(err, CDN_USAGE, "--warm: which CDN? --state, -c or --router names it");
    }
    if (status == CDN_OK) {
        status = session_lock(&p->session, "publish", p->options->lock_timeout, err);
    }
    if (status == CDN_OK) {
        status = release_blobs_open(p->session.folder, &p->blobs, err);
    }
    if (status == CDN_OK) {
        status = take_bytes(p, dir, err);
    }
    if (status == CDN_OK && p->pack.hidden) {
        cli_print("left out: %zu name%s beginning with a dot\n", p->pack.hidden,
                  p->pack.hidden == 1 ? "" : "s");
    }
    return status == CDN_OK ? switch_over(p, err) : status;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    struct publish p = {.options = opaque, .on_terminal = isatty(STDERR_FILENO)};
    const struct control_where where = CONTROL_WHERE(p.options);
    enum cdn_status status = check_options(p.options, args, err);
    if (status == CDN_OK) {
        status = read_base(p.options->base, &p.prefix, err);
    }
    p.pack = (struct release_pack){.prefix = p.prefix,
                                   .any_hash = status == CDN_OK && p.options->any_hash,
                                   .tell = show_progress,
                                   .arg = &p};
    if (status == CDN_OK) {
        status = origin_root_open(args->items[0], &p.pack.root, err);
    }
    if (status == CDN_OK) {
        status = session_open(&where, p.options->store, true, &p.session, err);
        if (status == CDN_OK) {
            status = publish(&p, args->items[0], err);
            release_blobs_close(p.blobs);
            session_close(&p.session);
        }
    }
    origin_root_close(p.pack.root);
    release_files_free(&p.pack.files);
    release_files_free(&p.before);
    release_list_free(&p.list);
    free(p.prefix);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct publish_options, __VA_ARGS__)
static const struct cli_option rows[] = {PUBLISH_OPTIONS(ROW)};

const struct cli_command cli_command_publish = {
    .name = "publish",
    .summary = "Make a folder the release that the origin serves",
    .usage = "DIR [--message TEXT] [--base /PATH/] [--warm] [--wait] [--store DIR]",
    .more =
        "Files are kept by the hash of their bytes, so what has not changed is not copied; the release is\n"
        "visible whole or not at all. Then exactly the changed paths without a hash in their name are "
        "purged.\n"
        "A staticfiles.json in DIR is checked: a file that it names and that is not there is an error.\n"
        "\n"
        "  pocketcdn publish ./static --message 'new prices' --wait\n"
        "  pocketcdn publish ./static --base /static/ --warm\n"
        "\n"
        "Exit code 1: published, and not every healthy edge has purged in time (--wait). 2: something in "
        "DIR\n"
        "cannot be published. 3: disk, lock or router.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct publish_options),
    .run = run,
};
_Static_assert(sizeof(struct publish_options) <= CLI_OPTIONS_MAX, "options do not fit");
