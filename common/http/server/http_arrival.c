/* Connections of proxies that say whose they are (PROXY protocol), until they have said it.
 *
 * libmicrohttpd knows a client's address from the socket alone, or from who adds the connection. So with
 * `proxy_protocol` the listener is ours: a stranger's connection is added at once, one of a proxy that may
 * announce its client waits here, costing this struct and its descriptor, until its first bytes are a header
 * or are none. They are looked at in the socket (MSG_PEEK), and the header's alone are taken out: what comes
 * next is for TLS or HTTP. With `no` none of this is used and libmicrohttpd accepts. */
#include "common/http/server/http_listen.h"
#include "common/http/server/http_problem.h"
#include "common/http/server/http_server.h"
#include "common/http/server/http_server_private.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/proxy_protocol.h"
#include "common/status.h"
#include "common/str.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)
#define ACCEPTS_A_TURN 64
#define ACCEPTS_AT_DRAIN 8192 /* more than the kernel's queue holds */
#define PAUSE_NS (100 * NS_PER_MS)

struct http_arrival {
    struct loop_fd watch;
    struct http_server *server;
    struct http_arrival *next, *previous; /* by arrival, so by their limit */
    int64_t since_ns;
    struct cdn_addr peer;
};

static void join(struct http_server *server, int fd, const struct cdn_addr *peer, struct http_arrival *a)
{
    struct http_arrivals *all = &server->arrivals;
    a->watch.fd = fd;
    a->server = server;
    a->peer = *peer;
    a->since_ns = loop_mono_ns(server->loop);
    a->previous = all->last;
    *(all->last ? &all->last->next : &all->first) = a;
    all->last = a;
    http_count(&all->count, 1);
}

/* The socket is the caller's. */
static int leave(struct http_arrival *a)
{
    struct http_arrivals *all = &a->server->arrivals;
    *(a->previous ? &a->previous->next : &all->first) = a->next;
    *(a->next ? &a->next->previous : &all->last) = a->previous;
    http_count(&all->count, -1u);
    loop_fd_remove(a->server->loop, &a->watch);
    const int fd = a->watch.fd;
    free(a);
    return fd;
}

/* ---- out of here ---- */

static void hand_over(struct http_server *server, int fd, const struct cdn_addr *client, bool secure)
{
    server->arrivals.secure = secure; /* for open_peer() in http_peer.c, which this calls */
    (void)MHD_add_connection(server->daemon, fd, &client->sa, cdn_addr_len(client)); /* else it is closed */
    server->arrivals.secure = false;
    loop_defer(server->loop, &server->work);
}

static void note(struct http_server *server, const struct cdn_addr *peer, enum proxy_refusal why)
{
    if (server->config.announced) {
        server->config.announced(server->config.handler_self, why == PROXY_FINE);
    }
    unsigned left_out;
    if (why && http_may_log(server, &left_out)) {
        char client[CDN_ADDR_TEXT_SIZE];
        cdn_addr_format(peer, client);
        cdn_log(CDN_LOG_INFO, "proxy_header_refused", "peer=%s reason=%s text=%s left_out=%u", client,
                proxy_refusal_word(why), proxy_refusal_text(why), left_out);
    }
}

