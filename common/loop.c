/* loop: timers are a heap of pointers into the caller's structs, so each can be stopped at once, in
 * its own callback too. Messages of other threads are a list that is taken whole: what they post
 * themselves runs in the next turn, and none can keep a turn from ending. */
#include "common/loop.h"

#include "common/clock.h"
#include "common/mem.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/banned.h"

#define EVENTS_A_TURN 256
#define EVENTS_BETWEEN_TIMERS 16 /* then the clock is read: what is due does not wait for all of the turn */
#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

struct message {
    struct message *next;
    void (*call)(void *arg);
    void *arg;
};

struct loop {
    int epoll_fd;
    struct loop_fd wake; /* an eventfd: a message was posted, or stop */
    atomic_bool stopped;
    bool in_turn;
    bool in_timers;
    bool no_ns_wait; /* the kernel has no epoll_pwait2 */
    int64_t mono_ns;
    int64_t now_ms;

    struct epoll_event events[EVENTS_A_TURN];
    int event_count; /* of this turn */
    int event_at;

    struct loop_timer **heap; /* 1-based, least due first */
    uint32_t timers;
    uint32_t heap_room;

    struct loop_deferred *first_deferred;
    struct loop_deferred **last_deferred;

    pthread_mutex_t messages_lock; /* guards the two below */
    struct message *first_message;
    struct message **last_message;
    atomic_bool has_messages; /* so that a turn without any takes no lock */
};

static void refresh_times(struct loop *loop)
{
    loop->mono_ns = cdn_clock_mono_ns();
    loop->now_ms = cdn_clock_now_ms();
}

static void clear_wake(struct loop_fd *self, uint32_t events)
{
    (void)events;
    uint64_t count;
    ssize_t n = read(self->fd, &count, sizeof(count));
    (void)n;
}

static void wake(struct loop *loop)
{
    uint64_t one = 1;
    ssize_t n = write(loop->wake.fd, &one, sizeof(one)); /* full means: already awake */
    (void)n;
}

enum cdn_status loop_create(struct loop **ret, struct cdn_error *err)
{
    struct loop *loop = cdn_calloc(1, sizeof(*loop));
    atomic_init(&loop->stopped, false);
    atomic_init(&loop->has_messages, false);
    pthread_mutex_init(&loop->messages_lock, NULL);
    loop->last_message = &loop->first_message;
    loop->last_deferred = &loop->first_deferred;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = (struct loop_fd){
        .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .events = EPOLLIN, .ready = clear_wake};
    refresh_times(loop);
    enum cdn_status status = CDN_OK;
    if (loop->epoll_fd < 0 || loop->wake.fd < 0) {
        status = cdn_error_set(err, CDN_IO, "cannot create an event loop: %s", strerror(errno));
    } else {
        status = loop_fd_add(loop, &loop->wake, err);
    }
    if (status != CDN_OK) {
        loop_destroy(loop);
        return status;
    }
    *ret = loop;
    return CDN_OK;
}

/* Takes what has been posted so far and runs it; what these post themselves stays for the next time. */
static bool run_messages(struct loop *loop)
{
    if (!atomic_load_explicit(&loop->has_messages, memory_order_acquire)) {
        return false;
    }
    pthread_mutex_lock(&loop->messages_lock);
    atomic_store_explicit(&loop->has_messages, false, memory_order_relaxed);
    struct message *m = loop->first_message;
    loop->first_message = NULL;
    loop->last_message = &loop->first_message;
    pthread_mutex_unlock(&loop->messages_lock);
    bool any = m != NULL;
    while (m) {
        struct message *next = m->next;
        m->call(m->arg);
        free(m);
        m = next;
    }
    return any;
}

void loop_destroy(struct loop *loop)
{
    if (!loop) {
        return;
    }
    while (run_messages(loop)) {
    }
    if (loop->wake.fd >= 0) {
        close(loop->wake.fd);
    }
    if (loop->epoll_fd >= 0) {
        close(loop->epoll_fd);
    }
    pthread_mutex_destroy(&loop->messages_lock);
    free(loop->heap);
    free(loop);
}

