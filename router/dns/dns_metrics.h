/* dns_metrics: the counters of DNS, one struct a thread (metrics.h). */
#ifndef CDN_ROUTER_DNS_METRICS_H
#define CDN_ROUTER_DNS_METRICS_H
#include "common/daemon/metrics.h"
#include "common/str.h"

#include <stdint.h>

#define DNS_METRICS(X)                                                                            \
    X(COUNTER, dns_ecs_total, "DNS queries with a client subnet")                                 \
    X(COUNTER, dns_cookie_total, "DNS queries with a cookie")                                     \
    X(COUNTER, dns_cookie_good_total, "DNS queries with a cookie that this server gave")          \
    X(COUNTER, dns_truncated_total, "DNS answers truncated for their size")                       \
    X(COUNTER, dns_slipped_total, "DNS answers above the rate, sent truncated")                   \
    X(COUNTER, dns_limited_total, "DNS answers above the rate, not sent")                         \
    X(COUNTER, dns_dropped_total, "DNS messages that no answer is due to: too short, or answers") \
    X(COUNTER, dns_unsent_total, "DNS answers that the socket did not take")                      \
    X(COUNTER, dns_tcp_accepted_total, "DNS connections taken")                                   \
    X(COUNTER, dns_tcp_timeout_total, "DNS connections closed for being idle or slow")            \
    X(COUNTER, dns_tcp_displaced_total, "DNS connections closed to make room for others")         \
    X(GAUGE, dns_tcp_open, "DNS connections open now")

#define DNS_TRANSPORTS(X) X(UDP, "udp") X(TCP, "tcp")

#define DNS_TYPE_WORDS(X) /* name, number, word; what is not here is "other" */ \
    X(A, 1, "A")                                                                \
    X(NS, 2, "NS")                                                              \
    X(CNAME, 5, "CNAME")                                                        \
    X(SOA, 6, "SOA")                                                            \
    X(PTR, 12, "PTR")                                                           \
    X(MX, 15, "MX")                                                             \
    X(TXT, 16, "TXT")                                                           \
    X(AAAA, 28, "AAAA")                                                         \
    X(HTTPS, 65, "HTTPS")                                                       \
    X(ANY, 255, "ANY")                                                          \
    X(CAA, 257, "CAA")

#define DNS_RCODES(X) /* number, word */ \
    X(0, "NOERROR")                      \
    X(1, "FORMERR")                      \
    X(2, "SERVFAIL")                     \
    X(3, "NXDOMAIN")                     \
    X(4, "NOTIMP")                       \
    X(5, "REFUSED")                      \
    X(16, "BADVERS")

enum dns_transport {
#define X(name, word) DNS_##name,
    DNS_TRANSPORTS(X)
#undef X
        DNS_TRANSPORT_COUNT
};

enum dns_type {
#define X(name, number, word) DNS_TYPE_##name,
    DNS_TYPE_WORDS(X)
#undef X
        DNS_TYPE_OTHER,
    DNS_TYPE_COUNT
};

#define DNS_RCODE_COUNTED 7

struct dns_metrics { /* counters only: cdn_metrics_sum reads it as an array */
    DNS_METRICS(CDN_METRIC_FIELD)
    _Atomic uint64_t queries[DNS_TRANSPORT_COUNT];
    _Atomic uint64_t types[DNS_TYPE_COUNT];
    _Atomic uint64_t rcodes[DNS_RCODE_COUNTED];
};
#define DNS_METRIC_COUNT (sizeof(struct dns_metrics) / sizeof(_Atomic uint64_t))

void dns_metrics_count_type(struct dns_metrics *m, unsigned type);
void dns_metrics_count_rcode(struct dns_metrics *m, unsigned rcode);
/* Prometheus text of DNS_METRIC_COUNT values, in the order of the struct. */
void dns_metrics_print(const uint64_t *values, struct cdn_buf *out);

#endif
