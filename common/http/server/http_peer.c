/* Connections: opened, ended by the client, closed.
 *
 * libmicrohttpd registers sockets edge-triggered and takes a read that was shorter than its buffer for the
 * last one. So when a client's end of the connection (FIN) comes together with data, the edge is used up by
 * the data and the end is never seen: the connection stays until the idle time-out. Each socket is therefore
 * watched on the loop as well, for its end only, and libmicrohttpd is woken: shutdown(SHUT_RD) makes a fresh
 * edge, whereupon it reads what is left, then the end, and closes when it waits for (more of) a request. A
 * client that has closed its sending half and waits for its answer gets it, because libmicrohttpd does not
 * read meanwhile. Whether such a client has closed altogether cannot be seen before something is sent to it;
 * one that has been reset (EPOLLHUP, EPOLLERR) can, and its request is broken off. */
#include "common/http/server/http_server.h"
#include "common/http/server/http_server_private.h"
#include "common/http/server/tls_set.h"
#include "common/http/syntax/http_frame.h"
#include "common/http/syntax/http_server_check.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S (1000 * NS_PER_MS)
#define LONGEST_BODY_S (UINT64_C(365) * 86400)
#define MOST_LOOK_NS (1000 * NS_PER_MS)

void http_peer_close(struct http_peer *peer)
{
    shutdown(http_socket_of(peer->connection), SHUT_RD);
}

void http_peer_cut(struct http_peer *peer)
{
    http_reset_socket(http_socket_of(peer->connection));
    if (peer->request && peer->request->_suspended_ns) {
        http_server_break_suspended(peer->request);
    }
}

/* ---- the idle ones, of which the oldest makes room ---- */

static void leave_idle(struct http_peer *peer)
{
    struct http_server *server = peer->server;
    if (peer->idle) {
        *(peer->idle_previous ? &peer->idle_previous->idle_next : &server->idle_first) = peer->idle_next;
        *(peer->idle_next ? &peer->idle_next->idle_previous : &server->idle_last) = peer->idle_previous;
        peer->idle = false;
    }
}

static void join_idle(struct http_peer *peer)
{
    struct http_server *server = peer->server;
    peer->idle = true;
    peer->idle_next = NULL;
    peer->idle_previous = server->idle_last;
    *(server->idle_last ? &server->idle_last->idle_next : &server->idle_first) = peer;
    server->idle_last = peer;
}

void http_peer_begin(struct http_peer *peer)
{
    leave_idle(peer);
}

void http_peer_end(struct http_peer *peer)
{
    if (!peer->idle) {
        join_idle(peer);
    }
}

static void close_idle(struct http_peer *peer)
{
    peer->displaced = true; /* a request of its may have come that was not read yet */
    leave_idle(peer);
    http_peer_close(peer);
}

/* Connections beyond the limit may be about to ask for /health: they go for one another only when there is no
 * room for more of them. */
bool http_peer_make_room(struct http_server *server)
{
    struct http_peer *oldest = server->idle_first;
    while (oldest && oldest->extra) {
        oldest = oldest->idle_next;
    }
    if (oldest) {
        close_idle(oldest);
    } else if (server->idle_first &&
               server->extra_peers + 1 >= http_server_spare(server->config.max_connections)) {
        close_idle(server->idle_first);
    }
    return oldest != NULL;
}

/* ---- time limits ---- */

static void leave_waiting(struct http_peer *peer)
{
    *(peer->wait_previous ? &peer->wait_previous->wait_next : &peer->server->waiting) = peer->wait_next;
    if (peer->wait_next) {
        peer->wait_next->wait_previous = peer->wait_previous;
    }
    peer->waiting = HTTP_WAIT_NOTHING;
}

static int64_t look_interval(const struct http_server *server)
{
    const struct http_server_config *config = &server->config;
    unsigned least =
        config->head_timeout_ms < config->body_timeout_ms ? config->head_timeout_ms : config->body_timeout_ms;
    int64_t quarter = least * NS_PER_MS / 4;
    return quarter < MOST_LOOK_NS ? quarter : MOST_LOOK_NS;
}

void http_peer_wait(struct http_peer *peer, enum http_wait what, bool restart)
{
    if (what == peer->waiting && !restart) {
        return;
    }
    struct http_server *server = peer->server;
    if (what == HTTP_WAIT_NOTHING) {
        leave_waiting(peer);
        return;
    }
    if (peer->waiting == HTTP_WAIT_NOTHING) {
        peer->wait_previous = NULL;
        peer->wait_next = server->waiting;
        if (peer->wait_next) {
            peer->wait_next->wait_previous = peer;
        }
        server->waiting = peer;
    }
    peer->waiting = what;
    peer->since_ns = loop_mono_ns(server->loop);
    if (!server->deadlines.heap_index) {
        server->looked_ns = peer->since_ns;
        loop_timer_start(server->loop, &server->deadlines, look_interval(server));
    }
}

