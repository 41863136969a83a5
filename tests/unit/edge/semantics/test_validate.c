/* validate: conditions in the order of RFC 9110 13.2.2, and what a 304 is about (RFC 9111 4.3). */
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/semantics/head.h"
#include "edge/semantics/validate.h"
#include "tests/unit/edge/head_of.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define LM "Last-Modified: Tue, 14 Nov 2023 20:00:00 GMT\n"
#define AT "Tue, 14 Nov 2023 20:00:00 GMT"
#define BEFORE "Tue, 14 Nov 2023 19:00:00 GMT"
#define AFTER "Tue, 14 Nov 2023 21:00:00 GMT"
#define TAG "ETag: \"a\"\n"
#define PASS EDGE_CONDITION_PASS
#define SAME EDGE_CONDITION_NOT_MODIFIED
#define FAILED EDGE_CONDITION_FAILED

static const struct {
    const char *section;
    unsigned status;
    const char *head;
    const char *match, *none_match, *modified, *unmodified, *if_range, *range;
    bool get;
    enum edge_condition condition;
    bool use_range;
} rows_[] = {
    {"13.1 none", 200, DATE TAG, NULL, NULL, NULL, NULL, NULL, NULL, true, PASS, false},
    {"13.1.2", 200, DATE TAG, NULL, "\"a\"", NULL, NULL, NULL, NULL, true, SAME, false},
    {"13.1.2 first", 200, DATE TAG, NULL, "\"a\", \"b\"", NULL, NULL, NULL, NULL, true, SAME, false},
    {"13.1.2 middle", 200, DATE TAG, NULL, "\"b\", \"a\", \"c\"", NULL, NULL, NULL, NULL, true, SAME, false},
    {"13.1.2 last", 200, DATE TAG, NULL, "\"b\",\"a\"", NULL, NULL, NULL, NULL, true, SAME, false},
    {"13.1.2 weak comparison", 200, DATE TAG, NULL, "W/\"a\"", NULL, NULL, NULL, NULL, true, SAME, false},
    {"13.1.2 weak comparison", 200, DATE "ETag: W/\"a\"", NULL, "\"a\"", NULL, NULL, NULL, NULL, true, SAME,
     false},
    {"13.1.2 no match", 200, DATE TAG, NULL, "\"b\"", NULL, NULL, NULL, NULL, true, PASS, false},
    {"13.1.2 case counts", 200, DATE TAG, NULL, "\"A\"", NULL, NULL, NULL, NULL, true, PASS, false},
    {"13.1.2 *", 200, DATE, NULL, "*", NULL, NULL, NULL, NULL, true, SAME, false},
    {"13.1.2 no tag stored", 200, DATE, NULL, "\"a\"", NULL, NULL, NULL, NULL, true, PASS, false},
    {"13.1.2 not quoted", 200, DATE TAG, NULL, "a", NULL, NULL, NULL, NULL, true, PASS, false},
    {"13.1.2 HEAD", 200, DATE TAG, NULL, "\"a\"", NULL, NULL, NULL, NULL, false, SAME, false},
    {"13.1.3 equal", 200, DATE LM, NULL, NULL, AT, NULL, NULL, NULL, true, SAME, false},
    {"13.1.3 later", 200, DATE LM, NULL, NULL, AFTER, NULL, NULL, NULL, true, SAME, false},
    {"13.1.3 earlier", 200, DATE LM, NULL, NULL, BEFORE, NULL, NULL, NULL, true, PASS, false},
    {"13.1.3 RFC 850", 200, DATE LM, NULL, NULL, "Tuesday, 14-Nov-23 20:00:00 GMT", NULL, NULL, NULL, true,
     SAME, false},
    {"13.1.3 no date", 200, DATE LM, NULL, NULL, "yesterday", NULL, NULL, NULL, true, PASS, false},
    {"13.1.3 ignored with If-None-Match", 200, DATE LM TAG, NULL, "\"b\"", AFTER, NULL, NULL, NULL, true,
     PASS, false},
    {"13.1.3 If-None-Match counts", 200, DATE LM TAG, NULL, "\"a\"", BEFORE, NULL, NULL, NULL, true, SAME,
     false},
    {"9111 4.3.2 Date stands in", 200, DATE, NULL, NULL, "Tue, 14 Nov 2023 22:13:20 GMT", NULL, NULL, NULL,
     true, SAME, false},
    {"9111 4.3.2 Date stands in", 200, DATE, NULL, NULL, AT, NULL, NULL, NULL, true, PASS, false},
    {"9111 4.3.2 arrival stands in", 200, "Foo: 1", NULL, NULL, "Tue, 14 Nov 2023 22:13:20 GMT", NULL, NULL,
     NULL, true, SAME, false},
    {"13.1.1", 200, DATE TAG, "\"a\"", NULL, NULL, NULL, NULL, NULL, true, PASS, false},
    {"13.1.1 no match", 200, DATE TAG, "\"b\"", NULL, NULL, NULL, NULL, NULL, true, FAILED, false},
    {"13.1.1 strong comparison", 200, DATE "ETag: W/\"a\"", "W/\"a\"", NULL, NULL, NULL, NULL, NULL, true,
     FAILED, false},
    {"13.1.1 *", 200, DATE, "*", NULL, NULL, NULL, NULL, NULL, true, PASS, false},
    {"13.2.2 then If-None-Match", 200, DATE TAG, "\"a\"", "\"a\"", NULL, NULL, NULL, NULL, true, SAME, false},
    {"13.2.2 If-Match first", 200, DATE TAG, "\"b\"", "\"a\"", NULL, NULL, NULL, NULL, true, FAILED, false},
    {"13.1.4", 200, DATE LM, NULL, NULL, NULL, AT, NULL, NULL, true, PASS, false},
    {"13.1.4 changed since", 200, DATE LM, NULL, NULL, NULL, BEFORE, NULL, NULL, true, FAILED, false},
    {"13.1.4 no date", 200, DATE LM, NULL, NULL, NULL, "x", NULL, NULL, true, PASS, false},
    {"13.1.4 nothing known", 200, DATE, NULL, NULL, NULL, BEFORE, NULL, NULL, true, PASS, false},
    {"13.1.4 ignored with If-Match", 200, DATE LM TAG, "\"a\"", NULL, NULL, BEFORE, NULL, NULL, true, PASS,
     false},
    {"14.2", 200, DATE TAG, NULL, NULL, NULL, NULL, NULL, "bytes=0-1", true, PASS, true},
    {"14.2 not for HEAD", 200, DATE TAG, NULL, NULL, NULL, NULL, NULL, "bytes=0-1", false, PASS, false},
    {"14.2 not for 404", 404, DATE TAG, NULL, NULL, NULL, NULL, NULL, "bytes=0-1", true, PASS, false},
    {"13.2.2 304 before the range", 200, DATE TAG, NULL, "\"a\"", NULL, NULL, NULL, "bytes=0-1", true, SAME,
     false},
    {"13.1.5", 200, DATE TAG, NULL, NULL, NULL, NULL, "\"a\"", "bytes=0-1", true, PASS, true},
    {"13.1.5 no match", 200, DATE TAG, NULL, NULL, NULL, NULL, "\"b\"", "bytes=0-1", true, PASS, false},
    {"13.1.5 weak", 200, DATE "ETag: W/\"a\"", NULL, NULL, NULL, NULL, "W/\"a\"", "bytes=0-1", true, PASS,
     false},
    {"13.1.5 date", 200, DATE LM, NULL, NULL, NULL, NULL, AT, "bytes=0-1", true, PASS, true},
    {"13.1.5 another date", 200, DATE LM, NULL, NULL, NULL, NULL, AFTER, "bytes=0-1", true, PASS, false},
    {"13.1.5 a weak date", 200, DATE "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT", NULL, NULL, NULL, NULL,
     "Tue, 14 Nov 2023 22:13:20 GMT", "bytes=0-1", true, PASS, false},
    {"13.2.1 not for other answers", 404, DATE TAG, NULL, "\"a\"", NULL, NULL, NULL, NULL, true, PASS, false},
    {"13.2.1 not for other answers", 301, DATE TAG, "\"b\"", NULL, NULL, NULL, NULL, NULL, true, PASS, false},
};

