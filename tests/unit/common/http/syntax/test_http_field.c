/* http_field: lists, ETags and the fields of a proxy's own work (RFC 9110 5.6, 7.6, 8.8.3; RFC 8586). */
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/str.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static const struct {
    const char *list;
    const char *elements; /* joined by '|' */
} lists[] = {
    {"a, b,c", "a|b|c"},
    {" ,a,, ,b ,", "a|b"},
    {"a=\"x,y\", b", "a=\"x,y\"|b"},
    {"\"a\\\",b\", c", "\"a\\\",b\"|c"},
    {"\"open, b", "\"open, b"},
    {"", ""},
    {",,,", ""},
};

START_TEST(list_rows)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    struct cdn_str rest = cdn_str(lists[_i].list), element;
    while (http_list_next(&rest, &element)) {
        cdn_buf_add_str(&text, text.n ? CDN_STR("|") : CDN_STR(""));
        cdn_buf_add_str(&text, element);
    }
    ck_assert_msg(cdn_str_eq(cdn_buf_str(&text), cdn_str(lists[_i].elements)), "%s: %s", lists[_i].list,
                  text.p);
}
END_TEST

static const struct {
    const char *text;
    const char *value; /* NULL: refused */
} quoted[] = {
    {"token", "token"}, {"\"a b\"", "a b"}, {"\"a\\\"b\\\\\"", "a\"b\\"},
    {"\"\"", ""},       {"\"open", NULL},   {"a b", NULL},
    {"", NULL},         {"\"a\"b", NULL},   {"\"a\\\"", NULL},
};

START_TEST(unquote_rows)
{
    char out[16];
    size_t n = 0;
    bool ok = http_unquote(cdn_str(quoted[_i].text), out, sizeof(out), &n);
    ck_assert_msg(ok == (quoted[_i].value != NULL), "%s", quoted[_i].text);
    ck_assert(!ok || cdn_str_eq((struct cdn_str){out, n}, cdn_str(quoted[_i].value)));
    ck_assert(!http_unquote(CDN_STR("\"12345678\""), out, 7, &n));
}
END_TEST

static const struct {
    const char *text;
    int64_t s; /* -1: refused */
} seconds[] = {
    {"0", 0},
    {"003600", 3600},
    {"2147483647", 2147483647},
    {"2147483648", 2147483647},
    {"99999999999999999999999999", 2147483647},
    {"", -1},
    {"-1", -1},
    {"+1", -1},
    {"1.0", -1},
    {" 1", -1},
    {"1a", -1},
};

START_TEST(seconds_rows)
{
    int64_t s = -1;
    (void)http_parse_seconds(cdn_str(seconds[_i].text), &s);
    ck_assert_msg(s == seconds[_i].s, "%s", seconds[_i].text);
}
END_TEST

static const struct {
    const char *name, *connection;
    bool hop;
} hops[] = {
    {"Connection", "", true},
    {"keep-alive", "", true},
    {"Proxy-Authenticate", "", true},
    {"Proxy-Authorization", "", true},
    {"TE", "", true},
    {"Trailer", "", true},
    {"Transfer-Encoding", "", true},
    {"Upgrade", "", true},
    {"Proxy-Connection", "", true},
    {"Foo", "", false},
    {"Foo", "close, foo", true},
    {"Foo", "foobar", false},
    {"Cache-Control", "Cache-Control", false},
    {"Host", "host", false},
    {"Trailers", "", false},
};

START_TEST(hop_rows) /* RFC 9110 7.6.1 */
{
    ck_assert_msg(http_is_hop_by_hop(cdn_str(hops[_i].name), cdn_str(hops[_i].connection)) == hops[_i].hop,
                  "%s", hops[_i].name);
}
END_TEST

static const struct {
    const char *text;
    bool ok, weak;
} tags[] = {
    {"\"a\"", true, false},   {"W/\"a\"", true, true},       {"\"\"", true, false},
    {" \"a\" ", true, false}, {"\"\xc3\xbc\"", true, false}, {"w/\"a\"", false, false},
    {"a", false, false},      {"\"a", false, false},         {"W/a", false, false},
    {"W\"a\"", false, false}, {"\"a b\"", false, false},     {"\"a\"b", false, false},
    {"", false, false},       {"*", false, false},
};

START_TEST(etag_rows) /* RFC 9110 8.8.3 */
{
    struct http_etag tag = {.weak = false};
    ck_assert_msg(http_etag_parse(cdn_str(tags[_i].text), &tag) == tags[_i].ok, "%s", tags[_i].text);
    ck_assert_int_eq(tag.weak, tags[_i].weak);
}
END_TEST

static const struct {
    const char *a, *b;
    bool strong, weak;
} comparisons[] = {
    /* the table of RFC 9110 8.8.3.2 */
    {"W/\"1\"", "W/\"1\"", false, true},
    {"W/\"1\"", "W/\"2\"", false, false},
    {"W/\"1\"", "\"1\"", false, true},
    {"\"1\"", "\"1\"", true, true},
};

START_TEST(comparison_rows)
{
    struct http_etag a, b;
    ck_assert(http_etag_parse(cdn_str(comparisons[_i].a), &a) &&
              http_etag_parse(cdn_str(comparisons[_i].b), &b));
    ck_assert_int_eq(http_etag_match_strong(&a, &b), comparisons[_i].strong);
    ck_assert_int_eq(http_etag_match_weak(&a, &b), comparisons[_i].weak);
}
END_TEST

