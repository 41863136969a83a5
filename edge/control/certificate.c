/* certificate: names the edge's settings and workers to what it shares with the router
 * (common/daemon/daemon_tls.h), and keeps the metric of the first end. */
#include "edge/control/certificate.h"

#include "common/config/config.h"
#include "common/daemon/daemon_tls.h"
#include "common/daemon/metrics.h"
#include "common/http/server/tls_set.h"
#include "common/mem.h"
#include "common/status.h"
#include "edge/base/metrics.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"

#include <stdint.h>

#include "common/banned.h"

static void note_end(struct edge *edge)
{
    cdn_metric_set(&edge->service.certificate_expires_seconds, (uint64_t)cdn_tls_set_expires_s(edge->tls));
}

enum cdn_status edge_certificate_read(struct edge *edge, struct cdn_error *err)
{
    CDN_AUTOFREE const char **certificates = cdn_config_items(&edge->settings.tls_certificate);
    CDN_AUTOFREE const char **keys = cdn_config_items(&edge->settings.tls_key);
    const enum cdn_status status = cdn_tls_set_read(certificates, keys, &edge->tls, err);
    note_end(edge);
    return status;
}

enum cdn_status edge_certificate_reread(const struct edge *edge, const struct edge_settings *next,
                                        struct cdn_tls_set **ret, struct cdn_error *err)
{
    CDN_AUTOFREE const char **certificates = cdn_config_items(&next->tls_certificate);
    CDN_AUTOFREE const char **keys = cdn_config_items(&next->tls_key);
    return daemon_tls_reread(edge->tls, certificates, keys, ret, err);
}

void edge_certificate_use(struct edge *edge, struct cdn_tls_set *take_set)
{
    if (!take_set) {
        return;
    }
    cdn_tls_set_unref(edge->tls);
    edge->tls = take_set;
    note_end(edge);
    for (unsigned i = 0; i < edge->worker_count; i++) {
        daemon_tls_give(edge->tls, edge->worker[i].loop, &edge->worker[i].server);
    }
}
