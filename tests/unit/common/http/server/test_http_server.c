/* http_server: which requests are refused, which served and how, from raw sockets. What two
 * servers may read in two ways must be refused by this one. */
#include "common/http/server/http_server.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "tests/unit/common/net_help.h"
#include "tests/unit/common/server_help.h"

#include <check.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

START_TEST(get_and_keep_alive)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire w = wire_open(&f.address);
    for (unsigned i = 1; i <= 50; i++) {
        wire_send(&w, "GET /a?x=1&y HTTP/1.1\r\nHost: h\r\n\r\n");
        wire_wait_count(f.loop, &w, "<none 0 /a>", i);
    }
    ck_assert_str_eq(f.seen.p, "/a?x=1&y|/a|x=1&y|h");
    ck_assert_uint_eq(wire_count(&w, "HTTP/1.1 200 OK"), 50);
    ck_assert_uint_eq(wire_count(&w, "X-Two: 2\r\n"), 50);
    ck_assert_uint_eq(http_server_open_connections(f.server), 1);
    ck_assert_uint_eq(http_server_open_requests(f.server), 0);
    ck_assert(!w.ended);
    wire_close(&w);
    stop(&f);
}
END_TEST

/* The target reaches the handler byte for byte. */
static const struct {
    const char *target, *seen;
} raw_targets[] = {
    {"/%7e%2F?a=%20&b+c", "/%7e%2F?a=%20&b+c|/%7e%2F|a=%20&b+c|h"},
    {"//a/../b/./?", "//a/../b/./?|//a/../b/./||h"},
    {"/a??b=?", "/a??b=?|/a|?b=?|h"},
    {"http://other:1/p?q", "http://other:1/p?q|/p|q|other:1"},
};

START_TEST(the_target_is_raw)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire w = wire_open(&f.address);
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_printf(&text, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", raw_targets[_i].target);
    wire_send(&w, text.p);
    ck_assert(wire_wait(f.loop, &w, "<none 0"));
    ck_assert_str_eq(f.seen.p, raw_targets[_i].seen);
    wire_close(&w);
    stop(&f);
}
END_TEST

START_TEST(a_long_query_takes_no_room_twice)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire w = wire_open(&f.address);
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_add_str(&text, CDN_STR("GET /?"));
    for (int i = 0; i < 2000; i++) {
        cdn_buf_add_str(&text, CDN_STR("a&"));
    }
    cdn_buf_add_str(&text, CDN_STR(" HTTP/1.1\r\nHost: h\r\n\r\n"));
    wire_send(&w, text.p);
    ck_assert(wire_wait(f.loop, &w, "<none 0 />"));
    wire_close(&w);
    stop(&f);
}
END_TEST

