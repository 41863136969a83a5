/* Cookies: the test vectors of RFC 9018 appendix A, and what must not pass. */
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/dns/dns_cookie.h"
#include "tests/unit/router/dns_help.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <libknot/libknot.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

static knot_edns_cookie_t cookie(const char *hex)
{
    knot_edns_cookie_t c = {0};
    c.len = (uint16_t)from_hex(hex, c.data, sizeof(c.data));
    return c;
}

static struct dns_cookie_secret secret_of(const char *hex)
{
    struct dns_cookie_secret secret;
    ck_assert_int_eq(dns_cookie_secret_read(cdn_str(hex), &secret, NULL), CDN_OK);
    return secret;
}

#define FIRST "e5e973e5a6b2a43f48e7dc849e37bfcf"

START_TEST(vectors)
{
    static const struct {
        const char *secret, *client, *client_cookie, *server_cookie;
        int64_t now_s;
    } rows[] = {
        {FIRST, "198.51.100.100", "2464c4abcf10c957", "010000005cf79f111f8130c3eee29480", 1559731985},
        {FIRST, "198.51.100.100", "2464c4abcf10c957", "010000005cf7a871d4a564a1442aca77", 1559734385},
        {FIRST, "203.0.113.203", "fc93fc62807ddb86", "010000005cf7a9acf73a7810aca2381e", 1559734700},
        {"445536bcd2513298075a5d379663c962", "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298",
         "010000005cf7c609a6bb79d16625507a", 1559741961},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct dns_cookie_secret secret = secret_of(rows[i].secret);
        struct cdn_addr client = addr(rows[i].client);
        knot_edns_cookie_t cc = cookie(rows[i].client_cookie), expected = cookie(rows[i].server_cookie), made;
        ck_assert(dns_cookie_make(&secret, &client, rows[i].now_s, &cc, &made));
        ck_assert_uint_eq(made.len, expected.len);
        ck_assert_msg(memcmp(made.data, expected.data, made.len) == 0, "row %zu", i);
        ck_assert(dns_cookie_check(&secret, &client, rows[i].now_s, &cc, &expected));
    }
}
END_TEST

START_TEST(checks)
{
    struct dns_cookie_secret secret = secret_of(FIRST), other = secret_of("445536bcd2513298075a5d379663c962");
    struct cdn_addr client = addr("198.51.100.100"), port = client, stranger = addr("198.51.100.101");
    const int64_t made_s = 1559731985;
    knot_edns_cookie_t cc = cookie("2464c4abcf10c957"), sc = cookie("010000005cf79f111f8130c3eee29480");
    knot_edns_cookie_t none = {0}, changed = sc, short_one = sc;
    changed.data[15] ^= 1;
    short_one.len = 8;
    cdn_addr_set_port(&port, 5353);
    ck_assert(dns_cookie_check(&secret, &port, made_s, &cc, &sc));
    ck_assert(!dns_cookie_check(&secret, &stranger, made_s, &cc, &sc));
    ck_assert(!dns_cookie_check(&other, &client, made_s, &cc, &sc));
    ck_assert(!dns_cookie_check(&secret, &client, made_s, &cc, &changed));
    ck_assert(!dns_cookie_check(&secret, &client, made_s, &cc, &short_one));
    ck_assert(!dns_cookie_check(&secret, &client, made_s, &cc, &none));
    ck_assert(dns_cookie_check(&secret, &client, made_s + 3599, &cc, &sc));
    ck_assert(!dns_cookie_check(&secret, &client, made_s + 3700, &cc, &sc));
    ck_assert(dns_cookie_check(&secret, &client, made_s - 299, &cc, &sc));
    ck_assert(!dns_cookie_check(&secret, &client, made_s - 400, &cc, &sc));
}
END_TEST

START_TEST(secrets)
{
    static const char *const bad[] = {"0", "e5e973e5a6b2a43f48e7dc849e37bfc",
                                      "e5e973e5a6b2a43f48e7dc849e37bfcg",
                                      "e5e973e5a6b2a43f48e7dc849e37bfcf0"};
    struct dns_cookie_secret one, two;
    for (size_t i = 0; i < CDN_ARRAY_LEN(bad); i++) {
        ck_assert_int_eq(dns_cookie_secret_read(cdn_str(bad[i]), &one, NULL), CDN_INVALID);
    }
    ck_assert_int_eq(dns_cookie_secret_read(CDN_STR(""), &one, NULL), CDN_OK);
    ck_assert_int_eq(dns_cookie_secret_read(CDN_STR(""), &two, NULL), CDN_OK);
    ck_assert(memcmp(&one, &two, sizeof(one)) != 0);
    one = secret_of("E5E973E5A6B2A43F48E7DC849E37BFCF");
    two = secret_of(FIRST);
    ck_assert(memcmp(&one, &two, sizeof(one)) == 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {vectors, checks, secrets};
    return run_suite("dns_cookie", tests, CDN_ARRAY_LEN(tests));
}
