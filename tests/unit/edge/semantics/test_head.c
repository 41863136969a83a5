/* head: what is stored, what an update changes, and that damaged bytes are refused (RFC 9111 3.1, 3.2). */
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/head.h"
#include "tests/unit/edge/head_of.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *section;
    const char *sent;
    const char *stored;
} builds[] = {
    {"3.1", "ETag: \"a\"\nFoo: 1", "ETag: \"a\"|Foo: 1"},
    {"3.1 Connection", "Connection: a, b\na: 1\nb: 2\nc: 3", "c: 3"},
    {"3.1 Connection, two lines", "Connection: a\nA: 1\nb: 2\nConnection: B", ""},
    {"3.1 of the hop",
     "Keep-Alive: x\nProxy-Authenticate: x\nProxy-Authentication-Info: x\nProxy-Authorization: x\n"
     "Proxy-Connection: x\nTE: x\nTrailer: x\nTransfer-Encoding: x\nUpgrade: x\nOk: 1",
     "Ok: 1"},
    {"9110 7.6.1 what all need stays", "Connection: Cache-Control, Foo\nCache-Control: no-store\nFoo: 1",
     "Cache-Control: no-store"},
    {"3.1 Set-Cookie stays line by line", "Set-Cookie: a=b\nSet-Cookie: c=d",
     "Set-Cookie: a=b|Set-Cookie: c=d"},
    {"9110 5.5 empty values", "Foo:\nBar: ", "Foo: |Bar: "},
};

START_TEST(build_rows)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    struct edge_head *head = head_of(200, builds[_i].sent);
    head_text(head, &text);
    ck_assert_msg(cdn_str_eq(cdn_buf_str(&text), cdn_str(builds[_i].stored)), "%s: %s", builds[_i].section,
                  text.p);
    edge_head_destroy(head);
}
END_TEST

static const struct {
    const char *section;
    const char *stored;
    const char *fresh;
    const char *updated;
} updates[] = {
    {"3.2 kept", "Foo: A", "Bar: B", "Foo: A|Bar: B"},
    {"3.2 replaced", "Foo: A\nBar: B", "Foo: C", "Bar: B|Foo: C"},
    {"3.2 replaced whatever the case", "Foo: A", "FOO: C", "FOO: C"},
    {"3.2 all lines replaced", "Foo: A\nFoo: B", "Foo: C", "Foo: C"},
    {"3.2 by several lines", "Foo: A", "Foo: B\nFoo: C", "Foo: B|Foo: C"},
    {"3.2 Cache-Control", "Cache-Control: max-age=1", "Cache-Control: max-age=3600",
     "Cache-Control: max-age=3600"},
    {"3.2 Content-Type", "Content-Type: text/plain", "Content-Type: text/html", "Content-Type: text/html"},
    {"3.2 Content-Foo", "Content-Foo: A", "Content-Foo: B", "Content-Foo: B"},
    {"3.2 Expires", "Expires: A", "Expires: B", "Expires: B"},
    {"3.2 not Content-Length", "Content-Length: 36", "Content-Length: 10", "Content-Length: 36"},
    {"3.2 not Content-Length, if absent", "Foo: A", "Content-Length: 0", "Foo: A"},
    {"3.2 not Content-Encoding", "Content-Encoding: br", "Content-Encoding: gzip", "Content-Encoding: br"},
    {"3.2 not Content-Range", "Content-Range: A", "Content-Range: B", "Content-Range: A"},
    {"3.2 not what is bound to the bytes", "ETag: \"a\"\nContent-MD5: A", "ETag: \"b\"\nContent-MD5: B",
     "ETag: \"a\"|Content-MD5: A"},
    {"3.2 but it may be new", "Foo: A", "ETag: \"b\"", "Foo: A|ETag: \"b\""},
    {"3.2 not of the hop", "Foo: A", "Keep-Alive: x\nConnection: Bar\nBar: B\nTransfer-Encoding: chunked",
     "Foo: A"},
    {"4.2.3 Age is of one answer", "Age: 100\nFoo: A", "Bar: B", "Foo: A|Bar: B"},
    {"4.2.3 Age is of one answer", "Age: 100", "Age: 5", "Age: 5"},
    {"5.5 Warning", "Warning: 110 - stale", "Bar: B", "Bar: B"},
};

