/* The head of an answer, put together from the lines that libcurl hands over, and judged more strictly than
 * by it. */
#include "common/http/client/http_client.h"
#include "common/http/client/http_client_private.h"
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_message.h"
#include "common/http/syntax/http_server_check.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

#define FIRST_FINAL_STATUS 200
#define SWITCHING_PROTOCOLS 101

void http_answer_clear(struct http_answer *a)
{
    cdn_buf_clear(&a->text);
    a->line_count = 0;
    a->status = 0;
    a->version = 0;
    a->reason_n = 0;
}

void http_answer_free(struct http_answer *a)
{
    cdn_buf_free(&a->text);
    free(a->lines);
    free(a->fields);
}

static size_t keep(struct http_answer *a, struct cdn_str s)
{
    size_t at = a->text.n;
    cdn_buf_add_str(&a->text, s);
    return at;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200 " */
static bool take_status_line(struct http_answer *a, struct cdn_str line)
{
    struct cdn_str rest = cdn_str_sub(line, 5);
    struct cdn_str version = cdn_str_cut(&rest, ' ');
    if (cdn_str_eq(version, CDN_STR("1.1"))) {
        a->version = 11;
    } else if (cdn_str_eq(version, CDN_STR("1.0"))) {
        a->version = 10;
    } else if (cdn_str_eq(version, CDN_STR("2")) || cdn_str_eq(version, CDN_STR("2.0"))) {
        a->version = 20;
    } else {
        return false;
    }
    if (!rest.p) {
        return false;
    }
    struct cdn_str code = cdn_str_cut(&rest, ' ');
    uint64_t status;
    if (code.n != 3 || !cdn_parse_u64(code, &status) || status < 100) {
        return false;
    }
    a->status = (unsigned)status;
    struct cdn_str reason = rest.p ? rest : CDN_STR("");
    a->reason = keep(a, reason);
    a->reason_n = reason.n;
    return true;
}

static bool take_field(struct http_answer *a, struct cdn_str line)
{
    struct cdn_str rest = line;
    struct cdn_str name =
        cdn_str_trim(cdn_str_cut(&rest, ':')); /* "Name :" is passed on as "Name:" (RFC 9112 5.1) */
    struct cdn_str value = cdn_str_trim(rest.p ? rest : CDN_STR(""));
    if (!rest.p || !http_check_token(name) || !http_check_field_value(value)) {
        return false;
    }
    if (a->line_count == a->line_room) {
        a->line_room = a->line_room ? a->line_room * 2 : 32;
        a->lines = cdn_realloc(a->lines, a->line_room, sizeof(*a->lines));
    }
    a->lines[a->line_count].name_n = name.n;
    a->lines[a->line_count].name = keep(a, name);
    a->lines[a->line_count].value_n = value.n;
    a->lines[a->line_count].value = keep(a, value);
    a->line_count++;
    return true;
}

/* RFC 9112 5.2: a folded line of an answer is joined with a space. */
static bool take_folded(struct http_answer *a, struct cdn_str line)
{
    struct cdn_str more = cdn_str_trim(line);
    if (!a->line_count || !http_check_field_value(more)) {
        return false;
    }
    cdn_buf_add_char(&a->text, ' ');
    cdn_buf_add_str(&a->text, more);
    a->lines[a->line_count - 1].value_n += 1 + more.n;
    return true;
}

static void make_head(struct http_answer *a, struct http_fetch_head *ret)
{
    if (a->field_room < a->line_count) {
        a->field_room = a->line_room;
        a->fields = cdn_realloc(a->fields, a->field_room, sizeof(*a->fields));
    }
    const char *text = cdn_buf_str(&a->text).p;
    for (size_t i = 0; i < a->line_count; i++) {
        a->fields[i].name = (struct cdn_str){text + a->lines[i].name, a->lines[i].name_n};
        a->fields[i].value = (struct cdn_str){text + a->lines[i].value, a->lines[i].value_n};
    }
    *ret = (struct http_fetch_head){.status = a->status,
                                    .reason = {text + a->reason, a->reason_n},
                                    .version = a->version,
                                    .fields = a->fields,
                                    .field_count = a->line_count,
                                    .content_length = -1};
}

/* A coding that nobody registered. Since we send no TE, an origin may apply none but chunked (RFC
 * 9110 10.1.4): such a word means nothing, and the body ends with the connection (RFC 9112 6.3, rule 4). The
 * registered ones may have been applied all the same, and are not undone here. */
static bool is_no_coding(struct cdn_str value)
{
    static const char *const registered[] = {"chunked", "compress",   "deflate",
                                             "gzip",    "x-compress", "x-gzip"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(registered); i++) {
        if (cdn_str_eq_nocase(value, cdn_str(registered[i]))) {
            return false;
        }
    }
    return http_check_token(value);
}

/* RFC 9112 6.3: what the framing says must be said once and in one
 * way, or the body's end is anybody's guess. */
static const char *check_framing(struct http_fetch_head *head)
{
    unsigned codings = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        struct cdn_str value = head->fields[i].value;
        if (cdn_str_eq_nocase(head->fields[i].name, CDN_STR("Content-Length"))) {
            uint64_t n;
            if (!cdn_parse_u64(value, &n) || n > INT64_MAX) {
                return "the answer's Content-Length is not a number";
            }
            if (head->content_length >= 0 && (uint64_t)head->content_length != n) {
                return "the answer has different Content-Lengths";
            }
            head->content_length = (int64_t)n;
        } else if (cdn_str_eq_nocase(head->fields[i].name, CDN_STR("Transfer-Encoding"))) {
            bool known = cdn_str_eq_nocase(value, CDN_STR("chunked")) || is_no_coding(value);
            if (codings++ || !known || head->version != 11) {
                return "the answer has an unknown Transfer-Encoding";
            }
        }
    }
    return codings && head->content_length >= 0 ? "the answer has both Content-Length and Transfer-Encoding"
                                                : NULL;
}

