/* Rates: what their texts mean, bursts, networks, floods of owners. Too little lets one client take all;
 * too much turns away who did nothing. */
#include "common/mem.h"
#include "common/parse.h"
#include "common/rate.h"
#include "common/str.h"

#include <check.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/banned.h"

static const struct {
    const char *text;
    uint64_t burst;
    bool good;
    uint64_t interval_us, burst_us;
} texts[] = {
    {"100/s", 0, true, 10000, 1000000},
    {"100", 0, true, 10000, 1000000},
    {"100/s", 7, true, 10000, 70000},
    {"60/m", 0, true, 1000000, 1000000},
    {"6000/m", 0, true, 10000, 1000000},
    {"1/m", 0, true, 60000000, 60000000},
    {"10/h", 3, true, 360000000, 1080000000},
    {"1000000/s", 0, true, 1, 1000000},
    {"off", 0, true, 0, 0},
    {"0", 0, true, 0, 0},
    {"0/s", 5, true, 0, 0},
    {"", 0, false, 0, 0},
    {"/s", 0, false, 0, 0},
    {"1/", 0, false, 0, 0},
    {"1/d", 0, false, 0, 0},
    {"1/ss", 0, false, 0, 0},
    {"-1/s", 0, false, 0, 0},
    {"1.5/s", 0, false, 0, 0},
    {"1 /s", 0, false, 0, 0},
    {"1000001/s", 0, false, 0, 0},
    {"1/s", 1000001, false, 0, 0},
    {"99999999999999999999/s", 0, false, 0, 0},
};

START_TEST(what_texts_mean)
{
    struct cdn_rate_limit limit = {1, 1};
    ck_assert(cdn_rate_parse(cdn_str(texts[_i].text), texts[_i].burst, &limit) == texts[_i].good);
    if (texts[_i].good) {
        ck_assert_uint_eq(limit.interval_us, texts[_i].interval_us);
        ck_assert_uint_eq(limit.burst_us, texts[_i].burst_us);
    }
}
END_TEST

static const struct cdn_rate_networks usual = {24, 48};

static struct cdn_addr address(const char *text)
{
    struct cdn_addr a;
    ck_assert(cdn_parse_ip(cdn_str(text), &a));
    return a;
}

static unsigned passed(struct cdn_rate *rate, const char *ip, const char *limit_text, uint64_t burst,
                       unsigned n, int64_t from_us, int64_t step_us)
{
    struct cdn_addr client = address(ip);
    struct cdn_rate_limit limit;
    unsigned count = 0;
    ck_assert(cdn_rate_parse(cdn_str(limit_text), burst, &limit));
    for (unsigned i = 0; i < n; i++) {
        count += cdn_rate_take(rate, cdn_rate_owner(rate, &client, &usual, 1), &limit, from_us + step_us * i,
                               NULL);
    }
    return count;
}

START_TEST(burst_then_rate)
{
    static const struct {
        const char *limit;
        uint64_t burst;
        unsigned asked;
        int64_t step_us;
        unsigned at_least, at_most;
    } rows[] = {
        {"10/s", 0, 100, 0, 10, 10},       {"10/s", 25, 100, 0, 25, 25},
        {"10/s", 1, 100, 0, 1, 1},         {"10/s", 0, 100, 100000, 100, 100},
        {"10/s", 0, 200, 50000, 109, 110}, {"10/s", 1, 100, 100000, 100, 100},
        {"60/m", 0, 10, 0, 1, 1},          {"60/m", 5, 10, 1000000, 10, 10},
        {"off", 0, 1000, 0, 1000, 1000},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct cdn_rate *rate = cdn_rate_create(64, 1);
        unsigned n =
            passed(rate, "192.0.2.1", rows[i].limit, rows[i].burst, rows[i].asked, 5000000, rows[i].step_us);
        ck_assert_msg(n >= rows[i].at_least && n <= rows[i].at_most, "row %zu: %u", i, n);
        cdn_rate_destroy(rate);
    }
}
END_TEST

