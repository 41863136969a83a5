/* http_head: sealing, reading and renewing a head that is one field to libmicrohttpd. Lines are
 * built in a buffer that is kept, so a head costs one copy; all ways to read one understand both
 * forms, since a response may also have been filled field by field. */
#include "common/http/server/http_head.h"

#include "common/http/server/http_mhd_text.h"
#include "common/http/syntax/http_message.h"
#include "common/http/syntax/http_server_check.h"
#include "common/mem.h"

#include <string.h>

#include "common/banned.h"

#define LINE_END CDN_STR("\r\n")
#define COLON CDN_STR(": ")

/* ---- building ---- */

static bool is_left_out(struct cdn_str name)
{
    return cdn_str_eq_nocase(name, CDN_STR(MHD_HTTP_HEADER_CONNECTION)) ||
           cdn_str_eq_nocase(name, CDN_STR(MHD_HTTP_HEADER_CONTENT_LENGTH)) ||
           cdn_str_eq_nocase(name, CDN_STR(MHD_HTTP_HEADER_TRANSFER_ENCODING));
}

void http_head_add(struct http_head *head, struct cdn_str name, struct cdn_str value)
{
    if (!http_check_token(name) || !http_check_field_value(value) || is_left_out(name)) {
        return;
    }
    if (cdn_str_eq_nocase(name, CDN_STR(MHD_HTTP_HEADER_DATE))) {
        cdn_buf_clear(&head->date);
        cdn_buf_add_str(&head->date, value);
        return;
    }
    cdn_buf_reserve(&head->lines, name.n + COLON.n + value.n + LINE_END.n);
    cdn_buf_add_str(&head->lines, name);
    cdn_buf_add_str(&head->lines, COLON);
    cdn_buf_add_str(&head->lines, value);
    cdn_buf_add_str(&head->lines, LINE_END);
}

/* Cuts the first line off; name and value are ended with a NUL in place. */
static void cut_line(struct cdn_buf *lines, size_t *at, struct cdn_str *ret_name, struct cdn_str *ret_value)
{
    char *line = lines->p + *at;
    char *colon = memchr(line, ':', lines->n - *at);
    char *end = memchr(colon, '\r', lines->n - (size_t)(colon - lines->p));
    *colon = '\0';
    *end = '\0';
    *ret_name = (struct cdn_str){line, (size_t)(colon - line)};
    *ret_value = (struct cdn_str){colon + COLON.n, (size_t)(end - colon) - COLON.n};
    *at = (size_t)(end - lines->p) + LINE_END.n;
}

static void add_singly(struct http_head *head, struct MHD_Response *response, struct cdn_str name,
                       struct cdn_str value, size_t at)
{
    (void)MHD_add_response_header(response, name.p, value.p);
    while (at < head->lines.n) {
        cut_line(&head->lines, &at, &name, &value);
        (void)MHD_add_response_header(response, name.p, value.p);
    }
}

/* The library's copy of a value of n bytes under `name`; NULL when it has none that can be written over. */
static char *reserve(struct http_head *head, struct MHD_Response *response, const char *name, size_t n)
{
    struct cdn_buf *blank = &head->blank;
    if (!http_mhd_text_responses()) {
        return NULL;
    }
    while (blank->n <= n) {
        cdn_buf_reserve(blank, n + 1);
        memset(blank->p + blank->n, '-', blank->room - blank->n - 1);
        blank->n = blank->room - 1;
    }
    blank->p[n] = '\0';
    char *copy = http_mhd_text_copy(response, name, blank->p, n);
    blank->p[n] = '-';
    return copy;
}

