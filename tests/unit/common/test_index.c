/* index: entries are found by hash and by content, through growth and with equal hashes. */
#include "common/index.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANY 5000u

static bool same_number(const void *ctx, uint32_t number)
{
    return *(const uint32_t *)ctx == number;
}

/* Hashes that are all different, partly equal, all equal, and neighbours whose low bits agree. */
static uint64_t hash_of(unsigned way, uint32_t i)
{
    return way == 0 ? i : way == 1 ? i / 16 : way == 2 ? 7 : (uint64_t)i << 32;
}

START_TEST(entries)
{
    const uint32_t counts[] = {MANY, MANY, 200, MANY};
    struct cdn_index x = {0};
    const uint32_t count = counts[_i];
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_eq(cdn_index_find(&x, hash_of((unsigned)_i, i), same_number, &i), CDN_INDEX_NONE);
        cdn_index_put(&x, hash_of((unsigned)_i, i), i);
        ck_assert_uint_eq(x.count, i + 1);
        ck_assert_uint_ge(x.room, 2 * x.count);
    }
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_uint_eq(cdn_index_find(&x, hash_of((unsigned)_i, i), same_number, &i), i);
    }
    const uint32_t absent = count;
    ck_assert_uint_eq(cdn_index_find(&x, hash_of((unsigned)_i, absent), same_number, &absent),
                      CDN_INDEX_NONE);
    cdn_index_free(&x);
    ck_assert_uint_eq(x.count, 0);
    ck_assert_uint_eq(cdn_index_find(&x, 0, NULL, NULL), CDN_INDEX_NONE);
}
END_TEST

START_TEST(hash_alone)
{
    struct cdn_index x = {0};
    ck_assert_uint_eq(cdn_index_find(&x, 0, NULL, NULL), CDN_INDEX_NONE);
    cdn_index_put(&x, 0, 3);
    cdn_index_put(&x, UINT64_MAX, CDN_INDEX_NONE - 1);
    ck_assert_uint_eq(cdn_index_find(&x, 0, NULL, NULL), 3);
    ck_assert_uint_eq(cdn_index_find(&x, UINT64_MAX, NULL, NULL), CDN_INDEX_NONE - 1);
    ck_assert_uint_eq(cdn_index_find(&x, 1, NULL, NULL), CDN_INDEX_NONE);
    cdn_index_free(&x);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("index");
    tcase_add_loop_test(tc, entries, 0, 4);
    tcase_add_test(tc, hash_alone);
    Suite *suite = suite_create("index");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
