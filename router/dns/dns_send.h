/* dns_send: the answers of a batch on their way out: one sendmmsg(2), and within it one message for answers
 * of one size that go to one peer in a row, which the kernel cuts again (UDP_SEGMENT, Linux 4.18): the way
 * through its network layers costs many times what the answer itself does. A forwarder or load balancer
 * asks from few ports and gets its answers so; a resolver that asks from a port of its own each time does
 * not.
 *
 * A box belongs to one thread. Life cycle: dns_box_init -> (dns_box_add ... -> dns_box_send)*.
 */
#ifndef CDN_ROUTER_DNS_SEND_H
#define CDN_ROUTER_DNS_SEND_H
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define DNS_BATCH 64         /* messages; also the least that any kernel cuts one into */
#define DNS_CONTROL_MAX 64   /* one in_pktinfo or in6_pktinfo, and after it room for the size of a cut */
#define DNS_BOX_BYTES 64000u /* of answers in one message */

struct dns_box {
    int fd;
    bool cuts; /* the kernel knows UDP_SEGMENT, and the device can do it */
    unsigned count, groups;
    struct iovec pieces[DNS_BATCH];
    struct mmsghdr out[DNS_BATCH];
};

void dns_box_init(struct dns_box *box, int fd);
/* `in` is the message that is answered: peer, and the address that it came to in `msg_control`, which must be
 * DNS_CONTROL_MAX bytes aligned as cmsghdr even when msg_controllen is 0. Both and the answer must last
 * until dns_box_send. At most DNS_BATCH times. */
void dns_box_add(struct dns_box *box, const struct msghdr *in, void *answer, size_t n);
/* Returns how many answers the socket did not take: whoever asked will ask again. */
unsigned dns_box_send(struct dns_box *box);

#endif
