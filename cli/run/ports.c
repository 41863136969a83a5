/* ports: tries to bind each address and gives it back at once. A look and no claim: it is for the
 * message, and the daemons' own claim decides. */
#include "cli/run/ports.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/banned.h"

static bool is_free(const struct cdn_addr *address, int type)
{
    int one = 1, fd = socket(address->sa.sa_family, type | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return true;
    }
    /* as the daemons do: connections of a CDN that has just ended are not in the way */
    if (type == SOCK_STREAM) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    }
    bool taken = bind(fd, &address->sa, cdn_addr_len(address)) && errno == EADDRINUSE;
    close(fd);
    return !taken;
}

bool ports_free(const struct cdn_addr *address)
{
    return is_free(address, SOCK_STREAM);
}

bool ports_free_udp(const struct cdn_addr *address)
{
    return is_free(address, SOCK_DGRAM);
}

/* An abstract Unix address: made and given up by the kernel alone, and of this network namespace. */
int ports_claim(unsigned port)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int n = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "pocketcdn-port-%u", port);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&name, size)) {
        close(fd);
        fd = -1;
    }
    return fd;
}
