/* http_forwarded: who the client is, and what the next server is told (RFC 7239). */
#include "common/http_forwarded.h"

#include <check.h>

static const struct {
    const char *why;
    const char *peer;
    const char *x_forwarded_for, *forwarded; /* NULL: absent */
    const char *client;
} rows_[] = {
    {"nothing sent", "192.0.2.1", NULL, NULL, "192.0.2.1"},
    {"an untrusted peer's word", "192.0.2.1", "198.51.100.1", NULL, "192.0.2.1"},
    {"a trusted peer's word", "10.0.0.1", "198.51.100.1", NULL, "198.51.100.1"},
    {"the right-most untrusted", "10.0.0.1", "203.0.113.9, 198.51.100.1, 10.0.0.2", NULL, "198.51.100.1"},
    {"only trusted ones: the left-most", "10.0.0.1", "10.0.0.3, 10.0.0.2", NULL, "10.0.0.3"},
    {"nonsense ends the walk", "10.0.0.1", "198.51.100.1, nonsense, 10.0.0.2", NULL, "10.0.0.2"},
    {"nonsense alone", "10.0.0.1", "unknown", NULL, "10.0.0.1"},
    {"with a port", "10.0.0.1", "198.51.100.1:4711", NULL, "198.51.100.1"},
    {"IPv6", "10.0.0.1", "2001:db8::1", NULL, "2001:db8::1"},
    {"IPv6 with a port", "10.0.0.1", "[2001:db8::1]:4711", NULL, "2001:db8::1"},
    {"a trusted IPv6 peer", "fd00::1", "198.51.100.1", NULL, "198.51.100.1"},
    {"mapped IPv4", "10.0.0.1", "::ffff:198.51.100.1", NULL, "198.51.100.1"},
    {"7239 4", "10.0.0.1", NULL, "for=198.51.100.1;proto=http;by=203.0.113.43", "198.51.100.1"},
    {"7239 4 case and quotes", "10.0.0.1", NULL, "For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"},
    {"7239 4 list", "10.0.0.1", NULL, "for=192.0.2.43, for=198.51.100.17;by=x, for=10.0.0.2",
     "198.51.100.17"},
    {"7239 6.3 obfuscated", "10.0.0.1", NULL, "for=192.0.2.43, for=_hidden", "10.0.0.1"},
    {"7239 6.2 unknown", "10.0.0.1", NULL, "for=unknown", "10.0.0.1"},
    {"the standard wins", "10.0.0.1", "192.0.2.43", "for=198.51.100.17", "198.51.100.17"},
    {"malformed", "10.0.0.1", NULL, "for=198.51.100.17;for=192.0.2.43", "10.0.0.1"},
    {"malformed", "10.0.0.1", NULL, "for=2001:db8::1", "10.0.0.1"},
};

static struct cdn_cidr proxies[2];

static struct http_trust trust(void)
{
    ck_assert(cdn_parse_cidr(CDN_STR("10.0.0.0/8"), &proxies[0]) &&
              cdn_parse_cidr(CDN_STR("fd00::/8"), &proxies[1]));
    return (struct http_trust){proxies, 2};
}

static struct cdn_str slice(const char *s)
{
    return (struct cdn_str){s, s ? strlen(s) : 0};
}

START_TEST(client_rows)
{
    struct http_trust t = trust();
    struct cdn_addr peer, client;
    char text[CDN_ADDR_TEXT_SIZE];
    ck_assert(cdn_parse_ip(cdn_str(rows_[_i].peer), &peer));
    http_forwarded_client(&peer, &t, slice(rows_[_i].x_forwarded_for), slice(rows_[_i].forwarded), &client);
    cdn_addr_format_ip(&client, text);
    ck_assert_msg(strcmp(text, rows_[_i].client) == 0, "%s: %s", rows_[_i].why, text);
}
END_TEST

/* However long the list, only its end is looked at. */
START_TEST(long_lists_are_bounded)
{
    CDN_AUTOBUF struct cdn_buf list = {0};
    struct http_trust t = trust();
    struct cdn_addr peer, client;
    char text[CDN_ADDR_TEXT_SIZE];
    cdn_buf_add(&list, "198.51.100.1", 12);
    for (int i = 0; i < 1000; i++) {
        cdn_buf_printf(&list, ", 10.0.%d.%d", i / 250, i % 250);
    }
    ck_assert(cdn_parse_ip(CDN_STR("10.0.0.1"), &peer));
    http_forwarded_client(&peer, &t, cdn_buf_str(&list), slice(NULL), &client);
    cdn_addr_format_ip(&client, text);
    ck_assert_str_eq(text, "10.0.3.186"); /* the 64th from the right */
}
END_TEST

static void build(const struct http_forwarded_in *in, struct cdn_buf *all)
{
    cdn_buf_clear(all);
    http_forwarded_add_for(all, in);
    cdn_buf_add_char(all, '|');
    http_forwarded_add_proto(all, in);
    cdn_buf_add_char(all, '|');
    http_forwarded_add_host(all, in);
    cdn_buf_add_char(all, '|');
    http_forwarded_add(all, in);
}

START_TEST(what_the_next_server_is_told)
{
    CDN_AUTOBUF struct cdn_buf all = {0};
    struct cdn_addr peer;
    ck_assert(cdn_parse_ip(CDN_STR("192.0.2.1"), &peer));
    struct http_forwarded_in in = {.peer = &peer,
                                   .host = CDN_STR("a.example:8080"),
                                   .x_forwarded_for = CDN_STR("1.2.3.4"),
                                   .x_forwarded_proto = CDN_STR("https"),
                                   .x_forwarded_host = CDN_STR("b.example"),
                                   .forwarded = CDN_STR("for=1.2.3.4")};
    build(&in, &all);
    ck_assert_str_eq(all.p, "192.0.2.1|http|a.example:8080|for=192.0.2.1;host=\"a.example:8080\";proto=http");
    in.peer_trusted = true;
    build(&in, &all);
    ck_assert_str_eq(all.p, "1.2.3.4, 192.0.2.1|https|b.example|"
                            "for=1.2.3.4, for=192.0.2.1;host=\"a.example:8080\";proto=http");
    ck_assert(cdn_parse_ip(CDN_STR("2001:db8::1"), &peer));
    in = (struct http_forwarded_in){.peer = &peer, .secure = true, .host = CDN_STR("a.example")};
    build(&in, &all);
    ck_assert_str_eq(all.p, "2001:db8::1|https|a.example|for=\"[2001:db8::1]\";host=a.example;proto=https");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_forwarded");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, client_rows, 0, (int)CDN_ARRAY_LEN(rows_));
    tcase_add_test(rows, long_lists_are_bounded);
    tcase_add_test(rows, what_the_next_server_is_told);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