START_TEST(update_rows)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    struct http_field fields[FIELDS_MAX];
    struct edge_head *head = head_of(200, updates[_i].stored), *updated = NULL;
    size_t count = fields_of(updates[_i].fresh, fields);
    ck_assert_int_eq(edge_head_update(head, fields, count, &updated, NULL), CDN_OK);
    head_text(updated, &text);
    ck_assert_msg(cdn_str_eq(cdn_buf_str(&text), cdn_str(updates[_i].updated)), "%s: %s", updates[_i].section,
                  text.p);
    ck_assert_uint_eq(edge_head_status(updated), 200);
    edge_head_destroy(head);
    edge_head_destroy(updated);
}
END_TEST

START_TEST(well_known_fields_are_found)
{
    struct edge_head *head = head_of(404, "Foo: 1\nvary: a\nVARY: b\nETag: W/\"x\"\nXKey: k");
    CDN_AUTOBUF struct cdn_buf joined = {0};
    struct cdn_str value;
    size_t at = 0;
    ck_assert_uint_eq(edge_head_status(head), 404);
    ck_assert_uint_eq(edge_head_lines(head), 5);
    ck_assert(cdn_str_eq(edge_head_get(head, EDGE_HEAD_ETAG), CDN_STR("W/\"x\"")));
    ck_assert(cdn_str_eq(edge_head_get(head, EDGE_HEAD_XKEY), CDN_STR("k")));
    ck_assert_ptr_null(edge_head_get(head, EDGE_HEAD_DATE).p);
    ck_assert_uint_eq(edge_head_count(head, EDGE_HEAD_VARY), 2);
    ck_assert(edge_head_next_of(head, EDGE_HEAD_VARY, &at, &value) && cdn_str_eq(value, CDN_STR("a")));
    ck_assert(edge_head_next_of(head, EDGE_HEAD_VARY, &at, &value) && cdn_str_eq(value, CDN_STR("b")));
    ck_assert(!edge_head_next_of(head, EDGE_HEAD_VARY, &at, &value));
    ck_assert(edge_head_join(head, EDGE_HEAD_VARY, &joined) &&
              cdn_str_eq(cdn_buf_str(&joined), CDN_STR("a, b")));
    ck_assert(!edge_head_join(head, EDGE_HEAD_DATE, &joined));
    ck_assert(edge_head_get_named(head, CDN_STR("foo"), &value) && cdn_str_eq(value, CDN_STR("1")));
    edge_head_destroy(head);
}
END_TEST

START_TEST(values_keep_no_line_ends)
{
    struct http_field field = {CDN_STR("Foo"), {"a\r\nb\tc\0d", 8}};
    struct edge_head *head = NULL;
    ck_assert_int_eq(edge_head_build(200, &field, 1, NULL, 0, &head, NULL), CDN_OK);
    struct cdn_str value;
    ck_assert(edge_head_get_named(head, CDN_STR("Foo"), &value) && cdn_str_eq(value, CDN_STR("a  b c d")));
    edge_head_destroy(head);
}
END_TEST

START_TEST(limits_are_kept)
{
    static char big[EDGE_HEAD_MAX_BYTES];
    struct http_field field = {CDN_STR("Foo"), {big, sizeof(big)}}, bad = {CDN_STR("F oo"), CDN_STR("x")};
    static struct http_field many[EDGE_HEAD_MAX_LINES + 1];
    struct edge_head *head = NULL;
    struct cdn_error err;
    memset(big, 'x', sizeof(big));
    for (size_t i = 0; i < CDN_ARRAY_LEN(many); i++) {
        many[i] = (struct http_field){CDN_STR("a"), CDN_STR("b")};
    }
    ck_assert_int_eq(edge_head_build(200, &field, 1, NULL, 0, &head, &err), CDN_TOO_LARGE);
    ck_assert_int_eq(edge_head_build(200, many, CDN_ARRAY_LEN(many), NULL, 0, &head, &err), CDN_TOO_LARGE);
    ck_assert_int_eq(edge_head_build(200, &bad, 1, NULL, 0, &head, &err), CDN_INVALID);
    ck_assert_int_eq(edge_head_build(99, &field, 0, NULL, 0, &head, &err), CDN_INVALID);
    ck_assert_ptr_null(head);
}
END_TEST

