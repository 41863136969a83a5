/* parse: what is read, what is refused, and that formatting reads back. Settings, admin requests
 * and fields all go through it. */
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"

#include <check.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

#define REFUSED UINT64_MAX /* no row below expects this value */

static const struct {
    const char *text;
    uint64_t value;
} sizes[] = {
    {"0", 0},
    {"512", 512},
    {"64KiB", 65536},
    {"64kib", 65536},
    {"10 GiB", 10737418240},
    {"5MB", 5000000},
    {"1.5GiB", 1610612736},
    {"0.5K", 512},
    {"8M", 8388608},
    {"7B", 7},
    {"16383PiB", 16383ull << 50},
    {"", REFUSED},
    {"12Q", REFUSED},
    {"-1", REFUSED},
    {"+1", REFUSED},
    {"1.5", REFUSED},
    {"1.", REFUSED},
    {".5K", REFUSED},
    {"1.0000000001G", REFUSED},
    {"16384PiB", REFUSED},
    {"18446744073709551616", REFUSED},
    {"1KiB ", 1024},
    {" 1", REFUSED},
    {"1 ", REFUSED},
    {"1e3", REFUSED},
    {"0x10", REFUSED},
    {"1KiBKiB", REFUSED},
};

START_TEST(size_rows)
{
    uint64_t v = REFUSED;
    bool ok = cdn_parse_size(cdn_str(sizes[_i].text), &v);
    ck_assert_msg(ok == (sizes[_i].value != REFUSED), "%s: %d", sizes[_i].text, ok);
    ck_assert_msg(v == sizes[_i].value, "%s: %" PRIu64, sizes[_i].text, v);
}
END_TEST

static const struct {
    const char *text;
    int64_t ms; /* -1: refused */
} durations[] = {
    {"0", 0},
    {"30", 30000},
    {"500ms", 500},
    {"30s", 30000},
    {"5m", 300000},
    {"1h", 3600000},
    {"7d", 604800000},
    {"2w", 1209600000},
    {"1h30m", 5400000},
    {"1d2h3m4s5ms", 93784005},
    {"1.5s", 1500},
    {"0.25h", 900000},
    {"", -1},
    {"s", -1},
    {"-1s", -1},
    {"1s1h", -1},
    {"1s1s", -1},
    {"1h30", -1},
    {"1 s", -1},
    {"1S2", -1},
    {"5x", -1},
    {"1.5ms", -1},
    {"106751991168d", -1},
    {"9223372036854775807ms", INT64_MAX},
    {"9223372036854775808ms", -1},
    {"99999999999999999999s", -1},
};

START_TEST(duration_rows)
{
    int64_t ms = -1;
    bool ok = cdn_parse_duration_ms(cdn_str(durations[_i].text), &ms);
    ck_assert_msg(ok == (durations[_i].ms >= 0), "%s: %d", durations[_i].text, ok);
    ck_assert_msg(ms == durations[_i].ms, "%s: %" PRId64, durations[_i].text, ms);
}
END_TEST

static const struct {
    uint64_t bytes;
    const char *text;
} size_texts[] = {
    {0, "0"},
    {1, "1"},
    {1000, "1000"},
    {1023, "1023"},
    {1024, "1KiB"},
    {65536, "64KiB"},
    {5000000, "5MB"},
    {10737418240, "10GiB"},
    {1000000000000000, "1PB"},
    {UINT64_MAX, "18446744073709551615"},
    {1ull << 60, "1024PiB"},
};

START_TEST(size_is_written_and_read_back)
{
    char text[24];
    uint64_t back = 1;
    cdn_format_size(size_texts[_i].bytes, text);
    ck_assert_str_eq(text, size_texts[_i].text);
    ck_assert(cdn_parse_size(cdn_str(text), &back));
    ck_assert_uint_eq(back, size_texts[_i].bytes);
}
END_TEST

static const struct {
    int64_t ms;
    const char *text;
} duration_texts[] = {
    {0, "0s"},
    {1, "1ms"},
    {1500, "1500ms"},
    {60000, "1m"},
    {5400000, "1h30m"},
    {31536000000, "365d"},
    {90061000, "1d1h1m1s"},
    {INT64_MAX, "9223372036854775807ms"},
    {INT64_MAX - INT64_MAX % 1000, "106751991167d7h12m55s"},
};

