/* http_client: connections, pauses, cancelling, limits: the life of a fetch. libcurl calls back
 * while it is being called; what is freed too early shows here. */
#include "common/clock.h"
#include "common/http/client/http_client.h"
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
#include <unistd.h>

START_TEST(a_thousand_fetches_reuse_the_connections)
{
    struct fixture f;
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = CDN_STR(FINE);
    for (unsigned round = 0; round < 100; round++) {
        struct story s[10] = {0};
        for (unsigned i = 0; i < 10; i++) {
            fetch(&f, &s[i], (struct http_fetch_request){0});
        }
        ck_assert_uint_eq(http_client_running(f.client), 10);
        for (unsigned i = 0; i < 10; i++) {
            turn_until(f.loop, is_over, &s[i]);
            ck_assert(s[i].error == HTTP_FETCH_NONE && s[i].ends == 1);
            ck_assert_str_eq(s[i].body.p, "hello");
            free_story(&s[i]);
        }
    }
    ck_assert_uint_eq(f.origin.requests, 1000);
    ck_assert_uint_le(f.origin.accepted, 10);
    finish(&f);
}
END_TEST

START_TEST(a_closed_idle_connection_is_replaced)
{
    struct fixture f;
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = CDN_STR(FINE);
    for (unsigned i = 0; i < 5; i++) {
        struct story s = {0};
        fetch(&f, &s, (struct http_fetch_request){0});
        turn_until(f.loop, is_over, &s);
        ck_assert_msg(s.error == HTTP_FETCH_NONE, "%s", s.text);
        free_story(&s);
        peer_gone(peers);
    }
    ck_assert_uint_eq(f.origin.accepted, 5);
    finish(&f);
}
END_TEST

static bool is_paused(void *arg)
{
    return ((struct story *)arg)->paused;
}

START_TEST(receiving_can_be_paused)
{
    struct fixture f;
    struct story s = {.refuse = 5};
    begin(&f, &(struct http_client_config){.idle_timeout_ms = 100});
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_add_str(&text, CDN_STR("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n"));
    while (text.n < 200043) {
        cdn_buf_add_char(&text, (char)('a' + text.n % 26));
    }
    f.origin.answer = cdn_buf_str(&text);
    fetch(&f, &s, (struct http_fetch_request){0});
    for (unsigned i = 0; i < 5; i++) {
        turn_until(f.loop, is_paused, &s);
        int64_t until = cdn_clock_mono_ms() + (i == 0 ? 250 : 0); /* our own slowness is not the origin's */
        do {
            loop_turn(f.loop, 5);
        } while (cdn_clock_mono_ms() < until);
        ck_assert(s.ends == 0 && s.body.n == 0);
        s.paused = false;
        http_fetch_resume(s.fetch);
    }
    turn_until(f.loop, is_over, &s);
    ck_assert_msg(s.error == HTTP_FETCH_NONE, "%s", s.text);
    ck_assert_uint_eq(s.body.n, 200000);
    ck_assert(memcmp(s.body.p, text.p + text.n - 200000, 200000) == 0);
    free_story(&s);
    finish(&f);
}
END_TEST

START_TEST(sending_can_be_paused)
{
    struct fixture f;
    struct story s = {.upload = CDN_STR("1234567"), .upload_waits = true};
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = CDN_STR(FINE);
    f.origin.request_bytes = 7;
    fetch(&f, &s, (struct http_fetch_request){.method = "POST", .has_body = true, .body_length = 7});
    turn_until(f.loop, is_paused, &s);
    turn_times(f.loop, 10);
    ck_assert(s.ends == 0 && f.origin.requests == 0);
    s.upload_waits = false;
    http_fetch_resume(s.fetch);
    turn_until(f.loop, is_over, &s);
    ck_assert_int_eq(s.error, HTTP_FETCH_NONE);
    ck_assert(memmem(f.origin.seen.p, f.origin.seen.n, "\r\n\r\n1234567", 11));
    free_story(&s);
    finish(&f);
}
END_TEST

START_TEST(an_upload_that_breaks_off_is_not_completed)
{
    struct fixture f;
    struct story s = {.upload = CDN_STR("123456789012345"), .upload_fails = true};
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = CDN_STR(FINE);
    f.origin.request_bytes = 15;
    fetch(&f, &s, (struct http_fetch_request){.method = "POST", .has_body = true, .body_length = -1});
    turn_until(f.loop, is_over, &s);
    ck_assert_int_eq(s.error, HTTP_FETCH_ABORTED);
    ck_assert(!memmem(f.origin.seen.p, f.origin.seen.n, "0\r\n\r\n", 5));
    free_story(&s);
    finish(&f);
}
END_TEST

static const char cancel_places[] =
    "ihdreosp"; /* o: from outside; s: right after the start; p: while paused */

START_TEST(cancelling_is_safe_anywhere)
{
    struct fixture f;
    char where = cancel_places[_i];
    struct story s = {.cancel_in = where, .upload = CDN_STR("123"), .refuse = where == 'p'};
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = ANSWER("HTTP/1.1 103 Early Hints\r\n\r\n" FINE);
    f.origin.request_bytes = 3;
    if (where == 'o') {
        f.origin.answer.p = NULL;
    }
    fetch(&f, &s, (struct http_fetch_request){.method = "POST", .has_body = true, .body_length = 3});
    if (where == 's') {
        http_fetch_cancel(s.fetch);
        ck_assert_uint_eq(http_client_running(f.client), 1);
    }
    for (int turns = 0; turns < 200 && (http_client_running(f.client) || turns < 5); turns++) {
        loop_turn(f.loop, 1);
        if ((where == 'o' && f.origin.requests) || (where == 'p' && s.paused)) {
            http_fetch_cancel(s.fetch);
            where = ' ';
        }
    }
    ck_assert_uint_eq(http_client_running(f.client), 0);
    ck_assert_uint_eq(s.ends, cancel_places[_i] == 'e');
    free_story(&s);
    finish(&f);
}
END_TEST