START_TEST(fields_are_dropped_and_changed)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    const struct cdn_str drop[] = {CDN_STR("b"), CDN_STR("SET-COOKIE")};
    const struct http_field changes[] = {{CDN_STR("a"), {NULL, 0}},
                                         {CDN_STR("Content-Length"), CDN_STR("9")}};
    struct http_field fields[FIELDS_MAX];
    struct edge_head *head = NULL, *other = NULL;
    size_t count = fields_of("a: 1\nb: 2\nSet-Cookie: x\nContent-Length: 5\nAge: 7", fields);
    ck_assert_int_eq(edge_head_build(206, fields, count, drop, 2, &head, NULL), CDN_OK);
    ck_assert_int_eq(edge_head_with(head, 200, changes, 2, &other, NULL), CDN_OK);
    head_text(other, &text);
    ck_assert_str_eq(text.p, "Age: 7|Content-Length: 9");
    ck_assert_uint_eq(edge_head_status(other), 200);
    edge_head_destroy(head);
    edge_head_destroy(other);
}
END_TEST

START_TEST(bytes_read_back)
{
    CDN_AUTOBUF struct cdn_buf a = {0}, b = {0};
    struct edge_head *head = head_of(200, DATE "ETag: \"x\"\nFoo: bar\nVary: a"), *read = NULL;
    size_t n;
    const void *bytes = edge_head_bytes(head, &n);
    ck_assert_uint_eq(n, edge_head_size(head));
    ck_assert_int_eq(edge_head_parse(bytes, n, &read, NULL), CDN_OK);
    head_text(head, &a);
    head_text(read, &b);
    ck_assert_str_eq(a.p, b.p);
    edge_head_destroy(head);
    edge_head_destroy(read);
}
END_TEST

/* Any prefix is refused, and any flipped bit is refused or gives a head that can be walked. */
START_TEST(damaged_bytes_do_no_harm)
{
    struct edge_head *head = head_of(200, DATE "ETag: \"x\"\nFoo: bar\nVary: a\nVary: b"), *read = NULL;
    size_t n;
    const void *bytes = edge_head_bytes(head, &n);
    unsigned char *copy = cdn_malloc(n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(edge_head_parse(bytes, i, &read, NULL), CDN_CORRUPT);
    }
    unsigned refused = 0;
    for (size_t bit = 0; bit < n * 8; bit++) {
        memcpy(copy, bytes, n);
        copy[bit / 8] = (unsigned char)(copy[bit / 8] ^ (1u << bit % 8));
        if (edge_head_parse(copy, n, &read, NULL) != CDN_OK) {
            refused++;
            continue;
        }
        CDN_AUTOBUF struct cdn_buf text = {0};
        head_text(read, &text);
        (void)edge_head_count(read, EDGE_HEAD_VARY);
        edge_head_destroy(read);
    }
    ck_assert_uint_gt(refused, 0);
    free(copy);
    edge_head_destroy(head);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("head");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, build_rows, 0, (int)CDN_ARRAY_LEN(builds));
    tcase_add_loop_test(rows, update_rows, 0, (int)CDN_ARRAY_LEN(updates));
    tcase_add_test(rows, well_known_fields_are_found);
    tcase_add_test(rows, values_keep_no_line_ends);
    tcase_add_test(rows, limits_are_kept);
    tcase_add_test(rows, fields_are_dropped_and_changed);
    tcase_add_test(rows, bytes_read_back);
    tcase_add_test(rows, damaged_bytes_do_no_harm);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
