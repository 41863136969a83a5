/* http_forwarded: who the client is, and what the next server is told (RFC 7239). */
#include "common/http/syntax/http_forwarded.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"

#include <check.h>
#include <string.h>

#define XFF HTTP_CLIENT_X_FORWARDED_FOR
#define STD HTTP_CLIENT_FORWARDED
#define NOBODY "nobody"

static const struct {
    const char *why;
    enum http_client_field field;
    const char *peer;
    const char *x_forwarded_for, *forwarded; /* NULL: absent */
    const char *client;
} rows_[] = {
    {"nothing sent", XFF, "192.0.2.1", NULL, NULL, "192.0.2.1"},
    {"a trusted peer speaks for itself", XFF, "10.0.0.1", NULL, NULL, "10.0.0.1"},
    {"a trusted peer speaks for itself", STD, "10.0.0.1", NULL, NULL, "10.0.0.1"},
    {"an untrusted peer's word", XFF, "192.0.2.1", "198.51.100.1", NULL, "192.0.2.1"},
    {"an untrusted peer's word", STD, "192.0.2.1", NULL, "for=198.51.100.1", "192.0.2.1"},
    {"a trusted peer's word", XFF, "10.0.0.1", "198.51.100.1", NULL, "198.51.100.1"},
    {"the right-most untrusted", XFF, "10.0.0.1", "203.0.113.9, 198.51.100.1, 10.0.0.2", NULL,
     "198.51.100.1"},
    {"garbage to its left is not read", XFF, "10.0.0.1", "garbage, 198.51.100.1, 10.0.0.2", NULL,
     "198.51.100.1"},
    {"only trusted ones: the left-most", XFF, "10.0.0.1", "10.0.0.3, 10.0.0.2", NULL, "10.0.0.3"},
    {"nonsense between trusted ones", XFF, "10.0.0.1", "198.51.100.1, nonsense, 10.0.0.2", NULL, NOBODY},
    {"nonsense at the right end", XFF, "10.0.0.1", "198.51.100.1, nonsense", NULL, NOBODY},
    {"nonsense alone", XFF, "10.0.0.1", "rubbish", NULL, NOBODY},
    {"unknown", XFF, "10.0.0.1", "unknown", NULL, NOBODY},
    {"obfuscated", XFF, "10.0.0.1", "_hidden", NULL, NOBODY},
    {"empty", XFF, "10.0.0.1", "", NULL, NOBODY},
    {"blanks", XFF, "10.0.0.1", " \t ", NULL, NOBODY},
    {"commas", XFF, "10.0.0.1", " , ,,", NULL, NOBODY},
    {"empty items between", XFF, "10.0.0.1", ",198.51.100.1,, ,10.0.0.2 ,", NULL, "198.51.100.1"},
    {"tabs", XFF, "10.0.0.1", "\t198.51.100.1\t,\t10.0.0.2\t", NULL, "198.51.100.1"},
    {"with a port", XFF, "10.0.0.1", "198.51.100.1:4711", NULL, "198.51.100.1"},
    {"no port behind the colon", XFF, "10.0.0.1", "198.51.100.1:", NULL, NOBODY},
    {"a port that is a word", XFF, "10.0.0.1", "198.51.100.1:http", NULL, NOBODY},
    {"a port out of range", XFF, "10.0.0.1", "198.51.100.1:65536", NULL, NOBODY},
    {"a port of six digits", XFF, "10.0.0.1", "198.51.100.1:000080", NULL, NOBODY},
    {"a port alone", XFF, "10.0.0.1", ":80", NULL, NOBODY},
    {"three numbers", XFF, "10.0.0.1", "198.51.100", NULL, NOBODY},
    {"a number", XFF, "10.0.0.1", "3325256705", NULL, NOBODY},
    {"a prefix", XFF, "10.0.0.1", "198.51.100.0/24", NULL, NOBODY},
    {"a name", XFF, "10.0.0.1", "localhost", NULL, NOBODY},
    {"two addresses without a comma", XFF, "10.0.0.1", "198.51.100.1 10.0.0.2", NULL, NOBODY},
    {"quoted", XFF, "10.0.0.1", "\"198.51.100.1\"", NULL, NOBODY},
    {"a quote swallows nothing", XFF, "10.0.0.1", "\"1.2.3.4, 198.51.100.1", NULL, "198.51.100.1"},
    {"IPv6", XFF, "10.0.0.1", "2001:db8::1", NULL, "2001:db8::1"},
    {"IPv6 in brackets", XFF, "10.0.0.1", "[2001:db8::1]", NULL, "2001:db8::1"},
    {"IPv6 with a port", XFF, "10.0.0.1", "[2001:db8::1]:4711", NULL, "2001:db8::1"},
    {"IPv6, a bracket open", XFF, "10.0.0.1", "[2001:db8::1", NULL, NOBODY},
    {"IPv6, something behind it", XFF, "10.0.0.1", "[2001:db8::1]80", NULL, NOBODY},
    {"IPv6 with a zone", XFF, "10.0.0.1", "fe80::1%eth0", NULL, NOBODY},
    {"IPv4 in brackets", XFF, "10.0.0.1", "[198.51.100.1]", NULL, NOBODY},
    {"empty brackets", XFF, "10.0.0.1", "[]", NULL, NOBODY},
    {"a trusted IPv6 peer", XFF, "fd00::1", "198.51.100.1", NULL, "198.51.100.1"},
    {"a trusted mapped peer", XFF, "::ffff:10.0.0.1", "198.51.100.1", NULL, "198.51.100.1"},
    {"mapped IPv4", XFF, "10.0.0.1", "::ffff:198.51.100.1", NULL, "198.51.100.1"},
    {"a trusted mapped entry", XFF, "10.0.0.1", "198.51.100.1, ::ffff:10.0.0.2", NULL, "198.51.100.1"},
    {"mapped in brackets", XFF, "10.0.0.1", "[::ffff:c633:6401]:80", NULL, "198.51.100.1"},

    {"the client's own Forwarded", XFF, "10.0.0.1", "198.51.100.17", "for=10.9.9.9", "198.51.100.17"},
    {"the client's own Forwarded, broken", XFF, "10.0.0.1", "198.51.100.17", "for=\"", "198.51.100.17"},
    {"the client's own X-Forwarded-For", STD, "10.0.0.1", "10.9.9.9", "for=198.51.100.17", "198.51.100.17"},
    {"only the other one", XFF, "10.0.0.1", NULL, "for=10.0.0.1", NOBODY},
    {"only the other one", STD, "10.0.0.1", "10.0.0.1", NULL, NOBODY},
    {"neither is believed", HTTP_CLIENT_NONE, "10.0.0.1", "198.51.100.17", "for=198.51.100.17", "10.0.0.1"},

    {"7239 4", STD, "10.0.0.1", NULL, "for=198.51.100.1;proto=http;by=203.0.113.43", "198.51.100.1"},
    {"7239 4 case and quotes", STD, "10.0.0.1", NULL, "For=\"[2001:db8:cafe::17]:4711\"",
     "2001:db8:cafe::17"},
    {"7239 4 case", STD, "10.0.0.1", NULL, "FOR=198.51.100.1", "198.51.100.1"},
    {"7239 4 list", STD, "10.0.0.1", NULL, "for=192.0.2.43, for=198.51.100.17;by=x, for=10.0.0.2",
     "198.51.100.17"},
    {"7239 4 empty items", STD, "10.0.0.1", NULL, ", for=198.51.100.17 , ,for=10.0.0.2;,", "198.51.100.17"},
    {"7239 4 other parameters", STD, "10.0.0.1", NULL, "secret=\"a,b;c\";for=198.51.100.17", "198.51.100.17"},
    {"7239 6 a quoted port", STD, "10.0.0.1", NULL, "for=\"198.51.100.17:80\"", "198.51.100.17"},
    {"7239 6 a hidden port", STD, "10.0.0.1", NULL, "for=\"198.51.100.17:_x\"", "198.51.100.17"},
    {"7239 6 no hidden port", STD, "10.0.0.1", NULL, "for=\"198.51.100.17:_\"", NOBODY},
    {"7239 6.3 obfuscated", STD, "10.0.0.1", NULL, "for=192.0.2.43, for=_hidden", NOBODY},
    {"7239 6.2 unknown", STD, "10.0.0.1", NULL, "for=unknown", NOBODY},
    {"7239 6.2 unknown behind a trusted one", STD, "10.0.0.1", NULL, "for=unknown, for=10.0.0.2", NOBODY},
    {"no for", STD, "10.0.0.1", NULL, "proto=https", NOBODY},
    {"an empty for", STD, "10.0.0.1", NULL, "for=\"\"", NOBODY},
    {"for without a value", STD, "10.0.0.1", NULL, "for", NOBODY},
    {"empty", STD, "10.0.0.1", NULL, "", NOBODY},
    {"for twice", STD, "10.0.0.1", NULL, "for=198.51.100.17;for=192.0.2.43", NOBODY},
    {"IPv6 without quotes", STD, "10.0.0.1", NULL, "for=2001:db8::1", NOBODY},
    {"IPv6 without brackets", STD, "10.0.0.1", NULL, "for=\"2001:db8::1\"", NOBODY},
    {"an escape in it", STD, "10.0.0.1", NULL, "for=\"198\\.51.100.17\"", NOBODY},
    {"a quote left open", STD, "10.0.0.1", NULL, "for=\"x, for=198.51.100.17", NOBODY},
    {"blanks round the =", STD, "10.0.0.1", NULL, "for =198.51.100.17", NOBODY},
    {"a bare address", STD, "10.0.0.1", NULL, "198.51.100.17", NOBODY},
};

