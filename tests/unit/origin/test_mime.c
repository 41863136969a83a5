/* origin/mime: the system's table first, the built-in one behind it, also when the system's is
 * missing or odd. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "origin/mime.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

static const struct {
    const char *name, *type;
} builtin[] = {
    {"a.css", "text/css; charset=utf-8"},
    {"a.JS", "text/javascript; charset=utf-8"},
    {"x/a.min.js", "text/javascript; charset=utf-8"},
    {"a.html", "text/html; charset=utf-8"},
    {"a.json", "application/json"},
    {"a.js.map", "application/json"},
    {"a.woff2", "font/woff2"},
    {"a.svg", "image/svg+xml"},
    {"a.webp", "image/webp"},
    {"a.wasm", "application/wasm"},
    {"a.unknown", "application/octet-stream"},
    {"a", "application/octet-stream"},
    {"a.", "application/octet-stream"},
    {".css", "application/octet-stream"},
    {"a.css/b", "application/octet-stream"},
    {"", "application/octet-stream"},
    {"a.extension-that-is-longer-than-any", "application/octet-stream"},
};

START_TEST(test_builtin)
{
    struct origin_mime *mime;
    ck_assert_int_eq(origin_mime_load("/does/not/exist", &mime, NULL), CDN_OK);
    ck_assert_str_eq(origin_mime_find(mime, cdn_str(builtin[_i].name)), builtin[_i].type);
    origin_mime_destroy(mime);
}
END_TEST

static struct origin_mime *load_text(const char *text)
{
    char path[] = "/tmp/mime-test-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    struct origin_mime *mime;
    ck_assert_int_eq(origin_mime_load(path, &mime, NULL), CDN_OK);
    unlink(path);
    return mime;
}

START_TEST(test_file)
{
    struct origin_mime *mime = load_text("# a comment css\n"
                                         "application/x-first\tfoo BAR\r\n"
                                         "application/x-second foo\n"
                                         "text/x-mine   css\n"
                                         "no-type js\n"
                                         "application/none\n"
                                         "\n"
                                         "text/last last");
    ck_assert_str_eq(origin_mime_find(mime, CDN_STR("a.foo")), "application/x-first");
    ck_assert_str_eq(origin_mime_find(mime, CDN_STR("a.bar")), "application/x-first");
    ck_assert_str_eq(origin_mime_find(mime, CDN_STR("a.css")), "text/x-mine; charset=utf-8");
    ck_assert_str_eq(origin_mime_find(mime, CDN_STR("a.js")), "text/javascript; charset=utf-8");
    ck_assert_str_eq(origin_mime_find(mime, CDN_STR("a.last")), "text/last; charset=utf-8");
    origin_mime_destroy(mime);
}
END_TEST

START_TEST(test_unreadable)
{
    struct cdn_error err;
    struct origin_mime *mime = NULL;
    ck_assert_int_eq(origin_mime_load("/", &mime, &err), CDN_IO);
    ck_assert_ptr_null(mime);
    ck_assert_ptr_nonnull(strstr(err.text, "mime_types"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin/mime");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, test_builtin, 0, (int)CDN_ARRAY_LEN(builtin));
    tcase_add_test(tests, test_file);
    tcase_add_test(tests, test_unreadable);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
