#include "cli/command.h"
#include "cli/control.h"

#include <stdio.h>

#include "common/banned.h"

#define PURGE_OPTIONS(X)                                                      \
    X(LIST, prefix, 0, "PREFIX", "Everything whose path or URL begins so")    \
    X(LIST, tag, 0, "TAG", "Everything tagged so (Surrogate-Key, Cache-Tag)") \
    X(FLAG, all, 0, NULL, "Everything")                                       \
    X(FLAG, soft, 0, NULL, "Mark as stale in place of removing")              \
    X(FLAG, json, 'j', NULL, "The edges' answers as one JSON object")         \
    X(TEXT, state, 0, "DIR", "State folder of the CDN")
CLI_OPTIONS_STRUCT(purge_options, PURGE_OPTIONS);

static void show(const char *name, const json_t *answer)
{
    printf("%-8s %lld purged\n", name, (long long)json_integer_value(json_object_get(answer, "purged")));
}

static void add_list(json_t *body, const char *key, const char *const *items, size_t n)
{
    if (n == 0)
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(items[i]));
    json_object_set_new(body, key, list);
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct purge_options *options = opaque;
    if (args->n + options->prefix.n + options->tag.n + options->all == 0)
        return cdn_error_set(err, CDN_USAGE, "purge what? URLs, --prefix, --tag or --all");
    json_t *body = json_object();
    add_list(body, "urls", args->items, args->n);
    add_list(body, "prefixes", options->prefix.items, options->prefix.n);
    add_list(body, "tags", options->tag.items, options->tag.n);
    if (options->all)
        json_object_set_new(body, "all", json_true());
    if (options->soft)
        json_object_set_new(body, "soft", json_true());
    struct control_request request = {"edge", "POST", "/purge", body, options->json, show};
    enum cdn_status status = control_all(options->state, &request, err);
    json_decref(body);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct purge_options, __VA_ARGS__)
static const struct cli_option rows[] = {PURGE_OPTIONS(ROW)};

const struct cli_command cli_command_purge = {
    .name = "purge",
    .summary = "Remove objects from every edge that runs",
    .usage = "[URL | /PATH]... [--prefix P] [--tag T] [--all] [--soft]",
    .more = "Goes to each running edge directly, and returns when all have answered.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct purge_options),
    .run = run,
};
_Static_assert(sizeof(struct purge_options) <= CLI_OPTIONS_MAX, "options do not fit");