static struct cdn_cidr proxies[2];

static struct http_trust trust(enum http_client_field field)
{
    ck_assert(cdn_parse_cidr(CDN_STR("10.0.0.0/8"), &proxies[0]) &&
              cdn_parse_cidr(CDN_STR("fd00::/8"), &proxies[1]));
    return (struct http_trust){proxies, 2, field};
}

static struct cdn_str slice(const char *s)
{
    return (struct cdn_str){s, s ? strlen(s) : 0};
}

static void client_text(const struct http_forwarded_in *in, char text[static CDN_ADDR_TEXT_SIZE])
{
    struct http_forwarded f;
    http_forwarded_read(in, &f);
    if (http_forwarded_is_known(&f.client)) {
        cdn_addr_format_ip(&f.client, text);
    } else {
        cdn_str_copy(text, CDN_ADDR_TEXT_SIZE, CDN_STR(NOBODY));
    }
}

START_TEST(client_rows)
{
    struct http_trust t = trust(rows_[_i].field);
    struct cdn_addr peer;
    char text[CDN_ADDR_TEXT_SIZE];
    ck_assert(cdn_parse_ip(cdn_str(rows_[_i].peer), &peer));
    struct http_forwarded_in in = {.peer = &peer,
                                   .trust = &t,
                                   .x_forwarded_for = slice(rows_[_i].x_forwarded_for),
                                   .forwarded = slice(rows_[_i].forwarded)};
    client_text(&in, text);
    ck_assert_msg(strcmp(text, rows_[_i].client) == 0, "%s: %s", rows_[_i].why, text);
}
END_TEST

