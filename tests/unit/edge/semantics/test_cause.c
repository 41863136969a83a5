/* cause: the words, and Cache-Status (RFC 9211). Logs, metrics, headers and `why` are read by
 * these words. */
#include "common/http/syntax/http_structured.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/semantics/cause.h"

#include <check.h>
#include <stdbool.h>

static const struct {
    struct edge_cache_status s;
    const char *text;
} rows_[] = {
    {{.hit = true, .has_ttl = true, .ttl_s = 30}, "fra; hit; ttl=30"},
    {{.hit = true, .has_ttl = true, .ttl_s = -5, .cause = EDGE_CAUSE_EXPIRED},
     "fra; hit; ttl=-5; detail=expired"},
    {{.cause = EDGE_CAUSE_COLD, .fwd_status = 200, .stored = true},
     "fra; fwd=miss; fwd-status=200; stored; detail=cold"},
    {{.cause = EDGE_CAUSE_COLD, .fwd_status = 200, .stored = true, .collapsed = true},
     "fra; fwd=miss; fwd-status=200; stored; collapsed; detail=cold"},
    {{.cause = EDGE_CAUSE_VARY}, "fra; fwd=vary-miss; detail=vary"},
    {{.cause = EDGE_CAUSE_EXPIRED, .fwd_status = 304}, "fra; fwd=stale; fwd-status=304; detail=expired"},
    {{.cause = EDGE_CAUSE_BYPASS_METHOD}, "fra; fwd=method; detail=bypass-method"},
    {{.cause = EDGE_CAUSE_BYPASS_REQUEST}, "fra; fwd=request; detail=bypass-request"},
    {{.cause = EDGE_CAUSE_COLD, .partial = true}, "fra; fwd=partial; detail=cold"},
    {{.cause = EDGE_CAUSE_COLD, .detail = {"a b", 3}}, "fra; fwd=miss; detail=\"a b\""},
    {{.hit = true, .key = {"http://a/\"", 10}}, "fra; hit; key=\"http://a/\\\"\""},
};

START_TEST(status_rows)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    struct edge_cache_status s = rows_[_i].s;
    struct http_structured_value item;
    s.name = CDN_STR("fra");
    edge_cache_status_build(&s, &text);
    ck_assert_str_eq(text.p, rows_[_i].text);
    ck_assert_msg(http_structured_item(cdn_buf_str(&text), &item), "%s", text.p);
}
END_TEST

START_TEST(names_that_are_no_tokens_are_quoted)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    struct edge_cache_status s = {.name = CDN_STR("1 edge"), .hit = true};
    char small[8], into[64];
    edge_cache_status_build(&s, &text);
    ck_assert_str_eq(text.p, "\"1 edge\"; hit");
    ck_assert_uint_eq(edge_cache_status_hit(CDN_STR("fra"), 30, into, sizeof(into)), 16);
    ck_assert_str_eq(into, "fra; hit; ttl=30");
    ck_assert_uint_eq(edge_cache_status_hit(CDN_STR("fra"), 30, small, sizeof(small)), 0);
    ck_assert_uint_eq(edge_cache_status_hit(CDN_STR("1 edge"), 30, into, sizeof(into)), 0);
}
END_TEST

START_TEST(every_cause_is_found_by_its_word)
{
    enum edge_cause c = EDGE_CAUSE_NONE;
    for (unsigned i = EDGE_CAUSE_NONE + 1; i < EDGE_CAUSE_COUNT; i++) {
        ck_assert(edge_cause_find(cdn_str(edge_cause_word((enum edge_cause)i)), &c) && c == i);
        ck_assert(http_structured_is_token(cdn_str(edge_cause_word((enum edge_cause)i))));
        ck_assert(http_structured_is_token(cdn_str(edge_cause_fwd((enum edge_cause)i))));
        ck_assert_int_ne(edge_cause_meaning((enum edge_cause)i)[0], '\0');
    }
    ck_assert(!edge_cause_find(CDN_STR(""), &c) && !edge_cause_find(CDN_STR("warm"), &c));
    ck_assert_str_eq(edge_verdict_text(EDGE_VERDICT_REVALIDATED), "REVALIDATED");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cause");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, status_rows, 0, (int)CDN_ARRAY_LEN(rows_));
    tcase_add_test(rows, names_that_are_no_tokens_are_quoted);
    tcase_add_test(rows, every_cause_is_found_by_its_word);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
