/* When bytes arrive at the other end of a path: rounds of slow start, a line's rate, what loss, jitter and
 * cuts do. */
#include "common/mem.h"
#include "common/mix.h"
#include "tests/unit/wan/path/way_of.h"
#include "wan/path/path.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

static struct wan_flight send_new(const struct wan_path *path, uint64_t seed, size_t n)
{
    struct wan_way way;
    wan_way_init(&way, path, NULL, seed);
    return send_over(&way, 0, n);
}

/* The worked table: rounds that a body takes from ten segments; golden times at several distances. */
START_TEST(rounds)
{
    static const struct {
        size_t bytes;
        int64_t rounds;
    } rows[] = {{1, 1},     {10000, 1},  {14600, 1},  {14601, 2},   {43800, 2},    {43801, 3},
                {50000, 3}, {100000, 3}, {300000, 5}, {1000000, 7}, {10000000, 10}};
    static const int64_t rtts[] = {2, 5, 10, 62, 93, 100, 165, 215, 300};
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        for (size_t j = 0; j < CDN_ARRAY_LEN(rtts); j++) {
            struct wan_path path = path_of(rtts[j], 0);
            struct wan_flight flight = send_new(&path, 1, rows[i].bytes);
            ck_assert_int_eq(flight.first_ns, rtts[j] * MS / 2);
            ck_assert_int_eq(flight.last_ns, rtts[j] * MS / 2 + (rows[i].rounds - 1) * rtts[j] * MS);
        }
    }
}
END_TEST

START_TEST(a_window_of_thirty_segments)
{
    static const struct {
        size_t bytes;
        int64_t rounds;
    } rows[] = {{10000, 1}, {50000, 2}, {100000, 2}, {300000, 3}, {1000000, 5}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct wan_path path = path_of(100, 0);
        path.initial_window = 30 * WAN_MSS;
        ck_assert_int_eq(send_new(&path, 1, rows[i].bytes).last_ns,
                         50 * MS + (rows[i].rounds - 1) * 100 * MS);
    }
}
END_TEST

START_TEST(no_distance_lets_all_through_at_once)
{
    struct wan_way way;
    struct wan_flight flight;
    wan_way_init(&way, &(struct wan_path){0}, NULL, 1);
    ck_assert_uint_eq(wan_way_send(&way, 7, 7, 100 << 20, &flight), 100 << 20);
    ck_assert_int_eq(flight.first_ns, 7);
    ck_assert_int_eq(flight.last_ns, 7);
    ck_assert_int_le(wan_way_ready_ns(&way), 7);
}
END_TEST

START_TEST(a_full_line_takes_its_rate)
{
    struct wan_path path = path_of(10, 1000000); /* the first window takes longer than a round */
    struct wan_flight flight = send_new(&path, 1, 1000000);
    ck_assert_int_eq(flight.first_ns, 5 * MS + 1460000);
    ck_assert_int_eq(flight.last_ns, 1005 * MS);
    ck_assert_uint_eq(wan_flight_due(&flight, flight.first_ns - 1), 0);
    ck_assert_uint_eq(wan_flight_due(&flight, flight.first_ns), WAN_MSS);
    ck_assert_uint_eq(wan_flight_due(&flight, 505 * MS), 1000000 / 2 / WAN_MSS * WAN_MSS);
    ck_assert_uint_eq(wan_flight_due(&flight, flight.last_ns), 1000000);
}
END_TEST

START_TEST(a_line_is_shared)
{
    struct wan_path path = path_of(20, 1000000);
    struct wan_line line = {0};
    struct wan_way a, b;
    wan_way_init(&a, &path, &line, 1);
    wan_way_init(&b, &path, &line, 1);
    ck_assert_int_eq(send_over(&a, 0, 10000).last_ns, 20 * MS);
    ck_assert_int_eq(send_over(&b, 0, 10000).last_ns, 30 * MS);
}
END_TEST

/* How a call is made does not matter: at once, or whenever something may leave, late or not. */
START_TEST(asking_often_or_late_changes_nothing)
{
    static const int64_t rates[] = {0, 300000, 5000000, 100000000};
    for (size_t r = 0; r < CDN_ARRAY_LEN(rates); r++) {
        for (int64_t late = 0; late <= 3 * MS; late += MS) {
            struct wan_path path = path_of(50, rates[r]);
            struct wan_way way;
            struct wan_flight flight, whole = send_new(&path, 1, 3000000);
            size_t done = 0;
            wan_way_init(&way, &path, NULL, 1);
            for (int64_t now = 0; done < 3000000; now = wan_way_ready_ns(&way) + late) {
                for (size_t n; (n = wan_way_send(&way, 0, now, 3000000 - done, &flight)) > 0; done += n) {
                }
            }
            ck_assert_int_eq(flight.last_ns, whole.last_ns);
        }
    }
}
END_TEST

