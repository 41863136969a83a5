/* http_fetch_fields: the fields of a fetch's request in libcurl's form. libcurl adds fields of its
 * own unless it is told "Name:" for each; what it would add, and what framing belongs to it alone,
 * is decided here. */
#include "common/http/client/http_client.h"
#include "common/http/client/http_client_private.h"
#include "common/http/syntax/http_message.h"
#include "common/http/syntax/http_server_check.h"
#include "common/mem.h"
#include "common/str.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

/* The framing of the request is made here, from has_body and body_length; Expect would cost a round trip. */
static bool is_ours(struct cdn_str name)
{
    return cdn_str_eq_nocase(name, CDN_STR("Content-Length")) ||
           cdn_str_eq_nocase(name, CDN_STR("Transfer-Encoding")) ||
           cdn_str_eq_nocase(name, CDN_STR("Expect"));
}

/* libcurl looks for these in its list, and writes something of its own if it does not find them. */
static bool is_looked_for(const struct http_fetch *fetch, struct cdn_str name)
{
    return cdn_str_eq_nocase(name, CDN_STR("Host")) || cdn_str_eq_nocase(name, CDN_STR("Authorization")) ||
           (fetch->client->user_agent && cdn_str_eq_nocase(name, CDN_STR("User-Agent")));
}

static bool may_send(const struct http_field *field)
{
    return !is_ours(field->name) && http_check_token(field->name) && http_check_field_value(field->value);
}

static void begin_item(struct http_fetch *fetch, size_t *count)
{
    fetch->header_nodes[(*count)++].data = (char *)(uintptr_t)fetch->header_text.n;
}

static void add_line(struct cdn_buf *text, const struct http_field *field, const char *when_empty)
{
    const struct cdn_str value = cdn_str_trim(field->value);
    cdn_buf_add_str(text, field->name);
    cdn_buf_add_str(text, value.n ? CDN_STR(": ") : cdn_str(when_empty));
    cdn_buf_add_str(text, value);
}

static void add_item(struct http_fetch *fetch, size_t *count, const struct http_field *field)
{
    /* libcurl: "Name: value" sets, "Name;" sends an empty value */
    begin_item(fetch, count);
    add_line(&fetch->header_text, field, ";");
    cdn_buf_add_char(&fetch->header_text, '\0');
}

static void add_suppression(struct http_fetch *fetch, size_t *count, struct cdn_str name)
{
    begin_item(fetch, count);
    cdn_buf_add_str(&fetch->header_text, name);
    cdn_buf_add(&fetch->header_text, ":", sizeof(":")); /* with the zero byte */
}

/* The fields that libcurl does not look for, as the lines of one item: it compares each item with a dozen
 * names. */
static void add_lines(struct http_fetch *fetch, size_t *count, const struct http_fetch_request *request)
{
    const struct http_field *only = NULL;
    size_t lines = 0;
    begin_item(fetch, count);
    const size_t from = fetch->header_text.n;
    for (size_t i = 0; i < request->field_count; i++) {
        const struct http_field *field = &request->fields[i];
        if (may_send(field) && !is_looked_for(fetch, field->name)) {
            cdn_buf_add(&fetch->header_text, "\r\n", lines++ ? 2 : 0);
            add_line(&fetch->header_text, field, ":");
            only = field;
        }
    }
    cdn_buf_add_char(&fetch->header_text, '\0');
    if (lines <= 1) { /* an item without a value would suppress */
        fetch->header_text.n = from;
        --*count;
    }
    if (lines == 1) {
        add_item(fetch, count, only);
    }
}

/* libcurl's list as an array of nodes over one text, both kept for the next fetch. */
struct curl_slist *http_fetch_fields(struct http_fetch *fetch, const struct http_fetch_request *request)
{
    size_t count = 0;
    if (fetch->header_room < request->field_count + 4) {
        fetch->header_room = request->field_count + 16;
        fetch->header_nodes = cdn_realloc(fetch->header_nodes, fetch->header_room, sizeof(struct curl_slist));
    }
    cdn_buf_clear(&fetch->header_text);
    for (size_t i = 0; i < request->field_count; i++) {
        if (is_looked_for(fetch, request->fields[i].name) && may_send(&request->fields[i])) {
            add_item(fetch, &count, &request->fields[i]);
        }
    }
    add_lines(fetch, &count, request);
    if (request->expect_continue) {
        add_item(fetch, &count, &(struct http_field){CDN_STR("Expect"), CDN_STR("100-continue")});
    } else {
        add_suppression(fetch, &count, CDN_STR("Expect"));
    }
    if (fetch->client->config.upgrades) { /* what follows the head is no body: no framing */
        add_suppression(fetch, &count, CDN_STR("Transfer-Encoding"));
    }
    add_suppression(fetch, &count, CDN_STR("Accept")); /* libcurl's own; the request's is among the lines */
    for (size_t i = 0; i < count; i++) {
        fetch->header_nodes[i].data = fetch->header_text.p + (uintptr_t)fetch->header_nodes[i].data;
        fetch->header_nodes[i].next = i + 1 < count ? &fetch->header_nodes[i + 1] : NULL;
    }
    return fetch->header_nodes;
}

/* RFC 9110 10.1.1: after 417 the request is repeated without the expectation. (libcurl would do so too, but
 * behind our back.) */
void http_fetch_drop_expect(struct http_fetch *fetch)
{
    static const char name[] = "Expect:";
    for (struct curl_slist *node = fetch->header_nodes; node; node = node->next) {
        if (strncmp(node->data, name, sizeof(name) - 1) == 0) {
            node->data[sizeof(name) - 1] = '\0'; /* suppresses it */
        }
    }
    fetch->expecting = false;
}