/* RFC 9110 7.8: it names the protocol, which is the one that was asked for; no body of HTTP's follows. */
static bool is_switch_asked_for(const struct http_fetch_head *head)
{
    struct cdn_str upgrade;
    struct cdn_str framing;
    return head->version == 11 &&
           http_fields_find(head->fields, head->field_count, CDN_STR("Upgrade"), &upgrade) == 1 &&
           cdn_str_eq_nocase(upgrade, CDN_STR("websocket")) &&
           !http_fields_find(head->fields, head->field_count, CDN_STR("Transfer-Encoding"), &framing) &&
           !http_fields_find(head->fields, head->field_count, CDN_STR("Content-Length"), &framing);
}

static enum http_answer_step end_of_head(struct http_answer *a, bool upgrades, struct http_fetch_head *ret,
                                         const char **ret_why)
{
    make_head(a, ret);
    if (a->status == SWITCHING_PROTOCOLS && upgrades && is_switch_asked_for(ret)) {
        return HTTP_ANSWER_HEAD;
    }
    if (a->status == SWITCHING_PROTOCOLS) {
        *ret_why = "the server switched protocols unasked";
    } else {
        *ret_why = check_framing(ret);
    }
    if (*ret_why) {
        return HTTP_ANSWER_BAD;
    }
    return a->status < FIRST_FINAL_STATUS ? HTTP_ANSWER_INTERIM : HTTP_ANSWER_HEAD;
}

enum http_answer_step http_answer_line(struct http_answer *a, struct cdn_str line, size_t max_bytes,
                                       bool upgrades, struct http_fetch_head *ret,
                                       enum http_fetch_error *ret_error, const char **ret_why)
{
    *ret_error = HTTP_FETCH_PROTOCOL;
    a->bytes += line.n;
    if (a->bytes > max_bytes) {
        *ret_error = HTTP_FETCH_TOO_LARGE;
        *ret_why = "the answer's head is too large";
        return HTTP_ANSWER_BAD;
    }
    while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r')) {
        line.n--;
    }
    bool good;
    if (cdn_str_starts(line, CDN_STR("HTTP/"))) {
        http_answer_clear(a);
        good = take_status_line(a, line);
    } else if (line.n == 0) {
        return a->status ? end_of_head(a, upgrades, ret, ret_why) : HTTP_ANSWER_MORE;
    } else if (line.p[0] == ' ' || line.p[0] == '\t') {
        good = take_folded(a, line);
    } else {
        good = take_field(a, line);
    }
    *ret_why = "the answer's head is malformed";
    return good ? HTTP_ANSWER_MORE : HTTP_ANSWER_BAD;
}
