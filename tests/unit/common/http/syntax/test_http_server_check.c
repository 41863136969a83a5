/* http_server_check: rows of what a head may say (RFC 9112). A row that passes wrongly is a
 * request that another server reads in another way. */
#include "common/http/syntax/http_message.h"
#include "common/http/syntax/http_server_check.h"
#include "common/mem.h"
#include "common/str.h"
#include "tests/unit/common/net_help.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ROWS(table) (int)CDN_ARRAY_LEN(table)

static const struct {
    const char *host;
    bool good;
} hosts[] = {
    {"a", true},
    {"example.com", true},
    {"example.com:80", true},
    {"example.com:", true},
    {"127.0.0.1:8088", true},
    {"[::1]", true},
    {"[2001:db8::1]:8080", true},
    {"a_b-c.d~e", true},
    {"x%41y", true},
    {"", false},
    {":80", false},
    {"a:65536", false},
    {"a:123456", false},
    {"a:8x", false},
    {"a:-1", false},
    {"a b", false},
    {"a/b", false},
    {"a?b", false},
    {"u@a", false},
    {"a\\b", false},
    {"a%4", false},
    {"a%4g", false},
    {"[::1", false},
    {"[]", false},
    {"[::1]x", false},
    {"[1.2.3.4]", false},
    {"::1", false},
    {"a\x01", false},
    {"a\xc3\xa4", false},
    {"a\"b", false},
    {"a<b>", false},
};

START_TEST(host)
{
    ck_assert_msg(http_check_host(cdn_str(hosts[_i].host)) == hosts[_i].good, "%s", hosts[_i].host);
}
END_TEST

static const struct {
    const char *target;
    enum http_method method;
    enum http_refusal refusal;
    const char *authority, *path, *query; /* NULL: absent */
} targets[] = {
    {"/", HTTP_GET, HTTP_REFUSE_NONE, NULL, "/", NULL},
    {"/a?b", HTTP_GET, HTTP_REFUSE_NONE, NULL, "/a", "b"},
    {"/a?", HTTP_GET, HTTP_REFUSE_NONE, NULL, "/a", ""},
    {"/a?b?c", HTTP_GET, HTTP_REFUSE_NONE, NULL, "/a", "b?c"},
    {"//a//b", HTTP_GET, HTTP_REFUSE_NONE, NULL, "//a//b", NULL},
    {"/%7Ea/../b", HTTP_GET, HTTP_REFUSE_NONE, NULL, "/%7Ea/../b", NULL},
    {"*", HTTP_OPTIONS, HTTP_REFUSE_NONE, NULL, "*", NULL},
    {"*", HTTP_GET, HTTP_REFUSE_TARGET, NULL, NULL, NULL},
    {"http://a/b?c", HTTP_GET, HTTP_REFUSE_NONE, "a", "/b", "c"},
    {"HTTPS://a:1/b", HTTP_GET, HTTP_REFUSE_NONE, "a:1", "/b", NULL},
    {"http://a", HTTP_GET, HTTP_REFUSE_NONE, "a", "/", NULL},
    {"http://a?q", HTTP_GET, HTTP_REFUSE_NONE, "a", "/", "q"},
    {"http://a", HTTP_OPTIONS, HTTP_REFUSE_NONE, "a", "*", NULL},
    {"http:///b", HTTP_GET, HTTP_REFUSE_HOST_INVALID, NULL, NULL, NULL},
    {"http://u@a/b", HTTP_GET, HTTP_REFUSE_HOST_INVALID, NULL, NULL, NULL},
    {"ftp://a/b", HTTP_GET, HTTP_REFUSE_SCHEME, NULL, NULL, NULL},
    {"javascript:x", HTTP_GET, HTTP_REFUSE_SCHEME, NULL, NULL, NULL},
    {"http:/a", HTTP_GET, HTTP_REFUSE_TARGET, NULL, NULL, NULL},
    {"a.com:443", HTTP_GET, HTTP_REFUSE_SCHEME, NULL, NULL, NULL},
    {"a/b", HTTP_GET, HTTP_REFUSE_TARGET, NULL, NULL, NULL},
    {"", HTTP_GET, HTTP_REFUSE_TARGET, NULL, NULL, NULL},
    {"?a", HTTP_GET, HTTP_REFUSE_TARGET, NULL, NULL, NULL},
    {"/a#b", HTTP_GET, HTTP_REFUSE_FRAGMENT, NULL, NULL, NULL},
    {"/a?b#c", HTTP_GET, HTTP_REFUSE_FRAGMENT, NULL, NULL, NULL},
    {"/a b", HTTP_GET, HTTP_REFUSE_TARGET, NULL, NULL, NULL},
    {"/a\tb", HTTP_GET, HTTP_REFUSE_TARGET, NULL, NULL, NULL},
    {"/a\x7f", HTTP_GET, HTTP_REFUSE_TARGET, NULL, NULL, NULL},
    {"/\xc3\xa4", HTTP_GET, HTTP_REFUSE_TARGET, NULL, NULL, NULL},
    {"/a\rb", HTTP_GET, HTTP_REFUSE_TARGET, NULL, NULL, NULL},
};

