/* Lingering close. A request refused before its body was read leaves bytes in the socket; closing it then
 * makes the kernel send a reset, which can destroy the refusal before the client has read it. So the socket
 * is kept open beside libmicrohttpd's (which has sent its end), and what still arrives is thrown away, for a
 * while. */
#include "common/http/server/http_server_private.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define MOST_LINGERING 64
#define LINGER_NS INT64_C(2000000000)
#define LINGER_BYTES (16 << 20)

struct http_linger {
    struct loop_fd watch;
    struct loop_timer timer;
    struct http_server *server;
    struct http_linger *next, *previous;
    size_t bytes;
};

static void end_linger(struct http_linger *l)
{
    struct http_server *server = l->server;
    *(l->previous ? &l->previous->next : &server->lingering) = l->next;
    if (l->next) {
        l->next->previous = l->previous;
    }
    server->lingering_count--;
    loop_timer_stop(server->loop, &l->timer);
    loop_fd_remove(server->loop, &l->watch);
    close(l->watch.fd);
    free(l);
}

static void throw_away(struct loop_fd *self, uint32_t events)
{
    (void)events;
    struct http_linger *l = CDN_CONTAINER_OF(self, struct http_linger, watch);
    char block[16384];
    ssize_t n = recv(self->fd, block, sizeof(block), MSG_DONTWAIT);
    l->bytes += n > 0 ? (size_t)n : 0;
    if (n <= 0 || l->bytes > LINGER_BYTES) {
        end_linger(l);
    }
}

static void time_is_up(struct loop_timer *timer)
{
    end_linger(CDN_CONTAINER_OF(timer, struct http_linger, timer));
}

void http_linger_keep(struct http_server *server, int fd)
{
    if (server->lingering_count >= MOST_LINGERING) {
        close(fd);
        return;
    }
    struct http_linger *l = cdn_calloc(1, sizeof(*l));
    l->server = server;
    l->watch = (struct loop_fd){.fd = fd, .events = EPOLLIN, .ready = throw_away};
    l->timer.fire = time_is_up;
    if (loop_fd_add(server->loop, &l->watch, NULL) != CDN_OK) {
        close(fd);
        free(l);
        return;
    }
    l->next = server->lingering;
    if (l->next) {
        l->next->previous = l;
    }
    server->lingering = l;
    server->lingering_count++;
    loop_timer_start(server->loop, &l->timer, LINGER_NS);
}

void http_linger_start(struct http_server *server, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int fd =
        info && server->lingering_count < MOST_LINGERING ? fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (fd >= 0) {
        http_linger_keep(server, fd);
    }
}

void http_linger_end_all(struct http_server *server)
{
    for (struct http_linger *l = server->lingering, *next; l; l = next) {
        next = l->next;
        end_linger(l);
    }
}
