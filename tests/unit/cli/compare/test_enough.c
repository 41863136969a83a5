/* Greedy places against all choices of a small world, and what does not help is not taken. */
#include "cli/compare/model/enough.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/latency.h"
#include "geo-data/places.h"

#include <check.h>
#include <math.h>
#include <stddef.h>

#include "common/banned.h"

static const char *const names[] = {"London",   "Paris",  "Tokyo", "Osaka",
                                    "New York", "Sydney", "Lima",  "Nairobi"};
#define N CDN_ARRAY_LEN(names)

static struct geo_rtt_point points[N];

static void find(void)
{
    for (size_t i = 0; i < N; i++) {
        struct geo_place place;
        struct cdn_error err;
        ck_assert_int_eq(geo_place_find(cdn_str(names[i]), &place, &err), CDN_OK);
        geo_rtt_point(place.lat, place.lon, &points[i]);
    }
}

START_TEST(the_first_is_the_best)
{
    struct enough_client clients[N];
    struct enough_step steps[N];
    for (size_t i = 0; i < N; i++) {
        clients[i] = (struct enough_client){&points[i], i < 2 ? 3 : 1};
    }
    ck_assert_uint_eq(enough_greedy(clients, N, NULL, 0, points, N, N, steps), N);
    double best = INFINITY;
    for (size_t c = 0; c < N; c++) {
        best = fmin(best, enough_now(clients, N, &points[c], 1).mean_ms);
    }
    ck_assert_double_eq_tol(steps[0].mean_ms, best, 1e-6);
    for (size_t i = 1; i < N; i++) {
        ck_assert(steps[i].mean_ms < steps[i - 1].mean_ms && steps[i].p95_ms <= steps[i - 1].p95_ms);
    }
    ck_assert(steps[N - 1].p95_ms < 5); /* one in each city: the ends alone */
}
END_TEST

START_TEST(one_more_goes_to_the_many)
{ /* an edge in London, and nearly everybody in Sydney */
    struct enough_client clients[] = {{&points[0], 1}, {&points[4], 5}, {&points[5], 100}};
    struct enough_step step;
    ck_assert_uint_eq(enough_greedy(clients, 3, points, 1, points, N, 1, &step), 1);
    ck_assert_str_eq(names[step.candidate], "Sydney");
    ck_assert_double_lt(step.mean_ms, enough_now(clients, 3, points, 1).mean_ms);
}
END_TEST

START_TEST(what_does_not_help_is_not_taken)
{
    struct enough_client client = {&points[2], 1};
    struct enough_step step;
    ck_assert_uint_eq(enough_greedy(&client, 1, &points[2], 1, points, N, 1, &step), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("enough");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, find, NULL);
    tcase_add_test(all, the_first_is_the_best);
    tcase_add_test(all, one_more_goes_to_the_many);
    tcase_add_test(all, what_does_not_help_is_not_taken);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