/* Request after request on one connection: the window stays and grows, up to twice what was under way, and is
 * the first again after a time-out of silence (300 ms here). */
START_TEST(the_window_of_a_kept_connection)
{
    static const struct {
        int64_t at_ms;
        size_t bytes;
        int64_t rounds;
    } rows[] = {{0, 10000, 1},     {200, 20000, 1},   {400, 100000, 2}, {800, 100000, 1},
                {1100, 190000, 1}, {1400, 190000, 1}, {1701, 100000, 3}};
    struct wan_path path = path_of(100, 0);
    struct wan_way way;
    wan_way_init(&way, &path, NULL, 1);
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        int64_t at = rows[i].at_ms * MS, last = send_over(&way, at, rows[i].bytes).last_ns;
        ck_assert_msg(last == at + 50 * MS + (rows[i].rounds - 1) * 100 * MS, "row %zu", i);
    }
}
END_TEST

START_TEST(never_more_than_a_window_under_way)
{
    struct wan_path path = path_of(300, 0);
    path.largest_window = 100 * WAN_MSS;
    struct wan_way way;
    struct wan_flight flight;
    wan_way_init(&way, &path, NULL, 1);
    for (int64_t now = 0, round = 0; round < 30; now = wan_way_ready_ns(&way), round++) {
        size_t n = wan_way_send(&way, 0, now, 1 << 30, &flight);
        ck_assert_uint_le(n, 100 * WAN_MSS);
        ck_assert_uint_eq(wan_way_send(&way, 0, now, 1 << 30, &flight), 0);
    }
}
END_TEST

static struct wan_path drawn_path(uint64_t *seed)
{
    static const int64_t rates[] = {0, 50000, 200000, 1250000, 12500000, 125000000};
    struct wan_path path = {.there_ns = (int64_t)(cdn_mix_next(seed) % 150000000),
                            .back_ns = (int64_t)(cdn_mix_next(seed) % 150000000),
                            .bytes_per_s = rates[cdn_mix_next(seed) % CDN_ARRAY_LEN(rates)]};
    return path;
}

/* Whatever chance does: nothing is there before half the round trip, bytes are in order (send_over looks),
 * it takes no less than without, and the same seed gives the same times. */
START_TEST(loss_and_jitter_only_take_time)
{
    uint64_t seed = 20261129;
    for (int i = 0; i < 2000; i++) {
        struct wan_path plain = drawn_path(&seed), path = plain;
        size_t n = cdn_mix_next(&seed) % 600000 + 1;
        path.loss = i % 3 == 0 ? 0 : cdn_mix_unit(cdn_mix_next(&seed)) * 0.1;
        path.jitter_ns = i % 3 == 1 ? 0 : (int64_t)(cdn_mix_next(&seed) % 20000000);
        struct wan_flight got = send_new(&path, (uint64_t)i, n), again = send_new(&path, (uint64_t)i, n);
        struct wan_flight least = send_new(&plain, 0, n);
        ck_assert_int_ge(got.first_ns, path.there_ns);
        ck_assert_int_ge(got.first_ns, least.first_ns);
        ck_assert_msg(got.last_ns >= least.last_ns, "%d: %lld < %lld", i, (long long)got.last_ns,
                      (long long)least.last_ns);
        ck_assert(got.first_ns == again.first_ns && got.last_ns == again.last_ns);
    }
}
END_TEST

/* The very nanoseconds, on every machine. */
START_TEST(what_a_seed_gives)
{
    static const struct {
        uint64_t seed;
        int64_t first_ns, last_ns;
    } rows[] = {{1, 52171664, 5207153011}, {2, 52819865, 6410250270}, {20261129, 56245367, 4688641257}};
    struct wan_path path = path_of(100, 1250000);
    path.loss = 0.01;
    path.jitter_ns = 2 * MS;
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct wan_flight flight = send_new(&path, rows[i].seed, 1000000);
        ck_assert_int_eq(flight.first_ns, rows[i].first_ns);
        ck_assert_int_eq(flight.last_ns, rows[i].last_ns);
    }
}
END_TEST

/* One segment in a hundred: of 10,000 transfers of one segment as many wait for a time-out. */
START_TEST(as_much_is_lost_as_was_asked_for)
{
    struct wan_path path = path_of(100, 0);
    int lost = 0;
    path.loss = 0.01;
    for (uint64_t i = 0; i < 10000; i++) {
        int64_t last = send_new(&path, cdn_mix64(i), 1000).last_ns;
        lost += last > 50 * MS;
        ck_assert(last == 50 * MS || last >= 50 * MS + 300 * MS); /* the round trip and 200 ms */
    }
    ck_assert_int_gt(lost, 60);
    ck_assert_int_lt(lost, 140);
}
END_TEST

