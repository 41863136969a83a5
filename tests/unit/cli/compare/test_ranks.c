/* Statistics of `compare`: percentiles that were really seen, a rank test that is exact for constant samples
 * and ties too, and how often it is right: a shift of 2 % found in 99 of 100 seeded runs, at most 1 % false
 * alarms. */
#include "cli/compare/stats/ranks.h"
#include "cli/compare/stats/summary.h"
#include "common/mem.h"
#include "common/mix.h"

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/banned.h"

/* ---- percentiles ---- */

static const struct {
    const char *values;
    double min, p50, p95, p99, max;
} summaries[] = {
    {"7", 7, 7, 7, 7, 7},
    {"5 5 5 5 5", 5, 5, 5, 5, 5},
    {"2 1", 1, 1, 2, 2, 2},
    {"9 1 5", 1, 5, 9, 9, 9},
    {"20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1", 1, 10, 19, 20, 20},
};

static size_t read_values(const char *text, double *ret)
{
    size_t n = 0;
    for (int used = 0; sscanf(text, "%lf%n", &ret[n], &used) == 1; text += used) {
        n++;
    }
    return n;
}

START_TEST(percentiles)
{
    double values[64];
    size_t n = read_values(summaries[_i].values, values);
    struct summary s = summary_of(values, n);
    ck_assert_uint_eq(s.n, n);
    ck_assert_double_eq(s.at[SUMMARY_min], summaries[_i].min);
    ck_assert_double_eq(s.at[SUMMARY_p50], summaries[_i].p50);
    ck_assert_double_eq(s.at[SUMMARY_p95], summaries[_i].p95);
    ck_assert_double_eq(s.at[SUMMARY_p99], summaries[_i].p99);
    ck_assert_double_eq(s.at[SUMMARY_max], summaries[_i].max);
}
END_TEST

START_TEST(nothing_has_no_percentiles)
{
    struct summary s = summary_of(NULL, 0);
    ck_assert_uint_eq(s.n, 0);
    ck_assert(isnan(s.at[SUMMARY_p50]));
}
END_TEST

/* ---- the exact test, against figures of the textbooks and by hand ---- */

static const struct {
    const char *a, *b;
    double p; /* to 1e-4 */
    double shift;
    enum ranks_verdict verdict;
} exact[] = {
    {"", "1 2", 1, NAN, RANKS_NOTHING},
    {"1", "2", 1, 1, RANKS_UNCLEAR},
    {"5 5 5", "5 5 5", 1, 0, RANKS_UNCLEAR},
    {"5 5 5 5 5 5", "6 6 6 6 6 6", 2.0 / 924, 1, RANKS_MORE}, /* 1 of C(12,6), both sides */
    {"6 6 6 6 6 6", "5 5 5 5 5 5", 2.0 / 924, -1, RANKS_LESS},
    {"1 2 3", "4 5 6", 0.1, 3, RANKS_UNCLEAR}, /* 2 of C(6,3) */
    {"1 2 4", "3 5 6", 0.2, 2, RANKS_UNCLEAR}, /* 4 of 20 */
    {"1 1 2", "2 3 3", 0.2, 1, RANKS_UNCLEAR}, /* a tie across */
    /* Hollander and Wolfe, table 4.1: the permeability constants; two-sided exact p 0.2544 */
    {"0.80 0.83 1.89 1.04 1.45 1.38 1.91 1.64 0.73 1.46", "1.15 0.88 0.90 0.74 1.21", 0.2544, -0.305,
     RANKS_UNCLEAR},
};

START_TEST(one_stratum)
{
    double a[32], b[32];
    struct ranks_stratum s = {.a = a, .b = b};
    struct ranks_result r;
    s.a_n = read_values(exact[_i].a, a);
    s.b_n = read_values(exact[_i].b, b);
    ranks_compare(&s, 1, &r);
    ck_assert_double_eq_tol(r.p, exact[_i].p, 1e-4);
    ck_assert(isnan(exact[_i].shift) ? isnan(r.shift.at) : fabs(r.shift.at - exact[_i].shift) < 1e-9);
    ck_assert_int_eq(ranks_verdict(&r), exact[_i].verdict);
    if (s.a_n && s.b_n) {
        ck_assert(r.exact && r.shift.low <= r.shift.at && r.shift.at <= r.shift.high);
    }
}
END_TEST

START_TEST(constant_cities_add_up)
{ /* in each city of two and two, B is slower by the same; one city shows nothing, eight do */
    const double a[] = {10, 10}, b[] = {11, 11};
    struct ranks_stratum s[8];
    struct ranks_result r;
    for (size_t i = 0; i < CDN_ARRAY_LEN(s); i++) {
        s[i] = (struct ranks_stratum){a, b, 2, 2};
    }
    ranks_compare(s, 1, &r);
    ck_assert_int_eq(ranks_verdict(&r), RANKS_UNCLEAR);
    ranks_compare(s, CDN_ARRAY_LEN(s), &r);
    ck_assert_int_eq(ranks_verdict(&r), RANKS_MORE);
    ck_assert(r.exact && r.p < 1e-5); /* 2 / 6^8 */
    ck_assert_double_eq_tol(r.ratio.at, 0.1, 1e-9);
    ck_assert_double_eq(r.superiority, 1);
}
END_TEST