START_TEST(duration_is_written_and_read_back)
{
    char text[24];
    int64_t back = -1;
    cdn_format_duration_ms(duration_texts[_i].ms, text);
    ck_assert_str_eq(text, duration_texts[_i].text);
    ck_assert(cdn_parse_duration_ms(cdn_str(text), &back));
    ck_assert_int_eq(back, duration_texts[_i].ms);
}
END_TEST

START_TEST(negative_duration_has_a_sign)
{
    char text[24];
    cdn_format_duration_ms(-3600000, text);
    ck_assert_str_eq(text, "-1h");
    cdn_format_duration_ms(INT64_MIN, text);
    ck_assert_str_eq(text, "-9223372036854775808ms");
}
END_TEST

START_TEST(whole_numbers)
{
    uint64_t u = 5;
    int64_t i = 5;
    ck_assert(cdn_parse_u64(CDN_STR("18446744073709551615"), &u) && u == UINT64_MAX);
    ck_assert(!cdn_parse_u64(CDN_STR("18446744073709551616"), &u) && u == UINT64_MAX);
    ck_assert(!cdn_parse_u64(CDN_STR(""), &u) && !cdn_parse_u64(CDN_STR("1 "), &u));
    ck_assert(!cdn_parse_u64(CDN_STR("+1"), &u) && !cdn_parse_u64(CDN_STR("1\0"), &u));
    ck_assert(cdn_parse_i64(CDN_STR("-9223372036854775808"), &i) && i == INT64_MIN);
    ck_assert(cdn_parse_i64(CDN_STR("+9223372036854775807"), &i) && i == INT64_MAX);
    ck_assert(!cdn_parse_i64(CDN_STR("-9223372036854775809"), &i) && i == INT64_MAX);
    ck_assert(!cdn_parse_i64(CDN_STR("9223372036854775808"), &i) && !cdn_parse_i64(CDN_STR("-"), &i));
}
END_TEST

static const struct {
    const char *text;
    bool ok;
    double value;
} reals[] = {
    {"0", true, 0},       {"-1.5", true, -1.5}, {"+.25", true, 0.25}, {"2.", true, 2},   {"1e3", true, 1000},
    {"1E-2", true, 0.01}, {"", false, 0},       {".", false, 0},      {"1e", false, 0},  {"nan", false, 0},
    {"inf", false, 0},    {"0x1", false, 0},    {"1e999", false, 0},  {"1,5", false, 0}, {"1 ", false, 0},
    {" 1", false, 0},     {"1e+", false, 0},    {"--1", false, 0},
};

START_TEST(real_rows)
{
    double v = 0;
    ck_assert_msg(cdn_parse_real(cdn_str(reals[_i].text), &v) == reals[_i].ok, "%s", reals[_i].text);
    ck_assert_double_eq(v, reals[_i].value);
}
END_TEST

START_TEST(booleans)
{
    static const char *const yes[] = {"yes", "true", "on", "1", "YES"};
    static const char *const no[] = {"no", "false", "off", "0", "Off"};
    static const char *const neither[] = {"", "y", "2", "yes ", "maybe"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(yes); i++) {
        bool a = false;
        bool b = true;
        bool c = true;
        ck_assert(cdn_parse_bool(cdn_str(yes[i]), &a) && a);
        ck_assert(cdn_parse_bool(cdn_str(no[i]), &b) && !b);
        ck_assert(!cdn_parse_bool(cdn_str(neither[i]), &c) && c);
    }
}
END_TEST

static const struct {
    const char *text;
    const char *written; /* NULL: refused */
} addresses[] = {
    {"127.0.0.1:80", "127.0.0.1:80"},
    {"localhost:0", "127.0.0.1:0"},
    {"[::1]:65535", "[::1]:65535"},
    {"[2001:DB8::1]:1", "[2001:db8::1]:1"},
    {"[::ffff:10.0.0.1]:80", "10.0.0.1:80"},
    {"127.0.0.1", NULL},
    {"127.0.0.1:", NULL},
    {"127.0.0.1:65536", NULL},
    {"127.0.0.1:+1", NULL},
    {"127.0.0.1:80 ", NULL},
    {"127.1:80", NULL},
    {"010.0.0.1:80", NULL},
    {"::1:80", NULL},
    {"[127.0.0.1]:80", NULL},
    {"[::1]80", NULL},
    {"[::1", NULL},
    {"[::1]", NULL},
    {"[fe80::1%lo]:80", NULL},
    {"example.org:80", NULL},
    {":80", NULL},
    {"", NULL},
};

