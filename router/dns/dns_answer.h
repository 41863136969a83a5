/* dns_answer: one message to one answer: bytes in, bytes out. Only health and the rate of answers are state.
 *
 *     QR set, under 12 bytes        nothing            another class, zone, AXFR, IXFR   REFUSED
 *     opcode not QUERY              NOTIMP             MAILA, MAILB                      NOTIMP
 *     malformed, OPT twice, bad     FORMERR            OPT, TKEY, TSIG asked for         FORMERR
 *       ECS or cookie, QDCOUNT > 1                     ANY                               HINFO (RFC 8482)
 *     EDNS version above 0          BADVERS            no edge can serve                 SERVFAIL
 *     unknown name                  NXDOMAIN + SOA     no such records                   NOERROR + SOA
 *
 * Answers are authoritative, keep the case of the question, never offer recursion, and fit into what the
 * client takes and udp_size allows; else TC is set and the sections are empty. Client Subnet (RFC 7871):
 * the option comes back with the scope that the answer holds for, 0 where it did not depend on the client;
 * without it, or with a source prefix of 0, the resolver's own address counts. A client cookie comes back
 * with a fresh server cookie; a client that shows a good one is not limited in rate. NSID (RFC 5001) is
 * answered when the configuration gives the server a name.
 */
#ifndef CDN_ROUTER_DNS_ANSWER_H
#define CDN_ROUTER_DNS_ANSWER_H
#include "common/parse.h"
#include "router/dns/dns_cookie.h"
#include "router/dns/dns_query.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_MESSAGE_MAX 65535u

struct dns_responder {           /* of one thread */
    const struct dns_zone *zone; /* borrowed */
    struct dns_rate *rate;       /* shared with the other threads; NULL: no limit */
    struct dns_cookie_secret secret;
    unsigned
        keepalive_ds; /* what TCP clients are told that they may idle, in tenths of a second (RFC 7828) */
    struct dns_metrics *metrics;
    struct dns_arena arena;
};

struct dns_asker {
    struct cdn_addr client; /* of the socket */
    bool tcp;
    int64_t now_s;  /* wall clock, for cookies */
    int64_t now_us; /* monotonic, for rates */
};

/* Returns the size of the answer in `out`, 0 for none. `message` may be changed. `room` is at least 512; over
 * TCP DNS_MESSAGE_MAX bytes are never too few. */
size_t dns_answer(struct dns_responder *responder, const struct dns_asker *asker, uint8_t *message, size_t n,
                  uint8_t *out, size_t room);

#endif
