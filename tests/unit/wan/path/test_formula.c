/* The closed formula against the model that sends: equal to the nanosecond, and the worked examples. */
#include "common/mem.h"
#include "common/mix.h"
#include "tests/unit/wan/path/way_of.h"
#include "wan/path/formula.h"
#include "wan/path/path.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

struct pair { /* both senders of a connection */
    struct wan_way up, down;
};

static struct wan_times send_exchange(struct pair *pair, const struct wan_exchange *x, int64_t at)
{
    struct wan_times t = {0};
    int64_t begin = at;
    size_t up = (size_t)x->bytes_up;
    if (x->new_connection) {
        at = wan_way_syn_ns(&pair->down, wan_way_syn_ns(&pair->up, at));
        t.connect_ns = t.tls_ns = at - begin;
        if (x->tls) {
            at = send_over(&pair->up, at, WAN_TLS_HELLO).last_ns;
            at = send_over(&pair->down, at, WAN_TLS_SERVER).last_ns;
            t.tls_ns = at - begin;
            up += WAN_TLS_FINISHED;
        }
    }
    at = send_over(&pair->up, at, up).last_ns + x->server_ns;
    struct wan_flight answer = send_over(&pair->down, at, (size_t)x->bytes_down);
    t.first_byte_ns = answer.first_ns - begin;
    t.total_ns = answer.last_ns - begin;
    return t;
}

static void assert_equal(const struct wan_times *a, const struct wan_times *b, int row)
{
    ck_assert_msg(a->connect_ns == b->connect_ns && a->tls_ns == b->tls_ns &&
                      a->first_byte_ns == b->first_byte_ns && a->total_ns == b->total_ns,
                  "%d: sent %lld %lld %lld %lld, formula %lld %lld %lld %lld", row, (long long)a->connect_ns,
                  (long long)a->tls_ns, (long long)a->first_byte_ns, (long long)a->total_ns,
                  (long long)b->connect_ns, (long long)b->tls_ns, (long long)b->first_byte_ns,
                  (long long)b->total_ns);
}

/* 5,000 drawn paths and sizes, each on a new connection and then twice more on the same. */
START_TEST(equals_what_is_sent)
{
    static const int64_t rates[] = {0, 31250, 100000, 1250000, 6250001, 37500000, 125000000};
    static const int64_t most[] = {0, 0, WAN_MSS, 20 * WAN_MSS, 64000};
    uint64_t seed = 1;
    for (int i = 0; i < 5000; i++) {
        int64_t half = (int64_t)(cdn_mix_next(&seed) % 150000000);
        struct wan_path up = {.there_ns = half, .back_ns = half}, down = up;
        up.bytes_per_s = rates[cdn_mix_next(&seed) % CDN_ARRAY_LEN(rates)];
        down.bytes_per_s = rates[cdn_mix_next(&seed) % CDN_ARRAY_LEN(rates)];
        down.largest_window = most[cdn_mix_next(&seed) % CDN_ARRAY_LEN(most)];
        struct wan_exchange x = {.bytes_up = (int64_t)(cdn_mix_next(&seed) % 30000 + 1),
                                 .bytes_down = (int64_t)(cdn_mix_next(&seed) % (1 << (i % 22)) + 1),
                                 .new_connection = true,
                                 .tls = i % 2 == 0,
                                 .server_ns = (int64_t)(cdn_mix_next(&seed) % 30000000)};
        struct pair pair;
        wan_way_init(&pair.up, &up, NULL, 0);
        wan_way_init(&pair.down, &down, NULL, 0);
        int64_t at = 1000;
        bool silent = half > 80 * MS || (up.bytes_per_s && up.bytes_per_s < 1250000) || x.bytes_up > 14000;
        for (int kept = 0; kept < (silent ? 1 : 3); kept++) { /* a silent sender loses its window */
            struct wan_times sent = send_exchange(&pair, &x, at), formula;
            wan_formula(&up, &down, &x, &formula);
            assert_equal(&sent, &formula, i);
            at += sent.total_ns + 2 * half; /* all is acknowledged */
            x.window_up = at - (pair.up.arrived_ns - half) > 2 * half + 200 * MS
                              ? 0
                              : wan_formula_window(&up, x.window_up, x.bytes_up);
            x.window_down = wan_formula_window(&down, x.window_down, x.bytes_down);
            x.new_connection = false;
            x.server_ns = 0;
        }
    }
}
END_TEST

/* A client in Singapore, the origin in Frankfurt at 215 ms, an edge at 10 ms; 100 kB; TLS 1.3. */
START_TEST(singapore)
{
    struct wan_path far = path_of(215, 0), near = path_of(10, 0);
    struct wan_exchange x = {.bytes_up = 500, .bytes_down = 100000, .new_connection = true, .tls = true};
    struct wan_times t;
    wan_formula(&far, &far, &x, &t);
    ck_assert_int_eq(t.first_byte_ns, 645 * MS);
    ck_assert_int_eq(t.total_ns, 1075 * MS);
    wan_formula(&near, &near, &x, &t);
    ck_assert_int_eq(t.first_byte_ns, 30 * MS);
    ck_assert_int_eq(t.total_ns, 50 * MS);
    /* a miss over a kept connection of the edge: 30 ms and one round to Frankfurt */
    x.new_connection = false;
    wan_formula(&far, &far, &x, &t);
    ck_assert_int_eq(30 * MS + t.first_byte_ns, 245 * MS);
}
END_TEST

START_TEST(rounds_of_a_body)
{
    static const struct {
        int64_t bytes;
        unsigned from_ten, from_thirty;
    } rows[] = {{10000, 1, 1}, {50000, 3, 2}, {100000, 3, 2}, {300000, 5, 3}, {1000000, 7, 5}};
    struct wan_path path = path_of(100, 0);
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        ck_assert_uint_eq(wan_formula_rounds(&path, 0, rows[i].bytes), rows[i].from_ten);
        ck_assert_uint_eq(wan_formula_rounds(&path, 30 * WAN_MSS, rows[i].bytes), rows[i].from_thirty);
    }
}
END_TEST

/* In bytes: what it began with and what was acknowledged, but not beyond twice what was under way. Linux's
 * windows after 30 kB, 100 kB and 1 MB are 31, 80 and 701 segments. */
START_TEST(the_window_left_behind)
{
    static const struct {
        int64_t window, bytes, left;
    } rows[] = {
        {0, 1, 14600},           {0, 5000, 14600},
        {0, 10000, 20440},       {0, 14600, 29200},
        {0, 30000, 43800},       {0, 100000, 113880},
        {114600, 50000, 114600}, {114600, 100000, 200740},
        {0, 1000000, 1013240},   {0, 10000000, WAN_LARGEST_WINDOW},
    };
    struct wan_path path = path_of(100, 0);
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        int64_t left = wan_formula_window(&path, rows[i].window, rows[i].bytes);
        ck_assert_msg(left == rows[i].left, "row %zu: %lld", i, (long long)left);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wan.formula");
    TCase *tcase = tcase_create("rows");
    tcase_add_test(tcase, equals_what_is_sent);
    tcase_add_test(tcase, singapore);
    tcase_add_test(tcase, rounds_of_a_body);
    tcase_add_test(tcase, the_window_left_behind);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
