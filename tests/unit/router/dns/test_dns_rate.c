/* The rate of answers: bursts, networks, kinds, slips. Too little of it makes the router an
 * amplifier; too much turns resolvers away. */
#include "common/mem.h"
#include "common/parse.h"
#include "router/dns/dns_rate.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/banned.h"

static unsigned passed(struct dns_rate *rate, const char *ip, unsigned kind, unsigned limit, unsigned n,
                       int64_t from_us, int64_t step_us)
{
    struct cdn_addr client = addr(ip);
    unsigned count = 0;
    for (unsigned i = 0; i < n; i++) {
        count += dns_rate_check(rate, &client, kind, limit, 0, from_us + step_us * i) == DNS_RATE_PASS;
    }
    return count;
}

START_TEST(burst_then_rate)
{
    static const struct {
        unsigned limit, asked;
        int64_t step_us;
        unsigned at_least, at_most;
    } rows[] = {
        {10, 100, 0, 10, 10},          /* all at once: a second's worth */
        {10, 100, 100000, 100, 100},   /* just at the rate */
        {10, 200, 50000, 109, 110},    /* twice the rate for ten seconds: the burst and half */
        {1, 100, 10000, 1, 2},         /* a second's worth is one */
        {1000, 5000, 100, 1498, 1501}, /* ten times the rate for half a second */
        {1000000, 1000, 0, 1000, 1000}, {0, 1000, 0, 1000, 1000}, /* no limit */
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct dns_rate *rate = dns_rate_create(1);
        unsigned n = passed(rate, "192.0.2.1", 0, rows[i].limit, rows[i].asked, 5000000, rows[i].step_us);
        ck_assert_msg(n >= rows[i].at_least && n <= rows[i].at_most, "row %zu: %u", i, n);
        dns_rate_destroy(rate);
    }
}
END_TEST

START_TEST(networks_and_kinds)
{
    static const struct {
        const char *ip;
        unsigned kind;
        bool same;
    } rows[] = {
        {"192.0.2.1", 0, true},  {"192.0.2.255", 0, true}, {"::ffff:192.0.2.9", 0, true},
        {"192.0.3.1", 0, false}, {"192.0.2.1", 1, false},  {"2001:db8:0:1::1", 0, false},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct dns_rate *rate = dns_rate_create(i);
        ck_assert_uint_eq(passed(rate, "192.0.2.77", 0, 5, 5, 1000000, 0), 5);
        ck_assert_msg((passed(rate, rows[i].ip, rows[i].kind, 5, 1, 1000000, 0) == 0) == rows[i].same,
                      "row %zu", i);
        dns_rate_destroy(rate);
    }
    struct dns_rate *rate = dns_rate_create(3);
    ck_assert_uint_eq(passed(rate, "2001:db8:0:100::1", 0, 5, 9, 1000000, 0), 5);
    ck_assert_uint_eq(passed(rate, "2001:db8:0:1ff::1", 0, 5, 1, 1000000, 0), 0); /* the same /56 */
    ck_assert_uint_eq(passed(rate, "2001:db8:0:200::1", 0, 5, 1, 1000000, 0), 1);
    dns_rate_destroy(rate);
}
END_TEST

START_TEST(every_nth_slips)
{
    struct dns_rate *rate = dns_rate_create(9);
    struct cdn_addr client = addr("192.0.2.1");
    unsigned verdicts[3] = {0};
    for (unsigned i = 0; i < 110; i++) {
        verdicts[dns_rate_check(rate, &client, 0, 10, 4, 1)]++;
    }
    ck_assert_uint_eq(verdicts[DNS_RATE_PASS], 10);
    ck_assert_uint_eq(verdicts[DNS_RATE_SLIP], 25);
    ck_assert_uint_eq(verdicts[DNS_RATE_DROP], 75);
    dns_rate_destroy(rate);
}
END_TEST

/* Far more networks than cells: nobody who keeps to the rate is ever refused. */
START_TEST(many_networks)
{
    struct dns_rate *rate = dns_rate_create(11);
    for (uint32_t i = 0; i < 500000; i++) {
        struct cdn_addr client = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(i << 8)}};
        ck_assert_int_eq(dns_rate_check(rate, &client, 0, 2, 2, 1000 + i), DNS_RATE_PASS);
    }
    dns_rate_destroy(rate);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {burst_then_rate, networks_and_kinds, every_nth_slips, many_networks};
    return run_suite("dns_rate", tests, CDN_ARRAY_LEN(tests));
}
