/* dns_tcp: one thread for all connections, each with a timer. A client that leaves answers unread
 * is not read from any more, so that they do not pile up here. */
#include "router/dns/dns_tcp.h"

#include "common/clock.h"
#include "common/daemon/metrics.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "router/dns/dns_feed.h"
#include "router/dns/dns_metrics.h"

#include <errno.h>
#include <libknot/libknot.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define PREFIX 2           /* bytes of the length in front of each message (RFC 1035 section 4.2.2) */
#define READ_SIZE 8192     /* bytes a read */
#define UNREAD_MAX 131072  /* bytes of answers that a client may leave unread before no more is read of it */
#define ACCEPT_BATCH 64    /* connections taken in a turn */
#define RETRY_NS 100000000 /* pause when no further descriptor is to be had */
#define NS_PER_MS 1000000

struct conn {
    struct loop_fd watch;
    struct loop_timer timer;
    struct dns_tcp *tcp;
    struct conn *before, *behind; /* by the time of the last query: the first is the longest idle */
    struct cdn_addr peer;
    struct cdn_buf in, out;
    size_t sent;   /* bytes of `out` */
    bool finished; /* the client sends no more */
};

struct dns_tcp {
    _Alignas(64) struct dns_metrics metrics;
    struct dns_feed feed;
    struct dns_responder responder;
    struct dns_tcp_config config;
    struct loop *loop;
    struct loop_fd listener;
    struct loop_timer retry;
    struct conn *first, *last;
    unsigned count;
    bool running;
    pthread_t thread;
    uint8_t message[DNS_MESSAGE_MAX], answer[DNS_MESSAGE_MAX];
};

/* ---- the list of connections ---- */

static void list_remove(struct conn *c)
{
    struct dns_tcp *t = c->tcp;
    *(c->before ? &c->before->behind : &t->first) = c->behind;
    *(c->behind ? &c->behind->before : &t->last) = c->before;
}

static void list_append(struct conn *c)
{
    struct dns_tcp *t = c->tcp;
    c->before = t->last;
    c->behind = NULL;
    *(t->last ? &t->last->behind : &t->first) = c;
    t->last = c;
}

static void timer_start(struct conn *c)
{
    loop_timer_start(c->tcp->loop, &c->timer, c->tcp->config.timeout_ms * NS_PER_MS);
}

static void conn_close(struct conn *c)
{
    struct dns_tcp *t = c->tcp;
    loop_fd_remove(t->loop, &c->watch);
    loop_timer_stop(t->loop, &c->timer);
    list_remove(c);
    close(c->watch.fd);
    cdn_buf_free(&c->in);
    cdn_buf_free(&c->out);
    free(c);
    t->count--;
    cdn_metric_set(&t->metrics.dns_tcp_open, t->count);
}

/* ---- messages ---- */

static void answer_one(struct conn *c, const uint8_t *message, size_t n)
{
    struct dns_tcp *t = c->tcp;
    const struct dns_asker asker = {.client = c->peer,
                                    .tcp = true,
                                    .now_s = cdn_clock_real_ms() / 1000,
                                    .now_us = loop_mono_ns(t->loop) / 1000};
    memcpy(t->message, message, n);
    t->responder.zone = dns_feed_zone(&t->feed);
    size_t size = dns_answer(&t->responder, &asker, t->message, n, t->answer, sizeof(t->answer));
    if (size == 0) {
        return;
    }
    uint8_t prefix[PREFIX];
    knot_wire_write_u16(prefix, (uint16_t)size);
    cdn_buf_add(&c->out, prefix, PREFIX);
    cdn_buf_add(&c->out, t->answer, size);
}

static size_t unread(const struct conn *c)
{
    return c->out.n - c->sent;
}

/* Answers the whole messages that have come. False: the connection is to be closed. */
static bool answer_all(struct conn *c)
{
    size_t at = 0;
    while (c->in.n - at >= PREFIX && unread(c) < UNREAD_MAX) {
        const uint8_t *p = (const uint8_t *)c->in.p + at;
        size_t n = knot_wire_read_u16(p);
        if (n < KNOT_WIRE_HEADER_SIZE) {
            return false;
        }
        if (c->in.n - at - PREFIX < n) {
            break;
        }
        answer_one(c, p + PREFIX, n);
        at += PREFIX + n;
    }
    if (at > 0) {
        memmove(c->in.p, c->in.p + at, c->in.n - at);
        c->in.n -= at;
        list_remove(c);
        list_append(c);
        timer_start(c);
    }
    return true;
}

