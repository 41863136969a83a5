/* fetch_store: what of an answer is stored: the part of the whole that it brings, the promise of its name
 * that its body keeps, and the way into the cache when it is complete. The owner's thread. */
#include "common/daemon/metrics.h"
#include "common/http/syntax/http_field_range.h"
#include "common/log.h"
#include "common/str.h"
#include "edge/base/metrics.h"
#include "edge/base/worker.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/fetch/body.h"
#include "edge/fetch/fetch.h"
#include "edge/fetch/fetch_private.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/semantics/promise.h"
#include "edge/semantics/storable.h"
#include "edge/store/store.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "common/banned.h"

bool edge_fetch_place_part(const struct edge_fetch *f, struct edge_rep *rep)
{
    const struct edge_fetch_scope *r = &f->scope;
    struct http_content_range range;
    if (!r->ranged || !http_content_range_parse(edge_head_get(rep->head, EDGE_HEAD_CONTENT_RANGE), &range) ||
        range.unsatisfied || range.complete_length < 0) {
        return false;
    }
    const uint64_t whole = (uint64_t)range.complete_length;
    const bool is_suffix = r->range_first == HTTP_RANGE_OPEN;
    const uint64_t first = !is_suffix ? r->range_first : r->range_last < whole ? whole - r->range_last : 0;
    const uint64_t last = is_suffix || r->range_last >= whole ? whole - 1 : r->range_last;
    rep->first = range.first;
    rep->whole = range.complete_length;
    return range.first == first && range.last == last;
}

/* A part that is the whole, as the complete answer that it is (RFC 9111 3.3); otherwise the part itself. A
 * new reference, or NULL when its length is not what it said. */
static struct edge_rep *as_stored(const struct edge_fetch *f, uint64_t length)
{
    struct http_content_range range;
    struct edge_rep *rep = f->rep;
    if (edge_head_status(rep->head) != 206) {
        return edge_rep_ref(rep);
    }
    if (!http_content_range_parse(edge_head_get(rep->head, EDGE_HEAD_CONTENT_RANGE), &range) ||
        length != range.last - range.first + 1) {
        return NULL;
    }
    const bool is_whole = rep->first == 0 && length == (uint64_t)rep->whole;
    return is_whole ? edge_rep_as_whole(rep) : edge_rep_ref(rep);
}

/* Whether the body that is to be stored with this head is what a content-hashed name promises. */
static enum edge_promise_state check_name(struct edge_fetch *f, const struct edge_rep *rep,
                                          const struct edge_blob *blob)
{
    char hex[33];
    if (edge_head_status(rep->head) != 200) {
        return EDGE_PROMISE_KEPT;
    }
    const struct cdn_str body = blob ? (struct cdn_str){blob->data, blob->n} : (struct cdn_str){0};
    const enum edge_promise_state state = edge_promise_check(f->promise, body, hex);
    if (state == EDGE_PROMISE_BROKEN) {
        cdn_metric_add(&f->owner->metrics.mismatch_total, 1);
        cdn_log(CDN_LOG_INFO, "hash_mismatch", "url=%s md5=%s", f->url, hex);
    }
    return state;
}

/* Whether the request was to renew what its hashed name promises: that is never replaced by another body. */
static bool renews_hashed(const struct edge_fetch *f)
{
    const struct edge_rep *old = f->request.candidate_count ? f->request.candidate[0].rep : NULL;
    return old && f->request.about.hashed_name && old->fresh.promise != EDGE_PROMISE_BROKEN &&
           edge_head_status(old->head) == 200;
}

/* An ordinary file that looks hashed (bundlers write 12 digits of other hashes), or one that cannot be
 * compared: stored with a mark that says so. */
static struct edge_rep *marked(struct edge_rep *rep, enum edge_promise_state state)
{
    struct edge_freshness fresh = rep->fresh;
    fresh.promise = (uint8_t)state;
    struct edge_rep *copy = edge_rep_with(rep, NULL, &fresh, rep->stored_ms);
    edge_rep_unref(rep);
    return copy;
}

void edge_fetch_store(struct edge_fetch *f)
{
    struct edge *edge = f->owner->edge;
    struct edge_blob *blob = edge_body_blob(f->body);
    struct edge_store_file *file = blob ? NULL : edge_body_take_file(f->body);
    struct edge_rep *rep = as_stored(f, edge_body_length(f->body));
    const bool there = (blob || file) && rep && f->may_keep;
    const enum edge_promise_state state = there ? check_name(f, rep, blob) : EDGE_PROMISE_KEPT;
    if (state != EDGE_PROMISE_KEPT) {
        rep = marked(rep, state);
    }
    if (!there || (state == EDGE_PROMISE_BROKEN && renews_hashed(f))) {
        edge_rep_unref(rep);
        edge_blob_unref(blob);
        if (file) {
            edge_store_file_abort(file);
        }
        return;
    }
    bool kept;
    edge_cache_publish(edge->cache, f->entry, f->purge_number, rep, blob, file, edge_body_length(f->body),
                       &f->result, &kept);
    atomic_store(&f->kept, kept);
    cdn_metric_add(&f->owner->metrics.stored_total, kept);
}
