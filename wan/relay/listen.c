/* listen: sockets that clients connect to. The kernel chooses a place's port once; from then on it is the
 * place's, also after a restart, since browsers and scripts have it in their settings. */
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "wan/relay/client.h"
#include "wan/relay/relay_private.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define BACKLOG 4096
#define ACCEPTS_A_TURN 64
#define AGAIN_NS INT64_C(100000000)

static enum cdn_status failed(const struct cdn_addr *address, struct cdn_error *err)
{
    int problem = errno;
    char text[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format(address, text);
    if (problem == EADDRINUSE) {
        return cdn_error_set(err, CDN_CONFLICT, "cannot listen on %s: the address is in use", text);
    }
    return cdn_error_set(err, CDN_IO, "cannot listen on %s: %s", text, strerror(problem));
}

static void listen_again(struct loop_timer *timer)
{
    struct wan_listener *l = CDN_CONTAINER_OF(timer, struct wan_listener, again);
    loop_fd_change(l->relay->loop, &l->watch, EPOLLIN);
}

static void on_client(struct loop_fd *watch, uint32_t events)
{
    struct wan_listener *l = CDN_CONTAINER_OF(watch, struct wan_listener, watch);
    (void)events;
    for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            l->used_ns = loop_mono_ns(l->relay->loop);
            wan_conn_accept(l, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            loop_fd_change(l->relay->loop, watch, 0);
            loop_timer_start(l->relay->loop, &l->again, AGAIN_NS);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
    }
}

static int bound_socket(struct cdn_addr *address)
{
    const int on = 1;
    socklen_t n = sizeof(*address);
    int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd, &address->sa, cdn_addr_len(address)) == 0 && listen(fd, BACKLOG) == 0 &&
        getsockname(fd, &address->sa, &n) == 0) {
        return fd;
    }
    int problem = errno;
    if (fd >= 0) {
        close(fd);
    }
    errno = problem;
    return -1;
}

enum cdn_status wan_listen_open(struct wan_relay *relay, enum wan_listener_kind kind,
                                const struct cdn_addr *address, struct wan_listener **ret,
                                struct cdn_error *err)
{
    struct cdn_addr bound = *address;
    int fd = bound_socket(&bound);
    if (fd < 0) {
        return failed(address, err);
    }
    struct wan_listener *l = cdn_calloc(1, sizeof(*l));
    *l = (struct wan_listener){.relay = relay,
                               .next = relay->listeners,
                               .kind = kind,
                               .watch = {.fd = fd, .events = EPOLLIN, .ready = on_client},
                               .again = {.fire = listen_again},
                               .address = bound,
                               .used_ns = loop_mono_ns(relay->loop)};
    enum cdn_status status = loop_fd_add(relay->loop, &l->watch, err);
    if (status != CDN_OK) {
        close(fd);
        free(l);
        return status;
    }
    relay->listeners = l;
    *ret = l;
    return CDN_OK;
}

static void stop(struct wan_listener *l)
{
    if (l->watch.fd >= 0) {
        loop_timer_stop(l->relay->loop, &l->again);
        loop_fd_remove(l->relay->loop, &l->watch);
        close(l->watch.fd);
        l->watch.fd = -1;
    }
}

static void release(struct wan_listener *l)
{
    stop(l);
    wan_client_unref(l->client);
    free(l->place);
    free(l->profile);
    free(l);
}

void wan_listen_close(struct wan_listener *listener)
{
    struct wan_listener **at = &listener->relay->listeners;
    while (*at != listener) {
        at = &(*at)->next;
    }
    *at = listener->next;
    listener->relay->places -= listener->kind == WAN_LISTENER_PLACE;
    release(listener);
}

void wan_listen_close_all(struct wan_relay *relay, bool only_stop)
{
    for (struct wan_listener *l = relay->listeners, *next; l; l = next) {
        next = l->next;
        if (only_stop) {
            stop(l);
        } else {
            release(l);
        }
    }
    relay->listeners = only_stop ? relay->listeners : NULL;
}
