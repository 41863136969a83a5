/* dns_tcp: DNS over TCP (RFC 7766) on one thread with an event loop.
 *
 * Messages of a connection are answered in order, as many as come at once (pipelining). Against clients that
 * hold on to connections: a limit of them, where a further one takes the place of the longest idle; a time
 * within which each next whole query must have come, or each next byte been taken; and nothing more is read
 * while a client leaves its answers unread.
 *
 * Life cycle, on the control thread: create -> start -> (dns_feed_publish)* -> destroy.
 */
#ifndef CDN_ROUTER_DNS_TCP_H
#define CDN_ROUTER_DNS_TCP_H
#include "common/status.h"
#include "router/dns/dns_answer.h"

#include <stdint.h>

struct dns_tcp;

struct dns_tcp_config {
    int fd; /* listening; borrowed */
    unsigned clients;
    int64_t timeout_ms;
};

/* `responder` is copied; its zone and metrics are set here. */
enum cdn_status dns_tcp_create(const struct dns_tcp_config *config, const struct dns_responder *responder,
                               struct dns_tcp **ret, struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status dns_tcp_start(struct dns_tcp *tcp, struct cdn_error *err) CDN_MUST_CHECK;
struct dns_feed *dns_tcp_feed(struct dns_tcp *tcp);
const struct dns_metrics *dns_tcp_metrics(const struct dns_tcp *tcp);
void dns_tcp_destroy(struct dns_tcp *tcp); /* stops and joins the thread; NULL is fine */

#endif