START_TEST(how_long_to_wait)
{
    struct cdn_rate *rate = cdn_rate_create(64, 1);
    const struct cdn_rate_limit limit = {100000, 200000}; /* 10 a second, two at once */
    uint64_t wait_us = 0;
    ck_assert(cdn_rate_take(rate, 7, &limit, 1000000, &wait_us));
    ck_assert(cdn_rate_take(rate, 7, &limit, 1000000, &wait_us));
    ck_assert(!cdn_rate_take(rate, 7, &limit, 1000000, &wait_us));
    ck_assert_uint_eq(wait_us, 100000);
    ck_assert(!cdn_rate_take(rate, 7, &limit, 1099999, &wait_us));
    ck_assert_uint_eq(wait_us, 1);
    ck_assert(cdn_rate_take(rate, 7, &limit, 1100000, &wait_us));
    cdn_rate_destroy(rate);
}
END_TEST

static const struct {
    const char *a, *b;
    unsigned v4, v6;
    bool same;
} pairs[] = {
    {"192.0.2.1", "192.0.2.255", 24, 48, true},
    {"192.0.2.1", "192.0.3.1", 24, 48, false},
    {"192.0.2.1", "192.0.2.255", 32, 48, false},
    {"192.0.2.1", "192.0.2.255", 25, 48, false},
    {"192.0.2.1", "10.0.0.1", 0, 48, true},
    {"192.0.2.1", "::ffff:192.0.2.9", 24, 48, true},
    {"2001:db8:1:2::1", "2001:db8:1:3::1", 24, 48, true},
    {"2001:db8:1:2::1", "2001:db8:2:2::1", 24, 48, false},
    {"2001:db8:1:2::1", "2001:db8:1:3::1", 24, 64, false},
    {"2001:db8:1:2::1", "2001:db8:1:2::2", 24, 64, true},
    {"2001:db8:1:2::1", "2001:db8:1:2::2", 24, 128, false},
    {"2001:db8::1", "2001:db8::1", 24, 128, true},
    {"2001:db8::8000:0:0:0", "2001:db8::1", 24, 65, false},
    {"::", "0.0.0.0", 0, 0, false},
};

START_TEST(networks)
{
    const struct cdn_rate_networks given = {pairs[_i].v4, pairs[_i].v6};
    const struct cdn_addr a = address(pairs[_i].a), b = address(pairs[_i].b);
    struct cdn_rate *rate = cdn_rate_create(64, 77);
    ck_assert((cdn_rate_owner(rate, &a, &given, 1) == cdn_rate_owner(rate, &b, &given, 1)) == pairs[_i].same);
    ck_assert(cdn_rate_owner(rate, &a, &given, 1) != cdn_rate_owner(rate, &a, &given, 2));
    const struct cdn_addr nobody = {.sa.sa_family = AF_UNSPEC};
    ck_assert(cdn_rate_owner(rate, &nobody, &given, 1) != cdn_rate_owner(rate, &a, &given, 1));
    cdn_rate_destroy(rate);
}
END_TEST

/* Far more networks than cells: who is over its rate stays there, who is within is not turned away. */
START_TEST(a_flood_of_networks_frees_nobody)
{
    struct cdn_rate *rate = cdn_rate_create(256, 5);
    const struct cdn_rate_limit limit = {100000, 1000000};
    const struct cdn_addr greedy = address("203.0.113.1");
    const uint64_t owner = cdn_rate_owner(rate, &greedy, &usual, 1);
    int64_t now = 1000000;
    unsigned taken = 0;
    for (uint32_t i = 0; i < 100000; i++, now += 10) { /* one second in all */
        const struct cdn_addr other = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(i << 8)}};
        ck_assert(cdn_rate_take(rate, cdn_rate_owner(rate, &other, &usual, 1), &limit, now, NULL));
        taken += cdn_rate_take(rate, owner, &limit, now, NULL);
    }
    ck_assert_uint_ge(taken, 10);
    ck_assert_uint_le(taken, 21); /* the burst, and what the second brings */
    cdn_rate_destroy(rate);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rate");
    TCase *cases = tcase_create("rows");
    tcase_add_loop_test(cases, what_texts_mean, 0, CDN_ARRAY_LEN(texts));
    tcase_add_test(cases, burst_then_rate);
    tcase_add_test(cases, how_long_to_wait);
    tcase_add_loop_test(cases, networks, 0, CDN_ARRAY_LEN(pairs));
    tcase_add_test(cases, a_flood_of_networks_frees_nobody);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
