/* http_client: what goes out and how answers are judged, byte for byte, against an origin that
 * sends anything. A cut body that passed for a whole one would be stored. */
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "tests/unit/common/client_help.h"
#include "tests/unit/common/net_help.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum after { KEEP, CLOSE, RESET };
static const struct {
    const char *answer; /* NULL: none */
    enum after after;
    enum http_fetch_error error;
    const char *heads, *body; /* NULL: not looked at */
} answers[] = {
    {FINE, KEEP, HTTP_FETCH_NONE, "Content-Length=5;", "hello"},
    {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", KEEP, HTTP_FETCH_NONE, "Content-Length=0;", ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3;x\r\ncde\r\n0\r\nT: u\r\n\r\n", KEEP,
     HTTP_FETCH_NONE, "Transfer-Encoding=chunked;", "abcde"},
    {"HTTP/1.1 200 OK\r\nA:  b \r\nA: c\r\nE:\r\nN : t\r\nF: g\r\n  h\r\nContent-Length: 0\r\n\r\n", KEEP,
     HTTP_FETCH_NONE, "A=b;A=c;E=;N=t;F=g h;Content-Length=0;", ""},
    {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" FINE, KEEP, HTTP_FETCH_NONE,
     "[103][102]Content-Length=5;", "hello"},
    {"HTTP/1.1 204 No Content\r\n\r\n", KEEP, HTTP_FETCH_NONE, "", ""},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", KEEP, HTTP_FETCH_NONE, "Content-Length=5;",
     ""},
    {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", KEEP,
     HTTP_FETCH_NONE, NULL, ""},
    {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", KEEP, HTTP_FETCH_NONE, NULL,
     "abc"},
    {"HTTP/1.0 200 OK\r\n\r\nuntil the end", CLOSE, HTTP_FETCH_NONE, "", "until the end"},
    {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end", CLOSE, HTTP_FETCH_NONE, NULL,
     "until the end"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", KEEP, HTTP_FETCH_NONE, NULL,
     "hello"},
    {FINE "too much", CLOSE, HTTP_FETCH_NONE, NULL, "hello"},
    {NULL, CLOSE, HTTP_FETCH_CLOSED, NULL, NULL},
    {NULL, RESET, HTTP_FETCH_CLOSED, NULL, NULL},
    {NULL, KEEP, HTTP_FETCH_READ_TIMEOUT, NULL, NULL},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", CLOSE, HTTP_FETCH_CLOSED, NULL, "hel"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", KEEP, HTTP_FETCH_READ_TIMEOUT, NULL, "hel"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", CLOSE, HTTP_FETCH_CLOSED, NULL,
     "hello"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", CLOSE, HTTP_FETCH_CLOSED, NULL, "hel"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", CLOSE, HTTP_FETCH_CLOSED, NULL, ""},
    {"HTTP/1.1 200 OK\r\nContent-Le", CLOSE, HTTP_FETCH_CLOSED, NULL, NULL},
    {"HTTP/1.1 103 Early Hints\r\n\r\n", CLOSE, HTTP_FETCH_CLOSED, "[103]", NULL},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", KEEP,
     HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", KEEP, HTTP_FETCH_PROTOCOL, "",
     ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello", KEEP, HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", KEEP, HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello", CLOSE, HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", CLOSE, HTTP_FETCH_PROTOCOL, "",
     ""},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: nothing\r\n\r\nhello", CLOSE, HTTP_FETCH_NONE,
     "Transfer-Encoding=nothing;", "hello"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: nothing\r\nContent-Length: 5\r\n\r\nhello", CLOSE,
     HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: nothing\r\n\r\nhello", CLOSE, HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", CLOSE, HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 0\r\n\r\n", KEEP, HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n", KEEP, HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.1 200 OK\r\nA: b\x01\r\nContent-Length: 0\r\n\r\n", KEEP, HTTP_FETCH_PROTOCOL, "", ""},
    {"HTTP/1.1 101 Switching Protocols\r\n\r\n", KEEP, HTTP_FETCH_PROTOCOL, "", NULL},
    {"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", KEEP, HTTP_FETCH_PROTOCOL, "", ""},
    {"just text, no head at all\r\n\r\n", CLOSE, HTTP_FETCH_PROTOCOL, "", ""},
};

START_TEST(answers_are_judged)
{
    struct fixture f;
    struct story s = {0};
    begin(&f, &(struct http_client_config){.first_byte_timeout_ms = 200, .idle_timeout_ms = 200});
    f.origin.answer =
        (struct cdn_str){answers[_i].answer, answers[_i].answer ? strlen(answers[_i].answer) : 0};
    f.origin.close_after = answers[_i].after == CLOSE;
    f.origin.reset_after = answers[_i].after == RESET;
    fetch(&f, &s, (struct http_fetch_request){0});
    turn_until(f.loop, is_over, &s);
    ck_assert_msg(s.error == answers[_i].error, "%s\ngave %s (%s)", answers[_i].answer,
                  http_fetch_error_word(s.error), s.text);
    ck_assert(!answers[_i].heads || strcmp(cdn_buf_str(&s.heads).p, answers[_i].heads) == 0);
    ck_assert(!answers[_i].body || strcmp(cdn_buf_str(&s.body).p, answers[_i].body) == 0);
    ck_assert(!s.error == !s.text[0]);
    ck_assert_uint_eq(http_client_running(f.client), 0);
    free_story(&s);
    finish(&f);
}
END_TEST

