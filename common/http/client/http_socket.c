/* libcurl's sockets on the loop.
 *
 * libcurl wants a socket watched while a transfer uses it, which would be two system calls for each on a
 * connection that is kept. So the sockets of connections stay watched from the first transfer until they are
 * closed. What happens at an idle one (it is closed, or something comes unasked) ends its use (http_reuse.c).
 * Other descriptors (of its resolver) are watched exactly as it says. */
#include "common/http/client/http_client_private.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

struct http_socket *http_socket_find(const struct http_client *client, curl_socket_t fd)
{
    return (size_t)fd < client->socket_room ? client->sockets[fd] : NULL;
}

void http_socket_unwatch(struct http_socket *s)
{
    if (s->watched) {
        loop_fd_remove(s->client->loop, &s->watch);
        s->watched = false;
    }
}

static void forget(struct http_client *client, curl_socket_t fd)
{
    struct http_socket *s = http_socket_find(client, fd);
    if (s) {
        http_reuse_unlist(s);
        http_reuse_unlink(s);
        http_socket_unwatch(s);
        free(s);
        client->sockets[fd] = NULL;
    }
}

static void socket_ready(struct loop_fd *self, uint32_t events)
{
    struct http_socket *s = CDN_CONTAINER_OF(self, struct http_socket, watch);
    if (s->listed && !s->multiplexed) {
        http_reuse_retire(s);
        return;
    }
    if (s->idle) { /* its transfer is paused */
        http_socket_unwatch(s);
        return;
    }
    int what = (events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
               (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) | (events & EPOLLERR ? CURL_CSELECT_ERR : 0);
    http_client_act(s->client, self->fd, what);
}

static struct http_socket *make(struct http_client *client, curl_socket_t fd)
{
    if ((size_t)fd >= client->socket_room) {
        const size_t room = (size_t)fd + 64;
        client->sockets = cdn_realloc(client->sockets, room, sizeof(struct http_socket *));
        memset(client->sockets + client->socket_room, 0,
               (room - client->socket_room) * sizeof(struct http_socket *));
        client->socket_room = room;
    }
    struct http_socket *s = cdn_calloc(1, sizeof(*s));
    s->client = client;
    s->id = ++client->socket_ids;
    s->born_ns = loop_mono_ns(client->loop);
    s->watch = (struct loop_fd){.fd = fd, .ready = socket_ready};
    client->sockets[fd] = s;
    return s;
}

bool http_socket_watch(struct http_socket *s, uint32_t events)
{
    s->idle = false;
    http_reuse_unlist(s);
    if (s->watched) {
        loop_fd_change(s->client->loop, &s->watch, events);
        return true;
    }
    s->watch.events = events;
    s->watched = loop_fd_add(s->client->loop, &s->watch, NULL) == CDN_OK;
    return s->watched;
}

static void release(struct http_socket *s)
{
    if (!s->kept) {
        forget(s->client, s->watch.fd);
        return;
    }
    s->idle = true;
    if (s->watched) {
        loop_fd_change(s->client->loop, &s->watch, EPOLLIN);
    }
}

/* ---- what libcurl calls ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    (void)socket_arg;
    struct http_client *client = arg;
    struct http_socket *s = http_socket_find(client, fd);
    if (what == CURL_POLL_REMOVE) {
        http_fetch_unwatched(easy);
        if (s) {
            release(s);
        }
        return 0;
    }
    uint32_t events =
        (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) | (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    return http_socket_watch(s ? s : make(client, fd), events) ? 0 : -1;
}

static int on_open(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    (void)purpose;
    forget(arg, fd);
    struct http_socket *s = make(arg, fd);
    s->kept = true;
    http_reuse_link(s);
    return CURL_SOCKOPT_OK;
}

static curl_socket_t on_make(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct http_client *client = arg;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    client->no_descriptor = fd < 0 && (errno == EMFILE || errno == ENFILE);
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int on_close(void *arg, curl_socket_t fd)
{
    forget(arg, fd);
    return close(fd);
}

void http_sockets_attach(struct http_client *client, CURLM *multi)
{
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client);
}

void http_sockets_attach_easy(struct http_client *client, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_make);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, client);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, client);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, client);
}

void http_sockets_free(struct http_client *client)
{
    for (size_t fd = 0; fd < client->socket_room; fd++) {
        free(client->sockets[fd]);
    }
    free(client->sockets);
}
