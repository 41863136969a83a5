/* status: the table's promises to scripts and HTTP clients, and the one-line sentence. */
#include "common/status.h"

#include <check.h>
#include <string.h>

START_TEST(exit_codes_are_the_documented_ones)
{
    for (int i = 0; i < CDN_STATUS_COUNT; i++) {
        int code = cdn_status_exit_code((enum cdn_status)i);
        ck_assert_msg(code >= 0 && code <= 3, "%s", cdn_status_name((enum cdn_status)i));
        ck_assert_msg((code == 0) == (i == CDN_OK), "%s", cdn_status_name((enum cdn_status)i));
        ck_assert_msg((cdn_status_http((enum cdn_status)i) < 400) == (i == CDN_OK), "%s",
                      cdn_status_name((enum cdn_status)i));
    }
    ck_assert_int_eq(cdn_status_exit_code(CDN_NOT_FOUND), 1);
    ck_assert_int_eq(cdn_status_exit_code(CDN_INVALID), 2);
    ck_assert_int_eq(cdn_status_exit_code(CDN_IO), 3);
    ck_assert_int_eq(cdn_status_http(CDN_TOO_LARGE), 413);
    ck_assert_str_eq(cdn_status_name(CDN_TIMEOUT), "TIMEOUT");
    ck_assert_str_eq(cdn_status_text(CDN_TIMEOUT), "time-out");
}
END_TEST

START_TEST(sentence_stays_one_line_and_plain)
{
    struct cdn_error err;
    ck_assert(cdn_error_set(&err, CDN_IO, "%s: %d", "a\r\n\x1b\x7f b", 5) == CDN_IO);
    ck_assert_int_eq(err.status, CDN_IO);
    ck_assert_str_eq(err.text, "a     b: 5");
    ck_assert(cdn_error_set(NULL, CDN_IO, "x") == CDN_IO);
}
END_TEST

START_TEST(long_sentence_is_cut_visibly)
{
    struct cdn_error err;
    char text[2000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    cdn_error_set(&err, CDN_IO, "%s", text);
    ck_assert_uint_eq(strlen(err.text), sizeof(err.text) - 1);
    ck_assert_str_eq(err.text + sizeof(err.text) - 4, "...");
    ck_assert(cdn_error_prefix(&err, "in front") == CDN_IO);
    ck_assert_int_eq(strncmp(err.text, "in front: xxx", 13), 0);
    ck_assert_str_eq(err.text + sizeof(err.text) - 4, "...");
}
END_TEST

START_TEST(prefix_keeps_the_status)
{
    struct cdn_error err;
    cdn_error_set(&err, CDN_CONFLICT, "port taken");
    ck_assert(cdn_error_prefix(&err, "%s", "edge") == CDN_CONFLICT);
    ck_assert_str_eq(err.text, "edge: port taken");
    ck_assert(cdn_error_prefix(NULL, "x") == CDN_INTERNAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status");
    TCase *all = tcase_create("all");
    tcase_add_test(all, exit_codes_are_the_documented_ones);
    tcase_add_test(all, sentence_stays_one_line_and_plain);
    tcase_add_test(all, long_sentence_is_cut_visibly);
    tcase_add_test(all, prefix_keeps_the_status);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