/* For a person who wonders; who speaks TLS would not understand it. */
static void write_refusal(int fd, enum proxy_refusal why)
{
    CDN_AUTOBUF struct cdn_buf detail = {0};
    CDN_AUTOBUF struct cdn_buf answer = {0};
    cdn_buf_printf(&detail, "The PROXY protocol header of this connection is refused: %s.",
                   proxy_refusal_text(why));
    http_problem_answer(400, detail.p, &answer);
    (void)!send(fd, answer.p, answer.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
}

static void refuse(struct http_arrival *a, enum proxy_refusal why)
{
    struct http_server *server = a->server;
    note(server, &a->peer, why);
    const int fd = leave(a);
    if (server->config.tls || why == PROXY_REFUSE_CLOSED || server->stopping) {
        close(fd);
        return;
    }
    write_refusal(fd, why);
    http_linger_keep(server, fd);
}

/* ---- the first bytes ---- */

static void announce(struct http_arrival *a, const struct proxy_header *h, char *bytes)
{
    struct http_server *server = a->server;
    const struct cdn_addr client = h->local ? a->peer : h->source;
    if (recv(a->watch.fd, bytes, h->length, MSG_DONTWAIT) != (ssize_t)h->length) { /* seen a moment ago */
        refuse(a, PROXY_REFUSE_CLOSED);
        return;
    }
    note(server, &a->peer, PROXY_FINE);
    hand_over(server, leave(a), &client, h->secure);
}

static void give_as_it_is(struct http_arrival *a)
{
    struct http_server *server = a->server;
    const struct cdn_addr peer = a->peer;
    hand_over(server, leave(a), &peer, false);
}

/* `late`: it has had its time; `ended`: no more will come. */
static void look(struct http_arrival *a, bool ended, bool late)
{
    const bool optional = a->server->config.proxy_protocol == HTTP_PROXY_PROTOCOL_OPTIONAL;
    char bytes[PROXY_HEADER_MAX];
    struct proxy_header h;
    enum proxy_refusal why = late ? PROXY_REFUSE_TIMEOUT : PROXY_REFUSE_CLOSED;
    const ssize_t n = recv(a->watch.fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
    const bool silent = n < 0 && errno == EAGAIN;
    if (n == 0 || (n < 0 && !silent)) { /* left without a word, as those do who see whether a port is open */
        close(leave(a));
        return;
    }
    if (silent && late && optional) { /* the idle time-out is for such */
        give_as_it_is(a);
        return;
    }
    switch (proxy_header_read(bytes, silent ? 0 : (size_t)n, &h, &why)) {
    case PROXY_HEADER:
        announce(a, &h, bytes);
        return;
    case PROXY_MORE:
        if (ended || late) {
            refuse(a, why);
        }
        return;
    case PROXY_NONE:
        if (optional) {
            give_as_it_is(a);
            return;
        }
        refuse(a, why);
        return;
    case PROXY_BAD:
        refuse(a, why);
        return;
    }
}

static void moved(struct loop_fd *watch, uint32_t events)
{
    look(CDN_CONTAINER_OF(watch, struct http_arrival, watch), events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR),
         false);
}

static void limit_fired(struct loop_timer *timer)
{
    struct http_server *server = CDN_CONTAINER_OF(timer, struct http_server, arrivals.limit);
    const int64_t limit = server->config.head_timeout_ms * NS_PER_MS;
    const int64_t now = loop_mono_ns(server->loop);
    while (server->arrivals.first && now - server->arrivals.first->since_ns >= limit) {
        look(server->arrivals.first, false, true);
    }
    if (server->arrivals.first) {
        loop_timer_start_at(server->loop, timer, server->arrivals.first->since_ns + limit);
    }
}

/* ---- in ---- */

static void arrive(struct http_server *server, int fd, const struct cdn_addr *peer)
{
    struct http_arrivals *all = &server->arrivals;
    struct http_arrival *a = cdn_calloc(1, sizeof(*a));
    a->watch = (struct loop_fd){.events = EPOLLIN | EPOLLRDHUP | (uint32_t)EPOLLET, .ready = moved};
    join(server, fd, peer, a);
    if (loop_fd_add(server->loop, &a->watch, NULL) != CDN_OK) {
        close(leave(a));
        return;
    }
    if (!all->limit.heap_index) {
        loop_timer_start(server->loop, &all->limit, server->config.head_timeout_ms * NS_PER_MS);
    }
    if (http_server_is_full(server)) { /* who has waited longest makes room, as among idle connections */
        if (all->first != a) {
            close(leave(all->first));
        } else {
            (void)http_peer_make_room(server);
        }
    }
}

static bool is_at_the_end(const struct http_server *server)
{
    const unsigned most = server->config.max_connections;
    return http_server_open_connections(server) >= most + http_server_spare(most);
}

static void pause_listening(struct http_server *server)
{
    loop_fd_change(server->loop, &server->arrivals.listen, 0);
    loop_timer_start(server->loop, &server->arrivals.pause, PAUSE_NS);
}

/* False: no more can be accepted for now. */
static bool accept_one(struct http_server *server)
{
    struct cdn_addr peer = {0};
    socklen_t n = sizeof(peer);
    if (is_at_the_end(server)) {
        pause_listening(server);
        return false;
    }
    const int fd = accept4(server->listener.fd, &peer.sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_listening(server);
        }
        return errno == ECONNABORTED || errno == EINTR;
    }
    if (server->config.proxy_protocol != HTTP_PROXY_PROTOCOL_NO &&
        server->config.is_proxy(server->config.handler_self, &peer)) {
        arrive(server, fd, &peer);
    } else {
        hand_over(server, fd, &peer, false);
    }
    return true;
}

static void knocked(struct loop_fd *self, uint32_t events)
{
    (void)events;
    struct http_server *server = CDN_CONTAINER_OF(self, struct http_server, arrivals.listen);
    for (int i = 0; i < ACCEPTS_A_TURN && accept_one(server); i++) {
    }
}

static void pause_over(struct loop_timer *timer)
{
    struct http_server *server = CDN_CONTAINER_OF(timer, struct http_server, arrivals.pause);
    loop_fd_change(server->loop, &server->arrivals.listen, EPOLLIN);
}

/* ---- life ---- */

enum cdn_status http_arrivals_start(struct http_server *server, struct cdn_error *err)
{
    struct http_arrivals *all = &server->arrivals;
    all->ours = true;
    all->limit.fire = limit_fired;
    all->pause.fire = pause_over;
    all->listen = (struct loop_fd){.fd = server->listener.fd, .events = EPOLLIN, .ready = knocked};
    return loop_fd_add(server->loop, &all->listen, err);
}

static void stop_listening(struct http_server *server)
{
    if (server->listener.fd >= 0) {
        loop_timer_stop(server->loop, &server->arrivals.pause);
        loop_fd_remove(server->loop, &server->arrivals.listen);
        close(server->listener.fd);
        server->listener.fd = -1;
    }
}

static void close_all(struct http_server *server)
{
    for (struct http_arrival *a = server->arrivals.first, *next; a; a = next) {
        next = a->next;
        close(leave(a));
    }
}

void http_arrivals_drain(struct http_server *server)
{
    for (int i = 0; i < ACCEPTS_AT_DRAIN && accept_one(server); i++) {
    }
    stop_listening(server);
    for (struct http_arrival *a = server->arrivals.first, *next; a; a = next) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): whom leave() freed is in no list any more
        next = a->next;
        look(a, false, false);
    }
    close_all(server); /* those that have not begun, or not to their end */
    loop_timer_stop(server->loop, &server->arrivals.limit);
}

void http_arrivals_end(struct http_server *server)
{
    stop_listening(server);
    close_all(server);
    loop_timer_stop(server->loop, &server->arrivals.limit);
}
