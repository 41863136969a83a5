/* Admission: the share let in follows exp(-size / scale), repeats with the seed; the doorkeeper knows a
 * second time. */
#include "edge/cache/admission.h"

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/banned.h"

START_TEST(share_follows_the_curve)
{
    static const uint64_t sizes[] = {0, 1024, 16384, 65536, 262144};
    double admitted = 0;
    for (uint64_t key = 0; key < 100000; key++) {
        admitted += edge_admission_by_size(1, key, 0, sizes[_i], EDGE_ADMISSION_SCALE);
    }
    double expected = exp(-(double)sizes[_i] / EDGE_ADMISSION_SCALE);
    ck_assert_double_lt(fabs(admitted / 100000 - expected), 0.006);
}
END_TEST

START_TEST(repeats_with_the_seed_and_draws_anew)
{
    unsigned same = 0;
    unsigned other_seed = 0;
    unsigned other_draw = 0;
    for (uint64_t key = 0; key < 1000; key++) {
        bool first = edge_admission_by_size(1, key, 0, 45000, EDGE_ADMISSION_SCALE);
        same += first == edge_admission_by_size(1, key, 0, 45000, EDGE_ADMISSION_SCALE);
        other_seed += first == edge_admission_by_size(2, key, 0, 45000, EDGE_ADMISSION_SCALE);
        other_draw += first == edge_admission_by_size(1, key, 1, 45000, EDGE_ADMISSION_SCALE);
    }
    ck_assert_uint_eq(same, 1000);
    ck_assert_uint_lt(other_seed, 600);
    ck_assert_uint_lt(other_draw, 600);
}
END_TEST

START_TEST(second_request_is_known)
{
    struct edge_doorkeeper *d = edge_doorkeeper_create(20, 1000);
    unsigned wrong = 0;
    for (uint64_t key = 0; key < 900; key++) {
        wrong += edge_doorkeeper_seen(d, key);
    }
    ck_assert_uint_lt(wrong, 10); /* collisions */
    for (uint64_t key = 0; key < 900; key++) {
        ck_assert(edge_doorkeeper_seen(d, key));
    }
    for (uint64_t key = 1000000; key < 1002200; key++) { /* two rotations */
        edge_doorkeeper_seen(d, key);
    }
    unsigned kept = 0;
    for (uint64_t key = 0; key < 100; key++) {
        kept += edge_doorkeeper_seen(d, key);
    }
    ck_assert_uint_lt(kept, 5);
    edge_doorkeeper_destroy(d);
}
END_TEST

START_TEST(nearly_full)
{
    ck_assert(!edge_admission_nearly_full(0, 1600));
    ck_assert(!edge_admission_nearly_full(1499, 1600));
    ck_assert(edge_admission_nearly_full(1500, 1600));
    ck_assert(edge_admission_nearly_full(0, 0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admission");
    TCase *tc = tcase_create("admission");
    tcase_add_loop_test(tc, share_follows_the_curve, 0, 5);
    tcase_add_test(tc, repeats_with_the_seed_and_draws_anew);
    tcase_add_test(tc, second_request_is_known);
    tcase_add_test(tc, nearly_full);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