static void same(struct cdn_str got, const char *expected, const char *of)
{
    ck_assert_msg(!got.p == !expected && (!got.p || cdn_str_eq(got, cdn_str(expected))),
                  "%s: '%.*s', not '%s'", of, CDN_STR_ARG(got), expected ? expected : "(none)");
}

START_TEST(target)
{
    struct http_target t;
    enum http_refusal r = http_check_target(targets[_i].method, cdn_str(targets[_i].target), &t);
    ck_assert_msg(r == targets[_i].refusal, "%s: %s", targets[_i].target, http_refusal_detail(r));
    if (!r) {
        same(t.authority, targets[_i].authority, targets[_i].target);
        same(t.path, targets[_i].path, targets[_i].target);
        same(t.query, targets[_i].query, targets[_i].target);
    }
}
END_TEST

static const struct {
    unsigned length_lines, coding_lines;
    const char *length, *coding;
    bool http10;
    enum http_refusal refusal;
    int64_t expected;
    bool chunked;
} framings[] = {
    {0, 0, NULL, NULL, false, HTTP_REFUSE_NONE, -1, false},
    {1, 0, "0", NULL, false, HTTP_REFUSE_NONE, 0, false},
    {1, 0, "9223372036854775807", NULL, false, HTTP_REFUSE_NONE, INT64_MAX, false},
    {1, 0, "9223372036854775808", NULL, false, HTTP_REFUSE_LENGTH_INVALID, -1, false},
    {1, 0, "99999999999999999999999", NULL, false, HTTP_REFUSE_LENGTH_INVALID, -1, false},
    {1, 0, "5, 5", NULL, false, HTTP_REFUSE_LENGTH_INVALID, -1, false},
    {1, 0, "+5", NULL, false, HTTP_REFUSE_LENGTH_INVALID, -1, false},
    {1, 0, "-5", NULL, false, HTTP_REFUSE_LENGTH_INVALID, -1, false},
    {1, 0, "0x5", NULL, false, HTTP_REFUSE_LENGTH_INVALID, -1, false},
    {1, 0, "", NULL, false, HTTP_REFUSE_LENGTH_INVALID, -1, false},
    {2, 0, "5", NULL, false, HTTP_REFUSE_LENGTH_TWICE, -1, false},
    {1, 1, "5", "chunked", false, HTTP_REFUSE_LENGTH_AND_CODING, -1, false},
    {0, 1, NULL, "chunked", false, HTTP_REFUSE_NONE, -1, true},
    {0, 1, NULL, "Chunked", false, HTTP_REFUSE_NONE, -1, true},
    {0, 1, NULL, "chunked", true, HTTP_REFUSE_CODING_OLD, -1, false},
    {0, 2, NULL, "chunked", false, HTTP_REFUSE_CODING_INVALID, -1, false},
    {0, 1, NULL, "chunked, chunked", false, HTTP_REFUSE_CODING_INVALID, -1, false},
    {0, 1, NULL, "chunked, gzip", false, HTTP_REFUSE_CODING_INVALID, -1, false},
    {0, 1, NULL, "identity", false, HTTP_REFUSE_CODING_INVALID, -1, false},
    {0, 1, NULL, "xchunked", false, HTTP_REFUSE_CODING_INVALID, -1, false},
    {0, 1, NULL, "", false, HTTP_REFUSE_CODING_INVALID, -1, false},
    {0, 1, NULL, "gzip, chunked", false, HTTP_REFUSE_CODING_UNKNOWN, -1, false},
};

