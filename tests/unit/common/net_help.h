/* net_help: raw sockets driven by the loop under test, so that a test is one thread and needs no sleep. */
#ifndef CDN_TESTS_NET_HELP_H
#define CDN_TESTS_NET_HELP_H
#include "common/clock.h"
#include "common/loop.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NET_LIMIT_MS 20000 /* a wait that takes longer has failed */

struct wire {
    int fd;
    struct cdn_buf in;
    bool ended; /* the peer closed */
    bool reset;
};

static inline struct wire wire_open(const struct cdn_addr *to)
{
    struct wire w = {.fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ck_assert_int_ge(w.fd, 0);
    ck_assert_msg(connect(w.fd, &to->sa, cdn_addr_len(to)) == 0, "connect: %s", strerror(errno));
    fcntl(w.fd, F_SETFL, O_NONBLOCK);
    return w;
}

static inline void wire_close(struct wire *w)
{
    if (w->fd >= 0) {
        close(w->fd);
    }
    w->fd = -1;
    cdn_buf_free(&w->in);
}

/* Everything, unless the peer has gone; the test's requests fit the socket's buffers. */
static inline void wire_send_bytes(struct wire *w, const char *bytes, size_t n)
{
    ssize_t sent = send(w->fd, bytes, n, MSG_NOSIGNAL);
    ck_assert(sent == (ssize_t)n || (sent < 0 && (errno == EPIPE || errno == ECONNRESET)));
}

static inline void wire_send(struct wire *w, const char *text)
{
    wire_send_bytes(w, text, strlen(text));
}

static inline void wire_read(struct wire *w)
{
    char block[65536];
    ssize_t n;
    while (!w->ended && (n = recv(w->fd, block, sizeof(block), 0)) >= 0) {
        cdn_buf_add(&w->in, block, (size_t)n);
        w->ended = n == 0;
    }
    if (!w->ended && errno != EAGAIN) {
        w->ended = w->reset = true;
    }
}

static inline bool wire_has(const struct wire *w, const char *text)
{
    return w->in.n && memmem(w->in.p, w->in.n, text, strlen(text)) != NULL;
}

static inline unsigned wire_count(const struct wire *w, const char *text)
{
    unsigned n = 0;
    const char *at = w->in.p;
    while (at && (at = memmem(at, w->in.n - (size_t)(at - w->in.p), text, strlen(text)))) {
        n++;
        at += strlen(text);
    }
    return n;
}

/* Turns the loop until `done(arg)`. */
static inline void turn_until(struct loop *loop, bool (*done)(void *arg), void *arg)
{
    int64_t limit = cdn_clock_mono_ms() + NET_LIMIT_MS;
    while (!done(arg)) {
        ck_assert_msg(cdn_clock_mono_ms() < limit, "nothing happened in time");
        loop_turn(loop, 1);
    }
}

static inline void turn_times(struct loop *loop, unsigned n)
{
    while (n--) {
        loop_turn(loop, 0);
    }
}

/* Until the peer's bytes contain `text` (true) or it closes. */
static inline bool wire_wait(struct loop *loop, struct wire *w, const char *text)
{
    int64_t limit = cdn_clock_mono_ms() + NET_LIMIT_MS;
    while (!wire_has(w, text) && !w->ended) {
        ck_assert_msg(cdn_clock_mono_ms() < limit, "'%s' did not come; got '%s'", text,
                      cdn_buf_str(&w->in).p);
        loop_turn(loop, 1);
        wire_read(w);
    }
    return wire_has(w, text);
}

static inline void wire_wait_count(struct loop *loop, struct wire *w, const char *text, unsigned n)
{
    int64_t limit = cdn_clock_mono_ms() + NET_LIMIT_MS;
    while (wire_count(w, text) < n && !w->ended) {
        ck_assert_msg(cdn_clock_mono_ms() < limit, "'%s' came %u times", text, wire_count(w, text));
        loop_turn(loop, 1);
        wire_read(w);
    }
    ck_assert_uint_eq(wire_count(w, text), n);
}

static inline void wire_wait_end(struct loop *loop, struct wire *w)
{
    int64_t limit = cdn_clock_mono_ms() + NET_LIMIT_MS;
    while (!w->ended) {
        ck_assert_msg(cdn_clock_mono_ms() < limit, "the peer did not close; got '%s'", cdn_buf_str(&w->in).p);
        loop_turn(loop, 1);
        wire_read(w);
    }
}

static inline struct loop *loop_new(void)
{
    struct loop *loop = NULL;
    ck_assert(loop_create(&loop, NULL) == CDN_OK);
    return loop;
}

static inline struct cdn_addr loopback(unsigned port)
{
    struct cdn_addr a;
    ck_assert(cdn_parse_host_port(CDN_STR("127.0.0.1:0"), &a));
    cdn_addr_set_port(&a, port);
    return a;
}

static inline int run_suite(const char *name, void (*fill)(TCase *all))
{
    Suite *suite = suite_create(name);
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 300);
    fill(all);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
