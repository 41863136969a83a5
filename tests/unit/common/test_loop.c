/* loop: the order of a turn, timers, deferred calls, descriptors removed under way, messages from threads. */
#include "common/clock.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "tests/unit/common/net_help.h"

#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MS INT64_C(1000000)

static char trace[256];

static void note(const char *what)
{
    cdn_str_copy(trace + strlen(trace), sizeof(trace) - strlen(trace), cdn_str(what));
}

struct named_timer {
    struct loop_timer timer;
    struct loop *loop;
    char name[2];
    int again;
};

static void timer_noted(struct loop_timer *timer)
{
    struct named_timer *t = (struct named_timer *)timer;
    note(t->name);
    if (t->again-- > 0) {
        loop_timer_start(t->loop, timer, 0);
    }
}

START_TEST(timers_fire_in_the_order_they_are_due)
{
    struct loop *loop = loop_new();
    struct named_timer t[200] = {0};
    static const char order[] = "hdcgbfea";
    trace[0] = '\0';
    for (int i = 0; i < 200; i++) { /* many more that are stopped again, to move the heap about */
        t[i].timer.fire = timer_noted;
        t[i].loop = loop;
        t[i].name[0] = i < 8 ? (char)('a' + i) : '!';
        loop_timer_start(loop, &t[i].timer, (i * 7919 % 200) * MS / 100);
    }
    for (int i = 8; i < 200; i++) {
        loop_timer_stop(loop, &t[i].timer);
        loop_timer_stop(loop, &t[i].timer);
    }
    for (int i = 0; i < 8; i++) {
        loop_timer_start(loop, &t[(unsigned char)order[i] - 'a'].timer, i * MS / 10);
    }
    while (strlen(trace) < 8) {
        ck_assert(loop_turn(loop, -1));
    }
    ck_assert_str_eq(trace, order);
    loop_destroy(loop);
}
END_TEST

START_TEST(a_timer_is_never_early)
{
    struct loop *loop = loop_new();
    struct named_timer t = {.timer.fire = timer_noted, .loop = loop, .name = "x"};
    trace[0] = '\0';
    int64_t start = cdn_clock_mono_ns();
    loop_timer_start_at(loop, &t.timer, start + 3 * MS / 2);
    while (!trace[0]) {
        loop_turn(loop, -1);
    }
    ck_assert_int_ge(cdn_clock_mono_ns(), start + 3 * MS / 2);
    loop_destroy(loop);
}
END_TEST

START_TEST(a_timer_that_restarts_itself_fires_once_a_turn)
{
    struct loop *loop = loop_new();
    struct named_timer t = {.timer.fire = timer_noted, .loop = loop, .name = "x", .again = 2};
    trace[0] = '\0';
    loop_timer_start(loop, &t.timer, 0);
    loop_turn(loop, -1);
    ck_assert_str_eq(trace, "x");
    loop_turn(loop, -1);
    loop_turn(loop, -1);
    ck_assert_str_eq(trace, "xxx");
    ck_assert_uint_eq(t.timer.heap_index, 0);
    loop_destroy(loop);
}
END_TEST

struct pair { /* two ready descriptors; the first to be called removes the other */
    struct loop_fd watch;
    struct loop *loop;
    struct pair *other;
};

static void remove_other(struct loop_fd *self, uint32_t events)
{
    (void)events;
    struct pair *p = (struct pair *)self;
    note("f");
    loop_fd_remove(p->loop, &p->other->watch);
}

START_TEST(a_descriptor_removed_in_the_turn_is_not_called)
{
    struct loop *loop = loop_new();
    struct pair p[2];
    for (int i = 0; i < 2; i++) {
        p[i] = (struct pair){{eventfd(1, EFD_CLOEXEC), EPOLLIN, remove_other}, loop, &p[1 - i]};
        ck_assert(loop_fd_add(loop, &p[i].watch, NULL) == CDN_OK);
    }
    trace[0] = '\0';
    loop_turn(loop, 0);
    ck_assert_str_eq(trace, "f");
    loop_destroy(loop);
    close(p[0].watch.fd);
    close(p[1].watch.fd);
}
END_TEST

