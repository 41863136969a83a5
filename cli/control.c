#include "cli/control.h"

#include "cli/state.h"
#include "common/http_client.h"

#include <stdio.h>

#include "common/banned.h"

#define TIMEOUT_MS 5000
#define BODY_MAX (16u << 20)

const char *control_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

enum cdn_status control_open(const char *state, json_t **ret_up, struct cdn_error *err)
{
    CDN_AUTOFREE char *path = NULL;
    enum cdn_status status = state_path(state, &path, err);
    return status ? status : state_read(path, ret_up, err);
}

static enum cdn_status refusal(const json_t *node, unsigned code, const json_t *answer, struct cdn_error *err)
{
    const char *detail = control_text(answer, "detail");
    return cdn_error_set(err,
                         code == 404  ? CDN_NOT_FOUND
                         : code < 500 ? CDN_INVALID
                                      : CDN_UNAVAILABLE,
                         "%s: %s (HTTP %u)", control_text(node, "name"), detail[0] ? detail : "refused",
                         code);
}

enum cdn_status control_ask(const json_t *node, const char *method, const char *path, const json_t *body,
                            json_t **ret, struct cdn_error *err)
{
    const struct http_field type = {CDN_STR("Content-Type"), CDN_STR("application/json")};
    CDN_AUTOFREE char *url = cdn_asprintf("%s%s", control_text(node, "admin"), path);
    CDN_AUTOFREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    struct http_simple_result result = {0};
    enum cdn_status status =
        http_simple(method, url, &type, body ? 1 : 0, cdn_str(text), TIMEOUT_MS, BODY_MAX, &result, err);
    if (status) {
        cdn_error_prefix(err, "%s", control_text(node, "name"));
        return status;
    }
    json_t *answer = json_loadb(result.body.p ? result.body.p : "", result.body.n, 0, NULL);
    if (result.status / 100 != 2 || !answer) {
        status = refusal(node, result.status, answer, err);
        json_decref(answer);
    } else {
        *ret = answer;
    }
    http_simple_free(&result);
    return status;
}

static void print_json(json_t *take)
{
    json_dumpf(take, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
    putchar('\n');
    json_decref(take);
}

enum cdn_status control_all(const char *state, const struct control_request *request, struct cdn_error *err)
{
    json_t *up, *node, *all = json_object();
    size_t i;
    enum cdn_status result = control_open(state, &up, err);
    if (result) {
        json_decref(all);
        return result;
    }
    json_array_foreach(json_object_get(up, "nodes"), i, node)
    {
        json_t *answer;
        struct cdn_error failure;
        if (request->kind && strcmp(control_text(node, "kind"), request->kind) != 0)
            continue;
        enum cdn_status status =
            control_ask(node, request->method, request->path, request->body, &answer, &failure);
        if (status) {
            if (result) /* the last one is said by the caller */
                fprintf(stderr, "%s\n", err->text);
            result = cdn_error_set(err, status, "%s", failure.text);
            continue;
        }
        if (!request->json)
            request->show(control_text(node, "name"), answer);
        json_object_set_new(all, control_text(node, "name"), answer);
    }
    json_decref(up);
    if (request->json)
        print_json(all);
    else
        json_decref(all);
    return result;
}
