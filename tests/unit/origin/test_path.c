/* origin/path: request paths as file names, and what is refused before the kernel is asked. */
#include "common/mem.h"
#include "common/str.h"
#include "origin/base/path.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

#define LENGTH(n) (UINT64_C(1) << ((n)-1))
#define SOME (LENGTH(8) | LENGTH(10) | LENGTH(12) | LENGTH(16) | LENGTH(20) | LENGTH(32))
#define HEX32 "0123456789abcdef0123456789abcdef"

static const struct {
    const char *name;
    bool by_default, by_some; /* with 12 digits; with 8, 10, 12, 16, 20 and 32 */
} hashed[] = {
    {"app.db8f2edc0c8a.js", true, true},
    {"css/app.db8f2edc0c8a.css", true, true},
    {"a.db8f2edc0c8a.min.js", true, true},
    {"a.b.db8f2edc0c8a.js", true, true},
    {"app.123456789012.js", true, true}, /* Django's, by chance without a letter */
    {"app.db8f2edc0c8a", false, false},
    {"app.db8f2edc0c8a.", false, false},
    {".db8f2edc0c8a.js", false, false},
    {"app.DB8F2EDC0C8A.js", false, false},
    {"app.dB8f2edc0c8a.js", false, false},
    {"app.db8f2edc0c8.js", false, false},
    {"app.db8f2edc0c8aa.js", false, false},
    {"app.db8f2edc0c8g.js", false, false},
    {"app.db8f2edc0c8a/x.js", false, false},
    {"app-db8f2edc0c8a.js", true, true},
    {"app-db8f2edc0c8a.js.map", true, true},
    {"app_db8f2edc0c8a.js", false, false},
    {"db8f2edc0c8a.js", false, false},
    {"app-db8f2edc0c8a", false, false},
    {"app-db8f2edc0c8a/x.js", false, false},
    {"-db8f2edc0c8a.js", false, false},
    {"index-4f3a2b1c.js", false, true},
    {"assets/index-4f3a2b1c.js", false, true},
    {"index.4f3a2b1c.js", false, true},
    {"my-long-name-4f3a2b1c.chunk.css", false, true},
    {"index-4F3A2B1C.js", false, false},
    {"index-DiwrgTda.js", false, false}, /* base64url, as Vite writes by default: looks like a word */
    {"index-4f3a_b1c.js", false, false},
    {"index-4f3a2b1.js", false, false},
    {"index-4f3a2b1cd.js", false, false},
    {"index-4f3a2b1c", false, false},
    {".index-4f3a2b1c", false, false},
    {"report-20240131.pdf", false, false}, /* a date */
    {"report.20240131.pdf", false, false},
    {"backup-202401311230.tar.gz", false, false},
    {"photo-0123456789.jpg", false, false},
    {"app.4f3a2b1c9d.js", false, true},
    {"app-0123456789abcdef.js", false, true},
    {"app.0123456789abcdef0123.js", false, true},
    {"app." HEX32 ".js", false, true},
    {"app-" HEX32 ".woff2", false, true},
    {"app." HEX32 HEX32 ".js", false, false},
    {"app." HEX32 HEX32 "a.js", false, false},
    {"550e8400-e29b-41d4-a716-446655440abc.png", false, false}, /* UUIDs */
    {"photo-550E8400-e29b-41d4-a716-446655440abc.png", false, false},
    {"e29b-41d4-a716-446655440abc.png", true, true}, /* too short for one */
    {"app.js", false, false},
    {"a.", false, false},
    {"-.", false, false},
    {"", false, false},
};

START_TEST(test_hashed)
{
    const char *name = hashed[_i].name;
    ck_assert_msg(origin_path_is_hashed(cdn_str(name), LENGTH(12)) == hashed[_i].by_default, "%s", name);
    ck_assert_msg(origin_path_is_hashed(cdn_str(name), SOME) == hashed[_i].by_some, "%s", name);
    ck_assert_msg(!origin_path_is_hashed(cdn_str(name), 0), "%s", name);
}
END_TEST

START_TEST(test_longest_hash)
{
    ck_assert(origin_path_is_hashed(cdn_str("app." HEX32 HEX32 ".js"), LENGTH(64)));
    ck_assert(!origin_path_is_hashed(cdn_str("app." HEX32 HEX32 "a.js"), ~UINT64_C(0)));
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
    tcase_add_test(tests, test_longest_hash);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
