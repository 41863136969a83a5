/* key: one key for one resource (RFC 3986 6.2, RFC 9110 4.2.3), and what is no URL. */
#include "common/mem.h"
#include "common/str.h"
#include "edge/semantics/key.h"

#include <check.h>
#include <stdbool.h>
#include <string.h>

static const struct {
    const char *why;
    bool secure;
    const char *host, *path, *query; /* query NULL: none */
    const char *key;                 /* NULL: refused */
    enum edge_key_error error;
} keys[] = {
    {"plain", false, "a.example", "/x", NULL, "http://a.example/x", EDGE_KEY_OK},
    {"https", true, "a.example", "/x", "q", "https://a.example/x?q", EDGE_KEY_OK},
    {"host case", false, "A.Example", "/X", NULL, "http://a.example/X", EDGE_KEY_OK},
    {"default port", false, "a.example:80", "/", NULL, "http://a.example/", EDGE_KEY_OK},
    {"default port", true, "a.example:443", "/", NULL, "https://a.example/", EDGE_KEY_OK},
    {"the other's default port", true, "a.example:80", "/", NULL, "https://a.example:80/", EDGE_KEY_OK},
    {"empty port", false, "a.example:", "/", NULL, "http://a.example/", EDGE_KEY_OK},
    {"zeros", false, "a.example:08080", "/", NULL, "http://a.example:8080/", EDGE_KEY_OK},
    {"root's dot", false, "a.example.", "/", NULL, "http://a.example/", EDGE_KEY_OK},
    {"IPv6", false, "[2001:DB8::1]:8080", "/", NULL, "http://[2001:db8::1]:8080/", EDGE_KEY_OK},
    {"IPv6, long", false, "[0:0:0:0:0:0:0:1]", "/", NULL, "http://[::1]/", EDGE_KEY_OK},
    {"IPv6, zeros", false, "[2001:0DB8:0::01]", "/", NULL, "http://[2001:db8::1]/", EDGE_KEY_OK},
    {"IPv4 in IPv6", false, "[::ffff:192.0.2.1]:81", "/", NULL, "http://192.0.2.1:81/", EDGE_KEY_OK},
    {"root's dot and port", false, "a.example.:080", "/", NULL, "http://a.example/", EDGE_KEY_OK},
    {"IPv6 without port", false, "[::1]", "/", NULL, "http://[::1]/", EDGE_KEY_OK},
    {"empty path", false, "a.example", "", NULL, "http://a.example/", EDGE_KEY_OK},
    {"empty path, query", false, "a.example", "", "a", "http://a.example/?a", EDGE_KEY_OK},
    {"empty query differs from none", false, "a.example", "/", "", "http://a.example/?", EDGE_KEY_OK},
    {"hex digits", false, "a.example", "/%e2%82%ac", NULL, "http://a.example/%E2%82%AC", EDGE_KEY_OK},
    {"unreserved", false, "a.example", "/%7Euser/%41%2d%2E%5f", NULL, "http://a.example/~user/A-._",
     EDGE_KEY_OK},
    {"reserved stay", false, "a.example", "/a%2fb%3Fc%26", NULL, "http://a.example/a%2Fb%3Fc%26",
     EDGE_KEY_OK},
    {"once only", false, "a.example", "/%2541", NULL, "http://a.example/%2541", EDGE_KEY_OK},
    {"stray %", false, "a.example", "/100%", NULL, NULL, EDGE_KEY_PERCENT},
    {"stray %", false, "a.example", "/%zz", NULL, NULL, EDGE_KEY_PERCENT},
    {"stray %", false, "a.example", "/a%4", NULL, NULL, EDGE_KEY_PERCENT},
    {"stray %", false, "a.example", "/a%4g", NULL, NULL, EDGE_KEY_PERCENT},
    {"stray %", false, "a.example", "/%%65A", NULL, NULL, EDGE_KEY_PERCENT},
    {"stray % in the query", false, "a.example", "/", "a=100%", NULL, EDGE_KEY_PERCENT},
    {"encoded %", false, "a.example", "/100%25", NULL, "http://a.example/100%25", EDGE_KEY_OK},
    {"encoded % before digits", false, "a.example", "/%252e%252e/x", NULL, "http://a.example/%252e%252e/x",
     EDGE_KEY_OK},
    {"encoded NUL", false, "a.example", "/a%00.css", NULL, "http://a.example/a%00.css", EDGE_KEY_OK},
    {"backslash", false, "a.example", "/a\\..\\b%5c", NULL, "http://a.example/a\\..\\b%5C", EDGE_KEY_OK},
    {"encoded slash and dots", false, "a.example", "/a%2f..%2fb", NULL, "http://a.example/a%2F..%2Fb",
     EDGE_KEY_OK},
    {"dots and empty segments", false, "a.example", "/.//a", NULL, "http://a.example//a", EDGE_KEY_OK},
    {"dots and empty segments", false, "a.example", "/a/..//b", NULL, "http://a.example//b", EDGE_KEY_OK},
    {"raw bytes", false, "a.example", "/\xc3\xa9", NULL, "http://a.example/%C3%A9", EDGE_KEY_OK},
    {"dot segments", false, "a.example", "/a/./b/../c", NULL, "http://a.example/a/c", EDGE_KEY_OK},
    {"dot segments at the end", false, "a.example", "/a/b/..", NULL, "http://a.example/a/", EDGE_KEY_OK},
    {"dot segments at the end", false, "a.example", "/a/.", NULL, "http://a.example/a/", EDGE_KEY_OK},
    {"dot segments above the root", false, "a.example", "/../../x", NULL, "http://a.example/x", EDGE_KEY_OK},
    {"encoded dot segments", false, "a.example", "/a/%2e%2E/x", NULL, "http://a.example/x", EDGE_KEY_OK},
    {"no dot segments", false, "a.example", "/.a/..b/...", NULL, "http://a.example/.a/..b/...", EDGE_KEY_OK},
    {"only dots", false, "a.example", "/..", NULL, "http://a.example/", EDGE_KEY_OK},
    {"empty segments stay", false, "a.example", "//a///b", NULL, "http://a.example//a///b", EDGE_KEY_OK},
    {"dots in a query stay", false, "a.example", "/", "a=/../b", "http://a.example/?a=/../b", EDGE_KEY_OK},
    {"query's encoding", false, "a.example", "/", "a=%7e%2f", "http://a.example/?a=~%2F", EDGE_KEY_OK},
    {"plus stays", false, "a.example", "/", "a+b%20c", "http://a.example/?a+b%20c", EDGE_KEY_OK},
    {"no host", false, "", "/", NULL, NULL, EDGE_KEY_HOST},
    {"userinfo", false, "u@a.example", "/", NULL, NULL, EDGE_KEY_HOST},
    {"host with a slash", false, "a/b", "/", NULL, NULL, EDGE_KEY_HOST},
    {"host with a space", false, "a b", "/", NULL, NULL, EDGE_KEY_HOST},
    {"empty label", false, "a..example", "/", NULL, NULL, EDGE_KEY_HOST},
    {"empty label", false, "a..", "/", NULL, NULL, EDGE_KEY_HOST},
    {"empty label", false, ".", "/", NULL, NULL, EDGE_KEY_HOST},
    {"port", false, "a.example:65536", "/", NULL, NULL, EDGE_KEY_HOST},
    {"port", false, "a.example:8x", "/", NULL, NULL, EDGE_KEY_HOST},
    {"two ports", false, "a.example:1:2", "/", NULL, NULL, EDGE_KEY_HOST},
    {"IPv6", false, "[::1", "/", NULL, NULL, EDGE_KEY_HOST},
    {"IPv6", false, "[xyz]", "/", NULL, NULL, EDGE_KEY_HOST},
    {"no slash", false, "a.example", "x", NULL, NULL, EDGE_KEY_PATH},
    {"asterisk", false, "a.example", "*", NULL, NULL, EDGE_KEY_PATH},
    {"space", false, "a.example", "/a b", NULL, NULL, EDGE_KEY_PATH},
    {"control", false, "a.example", "/a\nb", NULL, NULL, EDGE_KEY_PATH},
    {"fragment", false, "a.example", "/a#b", NULL, NULL, EDGE_KEY_PATH},
    {"fragment in the query", false, "a.example", "/a", "b#c", NULL, EDGE_KEY_PATH},
};

