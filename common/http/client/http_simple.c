/* One blocking request for command-line tools: the client on a loop of its own, so that the same checks hold.
 */
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "common/banned.h"

static char *trusted; /* file of authorities; NULL: the system's */

struct simple {
    struct loop *loop;
    struct http_fetch *fetch;
    struct http_simple_result result;
    struct cdn_str body; /* left to send */
    size_t max_body;
    bool too_large;
    enum http_fetch_error error;
    char text[256];
};

static void take_head(void *arg, const struct http_fetch_head *head)
{
    struct simple *s = arg;
    s->result.status = head->status;
    for (size_t i = 0; i < head->field_count; i++) {
        cdn_buf_add_str(&s->result.head, head->fields[i].name);
        cdn_buf_add_str(&s->result.head, CDN_STR(": "));
        cdn_buf_add_str(&s->result.head, head->fields[i].value);
        cdn_buf_add_char(&s->result.head, '\n');
    }
}

static bool take_data(void *arg, const char *data, size_t n)
{
    struct simple *s = arg;
    if (n > s->max_body - s->result.body.n) {
        s->too_large = true;
        http_fetch_cancel(s->fetch);
        loop_stop(s->loop);
        return true;
    }
    cdn_buf_add(&s->result.body, data, n);
    return true;
}

static ssize_t give_body(void *arg, char *into, size_t max)
{
    struct simple *s = arg;
    size_t n = s->body.n < max ? s->body.n : max;
    if (n) {
        memcpy(into, s->body.p, n);
    }
    s->body = cdn_str_sub(s->body, n);
    return (ssize_t)n;
}

static void take_end(void *arg, enum http_fetch_error error, const char *text)
{
    struct simple *s = arg;
    http_fetch_times_get(s->fetch, &s->result.times);
    s->error = error;
    cdn_str_copy(s->text, sizeof(s->text), cdn_str(text));
    loop_stop(s->loop);
}

static enum cdn_status judge(const struct simple *s, const char *url, struct cdn_error *err)
{
    if (s->too_large) {
        return cdn_error_set(err, CDN_TOO_LARGE, "%s: the answer is larger than %zu bytes", url, s->max_body);
    }
    if (s->error == HTTP_FETCH_NONE) {
        return CDN_OK;
    }
    bool late = s->error == HTTP_FETCH_TIMEOUT || s->error == HTTP_FETCH_READ_TIMEOUT;
    return cdn_error_set(err, late ? CDN_TIMEOUT : CDN_NETWORK, "%s: %s (%s)", url, s->text,
                         http_fetch_error_word(s->error));
}

enum cdn_status http_simple(const char *method, const char *url, const struct http_field *fields,
                            size_t field_count, struct cdn_str body, int64_t timeout_ms, size_t max_body,
                            struct http_simple_result *ret, struct cdn_error *err)
{
    static const struct http_fetch_handler handler = {.head = take_head, .data = take_data, .end = take_end};
    struct simple s = {.body = body, .max_body = max_body};
    struct http_client_config config = {.connect_timeout_ms = timeout_ms,
                                        .first_byte_timeout_ms = timeout_ms,
                                        .idle_timeout_ms = timeout_ms,
                                        .ca_file = trusted};
    struct http_client *client = NULL;
    enum cdn_status status = loop_create(&s.loop, err);
    if (status == CDN_OK) {
        status = http_client_create(s.loop, &config, &client, err);
    }
    if (status == CDN_OK) {
        s.fetch = http_fetch_start(client, &(struct http_fetch_request){.method = method,
                                                                        .url = url,
                                                                        .fields = fields,
                                                                        .field_count = field_count,
                                                                        .has_body = body.n > 0,
                                                                        .body_length = (int64_t)body.n,
                                                                        .read_body = give_body,
                                                                        .handler = &handler,
                                                                        .arg = &s,
                                                                        .total_timeout_ms = timeout_ms});
        loop_run(s.loop);
        status = judge(&s, url, err);
    }
    http_client_destroy(client);
    loop_destroy(s.loop);
    if (status == CDN_OK) {
        *ret = s.result;
    } else {
        http_simple_free(&s.result);
    }
    return status;
}

void http_simple_trust(const char *ca_file)
{
    free(trusted);
    trusted = ca_file ? cdn_strdup(ca_file) : NULL;
}

void http_simple_free(struct http_simple_result *result)
{
    cdn_buf_free(&result->head);
    cdn_buf_free(&result->body);
}

bool http_simple_field(const struct http_simple_result *result, const char *name, struct cdn_str *ret_value)
{
    for (struct cdn_str rest = cdn_buf_str(&result->head); rest.p && rest.n;) {
        struct cdn_str value = cdn_str_cut(&rest, '\n');
        struct cdn_str found = cdn_str_cut(&value, ':');
        if (value.p && cdn_str_eq_nocase(found, cdn_str(name))) {
            *ret_value = cdn_str_trim(value);
            return true;
        }
    }
    return false;
}
