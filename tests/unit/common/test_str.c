/* str: slices at their edges, and the buffer's promise of a NUL behind its bytes. */
#include "common/mem.h"
#include "common/str.h"

#include <check.h>
#include <stddef.h>
#include <stdint.h>

START_TEST(cut_visits_every_part)
{
    static const struct {
        const char *text;
        const char *parts;
    } rows[] = {{"a,b,c", "[a][b][c]"}, {"", "[]"},      {",", "[][]"},
                {"a,", "[a][]"},        {",a", "[][a]"}, {"abc", "[abc]"}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        CDN_AUTOBUF struct cdn_buf seen = {0};
        struct cdn_str rest = cdn_str(rows[i].text);
        while (rest.p) {
            struct cdn_str part = cdn_str_cut(&rest, ',');
            cdn_buf_printf(&seen, "[" CDN_STR_FMT "]", CDN_STR_ARG(part));
        }
        ck_assert_str_eq(seen.p, rows[i].parts);
    }
}
END_TEST

START_TEST(slices)
{
    ck_assert(cdn_str_eq(cdn_str(NULL), CDN_STR("")) &&
              cdn_str_eq(CDN_STR("a\0b"), (struct cdn_str){"a\0b", 3}));
    ck_assert(!cdn_str_eq(CDN_STR("a\0b"), CDN_STR("a\0c")) && !cdn_str_eq(CDN_STR("a"), CDN_STR("ab")));
    ck_assert(cdn_str_eq_nocase(CDN_STR("Via"), CDN_STR("vIA")) &&
              !cdn_str_eq_nocase(CDN_STR("via"), CDN_STR("vib")));
    ck_assert(cdn_str_starts(CDN_STR("abc"), CDN_STR("")) && cdn_str_starts(CDN_STR("abc"), CDN_STR("ab")));
    ck_assert(!cdn_str_starts(CDN_STR("ab"), CDN_STR("abc")) && !cdn_str_ends(CDN_STR("bc"), CDN_STR("abc")));
    ck_assert(cdn_str_ends(CDN_STR("abc"), CDN_STR("bc")) && !cdn_str_ends(CDN_STR("abc"), CDN_STR("ab")));
    ck_assert(cdn_str_eq(cdn_str_trim(CDN_STR(" \t a b\t ")), CDN_STR("a b")));
    ck_assert(cdn_str_trim(CDN_STR(" \t")).n == 0 && cdn_str_trim(CDN_STR("\n")).n == 1);
    ck_assert(cdn_str_eq(cdn_str_sub(CDN_STR("abc"), 2), CDN_STR("c")) &&
              cdn_str_sub(CDN_STR("abc"), 9).n == 0);
    ck_assert(cdn_str_find(CDN_STR("abc"), 'c') == 2 && cdn_str_find(CDN_STR(""), 'c') == -1);
}
END_TEST

START_TEST(copies)
{
    char small[4];
    CDN_AUTOFREE char *copy = cdn_str_dup((struct cdn_str){"abcd", 2});
    ck_assert_str_eq(copy, "ab");
    ck_assert(cdn_str_copy(small, sizeof(small), CDN_STR("abc")));
    ck_assert_str_eq(small, "abc");
    ck_assert(!cdn_str_copy(small, sizeof(small), CDN_STR("wxyz")));
    ck_assert_str_eq(small, "wxy");
}
END_TEST

START_TEST(buffer_grows_and_stays_ended)
{
    struct cdn_buf b = {0};
    ck_assert_str_eq(cdn_buf_str(&b).p, "");
    for (int i = 0; i < 1000; i++) {
        cdn_buf_printf(&b, "%d,", i % 10);
        ck_assert_int_eq(b.p[b.n], '\0');
    }
    ck_assert_uint_eq(b.n, 2000);
    cdn_buf_add(&b, NULL, 0);
    cdn_buf_add_char(&b, '\0');
    ck_assert_uint_eq(b.n, 2001);
    size_t room = b.room;
    cdn_buf_clear(&b);
    ck_assert(b.n == 0 && b.room == room && b.p[0] == '\0');
    cdn_buf_add_str(&b, CDN_STR("x"));
    CDN_AUTOFREE char *taken = cdn_buf_take(&b);
    CDN_AUTOFREE char *nothing = cdn_buf_take(&b);
    ck_assert_str_eq(taken, "x");
    ck_assert_str_eq(nothing, "");
    ck_assert(b.p == NULL && b.room == 0);
    cdn_buf_free(&b);
}
END_TEST

START_TEST(numbers_in_decimal)
{
    static const struct {
        int64_t value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {7, "7"},
        {-1, "-1"},
        {1234567890, "1234567890"},
        {INT64_MAX, "9223372036854775807"},
        {INT64_MIN, "-9223372036854775808"},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        CDN_AUTOBUF struct cdn_buf b = {0};
        cdn_buf_add_int(&b, rows[i].value);
        ck_assert_str_eq(b.p, rows[i].text);
    }
}
END_TEST

START_TEST(case_does_not_matter)
{
    ck_assert(cdn_str_eq_nocase(CDN_STR("Via"), CDN_STR("vIA")) &&
              cdn_str_eq_nocase(CDN_STR(""), CDN_STR("")));
    ck_assert(!cdn_str_eq_nocase(CDN_STR("Via"), CDN_STR("Vib")) &&
              !cdn_str_eq_nocase(CDN_STR("Via"), CDN_STR("Vi")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("str");
    TCase *all = tcase_create("all");
    tcase_add_test(all, cut_visits_every_part);
    tcase_add_test(all, slices);
    tcase_add_test(all, copies);
    tcase_add_test(all, buffer_grows_and_stays_ended);
    tcase_add_test(all, numbers_in_decimal);
    tcase_add_test(all, case_does_not_matter);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
