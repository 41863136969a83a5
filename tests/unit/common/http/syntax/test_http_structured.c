/* http_structured: RFC 8941, strictly: a field with one fault counts as a whole as not sent, so a
 * parser that is lenient would obey what nobody else does. */
#include "common/http/syntax/http_structured.h"
#include "common/mem.h"
#include "common/str.h"

#include <check.h>
#include <inttypes.h>
#include <stdbool.h>

static const struct {
    const char *section;
    const char *value;
    bool ok;
} dictionaries[] = {
    {"3.2", "a=1, b;x=2, c=\"d\", e=?0, f=:aGk=:, g=(1 2);h, i=tok/en:x, j=-1.5", true},
    {"3.2 empty", "", true},
    {"3.2 spaces", "  a ,\tb  ", true},
    {"3.2 trailing comma", "a=1,", false},
    {"3.2 empty member", "a=1,,b=2", false},
    {"3.2 upper case key", "A=1", false},
    {"3.1.2 key beginning", "1a=1", false},
    {"3.1.2 key with a star", "*a=1", true},
    {"3.2 no comma", "a=1 b=2", false},
    {"3.2 no value", "a=", false},
    {"3.2 space round =", "a =1", false},
    {"3.2 space round =", "a= 1", false},
    {"3.3.1 15 digits", "a=999999999999999", true},
    {"3.3.1 16 digits", "a=1000000000000000", false},
    {"3.3.1 sign alone", "a=-", false},
    {"3.3.2 12 digits", "a=123456789012.5", true},
    {"3.3.2 13 digits", "a=1234567890123.5", false},
    {"3.3.2 3 digits behind", "a=1.125", true},
    {"3.3.2 4 digits behind", "a=1.1255", false},
    {"3.3.2 none behind", "a=1.", false},
    {"3.3.3 escapes", "a=\"\\\"\\\\\"", true},
    {"3.3.3 other escapes", "a=\"\\n\"", false},
    {"3.3.3 open", "a=\"b", false},
    {"3.3.3 open escape", "a=\"b\\", false},
    {"3.3.3 beyond ASCII", "a=\"\xc3\xa9\"", false},
    {"3.3.4", "a=&&&", false},
    {"3.3.5 open", "a=:aGk=", false},
    {"3.3.6", "a=?2", false},
    {"3.1.1 open list", "a=(1 2", false},
    {"3.1.1 list without spaces", "a=(1\"b\")", false},
    {"3.1.1 empty list", "a=()", true},
    {"3.1.2 parameters", "a=1; x=2;y", true},
    {"3.1.2 empty parameter", "a=1;", false},
    {"dangling", "a=10000, &&&&&", false},
};

START_TEST(dictionary_rows)
{
    ck_assert_msg(http_structured_valid_dictionary(cdn_str(dictionaries[_i].value)) == dictionaries[_i].ok,
                  "%s: %s", dictionaries[_i].section, dictionaries[_i].value);
}
END_TEST

static const struct {
    const char *value;
    enum http_structured_type type;
    int64_t integer;
    const char *text;
} items[] = {
    {"42", HTTP_SF_INTEGER, 42, ""},       {"-42", HTTP_SF_INTEGER, -42, ""},
    {"1.5", HTTP_SF_DECIMAL, 1500, ""},    {"-0.125", HTTP_SF_DECIMAL, -125, ""},
    {"\"a b\"", HTTP_SF_STRING, 0, "a b"}, {"tok*en", HTTP_SF_TOKEN, 0, "tok*en"},
    {":aGk=:", HTTP_SF_BYTES, 0, "aGk="},  {"?1", HTTP_SF_BOOLEAN, 1, ""},
    {" 7 ", HTTP_SF_INTEGER, 7, ""},
};

START_TEST(item_rows)
{
    struct http_structured_value v;
    ck_assert(http_structured_item(cdn_str(items[_i].value), &v));
    ck_assert_msg(v.type == items[_i].type && v.integer == items[_i].integer &&
                      cdn_str_eq(v.text, cdn_str(items[_i].text)),
                  "%s: %" PRId64, items[_i].value, v.integer);
    ck_assert(!http_structured_item(CDN_STR("1, 2"), &v) && !http_structured_item(CDN_STR(""), &v));
}
END_TEST

START_TEST(the_last_of_two_members_counts) /* 4.2.2 */
{
    struct http_structured_value v;
    struct cdn_str key;
    ck_assert(http_structured_find(CDN_STR("a=1, b=2;p=\"q\";r, a=3"), CDN_STR("a"), &v) && v.integer == 3);
    ck_assert(http_structured_find(CDN_STR("a=1, b=2;p=\"q\";r, a=3"), CDN_STR("b"), &v));
    struct cdn_str rest = v.parameters;
    ck_assert_int_eq(http_structured_parameter_next(&rest, &key, &v), 1);
    ck_assert(cdn_str_eq(key, CDN_STR("p")) && cdn_str_eq(v.text, CDN_STR("q")));
    ck_assert_int_eq(http_structured_parameter_next(&rest, &key, &v), 1);
    ck_assert(cdn_str_eq(key, CDN_STR("r")) && v.type == HTTP_SF_BOOLEAN && v.integer == 1);
    ck_assert_int_eq(http_structured_parameter_next(&rest, &key, &v), 0);
    ck_assert(!http_structured_find(CDN_STR("a=1, &"), CDN_STR("a"), &v));
}
END_TEST

START_TEST(texts_are_written_as_tokens_or_strings)
{
    CDN_AUTOBUF struct cdn_buf b = {0};
    http_structured_add_text(&b, CDN_STR("fra"));
    http_structured_add_text(&b, CDN_STR("1\"\\\n\xc3"));
    ck_assert_str_eq(b.p, "fra\"1\\\"\\\\??\"");
    ck_assert(http_structured_is_key(CDN_STR("a-b")) && !http_structured_is_key(CDN_STR("A")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_structured");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, dictionary_rows, 0, (int)CDN_ARRAY_LEN(dictionaries));
    tcase_add_loop_test(rows, item_rows, 0, (int)CDN_ARRAY_LEN(items));
    tcase_add_test(rows, the_last_of_two_members_counts);
    tcase_add_test(rows, texts_are_written_as_tokens_or_strings);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
