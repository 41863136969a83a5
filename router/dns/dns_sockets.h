/* dns_sockets: the sockets of the DNS listener: several for UDP, one for TCP, on one address.
 *
 * UDP sockets share the port by SO_REUSEPORT, and the kernel spreads clients over them. As in http_listen.h,
 * no other program gets in between: the first socket is bound without it, and an abstract unix socket named
 * after the address is held meanwhile.
 */
#ifndef CDN_ROUTER_DNS_SOCKETS_H
#define CDN_ROUTER_DNS_SOCKETS_H
#include "common/parse.h"
#include "common/status.h"

#include <stdbool.h>

#define DNS_UDP_MAX 64u

struct dns_sockets {
    struct cdn_addr address; /* with the port that the kernel chose, where it had to */
    bool any_address;        /* bound to all: answers must say which one they come from */
    int udp[DNS_UDP_MAX];
    unsigned udp_count;
    int claim_fd;
    int tcp;
};

/* CDN_CONFLICT: the address is in use, for UDP or for TCP. */
enum cdn_status dns_sockets_open(const struct cdn_addr *listen, unsigned udp_count, struct dns_sockets *ret,
                                 struct cdn_error *err) CDN_MUST_CHECK;
void dns_sockets_close(struct dns_sockets *sockets);

#endif
