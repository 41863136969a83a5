/* http_server: many connections, suspended requests, draining, stopping. What would break is a
 * client that waits for ever, or a process that does not end. */
#include "common/http/server/http_server.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "tests/unit/common/net_help.h"
#include "tests/unit/common/server_help.h"

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

START_TEST(pipelined_requests_are_answered_in_order)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire w = wire_open(&f.address);
    wire_send(&w, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: "
                  "4\r\n\r\nbodyGET /hold "
                  "HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /4 "
                  "HTTP/1.1\r\nHost: h\r\n\r\n");
    ck_assert(wire_wait(f.loop, &w, "<body 4 /2>"));
    turn_times(f.loop, 20);
    wire_read(&w);
    ck_assert(!wire_has(&w, "/3"));
    http_request_resume(f.held[0]);
    wire_wait_end(f.loop, &w);
    const char *one = strstr(w.in.p, "<none 0 /1>");
    const char *hold = strstr(w.in.p, "<none 0 /hold>");
    const char *three = strstr(w.in.p, "<none 0 /3>");
    ck_assert(one && hold && three && one < hold && hold < three);
    ck_assert(!wire_has(&w, "/4"));
    wire_close(&w);
    stop(&f);
}
END_TEST

/* libmicrohttpd's own thread stalls when exactly 128 (or 256) connections are ready in one turn. */
static const unsigned crowds[] = {1, 127, 128, 129, 256, 257};

