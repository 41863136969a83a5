/* breaker: what counts as a disconnected origin (RFC 9111 4.2.4), row by row. */
#include "common/http/client/http_client.h"
#include "common/mem.h"
#include "edge/semantics/freshness.h"
#include "edge/site/breaker.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

static const struct {
    enum http_fetch_error error;
    enum edge_origin_state kind;
} rows_[] = {
    {HTTP_FETCH_NONE, EDGE_ORIGIN_UP},
    {HTTP_FETCH_RESOLVE, EDGE_ORIGIN_DISCONNECTED},
    {HTTP_FETCH_CONNECT, EDGE_ORIGIN_DISCONNECTED},
    {HTTP_FETCH_TIMEOUT, EDGE_ORIGIN_DISCONNECTED},
    {HTTP_FETCH_TLS, EDGE_ORIGIN_DISCONNECTED},
    {HTTP_FETCH_READ_TIMEOUT, EDGE_ORIGIN_ERROR},
    {HTTP_FETCH_CLOSED, EDGE_ORIGIN_ERROR},
    {HTTP_FETCH_PROTOCOL, EDGE_ORIGIN_ERROR},
    {HTTP_FETCH_TOO_LARGE, EDGE_ORIGIN_ERROR},
    {HTTP_FETCH_DESCRIPTORS, EDGE_ORIGIN_UP},
    {HTTP_FETCH_ABORTED, EDGE_ORIGIN_UP},
};

START_TEST(kinds)
{
    ck_assert_int_eq(edge_breaker_kind(rows_[_i].error), rows_[_i].kind);
}
END_TEST

START_TEST(opens_after_three_failed_connections_and_closes_with_an_answer)
{
    struct edge_breaker b = {0};
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(edge_breaker_state(&b), EDGE_ORIGIN_UP);
        edge_breaker_unreachable(&b, 1000);
    }
    ck_assert_int_eq(edge_breaker_state(&b), EDGE_ORIGIN_DISCONNECTED);
    ck_assert(!edge_breaker_may_probe(&b, 1000));
    ck_assert(edge_breaker_may_probe(&b, 1000 + INT64_C(500000000)));
    ck_assert(!edge_breaker_may_probe(&b, 1000 + INT64_C(500000000))); /* one at a time */
    edge_breaker_reached(&b);
    ck_assert_int_eq(edge_breaker_state(&b), EDGE_ORIGIN_UP);
    edge_breaker_unreachable(&b, 1000);
    edge_breaker_unreachable(&b, 1000);
    edge_breaker_reached(&b);
    edge_breaker_unreachable(&b, 1000);
    ck_assert_int_eq(edge_breaker_state(&b), EDGE_ORIGIN_UP); /* not in a row */
}
END_TEST

/* Each failure behind the third doubles the pause, up to 8 s; from then on one request at a time may try. */
static const struct {
    unsigned failures;
    int64_t pause_ms;
} pauses[] = {{3, 500}, {4, 1000}, {5, 2000}, {6, 4000}, {7, 8000}, {8, 8000}, {9, 8000}, {1000, 8000}};

START_TEST(pauses_double)
{
    const int64_t now = INT64_C(1) << 50, end = now + pauses[_i].pause_ms * 1000000;
    struct edge_breaker b = {0};
    for (unsigned i = 0; i < pauses[_i].failures; i++) {
        edge_breaker_unreachable(&b, now);
    }
    ck_assert(!edge_breaker_may_probe(&b, now));
    ck_assert(!edge_breaker_may_probe(&b, end - 1));
    ck_assert(edge_breaker_may_probe(&b, end));
    ck_assert(!edge_breaker_may_probe(&b, end + INT64_C(7999999999))); /* the probe is under way */
    ck_assert(edge_breaker_may_probe(&b, end + INT64_C(8000000000)));  /* and was never heard of again */
    ck_assert_int_eq(edge_breaker_state(&b), EDGE_ORIGIN_DISCONNECTED);
}
END_TEST

/* 'u': unreachable, 'r': reached; whether the origin counts as away then. */
static const struct {
    const char *story;
    bool away;
} stories[] = {
    {"", false},      {"u", false},       {"uu", false},     {"uuu", true},     {"uuur", false},
    {"uuuru", false}, {"uuuruu", false},  {"uuuruuu", true}, {"uuruu", false},  {"ururur", false},
    {"rrrrr", false}, {"uuuuuuuu", true}, {"ruuu", true},    {"uuuurr", false},
};

START_TEST(three_in_a_row)
{
    struct edge_breaker b = {0};
    for (const char *at = stories[_i].story; *at; at++) {
        if (*at == 'u') {
            edge_breaker_unreachable(&b, 1);
        } else if (*at == 'r') {
            edge_breaker_reached(&b);
        }
    }
    ck_assert_msg((edge_breaker_state(&b) == EDGE_ORIGIN_DISCONNECTED) == stories[_i].away, "%s",
                  stories[_i].story);
}
END_TEST

/* After an answer the pauses begin anew. */
START_TEST(an_answer_forgets_the_pauses)
{
    struct edge_breaker b = {0};
    for (unsigned i = 0; i < 20; i++) {
        edge_breaker_unreachable(&b, 0);
    }
    edge_breaker_reached(&b);
    for (unsigned i = 0; i < 3; i++) {
        edge_breaker_unreachable(&b, INT64_C(1000000000));
    }
    ck_assert(!edge_breaker_may_probe(&b, INT64_C(1499999999)));
    ck_assert(edge_breaker_may_probe(&b, INT64_C(1500000000)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("breaker");
    TCase *tcase = tcase_create("all");
    tcase_add_loop_test(tcase, kinds, 0, CDN_ARRAY_LEN(rows_));
    tcase_add_test(tcase, opens_after_three_failed_connections_and_closes_with_an_answer);
    tcase_add_loop_test(tcase, pauses_double, 0, CDN_ARRAY_LEN(pauses));
    tcase_add_loop_test(tcase, three_in_a_row, 0, CDN_ARRAY_LEN(stories));
    tcase_add_test(tcase, an_answer_forgets_the_pauses);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
