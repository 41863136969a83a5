/* visible: what must not reach a terminal, in each of its spellings, and what stays as it is. */
#include "common/mem.h"
#include "common/str.h"
#include "common/visible.h"

#include <check.h>
#include <stdbool.h>
#include <string.h>

static const struct {
    const char *text;
    size_t n;
    const char *shown, *line, *json;
} rows[] = {
#define ROW(text, shown, line, json)              \
    {                                             \
        text, sizeof(text) - 1, shown, line, json \
    }
#define SAME(text) ROW(text, text, text, text)
    SAME(""),
    SAME("a"),
    SAME("GET /index.html HTTP/1.1 ~"),
    SAME("12345678 12345678 12345678"),
    SAME("Z\xc3\xbcrich \xe6\x9d\xb1\xe4\xba\xac \xf0\x9f\x98\x80 \xc2\xa0"),
    ROW("\x1b[31mX", "\\x1b[31mX", "\\x1b[31mX", "\\u001b[31mX"),
    ROW("12345678\x1b", "12345678\\x1b", "12345678\\x1b", "12345678\\u001b"),
    ROW("1234567\x7f"
        "9",
        "1234567\\x7f9", "1234567\\x7f9", "1234567\\u007f9"),
    ROW("12345\x9b"
        "2J90",
        "12345\\x9b2J90", "12345\\x9b2J90", "12345\\ufffd2J90"),
    ROW("\xc2\x9b"
        "2J",
        "\\u009b2J", "\\u009b2J", "\\u009b2J"),
    ROW("\xc2\x80\xc2\x9f", "\\u0080\\u009f", "\\u0080\\u009f", "\\u0080\\u009f"),
    ROW("\xe2\x80\xae"
        "gpj",
        "\\u202egpj", "\\u202egpj", "\\u202egpj"),
    ROW("\xe2\x81\xa6\xd8\x9c", "\\u2066\\u061c", "\\u2066\\u061c", "\\u2066\\u061c"),
    ROW("a\nb", "a\\x0ab", "a\\x0ab", "a\nb"),
    ROW("a\rb", "a\\x0db", "a\\x0db", "a b"),
    ROW("a\tb\x01", "a\\x09b\\x01", "a\tb\\x01", "a\tb\\u0001"),
    ROW("a\0b", "a\\x00b", "a\\x00b", "a\\u0000b"),
    ROW("\xc3", "\\xc3", "\\xc3", "\\ufffd"),
    ROW("\xc0\x9b", "\\xc0\\x9b", "\\xc0\\x9b", "\\ufffd\\ufffd"),
    ROW("\xe0\x82\x9b", "\\xe0\\x82\\x9b", "\\xe0\\x82\\x9b", "\\ufffd\\ufffd\\ufffd"),
    ROW("\xed\xa0\x80", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80", "\\ufffd\\ufffd\\ufffd"),
    ROW("\xff\xfe", "\\xff\\xfe", "\\xff\\xfe", "\\ufffd\\ufffd"),
};

START_TEST(each_spelling_is_shown)
{
    CDN_AUTOBUF struct cdn_buf shown = {0}, line = {0}, json = {0}, again = {0};
    cdn_buf_add_visible(&shown, (struct cdn_str){rows[_i].text, rows[_i].n});
    cdn_buf_add_visible_line(&line, (struct cdn_str){rows[_i].text, rows[_i].n});
    cdn_buf_add_visible_json(&json, (struct cdn_str){rows[_i].text, rows[_i].n});
    ck_assert_str_eq(shown.n ? shown.p : "", rows[_i].shown);
    ck_assert_str_eq(line.n ? line.p : "", rows[_i].line);
    ck_assert_str_eq(json.n ? json.p : "", rows[_i].json);
    cdn_buf_add_visible(&again, cdn_buf_str(&shown));
    ck_assert_str_eq(again.n ? again.p : "", rows[_i].shown); /* twice does no harm */
}
END_TEST

START_TEST(in_place_keeps_what_was_before)
{
    CDN_AUTOBUF struct cdn_buf b = {0};
    cdn_buf_add_str(&b, CDN_STR("\x1b"));
    cdn_buf_make_visible(&b, 1);
    cdn_buf_add_str(&b, (struct cdn_str){rows[_i].text, rows[_i].n});
    cdn_buf_make_visible(&b, 1);
    ck_assert_int_eq(b.p[0], 0x1b);
    ck_assert_str_eq(b.p + 1, rows[_i].shown);
}
END_TEST

/* Every byte at every place of a word of eight. */
START_TEST(no_place_hides_a_byte)
{
    for (unsigned at = 0; at < 17; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            char text[17];
            CDN_AUTOBUF struct cdn_buf shown = {0};
            memset(text, 'x', sizeof(text));
            text[at] = (char)byte;
            cdn_buf_add_visible(&shown, (struct cdn_str){text, sizeof(text)});
            bool plain = byte >= 0x20 && byte < 0x7f;
            ck_assert_msg(shown.n == (plain ? 17 : 20), "byte %02x at %u", byte, at);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("visible");
    TCase *cases = tcase_create("all");
    tcase_add_loop_test(cases, each_spelling_is_shown, 0, CDN_ARRAY_LEN(rows));
    tcase_add_loop_test(cases, in_place_keeps_what_was_before, 0, CDN_ARRAY_LEN(rows));
    tcase_add_test(cases, no_place_hides_a_byte);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
