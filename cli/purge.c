#include "cli/command.h"
#include "cli/control.h"
#include "cli/table.h"
#include "common/http_client.h"
#include "common/parse.h"
#include "router/settings.h"

#include <stdio.h>

#include "common/banned.h"

#define DEFAULT_ROUTER "http://127.0.0.1:9080"
#define DEFAULT_WAIT "10s"
#define WAIT_MAX_MS 60000
#define SLACK_MS 5000
#define BODY_MAX (16u << 20)

#define PURGE_OPTIONS(X)                                                                                    \
    X(LIST, prefix, 0, "PREFIX", "Everything whose path or URL begins so")                                  \
    X(LIST, tag, 0, "TAG", "Everything tagged so (Surrogate-Key, Cache-Tag, xkey)")                         \
    X(FLAG, all, 0, NULL, "Everything")                                                                     \
    X(FLAG, soft, 0, NULL, "Mark as stale in place of removing")                                            \
    X(FLAG, wait, 'w', NULL, "Wait for every healthy edge, and show how long each took")                    \
    X(TEXT, timeout, 0, "TIME", "The longest wait; default: " DEFAULT_WAIT ", at most 60s; implies --wait") \
    X(FLAG, json, 'j', NULL, "The router's answer as JSON")                                                 \
    X(TEXT, router, 0, "URL", "Admin address of the router; default: of --config, or of the CDN that runs") \
    X(TEXT, config, 'c', "FILE", "cdn.yaml that names the router")                                          \
    X(TEXT, state, 0, "DIR", "State folder of the CDN")
CLI_OPTIONS_STRUCT(purge_options, PURGE_OPTIONS);

/* ---- where to ---- */

struct target {
    char *url;
    char *token; /* "": none */
};

static void target_free(struct target *target)
{
    free(target->url);
    free(target->token);
}

static enum cdn_status target_of_config(const char *path, struct target *target, struct cdn_error *err)
{
    struct router_config config = {0};
    enum cdn_status status = router_config_read(path, &config, err);
    if (status)
        return status;
    target->url = cdn_asprintf("http://%s", config.settings.admin);
    target->token = cdn_strdup(config.settings.admin_token);
    router_config_free(&config);
    return CDN_OK;
}

static enum cdn_status target_find(const struct purge_options *options, struct target *target,
                                   struct cdn_error *err)
{
    const char *token = getenv("POCKETCDN_ADMIN_TOKEN");
    struct cdn_error none;
    json_t *up = NULL;
    if (options->config && !options->router)
        return target_of_config(options->config, target, err);
    enum cdn_status status = options->router ? CDN_OK : control_open(options->state, &up, &none);
    if (status && options->state) /* else, where none runs: the default address */
        return cdn_error_set(err, status, "%s", none.text);
    const char *found = control_text(up, "router_admin");
    target->url = cdn_strdup(options->router ? options->router : found[0] ? found : DEFAULT_ROUTER);
    target->token = cdn_strdup(token ? token : "");
    json_decref(up);
    return CDN_OK;
}

/* ---- asking ---- */

static void add_list(json_t *body, const char *key, const char *const *items, size_t n)
{
    if (n == 0)
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(items[i]));
    json_object_set_new(body, key, list);
}

static json_t *make_body(const struct purge_options *options, const struct cli_args *args)
{
    json_t *body = json_object();
    add_list(body, "urls", args->items, args->n);
    add_list(body, "prefixes", options->prefix.items, options->prefix.n);
    add_list(body, "tags", options->tag.items, options->tag.n);
    if (options->all)
        json_object_set_new(body, "all", json_true());
    if (options->soft)
        json_object_set_new(body, "soft", json_true());
    return body;
}

static enum cdn_status refusal(unsigned code, const json_t *answer, struct cdn_error *err)
{
    const char *detail = control_text(answer, "detail");
    return cdn_error_set(err, code < 500 ? CDN_INVALID : CDN_UNAVAILABLE, "%s (HTTP %u)",
                         detail[0] ? detail : "the router refused", code);
}