struct chain { /* end() starts the next fetch; data() cancels another one */
    struct fixture *f;
    struct http_fetch *victim;
    unsigned left;
    bool over;
};

static void chain_start(struct chain *c);

static bool chain_data(void *arg, const char *data, size_t n)
{
    struct chain *c = arg;
    (void)data;
    (void)n;
    if (c->victim) {
        http_fetch_cancel(CDN_TAKE(c->victim));
        static const struct http_fetch_handler nothing = {.end = on_end};
        static struct story inner;
        inner.fetch = http_fetch_start(
            c->f->client, &(struct http_fetch_request){
                              .method = "GET", .url = c->f->url, .handler = &nothing, .arg = &inner});
        http_fetch_cancel(inner.fetch);
    }
    return true;
}

static void chain_end(void *arg, enum http_fetch_error error, const char *text)
{
    struct chain *c = arg;
    ck_assert_msg(error == HTTP_FETCH_NONE, "%s", text);
    c->over = --c->left == 0;
    if (!c->over) {
        chain_start(c);
    }
}

static void chain_start(struct chain *c)
{
    static const struct http_fetch_handler links = {.data = chain_data, .end = chain_end};
    http_fetch_start(c->f->client, &(struct http_fetch_request){
                                       .method = "GET", .url = c->f->url, .handler = &links, .arg = c});
}

static bool chain_over(void *arg)
{
    return ((struct chain *)arg)->over;
}

START_TEST(callbacks_may_start_and_cancel_others)
{
    struct fixture f;
    struct story victim = {0};
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = CDN_STR(FINE);
    struct chain c = {.f = &f, .left = 20};
    struct origin silent = {0};
    origin_start(&silent, f.loop);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", cdn_addr_port(&silent.address));
    fetch(&f, &victim, (struct http_fetch_request){.url = url});
    c.victim = victim.fetch;
    chain_start(&c);
    turn_until(f.loop, chain_over, &c);
    ck_assert_uint_eq(victim.ends, 0);
    turn_times(f.loop, 3);
    ck_assert_uint_eq(http_client_running(f.client), 0);
    close(silent.watch.fd);
    cdn_buf_free(&silent.seen);
    free_story(&victim);
    finish(&f);
}
END_TEST

START_TEST(destroying_the_client_ends_fetches_silently)
{
    struct fixture f;
    struct story s[3] = {0};
    begin(&f, &(struct http_client_config){.max_connections = 2, .max_per_host = 2});
    for (unsigned i = 0; i < 3; i++) { /* the third waits for a connection */
        fetch(&f, &s[i], (struct http_fetch_request){0});
    }
    while (f.origin.requests < 2) {
        loop_turn(f.loop, 1);
    }
    ck_assert_uint_eq(f.origin.accepted, 2);
    finish(&f);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(s[i].ends, 0);
    }
}
END_TEST

START_TEST(waiting_for_a_connection_is_limited)
{
    struct fixture f;
    struct story s[2] = {0};
    begin(&f, &(struct http_client_config){.max_per_host = 1,
                                           .connect_timeout_ms = 50,
                                           .first_byte_timeout_ms = 100,
                                           .idle_timeout_ms = 10000});
    fetch(&f, &s[0], (struct http_fetch_request){.first_byte_timeout_ms = 10000});
    fetch(&f, &s[1], (struct http_fetch_request){0});
    turn_until(f.loop, is_over, &s[1]);
    ck_assert_int_eq(s[1].error, HTTP_FETCH_TIMEOUT);
    ck_assert_uint_eq(s[0].ends, 0);
    finish(&f);
}
END_TEST

START_TEST(the_whole_fetch_can_be_limited)
{
    struct fixture f;
    struct story s = {0};
    begin(&f, &(struct http_client_config){0});
    f.origin.answer = ANSWER("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    fetch(&f, &s, (struct http_fetch_request){.total_timeout_ms = 100});
    turn_until(f.loop, is_over, &s);
    ck_assert_int_eq(s.error, HTTP_FETCH_READ_TIMEOUT);
    free_story(&s);
    finish(&f);
}
END_TEST

static void fill(TCase *all)
{
    tcase_add_test(all, a_thousand_fetches_reuse_the_connections);
    tcase_add_test(all, a_closed_idle_connection_is_replaced);
    tcase_add_test(all, receiving_can_be_paused);
    tcase_add_test(all, sending_can_be_paused);
    tcase_add_test(all, an_upload_that_breaks_off_is_not_completed);
    tcase_add_loop_test(all, cancelling_is_safe_anywhere, 0, (int)sizeof(cancel_places) - 1);
    tcase_add_test(all, callbacks_may_start_and_cancel_others);
    tcase_add_test(all, destroying_the_client_ends_fetches_silently);
    tcase_add_test(all, waiting_for_a_connection_is_limited);
    tcase_add_test(all, the_whole_fetch_can_be_limited);
}

int main(void)
{
    return run_suite("http_client_life", fill);
}