START_TEST(a_connection_that_breaks_never_completes_a_body)
{
    struct fixture f;
    struct story s = {0};
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = ANSWER("HTTP/1.1 200 OK\r\n\r\npart");
    fetch(&f, &s, (struct http_fetch_request){0});
    while (s.body.n < 4) {
        loop_turn(f.loop, 1);
    }
    struct linger now = {1, 0};
    setsockopt(peers->watch.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    peer_gone(peers);
    turn_until(f.loop, is_over, &s);
    ck_assert_int_eq(s.error, HTTP_FETCH_CLOSED);
    free_story(&s);
    finish(&f);
}
END_TEST

START_TEST(a_giant_head_is_cut)
{
    struct fixture f;
    struct story s = {0};
    begin(&f, &(struct http_client_config){.max_head_bytes = 2000});
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_add_str(&text, CDN_STR("HTTP/1.1 200 OK\r\n"));
    while (text.n < 2000) {
        cdn_buf_add_str(&text, CDN_STR("X-Header: value\r\n"));
    }
    cdn_buf_add_str(&text, CDN_STR("Content-Length: 0\r\n\r\n"));
    f.origin.answer = cdn_buf_str(&text);
    fetch(&f, &s, (struct http_fetch_request){0});
    turn_until(f.loop, is_over, &s);
    ck_assert_int_eq(s.error, HTTP_FETCH_TOO_LARGE);
    free_story(&s);
    finish(&f);
}
END_TEST

static const struct {
    const char *url;
    enum http_fetch_error error;
} bad_urls[] = {
    {"http://127.0.0.1:1/", HTTP_FETCH_CONNECT},   {"nonsense", HTTP_FETCH_PROTOCOL},
    {"ftp://127.0.0.1/", HTTP_FETCH_PROTOCOL},     {"http:///x", HTTP_FETCH_PROTOCOL},
    {"http://127.0.0.1/a b", HTTP_FETCH_PROTOCOL}, {"http://127.0.0.1/\xc3\xa4", HTTP_FETCH_PROTOCOL},
    {"http://name.invalid/", HTTP_FETCH_RESOLVE},  {"http://127.0.0.1/a\r\nX: y", HTTP_FETCH_PROTOCOL},
};

START_TEST(bad_urls_fail_later_not_at_once)
{
    struct fixture f;
    struct story s = {0};
    begin(&f, &(struct http_client_config){0});
    fetch(&f, &s, (struct http_fetch_request){.url = bad_urls[_i].url});
    turn_until(f.loop, is_over, &s);
    ck_assert_msg(s.error == bad_urls[_i].error, "%s: %s", http_fetch_error_word(s.error), s.text);
    free_story(&s);
    finish(&f);
}
END_TEST

START_TEST(tls_to_a_plain_server_fails_as_tls)
{
    struct fixture f;
    struct story s = {0};
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = ANSWER("HTTP/1.1 400 Bad Request\r\n\r\n");
    f.origin.at_once = true;
    char url[64];
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/", cdn_addr_port(&f.origin.address));
    fetch(&f, &s, (struct http_fetch_request){.url = url});
    turn_until(f.loop, is_over, &s);
    ck_assert_msg(s.error == HTTP_FETCH_TLS, "%s (%s)", http_fetch_error_word(s.error), s.text);
    free_story(&s);
    finish(&f);
}
END_TEST

#define NO_FIELDS       \
    {                   \
        {               \
            {NULL, 0},  \
            {           \
                NULL, 0 \
            }           \
        }               \
    }

/* What goes out, byte for byte; %P is the port. */
static const struct {
    const char *method, *target;
    struct http_field fields[3];
    bool has_body;
    int64_t length;
    const char *body;
    const char *sent;
} requests[] = {
    {"GET",
     "/p?",
     {{{"A", 1}, {"b", 1}}, {{"Empty", 5}, {"", 0}}, {{"A", 1}, {"c", 1}}},
     false,
     0,
     NULL,
     "GET /p? HTTP/1.1\r\nHost: 127.0.0.1:%P\r\nA: b\r\nEmpty:\r\nA: c\r\n\r\n"},
    {"GET",
     "",
     {{{"Host", 4}, {"example.com", 11}}},
     false,
     0,
     NULL,
     "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"},
    {"GET", "?a", NO_FIELDS, false, 0, NULL, "GET /?a HTTP/1.1\r\nHost: 127.0.0.1:%P\r\n\r\n"},
    {"GET", "//a/../%7e%2F|\"#frag", NO_FIELDS, false, 0, NULL,
     "GET //a/../%7e%2F|\" HTTP/1.1\r\nHost: 127.0.0.1:%P\r\n\r\n"},
    {"GET",
     "/",
     {{{"Accept", 6}, {"text/html", 9}}, {{"Content-Length", 14}, {"7", 1}}, {{"Bad\n", 4}, {"x", 1}}},
     false,
     0,
     NULL,
     "GET / HTTP/1.1\r\nHost: 127.0.0.1:%P\r\nAccept: text/html\r\n\r\n"},
    {"HEAD", "/", NO_FIELDS, false, 0, NULL, "HEAD / HTTP/1.1\r\nHost: 127.0.0.1:%P\r\n\r\n"},
    {"DELETE", "/", NO_FIELDS, false, 0, NULL, "DELETE / HTTP/1.1\r\nHost: 127.0.0.1:%P\r\n\r\n"},
    {"POST", "/", NO_FIELDS, false, 0, NULL,
     "POST / HTTP/1.1\r\nHost: 127.0.0.1:%P\r\nContent-Length: 0\r\n\r\n"},
    {"POST", "/", NO_FIELDS, true, 7, "1234567",
     "POST / HTTP/1.1\r\nHost: 127.0.0.1:%P\r\nContent-Length: 7\r\n\r\n1234567"},
    {"GET", "/", NO_FIELDS, true, 3, "123",
     "GET / HTTP/1.1\r\nHost: 127.0.0.1:%P\r\nContent-Length: 3\r\n\r\n123"},
    {"PATCH", "/", NO_FIELDS, true, -1, "1234567",
     "PATCH / HTTP/1.1\r\nHost: 127.0.0.1:%P\r\nTransfer-Encoding: "
     "chunked\r\n\r\n5\r\n12345\r\n2\r\n67\r\n0\r\n\r\n"},
};

START_TEST(requests_go_out_as_given)
{
    struct fixture f;
    begin(&f, &(struct http_client_config){0});
    CDN_AUTOBUF struct cdn_buf expected = {0};
    char port[8];
    snprintf(port, sizeof(port), "%u", cdn_addr_port(&f.origin.address));
    struct cdn_str rest = cdn_str(requests[_i].sent);
    const char *mark = strstr(rest.p, "%P");
    cdn_buf_add(&expected, rest.p, mark ? (size_t)(mark - rest.p) : rest.n);
    if (mark) {
        cdn_buf_printf(&expected, "%s%s", port, mark + 2);
    }
    const char *end = strstr(expected.p, "\r\n\r\n") + 4;
    f.origin.request_bytes = strlen(end);
    f.origin.answer = ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    size_t fields = 0;
    while (fields < 3 && requests[_i].fields[fields].name.n) {
        fields++;
    }
    char url[128];
    snprintf(url, sizeof(url), "http://127.0.0.1:%s%s", port, requests[_i].target);
    const bool once = requests[_i].has_body || strcmp(requests[_i].method, "POST") == 0;
    for (unsigned again = 0; again < 2; again++) { /* a reused handle does the same */
        struct story s = {.upload = cdn_str(requests[_i].body)};
        cdn_buf_clear(&f.origin.seen);
        fetch(&f, &s,
              (struct http_fetch_request){.method = requests[_i].method,
                                          .url = url,
                                          .fields = requests[_i].fields,
                                          .field_count = fields,
                                          .has_body = requests[_i].has_body,
                                          .body_length = requests[_i].length});
        turn_until(f.loop, is_over, &s);
        ck_assert_msg(s.error == HTTP_FETCH_NONE, "%s", s.text);
        ck_assert_str_eq(f.origin.seen.p, expected.p);
        ck_assert(s.times.reused == (again > 0 && !once)); /* RFC 9110 9.2.2: what must not be sent twice */
        free_story(&s);
        struct story other = {0}; /* another kind of request in between */
        f.origin.request_bytes = 0;
        fetch(&f, &other, (struct http_fetch_request){.method = "HEAD"});
        turn_until(f.loop, is_over, &other);
        f.origin.request_bytes = strlen(end);
        free_story(&other);
    }
    ck_assert_uint_eq(f.origin.accepted, once ? 2 : 1);
    finish(&f);
}
END_TEST

START_TEST(words_are_those_of_rfc_9209)
{
    ck_assert_str_eq(http_fetch_error_word(HTTP_FETCH_NONE), "none");
    ck_assert_str_eq(http_fetch_error_word(HTTP_FETCH_CLOSED), "http_response_incomplete");
    ck_assert_str_eq(http_fetch_error_word(HTTP_FETCH_ABORTED), "aborted");
}
END_TEST

static void fill(TCase *all)
{
    tcase_add_loop_test(all, answers_are_judged, 0, (int)CDN_ARRAY_LEN(answers));
    tcase_add_test(all, a_connection_that_breaks_never_completes_a_body);
    tcase_add_test(all, a_giant_head_is_cut);
    tcase_add_loop_test(all, bad_urls_fail_later_not_at_once, 0, (int)CDN_ARRAY_LEN(bad_urls));
    tcase_add_test(all, tls_to_a_plain_server_fails_as_tls);
    tcase_add_loop_test(all, requests_go_out_as_given, 0, (int)CDN_ARRAY_LEN(requests));
    tcase_add_test(all, words_are_those_of_rfc_9209);
}

int main(void)
{
    return run_suite("http_client", fill);
}
