/* metrics: what the origin counts, one row each. Every worker owns one struct and is its only writer. */
#ifndef CDN_ORIGIN_METRICS_H
#define CDN_ORIGIN_METRICS_H
#include "common/daemon/metrics.h"

#include <stddef.h>
#include <stdint.h>

#define ORIGIN_METRICS(X) /* kind, field, name, labels, help */                                            \
    X(COUNTER, status_2xx, "request_total", "class=\"2xx\"", "Requests answered, by class of the status")  \
    X(COUNTER, status_3xx, "request_total", "class=\"3xx\"", "Requests answered, by class of the status")  \
    X(COUNTER, status_4xx, "request_total", "class=\"4xx\"", "Requests answered, by class of the status")  \
    X(COUNTER, status_5xx, "request_total", "class=\"5xx\"", "Requests answered, by class of the status")  \
    X(COUNTER, refused, "refused_total", NULL, "Requests refused before they were understood, or cut off") \
    X(COUNTER, proxied, "proxy_header_total", NULL, "Connections that began with a PROXY protocol header") \
    X(COUNTER, proxied_badly, "proxy_header_refused_total", NULL,                                          \
      "Connections of trusted proxies refused for their PROXY header")                                     \
    X(COUNTER, not_modified, "not_modified_total", NULL, "Answers 304: the client's copy was still good")  \
    X(COUNTER, range_single, "range_total", "parts=\"one\"", "Answers 206, by number of parts")            \
    X(COUNTER, range_multi, "range_total", "parts=\"several\"", "Answers 206, by number of parts")         \
    X(COUNTER, body_bytes, "body_bytes_total", NULL, "Bytes of bodies of complete answers")                \
    X(COUNTER, precompressed, "precompressed_total", NULL, "Answers with a compressed sibling")            \
    X(COUNTER, ready_hit, "ready_hit_total", NULL, "Answers from memory, without opening a file")          \
    X(COUNTER, sent_file, "sendfile_total", NULL, "Answers sent from a file by the kernel")                \
    X(COUNTER, hash_wait, "hash_wait_total", NULL, "Requests that waited for the hash of a large file")    \
    X(COUNTER, aborted, "aborted_total", NULL, "Answers that did not reach their end")                     \
    X(COUNTER, changed, "changed_while_sent_total", NULL, "Answers broken off because the file changed")   \
    X(GAUGE, ready_bytes, "ready_bytes", NULL, "Memory of the files kept ready")                           \
    X(GAUGE, ready_files, "ready_files", NULL, "Paths kept ready")

struct origin_metrics {
#define X(kind, field, name, labels, help) _Atomic uint64_t field;
    ORIGIN_METRICS(X)
#undef X
};
#define ORIGIN_METRIC_COUNT (sizeof(struct origin_metrics) / sizeof(uint64_t))

extern const struct cdn_metric_row origin_metric_rows[ORIGIN_METRIC_COUNT];

#endif
