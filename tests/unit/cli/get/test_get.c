/* What is made of the moments of a request: phases, rounds of a body, quantiles of a series, HAR. */
#include "cli/get/exchange.h"
#include "cli/get/get.h"
#include "common/mem.h"
#include "common/str.h"

#include <check.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

#define PIECES_MAX 8

static const struct {
    struct exchange_piece pieces[PIECES_MAX]; /* until one of 0 bytes */
    int64_t gap_us;
    size_t max;
    const char *rounds; /* "from-until:bytes " each */
} rows[] = {
    {{{0}}, 1000, 4, ""},
    {{{500, 10}}, 1000, 4, "500-500:10 "},
    {{{500, 10}, {900, 30}}, 1000, 4, "500-900:30 "},
    {{{500, 10}, {1500, 30}}, 1000, 4, "500-1500:30 "}, /* just no longer than the gap */
    {{{500, 10}, {1501, 30}}, 1000, 4, "500-500:10 1501-1501:20 "},
    {{{0, 5}, {100, 10}, {9000, 30}, {9100, 70}, {20000, 71}},
     1000,
     4,
     "0-100:10 9000-9100:60 20000-20000:1 "},
    {{{0, 5}, {9000, 30}, {20000, 71}, {30000, 72}},
     1000,
     2,
     "0-0:5 9000-30000:67 "}, /* the rest in the last */
    {{{0, 5}, {9000, 30}}, 1000, 1, "0-9000:30 "},
};

START_TEST(rounds_of_a_body)
{
    struct exchange_piece pieces[PIECES_MAX];
    struct exchange e = {.pieces = pieces};
    struct get_round rounds[4];
    CDN_AUTOBUF struct cdn_buf text = {0};
    while (e.piece_count < PIECES_MAX && rows[_i].pieces[e.piece_count].n) {
        pieces[e.piece_count] = rows[_i].pieces[e.piece_count];
        e.piece_count++;
    }
    const size_t n = get_waterfall_rounds(&e, rows[_i].gap_us, rounds, rows[_i].max);
    for (size_t i = 0; i < n; i++) {
        cdn_buf_printf(&text, "%lld-%lld:%zu ", (long long)rounds[i].from_us, (long long)rounds[i].until_us,
                       rounds[i].bytes);
    }
    ck_assert_str_eq(text.p ? text.p : "", rows[_i].rounds);
}
END_TEST

static const struct {
    double sorted[5];
    size_t n;
    double part, value;
} quantiles[] = {
    {{0}, 0, 0.5, 0},           {{7}, 1, 0, 7},
    {{7}, 1, 0.5, 7},           {{7}, 1, 1, 7},
    {{1, 2, 3, 4}, 4, 0, 1},    {{1, 2, 3, 4}, 4, 0.5, 2},
    {{1, 2, 3, 4}, 4, 0.75, 3}, {{1, 2, 3, 4}, 4, 0.76, 4},
    {{1, 2, 3, 4}, 4, 0.95, 4}, {{1, 2, 3, 4, 5}, 5, 0.5, 3},
    {{1, 2, 3, 4, 5}, 5, 1, 5},
};

START_TEST(quantiles_are_values_that_were_there)
{
    ck_assert_double_eq(get_repeat_quantile(quantiles[_i].sorted, quantiles[_i].n, quantiles[_i].part),
                        quantiles[_i].value);
}
END_TEST

static const struct {
    struct exchange_times times;
    struct get_phases phases;
} moments[] = {
    {{.connect_us = 100000, .sent_us = 100000, .first_us = 200000, .total_us = 250000}, {100, 0, 100, 50}},
    {{.connect_us = 100000, .tls_us = 200000, .sent_us = 201000, .first_us = 300000, .total_us = 300000},
     {100, 100, 99, 0}},
    {{.sent_us = 0, .first_us = 90000, .total_us = 90000, .reused = true}, {0, 0, 90, 0}},
};

START_TEST(phases_of_an_exchange)
{
    const struct exchange e = {.times = moments[_i].times};
    const struct get_phases got = get_phases_of(&e), want = moments[_i].phases;
    ck_assert_double_eq(got.connect, want.connect);
    ck_assert_double_eq(got.tls, want.tls);
    ck_assert_double_eq(got.wait, want.wait);
    ck_assert_double_eq(got.receive, want.receive);
}
END_TEST

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* HAR 1.2: `time` is the sum of the phases that happened, `ssl` being a part of `connect`. */
START_TEST(a_har_adds_up)
{
    struct get_options options = {0};
    struct get_visit visit = {.options = &options, .method = "GET", .hop_count = 1};
    struct get_hop *hop = &visit.hops[0];
    *hop = (struct get_hop){.url = cdn_strdup("http://h/x?a=1%202&b&=c"),
                            .node = cdn_strdup(""),
                            .exchange = {.status = 200, .version = 11, .times = moments[_i].times}};
    cdn_buf_add_str(&hop->exchange.head, CDN_STR("Content-Type: text/css\nX-Odd: \xff\n"));
    json_t *har = get_har(&visit), *log = json_object_get(har, "log");
    const json_t *entry = json_array_get(json_object_get(log, "entries"), 0);
    const json_t *timings = json_object_get(entry, "timings");
    double sum = number(timings, "send") + number(timings, "wait") + number(timings, "receive");
    sum += number(timings, "connect") > 0 ? number(timings, "connect") : 0;
    ck_assert_str_eq(json_string_value(json_object_get(log, "version")), "1.2");
    ck_assert_double_eq_tol(sum, number(entry, "time"), 1e-9);
    ck_assert_double_eq(number(timings, "connect"),
                        moments[_i].times.reused ? -1 : moments[_i].phases.connect + moments[_i].phases.tls);
    ck_assert_double_eq(number(timings, "ssl"), moments[_i].times.tls_us ? moments[_i].phases.tls : -1);
    const json_t *request = json_object_get(entry, "request");
    CDN_AUTOFREE char *query =
        json_dumps(json_object_get(request, "queryString"), JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_str_eq(query,
                     "[{\"name\":\"a\",\"value\":\"1 2\"},{\"name\":\"b\",\"value\":\"\"},{\"name\":\"\","
                     "\"value\":\"c\"}]");
    json_decref(har);
    free(hop->url);
    free(hop->node);
    exchange_free(&hop->exchange);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("get");
    TCase *tcase = tcase_create("all");
    tcase_add_loop_test(tcase, rounds_of_a_body, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_loop_test(tcase, quantiles_are_values_that_were_there, 0, (int)CDN_ARRAY_LEN(quantiles));
    tcase_add_loop_test(tcase, phases_of_an_exchange, 0, (int)CDN_ARRAY_LEN(moments));
    tcase_add_loop_test(tcase, a_har_adds_up, 0, (int)CDN_ARRAY_LEN(moments));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
