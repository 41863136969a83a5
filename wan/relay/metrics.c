/* metrics: the rows of metrics.h as a table; its own file, because the daemon prints what the relay counts,
 * and neither should own the names. */
#include "wan/relay/metrics.h"

#include "common/banned.h"

const struct cdn_metric_row wan_metric_rows[WAN_METRIC_COUNT] = {
#define X(kind_, field, name_, labels_, help_) \
    {.kind = CDN_METRIC_##kind_, .name = name_, .labels = labels_, .help = help_},
    WAN_METRICS(X)
#undef X
};