int64_t loop_mono_ns(const struct loop *loop)
{
    return loop->mono_ns;
}

int64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

/* ---- descriptors ---- */

enum cdn_status loop_fd_add(struct loop *loop, struct loop_fd *watch, struct cdn_error *err)
{
    struct epoll_event event = {.events = watch->events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) != 0) {
        return cdn_error_set(err, CDN_IO, "cannot watch descriptor %d: %s", watch->fd, strerror(errno));
    }
    return CDN_OK;
}

void loop_fd_change(struct loop *loop, struct loop_fd *watch, uint32_t events)
{
    if (watch->events == events) {
        return;
    }
    watch->events = events;
    struct epoll_event event = {.events = events, .data.ptr = watch};
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
}

void loop_fd_remove(struct loop *loop, struct loop_fd *watch)
{
    /* the owner may have closed it already, then the kernel has removed it and this fails */
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    for (int i = loop->event_at; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == watch) {
            loop->events[i].data.ptr = NULL;
        }
    }
}

/* ---- timers ---- */

static void heap_put(struct loop *loop, uint32_t at, struct loop_timer *timer)
{
    loop->heap[at] = timer;
    timer->heap_index = at;
}

/* Moves `timer` from the hole `at` to where it belongs. */
static void heap_settle(struct loop *loop, uint32_t at, struct loop_timer *timer)
{
    while (at > 1 && loop->heap[at / 2]->due_ns > timer->due_ns) {
        heap_put(loop, at, loop->heap[at / 2]);
        at /= 2;
    }
    for (;;) {
        uint32_t child = at * 2;
        if (child > loop->timers) {
            break;
        }
        if (child < loop->timers && loop->heap[child + 1]->due_ns < loop->heap[child]->due_ns) {
            child++;
        }
        if (loop->heap[child]->due_ns >= timer->due_ns) {
            break;
        }
        heap_put(loop, at, loop->heap[child]);
        at = child;
    }
    heap_put(loop, at, timer);
}

void loop_timer_start_at(struct loop *loop, struct loop_timer *timer, int64_t due_ns)
{
    /* one that restarts itself as already due must not keep the descriptors waiting: it fires in the next
     * turn */
    timer->due_ns = loop->in_timers && due_ns <= loop->mono_ns ? loop->mono_ns + 1 : due_ns;
    if (!timer->heap_index) {
        if (loop->timers + 1 >= loop->heap_room) {
            loop->heap_room = loop->heap_room ? loop->heap_room * 2 : 64;
            loop->heap = cdn_realloc(loop->heap, loop->heap_room, sizeof(struct loop_timer *));
        }
        timer->heap_index = ++loop->timers;
    }
    heap_settle(loop, timer->heap_index, timer);
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, int64_t after_ns)
{
    loop_timer_start_at(loop, timer, loop->mono_ns + after_ns);
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    uint32_t at = timer->heap_index;
    if (!at) {
        return;
    }
    timer->heap_index = 0;
    struct loop_timer *last = loop->heap[loop->timers--];
    if (last != timer) {
        heap_settle(loop, at, last);
    }
}

/* Timers started by these with a due time already past wait for the next turn: `until` is fixed, and a timer
 * due at this very instant that restarts itself must not keep the descriptors waiting. */
static void run_timers(struct loop *loop)
{
    int64_t until = loop->mono_ns;
    uint32_t most = loop->timers;
    loop->in_timers = true;
    while (most-- && loop->timers && loop->heap[1]->due_ns <= until) {
        struct loop_timer *timer = loop->heap[1];
        loop_timer_stop(loop, timer);
        timer->fire(timer);
    }
    loop->in_timers = false;
}

/* ---- deferred calls and messages ---- */

void loop_defer(struct loop *loop, struct loop_deferred *d)
{
    if (d->queued) {
        return;
    }
    d->queued = true;
    d->next = NULL;
    *loop->last_deferred = d;
    loop->last_deferred = &d->next;
}

