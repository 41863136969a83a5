/* metrics: what the network between the places counts, one row each. One thread writes. */
#ifndef CDN_WAN_RELAY_METRICS_H
#define CDN_WAN_RELAY_METRICS_H
#include "common/daemon/metrics.h"

#include <stddef.h>
#include <stdint.h>

#define WAN_METRICS(X) /* kind, field, name, labels, help */                                               \
    X(COUNTER, accepted, "accepted_total", NULL, "Connections taken from clients")                         \
    X(COUNTER, opened, "opened_total", NULL, "Connections whose target accepted")                          \
    X(COUNTER, refused_handshake, "refused_total", "why=\"handshake\"", "Connections refused, by reason")  \
    X(COUNTER, refused_user, "refused_total", "why=\"user\"", "Connections refused, by reason")            \
    X(COUNTER, refused_target, "refused_total", "why=\"target\"", "Connections refused, by reason")        \
    X(COUNTER, refused_name, "refused_total", "why=\"name\"", "Connections refused, by reason")            \
    X(COUNTER, refused_connect, "refused_total", "why=\"connect\"", "Connections refused, by reason")      \
    X(COUNTER, refused_limit, "refused_total", "why=\"limit\"", "Connections refused, by reason")          \
    X(COUNTER, timed_out, "timed_out_total", NULL, "Connections ended because nothing moved")              \
    X(COUNTER, reset, "reset_total", NULL, "Connections ended by a reset of one of their ends")            \
    X(COUNTER, bytes_up, "bytes_total", "direction=\"up\"", "Bytes delivered, up: from who connected")     \
    X(COUNTER, bytes_down, "bytes_total", "direction=\"down\"", "Bytes delivered, up: from who connected") \
    X(COUNTER, questions, "dns_questions_total", NULL, "Names asked of our GeoDNS")                        \
    X(COUNTER, questions_failed, "dns_failures_total", NULL, "Names that it did not know or answer")       \
    X(COUNTER, datagrams, "datagrams_total", "fate=\"delivered\"", "Datagrams of fixed relays, by fate")   \
    X(COUNTER, datagrams_lost, "datagrams_total", "fate=\"lost\"", "Datagrams of fixed relays, by fate")   \
    X(COUNTER, datagrams_dropped, "datagrams_total", "fate=\"dropped\"",                                   \
      "Datagrams of fixed relays, by fate")                                                                \
    X(GAUGE, connections, "connections", NULL, "Connections there are")                                    \
    X(GAUGE, memory, "memory_bytes", NULL, "Bytes under way")                                              \
    X(GAUGE, listeners, "listeners", NULL, "Listeners of places")                                          \
    X(GAUGE, faults, "faults", NULL, "Faults of links that are on")

struct wan_metrics {
#define X(kind, field, name, labels, help) _Atomic uint64_t field;
    WAN_METRICS(X)
#undef X
};
#define WAN_METRIC_COUNT (sizeof(struct wan_metrics) / sizeof(uint64_t))

extern const struct cdn_metric_row wan_metric_rows[WAN_METRIC_COUNT];

#endif
