/* daemon_purge: reads a request and its body into one http_purge. A body is Fastly's {"surrogate_keys":
 * [...]} and nothing else: what is not understood might have meant a larger purge. */
#include "common/daemon/daemon_purge.h"

#include "common/str.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/banned.h"

static bool read_field(void *arg, struct cdn_str name, struct cdn_str value)
{
    http_purge_field(arg, name, value);
    return true;
}

static enum cdn_status read_body(const json_t *body, struct http_purge *into, struct cdn_error *err)
{
    const json_t *keys = json_object_get(body, "surrogate_keys");
    if (json_object_size(body) != 1 || !json_is_array(keys)) {
        return cdn_error_set(err, CDN_INVALID, "the body must be {\"surrogate_keys\": [...]}, or none");
    }
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        if (!json_is_string(key) || !json_string_length(key)) {
            return cdn_error_set(err, CDN_INVALID, "surrogate_keys: wants text");
        }
        http_purge_tag(into, (struct cdn_str){json_string_value(key), json_string_length(key)});
    }
    return CDN_OK;
}

enum cdn_status daemon_purge_read(struct http_request *req, const json_t *body, struct http_purge *ret,
                                  struct cdn_error *err)
{
    http_purge_begin(ret, req->method_name, req->path);
    http_request_each_field(req, read_field, ret);
    enum cdn_status status = body ? read_body(body, ret, err) : CDN_OK;
    return status == CDN_OK ? http_purge_end(ret, err) : status;
}

json_t *daemon_purge_answer(const struct http_purge *purge, uint64_t id)
{
    char text[24];
    json_t *answer = json_object();
    snprintf(text, sizeof(text), "%" PRIu64, id);
    if (!purge->batch) {
        json_object_set_new(answer, "status", json_string("ok"));
        json_object_set_new(answer, "id", json_string(text));
    }
    for (size_t i = 0; purge->batch && i < purge->count; i++) {
        json_object_set_new(answer, purge->item[i].text, json_string(text));
    }
    return answer;
}
