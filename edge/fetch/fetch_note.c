/* fetch_note: what an answer, or its want, means for others than those who wait for it: for what is
 * stored, for those who ask next, for the breaker and the counters. The owner's thread. */
#include "common/daemon/metrics.h"
#include "common/http/client/http_client.h"
#include "common/loop.h"
#include "common/str.h"
#include "edge/base/metrics.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/cache/ghost.h"
#include "edge/cache/object.h"
#include "edge/fetch/fetch.h"
#include "edge/fetch/fetch_private.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/storable.h"
#include "edge/semantics/vary.h"
#include "edge/site/breaker.h"
#include "edge/site/origin.h"
#include "edge/site/rule.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "common/banned.h"

/* Whether the origin had something to use in place of what is stored; if not, it is not asked for this URL
 * again at once. */
static void note_refresh(struct edge_fetch *f, bool good)
{
    struct edge_cache *cache = f->owner->edge->cache;
    if (!f->entry || f->request.pass || !f->request.candidate_count) {
        return;
    }
    if (good) {
        edge_cache_refresh_answered(cache, f->entry);
    } else {
        edge_cache_refresh_failed(cache, f->entry, loop_now_ms(f->owner->loop));
    }
}

void edge_fetch_note_answer(struct edge_fetch *f, unsigned status)
{
    struct edge_worker *w = f->owner;
    note_refresh(f, !edge_freshness_status_is_error(status));
    edge_breaker_reached(&f->origin->breaker);
    cdn_metric_add(&w->metrics.origin_error_total, edge_freshness_status_is_error(status));
}

void edge_fetch_note_failure(struct edge_fetch *f, enum http_fetch_error error)
{
    note_refresh(f, false);
    cdn_metric_add(&f->owner->metrics.origin_error_total, edge_breaker_kind(error) != EDGE_ORIGIN_UP);
}

void edge_fetch_note_origin(struct edge_fetch *f, enum http_fetch_error error)
{
    struct edge_breaker *breaker = &f->origin->breaker;
    const enum edge_origin_state kind = edge_breaker_kind(error);
    if (kind == EDGE_ORIGIN_DISCONNECTED) {
        edge_breaker_unreachable(breaker, loop_mono_ns(f->owner->loop));
    } else if (kind == EDGE_ORIGIN_ERROR) {
        edge_breaker_reached(breaker);
    }
    atomic_fetch_add_explicit(&f->origin->failures, kind != EDGE_ORIGIN_UP, memory_order_relaxed);
}

void edge_fetch_note_time(struct edge_fetch *f)
{
    struct http_fetch_times times;
    http_fetch_times_get(f->http, &times);
    f->origin_us = times.first_byte_us;
    cdn_histogram_add(&f->owner->metrics.origin_time,
                      (uint64_t)(times.first_byte_us > 0 ? times.first_byte_us : 0));
}

/* The stale answer that the request selects, after the origin gave another in its place that may not be
 * stored. */
static void settle(struct edge_fetch *f, const struct edge_hold *stale, bool gone)
{
    struct edge_cache *cache = f->owner->edge->cache;
    if (gone) {
        edge_cache_remove(cache, stale->object, EDGE_GHOST_EXPIRED);
    } else if (stale->rep->fresh.swr_s > 0) {
        struct edge_freshness fresh = stale->rep->fresh;
        fresh.swr_s = 0;
        (void)edge_cache_refresh(cache, stale->object,
                                 edge_rep_with(stale->rep, NULL, &fresh, stale->rep->stored_ms),
                                 f->purge_number);
    }
}

void edge_fetch_note_unstorable(struct edge_fetch *f, unsigned status, int64_t now_ms)
{
    const enum edge_aftermath after = edge_storable_aftermath(f->reason, &f->request.about, status);
    struct edge_vary_fields from = {f->request.fields.item, f->request.fields.count};
    struct edge_vary_source source = {edge_fetch_sent_get, &from, cdn_str(f->request.rule->key_names)};
    if (after == EDGE_AFTER_NOTHING) {
        return;
    }
    for (unsigned i = 0; after != EDGE_AFTER_PARALLEL && i < f->request.candidate_count; i++) {
        const struct edge_hold *c = &f->request.candidate[i];
        if (edge_freshness_left(&c->rep->fresh, now_ms) <= 0 && edge_cache_rep_suits(c->rep, &source)) {
            settle(f, c, after == EDGE_AFTER_GONE);
        }
    }
    edge_cache_note_unstorable(f->owner->edge->cache, f->entry, f->reason, now_ms);
}

void edge_fetch_note_range(struct edge_fetch *f, unsigned status, int64_t now_ms)
{
    struct edge_cache *cache = f->owner->edge->cache;
    if (!f->entry || f->request.pass || !(f->scope.ranged || f->request.for_range)) {
        return;
    }
    if (status == 206) {
        edge_cache_note_ranged(cache, f->entry);
    } else if (status == 200) {
        const bool too_large = edge_store_reason_ok(f->reason) && !f->may_keep;
        edge_cache_note_whole(cache, f->entry, !too_large, now_ms);
    }
}

void edge_fetch_note_homeless(struct edge_fetch *f)
{
    struct edge_cache *cache = f->owner->edge->cache;
    if ((f->scope.ranged || f->request.for_range) && edge_fetch_is_whole(f) && !atomic_load(&f->kept)) {
        if (f->purge_number == edge_cache_purge_number(cache)) { /* else a purge may be why */
            edge_cache_note_whole(cache, f->entry, false, loop_now_ms(f->owner->loop));
        }
    }
}
