/* mem: allocation that never returns NULL, and what happens when a size is absurd. */
#include "common/mem.h"

#include <check.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

START_TEST(nothing_is_still_something)
{
    CDN_AUTOFREE void *a = cdn_malloc(0);
    CDN_AUTOFREE void *b = cdn_calloc(0, 8);
    CDN_AUTOFREE void *c = cdn_realloc(NULL, 0, 8);
    ck_assert(a && b && c && a != b && b != c);
}
END_TEST

START_TEST(texts)
{
    CDN_AUTOFREE char *a = cdn_strdup("abc");
    CDN_AUTOFREE char *b = cdn_strndup("abc", 2);
    CDN_AUTOFREE char *c = cdn_asprintf("%s-%d", "x", 7);
    CDN_AUTOFREE char *zeroed = cdn_calloc(3, 1);
    ck_assert_str_eq(a, "abc");
    ck_assert_str_eq(b, "ab");
    ck_assert_str_eq(c, "x-7");
    ck_assert_int_eq(memcmp(zeroed, "\0\0", 3), 0);
}
END_TEST

START_TEST(take_leaves_null)
{
    char *a = cdn_strdup("abc");
    char *b = CDN_TAKE(a);
    ck_assert_ptr_null(a);
    ck_assert_str_eq(b, "abc");
    free(b);
}
END_TEST

START_TEST(overflowing_size_aborts)
{
    volatile size_t huge = SIZE_MAX / 2;
    free(cdn_realloc(NULL, huge, 4));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mem");
    TCase *all = tcase_create("all");
    tcase_add_test(all, nothing_is_still_something);
    tcase_add_test(all, texts);
    tcase_add_test(all, take_leaves_null);
    tcase_add_test_raise_signal(all, overflowing_size_aborts, SIGABRT);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