void http_head_seal(struct http_head *head, struct MHD_Response *response)
{
    struct cdn_str name = CDN_STR(MHD_HTTP_HEADER_DATE);
    struct cdn_str value = cdn_buf_str(&head->date);
    size_t at = 0;
    if (!value.n) {
        if (!head->lines.n) {
            return;
        }
        cut_line(&head->lines, &at, &name, &value);
    }
    /* the line end of the last line comes after the first value instead */
    struct cdn_str rest = cdn_str_sub(cdn_buf_str(&head->lines), at);
    char *copy = reserve(head, response, name.p, value.n + rest.n);
    if (copy) {
        memcpy(copy, value.p, value.n);
        if (rest.n) {
            memcpy(copy + value.n, LINE_END.p, LINE_END.n);
            memcpy(copy + value.n + LINE_END.n, rest.p, rest.n - LINE_END.n);
        }
    } else {
        add_singly(head, response, name, value, at);
    }
    cdn_buf_clear(&head->date);
    cdn_buf_clear(&head->lines);
}

void http_head_free(struct http_head *head)
{
    cdn_buf_free(&head->date);
    cdn_buf_free(&head->lines);
    cdn_buf_free(&head->blank);
}

/* ---- reading ---- */

struct walk {
    bool (*fn)(void *arg, struct cdn_str name, struct cdn_str value);
    void *arg;
};

static enum MHD_Result walk_node(void *cls, enum MHD_ValueKind kind, const char *key, const char *text)
{
    (void)kind;
    const struct walk *walk = cls;
    struct cdn_str rest = cdn_str(text);
    struct cdn_str name = cdn_str(key);
    for (;;) {
        struct cdn_str value = cdn_str_cut(&rest, '\r');
        if (!walk->fn(walk->arg, name, value)) {
            return MHD_NO;
        }
        if (!rest.p) {
            return MHD_YES;
        }
        rest = cdn_str_sub(rest, LINE_END.n - 1);
        name = cdn_str_cut(&rest, ':');
        rest = cdn_str_sub(rest, COLON.n - 1);
    }
}

void http_head_each(struct MHD_Response *response,
                    bool (*fn)(void *arg, struct cdn_str name, struct cdn_str value), void *arg)
{
    struct walk walk = {fn, arg};
    MHD_get_response_headers(response, walk_node, &walk);
}

struct find {
    struct cdn_str name;
    struct cdn_str value;
};

static bool find_line(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct find *find = arg;
    if (!cdn_str_eq_nocase(name, find->name)) {
        return true;
    }
    find->value = value;
    return false;
}

struct cdn_str http_head_find(struct MHD_Response *response, struct cdn_str name)
{
    struct find find = {.name = name};
    http_head_each(response, find_line, &find);
    return find.value;
}

/* ---- renewing ---- */

struct rebuild {
    struct http_head head;
    struct cdn_str old;
    struct cdn_str fresh;
};

static bool copy_line(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct rebuild *r = arg;
    http_head_add(&r->head, name, value.p == r->old.p ? r->fresh : value);
    return true;
}

static enum MHD_Result take_node(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    *(struct http_field *)cls = (struct http_field){cdn_str(name), cdn_str(value)};
    return MHD_NO;
}

/* The library looks at the name once more after it has freed its own. */
static bool remove_first(struct MHD_Response *response)
{
    struct http_field node;
    if (!MHD_get_response_headers(response, take_node, &node)) {
        return false;
    }
    CDN_AUTOFREE char *name = cdn_str_dup(node.name);
    return MHD_del_response_header(response, name, node.value.p) == MHD_YES;
}

bool http_head_renew(struct MHD_Response *response, struct cdn_str name, struct cdn_str value)
{
    struct rebuild r = {.old = http_head_find(response, name), .fresh = value};
    if (!r.old.p || !http_check_field_value(value)) {
        return false;
    }
    if (r.old.n == value.n && http_mhd_text_responses()) { /* nearly always */
        http_mhd_text_write(r.old, value);
        return false;
    }
    http_head_each(response, copy_line, &r);
    while (remove_first(response)) {
    }
    http_head_seal(&r.head, response);
    http_head_free(&r.head);
    return true;
}
