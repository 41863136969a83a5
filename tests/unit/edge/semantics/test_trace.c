/* Trace Context and X-Request-ID: which values of a stranger go on to the origin and into the log, row by
 * row. */
#include "common/mem.h"
#include "common/str.h"
#include "edge/semantics/trace.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"
#define ZEROS16 "0000000000000000"
#define GOOD "00-" ID "-" SPAN "-01"

static const struct {
    const char *value;
    bool valid;
} parents[] = {
    {GOOD, true},
    {"00-" ID "-" SPAN "-00", true},
    {"00-" ID "-" SPAN "-ff", true},
    {"01-" ID "-" SPAN "-01", true},
    {"01-" ID "-" SPAN "-01-what-comes-later", true},
    {"cc-" ID "-" SPAN "-01-", true},
    {GOOD "-what-comes-later", false}, /* not in this version */
    {"01-" ID "-" SPAN "-01.x", false},
    {"01-" ID "-" SPAN "-01- x", false},
    {"ff-" ID "-" SPAN "-01", false},
    {"00-" ZEROS16 ZEROS16 "-" SPAN "-01", false},
    {"00-" ID "-" ZEROS16 "-01", false},
    {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01", false},
    {"00-" ID "-" SPAN "-0", false},
    {"00-" ID "-" SPAN "-0x", false},
    {"00-" ID "-" SPAN, false},
    {"00_" ID "-" SPAN "-01", false},
    {"0-" ID "-" SPAN "-001", false},
    {"00-" ID SPAN "--01", false},
    {"", false},
    {GOOD "," GOOD, false},
};

START_TEST(a_parent)
{
    ck_assert_msg(edge_trace_is_parent(cdn_str(parents[_i].value)) == parents[_i].valid, "%s",
                  parents[_i].value);
}
END_TEST

START_TEST(a_request_id)
{
    static const struct {
        const char *value;
        bool valid;
    } rows[] = {{"7b44b05c-0b24-4d2f-a3b1-0a7c5e5a3a11", true},
                {"Root=1-67891233-abcdef012345678912345678", true},
                {"a", true},
                {"a.b_c:d/e+f=g@h~i", true},
                {"", false},
                {"a b", false},
                {"a,b", false},
                {"a;b", false},
                {"a\"b", false},
                {"<script>", false},
                {"${jndi:x}", false},
                {"a%0d", false},
                {"\xc3\xa4", false}};
    char ours[EDGE_REQUEST_ID_SIZE], many[EDGE_REQUEST_ID_MAX + 1];
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        ck_assert_msg(edge_trace_is_request_id(cdn_str(rows[i].value)) == rows[i].valid, "%s", rows[i].value);
    }
    memset(many, 'x', sizeof(many));
    ck_assert(edge_trace_is_request_id((struct cdn_str){many, EDGE_REQUEST_ID_MAX}));
    ck_assert(!edge_trace_is_request_id((struct cdn_str){many, EDGE_REQUEST_ID_MAX + 1}));
    edge_trace_write_request_id(1, 0xabc, ours);
    ck_assert_str_eq(ours, "00000000000000010000000000000abc");
}
END_TEST

START_TEST(the_lines_of_a_request)
{
    struct edge_trace t = {0};
    edge_trace_note(&t, CDN_STR("TraceParent"), CDN_STR(" " GOOD " "));
    edge_trace_note(&t, CDN_STR("tracestate"), CDN_STR("a=1"));
    edge_trace_note(&t, CDN_STR("tracestate"), CDN_STR("b=2"));
    edge_trace_note(&t, CDN_STR("X-Request-Id"), CDN_STR("x"));
    edge_trace_check(&t);
    ck_assert(cdn_str_eq(t.parent, CDN_STR(GOOD)) && t.state.p && t.request_id.p);
    edge_trace_note(&t, CDN_STR("traceparent"), CDN_STR(GOOD)); /* which of two? */
    edge_trace_note(&t, CDN_STR("X-Request-ID"), CDN_STR("y"));
    edge_trace_check(&t);
    ck_assert(!t.parent.p && !t.state.p && !t.request_id.p);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("trace");
    tcase_add_loop_test(tc, a_parent, 0, (int)CDN_ARRAY_LEN(parents));
    tcase_add_test(tc, a_request_id);
    tcase_add_test(tc, the_lines_of_a_request);
    Suite *suite = suite_create("trace");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