static const struct {
    const char *list;
    bool match; /* weakly with "a,b" */
} tag_lists[] = {
    {"\"a,b\"", true},
    {"\"x\", \"a,b\"", true},
    {"\"x\" , W/\"a,b\" ,", true},
    {"*", true},
    {"\"a\", \"b\"", false},
    {"bad, \"a,b\"", true},
    {"\"x\"y, \"a,b\"", true},
    {"", false},
    {"\"a,b", false},
    {"**", false},
};

START_TEST(tag_list_rows)
{
    struct http_etag tag;
    ck_assert(http_etag_parse(CDN_STR("\"a,b\""), &tag));
    ck_assert_msg(http_etag_list_match(cdn_str(tag_lists[_i].list), &tag, false) == tag_lists[_i].match, "%s",
                  tag_lists[_i].list);
}
END_TEST

static const struct {
    const char *type, *pattern;
    bool match;
} types[] = {
    {"text/html; charset=utf-8", "text/html", true},
    {"Text/HTML", "text/*", true},
    {"text/html", "*", true},
    {"text/html", "*/*", true},
    {"text/html", "text/css", false},
    {"texts/html", "text/*", false},
    {"text", "*", false},
    {"", "*", false},
    {"/html", "*", false},
    {"text/ht ml", "*", false},
};

START_TEST(type_rows)
{
    ck_assert_msg(http_media_type_match(cdn_str(types[_i].type), cdn_str(types[_i].pattern)) ==
                      types[_i].match,
                  "%s", types[_i].type);
}
END_TEST

START_TEST(loops_are_seen) /* RFC 8586 */
{
    CDN_AUTOBUF struct cdn_buf b = {0};
    ck_assert(http_cdn_loop_has(CDN_STR("foo, pocketcdn-fra;v=\"1,2\", bar"), CDN_STR("pocketcdn-fra")));
    ck_assert(
        !http_cdn_loop_has(CDN_STR("foo;x=\"pocketcdn-fra\", pocketcdn-fra2"), CDN_STR("pocketcdn-fra")));
    ck_assert(!http_cdn_loop_has(CDN_STR(""), CDN_STR("pocketcdn-fra")));
    http_cdn_loop_append(&b, CDN_STR(""), CDN_STR("a"));
    ck_assert_str_eq(b.p, "a");
    cdn_buf_clear(&b);
    http_cdn_loop_append(&b, CDN_STR("foo"), CDN_STR("a"));
    ck_assert_str_eq(b.p, "foo, a");
}
END_TEST

START_TEST(via_is_appended) /* RFC 9110 7.6.3 */
{
    CDN_AUTOBUF struct cdn_buf b = {0};
    http_via_append(&b, CDN_STR("1.0 x"), 11, CDN_STR("fra"));
    ck_assert_str_eq(b.p, "1.0 x, 1.1 fra");
    cdn_buf_clear(&b);
    http_via_append(&b, CDN_STR(""), 20, CDN_STR("fra"));
    ck_assert_str_eq(b.p, "2 fra");
}
END_TEST

START_TEST(max_forwards) /* RFC 9110 7.6.2 */
{
    uint32_t n = 9;
    ck_assert(http_max_forwards_parse(CDN_STR(" 0 "), &n) && n == 0);
    ck_assert(http_max_forwards_parse(CDN_STR("99999999999"), &n) && n == UINT32_MAX);
    ck_assert(!http_max_forwards_parse(CDN_STR("-1"), &n) && !http_max_forwards_parse(CDN_STR(""), &n));
}
END_TEST

START_TEST(lines_are_joined) /* RFC 9110 5.3 */
{
    const struct http_field f[] = {
        {CDN_STR("A"), CDN_STR("1")}, {CDN_STR("b"), CDN_STR("x")}, {CDN_STR("a"), CDN_STR("2")}};
    CDN_AUTOBUF struct cdn_buf b = {0};
    struct cdn_str first;
    ck_assert_uint_eq(http_fields_find(f, 3, CDN_STR("a"), &first), 2);
    ck_assert(cdn_str_eq(first, CDN_STR("1")));
    ck_assert(http_fields_join(f, 3, CDN_STR("a"), &b) && !http_fields_join(f, 3, CDN_STR("c"), &b));
    ck_assert_str_eq(b.p, "1, 2");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_field");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, list_rows, 0, (int)CDN_ARRAY_LEN(lists));
    tcase_add_loop_test(rows, unquote_rows, 0, (int)CDN_ARRAY_LEN(quoted));
    tcase_add_loop_test(rows, seconds_rows, 0, (int)CDN_ARRAY_LEN(seconds));
    tcase_add_loop_test(rows, hop_rows, 0, (int)CDN_ARRAY_LEN(hops));
    tcase_add_loop_test(rows, etag_rows, 0, (int)CDN_ARRAY_LEN(tags));
    tcase_add_loop_test(rows, comparison_rows, 0, (int)CDN_ARRAY_LEN(comparisons));
    tcase_add_loop_test(rows, tag_list_rows, 0, (int)CDN_ARRAY_LEN(tag_lists));
    tcase_add_loop_test(rows, type_rows, 0, (int)CDN_ARRAY_LEN(types));
    tcase_add_test(rows, loops_are_seen);
    tcase_add_test(rows, via_is_appended);
    tcase_add_test(rows, max_forwards);
    tcase_add_test(rows, lines_are_joined);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