static enum cdn_status ask(const struct target *target, const json_t *body, int64_t wait_ms, json_t **ret,
                           struct cdn_error *err)
{
    struct cdn_str base = cdn_str(target->url);
    base.n -= cdn_str_ends(base, CDN_STR("/"));
    CDN_AUTOFREE char *url =
        cdn_asprintf(CDN_STR_FMT "/purge?wait=%lldms", CDN_STR_ARG(base), (long long)wait_ms);
    CDN_AUTOFREE char *text = json_dumps(body, JSON_COMPACT);
    CDN_AUTOFREE char *bearer = cdn_asprintf("Bearer %s", target->token);
    const struct http_field fields[] = {{CDN_STR("Content-Type"), CDN_STR("application/json")},
                                        {CDN_STR("Authorization"), cdn_str(bearer)}};
    struct http_simple_result result = {0};
    enum cdn_status status = http_simple("POST", url, fields, target->token[0] ? 2 : 1, cdn_str(text),
                                         wait_ms + SLACK_MS, BODY_MAX, &result, err);
    if (status)
        return cdn_error_prefix(err, "the router at %s", target->url);
    json_t *answer = json_loadb(result.body.p ? result.body.p : "", result.body.n, 0, NULL);
    if (result.status / 100 != 2 || !answer) {
        status = refusal(result.status, answer, err);
        json_decref(answer);
    } else {
        *ret = answer;
    }
    http_simple_free(&result);
    return status;
}

/* ---- the answer ---- */

static void print_receipts(const json_t *answer)
{
    struct table table;
    CDN_AUTOBUF struct cdn_buf text = {0};
    const json_t *edge;
    size_t i;
    table_init(&table, "edge|>ms|");
    json_array_foreach(json_object_get(answer, "edges"), i, edge)
    {
        const json_t *ms = json_object_get(edge, "ms");
        bool has = json_is_true(json_object_get(edge, "acknowledged"));
        bool healthy = json_is_true(json_object_get(edge, "healthy"));
        table_add(&table, "%s", control_text(edge, "edge"));
        table_add(&table, json_is_number(ms) ? "%.1f" : "", json_number_value(ms));
        table_add(&table, "%s",
                  has       ? "purged"
                  : healthy ? "has not acknowledged"
                            : "away: will replay this before it serves");
    }
    table_print(&table, &text);
    fwrite(text.p, 1, text.n, stdout);
    table_fini(&table);
}

static enum cdn_status show(const struct purge_options *options, bool waited, const json_t *answer,
                            struct cdn_error *err)
{
    bool all = json_is_true(json_object_get(answer, "acknowledged"));
    long long id = (long long)json_integer_value(json_object_get(answer, "id"));
    if (options->json) {
        json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        putchar('\n');
    } else if (waited) {
        print_receipts(answer);
    } else {
        printf("purge %lld is in the log of the router; --wait shows when each edge has done it\n", id);
    }
    return all || !waited ? CDN_OK
                          : cdn_error_set(err, CDN_NOT_FOUND,
                                          "purge %lld: not every edge has acknowledged in time; it stays in "
                                          "the log",
                                          id);
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct purge_options *options = opaque;
    const char *timeout = options->timeout ? options->timeout : DEFAULT_WAIT;
    struct target target = {0};
    json_t *answer = NULL;
    int64_t wait_ms = 0;
    if (args->n + options->prefix.n + options->tag.n + options->all == 0)
        return cdn_error_set(err, CDN_USAGE, "purge what? URLs, --prefix, --tag or --all");
    bool waits = options->wait || options->timeout;
    if (waits &&
        (!cdn_parse_duration_ms(cdn_str(timeout), &wait_ms) || wait_ms <= 0 || wait_ms > WAIT_MAX_MS))
        return cdn_error_set(err, CDN_USAGE, "--timeout: '%s' is not a time up to 60s", timeout);
    enum cdn_status status = target_find(options, &target, err);
    if (!status) {
        json_t *body = make_body(options, args);
        status = ask(&target, body, wait_ms, &answer, err);
        json_decref(body);
    }
    if (!status)
        status = show(options, waits, answer, err);
    json_decref(answer);
    target_free(&target);
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct purge_options, __VA_ARGS__)
static const struct cli_option rows[] = {PURGE_OPTIONS(ROW)};

const struct cli_command cli_command_purge = {
    .name = "purge",
    .summary = "Remove objects from every edge",
    .usage = "[URL | /PATH]... [--prefix P] [--tag T] [--all] [--soft] [--wait]",
    .more =
        "Goes into the router's purge log, which every edge follows; one that is away replays it before it\n"
        "serves. Exit code 1: not every healthy edge has acknowledged in time; 3: the router cannot be\n"
        "reached.\n"
        "\n"
        "  pocketcdn purge --wait /static/app.css --tag news\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct purge_options),
    .run = run,
};
_Static_assert(sizeof(struct purge_options) <= CLI_OPTIONS_MAX, "options do not fit");