/* However long the list, only its end is looked at: 64 entries. */
START_TEST(long_lists_are_bounded)
{
    for (int standard = 0; standard < 2; standard++) {
        for (int proxies_n = 62; proxies_n <= 10000; proxies_n = proxies_n < 66 ? proxies_n + 1 : 10000) {
            CDN_AUTOBUF struct cdn_buf list = {0};
            struct http_trust t = trust(standard ? STD : XFF);
            struct cdn_addr peer;
            char text[CDN_ADDR_TEXT_SIZE];
            cdn_buf_printf(&list, "%s198.51.100.1", standard ? "for=" : "");
            for (int i = 0; i < proxies_n; i++) {
                cdn_buf_printf(&list, ", %s10.0.%d.%d", standard ? "for=" : "", i / 250, i % 250);
            }
            ck_assert(cdn_parse_ip(CDN_STR("10.0.0.1"), &peer));
            struct http_forwarded_in in = {.peer = &peer, .trust = &t};
            *(standard ? &in.forwarded : &in.x_forwarded_for) = cdn_buf_str(&list);
            client_text(&in, text);
            ck_assert_str_eq(text, proxies_n < 64 ? "198.51.100.1" : NOBODY);
            if (proxies_n == 10000) {
                break;
            }
        }
    }
}
END_TEST