START_TEST(many_connections_ready_in_one_turn_are_all_answered)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire w[257];
    unsigned n = crowds[_i];
    for (unsigned i = 0; i < n; i++) {
        w[i] = wire_open(&f.address);
        wire_send(&w[i], "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
        ck_assert(wire_wait(f.loop, &w[i], "<none 0 /a>"));
    }
    turn_times(f.loop, 10);
    ck_assert_uint_eq(http_server_open_connections(f.server), n);
    for (unsigned i = 0; i < n; i++) {
        wire_send(&w[i], "GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    for (unsigned i = 0; i < n; i++) {
        ck_assert(wire_wait(f.loop, &w[i], "<none 0 /b>"));
        wire_close(&w[i]);
    }
    stop(&f);
}
END_TEST

START_TEST(a_held_request_is_answered_after_the_resume)
{
    WITH_SERVER(f, .max_body = 0);
    static const char *const paths[] = {"/hold", "/hold-head"};
    struct wire w = wire_open(&f.address);
    for (unsigned i = 0; i < 20; i++) { /* a resume too many would swallow the next suspend */
        char head[80];
        snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", paths[i % 2]);
        f.held_count = 0;
        wire_send(&w, head);
        while (!f.held_count) {
            loop_turn(f.loop, 1);
        }
        turn_times(f.loop, 3);
        wire_read(&w);
        ck_assert_uint_eq(wire_count(&w, "<none"), i);
        http_request_resume(f.held[0]);
        http_request_resume(f.held[0]);
        wire_wait_count(f.loop, &w, "<none", i + 1);
    }
    wire_close(&w);
    stop(&f);
}
END_TEST

START_TEST(a_suspended_request_can_be_answered_directly)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire w = wire_open(&f.address);
    wire_send(&w, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    while (!f.held_count) {
        loop_turn(f.loop, 1);
    }
    turn_times(f.loop, 3);
    http_respond_problem(f.held[0], 504, "waited");
    ck_assert(wire_wait(f.loop, &w, "504 Gateway"));
    ck_assert_uint_eq(f.readies, 1);
    wire_close(&w);
    stop(&f);
}
END_TEST

START_TEST(a_client_that_left_while_suspended_is_noticed_at_the_resume)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire w = wire_open(&f.address);
    wire_send(&w, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    while (!f.held_count) {
        loop_turn(f.loop, 1);
    }
    wire_close(&w);
    turn_times(f.loop, 5);
    ck_assert_uint_eq(f.dones, 0);
    http_request_resume(f.held[0]);
    while (!f.dones) {
        loop_turn(f.loop, 1);
    }
    turn_times(f.loop, 5);
    ck_assert_uint_eq(http_server_open_connections(f.server), 0);
    stop(&f);
}
END_TEST

START_TEST(what_is_suspended_too_long_is_broken_off)
{
    WITH_SERVER(f, .suspend_limit_s = 1);
    struct wire w = wire_open(&f.address);
    wire_send(&w, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    wire_wait_end(f.loop, &w);
    ck_assert_uint_eq(w.in.n, 0);
    ck_assert_uint_eq(f.aborted, 1);
    wire_close(&w);
    stop(&f);
}
END_TEST

START_TEST(stopping_ends_suspended_requests)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire w[5];
    for (unsigned i = 0; i < 5; i++) {
        w[i] = wire_open(&f.address);
        wire_send(&w[i], i < 3 ? "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n"
                               : "GET /hold-head HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    while (f.held_count < 5) {
        loop_turn(f.loop, 1);
    }
    turn_times(f.loop, 3);
    http_server_stop(CDN_TAKE(f.server));
    ck_assert_uint_eq(f.aborted, 5);
    for (unsigned i = 0; i < 5; i++) {
        wire_wait_end(f.loop, &w[i]);
        wire_close(&w[i]);
    }
    stop(&f);
}
END_TEST

START_TEST(draining_closes_idle_connections_and_finishes_the_others)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire idle = wire_open(&f.address);
    struct wire busy = wire_open(&f.address);
    wire_send(&idle, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    wire_send(&busy, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    ck_assert(wire_wait(f.loop, &idle, "<none 0 /a>"));
    while (!f.held_count) {
        loop_turn(f.loop, 1);
    }
    struct wire waiting = wire_open(&f.address); /* in the queue, not accepted yet */
    wire_send(&waiting, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    http_server_drain(f.server);
    wire_wait_end(f.loop, &idle);
    ck_assert_int_lt(connect((struct wire){.fd = socket(AF_INET, SOCK_STREAM, 0)}.fd, &f.address.sa,
                             cdn_addr_len(&f.address)),
                     0);
    ck_assert(wire_wait(f.loop, &waiting, "<none 0 /b>"));
    ck_assert(!busy.ended);
    http_request_resume(f.held[0]);
    ck_assert(wire_wait(f.loop, &busy, "<none 0 /hold>"));
    wire_wait_end(f.loop, &busy);
    ck_assert_uint_eq(http_server_open_connections(f.server), 0);
    wire_close(&idle);
    wire_close(&busy);
    wire_close(&waiting);
    stop(&f);
}
END_TEST

START_TEST(a_slow_reader_of_the_body_holds_the_client_back)
{
    WITH_SERVER(f, .max_body = 0);
    f.take = 1000;
    struct wire w = wire_open(&f.address);
    static char block[100000];
    memset(block, 'x', sizeof(block));
    wire_send(&w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    wire_send_bytes(&w, block, sizeof(block));
    unsigned resumes = 0;
    while (!wire_has(&w, "<body 100000 />")) {
        ck_assert_uint_lt(resumes, 1000);
        loop_turn(f.loop, 1);
        ck_assert_uint_le(f.held_count, 1);
        if (f.held_count) {
            http_request_resume(f.held[--f.held_count]);
            resumes++;
        }
        wire_read(&w);
    }
    ck_assert_uint_ge(resumes, 50);
    wire_close(&w);
    stop(&f);
}
END_TEST

START_TEST(aborting_closes_without_an_answer)
{
    static const char *const requests[] = {
        "GET /abort HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /abort-body HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
        "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n", "GET /hold-head HTTP/1.1\r\nHost: a\r\n\r\n"};
    WITH_SERVER(f, .max_body = 0);
    struct wire w = wire_open(&f.address);
    wire_send(&w, requests[_i]);
    for (int turns = 0; turns < 50 && !w.ended; turns++) {
        loop_turn(f.loop, 1);
        if (f.held_count) {
            turn_times(f.loop, 3);
            http_abort(f.held[--f.held_count]);
        }
        wire_read(&w);
    }
    ck_assert(w.ended);
    ck_assert_uint_eq(w.in.n, 0);
    ck_assert_uint_eq(f.aborted, 1);
    wire_close(&w);
    stop(&f);
}
END_TEST

static enum cdn_status try_listen(struct fixture *f, struct cdn_addr at, bool share, bool claimed,
                                  struct http_server **ret)
{
    struct http_server_config c = {.listen = at,
                                   .share_port = share,
                                   .port_is_claimed = claimed,
                                   .handler = &handler,
                                   .handler_self = f};
    struct cdn_error err;
    enum cdn_status status = http_server_start(f->loop, &c, ret, &err);
    ck_assert(status == CDN_OK || strstr(err.text, "127.0.0.1:"));
    return status;
}

START_TEST(a_port_is_taken_once_and_shared_only_by_its_owner)
{
    for (int share = 0; share < 2; share++) {
        WITH_SERVER(f, .share_port = share);
        struct http_server *second = NULL;
        ck_assert_int_eq(try_listen(&f, f.address, false, false, &second), CDN_CONFLICT);
        ck_assert_int_eq(try_listen(&f, f.address, true, false, &second), CDN_CONFLICT);
        ck_assert_int_eq(try_listen(&f, f.address, true, true, &second), share ? CDN_OK : CDN_CONFLICT);
        ck_assert(!second == !share);
        if (second) { /* both get some of the connections */
            for (unsigned i = 0; i < 64; i++) {
                struct wire w = wire_open(&f.address);
                wire_send(&w, "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
                ck_assert(wire_wait(f.loop, &w, "<none 0 /a>"));
                wire_close(&w);
            }
        }
        http_server_stop(second);
        struct cdn_addr freed = f.address;
        stop(&f);
        struct fixture again = start();
        serve(&again, (struct http_server_config){.listen = freed, .share_port = true});
        stop(&again);
    }
}
END_TEST

static void fill(TCase *all)
{
    tcase_add_test(all, pipelined_requests_are_answered_in_order);
    tcase_add_loop_test(all, many_connections_ready_in_one_turn_are_all_answered, 0,
                        (int)CDN_ARRAY_LEN(crowds));
    tcase_add_test(all, a_held_request_is_answered_after_the_resume);
    tcase_add_test(all, a_suspended_request_can_be_answered_directly);
    tcase_add_test(all, a_client_that_left_while_suspended_is_noticed_at_the_resume);
    tcase_add_test(all, what_is_suspended_too_long_is_broken_off);
    tcase_add_test(all, stopping_ends_suspended_requests);
    tcase_add_test(all, draining_closes_idle_connections_and_finishes_the_others);
    tcase_add_test(all, a_slow_reader_of_the_body_holds_the_client_back);
    tcase_add_loop_test(all, aborting_closes_without_an_answer, 0, 4);
    tcase_add_test(all, a_port_is_taken_once_and_shared_only_by_its_owner);
}

int main(void)
{
    return run_suite("http_server_life", fill);
}