static enum edge_key_error build(bool secure, const char *host, const char *path, const char *query,
                                 const struct edge_query_policy *policy, char *into, size_t size,
                                 struct cdn_str *key)
{
    struct edge_key_parts parts = {secure, cdn_str(host), cdn_str(path), {query, query ? strlen(query) : 0}};
    return edge_key_build(&parts, policy, into, size, key);
}

START_TEST(key_rows)
{
    const struct edge_query_policy all = {.mode = EDGE_QUERY_ALL};
    char into[EDGE_KEY_MAX], again[EDGE_KEY_MAX];
    struct cdn_str key = {NULL, 0}, key2;
    struct edge_key_parts parts;
    enum edge_key_error e =
        build(keys[_i].secure, keys[_i].host, keys[_i].path, keys[_i].query, &all, into, sizeof(into), &key);
    ck_assert_msg(e == keys[_i].error, "%s: %d", keys[_i].why, e);
    ck_assert_msg(cdn_str_eq(key, cdn_str(keys[_i].key)), "%s: " CDN_STR_FMT, keys[_i].why, CDN_STR_ARG(key));
    if (key.p) { /* normalising is idempotent */
        ck_assert(edge_key_split(key, &parts));
        ck_assert_int_eq(edge_key_build(&parts, &all, again, sizeof(again), &key2), EDGE_KEY_OK);
        ck_assert_msg(cdn_str_eq(key, key2), "%s: " CDN_STR_FMT, keys[_i].why, CDN_STR_ARG(key2));
    }
}
END_TEST