/* ---- timers while many descriptors are ready ---- */

enum { MANY = 200 };

static struct many {
    struct loop_fd watch;
    struct loop *loop;
    struct loop_timer *to_start; /* when this one is called, due a little later */
} many[MANY];

static void ready_noted(struct loop_fd *self, uint32_t events)
{
    (void)events;
    struct many *m = (struct many *)self;
    note("f");
    if (m->to_start) {
        loop_timer_start(m->loop, CDN_TAKE(m->to_start), 0);
    }
}

static struct loop *loop_of_many(void)
{
    struct loop *loop = loop_new();
    trace[0] = '\0';
    for (int i = 0; i < MANY; i++) {
        many[i] = (struct many){{eventfd(1, EFD_CLOEXEC), EPOLLIN, ready_noted}, loop, NULL};
        ck_assert(loop_fd_add(loop, &many[i].watch, NULL) == CDN_OK);
    }
    return loop;
}

static void end_of_many(struct loop *loop)
{
    loop_destroy(loop);
    for (int i = 0; i < MANY; i++) {
        close(many[i].watch.fd);
    }
}

/* Where in the trace a letter stands for the n-th time; -1: it does not. */
static long place_of(char letter, int n)
{
    const char *at = trace;
    while ((at = strchr(at, letter)) && --n > 0) {
        at++;
    }
    return at ? at - trace : -1;
}

START_TEST(what_is_due_does_not_wait_for_all_descriptors)
{
    static const struct {
        int starts; /* at this descriptor */
        long place; /* the timer's in the trace */
    } rows[] = {{0, 16}, {15, 16}, {16, 32}, {100, 112}, {191, 192}, {192, 200}, {199, 200}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct loop *loop = loop_of_many();
        struct named_timer due = {.timer.fire = timer_noted, .loop = loop, .name = "t"};
        struct named_timer later = {.timer.fire = timer_noted, .loop = loop, .name = "!"};
        loop_timer_start(loop, &later.timer, 3600000 * MS);
        many[rows[i].starts].to_start = &due.timer;
        loop_turn(loop, 0);
        ck_assert_uint_eq(strlen(trace), MANY + 1);
        ck_assert_msg(place_of('t', 1) == rows[i].place, "row %zu: %s", i, trace);
        loop_timer_stop(loop, &later.timer);
        end_of_many(loop);
    }
}
END_TEST

/* Each look fires it once, and descriptors go on between. */
START_TEST(a_timer_that_restarts_itself_does_not_keep_descriptors_waiting)
{
    struct loop *loop = loop_of_many();
    struct named_timer t = {.timer.fire = timer_noted, .loop = loop, .name = "t", .again = 1000};
    loop_timer_start(loop, &t.timer, 0);
    loop_turn(loop, 0);
    for (int n = 1; n <= MANY / 16; n++) {
        ck_assert_msg(place_of('t', n) == 16 * n + n - 1, "%d: %s", n, trace);
    }
    ck_assert_uint_eq(strlen(trace), MANY + MANY / 16);
    loop_timer_stop(loop, &t.timer);
    end_of_many(loop);
}
END_TEST

static void rest_removed(struct loop_timer *self)
{
    struct named_timer *t = (struct named_timer *)self;
    note(t->name);
    for (int i = 0; i < MANY; i++) {
        loop_fd_remove(t->loop, &many[i].watch);
    }
}

START_TEST(a_timer_may_remove_descriptors_that_are_ready)
{
    struct loop *loop = loop_of_many();
    struct named_timer t = {.timer.fire = rest_removed, .loop = loop, .name = "t"};
    loop_timer_start(loop, &t.timer, 0);
    loop_turn(loop, 0);
    ck_assert_str_eq(trace, "fffffffffffffffft");
    loop_turn(loop, 0);
    ck_assert_uint_eq(strlen(trace), 17);
    end_of_many(loop);
}
END_TEST

struct named_deferred {
    struct loop_deferred d;
    struct loop *loop;
    struct loop_deferred *then;
    char name[2];
};

static void deferred_noted(struct loop_deferred *d)
{
    struct named_deferred *n = (struct named_deferred *)d;
    note(n->name);
    if (n->then) {
        loop_defer(n->loop, CDN_TAKE(n->then));
    }
}

