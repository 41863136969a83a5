/* Foreign text in lines for people: one line stays one, and nothing in it steers the terminal. */
#include "cli/base/print.h"
#include "cli/base/terminal.h"
#include "common/mem.h"
#include "common/str.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "common/banned.h"

/* What `print` writes to a stream. */
static void capture(FILE *stream, void (*print)(const void *arg), const void *arg, struct cdn_buf *ret)
{
    char block[4096];
    FILE *file = tmpfile();
    fflush(stream);
    const int kept = dup(fileno(stream));
    ck_assert(file && kept >= 0 && dup2(fileno(file), fileno(stream)) >= 0);
    print(arg);
    fflush(stream);
    ck_assert_int_ge(dup2(kept, fileno(stream)), 0);
    close(kept);
    rewind(file);
    for (size_t n; (n = fread(block, 1, sizeof(block), file)) > 0;) {
        cdn_buf_add(ret, block, n);
    }
    fclose(file);
    cdn_buf_add(ret, "", 0);
}

static const struct {
    const char *text, *shown;
} texts[] = {
    {"", "<>\n"},
    {"plain", "<plain>\n"},
    {"S\xc3\xa3o Paulo \xe6\x9d\xb1\xe4\xba\xac", "<S\xc3\xa3o Paulo \xe6\x9d\xb1\xe4\xba\xac>\n"},
    {"two\nlines", "<two\\x0alines>\n"},
    {"ends\n", "<ends\\x0a>\n"},
    {"\r", "<\\x0d>\n"},
    {"\033[2J", "<\\x1b[2J>\n"},
    {"\033]0;title\007", "<\\x1b]0;title\\x07>\n"},
    {"\x7f", "<\\x7f>\n"},
    {"\xc2\x9b"
     "31m",
     "<\\u009b31m>\n"}, /* CSI of the second set */
    {"\xe2\x80\xae"
     "gnp.exe",
     "<\\u202egnp.exe>\n"},
    {"\xe2\x80\xa8", "<\\u2028>\n"},
    {"\xff\xfe", "<\\xff\\xfe>\n"},
    {"\xc3", "<\\xc3>\n"},
    {"%s%n", "<%s%n>\n"},
    {"\\x1b", "<\\x1b>\n"}, /* text stays text */
};

static void print_text(const void *arg)
{
    cli_print("<%s>\n", (const char *)arg);
}

static void complain_text(const void *arg)
{
    cli_complain("<%s>\n", (const char *)arg);
}

START_TEST(foreign_text)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    CDN_AUTOBUF struct cdn_buf err = {0};
    capture(stdout, print_text, texts[_i].text, &out);
    capture(stderr, complain_text, texts[_i].text, &err);
    ck_assert_str_eq(out.p, texts[_i].shown);
    ck_assert_str_eq(err.p, texts[_i].shown);
}
END_TEST

static void print_part(const void *arg)
{
    cli_print("%s", (const char *)arg);
}

/* A part of a line has no line end of its own, whatever stands in it. */
START_TEST(a_part_is_no_line)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    capture(stdout, print_part, "a\n", &out);
    ck_assert_str_eq(out.p, "a\\x0a");
}
END_TEST

static void print_nothing(const void *arg)
{
    (void)arg;
    cli_print("%s", "");
    cli_print("\n");
}

START_TEST(nothing_is_nothing)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    capture(stdout, print_nothing, NULL, &out);
    ck_assert_str_eq(out.p, "\n");
}
END_TEST

static void print_styled(const void *arg)
{
    cli_print_styled(TERMINAL_BAD, arg);
}

START_TEST(no_colours_in_a_file)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    capture(stdout, print_styled, "bad\033[32m", &out);
    ck_assert_str_eq(out.p, "bad\\x1b[32m");
}
END_TEST

static void print_json(const void *arg)
{
    cli_print_json(json_pack("{s:s}", "k", arg), JSON_COMPACT);
}

static const struct {
    const char *text, *json;
} jsons[] = {
    {"a", "{\"k\":\"a\"}\n"},
    {"a\n\033\"\\", "{\"k\":\"a\\n\\u001B\\\"\\\\\"}\n"},
    {"\x7f", "{\"k\":\"\\u007f\"}\n"},
    {"\xc2\x9b", "{\"k\":\"\\u009b\"}\n"},
    {"\xe2\x80\xae", "{\"k\":\"\\u202e\"}\n"},
    {"\xc3\xa9", "{\"k\":\"\xc3\xa9\"}\n"},
};

START_TEST(json_says_the_same)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    capture(stdout, print_json, jsons[_i].text, &out);
    ck_assert_str_eq(out.p, jsons[_i].json);
    json_t *again = json_loads(out.p, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(again, "k")), jsons[_i].text);
    json_decref(again);
}
END_TEST

START_TEST(what_cannot_be_written_is_null)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    cli_add_json(&out, NULL, JSON_COMPACT);
    ck_assert_str_eq(out.p, "null");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("print");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, foreign_text, 0, (int)CDN_ARRAY_LEN(texts));
    tcase_add_test(all, a_part_is_no_line);
    tcase_add_test(all, nothing_is_nothing);
    tcase_add_test(all, no_colours_in_a_file);
    tcase_add_loop_test(all, json_says_the_same, 0, (int)CDN_ARRAY_LEN(jsons));
    tcase_add_test(all, what_cannot_be_written_is_null);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