/* ---- how often it is right ---- */

#define CITIES 24u

struct runs {
    double a[CITIES][600], b[CITIES][600];
    struct ranks_stratum strata[CITIES];
};

/* About normal: twelve draws. */
static double noise(uint64_t *state)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) {
        sum += cdn_mix_unit(cdn_mix_next(state));
    }
    return sum;
}

/* A request of a city: 20 to 640 ms of path, 1 % of jitter, and one in twenty held up for up to half as
 * long again. */
static double request(unsigned city, double factor, bool whole_ms, uint64_t *state)
{
    double ms = (20 + 27 * (double)city) * factor * (1 + 0.01 * noise(state));
    if (cdn_mix_unit(cdn_mix_next(state)) < 0.05) {
        ms *= 1 + cdn_mix_unit(cdn_mix_next(state)) / 2;
    }
    return whole_ms ? round(ms) : ms;
}

static void draw(struct runs *runs, size_t n, double factor, bool whole_ms, uint64_t seed)
{
    uint64_t state = seed * CDN_MIX_STEP;
    for (unsigned city = 0; city < CITIES; city++) {
        for (size_t i = 0; i < n; i++) {
            runs->a[city][i] = request(city, 1, whole_ms, &state);
            runs->b[city][i] = request(city, factor, whole_ms, &state);
        }
        runs->strata[city] = (struct ranks_stratum){runs->a[city], runs->b[city], n, n};
    }
}

static const struct {
    size_t n; /* requests a city and side */
    double factor;
    bool whole_ms;               /* many ties */
    unsigned seeds, least, most; /* alarms */
    bool exact;
} powers[] = {
    {5, 1.02, false, 100, 99, 100, true}, {5, 0.98, false, 100, 99, 100, true},
    {5, 1.02, true, 100, 99, 100, true},  {5, 1.00, false, 1000, 0, 10, true},
    {5, 1.00, true, 1000, 0, 10, true},   {40, 1.02, false, 20, 20, 20, false},
    {40, 1.00, false, 100, 0, 1, false},
};

START_TEST(two_percent_are_found)
{
    struct runs *runs = cdn_calloc(1, sizeof(*runs));
    unsigned alarms = 0, covered = 0;
    for (unsigned seed = 1; seed <= powers[_i].seeds; seed++) {
        struct ranks_result r;
        draw(runs, powers[_i].n, powers[_i].factor, powers[_i].whole_ms, seed);
        ranks_compare(runs->strata, CITIES, &r);
        ck_assert_int_eq(r.exact, powers[_i].exact);
        enum ranks_verdict wanted = powers[_i].factor < 1 ? RANKS_LESS : RANKS_MORE;
        bool alarm = powers[_i].factor >= 1 && powers[_i].factor <= 1 ? ranks_verdict(&r) != RANKS_UNCLEAR
                                                                      : ranks_verdict(&r) == wanted;
        alarms += alarm;
        covered += r.ratio.low <= powers[_i].factor - 1 && powers[_i].factor - 1 <= r.ratio.high;
    }
    free(runs);
    ck_assert_msg(alarms >= powers[_i].least && alarms <= powers[_i].most, "%u alarms of %u", alarms,
                  powers[_i].seeds);
    ck_assert_msg(covered * 100 >= powers[_i].seeds * 96, "the interval held the truth %u times of %u",
                  covered, powers[_i].seeds);
}
END_TEST

START_TEST(many_values_are_thinned_for_the_effect_alone)
{
    static double a[5000], b[5000];
    uint64_t state = 7;
    struct ranks_stratum s = {a, b, CDN_ARRAY_LEN(a), CDN_ARRAY_LEN(b)};
    struct ranks_result r;
    for (size_t i = 0; i < CDN_ARRAY_LEN(a); i++) {
        a[i] = 100 + noise(&state);
        b[i] = 102 + noise(&state);
    }
    ranks_compare(&s, 1, &r);
    ck_assert(!r.exact && ranks_verdict(&r) == RANKS_MORE && fabs(r.shift.at - 2) < 0.1);
    ck_assert(r.shift.low > 1.8 && r.shift.high < 2.2 && r.shift.high - r.shift.low > 0.05);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ranks");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, percentiles, 0, (int)CDN_ARRAY_LEN(summaries));
    tcase_add_test(all, nothing_has_no_percentiles);
    tcase_add_loop_test(all, one_stratum, 0, (int)CDN_ARRAY_LEN(exact));
    tcase_add_test(all, constant_cities_add_up);
    tcase_add_loop_test(all, two_percent_are_found, 0, (int)CDN_ARRAY_LEN(powers));
    tcase_add_test(all, many_values_are_thinned_for_the_effect_alone);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
