/* http_client: when a connection may be used again, and what is asked again (RFC 9112 9.2, RFC 9110 9.2.2).
 */
#include "common/clock.h"
#include "common/http/client/http_client.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "tests/unit/common/client_help.h"
#include "tests/unit/common/net_help.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define POISON "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
#define SECOND "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
#define NO_BODY "HTTP/1.1 204 No Content\r\n\r\n"
#define NOT_MODIFIED "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"
#define EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define HEAD_OF_FIVE "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
#define LATE_408 "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

/* What the origin sends in answer to the first request and after it; the second must get its own answer. */
static const struct {
    const char *method, *first, *later;
    unsigned connections; /* that both requests took */
} strays[] = {
    {"GET", FINE, NULL, 1},
    {"GET", CHUNKED, NULL, 1},
    {"GET", NO_BODY, NULL, 1},
    {"GET", NOT_MODIFIED, NULL, 1},
    {"GET", EMPTY, NULL, 1},
    {"HEAD", HEAD_OF_FIVE, NULL, 1},
    {"GET", FINE, POISON, 2},
    {"GET", FINE, LATE_408, 2},
    {"GET", FINE, "HTTP/1.1 100 Continue\r\n\r\n", 2},
    {"GET", FINE, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 2},
    {"GET", FINE, "\r\n", 2},
    {"GET", FINE, "x", 2},
    {"GET", FINE POISON, NULL, 2},
    {"GET", FINE, "", 2}, /* closed */
    {"GET", CHUNKED POISON, NULL, 2},
    {"GET", CHUNKED, POISON, 2},
    {"GET", CHUNKED "HTTP/1.1 200 OK\r\nContent-Le", "ngth: 6\r\n\r\npoison", 2},
    {"GET", NO_BODY POISON, NULL, 2},
    {"GET", NO_BODY "poison", NULL, 2},
    {"GET", NOT_MODIFIED POISON, NULL, 2},
    {"GET", EMPTY POISON, NULL, 2},
    {"GET", EMPTY "x", NULL, 2},
    {"HEAD", HEAD_OF_FIVE "hello", NULL, 2},
    {"HEAD", HEAD_OF_FIVE "he", "llo", 2},
    {"HEAD", HEAD_OF_FIVE, "hello", 2},
    {"HEAD", FINE POISON, NULL, 2},
    {"POST", FINE, POISON, 2},
};

static void ask(struct fixture *f, struct http_fetch_request request, const char *answer, const char *body)
{
    struct story s = {0};
    f->origin.answer = cdn_str(answer);
    fetch(f, &s, request);
    turn_until(f->loop, is_over, &s);
    ck_assert_msg(s.error == HTTP_FETCH_NONE, "%s", s.text);
    ck_assert_msg(!body || strcmp(cdn_buf_str(&s.body).p, body) == 0, "the body: %s", s.body.p);
    ck_assert_uint_eq(http_client_running(f->client), 0);
    free_story(&s);
}

static void send_later(const char *bytes)
{
    if (bytes && bytes[0]) {
        ck_assert_int_eq(send(peers->watch.fd, bytes, strlen(bytes), MSG_NOSIGNAL), (ssize_t)strlen(bytes));
    } else if (bytes) {
        peer_gone(peers);
    }
}

/* Both before the loop has had a look at the idle connection and after. */
START_TEST(what_nobody_asked_for_answers_nobody)
{
    for (unsigned turns = 0; turns <= 3; turns += 3) {
        struct fixture f;
        begin(&f, &(struct http_client_config){0});
        ask(&f, (struct http_fetch_request){.method = strays[_i].method}, strays[_i].first, NULL);
        send_later(strays[_i].later);
        turn_times(f.loop, turns);
        ask(&f, (struct http_fetch_request){0}, SECOND, "second");
        ck_assert_msg(f.origin.accepted == strays[_i].connections, "row %d, %u turns: %u connections", _i,
                      turns, f.origin.accepted);
        finish(&f);
    }
}
END_TEST

/* A request that waits for a connection gets it inside libcurl the moment it is free. */
START_TEST(a_waiting_request_takes_no_dirty_connection)
{
    struct fixture f;
    struct story s[2] = {0};
    begin(&f, &(struct http_client_config){.max_connections = 1, .max_per_host = 1});
    f.origin.answer = cdn_str(strays[_i].first);
    fetch(&f, &s[0], (struct http_fetch_request){.method = strays[_i].method});
    fetch(&f, &s[1], (struct http_fetch_request){0});
    turn_until(f.loop, is_over, &s[0]);
    f.origin.answer = CDN_STR(SECOND);
    turn_until(f.loop, is_over, &s[1]);
    ck_assert_msg(!strstr(cdn_buf_str(&s[1].body).p, "poison"), "row %d", _i);
    free_story(&s[0]);
    free_story(&s[1]);
    finish(&f);
}
END_TEST

