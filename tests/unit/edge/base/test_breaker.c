/* breaker: what counts as a disconnected origin (RFC 9111 4.2.4), row by row. */
#include "edge/base/worker.h"

#include <check.h>

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

int main(void)
{
    Suite *suite = suite_create("breaker");
    TCase *tcase = tcase_create("all");
    tcase_add_loop_test(tcase, kinds, 0, CDN_ARRAY_LEN(rows_));
    tcase_add_test(tcase, opens_after_three_failed_connections_and_closes_with_an_answer);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
