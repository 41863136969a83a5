/* dns_metrics: kinds and codes are counted by a table of those that have a row, the rest as
 * "other": else a stranger's queries would make as many rows as there are types. */
#include "router/dns/dns_metrics.h"

#include "common/mem.h"

#include <stddef.h>

#include "common/banned.h"

#define TRANSPORT_ROW(name, word) \
    CDN_METRIC_LABELLED(COUNTER, "dns_query_total", "transport=\"" word "\"", "DNS queries by transport")
#define TYPE_ROW(name, number, word) \
    CDN_METRIC_LABELLED(COUNTER, "dns_query_type_total", "type=\"" word "\"", "DNS queries by type")
#define RCODE_ROW(number, word) \
    CDN_METRIC_LABELLED(COUNTER, "dns_answer_total", "rcode=\"" word "\"", "DNS answers by code")

static const struct cdn_metric_row rows[] = {DNS_METRICS(CDN_METRIC_ROW) DNS_TRANSPORTS(
    TRANSPORT_ROW) DNS_TYPE_WORDS(TYPE_ROW) TYPE_ROW(OTHER, 0, "other") DNS_RCODES(RCODE_ROW)};
_Static_assert(CDN_ARRAY_LEN(rows) == DNS_METRIC_COUNT, "a row for each counter");

void dns_metrics_count_type(struct dns_metrics *m, unsigned type)
{
    enum dns_type at = DNS_TYPE_OTHER;
    switch (type) {
#define X(name, number, word) \
    case number:              \
        at = DNS_TYPE_##name; \
        break;
        DNS_TYPE_WORDS(X)
#undef X
    default:
        break;
    }
    cdn_metric_add(&m->types[at], 1);
}

void dns_metrics_count_rcode(struct dns_metrics *m, unsigned rcode)
{
    static const unsigned numbers[] = {
#define X(number, word) number,
        DNS_RCODES(X)
#undef X
    };
    _Static_assert(CDN_ARRAY_LEN(numbers) == DNS_RCODE_COUNTED, "a counter for each code");
    for (size_t i = 0; i < CDN_ARRAY_LEN(numbers); i++) {
        if (numbers[i] == rcode) {
            cdn_metric_add(&m->rcodes[i], 1);
        }
    }
}

void dns_metrics_print(const uint64_t *values, struct cdn_buf *out)
{
    cdn_metrics_prometheus("pocketcdn_router_", rows, values, CDN_ARRAY_LEN(rows), out);
}
