/* http_listen: the first socket is bound without port sharing, which fails when any program has the
 * port, and made shareable only afterwards. An abstract socket of the address' name keeps a second
 * pocketcdn of the same user out, whom sharing would let in. */
#include "common/http/server/http_listen.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/banned.h"

#define BACKLOG 4096

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

static bool set_flag(int fd, int option)
{
    int on = 1;
    return setsockopt(fd, SOL_SOCKET, option, &on, sizeof(on)) == 0;
}

int http_listen_claim(const char *kind, const struct cdn_addr *address)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    char text[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format(address, text);
    int n = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "pocketcdn/%s/%s", kind, text);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&name, length) != 0) {
        int problem = errno;
        close(fd);
        errno = problem;
        return -1;
    }
    return fd;
}

static bool bind_and_listen(const struct cdn_addr *address, bool share, bool join, struct http_listener *l)
{
    l->fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0 || !set_flag(l->fd, SO_REUSEADDR) || (join && !set_flag(l->fd, SO_REUSEPORT))) {
        return false;
    }
    if (bind(l->fd, &address->sa, cdn_addr_len(address)) != 0) {
        return false;
    }
    if (share && !join) {
        struct cdn_addr bound;
        socklen_t n = sizeof(bound);
        if (getsockname(l->fd, &bound.sa, &n) != 0 || (l->claim_fd = http_listen_claim("tcp", &bound)) < 0 ||
            !set_flag(l->fd, SO_REUSEPORT)) {
            return false;
        }
    }
    return listen(l->fd, BACKLOG) == 0;
}

enum cdn_status http_listen(const struct cdn_addr *address, bool share, bool join, struct http_listener *ret,
                            struct cdn_error *err)
{
    struct http_listener l = {.fd = -1, .claim_fd = -1};
    if (bind_and_listen(address, share, join, &l)) {
        *ret = l;
        return CDN_OK;
    }
    enum cdn_status status = failed(address, err);
    if (l.fd >= 0) {
        close(l.fd);
    }
    if (l.claim_fd >= 0) {
        close(l.claim_fd);
    }
    return status;
}

int http_listen_reserve(const struct cdn_addr *address, bool share)
{
    const int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (!set_flag(fd, SO_REUSEADDR) || (share && !set_flag(fd, SO_REUSEPORT)) ||
                    bind(fd, &address->sa, cdn_addr_len(address)) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

enum cdn_status http_listen_reserved(int fd, struct cdn_error *err)
{
    if (fd < 0) {
        return cdn_error_set(err, CDN_CONFLICT, "the address is in use");
    }
    return listen(fd, BACKLOG) == 0 ? CDN_OK : cdn_error_set(err, CDN_IO, "%s", strerror(errno));
}