/* Where exactly one segment of ten is lost: a round more if others follow it, the probe time-out of two
 * rounds if it is the last. */
START_TEST(what_a_repair_costs)
{
    struct wan_path path = path_of(100, 0);
    int resent = 0, probes = 0;
    path.loss = 0.02;
    for (uint64_t i = 0; i < 2000; i++) {
        int64_t extra = send_new(&path, cdn_mix64(i), 14600).last_ns - 50 * MS;
        resent += extra == 100 * MS;
        probes += extra == 200 * MS;
        ck_assert_msg(extra == 0 || extra == 100 * MS || extra == 200 * MS || extra >= 300 * MS, "%lld",
                      (long long)extra);
    }
    ck_assert_int_gt(resent, 250);
    ck_assert_int_gt(probes, 20);
}
END_TEST

/* Twenty rounds of a long transfer from a window of 100 segments: one loss halves it. */
START_TEST(a_loss_halves_the_window)
{
    struct wan_path path = path_of(100, 0);
    path.initial_window = path.largest_window = 100 * WAN_MSS;
    path.loss = 1e-12;
    struct wan_way way;
    struct wan_flight flight;
    wan_way_init(&way, &path, NULL, 1);
    ck_assert_uint_eq(wan_way_send(&way, 0, 0, 10 * WAN_MSS, &flight), 10 * WAN_MSS);
    way.next_lost = true;
    ck_assert_uint_eq(wan_way_send(&way, 0, 0, 1 << 30, &flight), WAN_MSS);
    ck_assert_int_eq(flight.last_ns, 150 * MS);
    ck_assert_uint_eq(wan_way_send(&way, 0, 0, 1 << 30, &flight), 89 * WAN_MSS);
    ck_assert_int_eq(flight.first_ns, 150 * MS); /* held until it is repaired */
    ck_assert_uint_eq(wan_way_send(&way, 0, 100 * MS, 1 << 30, &flight),
                      49 * WAN_MSS); /* one is still missing */
    ck_assert_int_eq(way.window, 50 * WAN_MSS);
    ck_assert_uint_eq(wan_way_send(&way, 0, 200 * MS, 1 << 30, &flight), 50 * WAN_MSS);
    ck_assert_uint_eq(wan_way_send(&way, 0, 300 * MS, 1 << 30, &flight), 51 * WAN_MSS); /* one a round */
    ck_assert_uint_eq(wan_way_send(&way, 0, 400 * MS, 1 << 30, &flight), 52 * WAN_MSS);
}
END_TEST

/* Lost again and again, for minutes perhaps: the first try after the loss has ended gets through. */
START_TEST(the_end_of_a_loss_is_felt_at_once)
{
    const struct wan_path good = path_of(100, 0);
    struct wan_path bad = good;
    int held = 0;
    bad.loss = 0.9;
    for (uint64_t i = 0; i < 500; i++) {
        struct wan_way way;
        struct wan_flight flight;
        wan_way_init(&way, &bad, NULL, cdn_mix64(i));
        ck_assert_uint_gt(wan_way_send(&way, 0, 0, 1000, &flight), 0);
        wan_way_change(&way, &good, 2000 * MS);
        held += flight.last_ns > 5000 * MS;
        ck_assert_int_le(way.arrived_ns, flight.last_ns);
        /* tried after 300, 600, 1200 and 2400 ms */
        ck_assert_int_eq(way.arrived_ns, flight.last_ns < 2450 * MS ? flight.last_ns : 2450 * MS);
        ck_assert_int_le(send_over(&way, 5000 * MS, 1000).last_ns, 5050 * MS);
    }
    ck_assert_int_gt(held, 200);
}
END_TEST

START_TEST(the_mean_of_jitter)
{
    struct wan_path path = path_of(100, 0);
    double sum = 0;
    path.jitter_ns = 5 * MS;
    for (uint64_t i = 0; i < 20000; i++) {
        sum += (double)(send_new(&path, cdn_mix64(i), 100).last_ns - 50 * MS) / 1e6;
    }
    ck_assert_double_eq_tol(sum / 20000, 5, 0.15);
}
END_TEST

