/* head_of: heads and fields from text, for tests. "Name: value" lines, separated by '\n'; static buffers, one
 * test process at a time. */
#ifndef CDN_TESTS_HEAD_OF_H
#define CDN_TESTS_HEAD_OF_H
#include "common/http/syntax/http_message.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/head.h"

#include <check.h>
#include <stddef.h>
#include <stdint.h>

#define FIELDS_MAX 64
#define RESPONSE_S INT64_C(1700000000) /* Tue, 14 Nov 2023 22:13:20 GMT */
#define DATE "Date: Tue, 14 Nov 2023 22:13:20 GMT\n"

static inline size_t fields_of(const char *text, struct http_field *ret)
{
    struct cdn_str rest = cdn_str(text);
    size_t count = 0;
    while (rest.p && rest.n > 0) {
        struct cdn_str line = cdn_str_cut(&rest, '\n');
        if (line.n > 0) {
            ck_assert(count < FIELDS_MAX);
            ret[count].name = cdn_str_cut(&line, ':');
            ret[count++].value = cdn_str_trim(line);
        }
    }
    return count;
}

static inline struct edge_head *head_of(unsigned status, const char *text)
{
    struct http_field fields[FIELDS_MAX];
    struct edge_head *head = NULL;
    struct cdn_error err = {0};
    size_t count = fields_of(text, fields);
    ck_assert_msg(edge_head_build(status, fields, count, NULL, 0, &head, &err) == CDN_OK, "%s: %s", text,
                  err.text);
    return head;
}

/* "Name: value|Name: value" of all lines. */
static inline void head_text(const struct edge_head *head, struct cdn_buf *into)
{
    struct edge_head_line line;
    size_t at = 0;
    while (edge_head_next(head, &at, &line)) {
        cdn_buf_printf(into, "%s%s: %s", into->n ? "|" : "", line.name.p, line.value.p);
    }
}

#endif
