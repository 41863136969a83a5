/* Modelled visits against figures by hand: round trips counted as in docs/compare.md; and properties that
 * hold for all paths. */
#include "cli/compare/model/series.h"
#include "cli/compare/model/times.h"
#include "common/mem.h"
#include "common/mix.h"
#include "common/str.h"
#include "wan/path/formula.h"
#include "wan/path/profile.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

#define MS INT64_C(1000000)

static struct times_paths paths_of(double origin, double edge, double router, double behind)
{
    return (struct times_paths){times_leg_of(origin, NULL), times_leg_of(edge, NULL),
                                times_leg_of(router, NULL), times_leg_of(behind, NULL)};
}

/* A client in Singapore, an edge there, the origin in Frankfurt; ms. 100 kB are three rounds from the initial
 * window of 14,600 bytes. */
static const struct {
    enum visit_kind visit;
    uint64_t bytes;
    struct {
        double router[2], connect, first_byte[2], total, least;
    } want; /* [0] of the first request, [1] of the second on the same connections */
} rows[] = {
    {VISIT_DIRECT, 10000, {{0, 0}, 215, {430, 215}, 430, 430}},
    {VISIT_DIRECT, 100000, {{0, 0}, 215, {430, 215}, 860, 860}},
    {VISIT_DNS_WARM, 100000, {{0, 0}, 10, {20, 10}, 40, 40}},
    {VISIT_DNS_REVALIDATED, 100000, {{0, 0}, 10, {235, 225}, 255, 255}},
    {VISIT_REDIRECT_WARM, 100000, {{430, 215}, 10, {450, 225}, 470, 470}},
    /* three rounds behind the edge, the last of which needs two more on the client's side (whose window did
     * not grow while it idled); over a busy connection behind the edge one round, and three */
    {VISIT_DNS_COLD, 100000, {{0, 0}, 10, {235, 225}, 675, 255}},
    {VISIT_DNS_UNCACHEABLE, 10000, {{0, 0}, 10, {235, 225}, 235, 235}},
};

static void same(const char *what, int64_t ns, double ms)
{
    ck_assert_msg(ns >= (int64_t)(ms * 1e6) - 1000 && ns <= (int64_t)(ms * 1e6) + 1000,
                  "%s: %.3f ms, not %.3f", what, (double)ns / 1e6, ms);
}

START_TEST(by_hand)
{
    struct times_paths paths = paths_of(215, 10, 215, 215);
    struct times got[2];
    times_of_visit(&paths, rows[_i].visit, rows[_i].bytes, got);
    for (unsigned kept = 0; kept < 2; kept++) {
        same("router", got[kept].router_ns, rows[_i].want.router[kept]);
        same("connect", got[kept].connect_ns, kept ? 0 : rows[_i].want.connect);
        same("first byte", got[kept].first_byte_ns, rows[_i].want.first_byte[kept]);
        if (!kept) { /* how far a window has opened is wan/path's business */
            same("total", got[kept].total_ns, rows[_i].want.total);
            same("least total", got[kept].least_total_ns, rows[_i].want.least);
        }
    }
}
END_TEST

/* What is played through agrees with the closed formula, where that has an answer. */
START_TEST(as_the_formula)
{
    static const enum visit_kind kinds[] = {VISIT_DIRECT, VISIT_DNS_WARM};
    static const double rtts[] = {5, 20, 80, 150, 300};
    static const int64_t sizes[] = {0, 1000, 10000, 100000, 1000000};
    const struct wan_profile *fibre = wan_profile_find(CDN_STR("fibre"));
    for (size_t i = 0; i < CDN_ARRAY_LEN(rtts) * CDN_ARRAY_LEN(sizes) * CDN_ARRAY_LEN(kinds); i++) {
        const struct times_leg leg = times_leg_of(rtts[i % 5], fibre);
        const struct times_paths paths = {leg, leg, leg, leg};
        const int64_t bytes = sizes[i / 5 % 5];
        struct times got[2];
        struct wan_times want;
        const struct wan_exchange exchange = {
            .bytes_up = TIMES_REQUEST_BYTES, .bytes_down = TIMES_HEAD_BYTES + bytes, .new_connection = true};
        times_of_visit(&paths, kinds[i / 25], (uint64_t)bytes, got);
        wan_formula(&leg.up, &leg.down, &exchange, &want);
        same("connect", got[0].connect_ns, (double)want.connect_ns / 1e6);
        same("first byte", got[0].first_byte_ns, (double)want.first_byte_ns / 1e6);
        same("total", got[0].total_ns, (double)want.total_ns / 1e6);
    }
}
END_TEST

START_TEST(whatever_the_paths)
{
    uint64_t state = 11;
    for (unsigned i = 0; i < 300; i++) {
        double ms[4];
        for (unsigned k = 0; k < 4; k++) {
            ms[k] = 0.5 + 400 * cdn_mix_unit(cdn_mix_next(&state));
        }
        struct times_paths paths = paths_of(ms[0], ms[1], ms[2], ms[3]);
        uint64_t bytes = cdn_mix_next(&state) % 400000;
        for (unsigned visit = 0; visit < VISIT_COUNT; visit++) {
            struct times got[2], again[2], more[2];
            times_of_visit(&paths, (enum visit_kind)visit, bytes, got);
            times_of_visit(&paths, (enum visit_kind)visit, bytes, again);
            times_of_visit(&paths, (enum visit_kind)visit, bytes + 50000, more);
            ck_assert(memcmp(got, again, sizeof(got)) == 0);
            for (unsigned kept = 0; kept < 2; kept++) {
                const struct times *t = &got[kept];
                ck_assert(t->router_ns + t->connect_ns < t->first_byte_ns);
                ck_assert(t->first_byte_ns <= t->least_total_ns && t->least_total_ns <= t->total_ns);
            }
            ck_assert(got[0].total_ns <= more[0].total_ns);
            ck_assert(got[1].total_ns <= got[0].total_ns && got[1].connect_ns == 0);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("times");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, by_hand, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(all, as_the_formula);
    tcase_add_test(all, whatever_the_paths);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