static const struct cdn_str allowed[] = {{"v", 1}, {"id", 2}};
static const struct cdn_str ignored[] = {{"utm_*", 5}, {"fbclid", 6}};
static const struct {
    struct edge_query_policy policy;
    const char *query, *left; /* with the '?' */
} queries[] = {
    {{.mode = EDGE_QUERY_ALL}, "b=2&a=1&&", "?b=2&a=1&&"},
    {{.mode = EDGE_QUERY_NONE}, "b=2", ""},
    {{.mode = EDGE_QUERY_SORT}, "b=2&a=1&c", "?a=1&b=2&c"},
    {{.mode = EDGE_QUERY_SORT}, "a=2&b&a=1", "?a=2&a=1&b"},
    {{.mode = EDGE_QUERY_SORT}, "ab=1&a=2", "?a=2&ab=1"},
    {{.mode = EDGE_QUERY_SORT}, "%62=1&a", "?a&b=1"},
    {{.mode = EDGE_QUERY_SORT}, "", ""},
    {{.mode = EDGE_QUERY_SORT}, "&&", ""},
    {{.mode = EDGE_QUERY_ALLOW, .allow = allowed, .allow_count = 2}, "utm=x&v=1&id=2&idx=3", "?v=1&id=2"},
    {{.mode = EDGE_QUERY_ALLOW, .allow = allowed, .allow_count = 2, .sort = true}, "v=1&id=2", "?id=2&v=1"},
    {{.mode = EDGE_QUERY_ALLOW, .allow = allowed, .allow_count = 2}, "utm=x", ""},
    {{.ignore = ignored, .ignore_count = 2}, "b=2&utm_source=x&a=1&&c", "?b=2&a=1&&c"},
    {{.ignore = ignored, .ignore_count = 2}, "fbclid=1", ""},
    {{.ignore = ignored, .ignore_count = 2}, "fbclid", ""},
    {{.ignore = ignored, .ignore_count = 2}, "fbclid=1&utm_=", ""},
    {{.ignore = ignored, .ignore_count = 2}, "", "?"},
    {{.ignore = ignored, .ignore_count = 2}, "&fbclid=1", "?"},
    {{.ignore = ignored, .ignore_count = 2}, "fbclids=1&utm&xutm_a=1", "?fbclids=1&utm&xutm_a=1"},
    {{.ignore = ignored, .ignore_count = 2}, "%66bclid=1&a=%2f", "?a=%2F"},
    {{.ignore = ignored, .ignore_count = 2}, "a=fbclid&b==utm_x", "?a=fbclid&b==utm_x"},
    {{.mode = EDGE_QUERY_SORT, .ignore = ignored, .ignore_count = 2}, "c&utm_x=1&a", "?a&c"},
    {{.mode = EDGE_QUERY_NONE, .ignore = ignored, .ignore_count = 2}, "c&utm_x=1&a", ""},
    {{.mode = EDGE_QUERY_ALLOW, .allow = ignored + 1, .allow_count = 1, .ignore = ignored, .ignore_count = 2},
     "fbclid=1",
     ""},
};