/* What the next server is told: For|Proto|Host|Forwarded. */
static const struct {
    const char *why;
    enum http_client_field field;
    const char *peer;
    const char *x_for, *x_proto, *x_host, *forwarded;
    const char *told;
} told_[] = {
    {"an untrusted peer: nothing is kept", XFF, "192.0.2.1", "1.2.3.4", "https", "b.example", "for=1.2.3.4",
     "192.0.2.1|http|a.example:8080|for=192.0.2.1;host=\"a.example:8080\";proto=http"},
    {"a trusted one: its field, the other anew", XFF, "10.0.0.1", "1.2.3.4", "https", "b.example",
     "for=6.6.6.6;host=evil.example;proto=http",
     "1.2.3.4, 10.0.0.1|https|b.example|"
     "for=1.2.3.4;host=b.example;proto=https, for=10.0.0.1;host=\"a.example:8080\";proto=http"},
    {"the other way round", STD, "10.0.0.1", "6.6.6.6", "http", "evil.example",
     "for=1.2.3.4;host=b.example;proto=https",
     "1.2.3.4, 10.0.0.1|https|b.example|"
     "for=1.2.3.4;host=b.example;proto=https, for=10.0.0.1;host=\"a.example:8080\";proto=http"},
    {"what the client claimed is not sent on", XFF, "10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", NULL, NULL,
     NULL,
     "1.2.3.4, 10.0.0.2, 10.0.0.1|http|a.example:8080|"
     "for=1.2.3.4;host=\"a.example:8080\";proto=http, for=10.0.0.2, "
     "for=10.0.0.1;host=\"a.example:8080\";proto=http"},
    {"nobody", XFF, "10.0.0.1", "6.6.6.6, x, 10.0.0.2", NULL, NULL, NULL,
     "unknown, 10.0.0.2, 10.0.0.1|http|a.example:8080|"
     "for=unknown;host=\"a.example:8080\";proto=http, for=10.0.0.2, "
     "for=10.0.0.1;host=\"a.example:8080\";proto=http"},
    {"lists of schemes and hosts go with the client's entry", XFF, "10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2",
     "http, https, http", "evil.example, b.example, c.example", NULL,
     "1.2.3.4, 10.0.0.2, 10.0.0.1|https|b.example|"
     "for=1.2.3.4;host=b.example;proto=https, for=10.0.0.2, "
     "for=10.0.0.1;host=\"a.example:8080\";proto=http"},
    {"no scheme, no host", XFF, "10.0.0.1", "1.2.3.4", "gopher", "b.example/../", NULL,
     "1.2.3.4, 10.0.0.1|http|a.example:8080|"
     "for=1.2.3.4;host=\"a.example:8080\";proto=http, for=10.0.0.1;host=\"a.example:8080\";proto=http"},
    {"the host without an address", XFF, "10.0.0.1", NULL, "HTTPS", "b.example", NULL,
     "10.0.0.1|https|b.example|for=10.0.0.1;host=b.example;proto=https"},
    {"IPv6", XFF, "2001:db8::1", NULL, NULL, NULL, NULL,
     "2001:db8::1|http|a.example:8080|for=\"[2001:db8::1]\";host=\"a.example:8080\";proto=http"},
    {"neither", HTTP_CLIENT_NONE, "10.0.0.1", "1.2.3.4", "https", "b.example", "for=1.2.3.4",
     "10.0.0.1|http|a.example:8080|for=10.0.0.1;host=\"a.example:8080\";proto=http"},
};

START_TEST(what_the_next_server_is_told)
{
    CDN_AUTOBUF struct cdn_buf all = {0};
    struct http_trust t = trust(told_[_i].field);
    struct cdn_addr peer;
    struct http_forwarded f;
    ck_assert(cdn_parse_ip(cdn_str(told_[_i].peer), &peer));
    struct http_forwarded_in in = {.peer = &peer,
                                   .trust = &t,
                                   .host = CDN_STR("a.example:8080"),
                                   .x_forwarded_for = slice(told_[_i].x_for),
                                   .x_forwarded_proto = slice(told_[_i].x_proto),
                                   .x_forwarded_host = slice(told_[_i].x_host),
                                   .forwarded = slice(told_[_i].forwarded)};
    http_forwarded_read(&in, &f);
    http_forwarded_add_for(&all, &f);
    cdn_buf_add_char(&all, '|');
    http_forwarded_add_proto(&all, &f);
    cdn_buf_add_char(&all, '|');
    http_forwarded_add_host(&all, &f);
    cdn_buf_add_char(&all, '|');
    http_forwarded_add(&all, &f);
    ck_assert_msg(strcmp(all.p, told_[_i].told) == 0, "%s: %s", told_[_i].why, all.p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_forwarded");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, client_rows, 0, (int)CDN_ARRAY_LEN(rows_));
    tcase_add_test(rows, long_lists_are_bounded);
    tcase_add_loop_test(rows, what_the_next_server_is_told, 0, (int)CDN_ARRAY_LEN(told_));
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
