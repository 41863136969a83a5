/* splitmix64: the published sequence from 0, and what is built on it. Replays and weighted
 * choices repeat only while these numbers stay. */
#include "common/mix.h"

#include <check.h>
#include <stdint.h>

START_TEST(sequence)
{
    /* the first numbers of the reference implementation (prng.di.unimi.it/splitmix64.c), state 0 */
    static const uint64_t first[] = {UINT64_C(0xe220a8397b1dcdaf), UINT64_C(0x6e789e6aa1b965f4),
                                     UINT64_C(0x06c45d188009454f), UINT64_C(0xf88bb8a8724c81ec),
                                     UINT64_C(0x1b39896a51a8749b)};
    uint64_t state = 0;
    for (unsigned i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
        ck_assert_uint_eq(cdn_mix64((i + 1) * CDN_MIX_STEP), first[i]);
        ck_assert_uint_eq(cdn_mix_next(&state), first[i]);
    }
}
END_TEST

START_TEST(unit)
{
    ck_assert(cdn_mix_unit(0) == 0);
    ck_assert(cdn_mix_unit(UINT64_MAX) < 1);
    ck_assert(cdn_mix_unit(UINT64_C(1) << 63) == 0.5);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("mix");
    tcase_add_test(tc, sequence);
    tcase_add_test(tc, unit);
    Suite *suite = suite_create("mix");
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
