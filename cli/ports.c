#include "cli/ports.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

static bool is_free(const struct cdn_addr *address, int type)
{
    int one = 1, fd = socket(address->sa.sa_family, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true;
    /* as the daemons do: connections of a CDN that has just ended are not in the way */
    if (type == SOCK_STREAM)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
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
