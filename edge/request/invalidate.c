/* The URL itself, and those of the same origin that the answer names in Location and Content-Location:
 * they are what the request has probably changed, too; and the cache groups that it names. An answer that
 * is stored itself takes the URL's place. */
#include "edge/request/invalidate.h"

#include "common/daemon/metrics.h"
#include "common/http/server/http_server.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/metrics.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/fetch/fetch.h"
#include "edge/purge/purge.h"
#include "edge/semantics/groups.h"
#include "edge/semantics/head.h"
#include "edge/semantics/invalidation.h"
#include "edge/semantics/storable.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

#define GROUPS_MAX 1024u /* of one answer */

static void invalidate(struct edge_txn *t, struct cdn_str key)
{
    cdn_metric_add(&t->worker->metrics.invalidated_total,
                   edge_purge_key(t->worker->edge, key, false, t->now_ms));
}

static void invalidate_reference(struct edge_txn *t, const struct edge_head *head, enum edge_head_field field)
{
    CDN_AUTOBUF struct cdn_buf url = {0};
    struct cdn_str reference = edge_head_get(head, field);
    if (!reference.p) {
        return;
    }
    /* Against the URL as the client and as the origin see it: either may stand in the answer. */
    if (edge_invalidation_target(cdn_buf_str(&t->key), reference, &url)) {
        struct edge_purge p = {.kind = EDGE_PURGE_URL, .text = cdn_buf_str(&url)};
        uint64_t count = 0;
        if (edge_purge_apply(t->worker->edge, &p, t->now_ms, &count, NULL) == CDN_OK) {
            cdn_metric_add(&t->worker->metrics.invalidated_total, count);
        }
    }
}

/* RFC 9875 3; not what else those answers have to do with others. */
static void invalidate_groups(struct edge_txn *t, const struct edge_head *head)
{
    CDN_AUTOBUF struct cdn_buf value = {0};
    CDN_AUTOBUF struct cdn_buf group = {0};
    unsigned count = 0;
    if (!edge_head_join_named(head, CDN_STR("Cache-Group-Invalidation"), &value) ||
        !edge_groups_valid(cdn_buf_str(&value))) {
        return;
    }
    for (struct cdn_str rest = cdn_buf_str(&value);
         count++ < GROUPS_MAX && edge_groups_next(&rest, &group);) {
        const uint64_t gone = edge_cache_purge_group(t->worker->edge->cache, cdn_buf_str(&t->key),
                                                     cdn_buf_str(&group), t->now_ms);
        cdn_metric_add(&t->worker->metrics.invalidated_total, gone);
    }
}

void edge_invalidate_after_unsafe(struct edge_txn *t)
{
    const struct edge_head *head = t->fetch->rep->head;
    if (!edge_invalidation_due(t->http->method, edge_head_status(head))) {
        return;
    }
    invalidate_groups(t, head);
    invalidate_reference(t, head, EDGE_HEAD_LOCATION);
    if (!edge_store_reason_ok(
            t->fetch->reason)) { /* else the answer itself takes the place of what was stored */
        invalidate(t, cdn_buf_str(&t->key));
        invalidate_reference(t, head, EDGE_HEAD_CONTENT_LOCATION);
    }
}
