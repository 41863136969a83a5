/* session: finds store and CDN, takes the lock, and brings a change to the origin first and to the edges
 * second: an edge that asked again before the origin had switched would get the old file for its whole
 * lifetime. What is still to be purged is known by the store, so a publisher that is killed in between leaves
 * it to the next one. */
#include "cli/release/session.h"

#include "cli/base/print.h"
#include "cli/run/receipts.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "origin/base/path.h"
#include "origin/release/file.h"
#include "origin/release/lock.h"
#include "origin/release/name.h"
#include "origin/release/stale.h"
#include "origin/release/table.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/banned.h"

#define LOCK_TIMEOUT "1m"
#define LOCK_MAX_MS INT64_C(86400000)
#define PATHS_AT_ONCE 500u /* with a prefix each: a purge holds 1000 items */
#define WAIT_MS 10000
#define SLACK_MS 5000
#define SWITCH_MS 10000 /* for an origin that was told */
#define LOOK_MS 1500    /* for one that looks by itself */
#define POLL_NS 10000000
#define LENGTHS (UINT64_C(1) << (RELEASE_DIGITS - 1)) /* the origin's standard */

/* ---- finding ---- */

/* What the origin says of itself is stronger than what its settings are by default. */
static void take_report(struct session *s, const json_t *report)
{
    const char *index = json_string_value(json_object_get(report, "index"));
    const json_t *keep = json_object_get(report, "keep_releases"), *digits;
    size_t i;
    if (index) {
        free(s->index);
        s->index = cdn_strdup(index);
    }
    if (json_is_integer(keep)) {
        s->keep = (uint64_t)json_integer_value(keep);
        s->keep_ms = json_integer_value(json_object_get(report, "keep_age_ms"));
        s->lengths = 0;
    }
    json_array_foreach(json_object_get(report, "immutable_digits"), i, digits)
    {
        const json_int_t n = json_integer_value(digits);
        s->lengths |= n > 0 && n <= ORIGIN_HASH_DIGITS_MAX ? UINT64_C(1) << (n - 1) : 0;
    }
}

static void ask_origin(struct session *s, char **ret_folder)
{
    json_t *status;
    if (!s->origin || control_ask(s->origin, "GET", "/status", NULL, &status, NULL) != CDN_OK) {
        return;
    }
    const json_t *report = json_object_get(status, "releases");
    const char *folder = json_string_value(json_object_get(report, "folder"));
    if (folder) {
        take_report(s, report);
        *ret_folder = cdn_strdup(folder);
    }
    json_decref(status);
}

static void find_nodes(struct session *s)
{
    json_t *node;
    size_t i;
    json_array_foreach(json_object_get(s->cdn, "nodes"), i, node)
    {
        const char *kind = control_text(node, "kind");
        if (strcmp(kind, "router") == 0) {
            s->router = node;
        } else if (strcmp(kind, "origin") == 0 && !json_is_true(json_object_get(node, "external"))) {
            s->origin = node;
        }
    }
}

static enum cdn_status find_store(struct session *s, const char *store, struct cdn_error *err)
{
    CDN_AUTOFREE char *of_origin = NULL;
    const char *known = control_text(s->cdn, "releases");
    ask_origin(s, &of_origin);
    s->folder = store ? cdn_strdup(store) : known[0] ? cdn_strdup(known) : CDN_TAKE(of_origin);
    return s->folder
               ? CDN_OK
               : cdn_error_set(err, CDN_NOT_FOUND,
                               "the origin of this CDN serves no releases: start it with --releases DIR "
                               "(or `origin: releases:` in its cdn.yaml), or name a folder with --store");
}

enum cdn_status session_open(const struct control_where *where, const char *store, bool make,
                             struct session *ret, struct cdn_error *err)
{
    struct session s = {.lock = -1, .lengths = LENGTHS, .keep = RELEASE_KEEP, .keep_ms = RELEASE_KEEP_MS};
    enum cdn_status status = CDN_OK;
    s.index = cdn_strdup("index.html");
    if (!store || where->state || where->config || where->router) {
        status = control_open(where, &s.cdn, err);
        find_nodes(&s);
    }
    if (status == CDN_OK) {
        status = find_store(&s, store, err);
    }
    if (status == CDN_OK) {
        status = release_store_open(s.folder, make, &s.store, err);
    }
    if (status != CDN_OK) {
        session_close(&s);
        return status;
    }
    *ret = s;
    return CDN_OK;
}

