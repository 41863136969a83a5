/* dns_send: answers of a batch are put together by peer and size while they are made. A kernel that
 * refuses segmentation is noticed at the first refusal, and then each answer is a message of its
 * own. */
#include "router/dns/dns_send.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

#define CUT_SPACE CMSG_SPACE(sizeof(uint16_t))
_Static_assert(CMSG_SPACE(sizeof(struct in6_pktinfo)) + CUT_SPACE <= DNS_CONTROL_MAX, "both fit");

void dns_box_init(struct dns_box *box, int fd)
{
    int none = 0;
    box->fd = fd;
    box->count = 0;
    box->groups = 0;
    box->cuts = setsockopt(fd, SOL_UDP, UDP_SEGMENT, &none, sizeof(none)) == 0;
}

static bool same_bytes(const void *a, size_t a_size, const void *b, size_t b_size)
{
    return a_size == b_size && (a_size == 0 || memcmp(a, b, a_size) == 0);
}

/* Whether one more answer of n bytes may go with the last group. */
static bool joins(const struct dns_box *box, const struct msghdr *in, size_t n)
{
    if (!box->cuts || box->groups == 0) {
        return false;
    }
    const struct msghdr *last = &box->out[box->groups - 1].msg_hdr;
    return last->msg_iov->iov_len == n && (last->msg_iovlen + 1) * n <= DNS_BOX_BYTES &&
           same_bytes(last->msg_name, last->msg_namelen, in->msg_name, in->msg_namelen) &&
           same_bytes(last->msg_control, last->msg_controllen, in->msg_control, in->msg_controllen);
}

void dns_box_add(struct dns_box *box, const struct msghdr *in, void *answer, size_t n)
{
    struct iovec *piece = &box->pieces[box->count++];
    *piece = (struct iovec){answer, n};
    if (joins(box, in, n)) {
        box->out[box->groups - 1].msg_hdr.msg_iovlen++;
        return;
    }
    box->out[box->groups++].msg_hdr = (struct msghdr){.msg_name = in->msg_name,
                                                      .msg_namelen = in->msg_namelen,
                                                      .msg_iov = piece,
                                                      .msg_iovlen = 1,
                                                      .msg_control = in->msg_control,
                                                      .msg_controllen = in->msg_controllen};
}

/* Tells the kernel where to cut, after the address to send from. */
static void cut_add(struct msghdr *m)
{
    uint16_t size = (uint16_t)m->msg_iov->iov_len;
    struct cmsghdr *cut = (struct cmsghdr *)(void *)((char *)m->msg_control + m->msg_controllen);
    *cut = (struct cmsghdr){CMSG_LEN(sizeof(size)), SOL_UDP, UDP_SEGMENT};
    memcpy(CMSG_DATA(cut), &size, sizeof(size));
    m->msg_controllen += CUT_SPACE;
}

/* The answers of a group that was refused as one. EIO: the device cannot sum up what the kernel cuts; else it
 * is the way to this peer that is narrow. */
static unsigned send_singly(struct dns_box *box, struct msghdr *m)
{
    unsigned unsent = 0;
    size_t n = m->msg_iovlen;
    box->cuts = box->cuts && errno != EIO;
    m->msg_controllen -= CUT_SPACE;
    m->msg_iovlen = 1;
    for (; n > 0; n--, m->msg_iov++) {
        unsent += sendmsg(box->fd, m, 0) < 0;
    }
    return unsent;
}

unsigned dns_box_send(struct dns_box *box)
{
    unsigned unsent = 0;
    for (unsigned i = 0; i < box->groups; i++) {
        if (box->out[i].msg_hdr.msg_iovlen > 1) {
            cut_add(&box->out[i].msg_hdr);
        }
    }
    for (unsigned at = 0; at < box->groups;) {
        int sent = sendmmsg(box->fd, &box->out[at], box->groups - at, 0);
        if (sent > 0) {
            at += (unsigned)sent;
        } else if (errno != EINTR) {
            struct msghdr *m = &box->out[at++].msg_hdr;
            unsent += m->msg_iovlen > 1 ? send_singly(box, m) : 1;
        }
    }
    box->count = box->groups = 0;
    return unsent;
}