static struct cdn_str slice(const char *s)
{
    return (struct cdn_str){s, s ? strlen(s) : 0};
}

START_TEST(condition_rows)
{
    bool use_range = false;
    struct edge_head *head = head_of(rows_[_i].status, rows_[_i].head);
    struct edge_conditions c = {.if_match = slice(rows_[_i].match),
                                .if_none_match = slice(rows_[_i].none_match),
                                .if_modified_since = slice(rows_[_i].modified),
                                .if_unmodified_since = slice(rows_[_i].unmodified),
                                .if_range = slice(rows_[_i].if_range),
                                .range = slice(rows_[_i].range)};
    enum edge_condition r = edge_conditions_decide(&c, head, rows_[_i].get, RESPONSE_S * 1000, &use_range);
    ck_assert_msg(r == rows_[_i].condition && use_range == rows_[_i].use_range, "%s (row %d): %d %d",
                  rows_[_i].section, _i, r, use_range);
    edge_head_destroy(head);
}
END_TEST

static const struct {
    const char *section;
    const char *stored[3];
    const char *fresh;
    int selected;
} selections[] = {
    {"4.3.3 strong", {TAG, "ETag: \"b\"", NULL}, "ETag: \"b\"", 1},
    {"4.3.3 strong, none", {TAG, "ETag: \"b\"", NULL}, "ETag: \"c\"", -1},
    {"4.3.3 strong, not the only one", {TAG, NULL, NULL}, "ETag: \"c\"", -1},
    {"4.3.3 weak", {"ETag: W/\"a\"", "ETag: W/\"b\"", NULL}, "ETag: W/\"b\"", 1},
    {"4.3.3 weakened by compression", {"ETag: W/\"a\"", NULL, NULL}, "ETag: \"a\"", 0},
    {"4.3.3 Last-Modified", {LM, NULL, NULL}, LM, 0},
    {"4.3.3 Last-Modified, another", {LM, NULL, NULL}, "Last-Modified: " AFTER, -1},
    {"4.3.3 no validator, one stored", {TAG, NULL, NULL}, "Foo: 1", 0},
    {"4.3.3 no validator, two stored", {TAG, "ETag: \"b\"", NULL}, "Foo: 1", -1},
    {"4.3.3 a tag where none was", {LM, NULL, NULL}, TAG, 0},
};