static bool send_some(struct conn *c)
{
    while (unread(c) > 0) {
        ssize_t n = send(c->watch.fd, c->out.p + c->sent, unread(c), MSG_NOSIGNAL);
        if (n < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        c->sent += (size_t)n;
        timer_start(c);
    }
    cdn_buf_clear(&c->out);
    c->sent = 0;
    return true;
}

/* False: the connection is broken. */
static bool read_some(struct conn *c)
{
    cdn_buf_reserve(&c->in, READ_SIZE);
    ssize_t n = recv(c->watch.fd, c->in.p + c->in.n, READ_SIZE, 0);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    c->in.n += (size_t)n;
    c->finished = n == 0;
    return true;
}

static void on_ready(struct loop_fd *watch, uint32_t events)
{
    struct conn *c = CDN_CONTAINER_OF(watch, struct conn, watch);
    if ((events & EPOLLERR) || (!c->finished && (watch->events & EPOLLIN) && !read_some(c))) {
        conn_close(c);
        return;
    }
    bool sound = true;
    size_t left;
    do { /* what is sent makes room for further answers */
        left = c->in.n;
        sound = answer_all(c) && send_some(c);
    } while (sound && unread(c) == 0 && c->in.n < left);
    if (!sound || (c->finished && unread(c) == 0)) {
        conn_close(c);
        return;
    }
    bool reads = !c->finished && unread(c) < UNREAD_MAX;
    loop_fd_change(c->tcp->loop, watch, (reads ? EPOLLIN : 0u) | (unread(c) > 0 ? EPOLLOUT : 0u));
}

static void on_timeout(struct loop_timer *timer)
{
    struct conn *c = CDN_CONTAINER_OF(timer, struct conn, timer);
    cdn_metric_add(&c->tcp->metrics.dns_tcp_timeout_total, 1);
    conn_close(c);
}

/* ---- connections ---- */

static void conn_open(struct dns_tcp *t, int fd, const struct cdn_addr *peer)
{
    struct conn *c = cdn_calloc(1, sizeof(*c));
    struct cdn_error err;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    c->tcp = t;
    c->peer = *peer;
    cdn_addr_unmap(&c->peer);
    c->timer.fire = on_timeout;
    c->watch = (struct loop_fd){.fd = fd, .events = EPOLLIN, .ready = on_ready};
    if (loop_fd_add(t->loop, &c->watch, &err) != CDN_OK) {
        close(fd);
        free(c);
        return;
    }
    list_append(c);
    timer_start(c);
    t->count++;
    cdn_metric_add(&t->metrics.dns_tcp_accepted_total, 1);
    cdn_metric_set(&t->metrics.dns_tcp_open, t->count);
}

static void displace_longest_idle(struct dns_tcp *t)
{
    cdn_metric_add(&t->metrics.dns_tcp_displaced_total, 1);
    conn_close(t->first);
}

static void on_retry(struct loop_timer *timer)
{
    struct dns_tcp *t = CDN_CONTAINER_OF(timer, struct dns_tcp, retry);
    loop_fd_change(t->loop, &t->listener, EPOLLIN);
}

static void on_accept(struct loop_fd *watch, uint32_t events)
{
    struct dns_tcp *t = CDN_CONTAINER_OF(watch, struct dns_tcp, listener);
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct cdn_addr peer = {0};
        socklen_t n = sizeof(peer);
        int fd = accept4(watch->fd, &peer.sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                loop_fd_change(t->loop, watch, 0);
                loop_timer_start(t->loop, &t->retry, RETRY_NS);
            }
            return;
        }
        if (t->count >= t->config.clients) {
            displace_longest_idle(t);
        }
        conn_open(t, fd, &peer);
    }
}

/* ---- life ---- */

enum cdn_status dns_tcp_create(const struct dns_tcp_config *config, const struct dns_responder *responder,
                               struct dns_tcp **ret, struct cdn_error *err)
{
    struct dns_tcp *t = cdn_aligned_calloc(_Alignof(struct dns_tcp), sizeof(*t));
    t->config = *config;
    t->responder = *responder;
    t->responder.metrics = &t->metrics;
    t->responder.keepalive_ds =
        (unsigned)(config->timeout_ms / 100 > UINT16_MAX ? UINT16_MAX : config->timeout_ms / 100);
    t->retry.fire = on_retry;
    t->listener = (struct loop_fd){.fd = config->fd, .events = EPOLLIN, .ready = on_accept};
    enum cdn_status status = loop_create(&t->loop, err);
    if (status == CDN_OK) {
        status = loop_fd_add(t->loop, &t->listener, err);
    }
    if (status != CDN_OK) {
        dns_tcp_destroy(t);
        return status;
    }
    *ret = t;
    return CDN_OK;
}

static void *run(void *arg)
{
    struct dns_tcp *t = arg;
    loop_run(t->loop);
    return NULL;
}

enum cdn_status dns_tcp_start(struct dns_tcp *tcp, struct cdn_error *err)
{
    int failed = pthread_create(&tcp->thread, NULL, run, tcp);
    tcp->running = !failed;
    return failed ? cdn_error_set(err, CDN_UNAVAILABLE, "cannot start a thread: %s", strerror(failed))
                  : CDN_OK;
}

struct dns_feed *dns_tcp_feed(struct dns_tcp *tcp)
{
    return &tcp->feed;
}

const struct dns_metrics *dns_tcp_metrics(const struct dns_tcp *tcp)
{
    return &tcp->metrics;
}

void dns_tcp_destroy(struct dns_tcp *tcp)
{
    if (!tcp) {
        return;
    }
    if (tcp->running) {
        loop_stop(tcp->loop);
        pthread_join(tcp->thread, NULL);
    }
    for (struct conn *c = tcp->first, *next; c; c = next) {
        next = c->behind;
        conn_close(c);
    }
    if (tcp->loop) {
        loop_timer_stop(tcp->loop, &tcp->retry);
        loop_destroy(tcp->loop);
    }
    dns_feed_fini(&tcp->feed);
    free(tcp);
}