void loop_defer_cancel(struct loop *loop, struct loop_deferred *d)
{
    if (!d->queued) {
        return;
    }
    d->queued = false;
    struct loop_deferred **at = &loop->first_deferred;
    while (*at != d) {
        at = &(*at)->next;
    }
    *at = d->next;
    if (loop->last_deferred == &d->next) {
        loop->last_deferred = at;
    }
}

static void run_deferred(struct loop *loop)
{
    while (loop->first_deferred) {
        struct loop_deferred *d = loop->first_deferred;
        loop_defer_cancel(loop, d);
        d->call(d);
    }
}

void loop_post(struct loop *loop, void (*call)(void *arg), void *arg)
{
    struct message *m = cdn_malloc(sizeof(*m));
    *m = (struct message){.call = call, .arg = arg};
    pthread_mutex_lock(&loop->messages_lock);
    bool first = loop->first_message == NULL;
    *loop->last_message = m;
    loop->last_message = &m->next;
    /* inside the lock: the loop may be destroyed as soon as the message has run */
    if (first) {
        atomic_store_explicit(&loop->has_messages, true, memory_order_release);
        wake(loop);
    }
    pthread_mutex_unlock(&loop->messages_lock);
}

/* ---- the turn ---- */

/* Nanoseconds to wait, -1 for ever. */
static int64_t wait_ns(const struct loop *loop, int max_wait_ms)
{
    if (loop->first_deferred) {
        return 0;
    }
    int64_t wait = max_wait_ms < 0 ? -1 : max_wait_ms * NS_PER_MS;
    if (wait != 0 && loop->timers) {
        int64_t left = loop->heap[1]->due_ns - loop->mono_ns;
        if (left > 0) { /* the cached time may be old by now */
            left = loop->heap[1]->due_ns - cdn_clock_mono_ns();
        }
        left = left > 0 ? left : 0;
        wait = wait < 0 || left < wait ? left : wait;
    }
    return wait;
}

static int wait_for_events(struct loop *loop, int64_t ns)
{
    if (ns > 0 && !loop->no_ns_wait) {
        struct timespec limit = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
        int n = epoll_pwait2(loop->epoll_fd, loop->events, EVENTS_A_TURN, &limit, NULL);
        if (n >= 0 || errno != ENOSYS) {
            return n;
        }
        loop->no_ns_wait = true;
    }
    int64_t ms = ns <= 0 ? ns : (ns + NS_PER_MS - 1) / NS_PER_MS;
    return epoll_wait(loop->epoll_fd, loop->events, EVENTS_A_TURN, ms > 60000 ? 60000 : (int)ms);
}

static void run_events(struct loop *loop, int n)
{
    loop->event_count = n;
    for (loop->event_at = 0; loop->event_at < loop->event_count;) {
        struct epoll_event event = loop->events[loop->event_at++];
        struct loop_fd *watch = event.data.ptr;
        if (watch) {
            watch->ready(watch, event.events);
        }
        if (loop->event_at % EVENTS_BETWEEN_TIMERS == 0 && loop->timers &&
            loop->heap[1]->due_ns <= cdn_clock_mono_ns()) {
            refresh_times(loop);
            run_timers(loop);
        }
    }
    loop->event_count = 0;
}

bool loop_turn(struct loop *loop, int max_wait_ms)
{
    assert(!loop->in_turn);
    if (atomic_load_explicit(&loop->stopped, memory_order_acquire)) {
        return false;
    }
    loop->in_turn = true;
    int n = wait_for_events(loop, wait_ns(loop, max_wait_ms));
    refresh_times(loop);
    run_events(loop, n);
    run_timers(loop);
    run_messages(loop);
    run_deferred(loop);
    loop->in_turn = false;
    return !atomic_load_explicit(&loop->stopped, memory_order_acquire);
}

void loop_run(struct loop *loop)
{
    while (loop_turn(loop, -1)) {
    }
}

void loop_stop(struct loop *loop)
{
    atomic_store_explicit(&loop->stopped, true, memory_order_release);
    wake(loop);
}