/* A cut of a way: nothing leaves; what waited leaves with the first try after it, at 300, 900, 2,100 ms. */
START_TEST(a_cut_and_what_waited_through_it)
{
    static const struct {
        int64_t offered_ms, healed_ms, left_ms;
    } rows[] = {{1000, 1100, 1300}, {1000, 1300, 1300}, {1000, 1301, 1900}, {1000, 4000, 5500},
                {500, 1100, 1300},  {1050, 1100, 1350}, {1200, 1100, 1200}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct wan_path path = path_of(100, 0), cut = path;
        struct wan_way way;
        struct wan_flight flight;
        int64_t offered = rows[i].offered_ms * MS, healed = rows[i].healed_ms * MS;
        cut.cut = true;
        wan_way_init(&way, &path, NULL, 1);
        wan_way_change(&way, &cut, 1000 * MS);
        ck_assert_uint_eq(wan_way_send(&way, offered, 9000 * MS, 1000, &flight), 0);
        ck_assert_int_eq(wan_way_ready_ns(&way), WAN_NEVER);
        ck_assert_int_eq(wan_way_end_ns(&way, offered), WAN_NEVER);
        ck_assert_int_eq(wan_way_syn_ns(&way, offered), WAN_NEVER);
        wan_way_change(&way, &path, healed);
        ck_assert_uint_eq(wan_way_send(&way, offered, FOREVER, 1000, &flight), 1000);
        ck_assert_msg(flight.first_ns == (rows[i].left_ms + 50) * MS, "row %zu: %lld", i,
                      (long long)flight.first_ns / MS);
    }
}
END_TEST

/* Only acknowledgements are cut: what is under way arrives, the window stays full until they come again. */
START_TEST(a_cut_of_the_way_back)
{
    struct wan_path path = path_of(100, 0), cut = path;
    struct wan_way way;
    struct wan_flight flight;
    cut.acks_cut = true;
    wan_way_init(&way, &path, NULL, 1);
    wan_way_change(&way, &cut, 0);
    ck_assert_uint_eq(wan_way_send(&way, 10 * MS, 10 * MS, 1 << 30, &flight), WAN_INITIAL_WINDOW);
    ck_assert_int_eq(flight.last_ns, 60 * MS);
    ck_assert_int_eq(wan_way_ready_ns(&way), WAN_NEVER);
    wan_way_change(&way, &path, 500 * MS);
    ck_assert_int_eq(wan_way_ready_ns(&way), (10 + 300 + 600 + 100) * MS); /* two time-outs and a round */
}
END_TEST

START_TEST(a_path_changes_under_way)
{
    struct wan_path path = path_of(100, 0), other = path_of(20, 1000000);
    struct wan_way way;
    struct wan_flight flight;
    wan_way_init(&way, &path, NULL, 1);
    ck_assert_uint_eq(wan_way_send(&way, 0, 0, 1000, &flight), 1000);
    wan_way_change(&way, &other, 5 * MS);
    ck_assert_uint_eq(wan_way_send(&way, 5 * MS, 5 * MS, 1000, &flight), 1000);
    ck_assert_int_eq(flight.first_ns, 50 * MS); /* it would be there sooner, and may not overtake */
    ck_assert_int_eq(send_over(&way, 60 * MS, 1000).last_ns, 71 * MS);
    ck_assert_int_eq(wan_way_end_ns(&way, 60 * MS), 71 * MS); /* the end comes after all bytes */
    ck_assert_int_eq(wan_way_end_ns(&way, 62 * MS), 72 * MS);
}
END_TEST

START_TEST(many_small_pieces)
{
    struct wan_path path = path_of(100, 0);
    struct wan_way way;
    struct wan_flight flight;
    wan_way_init(&way, &path, NULL, 1);
    for (int i = 0; i < 5000; i++) { /* more than are remembered one by one */
        ck_assert_uint_eq(wan_way_send(&way, i * MS / 2, i * MS / 2, 20, &flight), 20);
        ck_assert_int_eq(flight.last_ns, i * MS / 2 + 50 * MS);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wan.path");
    TCase *tcase = tcase_create("rows");
    tcase_add_test(tcase, rounds);
    tcase_add_test(tcase, a_window_of_thirty_segments);
    tcase_add_test(tcase, no_distance_lets_all_through_at_once);
    tcase_add_test(tcase, a_full_line_takes_its_rate);
    tcase_add_test(tcase, a_line_is_shared);
    tcase_add_test(tcase, asking_often_or_late_changes_nothing);
    tcase_add_test(tcase, the_window_of_a_kept_connection);
    tcase_add_test(tcase, never_more_than_a_window_under_way);
    tcase_add_test(tcase, loss_and_jitter_only_take_time);
    tcase_add_test(tcase, what_a_seed_gives);
    tcase_add_test(tcase, as_much_is_lost_as_was_asked_for);
    tcase_add_test(tcase, what_a_repair_costs);
    tcase_add_test(tcase, a_loss_halves_the_window);
    tcase_add_test(tcase, the_end_of_a_loss_is_felt_at_once);
    tcase_add_test(tcase, the_mean_of_jitter);
    tcase_add_test(tcase, a_cut_and_what_waited_through_it);
    tcase_add_test(tcase, a_cut_of_the_way_back);
    tcase_add_test(tcase, a_path_changes_under_way);
    tcase_add_test(tcase, many_small_pieces);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
