/* control: finds the nodes of a CDN in one of three ways and asks their admin listeners, one
 * blocking request each: a command lives for a moment and talks to a few nodes, so it needs no
 * loop. */
#include "cli/run/control.h"

#include "cli/base/print.h"
#include "cli/run/plan.h"
#include "cli/run/state.h"
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define TIMEOUT_MS 5000
#define BODY_MAX (16u << 20)
#define NAMES_MAX 4 /* of nodes in one message */

const char *control_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

const char *control_bundle(const json_t *cdn)
{
    const char *bundle = control_text(cdn, "bundle");
    return bundle[0] ? bundle : NULL;
}

/* ---- finding a CDN ---- */

static enum cdn_status open_state(const char *state, json_t **ret, struct cdn_error *err)
{
    CDN_AUTOFREE char *path = NULL;
    enum cdn_status status = state_path(state, &path, err);
    if (status == CDN_OK) {
        status = state_read(path, ret, err);
    }
    if (status == CDN_OK && control_bundle(*ret)) {
        http_simple_trust(control_bundle(*ret));
    }
    return status;
}

static enum cdn_status open_config(const char *path, json_t **ret, struct cdn_error *err)
{
    struct plan_wish wish = {.config = path, .only_look = true};
    struct plan *plan;
    enum cdn_status status = plan_read(&wish, "", &plan, err);
    if (status != CDN_OK) {
        return status;
    }
    *ret = plan_json(plan);
    plan_destroy(plan);
    return CDN_OK;
}

static json_t *router_node(const char *admin)
{
    struct cdn_str base = cdn_str(admin);
    base.n -= cdn_str_ends(base, CDN_STR("/"));
    json_t *node =
        json_pack("{s:s, s:s, s:s, s:s}", "kind", "router", "name", "router", "place", "", "url", "");
    json_object_set_new(node, "admin", json_stringn(base.p, base.n));
    return node;
}

/* The router and the edges that it knows. */
static enum cdn_status open_router(const char *admin, json_t **ret, struct cdn_error *err)
{
    json_t *router = router_node(admin), *answer, *edge, *report = NULL, *nodes = json_array();
    size_t i;
    enum cdn_status status = control_ask(router, "GET", "/edges", NULL, &answer, err);
    if (status != CDN_OK) {
        json_decref(router);
        json_decref(nodes);
        return cdn_error_prefix(err, "the router at %s", admin);
    }
    json_array_foreach(json_object_get(answer, "edges"), i, edge) json_array_append_new(
        nodes, json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", "edge", "name", control_text(edge, "name"),
                         "place", control_text(edge, "place"), "url", control_text(edge, "url"), "admin",
                         control_text(edge, "admin")));
    json_decref(answer);
    if (control_ask(router, "GET", "/status", NULL, &report, NULL) == CDN_OK) {
        const bool tls = json_array_size(json_object_get(report, "certificates")) > 0;
        json_object_set_new(router, "url",
                            json_sprintf("%s://%s", tls ? "https" : "http", control_text(report, "listen")));
    }
    json_decref(report);
    *ret = json_pack("{s:s, s:s, s:o}", "router", control_text(router, "url"), "router_admin",
                     control_text(router, "admin"), "nodes", nodes);
    json_array_append_new(nodes, router);
    return CDN_OK;
}

enum cdn_status control_open(const struct control_where *where, json_t **ret, struct cdn_error *err)
{
    struct cdn_error none;
    if ((where->state != NULL) + (where->config != NULL) + (where->router != NULL) > 1) {
        return cdn_error_set(err, CDN_USAGE, "only one of --state, --config and --router");
    }
    if (where->router) {
        return open_router(where->router, ret, err);
    }
    if (where->config) {
        return open_config(where->config, ret, err);
    }
    enum cdn_status status = open_state(where->state, ret, err);
    if (status != CDN_NOT_FOUND || where->state) {
        return status;
    }
    if (open_router(CONTROL_ROUTER, ret, &none) == CDN_OK) {
        return CDN_OK;
    }
    none = *err;
    return cdn_error_set(err, status, "%s; -c FILE or --router URL reach programs started without `up`",
                         none.text);
}

/* ---- nodes ---- */

/* "a, b, c" or "a, b, c and 9 more" */
static char *names_text(const json_t *names, size_t most)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    size_t n = json_array_size(names);
    for (size_t i = 0; i < n && i < most; i++) {
        cdn_buf_printf(&text, "%s%s", i ? ", " : "", json_string_value(json_array_get(names, i)));
    }
    if (n > most) {
        cdn_buf_printf(&text, " and %zu more", n - most);
    }
    return cdn_buf_take(&text);
}

static bool is_wanted(const json_t *node, const char *kind)
{
    return kind ? strcmp(control_text(node, "kind"), kind) == 0
                : !json_is_true(json_object_get(node, "external"));
}

