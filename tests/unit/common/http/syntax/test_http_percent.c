/* Percent-encoding: what is read, what is refused, and what is written. All that compares or
 * makes URLs leans on it. */
#include "common/http/syntax/http_percent.h"
#include "common/mem.h"
#include "common/str.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

START_TEST(decode)
{
    static const struct {
        const char *text;
        bool plus;
        const char *decoded; /* NULL: refused */
    } rows[] = {
        {"", false, ""},
        {"abc", false, "abc"},
        {"%41%62c", false, "Abc"},
        {"%2f%2F", false, "//"},
        {"%c3%A4", false, "\xc3\xa4"},
        {"\xc3\xa4", false, "\xc3\xa4"},
        {"%25%34%31", false, "%41"}, /* once only */
        {"a+b", false, "a+b"},
        {"a+b", true, "a b"},
        {"a%2Bb", true, "a+b"},
        {"%", false, NULL},
        {"%4", false, NULL},
        {"%4g", false, NULL},
        {"%g4", false, NULL},
        {"%%41", false, NULL},
        {"% 4", false, NULL},
        {"%-1", false, NULL},
        {"%0x", false, NULL},
        {"abc%", true, NULL},
        {"a%00b", false, NULL},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        CDN_AUTOBUF struct cdn_buf out = {0};
        bool taken = http_percent_decode(cdn_str(rows[i].text), rows[i].plus, &out);
        ck_assert_msg(taken == (rows[i].decoded != NULL), "row %zu: %s", i, rows[i].text);
        if (taken) {
            ck_assert_msg(cdn_str_eq(cdn_buf_str(&out), cdn_str(rows[i].decoded)), "row %zu: %s", i,
                          rows[i].text);
        }
    }
    CDN_AUTOBUF struct cdn_buf out = {0};
    ck_assert(!http_percent_decode((struct cdn_str){"a\0b", 3}, false, &out));
}
END_TEST

START_TEST(byte)
{
    struct cdn_str s = CDN_STR("%7e%7");
    ck_assert_int_eq(http_percent_byte(s, 0), 0x7e);
    ck_assert_int_eq(http_percent_byte(s, 3), -1);
    ck_assert_int_eq(http_percent_byte(CDN_STR("%ff"), 0), 0xff);
    ck_assert_int_eq(http_percent_byte(CDN_STR("%00"), 0), 0);
}
END_TEST

static bool keeps_slash(unsigned char c)
{
    return http_percent_is_unreserved(c) || c == '/';
}

START_TEST(encode)
{
    static const struct {
        const char *text, *all, *with_slash;
    } rows[] = {
        {"", "", ""},
        {"aZ09-._~", "aZ09-._~", "aZ09-._~"},
        {"a/b c", "a%2Fb%20c", "a/b%20c"},
        {"100%", "100%25", "100%25"},
        {"\xc3\xa4\x7f\x01", "%C3%A4%7F%01", "%C3%A4%7F%01"},
        {"?#[]@!$&'()*+,;=", "%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D",
         "%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D"},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        CDN_AUTOBUF struct cdn_buf all = {0}, some = {0}, back = {0};
        http_percent_encode(cdn_str(rows[i].text), http_percent_is_unreserved, &all);
        http_percent_encode(cdn_str(rows[i].text), keeps_slash, &some);
        ck_assert(cdn_str_eq(cdn_buf_str(&all), cdn_str(rows[i].all)));
        ck_assert(cdn_str_eq(cdn_buf_str(&some), cdn_str(rows[i].with_slash)));
        ck_assert(http_percent_decode(cdn_buf_str(&all), false, &back));
        ck_assert(cdn_str_eq(cdn_buf_str(&back), cdn_str(rows[i].text)));
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("http_percent");
    tcase_add_test(tc, decode);
    tcase_add_test(tc, byte);
    tcase_add_test(tc, encode);
    Suite *suite = suite_create("http_percent");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
