/* metrics: counters as text for Prometheus and as JSON. A struct of counters is summed as the array
 * that it is: a row added to a table is counted, summed and printed with no further line of code. */
#include "common/daemon/metrics.h"

#include "common/mem.h"

#include <inttypes.h>
#include <string.h>

#include "common/banned.h"

static const char *const kind_names[] = {[CDN_METRIC_COUNTER] = "counter", [CDN_METRIC_GAUGE] = "gauge"};

void cdn_histogram_add(struct cdn_histogram *h, uint64_t us)
{
    size_t i = us <= 16 ? 0 : 60 - (size_t)__builtin_clzll(us - 1); /* smallest i with us <= 16 << i */
    if (i >= CDN_HISTOGRAM_BUCKETS) {
        i = CDN_HISTOGRAM_BUCKETS - 1;
    }
    cdn_metric_add(&h->bucket[i], 1);
    cdn_metric_add(&h->sum_us, us);
}

/* HELP text: backslash and line feed are escaped (Prometheus text format 0.0.4). */
static void add_head(struct cdn_buf *out, const char *prefix, const char *name, const char *help,
                     const char *kind)
{
    cdn_buf_printf(out, "# HELP %s%s ", prefix, name);
    for (const char *p = help; *p; p++) {
        if (*p == '\n') {
            cdn_buf_add(out, "\\n", 2);
        } else if (*p == '\\') {
            cdn_buf_add(out, "\\\\", 2);
        } else {
            cdn_buf_add_char(out, *p);
        }
    }
    cdn_buf_printf(out, "\n# TYPE %s%s %s\n", prefix, name, kind);
}

void cdn_metrics_prometheus(const char *prefix, const struct cdn_metric_row *rows, const uint64_t *values,
                            size_t count, struct cdn_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        const struct cdn_metric_row *row = &rows[i];
        if (i == 0 || strcmp(row->name, rows[i - 1].name) != 0) {
            add_head(out, prefix, row->name, row->help, kind_names[row->kind]);
        }
        cdn_buf_printf(out, "%s%s", prefix, row->name);
        if (row->labels) {
            cdn_buf_printf(out, "{%s}", row->labels);
        }
        cdn_buf_printf(out, " %" PRIu64 "\n", values[i]);
    }
}

void cdn_metrics_json(const struct cdn_metric_row *rows, const uint64_t *values, size_t count, json_t *into)
{
    for (size_t i = 0; i < count; i++) {
        const struct cdn_metric_row *row = &rows[i];
        CDN_AUTOFREE char *key =
            row->labels ? cdn_asprintf("%s{%s}", row->name, row->labels) : cdn_strdup(row->name);
        uint64_t v = values[i] > INT64_MAX ? INT64_MAX : values[i];
        json_object_set_new(into, key, json_integer((json_int_t)v));
    }
}

void cdn_metrics_sum(const void *from, uint64_t *into, size_t count)
{
    const _Atomic uint64_t *values = from;
    for (size_t i = 0; i < count; i++) {
        into[i] += cdn_metric_get(&values[i]);
    }
}

void cdn_histogram_prometheus(const char *prefix, const char *name, const char *help,
                              const struct cdn_histogram *const *parts, size_t part_count,
                              struct cdn_buf *out)
{
    uint64_t buckets[CDN_HISTOGRAM_BUCKETS] = {0};
    uint64_t sum_us = 0;
    for (size_t i = 0; i < part_count; i++) {
        cdn_metrics_sum(parts[i]->bucket, buckets, CDN_HISTOGRAM_BUCKETS);
        sum_us += cdn_metric_get(&parts[i]->sum_us);
    }
    add_head(out, prefix, name, help, "histogram");
    uint64_t total = 0; /* Prometheus buckets are cumulative */
    for (size_t i = 0; i + 1 < CDN_HISTOGRAM_BUCKETS; i++) {
        total += buckets[i];
        cdn_buf_printf(out, "%s%s_bucket{le=\"%.6f\"} %" PRIu64 "\n", prefix, name,
                       (double)(16ull << i) / 1e6, total);
    }
    total += buckets[CDN_HISTOGRAM_BUCKETS - 1];
    cdn_buf_printf(out, "%s%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", prefix, name, total);
    cdn_buf_printf(out, "%s%s_sum %.6f\n", prefix, name, (double)sum_us / 1e6);
    cdn_buf_printf(out, "%s%s_count %" PRIu64 "\n", prefix, name, total);
}