START_TEST(a_server_that_speaks_first_is_not_believed)
{
    struct fixture f;
    struct story s = {0};
    begin(&f, &(struct http_client_config){0});
    f.origin.greeting = CDN_STR(POISON);
    f.origin.answer = CDN_STR(SECOND);
    fetch(&f, &s, (struct http_fetch_request){0});
    turn_until(f.loop, is_over, &s);
    ck_assert(!strstr(cdn_buf_str(&s.body).p, "poison") || s.error);
    free_story(&s);
    finish(&f);
}
END_TEST

START_TEST(a_408_on_a_used_connection_is_a_late_farewell)
{
    struct fixture f;
    begin(&f, &(struct http_client_config){0});
    ask(&f, (struct http_fetch_request){0}, FINE, "hello");
    f.origin.once = CDN_STR(LATE_408);
    ask(&f, (struct http_fetch_request){0}, SECOND, "second");
    ck_assert_uint_eq(f.origin.accepted, 2);
    f.origin.once = CDN_STR(LATE_408); /* a POST's 408 is its answer */
    ask(&f, (struct http_fetch_request){.method = "POST"}, SECOND, "");
    finish(&f);
}
END_TEST

static unsigned open_peers(void)
{
    unsigned n = 0;
    for (const struct peer *p = peers; p; p = p->next) {
        n += p->watch.fd >= 0;
    }
    return n;
}

static bool are_open(void *arg)
{
    return open_peers() == *(unsigned *)arg;
}

START_TEST(idle_connections_have_a_limit_in_number)
{
    struct fixture f;
    struct story s[6] = {0};
    begin(&f, &(struct http_client_config){.max_idle = 2});
    for (unsigned i = 0; i < 6; i++) {
        fetch(&f, &s[i], (struct http_fetch_request){0});
    }
    while (f.origin.requests < 6) { /* nobody is answered yet */
        loop_turn(f.loop, 1);
    }
    ck_assert_uint_eq(open_peers(), 6);
    for (struct peer *p = peers; p; p = p->next) {
        ck_assert(send(p->watch.fd, FINE, strlen(FINE), MSG_NOSIGNAL) > 0);
    }
    for (unsigned i = 0; i < 6; i++) {
        turn_until(f.loop, is_over, &s[i]);
        ck_assert_msg(s[i].error == HTTP_FETCH_NONE, "%s", s[i].text);
        free_story(&s[i]);
    }
    turn_until(f.loop, are_open, &(unsigned){2});
    ask(&f, (struct http_fetch_request){0}, SECOND, "second");
    ck_assert_uint_eq(f.origin.accepted, 6);
    finish(&f);
}
END_TEST

START_TEST(idle_connections_have_a_limit_in_time)
{
    struct fixture f;
    begin(&f, &(struct http_client_config){.keep_idle_ms = 20});
    ask(&f, (struct http_fetch_request){0}, FINE, "hello");
    turn_until(f.loop, are_open, &(unsigned){0});
    ask(&f, (struct http_fetch_request){0}, SECOND, "second");
    ck_assert_uint_eq(f.origin.accepted, 2);
    finish(&f);
}
END_TEST

START_TEST(an_old_connection_is_not_kept)
{
    struct fixture f;
    struct story s = {0};
    begin(&f, &(struct http_client_config){.lifetime_ms = 20});
    fetch(&f, &s, (struct http_fetch_request){0});
    const int64_t until = cdn_clock_mono_ms() + 40;
    while (!f.origin.requests || cdn_clock_mono_ms() < until) {
        loop_turn(f.loop, 1);
    }
    ck_assert(send(peers->watch.fd, FINE, strlen(FINE), MSG_NOSIGNAL) > 0);
    turn_until(f.loop, is_over, &s);
    turn_until(f.loop, are_open, &(unsigned){0});
    free_story(&s);
    finish(&f);
}
END_TEST

START_TEST(posts_leave_no_heap_of_connections)
{
    struct fixture f;
    begin(&f, &(struct http_client_config){0});
    for (unsigned i = 0; i < 50; i++) {
        ask(&f, (struct http_fetch_request){.method = "POST"}, FINE, "hello");
    }
    turn_until(f.loop, are_open, &(unsigned){1});
    finish(&f);
}
END_TEST

static const struct {
    const char *method;
    unsigned drops;
    bool warm; /* on a connection that served another request */
    int64_t retry_ms;
    enum http_fetch_error error;
    unsigned requests; /* that the origin saw, the warming one too */
} dropped[] = {
    {"GET", 1, false, 60000, HTTP_FETCH_NONE, 2},    {"HEAD", 1, false, 60000, HTTP_FETCH_NONE, 2},
    {"GET", 2, false, 60000, HTTP_FETCH_CLOSED, 2},  {"GET", 1, false, 0, HTTP_FETCH_CLOSED, 1},
    {"GET", 1, true, 0, HTTP_FETCH_NONE, 3},         {"HEAD", 1, true, 0, HTTP_FETCH_NONE, 3},
    {"POST", 1, false, 60000, HTTP_FETCH_CLOSED, 1}, {"POST", 1, true, 60000, HTTP_FETCH_CLOSED, 2},
    {"PATCH", 1, true, 60000, HTTP_FETCH_CLOSED, 2},
};

