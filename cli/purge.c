/* purge: `pocketcdn purge`: puts a purge into the router's log, which every edge follows, and shows
 * the receipts. The router alone keeps that log, so that an edge which is away gets the purge when
 * it is back. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/run/control.h"
#include "cli/run/receipts.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/banned.h"

#define DEFAULT_WAIT "10s"
#define WAIT_MAX_MS 60000
#define SLACK_MS 5000

#define PURGE_OPTIONS(X)                                                                                    \
    X(LIST, prefix, 0, "PREFIX", "Everything whose path or URL begins like this")                           \
    X(LIST, tag, 0, "TAG", "Everything with this tag (Surrogate-Key, Cache-Tag, xkey)")                     \
    X(FLAG, all, 0, NULL, "Everything")                                                                     \
    X(FLAG, soft, 0, NULL, "Mark as stale instead of removing")                                             \
    X(FLAG, wait, 'w', NULL, "Wait for every healthy edge, and show how long each took")                    \
    X(TEXT, timeout, 0, "TIME", "The longest wait; default: " DEFAULT_WAIT ", at most 60s; implies --wait") \
    X(FLAG, json, 'j', NULL, "The router's answer as JSON")                                                 \
    CONTROL_OPTIONS(X)
CLI_OPTIONS_STRUCT(purge_options, PURGE_OPTIONS);

/* ---- asking ---- */

static void add_list(json_t *body, const char *key, const char *const *items, size_t n)
{
    if (n == 0) {
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, json_string(items[i]));
    }
    json_object_set_new(body, key, list);
}

static json_t *make_body(const struct purge_options *options, const struct cli_args *args)
{
    json_t *body = json_object();
    add_list(body, "urls", args->items, args->n);
    add_list(body, "prefixes", options->prefix.items, options->prefix.n);
    add_list(body, "tags", options->tag.items, options->tag.n);
    if (options->all) {
        json_object_set_new(body, "all", json_true());
    }
    if (options->soft) {
        json_object_set_new(body, "soft", json_true());
    }
    return body;
}

/* The router alone keeps the log; control_where finds it through the CDN, or it is named itself. */
static enum cdn_status find_router(const struct purge_options *options, json_t **ret_cdn, json_t **ret_router,
                                   struct cdn_error *err)
{
    struct control_where where = CONTROL_WHERE(options);
    json_t *cdn;
    enum cdn_status status = control_open(&where, &cdn, err);
    if (status != CDN_OK) {
        return status;
    }
    status = control_node(cdn, "router", "router", ret_router, err);
    if (status != CDN_OK) {
        json_decref(cdn);
    } else {
        *ret_cdn = cdn;
    }
    return status;
}

static enum cdn_status ask(const json_t *router, const json_t *body, int64_t wait_ms, json_t **ret,
                           struct cdn_error *err)
{
    CDN_AUTOFREE char *path = cdn_asprintf("/purge?wait=%lldms", (long long)wait_ms);
    enum cdn_status status = control_ask_for(router, "POST", path, body, wait_ms + SLACK_MS, ret, err);
    return status != CDN_OK ? cdn_error_prefix(err, "the router at %s", control_text(router, "admin"))
                            : CDN_OK;
}

/* ---- the answer ---- */

static enum cdn_status show(const struct purge_options *options, bool waited, const json_t *answer,
                            struct cdn_error *err)
{
    long long id = (long long)json_integer_value(json_object_get(answer, "id"));
    if (options->json) {
        cli_print_json(json_incref((json_t *)(uintptr_t)answer), JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    } else if (waited) {
        receipts_print(answer, options->soft);
    } else {
        cli_print("purge %lld is in the log of the router; --wait shows when each edge has done it\n", id);
    }
    return waited ? receipts_judge(answer, err) : CDN_OK;
}

static enum cdn_status purge(const struct purge_options *options, const struct cli_args *args,
                             int64_t wait_ms, struct cdn_error *err)
{
    json_t *cdn, *router, *answer = NULL;
    enum cdn_status status = find_router(options, &cdn, &router, err);
    if (status != CDN_OK) {
        return status;
    }
    json_t *body = make_body(options, args);
    status = ask(router, body, wait_ms, &answer, err);
    if (status == CDN_OK) {
        status = show(options, wait_ms > 0, answer, err);
    }
    json_decref(body);
    json_decref(answer);
    json_decref(cdn);
    return status;
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct purge_options *options = opaque;
    const char *timeout = options->timeout ? options->timeout : DEFAULT_WAIT;
    int64_t wait_ms = 0;
    if (args->n + options->prefix.n + options->tag.n + options->all == 0) {
        return cdn_error_set(err, CDN_USAGE, "purge what? URLs, --prefix, --tag or --all");
    }
    bool waits = options->wait || options->timeout;
    if (waits &&
        (!cdn_parse_duration_ms(cdn_str(timeout), &wait_ms) || wait_ms <= 0 || wait_ms > WAIT_MAX_MS)) {
        return cdn_error_set(err, CDN_USAGE, "--timeout: '%s' is not a time up to 60s", timeout);
    }
    return purge(options, args, wait_ms, err);
}

#define ROW(...) CLI_OPTION_ROW(struct purge_options, __VA_ARGS__)
static const struct cli_option rows[] = {PURGE_OPTIONS(ROW)};

const struct cli_command cli_command_purge = {
    .name = "purge",
    .summary = "Remove objects from every edge",
    .usage = "[URL | /PATH]... [--prefix P] [--tag T] [--all] [--soft] [--wait]",
    .more =
        "Goes into the router's purge log, which every edge follows; one that is away replays it before it\n"
        "serves. With --wait exit code 1: no edge at all, or not every healthy one, has acknowledged in "
        "time.\n"
        "3: the router cannot be reached.\n"
        "\n"
        "  pocketcdn purge --wait /static/app.css --tag news\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct purge_options),
    .run = run,
};
_Static_assert(sizeof(struct purge_options) <= CLI_OPTIONS_MAX, "options do not fit");
