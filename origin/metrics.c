/* metrics: the rows of metrics.h as a table; its own file, because the daemon prints them and each
 * worker counts into them, and neither should own the names. */
#include "origin/metrics.h"

#include "common/banned.h"

const struct cdn_metric_row origin_metric_rows[ORIGIN_METRIC_COUNT] = {
#define X(kind_, field, name_, labels_, help_) \
    {.kind = CDN_METRIC_##kind_, .name = name_, .labels = labels_, .help = help_},
    ORIGIN_METRICS(X)
#undef X
};
