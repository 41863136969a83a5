/* One direction of a connection over socket pairs, at times that the test says. */
#include "common/mem.h"
#include "common/str.h"
#include "wan/path/path.h"
#include "wan/relay/pipe.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define MS INT64_C(1000000)
#define LIMIT ((size_t)1 << 20)

static struct wan_budget budget;
static struct wan_pipe pipe_;
static struct cdn_buf early;
static int in[2], out[2]; /* [0] is the test's end */

static void begin(int64_t half_ns)
{
    const struct wan_path path = {.there_ns = half_ns, .back_ns = half_ns};
    wan_pipe_init(&pipe_, &budget, &path, NULL, 1);
}

static void setup(void)
{
    budget = (struct wan_budget){.limit = LIMIT, .scratch = cdn_malloc(WAN_PIPE_SCRATCH)};
    early = (struct cdn_buf){0};
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, in), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, out), 0);
}

static void teardown(void)
{
    wan_pipe_fini(&pipe_);
    ck_assert_uint_eq(budget.used, 0);
    free(budget.scratch);
    cdn_buf_free(&early);
    for (unsigned i = 0; i < 2; i++) {
        close(in[i]);
        close(out[i]);
    }
}

static void say(const char *text)
{
    ck_assert_int_eq(write(in[0], text, strlen(text)), (ssize_t)strlen(text));
}

static enum wan_pull pull(int64_t now_ns)
{
    return wan_pipe_pull(&pipe_, in[1], &early, now_ns);
}

static enum wan_push push(int64_t now_ns)
{
    return wan_pipe_push(&pipe_, out[1], now_ns);
}

static void heard(const char *text)
{
    char bytes[256];
    ssize_t n = read(out[0], bytes, sizeof(bytes));
    ck_assert_int_eq(n, text[0] ? (ssize_t)strlen(text) : -1);
    ck_assert(n < 0 || memcmp(bytes, text, (size_t)n) == 0);
}

START_TEST(bytes_arrive_half_a_round_trip_later)
{
    begin(50 * MS);
    ck_assert_int_eq(pull(0), WAN_PULL_INPUT);
    say("abc");
    ck_assert_int_eq(pull(10 * MS), WAN_PULL_INPUT);
    say("def");
    ck_assert_int_eq(pull(20 * MS), WAN_PULL_INPUT);
    ck_assert_int_eq(wan_pipe_arrive_ns(&pipe_), 60 * MS);
    ck_assert_int_eq(push(60 * MS - 1), WAN_PUSH_TIME);
    heard("");
    ck_assert_int_eq(push(60 * MS), WAN_PUSH_TIME);
    heard("abc");
    ck_assert_int_eq(wan_pipe_arrive_ns(&pipe_), 70 * MS);
    ck_assert_int_eq(push(70 * MS), WAN_PUSH_IDLE);
    heard("def");
    ck_assert_int_eq(wan_pipe_arrive_ns(&pipe_), WAN_NEVER);
    ck_assert_uint_eq(pipe_.delivered, 6);
}
END_TEST

START_TEST(early_bytes_come_first)
{
    begin(5 * MS);
    cdn_buf_add(&early, "early ", 6);
    say("late");
    ck_assert_int_eq(pull(0), WAN_PULL_INPUT);
    ck_assert_uint_eq(early.n, 0);
    ck_assert_int_eq(push(5 * MS), WAN_PUSH_IDLE);
    heard("early late");
}
END_TEST

START_TEST(an_end_comes_after_the_bytes)
{
    begin(50 * MS);
    say("x");
    shutdown(in[0], SHUT_WR);
    ck_assert_int_eq(pull(0), WAN_PULL_INPUT);
    ck_assert_int_eq(pull(0), WAN_PULL_ENDED);
    ck_assert_int_eq(push(49 * MS), WAN_PUSH_TIME);
    ck_assert_int_eq(push(50 * MS), WAN_PUSH_FIN);
    heard("x");
}
END_TEST

START_TEST(a_reset_comes_after_what_was_sent_before)
{
    begin(50 * MS);
    say("x");
    ck_assert_int_eq(pull(0), WAN_PULL_INPUT);
    wan_pipe_reset(&pipe_, 10 * MS);
    ck_assert_int_eq(push(50 * MS), WAN_PUSH_TIME);
    heard("x");
    ck_assert_int_eq(wan_pipe_arrive_ns(&pipe_), 60 * MS);
    ck_assert_int_eq(push(60 * MS), WAN_PUSH_RESET);
}
END_TEST

START_TEST(a_cut_holds_bytes_and_ends)
{
    const struct wan_path cut = {.there_ns = 50 * MS, .back_ns = 50 * MS, .cut = true},
                          whole = {.there_ns = 50 * MS, .back_ns = 50 * MS};
    begin(50 * MS);
    wan_pipe_change(&pipe_, &cut, 0);
    say("x");
    ck_assert_int_eq(pull(0), WAN_PULL_TIME);
    ck_assert_int_eq(wan_pipe_depart_ns(&pipe_), WAN_NEVER);
    wan_pipe_change(&pipe_, &whole, 1000 * MS);
    ck_assert_int_eq(pull(1000 * MS), WAN_PULL_INPUT);
    wan_pipe_change(&pipe_, &cut, 1001 * MS);
    shutdown(in[0], SHUT_WR);
    ck_assert_int_eq(pull(1002 * MS), WAN_PULL_ENDED);
    ck_assert_int_eq(push(2000 * MS), WAN_PUSH_TIME);
    heard("x");
    ck_assert_int_eq(wan_pipe_arrive_ns(&pipe_), WAN_NEVER);
    wan_pipe_change(&pipe_, &whole, 3000 * MS);
    ck_assert_int_eq(wan_pipe_arrive_ns(&pipe_), 3050 * MS);
    ck_assert_int_eq(push(3050 * MS), WAN_PUSH_FIN);
}
END_TEST

