/* Slices: which stretch is asked for a byte, and that neighbours ask for the same one. */
#include "common/http/syntax/http_field_range.h"
#include "edge/fetch/fetch.h"
#include "edge/request/slice.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#define OPEN HTTP_RANGE_OPEN
#define FAR (INT64_MAX - UINT64_C(1)) /* about the last position there may be */

static const struct {
    uint64_t size, at, suffix, whole;
    uint64_t first, last;
} rows[] = {
    /* nothing is known of the whole: slices as they are cut */
    {100, 0, 0, 0, 0, 99},
    {100, 99, 0, 0, 0, 99},
    {100, 100, 0, 0, 100, 199},
    {100, 150, 0, 0, 100, 199},
    {100, 199, 0, 0, 100, 199},
    {1, 7, 0, 0, 7, 7},
    {1 << 20, (5 << 20) + 3, 0, 0, 5 << 20, (6 << 20) - 1},
    {100, FAR, 0, 0, FAR / 100 * 100, FAR / 100 * 100 + 99},
    {UINT64_C(1) << 62, FAR, 0, 0, UINT64_C(1) << 62, (UINT64_C(1) << 63) - 1},
    /* its length is known: from the byte itself, the last one without an end */
    {100, 0, 0, 1000, 0, 99},
    {100, 50, 0, 1000, 50, 99},
    {100, 899, 0, 1000, 899, 899},
    {100, 900, 0, 1000, 900, OPEN},
    {100, 950, 0, 1000, 950, OPEN},
    {100, 999, 0, 1000, 999, OPEN},
    {100, 899, 0, 1001, 899, 899},
    {100, 999, 0, 1001, 999, 999},
    {100, 1000, 0, 1001, 1000, OPEN},
    {100, 0, 0, 1, 0, OPEN},
    {100, 0, 0, 99, 0, OPEN},
    {100, 0, 0, 100, 0, OPEN},
    {100, 0, 0, 101, 0, 99},
    /* the last bytes */
    {100, OPEN, 5, 0, OPEN, 5},
    {100, OPEN, 5, 1000, OPEN, 5},
    {100, OPEN, 500, 0, OPEN, 500},
};

START_TEST(stretches)
{
    const struct edge_fetch_scope s =
        edge_slice_around(rows[_i].size, rows[_i].at, rows[_i].suffix, rows[_i].whole);
    ck_assert(s.ranged && !s.parallel && !s.authorized);
    ck_assert_uint_eq(s.range_first, rows[_i].first);
    ck_assert_uint_eq(s.range_last, rows[_i].last);
}
END_TEST

/* Slice by slice from any byte to the end: each begins where the one before ended, and none is empty. */
START_TEST(slices_meet)
{
    for (uint64_t whole = 1; whole < 60; whole++) {
        for (uint64_t size = 1; size < 20; size++) {
            for (uint64_t at = whole % 7; at < whole;) {
                const struct edge_fetch_scope s = edge_slice_around(size, at, 0, whole);
                const uint64_t end = edge_slice_end(&s, whole);
                ck_assert(s.range_first == at && end > at && end - at <= size);
                ck_assert((s.range_last == OPEN) == (end == whole));
                at = end;
            }
        }
    }
}
END_TEST

/* Before anything is known, all bytes of a slice ask for the same, so that they wait for one fetch. */
START_TEST(neighbours_ask_for_the_same)
{
    for (uint64_t size = 1; size < 50; size++) {
        for (uint64_t at = 0; at < 200; at++) {
            const struct edge_fetch_scope s = edge_slice_around(size, at, 0, 0);
            ck_assert(s.range_first % size == 0 && s.range_last - s.range_first == size - 1 &&
                      at >= s.range_first && at <= s.range_last);
        }
    }
}
END_TEST

static const struct {
    uint64_t first, last, whole, end;
} ends[] = {
    {0, 99, 1000, 100},    {0, 99, 100, 100},        {0, 100, 100, 100},     {0, 99, 50, 50},
    {0, OPEN, 1000, 1000}, {900, OPEN, 1000, 1000},  {900, 999, 1000, 1000}, {900, 998, 1000, 999},
    {OPEN, 5, 1000, 1000}, {OPEN, 5000, 1000, 1000}, {0, 0, 1, 1},           {0, 0, 1000, 1},
};

START_TEST(ends_of_stretches)
{
    const struct edge_fetch_scope s = {
        .ranged = true, .range_first = ends[_i].first, .range_last = ends[_i].last};
    ck_assert_uint_eq(edge_slice_end(&s, ends[_i].whole), ends[_i].end);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slice");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, stretches, 0, (int)(sizeof(rows) / sizeof(rows[0])));
    tcase_add_test(all, slices_meet);
    tcase_add_test(all, neighbours_ask_for_the_same);
    tcase_add_loop_test(all, ends_of_stretches, 0, (int)(sizeof(ends) / sizeof(ends[0])));
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
