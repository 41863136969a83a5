/* origin/path: request paths as file names, and what is refused before the kernel is asked. */
#include "origin/path.h"

#include <check.h>
#include <stdio.h>

#include "common/banned.h"

static const struct {
    const char *raw;
    enum origin_path_result result;
    const char *name;
    bool is_folder;
} rows[] = {
    {"/", ORIGIN_PATH_OK, "", true},
    {"/a", ORIGIN_PATH_OK, "a", false},
    {"/a/", ORIGIN_PATH_OK, "a", true},
    {"/a/b.css", ORIGIN_PATH_OK, "a/b.css", false},
    {"/%61%2Ecss", ORIGIN_PATH_OK, "a.css", false},
    {"/caf%C3%A9", ORIGIN_PATH_OK, "caf\xc3\xa9", false},
    {"/a%20b+c", ORIGIN_PATH_OK, "a b+c", false},
    {"/a%25b", ORIGIN_PATH_OK, "a%b", false},
    {"/%252e%252e/x", ORIGIN_PATH_OK, "%2e%2e/x", false}, /* undone once only */
    {"/.well-known/security.txt", ORIGIN_PATH_OK, ".well-known/security.txt", false},
    {"/a..b/...c", ORIGIN_PATH_HIDDEN, NULL, false},
    {"/a..b/c..", ORIGIN_PATH_OK, "a..b/c..", false},
    {"", ORIGIN_PATH_MALFORMED, NULL, false},
    {"a", ORIGIN_PATH_MALFORMED, NULL, false},
    {"*", ORIGIN_PATH_MALFORMED, NULL, false},
    {"/..", ORIGIN_PATH_MALFORMED, NULL, false},
    {"/../etc/passwd", ORIGIN_PATH_MALFORMED, NULL, false},
    {"/a/../b", ORIGIN_PATH_MALFORMED, NULL, false},
    {"/a/./b", ORIGIN_PATH_MALFORMED, NULL, false},
    {"/%2e%2e/etc/passwd", ORIGIN_PATH_MALFORMED, NULL, false},
    {"/%2E%2e/", ORIGIN_PATH_MALFORMED, NULL, false},
    {"/.%2e/x", ORIGIN_PATH_MALFORMED, NULL, false},
    {"/a%00.css", ORIGIN_PATH_MALFORMED, NULL, false},
    {"/a%0d%0ab", ORIGIN_PATH_MALFORMED, NULL, false},
    {"/a%7f", ORIGIN_PATH_MALFORMED, NULL, false},
    {"/%", ORIGIN_PATH_MALFORMED, NULL, false},
    {"/%4", ORIGIN_PATH_MALFORMED, NULL, false},
    {"/%zz", ORIGIN_PATH_MALFORMED, NULL, false},
    {"/%4/", ORIGIN_PATH_MALFORMED, NULL, false},
    {"/..%2fetc", ORIGIN_PATH_ABSENT, NULL, false},
    {"/a%2Fb", ORIGIN_PATH_ABSENT, NULL, false},
    {"/a%2f", ORIGIN_PATH_ABSENT, NULL, false},
    {"/..%5cetc", ORIGIN_PATH_ABSENT, NULL, false},
    {"/a\\b", ORIGIN_PATH_ABSENT, NULL, false},
    {"//a", ORIGIN_PATH_ABSENT, NULL, false},
    {"//", ORIGIN_PATH_ABSENT, NULL, false},
    {"/a//", ORIGIN_PATH_ABSENT, NULL, false},
    {"/a//b", ORIGIN_PATH_ABSENT, NULL, false},
    {"/.env", ORIGIN_PATH_HIDDEN, NULL, false},
    {"/.git/config", ORIGIN_PATH_HIDDEN, NULL, false},
    {"/a/.htaccess", ORIGIN_PATH_HIDDEN, NULL, false},
    {"/%2eenv", ORIGIN_PATH_HIDDEN, NULL, false},
    {"/a/.well-known/x", ORIGIN_PATH_HIDDEN, NULL, false},
    {"/.well-known/.x", ORIGIN_PATH_HIDDEN, NULL, false},
    {"/.well-knowns", ORIGIN_PATH_HIDDEN, NULL, false},
};

START_TEST(test_decode)
{
    struct origin_path path;
    enum origin_path_result r = origin_path_decode(cdn_str(rows[_i].raw), &path);
    ck_assert_msg(r == rows[_i].result, "%s: result %d", rows[_i].raw, (int)r);
    if (r == ORIGIN_PATH_OK) {
        ck_assert_str_eq(path.name, rows[_i].name);
        ck_assert_uint_eq(path.n, strlen(rows[_i].name));
        ck_assert_int_eq(path.is_folder, rows[_i].is_folder);
    }
}
END_TEST

START_TEST(test_nul_byte)
{
    struct origin_path path;
    ck_assert_int_eq(origin_path_decode((struct cdn_str){"/a\0b", 4}, &path), ORIGIN_PATH_MALFORMED);
}
END_TEST

/* A path of `n` bytes behind the slash, all 'a', with a slash after every `every` of them. */
static enum origin_path_result decode_long(size_t n, size_t every)
{
    struct origin_path path;
    char *raw = cdn_malloc(n + 1);
    for (size_t i = 0; i <= n; i++) {
        raw[i] = i % (every + 1) ? 'a' : '/';
    }
    raw[n] = 'a';
    enum origin_path_result r = origin_path_decode((struct cdn_str){raw, n + 1}, &path);
    free(raw);
    return r;
}

START_TEST(test_limits)
{
    ck_assert_int_eq(decode_long(255, 1000), ORIGIN_PATH_OK);
    ck_assert_int_eq(decode_long(256, 1000), ORIGIN_PATH_ABSENT);
    ck_assert_int_eq(decode_long(ORIGIN_PATH_MAX - 1, 100), ORIGIN_PATH_OK);
    ck_assert_int_eq(decode_long(ORIGIN_PATH_MAX, 100), ORIGIN_PATH_LONG);
    ck_assert_uint_eq(origin_path_status(ORIGIN_PATH_LONG), 414);
    ck_assert_uint_eq(origin_path_status(ORIGIN_PATH_HIDDEN), 403);
    ck_assert_uint_eq(strlen(origin_path_detail(ORIGIN_PATH_OK)), 0);
}
END_TEST

static const struct {
    const char *name;
    bool is_hashed;
} hashed[] = {
    {"app.db8f2edc0c8a.js", true},
    {"css/app.db8f2edc0c8a.css", true},
    {"a.db8f2edc0c8a.min.js", true},
    {"a.b.db8f2edc0c8a.js", true},
    {"app.db8f2edc0c8a", false},
    {"app.db8f2edc0c8a.", false},
    {".db8f2edc0c8a.js", false},
    {"app.DB8F2EDC0C8A.js", false},
    {"app.db8f2edc0c8.js", false},
    {"app.db8f2edc0c8aa.js", false},
    {"app.db8f2edc0c8g.js", false},
    {"app.db8f2edc0c8a/x.js", false},
    {"app.js", false},
    {"", false},
};

START_TEST(test_hashed)
{
    ck_assert_msg(origin_path_is_hashed(cdn_str(hashed[_i].name)) == hashed[_i].is_hashed, "%s",
                  hashed[_i].name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin/path");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, test_decode, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(tests, test_nul_byte);
    tcase_add_test(tests, test_limits);
    tcase_add_loop_test(tests, test_hashed, 0, (int)CDN_ARRAY_LEN(hashed));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