START_TEST(the_end_of_a_loss_brings_what_is_under_way)
{
    const struct wan_path whole = {.there_ns = 50 * MS, .back_ns = 50 * MS},
                          bad = {.there_ns = 50 * MS, .back_ns = 50 * MS, .loss = 0.9};
    begin(50 * MS);
    for (uint64_t seed = 1; wan_pipe_arrive_ns(&pipe_) < 10000 * MS || !pipe_.first; seed++) {
        wan_pipe_fini(&pipe_);
        wan_pipe_init(&pipe_, &budget, &bad, NULL, seed);
        say("x");
        ck_assert_int_eq(pull(0), WAN_PULL_INPUT);
    }
    shutdown(in[0], SHUT_WR);
    ck_assert_int_eq(pull(10 * MS), WAN_PULL_ENDED);
    wan_pipe_change(&pipe_, &whole, 2000 * MS);
    ck_assert_int_eq(wan_pipe_arrive_ns(&pipe_), 2450 * MS); /* the try after 2400 ms */
    ck_assert_int_eq(push(2450 * MS), WAN_PUSH_FIN);
    heard("x");
}
END_TEST

/* Fills the sender's socket, as long as it takes. */
static size_t fill(void)
{
    char bytes[65536];
    memset(bytes, 'y', sizeof(bytes));
    size_t n = 0;
    for (ssize_t k; (k = write(in[0], bytes, sizeof(bytes))) > 0;) {
        n += (size_t)k;
    }
    return n;
}

START_TEST(no_more_leaves_than_a_window)
{
    begin(50 * MS);
    size_t there = fill();
    ck_assert_uint_gt(there, WAN_INITIAL_WINDOW);
    ck_assert_int_eq(pull(0), WAN_PULL_TIME);
    ck_assert_uint_eq(pipe_.queued, WAN_INITIAL_WINDOW);
    ck_assert_int_eq(wan_pipe_depart_ns(&pipe_), 100 * MS);
    ck_assert_int_eq(push(50 * MS), WAN_PUSH_IDLE);
    ck_assert_int_eq(pull(100 * MS), WAN_PULL_TIME);
    ck_assert_uint_eq(pipe_.queued, 2 * WAN_INITIAL_WINDOW);
}
END_TEST

START_TEST(a_full_budget_shrinks_windows_but_stops_nobody)
{
    begin(50 * MS);
    fill();
    budget.used = LIMIT - 8 * WAN_MSS * 3;
    ck_assert_int_eq(pull(0), WAN_PULL_ROOM);
    ck_assert_uint_le(pipe_.queued, 3 * WAN_MSS);
    ck_assert_uint_gt(pipe_.queued, 0);
    ck_assert_int_eq(push(50 * MS), WAN_PUSH_IDLE);
    budget.used = LIMIT;
    ck_assert_int_eq(pull(60 * MS), WAN_PULL_ROOM);
    ck_assert_uint_eq(pipe_.queued, WAN_MSS);
    ck_assert_int_eq(push(110 * MS), WAN_PUSH_IDLE);
    budget.used = 0;
}
END_TEST

START_TEST(what_takes_no_time_goes_straight_on)
{
    begin(0);
    ck_assert(pipe_.direct);
    say("abc");
    ck_assert_int_eq(wan_pipe_copy(&pipe_, in[1], &early, out[1]), WAN_PULL_INPUT);
    heard("abc");
    ck_assert_uint_eq(pipe_.queued, 0);
    size_t sent = 0, got = 0;
    char bytes[65536];
    for (unsigned round = 0; round < 200; round++) { /* the reader is slow: nothing is lost, little is kept */
        sent += fill();
        enum wan_pull result = wan_pipe_copy(&pipe_, in[1], &early, out[1]);
        ck_assert(result == WAN_PULL_INPUT || result == WAN_PULL_ROOM);
        ck_assert_uint_le(pipe_.queued, WAN_PIPE_SCRATCH);
        if (round % 3 == 0) {
            push(0);
            for (ssize_t n; (n = read(out[0], bytes, sizeof(bytes))) > 0;) {
                got += (size_t)n;
            }
        }
    }
    shutdown(in[0], SHUT_WR);
    for (enum wan_push p = WAN_PUSH_IDLE; p != WAN_PUSH_FIN; p = push(0)) {
        if (pipe_.end == WAN_PIPE_OPEN) {
            (void)wan_pipe_copy(&pipe_, in[1], &early, out[1]);
        }
        for (ssize_t n; (n = read(out[0], bytes, sizeof(bytes))) > 0;) {
            got += (size_t)n;
        }
    }
    for (ssize_t n; (n = read(out[0], bytes, sizeof(bytes))) > 0;) {
        got += (size_t)n;
    }
    ck_assert_uint_eq(got, sent);
    ck_assert_uint_eq(pipe_.delivered, sent + 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wan pipe");
    TCase *tcase = tcase_create("pipe");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, bytes_arrive_half_a_round_trip_later);
    tcase_add_test(tcase, early_bytes_come_first);
    tcase_add_test(tcase, an_end_comes_after_the_bytes);
    tcase_add_test(tcase, a_reset_comes_after_what_was_sent_before);
    tcase_add_test(tcase, a_cut_holds_bytes_and_ends);
    tcase_add_test(tcase, the_end_of_a_loss_brings_what_is_under_way);
    tcase_add_test(tcase, no_more_leaves_than_a_window);
    tcase_add_test(tcase, a_full_budget_shrinks_windows_but_stops_nobody);
    tcase_add_test(tcase, what_takes_no_time_goes_straight_on);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
