/* dns_udp: one thread that answers over UDP: a blocking recvmmsg(2) of up to 64 messages, answers, one
 * sendmmsg(2). Nothing is allocated and no lock is taken on the way.
 *
 * Life cycle, on the control thread: create -> start -> (dns_feed_publish)* -> stop -> destroy.
 */
#ifndef CDN_ROUTER_DNS_UDP_H
#define CDN_ROUTER_DNS_UDP_H
#include "common/status.h"
#include "router/dns/dns_answer.h"

#include <stdbool.h>

struct dns_udp;

/* `responder` is copied; its zone and metrics are set here. `fd` is borrowed. */
struct dns_udp *dns_udp_create(int fd, bool any_address, const struct dns_responder *responder);
enum cdn_status dns_udp_start(struct dns_udp *udp, struct cdn_error *err) CDN_MUST_CHECK;
struct dns_feed *dns_udp_feed(struct dns_udp *udp);
const struct dns_metrics *dns_udp_metrics(const struct dns_udp *udp);
void dns_udp_destroy(struct dns_udp *udp); /* stops and joins the thread; NULL is fine */

#endif
