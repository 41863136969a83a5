/* metrics: what an edge counts, one row each (see common/daemon/metrics.h). Every worker thread has a struct
 * of its own. */
#ifndef CDN_EDGE_METRICS_H
#define CDN_EDGE_METRICS_H
#include "common/daemon/metrics.h"
#include "edge/semantics/cause.h"

#define EDGE_METRICS(X)                                                                                     \
    X(COUNTER, request_total, "Requests answered on the public listener")                                   \
    X(COUNTER, body_bytes_total, "Body bytes of the answers")                                               \
    X(COUNTER, hot_hit_total, "Hits answered from the ready table of a thread")                             \
    X(COUNTER, refused_total, "Requests answered with an error of the edge's own")                          \
    X(COUNTER, proxy_header_total, "Connections that began with a PROXY protocol header")                   \
    X(COUNTER, proxy_header_refused_total, "Connections of trusted proxies refused for their PROXY header") \
    X(COUNTER, collapsed_total, "Requests that shared another request's origin fetch")                      \
    X(COUNTER, rate_limited_total, "Requests over the rate of their network (rate_limit)")                  \
    X(COUNTER, miss_limited_total, "Requests over the rate of misses of their network (miss_limit)")        \
    X(COUNTER, country_refused_total, "Requests refused for the country they came from")                    \
    X(COUNTER, signature_refused_total, "Requests refused because nothing good signs them")                 \
    X(COUNTER, signature_verified_total, "Signatures verified with a key, and not found remembered")        \
    X(COUNTER, queued_total, "Requests that had to wait for their turn to be fetched")                      \
    X(COUNTER, origin_request_total, "Requests sent to the origin")                                         \
    X(COUNTER, failover_total, "Requests sent to the next origin after one failed")                         \
    X(COUNTER, origin_error_total, "Requests to the origin that failed or were answered 5xx")               \
    X(COUNTER, origin_bytes_total, "Body bytes received from the origin")                                   \
    X(COUNTER, validated_total, "Stored answers that the origin confirmed with 304")                        \
    X(COUNTER, stalled_reader_total, "Clients let go because others waited for them to read")               \
    X(COUNTER, stored_total, "Answers stored")                                                              \
    X(COUNTER, mismatch_total, "Bodies that did not match their content-hashed name")                       \
    X(COUNTER, invalidated_total, "Objects made void by unsafe requests")                                   \
    X(COUNTER, purged_total, "Objects purged")                                                              \
    X(COUNTER, access_log_dropped_total, "Requests left out of the access log, which was behind")           \
    X(COUNTER, compress_skipped_total, "Compressions put off because too many were waiting")                \
    X(GAUGE, tunnels, "WebSocket tunnels open now")                                                         \
    X(COUNTER, tunnel_total, "WebSocket tunnels opened")                                                    \
    X(COUNTER, tunnel_refused_total, "WebSocket requests refused: too many, or by setting")                 \
    X(COUNTER, tunnel_up_bytes_total, "Bytes of tunnels from clients to the origin")                        \
    X(COUNTER, tunnel_down_bytes_total, "Bytes of tunnels from the origin to clients")

struct edge_metrics {
    EDGE_METRICS(CDN_METRIC_FIELD)
    _Atomic uint64_t verdict[EDGE_VERDICT_COUNT];
    _Atomic uint64_t cause[EDGE_CAUSE_COUNT];
    struct cdn_histogram hit_time;
    struct cdn_histogram miss_time;
    struct cdn_histogram origin_time;
} __attribute__((aligned(64)));

/* What is counted once for the process; each row is written by one thread. */
#define EDGE_SERVICE_METRICS(X)                                                            \
    X(COUNTER, access_log_written_total, "Lines written to the access log")                \
    X(COUNTER, access_log_lost_total, "Lines of the access log that could not be written") \
    X(COUNTER, compressed_total, "Bodies compressed at the edge")                          \
    X(COUNTER, compress_useless_total, "Bodies that compression did not make smaller")     \
    X(COUNTER, compress_in_bytes_total, "Bytes that went into compression")                \
    X(COUNTER, compress_out_bytes_total, "Bytes that came out of it and are kept")         \
    X(GAUGE, certificate_expires_seconds,                                                  \
      "End of the TLS certificate that ends first, seconds since 1970; 0: no TLS here")
CDN_METRICS_STRUCT(edge_service_metrics, EDGE_SERVICE_METRICS);

#endif