START_TEST(host_port_rows)
{
    struct cdn_addr a;
    char text[CDN_ADDR_TEXT_SIZE];
    bool ok = cdn_parse_host_port(cdn_str(addresses[_i].text), &a);
    ck_assert_msg(ok == (addresses[_i].written != NULL), "%s", addresses[_i].text);
    if (ok) {
        cdn_addr_format(&a, text);
        ck_assert_str_eq(text, addresses[_i].written);
    }
}
END_TEST

static const struct {
    const char *cidr; /* "!" in front: refused */
    const char *inside;
    const char *outside;
} networks[] = {
    {"10.0.0.0/8", "10.255.1.2", "11.0.0.0"},
    {"10.0.0.0/8", "::ffff:10.1.1.1", "::1"},
    {"192.0.2.128/25", "192.0.2.255", "192.0.2.127"},
    {"0.0.0.0/0", "255.1.1.1", "::"},
    {"::/0", "2001:db8::1", "1.2.3.4"},
    {"2001:db8::/32", "2001:db8:ffff::", "2001:db9::"},
    {"::1", "::1", "::2"},
    {"127.0.0.1", "127.0.0.1", "127.0.0.2"},
    {"::ffff:10.0.0.0/104", "10.2.3.4", "11.0.0.1"},
    {"!10.0.0.1/8", NULL, NULL},
    {"!10.0.0.0/33", NULL, NULL},
    {"!10.0.0.0/", NULL, NULL},
    {"!10.0.0.0/-1", NULL, NULL},
    {"!10.0.0.0/8/8", NULL, NULL},
    {"!::ffff:10.0.0.0/95", NULL, NULL},
    {"!2001:db8::1/64", NULL, NULL},
    {"!::/129", NULL, NULL},
    {"!", NULL, NULL},
};

START_TEST(cidr_rows)
{
    struct cdn_cidr c;
    struct cdn_addr a;
    bool refused = networks[_i].cidr[0] == '!';
    ck_assert_msg(cdn_parse_cidr(cdn_str(networks[_i].cidr + refused), &c) != refused, "%s",
                  networks[_i].cidr);
    if (!refused) {
        ck_assert(cdn_parse_ip(cdn_str(networks[_i].inside), &a) && cdn_cidr_has(&c, &a));
        ck_assert(cdn_parse_ip(cdn_str(networks[_i].outside), &a) && !cdn_cidr_has(&c, &a));
    }
}
END_TEST

START_TEST(loopback)
{
    static const struct {
        const char *text;
        bool loopback;
    } rows[] = {{"127.0.0.1", true},  {"127.255.255.254", true}, {"::1", true}, {"::ffff:127.0.0.1", true},
                {"128.0.0.1", false}, {"0.0.0.0", false},        {"::", false}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct cdn_addr a;
        ck_assert(cdn_parse_ip(cdn_str(rows[i].text), &a));
        ck_assert_msg(cdn_addr_is_loopback(&a) == rows[i].loopback, "%s", rows[i].text);
    }
    struct cdn_addr a;
    ck_assert(!cdn_parse_ip(CDN_STR("1.2.3.4\0x"), &a));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parse");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, size_rows, 0, (int)CDN_ARRAY_LEN(sizes));
    tcase_add_loop_test(rows, duration_rows, 0, (int)CDN_ARRAY_LEN(durations));
    tcase_add_loop_test(rows, size_is_written_and_read_back, 0, (int)CDN_ARRAY_LEN(size_texts));
    tcase_add_loop_test(rows, duration_is_written_and_read_back, 0, (int)CDN_ARRAY_LEN(duration_texts));
    tcase_add_loop_test(rows, real_rows, 0, (int)CDN_ARRAY_LEN(reals));
    tcase_add_loop_test(rows, host_port_rows, 0, (int)CDN_ARRAY_LEN(addresses));
    tcase_add_loop_test(rows, cidr_rows, 0, (int)CDN_ARRAY_LEN(networks));
    tcase_add_test(rows, negative_duration_has_a_sign);
    tcase_add_test(rows, whole_numbers);
    tcase_add_test(rows, booleans);
    tcase_add_test(rows, loopback);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