static bool is_overdue(const struct http_peer *peer, int64_t now)
{
    const struct http_server_config *config = &peer->server->config;
    int64_t allowed = config->head_timeout_ms * NS_PER_MS;
    if (peer->waiting == HTTP_WAIT_BODY) {
        uint64_t took = peer->frame.body / config->body_rate;
        took = took < LONGEST_BODY_S ? took : LONGEST_BODY_S;
        allowed = config->body_timeout_ms * NS_PER_MS + (int64_t)took * NS_PER_S;
    }
    return now - peer->since_ns > allowed;
}

/* The time for which we do not read ourselves is not the client's. */
static bool is_held_back(const struct http_peer *peer)
{
    return peer->request && peer->request->_suspended_ns;
}

void http_peer_look(struct loop_timer *timer)
{
    struct http_server *server = CDN_CONTAINER_OF(timer, struct http_server, deadlines);
    int64_t now = loop_mono_ns(server->loop);
    for (struct http_peer *peer = server->waiting, *next; peer; peer = next) {
        next = peer->wait_next;
        if (is_held_back(peer)) {
            peer->since_ns += now - server->looked_ns;
        } else if (is_overdue(peer, now)) {
            peer->verdict = peer->waiting == HTTP_WAIT_HANDSHAKE ? HTTP_REFUSE_NONE : HTTP_REFUSE_TIMEOUT;
            leave_waiting(peer);
            http_peer_close(peer);
        }
    }
    server->looked_ns = now;
    if (server->waiting) {
        loop_timer_start(server->loop, timer, look_interval(server));
    }
}

/* ---- life ---- */

static void peer_ended(struct loop_fd *watch, uint32_t events)
{
    struct http_peer *peer = CDN_CONTAINER_OF(watch, struct http_peer, watch);
    if (!peer->ended) {
        peer->ended = true;
        http_peer_close(peer);
    }
    if (events & (EPOLLERR | EPOLLHUP) && peer->request && peer->request->_suspended_ns) {
        http_server_break_suspended(peer->request);
    }
}

static void open_peer(struct http_server *server, struct MHD_Connection *connection, void **context)
{
    struct http_peer *peer = cdn_calloc(1, sizeof(*peer));
    peer->server = server;
    peer->connection = connection;
    peer->client_secure = server->arrivals.secure;
    peer->next = server->peers;
    if (peer->next) {
        peer->next->previous = peer;
    }
    server->peers = peer;
    http_count(&server->open_peers, 1);
    *context = peer;
    peer->watch = (struct loop_fd){.fd = http_socket_of(peer->connection),
                                   .events = EPOLLRDHUP | (uint32_t)EPOLLET,
                                   .ready = peer_ended};
    (void)!loop_fd_add(server->loop, &peer->watch, NULL); /* without it the idle time-out has to do */
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (server->config.tls && info && info->tls_session) {
        peer->tls = cdn_tls_set_ref(server->config.tls);
        cdn_tls_set_serve(peer->tls, info->tls_session);
    }
    http_gate_open(peer);
    if (server->gated && server->config.tls) {
        http_peer_wait(peer, HTTP_WAIT_HANDSHAKE, true);
    }
    peer->extra = http_server_is_full(server) && !http_peer_make_room(server);
    server->extra_peers += peer->extra;
    join_idle(peer);
}

static void close_peer(struct http_server *server, struct http_peer *peer)
{
    loop_fd_remove(server->loop, &peer->watch);
    loop_defer_cancel(server->loop, &peer->take_over);
    cdn_buf_free(&peer->upgrade_head);
    http_gate_close(peer);
    http_peer_wait(peer, HTTP_WAIT_NOTHING, false);
    leave_idle(peer);
    server->extra_peers -= peer->extra;
    *(peer->previous ? &peer->previous->next : &server->peers) = peer->next;
    if (peer->next) {
        peer->next->previous = peer->previous;
    }
    http_count(&server->open_peers, -1u);
    if (http_server_open_connections(server) + 1 >=
        server->config.max_connections + http_server_spare(server->config.max_connections)) {
        /* libmicrohttpd listens again in its next run, which nothing else would bring about */
        loop_defer(server->loop, &server->work);
    }
    cdn_tls_set_unref(peer->tls);
    free(peer);
}

void http_peer_changed(void *cls, struct MHD_Connection *connection, void **context,
                       enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        open_peer(cls, connection, context);
    } else if (*context) {
        close_peer(cls, *context);
        *context = NULL;
    }
}
