/* Problem documents: who gets HTML, and that nothing gets into either form unescaped. */
#include "common/http/server/http_problem.h"
#include "common/mem.h"
#include "common/str.h"

#include <check.h>
#include <stdbool.h>
#include <string.h>

#include "common/banned.h"

static const struct {
    const char *accept; /* NULL: absent */
    bool html;
} wishes[] = {
    {NULL, false},
    {"", false},
    {"*/*", false},
    {"text/*", false},
    {"application/json", false},
    {"text/html", true},
    {"TEXT/HTML", true},
    {" text/html ; level=1", true},
    {"text/html;q=0", false},
    {"text/html;q=0.000", false},
    {"text/html; q=0.001", true},
    {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true},
    {"application/json, text/html", false},
    {"application/json;q=0.9, text/html", true},
    {"application/problem+json, text/html;q=0.9", false},
    {"text/html;q=0.5,application/json;q=0.4", true},
    {"text/html;q=0.45,application/json;q=0.5", false},
    {"text/htmlx", false},
    {",,,;q=1,text/html", true},
    {"text/html;q=nonsense", true},
};

START_TEST(html_for_whoever_asks)
{
    struct cdn_str accept = wishes[_i].accept ? cdn_str(wishes[_i].accept) : (struct cdn_str){0};
    ck_assert_int_eq(http_problem_wants_html(accept), wishes[_i].html);
}
END_TEST

static const struct {
    bool html;
    const char *detail, *has, *has_not;
} bodies[] = {
    {true, "a <script>alert(\"1\")</script> & b", "&lt;script&gt;alert(&quot;1&quot;)", "<script>"},
    {true, "esc \033[31m", "<p>esc  [31m</p>", "\033"},
    {true, NULL, "<h1>404 Not Found</h1>", "<p>"},
    {false, "say \"x\"\n", "\"detail\":\"say \\\"x\\\"\\n\"", "\n"},
    {false, NULL, "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404}", "detail"},
    {false, "\xff", "\"status\":404", "\xff"},
};

START_TEST(bodies_are_escaped)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    const char *type = http_problem_write(bodies[_i].html, 404, bodies[_i].detail, &text);
    ck_assert_str_eq(type, bodies[_i].html ? "text/html; charset=utf-8" : "application/problem+json");
    ck_assert_ptr_nonnull(strstr(text.p, bodies[_i].has));
    ck_assert_ptr_null(strstr(text.p, bodies[_i].has_not));
}
END_TEST

static const struct {
    const char *page, *filled;
} pages[] = {
    {"", ""},
    {"plain", "plain"},
    {"{status} {reason}: {detail} ({request_id})", "404 Not Found: &lt;a&gt; &amp; &#39;b&#39; (0-1)"},
    {"{status}{status}", "404404"},
    {"{{status}}", "{404}"},
    {"{Status} {status } { status} {} {", "{Status} {status } { status} {} {"},
    {"a{color:red}{", "a{color:red}{"},
    {"{statu", "{statu"},
};

START_TEST(own_pages_are_filled_in)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    const struct http_problem_page page = {
        .text = cdn_str(pages[_i].page), .status = 404, .detail = "<a> & 'b'", .request_id = CDN_STR("0-1")};
    http_problem_fill(&page, &out);
    ck_assert_msg(cdn_str_eq(cdn_buf_str(&out), cdn_str(pages[_i].filled)), "%s: %s", pages[_i].page, out.p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_problem");
    TCase *tcase = tcase_create("all");
    tcase_add_loop_test(tcase, html_for_whoever_asks, 0, (int)CDN_ARRAY_LEN(wishes));
    tcase_add_loop_test(tcase, bodies_are_escaped, 0, (int)CDN_ARRAY_LEN(bodies));
    tcase_add_loop_test(tcase, own_pages_are_filled_in, 0, (int)CDN_ARRAY_LEN(pages));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
