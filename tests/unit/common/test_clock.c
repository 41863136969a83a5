/* clock: the cache clock moves when allowed, within its years; the monotonic clock never does. */
#include "common/clock.h"
#include "common/status.h"

#include <check.h>
#include <inttypes.h>
#include <stddef.h>

#define YEAR_MS INT64_C(31536000000)

START_TEST(travel_is_refused_by_default)
{
    struct cdn_error err;
    ck_assert(cdn_clock_advance_ms(1000, &err) == CDN_REFUSED);
    ck_assert_str_eq(err.text, "clock: time travel is off (start with --simulate)");
    ck_assert_int_eq(cdn_clock_offset_ms(), 0);
}
END_TEST

START_TEST(travel_moves_the_cache_clock_only)
{
    int64_t mono = cdn_clock_mono_ms();
    int64_t real = cdn_clock_real_ms();
    cdn_clock_allow_travel(1);
    ck_assert(cdn_clock_advance_ms(YEAR_MS, NULL) == CDN_OK);
    ck_assert_int_ge(cdn_clock_now_ms(), real + YEAR_MS);
    ck_assert_int_lt(cdn_clock_real_ms(), real + YEAR_MS);
    ck_assert_int_lt(cdn_clock_mono_ms(), mono + YEAR_MS);
    ck_assert(cdn_clock_advance_ms(-2 * YEAR_MS, NULL) == CDN_OK);
    ck_assert_int_eq(cdn_clock_offset_ms(), -YEAR_MS);
    ck_assert_int_lt(cdn_clock_now_s(), cdn_clock_real_ms() / 1000);
}
END_TEST

static const int64_t too_far[] = {8000 * YEAR_MS, -100 * YEAR_MS, INT64_MAX, INT64_MIN};

START_TEST(travel_stays_within_the_years)
{
    struct cdn_error err;
    cdn_clock_allow_travel(1);
    ck_assert(cdn_clock_advance_ms(1, NULL) == CDN_OK);
    ck_assert_msg(cdn_clock_advance_ms(too_far[_i], &err) == CDN_INVALID, "%" PRId64, too_far[_i]);
    ck_assert_int_eq(cdn_clock_offset_ms(), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock");
    TCase *all = tcase_create("all");
    tcase_add_test(all, travel_is_refused_by_default);
    tcase_add_test(all, travel_moves_the_cache_clock_only);
    tcase_add_loop_test(all, travel_stays_within_the_years, 0, (int)(sizeof(too_far) / sizeof(*too_far)));
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
