/* http_server: clients that close in the same moment as they send. The idle time-out is far longer than a
 * test's patience, so what is seen to close was noticed. */
#include "common/http/server/http_server.h"
#include "common/mem.h"
#include "tests/unit/common/net_help.h"
#include "tests/unit/common/server_help.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define HEAD "HTTP/1.1\r\nHost: h\r\n"

static const struct {
    const char *bytes;
    const char *answer; /* NULL: none is due */
} last_words[] = {
    {"", NULL},
    {"G", NULL},
    {"\r\n", NULL},
    {"GET /a " HEAD, NULL},
    {"GET /a " HEAD "X-Some", NULL},
    {"POST /a " HEAD "Content-Length: 10\r\n\r\n", NULL},
    {"POST /a " HEAD "Content-Length: 10\r\n\r\nabc", NULL},
    {"POST /a " HEAD "Transfer-Encoding: chunked\r\n\r\n", NULL},
    {"POST /a " HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nab", NULL},
    {"POST /a " HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\n", NULL},
    {"GET /a " HEAD "\r\n", "<none 0 /a>"},
    {"GET /a " HEAD "\r\nGET /b " HEAD "\r\n", "<none 0 /b>"},
    {"GET /a " HEAD "\r\nG", "<none 0 /a>"},
    {"POST /a " HEAD "Content-Length: 3\r\n\r\nabc", "<body 3 /a>"},
    {"POST /a " HEAD "Content-Length: 3\r\n\r\nabcPOST /b " HEAD "Content-Length: 3\r\n\r\na", "<body 3 /a>"},
    {"POST /a " HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "<body 3 /a>"},
};

static bool is_empty(void *arg)
{
    return http_server_open_connections(((struct fixture *)arg)->server) == 0;
}

START_TEST(an_end_that_comes_with_bytes_is_seen)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire w[40];
    for (unsigned i = 0; i < CDN_ARRAY_LEN(w); i++) {
        w[i] = wire_open(&f.address);
    }
    turn_times(f.loop, 20);
    ck_assert_uint_eq(http_server_open_connections(f.server), CDN_ARRAY_LEN(w));
    for (unsigned i = 0; i < CDN_ARRAY_LEN(w); i++) {
        wire_send(&w[i], last_words[_i].bytes);
        shutdown(w[i].fd, SHUT_WR);
    }
    for (unsigned i = 0; i < CDN_ARRAY_LEN(w); i++) {
        wire_wait_end(f.loop, &w[i]);
        ck_assert(!last_words[_i].answer || wire_has(&w[i], last_words[_i].answer));
        wire_close(&w[i]);
    }
    turn_until(f.loop, is_empty, &f);
    stop(&f);
}
END_TEST

START_TEST(an_end_at_the_very_beginning_is_seen)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire w = wire_open(&f.address);
    wire_send(&w, last_words[_i].bytes);
    shutdown(w.fd, SHUT_WR);
    wire_wait_end(f.loop, &w);
    ck_assert(!last_words[_i].answer || wire_has(&w, last_words[_i].answer));
    wire_close(&w);
    turn_until(f.loop, is_empty, &f);
    stop(&f);
}
END_TEST

static bool is_held(void *arg)
{
    return ((struct fixture *)arg)->held_count == 1;
}

static bool is_done(void *arg)
{
    return ((struct fixture *)arg)->dones == 1;
}

START_TEST(who_waits_with_his_sending_half_closed_gets_his_answer)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire w = wire_open(&f.address);
    wire_send(&w, "GET /hold " HEAD "\r\n");
    shutdown(w.fd, SHUT_WR);
    turn_until(f.loop, is_held, &f);
    turn_times(f.loop, 20);
    ck_assert_uint_eq(f.dones, 0);
    http_request_resume(f.held[0]);
    wire_wait_end(f.loop, &w);
    ck_assert(wire_has(&w, "<none 0 /hold>"));
    ck_assert_uint_eq(f.aborted, 0);
    wire_close(&w);
    turn_until(f.loop, is_empty, &f);
    stop(&f);
}
END_TEST

START_TEST(a_reset_ends_a_request_that_waits)
{
    WITH_SERVER(f, .max_body = 0);
    struct wire w = wire_open(&f.address);
    wire_send(&w, "GET /hold " HEAD "\r\n");
    turn_until(f.loop, is_held, &f);
    setsockopt(w.fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    wire_close(&w);
    turn_until(f.loop, is_done, &f);
    ck_assert_uint_eq(f.aborted, 1);
    turn_until(f.loop, is_empty, &f);
    stop(&f);
}
END_TEST

START_TEST(an_upload_given_up_while_held_back_ends_at_the_resume)
{
    WITH_SERVER(f, .max_body = 0);
    f.take = 1;
    struct wire w = wire_open(&f.address);
    wire_send(&w, "POST /a " HEAD "Content-Length: 10\r\n\r\nabc");
    shutdown(w.fd, SHUT_WR);
    turn_until(f.loop, is_held, &f);
    f.take = 0;
    http_request_resume(f.held[0]);
    turn_until(f.loop, is_done, &f);
    ck_assert_uint_eq(f.aborted, 1);
    wire_close(&w);
    turn_until(f.loop, is_empty, &f);
    stop(&f);
}
END_TEST

static void fill(TCase *all)
{
    tcase_add_loop_test(all, an_end_that_comes_with_bytes_is_seen, 0, (int)CDN_ARRAY_LEN(last_words));
    tcase_add_loop_test(all, an_end_at_the_very_beginning_is_seen, 0, (int)CDN_ARRAY_LEN(last_words));
    tcase_add_test(all, who_waits_with_his_sending_half_closed_gets_his_answer);
    tcase_add_test(all, a_reset_ends_a_request_that_waits);
    tcase_add_test(all, an_upload_given_up_while_held_back_ends_at_the_resume);
}

int main(void)
{
    return run_suite("http_server_ends", fill);
}