START_TEST(deferred_calls_run_once_and_in_order)
{
    struct loop *loop = loop_new();
    struct named_deferred a = {{.call = deferred_noted}, loop, NULL, "a"};
    struct named_deferred b = {{.call = deferred_noted}, loop, &a.d, "b"};
    struct named_deferred c = {{.call = deferred_noted}, loop, NULL, "c"};
    struct named_deferred d = {{.call = deferred_noted}, loop, NULL, "d"};
    trace[0] = '\0';
    loop_defer(loop, &a.d);
    loop_defer(loop, &b.d);
    loop_defer(loop, &a.d);
    loop_defer(loop, &c.d);
    loop_defer(loop, &d.d);
    loop_defer_cancel(loop, &d.d);
    loop_defer_cancel(loop, &d.d);
    loop_turn(loop, -1); /* does not wait */
    ck_assert_str_eq(trace, "abca");
    loop_destroy(loop);
}
END_TEST

struct posts {
    struct loop *loop;
    pthread_t thread;
    unsigned sent;
    unsigned seen;
    bool disordered;
};

struct post {
    struct posts *of;
    unsigned number;
};

#define POSTS 5000u
#define POSTERS 4

static void post_arrived(void *arg)
{
    struct post *post = arg;
    post->of->disordered |= post->number != post->of->seen;
    post->of->seen++;
    free(post);
}

static void *post_many(void *arg)
{
    struct posts *p = arg;
    for (; p->sent < POSTS; p->sent++) {
        struct post *post = cdn_malloc(sizeof(*post));
        *post = (struct post){p, p->sent};
        loop_post(p->loop, post_arrived, post);
    }
    return NULL;
}

static bool all_arrived(void *arg)
{
    const struct posts *p = arg;
    for (int i = 0; i < POSTERS; i++) {
        if (p[i].seen < POSTS) {
            return false;
        }
    }
    return true;
}

START_TEST(messages_of_a_thread_arrive_in_order)
{
    struct loop *loop = loop_new();
    struct posts p[POSTERS] = {0};
    for (int i = 0; i < POSTERS; i++) {
        p[i].loop = loop;
        ck_assert_int_eq(pthread_create(&p[i].thread, NULL, post_many, &p[i]), 0);
    }
    turn_until(loop, all_arrived, p);
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(p[i].thread, NULL);
        ck_assert(!p[i].disordered);
    }
    loop_destroy(loop);
}
END_TEST

START_TEST(messages_left_over_run_when_the_loop_goes)
{
    struct loop *loop = loop_new();
    struct posts p = {.loop = loop};
    post_many(&p);
    loop_destroy(loop);
    ck_assert_uint_eq(p.seen, POSTS);
}
END_TEST

static void *stop_it(void *arg)
{
    loop_stop(arg);
    return NULL;
}

START_TEST(stop_from_another_thread_ends_the_run)
{
    struct loop *loop = loop_new();
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_it, loop), 0);
    loop_run(loop);
    ck_assert(!loop_turn(loop, 0));
    pthread_join(thread, NULL);
    loop_destroy(loop);
}
END_TEST

static void fill(TCase *all)
{
    tcase_add_test(all, timers_fire_in_the_order_they_are_due);
    tcase_add_test(all, a_timer_is_never_early);
    tcase_add_test(all, a_timer_that_restarts_itself_fires_once_a_turn);
    tcase_add_test(all, a_descriptor_removed_in_the_turn_is_not_called);
    tcase_add_test(all, what_is_due_does_not_wait_for_all_descriptors);
    tcase_add_test(all, a_timer_that_restarts_itself_does_not_keep_descriptors_waiting);
    tcase_add_test(all, a_timer_may_remove_descriptors_that_are_ready);
    tcase_add_test(all, deferred_calls_run_once_and_in_order);
    tcase_add_test(all, messages_of_a_thread_arrive_in_order);
    tcase_add_test(all, messages_left_over_run_when_the_loop_goes);
    tcase_add_test(all, stop_from_another_thread_ends_the_run);
}

int main(void)
{
    return run_suite("loop", fill);
}
