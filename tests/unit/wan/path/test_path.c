/* When bytes arrive at the other end of a path: rounds of slow start, and a line's rate. */
#include "common/mem.h"
#include "wan/path/path.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

#define MS INT64_C(1000000)

/* When the last of `n` bytes offered at 0 arrives. */
static int64_t last_ns(const struct wan_path *path, size_t n)
{
    struct wan_way way;
    struct wan_flight flight = {0};
    wan_way_init(&way, path, NULL, 1);
    for (size_t done = 0; done < n; done += flight.bytes) {
        ck_assert_uint_gt(wan_way_send(&way, 0, INT64_MAX - 1, n - done, &flight), 0);
    }
    return flight.last_ns;
}

START_TEST(rounds)
{
    static const struct {
        size_t bytes;
        int64_t rounds;
    } rows[] = {{1, 1},     {10000, 1},  {14600, 1},  {14601, 2},
                {50000, 3}, {100000, 3}, {300000, 5}, {1000000, 7}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct wan_path path = {.there_ns = 50 * MS, .back_ns = 50 * MS};
        ck_assert_int_eq(last_ns(&path, rows[i].bytes), 50 * MS + (rows[i].rounds - 1) * 100 * MS);
    }
}
END_TEST

START_TEST(no_distance_lets_all_through_at_once)
{
    ck_assert_int_eq(last_ns(&(struct wan_path){0}, 100 << 20), 0);
}
END_TEST

START_TEST(a_full_line_takes_its_rate)
{
    struct wan_path path = {.there_ns = 5 * MS, .back_ns = 5 * MS, .bytes_per_s = 1000000};
    ck_assert_int_eq(last_ns(&path, 1000000), 1005 * MS); /* the first window is longer than a round */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wan.path");
    TCase *tcase = tcase_create("rows");
    tcase_add_test(tcase, rounds);
    tcase_add_test(tcase, no_distance_lets_all_through_at_once);
    tcase_add_test(tcase, a_full_line_takes_its_rate);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