START_TEST(query_rows)
{
    char into[EDGE_KEY_MAX];
    struct cdn_str key = {NULL, 0};
    ck_assert_int_eq(build(false, "a", "/", queries[_i].query, &queries[_i].policy, into, sizeof(into), &key),
                     EDGE_KEY_OK);
    ck_assert_msg(cdn_str_eq(cdn_str_sub(key, 9), cdn_str(queries[_i].left)), "%s: " CDN_STR_FMT,
                  queries[_i].query, CDN_STR_ARG(key));
}
END_TEST

START_TEST(the_length_is_limited)
{
    static char path[EDGE_KEY_MAX + 2], into[2 * EDGE_KEY_MAX];
    const struct edge_query_policy all = {.mode = EDGE_QUERY_ALL}, sort = {.mode = EDGE_QUERY_SORT};
    struct cdn_str key = {NULL, 0};
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    ck_assert_int_eq(build(false, "a", path, NULL, &all, into, sizeof(into), &key), EDGE_KEY_LENGTH);
    ck_assert_int_eq(build(false, "a", "/", path + 1, &sort, into, sizeof(into), &key), EDGE_KEY_LENGTH);
    ck_assert_int_eq(build(false, "a", "/abc", NULL, &all, into, 11, &key), EDGE_KEY_LENGTH);
    ck_assert_int_eq(build(false, "a", "/abc", NULL, &all, into, 12, &key), EDGE_KEY_OK);
    ck_assert_uint_eq(edge_key_error_status(EDGE_KEY_LENGTH), 414);
}
END_TEST

START_TEST(parts_of_a_key)
{
    struct cdn_str key = CDN_STR("https://a.example:8443/x/y?z=http://b/");
    ck_assert(cdn_str_eq(edge_key_target(key), CDN_STR("/x/y?z=http://b/")));
    ck_assert(cdn_str_eq(edge_key_path(key), CDN_STR("/x/y")));
    ck_assert(cdn_str_eq(edge_key_host(key), CDN_STR("a.example:8443")));
}
END_TEST

static const struct {
    const char *name;
    const char *digits; /* NULL: no content-hashed name */
} names[] = {
    {"/static/app.db8f2edc0c8a.js", "db8f2edc0c8a"},
    {"http://a/app.db8f2edc0c8a.js?x=1", "db8f2edc0c8a"},
    {"/app.min.db8f2edc0c8a.css.map", "db8f2edc0c8a"},
    {"/a.aaaaaaaaaaaa.bbbbbbbbbbbb.js", "bbbbbbbbbbbb"},
    {"/a.db8f2edc0c8a.b", "db8f2edc0c8a"},
    {"/app.DB8F2EDC0C8A.js", NULL},
    {"/app.db8f2edc0c8.js", NULL},
    {"http://a/app.db8f2edc0c8a.js#query:00", NULL}, /* what a QUERY asks is no file */
    {"http://a/app.db8f2edc0c8a.js?x#query:00", NULL},
    {"/app.db8f2edc0c8aa.js", NULL},
    {"/app.db8f2edc0c8g.js", NULL},
    {"/app.db8f2edc0c8a", NULL},
    {"/app.db8f2edc0c8a.", NULL},
    {"/.db8f2edc0c8a.js", NULL},
    {"/app.db8f2edc0c8a.js/x", NULL},
    {"/x?app.db8f2edc0c8a.js", NULL},
    {"", NULL},
};

START_TEST(hashed_name_rows)
{
    struct cdn_str digits = {NULL, 0};
    bool ok = edge_key_hashed(cdn_str(names[_i].name), &digits);
    ck_assert_msg(ok == (names[_i].digits != NULL) && cdn_str_eq(digits, cdn_str(names[_i].digits)), "%s",
                  names[_i].name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("key");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, key_rows, 0, (int)CDN_ARRAY_LEN(keys));
    tcase_add_loop_test(rows, query_rows, 0, (int)CDN_ARRAY_LEN(queries));
    tcase_add_loop_test(rows, hashed_name_rows, 0, (int)CDN_ARRAY_LEN(names));
    tcase_add_test(rows, the_length_is_limited);
    tcase_add_test(rows, parts_of_a_key);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
