/* range: what is sent for a Range (RFC 9110 14): plans row by row, and that the pieces of each make the
 * body it announced. */
#include "common/http/syntax/http_field_range.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/semantics/range.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define WHOLE EDGE_RANGE_WHOLE
#define ONE EDGE_RANGE_SINGLE
#define MANY EDGE_RANGE_MULTIPLE
#define NONE EDGE_RANGE_UNSATISFIABLE

static const struct {
    const char *section;
    const char *range; /* NULL: no field */
    uint64_t length;
    enum edge_range_kind kind;
    const char *parts; /* "0-4,10-19", in the order sent */
} plans[] = {
    {"14.2 none", NULL, 10, WHOLE, "0-9"},
    {"14.1.2 first and last", "bytes=0-1", 10, ONE, "0-1"},
    {"14.1.2 to the end", "bytes=1-", 10, ONE, "1-9"},
    {"14.1.2 suffix", "bytes=-1", 10, ONE, "9-9"},
    {"14.1.2 suffix longer than all", "bytes=-100", 10, ONE, "0-9"},
    {"14.1.2 last behind the end", "bytes=5-100", 10, ONE, "5-9"},
    {"14.1.2 all", "bytes=0-", 10, ONE, "0-9"},
    {"14.1.1 unit's case", "BYTES=0-1", 10, ONE, "0-1"},
    {"15.5.17 behind the end", "bytes=10-", 10, NONE, ""},
    {"15.5.17 suffix of nothing", "bytes=-0", 10, NONE, ""},
    {"15.5.17 empty", "bytes=0-", 0, NONE, ""},
    {"14.1.2 suffix of an empty one", "bytes=-5", 0, WHOLE, ""},
    {"14.2 one of two satisfiable", "bytes=20-,0-1", 10, ONE, "0-1"},
    {"14.2 another unit", "items=0-1", 10, WHOLE, "0-9"},
    {"14.2 malformed", "bytes=a-b", 10, WHOLE, "0-9"},
    {"14.2 malformed", "bytes=", 10, WHOLE, "0-9"},
    {"14.2 malformed", "bytes 0-1", 10, WHOLE, "0-9"},
    {"14.2 malformed", "bytes=5-4", 10, WHOLE, "0-9"},
    {"14.2 malformed", "bytes=-", 10, WHOLE, "0-9"},
    {"14.2 malformed", "bytes=0-1-2", 10, WHOLE, "0-9"},
    {"14.2 huge numbers", "bytes=0-99999999999999999999999", 10, ONE, "0-9"},
    {"14.2 huge numbers", "bytes=99999999999999999999999-", 10, NONE, ""},
    {"15.3.7.2 two", "bytes=0-1,500-501", 1000, MANY, "0-1,500-501"},
    {"15.3.7.2 in the order asked", "bytes=500-501, 0-1", 1000, MANY, "500-501,0-1"},
    {"15.3.7.2 overlapping", "bytes=0-50,40-60", 1000, ONE, "0-60"},
    {"15.3.7.2 close", "bytes=0-50,100-200", 1000, ONE, "0-200"},
    {"15.3.7.2 joined by a third", "bytes=0-1,200-201,0-150", 1000, ONE, "0-201"},
    {"14.2 the same again and again", "bytes=0-,0-,0-,0-,0-", 1000, ONE, "0-999"},
    {"14.2 too many parts",
     "bytes=0-0,100-100,200-200,300-300,400-400,500-500,600-600,700-700,800-800,900-900,1000-1000,1100-1100,"
     "1200-1200,"
     "1300-1300,1400-1400,1500-1500,1600-1600",
     2000, WHOLE, "0-1999"},
};

static void plan_text(const struct edge_range_plan *plan, struct cdn_buf *into)
{
    for (unsigned i = 0; i < plan->count; i++) {
        cdn_buf_printf(into, "%s%d-%d", i ? "," : "", (int)plan->part[i].first, (int)plan->part[i].last);
    }
}

START_TEST(plan_rows)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    struct edge_range_plan plan;
    struct cdn_str range = {plans[_i].range, plans[_i].range ? strlen(plans[_i].range) : 0};
    edge_range_plan(range, plans[_i].length, CDN_STR("text/plain"), 7, &plan);
    plan_text(&plan, &text);
    ck_assert_msg(plan.kind == plans[_i].kind && cdn_str_eq(cdn_buf_str(&text), cdn_str(plans[_i].parts)),
                  "%s: %s: %d %s", plans[_i].section, plans[_i].range, plan.kind, text.p);
}
END_TEST

/* The pieces of every plan, put together: as long as announced, and each byte in its place. */
START_TEST(pieces_make_the_body)
{
    struct edge_range_plan plan;
    struct cdn_str range = {plans[_i].range, plans[_i].range ? strlen(plans[_i].range) : 0};
    edge_range_plan(range, plans[_i].length, CDN_STR("text/plain"), 7, &plan);
    CDN_AUTOBUF struct cdn_buf body = {0};
    uint64_t from, n;
    if (plan.kind == NONE) {
        ck_assert_uint_eq(plan.body_length, 0);
        return;
    }
    for (;;) {
        size_t before = body.n;
        if (!edge_range_piece(&plan, body.n, &body, &from, &n)) {
            break;
        }
        ck_assert(n > 0 || body.n > before);
        for (uint64_t i = 0; i < n && i < 7; i++) { /* a few at a time: any offset must work */
            cdn_buf_add_char(&body, (char)('a' + (from + i) % 26));
        }
    }
    ck_assert_uint_eq(body.n, plan.body_length);
}
END_TEST

START_TEST(multipart_is_well_formed)
{
    CDN_AUTOBUF struct cdn_buf head = {0};
    struct edge_range_plan plan;
    char type[HTTP_CONTENT_RANGE_SIZE], expected[256];
    edge_range_plan(CDN_STR("bytes=0-1,500-501"), 1000, CDN_STR("text/plain"), 7, &plan);
    edge_range_part_head(&plan, 1, &head);
    edge_range_content_type(&plan, type);
    (void)snprintf(expected, sizeof(expected),
                   "\r\n--%s\r\nContent-Type: text/plain\r\nContent-Range: bytes 500-501/1000\r\n\r\n",
                   plan.boundary);
    ck_assert_str_eq(head.p, expected);
    ck_assert_uint_eq(strlen(plan.boundary), 32);
    ck_assert_ptr_nonnull(strstr(type, plan.boundary));
}
END_TEST

START_TEST(content_range_values)
{
    char text[HTTP_CONTENT_RANGE_SIZE];
    struct edge_range_plan plan;
    edge_range_plan(CDN_STR("bytes=5-"), 10, CDN_STR(""), 0, &plan);
    edge_range_content_range(&plan, text);
    ck_assert_str_eq(text, "bytes 5-9/10");
    edge_range_plan(CDN_STR("bytes=10-"), 10, CDN_STR(""), 0, &plan);
    edge_range_content_range(&plan, text);
    ck_assert_str_eq(text, "bytes */10");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("range");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, plan_rows, 0, (int)CDN_ARRAY_LEN(plans));
    tcase_add_loop_test(rows, pieces_make_the_body, 0, (int)CDN_ARRAY_LEN(plans));
    tcase_add_test(rows, multipart_is_well_formed);
    tcase_add_test(rows, content_range_values);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
