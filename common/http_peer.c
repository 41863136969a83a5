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
#include "common/http_server_private.h"

#include <sys/socket.h>

#include "common/banned.h"

static int peer_fd(const struct http_peer *peer)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(peer->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

void http_peer_close(struct http_peer *peer)
{
    shutdown(peer_fd(peer), SHUT_RD);
}

static void peer_ended(struct loop_fd *watch, uint32_t events)
{
    struct http_peer *peer = (struct http_peer *)((char *)watch - offsetof(struct http_peer, watch));
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
    struct http_peer *peer = cdn_calloc(1, sizeof *peer);
    peer->server = server;
    peer->connection = connection;
    peer->next = server->peers;
    if (peer->next) {
        peer->next->previous = peer;
    }
    server->peers = peer;
    http_count(&server->open_peers, 1);
    *context = peer;
    peer->watch =
        (struct loop_fd){.fd = peer_fd(peer), .events = EPOLLRDHUP | (uint32_t)EPOLLET, .ready = peer_ended};
    (void)!loop_fd_add(server->loop, &peer->watch, NULL); /* without it the idle time-out has to do */
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (server->credentials && info && info->tls_session) {
        peer->credentials = server->credentials;
        peer->credentials->refs++;
        gnutls_credentials_set(info->tls_session, GNUTLS_CRD_CERTIFICATE, peer->credentials->cert);
    }
}

static void close_peer(struct http_server *server, struct http_peer *peer)
{
    loop_fd_remove(server->loop, &peer->watch);
    *(peer->previous ? &peer->previous->next : &server->peers) = peer->next;
    if (peer->next) {
        peer->next->previous = peer->previous;
    }
    http_count(&server->open_peers, -1u);
    if (http_server_open_connections(server) + 1 >= server->config.max_connections) {
        /* libmicrohttpd listens again in its next run, which nothing else would bring about */
        loop_defer(server->loop, &server->work);
    }
    http_credentials_drop(peer->credentials);
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