START_TEST(only_what_may_be_is_sent_twice)
{
    struct fixture f;
    struct story s = {0};
    begin(&f, &(struct http_client_config){0});
    if (dropped[_i].warm) {
        ask(&f, (struct http_fetch_request){0}, FINE, "hello");
    }
    f.origin.drops = dropped[_i].drops;
    f.origin.answer = cdn_str(FINE);
    fetch(&f, &s,
          (struct http_fetch_request){.method = dropped[_i].method, .retry_ms = dropped[_i].retry_ms});
    turn_until(f.loop, is_over, &s);
    ck_assert_msg(s.error == dropped[_i].error, "row %d: %s", _i, s.text);
    ck_assert_uint_eq(f.origin.requests, dropped[_i].requests);
    ck_assert_uint_le(s.head_calls, 1);
    free_story(&s);
    finish(&f);
}
END_TEST

/* A port that is bound but not listened to refuses. */
START_TEST(a_server_that_restarts_is_waited_for)
{
    static const char *const methods[] = {"GET", "POST"};
    struct fixture f;
    struct story s = {.upload = CDN_STR("body")};
    begin(&f, &(struct http_client_config){0});
    struct cdn_addr closed = loopback(0);
    socklen_t n = sizeof(closed);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert(bind(fd, &closed.sa, cdn_addr_len(&closed)) == 0);
    getsockname(fd, &closed.sa, &n);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", cdn_addr_port(&closed));
    fetch(&f, &s, (struct http_fetch_request){.url = url});
    turn_until(f.loop, is_over, &s);
    ck_assert_int_eq(s.error, HTTP_FETCH_CONNECT);
    s.ends = 0;
    const bool body = _i == 1;
    fetch(&f, &s,
          (struct http_fetch_request){.url = url,
                                      .method = methods[_i],
                                      .has_body = body,
                                      .body_length = body ? 4 : 0,
                                      .retry_ms = 60000});
    turn_times(f.loop, 20);
    ck_assert_uint_eq(s.ends, 0);
    f.origin.answer = CDN_STR(FINE);
    f.origin.request_bytes = body ? 4 : 0;
    loop_fd_remove(f.loop, &f.origin.watch);
    close(f.origin.watch.fd);
    ck_assert(listen(fd, 10) == 0);
    f.origin.watch = (struct loop_fd){fd, EPOLLIN, origin_ready};
    ck_assert(loop_fd_add(f.loop, &f.origin.watch, NULL) == CDN_OK);
    turn_until(f.loop, is_over, &s);
    ck_assert_msg(s.error == HTTP_FETCH_NONE, "%s", s.text);
    ck_assert_uint_eq(f.origin.requests, 1);
    free_story(&s);
    finish(&f);
}
END_TEST

START_TEST(waiting_for_a_server_ends_with_its_time_and_can_be_cancelled)
{
    struct fixture f;
    struct story s[2] = {0};
    begin(&f, &(struct http_client_config){0});
    for (unsigned i = 0; i < 2; i++) {
        fetch(&f, &s[i],
              (struct http_fetch_request){.url = "http://127.0.0.1:1/", .retry_ms = i ? 60000 : 60});
    }
    turn_until(f.loop, is_over, &s[0]);
    ck_assert_int_eq(s[0].error, HTTP_FETCH_CONNECT);
    ck_assert_uint_eq(s[1].ends, 0);
    http_fetch_cancel(s[1].fetch);
    turn_times(f.loop, 2);
    ck_assert_uint_eq(http_client_running(f.client), 0);
    finish(&f);
}
END_TEST

static void fill(TCase *all)
{
    tcase_add_loop_test(all, what_nobody_asked_for_answers_nobody, 0, (int)CDN_ARRAY_LEN(strays));
    tcase_add_loop_test(all, a_waiting_request_takes_no_dirty_connection, 0, (int)CDN_ARRAY_LEN(strays));
    tcase_add_test(all, a_server_that_speaks_first_is_not_believed);
    tcase_add_test(all, idle_connections_have_a_limit_in_number);
    tcase_add_test(all, idle_connections_have_a_limit_in_time);
    tcase_add_test(all, an_old_connection_is_not_kept);
    tcase_add_test(all, posts_leave_no_heap_of_connections);
    tcase_add_loop_test(all, only_what_may_be_is_sent_twice, 0, (int)CDN_ARRAY_LEN(dropped));
    tcase_add_loop_test(all, a_server_that_restarts_is_waited_for, 0, 2);
    tcase_add_test(all, waiting_for_a_server_ends_with_its_time_and_can_be_cancelled);
    tcase_add_test(all, a_408_on_a_used_connection_is_a_late_farewell);
}

int main(void)
{
    return run_suite("http_client_reuse", fill);
}