enum cdn_status control_node(const json_t *cdn, const char *kind, const char *name, json_t **ret_borrowed,
                             struct cdn_error *err)
{
    json_t *node, *names = json_array();
    size_t i;
    json_array_foreach(json_object_get(cdn, "nodes"), i, node)
    {
        if (!is_wanted(node, kind)) {
            continue;
        }
        json_array_append(names, json_object_get(node, "name"));
        if (strcmp(control_text(node, "name"), name) == 0) {
            *ret_borrowed = node;
            json_decref(names);
            return CDN_OK;
        }
    }
    CDN_AUTOFREE char *all = names_text(names, SIZE_MAX);
    json_decref(names);
    return cdn_error_set(err, CDN_NOT_FOUND, "no %s '%s' runs here; there are: %s", kind ? kind : "node",
                         name, all[0] ? all : "none");
}

static enum cdn_status refusal(unsigned code, const json_t *answer, struct cdn_error *err)
{
    const char *detail = control_text(answer, "detail");
    return cdn_error_set(err,
                         code == 404  ? CDN_NOT_FOUND
                         : code < 500 ? CDN_INVALID
                                      : CDN_UNAVAILABLE,
                         "%s (HTTP %u)%s", detail[0] ? detail : "refused", code,
                         code == 401 ? "; POCKETCDN_ADMIN_TOKEN can name it" : "");
}

enum cdn_status control_ask(const json_t *node, const char *method, const char *path, const json_t *body,
                            json_t **ret, struct cdn_error *err)
{
    return control_ask_for(node, method, path, body, TIMEOUT_MS, ret, err);
}

enum cdn_status control_ask_for(const json_t *node, const char *method, const char *path, const json_t *body,
                                int64_t timeout_ms, json_t **ret, struct cdn_error *err)
{
    const char *environment = getenv("POCKETCDN_ADMIN_TOKEN");
    const char *token = environment && environment[0] ? environment : control_text(node, "token");
    CDN_AUTOFREE char *bearer = cdn_asprintf("Bearer %s", token);
    const struct http_field fields[] = {{CDN_STR("Content-Type"), CDN_STR("application/json")},
                                        {CDN_STR("Authorization"), cdn_str(bearer)}};
    CDN_AUTOFREE char *url = cdn_asprintf("%s%s", control_text(node, "admin"), path);
    CDN_AUTOFREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    struct http_simple_result result = {0};
    enum cdn_status status =
        http_simple(method, url, fields, token[0] ? 2 : 1, cdn_str(text), timeout_ms, BODY_MAX, &result, err);
    if (status != CDN_OK) {
        return status;
    }
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

void control_print(json_t *take)
{
    cli_print_json(take, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
}

/* ---- all of them ---- */

struct round {
    const struct control_request *request;
    json_t *answers;  /* {NODE: answer} */
    json_t *failures; /* {sentence: [NODE...]} */
    enum cdn_status status;
};

static void ask_one(struct round *round, const json_t *node)
{
    const struct control_request *request = round->request;
    const char *name = control_text(node, "name");
    struct cdn_error err;
    json_t *answer;
    enum cdn_status status = control_ask(node, request->method, request->path, request->body, &answer, &err);
    if (status != CDN_OK) {
        json_t *names = json_object_get(round->failures, err.text);
        if (!names) {
            names = json_array();
            json_object_set_new(round->failures, err.text, names);
        }
        json_array_append_new(names, json_string(name));
        round->status = status;
        return;
    }
    if (!request->json && request->show) {
        request->show(name, answer);
    }
    json_object_set_new(round->answers, name, answer);
}

/* All but the last failure on stderr, that one in `err`. */
static enum cdn_status tell_failures(const struct round *round, struct cdn_error *err)
{
    const char *text;
    json_t *names;
    bool first = true;
    if (!round->status) {
        return CDN_OK;
    }
    fflush(stdout);
    json_object_foreach(round->failures, text, names)
    {
        CDN_AUTOFREE char *who = names_text(names, NAMES_MAX);
        if (!first) {
            cli_complain("%s\n", err->text);
        }
        cdn_error_set(err, round->status, "%s: %s", who, text);
        first = false;
    }
    return round->status;
}

enum cdn_status control_all(const json_t *cdn, const struct control_request *request, struct cdn_error *err)
{
    struct round round = {request, json_object(), json_object(), CDN_OK};
    json_t *node;
    size_t i;
    enum cdn_status status = CDN_OK;
    if (request->name) {
        status = control_node(cdn, request->kind, request->name, &node, err);
    }
    if (status == CDN_OK) {
        if (request->name) {
            ask_one(&round, node);
        } else {
            json_array_foreach(json_object_get(cdn, "nodes"), i, node) if (is_wanted(node, request->kind))
            {
                ask_one(&round, node);
            }
        }
        if (!request->json && request->show_all) {
            request->show_all(round.answers);
        }
        status = tell_failures(&round, err);
        if (request->json) {
            control_print(CDN_TAKE(round.answers));
        }
    }
    json_decref(round.answers);
    json_decref(round.failures);
    return status;
}