/* Sent as they stand; the status that must come, and the connection closed. */
static const struct {
    const char *head;
    const char *status;
} refused[] = {
    {"GET / HTTP/1.1\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"},
    {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nxx", "400"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nxx", "400"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\nxx", "400"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\nxx", "400"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2x\r\n\r\nxx", "400"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n",
     "400"},
    {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
    {"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "501"},
    {"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400"},
    {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a\r\nA b: c\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a\r\nAb : c\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a\r\n: c\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a\r\nA\xc3\xa4: c\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a\r\nA: b\x01\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\tc\r\nB: d\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n", "400"},
    {"GET / HTTP/1.1\nHost: a\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a\r\n\n", "400"},
    {"GET / HTTP/1.1\n\n", "400"},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
    {"GET / HTTP/0.9\r\n\r\n", "505"},
    {"GET /\r\n\r\n", "400"},
};

START_TEST(what_rfc_9112_forbids_is_refused)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire w = wire_open(&f.address);
    wire_send(&w, refused[_i].head);
    wire_wait_end(f.loop, &w);
    CDN_AUTOBUF struct cdn_buf line = {0};
    cdn_buf_printf(&line, "HTTP/1.1 %s ", refused[_i].status);
    ck_assert_msg(cdn_str_starts(cdn_buf_str(&w.in), cdn_buf_str(&line)), "%s\ngave %s", refused[_i].head,
                  cdn_buf_str(&w.in).p);
    ck_assert_uint_eq(wire_count(&w, "HTTP/1.1 "), 1);
    ck_assert_uint_eq(wire_count(&w, "application/problem+json"), 1);
    const char *length = strcasestr(w.in.p, "\r\nContent-Length: ");
    const char *body = strstr(w.in.p, "\r\n\r\n");
    ck_assert(length && body);
    ck_assert_uint_eq(strtoul(length + strlen("\r\nContent-Length: "), NULL, 10), strlen(body + 4));
    ck_assert_uint_eq(f.refused, 1);
    ck_assert_uint_eq(f.refused_status, strtoul(refused[_i].status, NULL, 10));
    ck_assert_uint_eq(f.heads, 0);
    wire_close(&w);
    stop(&f);
}
END_TEST

START_TEST(a_nul_in_the_head_is_refused)
{
    static const char heads[3][64] = {"GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n",
                                      "GET / HTTP/1.1\r\nHost: a\r\nA: b\0c\r\n\r\n",
                                      "GET / HTTP/1.1\r\nHost: a\r\nA\0b: c\r\n\r\n"};
    static const size_t sizes[] = {32, 38, 38};
    WITH_SERVER(f, .max_body = 0);
    struct wire w = wire_open(&f.address);
    wire_send_bytes(&w, heads[_i], sizes[_i]);
    wire_wait_end(f.loop, &w);
    ck_assert_msg(wire_has(&w, "HTTP/1.1 400 "), "%s", cdn_buf_str(&w.in).p);
    wire_close(&w);
    stop(&f);
}
END_TEST

static const struct {
    const char *head, *answer;
} accepted[] = {
    {"GET / HTTP/1.0\r\n\r\n", "<none 0 />"},
    {"GET / HTTP/1.0\r\nHost: a\r\n\r\n", "<none 0 />"},
    {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "<none 0 />"},
    {"GET / HTTP/1.1\r\nHost:a\r\nEmpty:\r\nOws: \t x \t\r\n\r\n", "<none 0 />"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: caf\xc3\xa9\r\n\r\n", "<none 0 />"},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "<none 0 *>"},
    {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "<none 0 />"},
    {"FROB / HTTP/1.1\r\nHost: a\r\n\r\n", "<none 0 />"},
    {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "<none 0 />"},
    {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "<body 3 />"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "<none 0 />"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: "
     "u\r\n\r\n",
     "<body 5 />"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "<body 0 />"},
    {"GET /again HTTP/1.1\r\nHost: a\r\n\r\n", "<none 0 /again>"},
    {"POST /again HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "<body 3 /again>"},
    {"GET /forget HTTP/1.1\r\nHost: a\r\n\r\n", "500 Internal"},
    {"GET /refuse HTTP/1.1\r\nHost: a\r\n\r\n", "403 Forbidden"},
    {"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "403 Forbidden"},
    {"POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "502 Bad Gateway"},
};

START_TEST(what_is_allowed_is_served)
{
    WITH_SERVER(f, .max_body = 0);
    for (size_t take = 0; take < 2; take++) { /* whole bodies, and a byte at a time */
        struct wire w = wire_open(&f.address);
        f.take = take;
        f.held_count = 0;
        wire_send(&w, accepted[_i].head);
        for (int turns = 0; turns < 100; turns++) {
            loop_turn(f.loop, 1);
            while (f.held_count) {
                http_request_resume(f.held[--f.held_count]);
            }
            wire_read(&w);
            if (wire_has(&w, accepted[_i].answer)) {
                break;
            }
        }
        ck_assert_msg(wire_has(&w, accepted[_i].answer), "%s\ngave %s", accepted[_i].head,
                      cdn_buf_str(&w.in).p);
        wire_close(&w);
        turn_times(f.loop, 5);
    }
    stop(&f);
}
END_TEST

START_TEST(bodies_over_the_limit_get_413)
{
    static const char *const requests[] = {
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n",
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
         "chunked\r\n\r\n6\r\n123456\r\n6\r\n123456\r\n0\r\n\r\n")};
    WITH_SERVER(f, .max_body = 10);
    struct wire w = wire_open(&f.address);
    wire_send(&w, requests[_i]);
    ck_assert(wire_wait(f.loop, &w, "HTTP/1.1 413 "));
    ck_assert(!wire_has(&w, "100 Continue"));
    ck_assert_uint_eq(f.readies, 0);
    wire_close(&w);
    stop(&f);
}
END_TEST

START_TEST(an_endless_body_is_cut)
{
    WITH_SERVER(f, .max_body = 10);
    struct wire w = wire_open(&f.address);
    static char block[65536 + 9] = "10000\r\n";
    memset(block + 7, 'x', 65536);
    memcpy(block + 7 + 65536, "\r\n", 2);
    wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 200 && !w.ended; i++) {
        ssize_t n = send(w.fd, block, sizeof(block), MSG_NOSIGNAL);
        ck_assert(n == (ssize_t)sizeof(block) || i > 15);
        for (int turns = 0; turns < 20; turns++) {
            loop_turn(f.loop, 0);
        }
        wire_read(&w);
    }
    ck_assert(w.ended);
    wire_close(&w);
    stop(&f);
}
END_TEST

/* Closing at once would reset the connection, and the client would never see why. */
START_TEST(a_client_still_sending_can_read_the_refusal)
{
    static const char *const requests[] = {
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n",
        "POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n"};
    static const char *const statuses[] = {"HTTP/1.1 413 ", "HTTP/1.1 403 "};
    WITH_SERVER(f, .max_body = _i ? 10000000 : 10);
    struct wire w = wire_open(&f.address);
    static char block[65536];
    wire_send(&w, requests[_i]);
    for (size_t sent = 0; sent < 5000000; loop_turn(f.loop, 0)) {
        ssize_t n = send(w.fd, block, sizeof(block), MSG_NOSIGNAL);
        ck_assert_msg(n > 0 || errno == EAGAIN, "%s", strerror(errno));
        sent += n > 0 ? (size_t)n : 0;
    }
    wire_wait_end(f.loop, &w);
    ck_assert(!w.reset && wire_has(&w, statuses[_i]));
    ck_assert_uint_eq(http_server_open_connections(f.server), 0);
    wire_close(&w);
    stop(&f);
}
END_TEST

START_TEST(expect_100_continue)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire w = wire_open(&f.address);
    wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    ck_assert(wire_wait(f.loop, &w, "HTTP/1.1 100 Continue\r\n\r\n"));
    wire_send(&w, "abc");
    ck_assert(wire_wait(f.loop, &w, "<body 3 />"));
    wire_close(&w);
    stop(&f);
}
END_TEST

START_TEST(early_hints_stand_before_the_answer)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire w = wire_open(&f.address);
    wire_send(&w, "GET /early HTTP/1.1\r\nHost: a\r\n\r\nGET /early HTTP/1.1\r\nHost: a\r\n\r\nGET /early "
                  "HTTP/1.0\r\n\r\n");
    wire_wait_end(f.loop, &w);
    ck_assert_uint_eq(
        wire_count(&w, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n"),
        2);
    ck_assert_uint_eq(wire_count(&w, "<none 0 /early>"), 3);
    wire_close(&w);
    stop(&f);
}
END_TEST

START_TEST(an_oversized_head_gets_an_answer_or_the_connection_closed)
{
    WITH_SERVER(f, .max_body = 0);
    static const size_t sizes[] = {15000, 20000, 100000};
    struct wire w = wire_open(&f.address);
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_add_str(&text, CDN_STR("GET / HTTP/1.1\r\nHost: a\r\n"));
    while (text.n < sizes[_i]) {
        cdn_buf_add_str(&text, CDN_STR("X-Some-Header: some value that is not short\r\n"));
    }
    cdn_buf_add_str(&text, CDN_STR("\r\n"));
    wire_send(&w, text.p);
    wire_wait_end(f.loop, &w);
    ck_assert_msg(w.in.n == 0 || wire_has(&w, "HTTP/1.1 431 "), "%s", w.in.p);
    ck_assert_uint_eq(f.heads, 0);
    wire_close(&w);
    stop(&f);
}
END_TEST

START_TEST(the_fields_are_found_and_joined)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire w = wire_open(&f.address);
    wire_send(&w, "GET /hold HTTP/1.1\r\nHost: a\r\nvia: 1.1 x\r\nX-Other: y\r\nVIA:  1.1 z "
                  "\r\nIf-None-Match: \"e\"\r\n\r\n");
    while (!f.held_count) {
        loop_turn(f.loop, 1);
    }
    struct http_request *req = f.held[0];
    CDN_AUTOBUF struct cdn_buf joined = {0};
    ck_assert(http_request_joined(req, HTTP_REQ_VIA, &joined));
    ck_assert_str_eq(joined.p, "1.1 x, 1.1 z");
    ck_assert(!http_request_joined(req, HTTP_REQ_COOKIE, &joined));
    ck_assert_uint_eq(req->field_lines[HTTP_REQ_VIA], 2);
    ck_assert(cdn_str_eq(req->field[HTTP_REQ_IF_NONE_MATCH], CDN_STR("\"e\"")));
    ck_assert(!req->field[HTTP_REQ_RANGE].p);
    ck_assert(!req->secure && !req->http10 && req->body_length == -1);
    struct cdn_addr client;
    http_request_client(req, &client);
    ck_assert(cdn_addr_is_loopback(&client) && cdn_addr_port(&client));
    http_request_resume(req);
    ck_assert(wire_wait(f.loop, &w, "<none 0 /hold>"));
    wire_close(&w);
    stop(&f);
}
END_TEST

static void fill(TCase *all)
{
    tcase_add_test(all, get_and_keep_alive);
    tcase_add_loop_test(all, the_target_is_raw, 0, (int)CDN_ARRAY_LEN(raw_targets));
    tcase_add_test(all, a_long_query_takes_no_room_twice);
    tcase_add_loop_test(all, what_rfc_9112_forbids_is_refused, 0, (int)CDN_ARRAY_LEN(refused));
    tcase_add_loop_test(all, a_nul_in_the_head_is_refused, 0, 3);
    tcase_add_loop_test(all, what_is_allowed_is_served, 0, (int)CDN_ARRAY_LEN(accepted));
    tcase_add_loop_test(all, bodies_over_the_limit_get_413, 0, 4);
    tcase_add_test(all, an_endless_body_is_cut);
    tcase_add_loop_test(all, a_client_still_sending_can_read_the_refusal, 0, 2);
    tcase_add_test(all, expect_100_continue);
    tcase_add_test(all, early_hints_stand_before_the_answer);
    tcase_add_loop_test(all, an_oversized_head_gets_an_answer_or_the_connection_closed, 0, 3);
    tcase_add_test(all, the_fields_are_found_and_joined);
}

int main(void)
{
    return run_suite("http_server", fill);
}
