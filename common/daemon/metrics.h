/* metrics: counters, gauges and histograms from one table of rows.
 *
 *     #define ORIGIN_METRICS(X) \
 *         X(COUNTER, request_total, "Requests answered") \
 *         X(GAUGE, open_connections, "Connections open now")
 *     CDN_METRICS_STRUCT(origin_metrics, ORIGIN_METRICS);
 *     static const struct cdn_metric_row rows[] = {ORIGIN_METRICS(CDN_METRIC_ROW)};
 *
 * The struct is an array of counters with names: cdn_metrics_sum reads it as such, so it holds nothing else.
 * Each thread owns one (aligned to 64 bytes: no shared cache line) and is the only one that writes it: a
 * relaxed load and store, no locked instruction. A reader sums the structs of all threads with relaxed loads.
 *
 * Label sets that are tables themselves (verdict, cause) get one row per label:
 *     #define X(word) CDN_METRIC_LABELLED(COUNTER, "miss_total", "cause=\"" #word "\"", "Misses by cause")
 */
#ifndef CDN_COMMON_METRICS_H
#define CDN_COMMON_METRICS_H
#include "common/str.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum cdn_metric_kind { CDN_METRIC_COUNTER, CDN_METRIC_GAUGE };

struct cdn_metric_row {
    enum cdn_metric_kind kind;
    const char *name;   /* without the program's prefix: "request_total" */
    const char *labels; /* `verdict="hit"` or NULL; rows of one name stand together */
    const char *help;
};

#define CDN_METRIC_FIELD(kind, field, help) _Atomic uint64_t field;
#define CDN_METRICS_STRUCT(tag, TABLE) \
    struct tag {                       \
        TABLE(CDN_METRIC_FIELD)        \
    }
#define CDN_METRIC_LABELLED(kind_, name_, labels_, help_) \
    {.kind = CDN_METRIC_##kind_, .name = name_, .labels = labels_, .help = help_},
#define CDN_METRIC_ROW(kind_, field_, help_) CDN_METRIC_LABELLED(kind_, #field_, NULL, help_)

static inline uint64_t cdn_metric_get(const _Atomic uint64_t *m)
{
    return atomic_load_explicit(m, memory_order_relaxed);
}
static inline void cdn_metric_set(_Atomic uint64_t *m, uint64_t n) /* only by the owning thread */
{
    atomic_store_explicit(m, n, memory_order_relaxed);
}
static inline void cdn_metric_add(_Atomic uint64_t *m, uint64_t n) /* only by the owning thread */
{
    cdn_metric_set(m, cdn_metric_get(m) + n);
}

/* Latency histogram; same ownership. Bucket i counts what took at most 16 << i microseconds (16 us to 33.6 s)
 * and more than the bucket before; the last one has no upper bound. */
#define CDN_HISTOGRAM_BUCKETS 23
struct cdn_histogram {
    _Atomic uint64_t bucket[CDN_HISTOGRAM_BUCKETS];
    _Atomic uint64_t sum_us;
};
void cdn_histogram_add(struct cdn_histogram *h, uint64_t us);

/* Prometheus text and JSON of `count` rows whose values are summed in `values` (same order). `prefix` as
 * "pocketcdn_edge_". The JSON object maps `name` or `name{labels}` to a number. */
void cdn_metrics_prometheus(const char *prefix, const struct cdn_metric_row *rows, const uint64_t *values,
                            size_t count, struct cdn_buf *out);
void cdn_metrics_json(const struct cdn_metric_row *rows, const uint64_t *values, size_t count, json_t *into);
/* Adds the `count` values at `from` (a metrics struct seen as an array) to `into`. */
void cdn_metrics_sum(const void *from, uint64_t *into, size_t count);
/* One histogram, summed over the threads' parts; bounds and sum in seconds. */
void cdn_histogram_prometheus(const char *prefix, const char *name, const char *help,
                              const struct cdn_histogram *const *parts, size_t part_count,
                              struct cdn_buf *out);

#endif