START_TEST(framing)
{
    struct http_framing f = {framings[_i].length_lines, framings[_i].coding_lines,
                             cdn_str(framings[_i].length), cdn_str(framings[_i].coding), framings[_i].http10};
    int64_t length;
    bool chunked;
    enum http_refusal r = http_check_framing(&f, &length, &chunked);
    ck_assert_msg(r == framings[_i].refusal, "row %d: %s", _i, http_refusal_detail(r));
    if (!r) {
        ck_assert(length == framings[_i].expected && chunked == framings[_i].chunked);
    }
}
END_TEST

START_TEST(field_values_have_no_controls_wherever_they_stand)
{
    for (size_t n = 1; n < 40; n++) {
        for (size_t at = 0; at < n; at++) {
            for (int c = 0; c < 256; c++) {
                char text[40];
                memset(text, 'a', n);
                text[at] = (char)c;
                bool good = c == '\t' || (c >= 0x20 && c != 0x7f);
                ck_assert_msg(http_check_field_value((struct cdn_str){text, n}) == good, "%d at %zu", c, at);
            }
        }
    }
    ck_assert(http_check_field_value(CDN_STR("")));
    ck_assert(http_check_field_value(CDN_STR("\ttext\twith\ttabs\t")));
    ck_assert(!http_check_field_value(CDN_STR("\ttext\twith\ttabs and\x1f")));
}
END_TEST

START_TEST(tokens)
{
    for (int c = 0; c < 256; c++) {
        char text[] = {'a', (char)c, 'b'};
        bool good = c && (strchr("!#$%&'*+-.^_`|~", c) || (c >= '0' && c <= '9') ||
                          ((c | 32) >= 'a' && (c | 32) <= 'z'));
        ck_assert_msg(http_check_token((struct cdn_str){text, 3}) == good, "%d", c);
    }
    ck_assert(!http_check_token(CDN_STR("")));
}
END_TEST

START_TEST(methods_are_case_sensitive)
{
    ck_assert_int_eq(http_method_parse(CDN_STR("GET")), HTTP_GET);
    ck_assert_int_eq(http_method_parse(CDN_STR("OPTIONS")), HTTP_OPTIONS);
    ck_assert_int_eq(http_method_parse(CDN_STR("PURGE")), HTTP_PURGE);
    ck_assert_int_eq(http_method_parse(CDN_STR("QUERY")), HTTP_QUERY);
    ck_assert_int_eq(http_method_parse(CDN_STR("Query")), HTTP_OTHER);
    ck_assert_int_eq(http_method_parse(CDN_STR("get")), HTTP_OTHER);
    ck_assert_int_eq(http_method_parse(CDN_STR("GE")), HTTP_OTHER);
    ck_assert_int_eq(http_method_parse(CDN_STR("GETS")), HTTP_OTHER);
    ck_assert_int_eq(http_method_parse(CDN_STR("PROPPATCH")), HTTP_OTHER);
}
END_TEST

static const struct {
    const char *path;
    bool dots;
} dotted[] = {{"/", false},       {"/..", true},      {"/a/./b", true}, {"/a/%2e%2E", true},
              {"/a/.%2e/", true}, {"/.a/..b", false}, {"/...", false},  {"/a.b/%2e%2f", false},
              {"", false},        {"/a/.", true},     {"/%2e%2", false}};

START_TEST(finds_dots)
{
    ck_assert_int_eq(http_path_has_dots(cdn_str(dotted[_i].path)), dotted[_i].dots);
}
END_TEST

static void fill(TCase *all)
{
    tcase_add_loop_test(all, finds_dots, 0, ROWS(dotted));
    tcase_add_loop_test(all, host, 0, ROWS(hosts));
    tcase_add_loop_test(all, target, 0, ROWS(targets));
    tcase_add_loop_test(all, framing, 0, ROWS(framings));
    tcase_add_test(all, field_values_have_no_controls_wherever_they_stand);
    tcase_add_test(all, tokens);
    tcase_add_test(all, methods_are_case_sensitive);
}

int main(void)
{
    return run_suite("http_server_check", fill);
}
