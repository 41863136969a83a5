/* loop: one event loop per thread.
 *
 * It waits (epoll) for descriptors, timers and messages. libmicrohttpd's epoll descriptor and libcurl's
 * sockets are ordinary descriptors here, so a fetch and its waiters live on one thread and need no lock
 * between them. libmicrohttpd's own thread is not used, because it goes to sleep with the requests in hand
 * when exactly 128 connections are ready.
 *
 * Ownership: everything but loop_post and loop_stop is called on the loop's own thread (or before it runs).
 * A turn: wait -> refresh the cached times -> descriptors -> due timers -> messages -> deferred calls (until
 * none). After every 16 descriptors timers that are due by then fire, too: with hundreds of ready ones a turn
 * takes milliseconds. Life cycle: create -> (add descriptors, timers) -> run -> stop -> destroy.
 */
#ifndef CDN_COMMON_LOOP_H
#define CDN_COMMON_LOOP_H
#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;

enum cdn_status loop_create(struct loop **ret, struct cdn_error *err) CDN_MUST_CHECK;
void loop_destroy(struct loop *loop);
void loop_run(struct loop *loop);  /* returns after loop_stop */
void loop_stop(struct loop *loop); /* any thread, and async-signal-safe */
/* One turn (for tests and draining); false once stopped. */
bool loop_turn(struct loop *loop, int max_wait_ms);

/* Times read at the beginning of a turn, and when timers fire within it: no system call. */
int64_t loop_mono_ns(const struct loop *loop);
int64_t loop_now_ms(const struct loop *loop); /* the cache clock */

/* Descriptors. The watcher is embedded in the owner's struct and must be removed before it goes. */
struct loop_fd {
    int fd;
    uint32_t events; /* EPOLLIN, EPOLLOUT */
    void (*ready)(struct loop_fd *self, uint32_t events);
};
enum cdn_status loop_fd_add(struct loop *loop, struct loop_fd *watch, struct cdn_error *err) CDN_MUST_CHECK;
void loop_fd_change(struct loop *loop, struct loop_fd *watch, uint32_t events);
void loop_fd_remove(struct loop *loop, struct loop_fd *watch); /* safe inside any callback of the same turn */

/* One-shot timers (a heap); embedded; zero-initialise. Starting a running timer moves it. */
struct loop_timer {
    int64_t due_ns;      /* monotonic */
    uint32_t heap_index; /* 0: not running */
    void (*fire)(struct loop_timer *self);
};
void loop_timer_start(struct loop *loop, struct loop_timer *timer, int64_t after_ns);
void loop_timer_start_at(struct loop *loop, struct loop_timer *timer, int64_t due_ns);
void loop_timer_stop(struct loop *loop, struct loop_timer *timer); /* also when not running */

/* Called at the end of this turn, once, however often it was
 * deferred meanwhile. Embedded; zero-initialise. */
struct loop_deferred {
    struct loop_deferred *next;
    bool queued;
    void (*call)(struct loop_deferred *self);
};
void loop_defer(struct loop *loop, struct loop_deferred *d);
void loop_defer_cancel(struct loop *loop, struct loop_deferred *d);

/* A message from any thread: call(arg) runs on the loop's thread, in the order of posting. Messages still
 * waiting when the loop is destroyed are run by loop_destroy, so that what they own is released. */
void loop_post(struct loop *loop, void (*call)(void *arg), void *arg);

#endif