START_TEST(selection_rows)
{
    struct edge_head *heads[3];
    struct http_field fields[FIELDS_MAX];
    size_t n = 0, count = fields_of(selections[_i].fresh, fields);
    for (; selections[_i].stored[n]; n++) {
        heads[n] = head_of(200, selections[_i].stored[n]);
    }
    ptrdiff_t i = edge_validators_select((const struct edge_head *const *)heads, n, fields, count);
    ck_assert_msg(i == selections[_i].selected, "%s: %td", selections[_i].section, i);
    while (n > 0) {
        edge_head_destroy(heads[--n]);
    }
}
END_TEST

START_TEST(validators_of_several_variants)
{
    CDN_AUTOBUF struct cdn_buf tags = {0};
    struct edge_head *heads[] = {head_of(200, TAG), head_of(200, "ETag: W/\"b\""), head_of(200, TAG),
                                 head_of(200, LM), head_of(200, "ETag: unquoted")};
    ck_assert(edge_validators_join((const struct edge_head *const *)heads, 5, &tags));
    ck_assert_str_eq(tags.p, "\"a\", W/\"b\"");
    ck_assert(!edge_validators_join((const struct edge_head *const *)&heads[3], 2, &tags));
    for (size_t i = 0; i < CDN_ARRAY_LEN(heads); i++) {
        edge_head_destroy(heads[i]);
    }
}
END_TEST

static const struct {
    const char *section;
    const char *stored, *fresh;
    bool matches, combines;
} pairs[] = {
    {"9111 3.4 strong tags", TAG, TAG, true, true},
    {"9111 3.4 other tags", TAG, "ETag: \"b\"", false, false},
    {"9111 3.4 weak tags", "ETag: W/\"a\"", "ETag: W/\"a\"", true, false},
    {"9111 3.4 one tag", TAG, DATE, true, false},
    {"9111 3.4 strong dates", DATE LM, DATE LM, true, true},
    {"9111 3.4 weak dates", DATE "Last-Modified: Tue, 14 Nov 2023 22:13:00 GMT",
     DATE "Last-Modified: Tue, 14 Nov 2023 22:13:00 GMT", true, false},
    {"9111 3.4 no validator", DATE, DATE, true, false},
    {"9111 4.3.5 length", "Content-Length: 5", "Content-Length: 6", false, false},
    {"9111 4.3.5 Last-Modified", LM, "Last-Modified: " AFTER, false, false},
};

START_TEST(pair_rows)
{
    struct http_field fields[FIELDS_MAX];
    struct edge_head *a = head_of(200, pairs[_i].stored), *b = head_of(206, pairs[_i].fresh);
    size_t count = fields_of(pairs[_i].fresh, fields);
    ck_assert_msg(edge_validate_head_answer(a, fields, count) == pairs[_i].matches, "%s", pairs[_i].section);
    ck_assert_msg(edge_validate_may_combine(a, b) == pairs[_i].combines, "%s", pairs[_i].section);
    edge_head_destroy(a);
    edge_head_destroy(b);
}
END_TEST

/* RFC 9110 15.4.5 */
START_TEST(fields_of_a_304)
{
    static const char *const in[] = {
        "Cache-Control", "Content-Location",       "Date", "ETag", "Expires", "Vary", "Foo", "Age",
        "Last-Modified", "Content-Security-Policy"};
    static const char *const out[] = {"Content-Length", "Content-Type", "content-encoding", "Content-Range",
                                      "Digest"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(in); i++) {
        bool location = strcmp(in[i], "Content-Location") == 0;
        ck_assert_msg(edge_validate_field_in_not_modified(
                          location ? EDGE_HEAD_CONTENT_LOCATION : EDGE_HEAD_OTHER, cdn_str(in[i])),
                      "%s", in[i]);
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(out); i++) {
        ck_assert_msg(!edge_validate_field_in_not_modified(EDGE_HEAD_OTHER, cdn_str(out[i])), "%s", out[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("validate");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, condition_rows, 0, (int)CDN_ARRAY_LEN(rows_));
    tcase_add_loop_test(rows, selection_rows, 0, (int)CDN_ARRAY_LEN(selections));
    tcase_add_loop_test(rows, pair_rows, 0, (int)CDN_ARRAY_LEN(pairs));
    tcase_add_test(rows, validators_of_several_variants);
    tcase_add_test(rows, fields_of_a_304);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
