/* dns_sockets: one address, several sockets. All are opened before the first is read, because the
 * kernel spreads clients over those that are there, and a late one would change where everybody's
 * messages go. */
#include "router/dns/dns_sockets.h"

#include "common/http/server/http_listen.h"
#include "common/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define PORT_TRIES 32            /* a port that is free for UDP may be taken for TCP */
#define RECEIVE_BUFFER (1 << 20) /* bytes; a burst that comes while a thread has no processor */

static enum cdn_status failed(const struct cdn_addr *address, struct cdn_error *err)
{
    int problem = errno;
    char text[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format(address, text);
    if (problem == EADDRINUSE) {
        return cdn_error_set(err, CDN_CONFLICT,
                             "dns_listen: cannot listen on %s (UDP): the address is in use", text);
    }
    return cdn_error_set(err, CDN_IO, "dns_listen: cannot listen on %s (UDP): %s", text, strerror(problem));
}

static bool set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

static bool is_any(const struct cdn_addr *a)
{
    return a->sa.sa_family == AF_INET ? a->v4.sin_addr.s_addr == INADDR_ANY
                                      : IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

static bool udp_bind(struct dns_sockets *s, bool join)
{
    int fd = socket(s->address.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    s->udp[s->udp_count++] = fd;
    set_option(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
    set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE); /* no fragments: RFC 9715 section 3.1 */
    if (s->address.sa.sa_family == AF_INET6) {
        set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    }
    if (s->any_address && s->address.sa.sa_family == AF_INET && !set_option(fd, IPPROTO_IP, IP_PKTINFO, 1)) {
        return false;
    }
    if (s->any_address && s->address.sa.sa_family == AF_INET6 &&
        !set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)) {
        return false;
    }
    if (join && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) {
        return false;
    }
    socklen_t n = sizeof(s->address);
    return bind(fd, &s->address.sa, cdn_addr_len(&s->address)) == 0 &&
           (join || getsockname(fd, &s->address.sa, &n) == 0);
}

static enum cdn_status udp_open(struct dns_sockets *s, unsigned count, struct cdn_error *err)
{
    if (!udp_bind(s, false)) {
        return failed(&s->address, err);
    }
    if (count > 1 && ((s->claim_fd = http_listen_claim("udp", &s->address)) < 0 ||
                      !set_option(s->udp[0], SOL_SOCKET, SO_REUSEPORT, 1))) {
        return failed(&s->address, err);
    }
    for (unsigned i = 1; i < count; i++) {
        if (!udp_bind(s, true)) {
            return failed(&s->address, err);
        }
    }
    return CDN_OK;
}

static enum cdn_status open_once(const struct cdn_addr *listen, unsigned udp_count, struct dns_sockets *ret,
                                 struct cdn_error *err)
{
    struct http_listener tcp;
    *ret = (struct dns_sockets){.address = *listen, .any_address = is_any(listen), .claim_fd = -1, .tcp = -1};
    enum cdn_status status = udp_open(ret, udp_count, err);
    if (status == CDN_OK) {
        status = http_listen(&ret->address, false, false, &tcp, err);
    }
    if (status == CDN_OK) {
        ret->tcp = tcp.fd;
    } else {
        dns_sockets_close(ret);
    }
    return status;
}

enum cdn_status dns_sockets_open(const struct cdn_addr *listen, unsigned udp_count, struct dns_sockets *ret,
                                 struct cdn_error *err)
{
    int tries = cdn_addr_port(listen) == 0 ? PORT_TRIES : 1;
    enum cdn_status status = CDN_CONFLICT;
    struct dns_sockets sockets;
    while (tries-- > 0 && status == CDN_CONFLICT) {
        status = open_once(listen, udp_count, &sockets, err);
    }
    if (status == CDN_OK) {
        *ret = sockets;
    }
    return status;
}

void dns_sockets_close(struct dns_sockets *sockets)
{
    for (unsigned i = 0; i < sockets->udp_count; i++) {
        close(sockets->udp[i]);
    }
    sockets->udp_count = 0;
    int *others[] = {&sockets->claim_fd, &sockets->tcp};
    for (size_t i = 0; i < CDN_ARRAY_LEN(others); i++) {
        if (*others[i] >= 0) {
            close(*others[i]);
        }
        *others[i] = -1;
    }
}
