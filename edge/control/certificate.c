/* certificate: a new pair goes to each worker as a message, since a listener is touched by its
 * own thread only; the pair is counted, and the last one that took it frees it. */
#include "edge/control/certificate.h"

#include "common/clock.h"
#include "common/daemon/metrics.h"
#include "common/http/server/http_server.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "edge/base/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/banned.h"

enum cdn_status edge_certificate_read(const struct edge_settings *s, struct cdn_tls_pair *ret,
                                      struct cdn_error *err)
{
    struct cdn_tls_pair pair = {0};
    if (!s->tls_certificate[0] != !s->tls_key[0]) {
        return cdn_error_set(err, CDN_USAGE, "%s is set without %s: TLS needs both",
                             s->tls_key[0] ? "tls_key" : "tls_certificate",
                             s->tls_key[0] ? "tls_certificate" : "tls_key");
    }
    if (s->tls_certificate[0]) {
        enum cdn_status status = cdn_tls_pair_read(s->tls_certificate, s->tls_key, &pair, err);
        if (status != CDN_OK) {
            return status;
        }
        const int64_t now_s = cdn_clock_real_ms() / 1000; /* clients judge by their own clocks */
        const char *trouble = cdn_tls_pair_trouble(&pair, now_s);
        if (trouble) {
            cdn_log(CDN_LOG_WARN, "tls_certificate",
                    "file=%s trouble=%s starts_s=%" PRId64 " expires_s=%" PRId64, s->tls_certificate, trouble,
                    pair.starts_s, pair.expires_s);
        }
    }
    *ret = pair;
    return CDN_OK;
}

enum cdn_status edge_certificate_reread(const struct edge *edge, const struct edge_settings *next,
                                        struct cdn_tls_pair *ret, struct cdn_error *err)
{
    if (!edge->settings.tls_certificate[0] != !next->tls_certificate[0]) {
        return cdn_error_set(err, CDN_CONFLICT, "tls_certificate: turning TLS on or off needs a restart");
    }
    return edge_certificate_read(next, ret, err);
}

struct change { /* one pair on its way to all workers */
    _Atomic unsigned refs;
    struct cdn_tls_pair pair;
};
struct message {
    struct edge_worker *worker;
    struct change *change;
};

static void unref(struct change *c)
{
    if (atomic_fetch_sub(&c->refs, 1) == 1) {
        cdn_tls_pair_free(&c->pair);
        free(c);
    }
}

static void change_listener(void *arg) /* worker's thread; at the end of the process without a server */
{
    struct message *m = arg;
    struct cdn_error err;
    if (m->worker->server && http_server_set_certificate(m->worker->server, m->change->pair.certificate,
                                                         m->change->pair.key, &err) != CDN_OK) {
        cdn_log(CDN_LOG_ERROR, "tls_certificate", "worker=%u error=%s", m->worker->index, err.text);
    }
    unref(m->change);
    free(m);
}

void edge_certificate_use(struct edge *edge, struct cdn_tls_pair *pair)
{
    if (!pair->certificate) {
        return;
    }
    struct change *c = cdn_calloc(1, sizeof(*c));
    c->pair = *pair;
    *pair = (struct cdn_tls_pair){0};
    cdn_metric_set(&edge->service.certificate_expires_seconds, (uint64_t)c->pair.expires_s);
    atomic_init(&c->refs, edge->worker_count + 1);
    for (unsigned i = 0; i < edge->worker_count; i++) {
        struct message *m = cdn_malloc(sizeof(*m));
        *m = (struct message){&edge->worker[i], c};
        loop_post(edge->worker[i].loop, change_listener, m);
    }
    unref(c);
}