void session_close(struct session *s)
{
    release_store_close(s->store);
    json_decref(s->cdn);
    free(s->folder);
    free(s->index);
    if (s->lock >= 0) {
        close(s->lock);
    }
}

/* ---- people and numbers ---- */

char *session_who(void)
{
    char host[256] = "";
    const struct passwd *user = getpwuid(geteuid());
    if (gethostname(host, sizeof(host) - 1) != 0 || !host[0]) {
        (void)cdn_str_copy(host, sizeof(host), CDN_STR("localhost"));
    }
    return user ? cdn_asprintf("%s@%s", user->pw_name, host)
                : cdn_asprintf("%u@%s", (unsigned)geteuid(), host);
}

bool session_read_number(const char *text, uint64_t *ret)
{
    return cdn_parse_u64(cdn_str(text[0] == 'r' ? text + 1 : text), ret);
}

enum cdn_status session_find(const struct release_list *list, const char *text,
                             const struct release_info **ret, struct cdn_error *err)
{
    uint64_t number;
    if (!session_read_number(text, &number)) {
        return cdn_error_set(err, CDN_USAGE, "'%s' is not the number of a release", text);
    }
    const struct release_info *info = release_list_find(list, number);
    if (!info || !info->live_ms) {
        return list->n ? cdn_error_set(err, CDN_NOT_FOUND,
                                       "there is no release %" PRIu64 " (any more): `pocketcdn releases` "
                                       "lists them",
                                       number)
                       : cdn_error_set(err, CDN_NOT_FOUND, "nothing has been published yet");
    }
    *ret = info;
    return CDN_OK;
}

/* ---- the lock ---- */

static void say_waiting(const char *holder)
{
    cli_complain("waiting for another publisher: %s\n", holder);
}

enum cdn_status session_lock(struct session *s, const char *what, const char *timeout, struct cdn_error *err)
{
    int64_t wait_ms;
    CDN_AUTOFREE char *who = session_who();
    if (!cdn_parse_duration_ms(cdn_str(timeout ? timeout : LOCK_TIMEOUT), &wait_ms) || wait_ms < 0 ||
        wait_ms > LOCK_MAX_MS) {
        return cdn_error_set(err, CDN_USAGE, "--lock-timeout: '%s' is not a time up to 1d", timeout);
    }
    return release_lock_take(s->folder, what, who, wait_ms, say_waiting, &s->lock, err);
}

/* ---- the origin ---- */

static bool knows(const struct session *s, uint64_t number, bool current)
{
    json_t *status;
    if (control_ask(s->origin, "GET", "/status", NULL, &status, NULL) != CDN_OK) {
        return false;
    }
    const json_t *report = json_object_get(status, "releases");
    const json_int_t has = json_integer_value(json_object_get(report, current ? "serving" : "newest"));
    json_decref(status);
    return has > 0 && (uint64_t)has >= number;
}

void session_tell_origin(const struct session *s, uint64_t number, bool current)
{
    json_t *answer = NULL;
    const int64_t end_ms = cdn_clock_mono_ms() + SWITCH_MS;
    struct cdn_error why;
    if (!s->cdn) {
        return;
    }
    if (!s->origin || control_ask(s->origin, "POST", "/reload", NULL, &answer, &why) != CDN_OK) {
        if (s->origin) {
            cli_complain("the origin could not be told (%s); it looks by itself every half a second\n",
                         why.text);
        }
        nanosleep(&(struct timespec){LOOK_MS / 1000, LOOK_MS % 1000 * 1000000}, NULL);
        return;
    }
    json_decref(answer);
    while (!knows(s, number, current)) {
        if (cdn_clock_mono_ms() > end_ms) {
            cli_complain("the origin does not serve release %" PRIu64 " yet: does it serve %s?\n", number,
                         s->folder);
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
}

/* ---- the edges ---- */

/* What changed since the last release that was purged for. */
static enum cdn_status find_stale(struct session *s, struct release_stale *stale, uint64_t *ret_upto,
                                  struct cdn_error *err)
{
    struct release_list list = {0};
    struct release_files before = {0};
    enum cdn_status status = release_store_list(s->store, &list, err);
    for (size_t i = 0; i < list.n && status == CDN_OK; i++) {
        const bool last_purged = list.items[i].purged && (i + 1 == list.n || !list.items[i + 1].purged);
        struct release_files files = {0};
        if (!list.items[i].live_ms || (list.items[i].purged && !last_purged)) {
            continue;
        }
        status = release_store_files(s->store, list.items[i].number, &files, err);
        if (status == CDN_OK && !list.items[i].purged) {
            release_stale_add(stale, &before, &files, s->index, s->lengths);
            *ret_upto = list.items[i].number;
        }
        release_files_free(&before);
        before = files;
    }
    release_files_free(&before);
    release_list_free(&list);
    release_stale_finish(stale);
    return status;
}

/* Paths first..first+n-1, for every site, under each query that they were asked with. */
static json_t *purge_body(const struct release_stale *stale, size_t first, size_t n)
{
    json_t *urls = json_array(), *prefixes = json_array();
    for (size_t i = first; i < first + n; i++) {
        json_array_append_new(urls, json_sprintf("http://*%s", stale->paths.items[i].name));
        json_array_append_new(prefixes, json_sprintf("http://*%s?", stale->paths.items[i].name));
    }
    return json_pack("{s:o, s:o}", "urls", urls, "prefixes", prefixes);
}

/* The last part is waited for: an edge applies purges in their order. */
static enum cdn_status send_all(const struct session *s, const struct release_stale *stale, bool wait,
                                json_t **ret_answer, struct cdn_error *err)
{
    enum cdn_status status = CDN_OK;
    const size_t all = stale->paths.n;
    for (size_t at = 0; at < all && status == CDN_OK; at += PATHS_AT_ONCE) {
        const size_t n = all - at < PATHS_AT_ONCE ? all - at : PATHS_AT_ONCE;
        const int wait_ms = wait && at + n == all ? WAIT_MS : 0;
        json_t *body = purge_body(stale, at, n);
        CDN_AUTOFREE char *path = cdn_asprintf("/purge?wait=%dms", wait_ms);
        json_decref(CDN_TAKE(*ret_answer));
        status = control_ask_for(s->router, "POST", path, body, wait_ms + SLACK_MS, ret_answer, err);
        json_decref(body);
    }
    return status == CDN_OK ? status
                            : cdn_error_prefix(err,
                                               "the release is published, but not purged (the next "
                                               "publish tries again): the router at %s",
                                               control_text(s->router, "admin"));
}

static enum cdn_status purge_stale(struct session *s, const struct release_stale *stale, bool wait,
                                   struct cdn_error *err)
{
    json_t *answer = NULL;
    enum cdn_status status = send_all(s, stale, wait, &answer, err);
    if (status == CDN_OK) {
        cli_print("purged: %zu path%s (purge %lld)\n", stale->paths.n, stale->paths.n == 1 ? "" : "s",
                  (long long)json_integer_value(json_object_get(answer, "id")));
    }
    if (status == CDN_OK && wait) {
        receipts_print(answer, false);
        status = receipts_judge(answer, err);
    }
    json_decref(answer);
    return status;
}

enum cdn_status session_purge(struct session *s, uint64_t current, bool wait, struct cdn_error *err)
{
    struct release_stale stale = {0};
    uint64_t upto = 0;
    session_tell_origin(s, current, true);
    if (!s->router) {
        cli_print("purged: nothing, as no CDN was named (--state, -c or --router)\n");
        return CDN_OK;
    }
    enum cdn_status status = find_stale(s, &stale, &upto, err);
    if (status == CDN_OK && stale.paths.n) {
        struct cdn_error own = {0};
        status = purge_stale(s, &stale, wait, &own);
        const bool sent = status == CDN_OK || status == CDN_NOT_FOUND; /* in the log, and some edge is away */
        if (status != CDN_OK) {
            (void)cdn_error_set(err, status, "%s", own.text);
        }
        upto = sent ? upto : 0;
    } else if (status == CDN_OK) {
        cli_print("purged: nothing, as no path without a hash in its name has changed\n");
    }
    if (upto) {
        const enum cdn_status noted =
            release_store_note_purged(s->store, upto, status == CDN_OK ? err : NULL);
        status = status == CDN_OK ? noted : status;
    }
    release_stale_free(&stale);
    return status;
}
