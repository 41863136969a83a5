#include "edge/fetch/fetch_private.h"

#include "common/http/syntax/http_date.h"
#include "common/http/syntax/http_field.h"
#include "common/log.h"
#include "common/mem.h"
#include "edge/memory/budget.h"
#include "edge/fetch/confirm.h"
#include "edge/semantics/promise.h"
#include "edge/cache/cache.h"
#include "edge/semantics/validate.h"

#include <gnutls/crypto.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/banned.h"

/* ---- references and waiters ---- */

struct edge_fetch *edge_fetch_ref(struct edge_fetch *f)
{
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return f;
}

void edge_fetch_uncharge(struct edge_fetch *f)
{
    edge_budget_others(f->charged ? -(int64_t)EDGE_BUDGET_FETCH : 0);
    f->charged = false;
}

void edge_fetch_unref(struct edge_fetch *f)
{
    if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    struct edge_cache *cache = f->owner->edge->cache;
    for (unsigned i = 0; i < f->request.candidate_count; i++) {
        edge_cache_release(cache, &f->request.candidate[i]);
    }
    edge_cache_release(cache, &f->result);
    if (f->entry) {
        edge_cache_leave(cache, f->entry);
    }
    edge_fetch_uncharge(f);
    edge_rep_unref(f->rep);
    edge_rep_unref(f->leader_rep);
    edge_body_unref(f->body);
    edge_promise_free(f->promise);
    edge_fields_free(&f->request.fields);
    free(f->request.url);
    free(f->expected_spec);
    free(f->expected_variant);
    free(f);
}

enum edge_fetch_phase edge_fetch_phase_now(struct edge_fetch *f)
{
    return atomic_load(&f->phase);
}

struct edge_rep *edge_fetch_told(const struct edge_fetch *f, bool leader)
{
    return leader && f->leader_rep ? f->leader_rep : f->rep;
}

static void tell_slot(struct edge_fetch_slot *slot)
{
    for (struct edge_fetch_waiter *w = slot->first, *next; w; w = next) {
        next = w->next;
        w->moved(w);
    }
}

static void tell_posted(void *arg)
{
    struct edge_fetch_slot *slot = arg;
    struct edge_fetch *f = slot->fetch;
    atomic_store(&slot->posted, false);
    tell_slot(slot);
    edge_fetch_unref(f);
}

static void tell_all(struct loop_deferred *d)
{
    struct edge_fetch *f = CDN_CONTAINER_OF(d, struct edge_fetch, tell);
    for (unsigned i = 0; i < f->owner->edge->worker_count; i++) {
        struct edge_fetch_slot *slot = &f->slot[i];
        if (!atomic_load(&slot->any)) {
            continue;
        }
        if (slot->worker == f->owner) {
            tell_slot(slot);
        } else if (!atomic_exchange(&slot->posted, true)) {
            edge_fetch_ref(f);
            loop_post(slot->worker->loop, tell_posted, slot);
        }
    }
    edge_fetch_unref(f);
}

void edge_fetch_tell_later(struct edge_fetch *f)
{
    if (!f->tell.queued) {
        edge_fetch_ref(f); /* tell_all gives it back */
        loop_defer(f->owner->loop, &f->tell);
    }
}

void edge_fetch_join(struct edge_fetch *f, struct edge_worker *worker, struct edge_fetch_waiter *waiter)
{
    struct edge_fetch_slot *slot = &f->slot[worker->index];
    edge_fetch_ref(f);
    waiter->next = slot->first;
    slot->first = waiter;
    atomic_store(&slot->any, true);
    atomic_store(&f->deserted, false);
}

static bool is_awaited(struct edge_fetch *f)
{
    for (unsigned i = 0; i < f->owner->edge->worker_count; i++) {
        if (atomic_load(&f->slot[i].any)) {
            return true;
        }
    }
    return false;
}

void edge_fetch_leave(struct edge_fetch *f, struct edge_worker *worker, struct edge_fetch_waiter *waiter)
{
    struct edge_fetch_slot *slot = &f->slot[worker->index];
    struct edge_fetch_waiter **link = &slot->first;
    while (*link != waiter) {
        link = &(*link)->next;
    }
    *link = waiter->next;
    atomic_store(&slot->any, slot->first != NULL);
    atomic_store(&f->deserted, !is_awaited(f));
    if (worker == f->owner && f->request.leader == waiter) { /* the leader is always the owner's */
        f->request.leader = NULL;
        if (f->body) {
            edge_body_await(f->body, false);
        }
        if (f->request.pass || edge_fetch_phase_now(f) == EDGE_FETCH_PASSING) {
            edge_fetch_end_early(f);
        }
    }
    edge_fetch_unref(f);
}

/* ---- in the entry's list ---- */

void edge_fetch_list_locked(struct edge_fetch *f)
{
    f->next = f->entry->use->fetches;
    f->entry->use->fetches = f;
    f->listed = true;
}

static void unlist_locked(struct edge_fetch *f)
{
    if (f->listed) {
        struct edge_fetch **link = &f->entry->use->fetches;
        while (*link != f) {
            link = &(*link)->next;
        }
        *link = f->next;
        f->listed = false;
    }
}

void edge_fetch_unlist(struct edge_fetch *f)
{
    if (f->entry) {
        edge_cache_lock(f->owner->edge->cache);
        unlist_locked(f);
        edge_cache_unlock(f->owner->edge->cache);
    }
}

bool edge_fetch_is_whole(const struct edge_fetch *f)
{
    return atomic_load(&((struct edge_fetch *)(uintptr_t)f)->phase) == EDGE_FETCH_STORING &&
           f->rep->whole < 0;
}

/* Whether the request may wait for this fetch. The answer to an authorised request is likely to be for that
 * one alone (RFC 9111 3.5), unless something of this URL is stored; then others do not wait for it to be
 * said. */
static bool fits(const struct edge_fetch *f, const struct edge_vary_source *source, bool sure)
{
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    if (atomic_load(&((struct edge_fetch *)(uintptr_t)f)->phase) == EDGE_FETCH_STORING) {
        return edge_rep_suits(f->rep, source);
    }
    return !sure && !f->request.parallel && (!f->request.about.authorized || f->expected_spec) &&
           (!f->expected_spec ||
            edge_vary_match(cdn_str(f->expected_spec), cdn_str(f->expected_variant), source, &scratch));
}

struct edge_fetch *edge_fetch_find_locked(struct edge_entry *e, const struct edge_vary_source *source,
                                          bool sure)
{
    struct edge_fetch *f = e->use->fetches;
    while (f && ((f->request.ranged && !edge_fetch_is_whole(f)) || !fits(f, source, sure))) {
        f = f->next;
    }
    return f;
}

struct edge_fetch *edge_fetch_find_part_locked(struct edge_entry *e, const struct edge_vary_source *source,
                                               uint64_t at)
{
    struct edge_fetch *f = e->use->fetches;
    while (f && (!f->request.ranged || at < f->request.range_first || at > f->request.range_last ||
                 !fits(f, source, false))) {
        f = f->next;
    }
    return f;
}

/* ---- life ---- */

struct edge_fetch *edge_fetch_create(struct edge_worker *owner, struct edge_entry *entry,
                                     const struct edge_request_control *control,
                                     struct edge_fetch_request *request)
{
    const unsigned workers = owner->edge->worker_count;
    struct edge_fetch *f = cdn_calloc(1, sizeof *f + workers * sizeof f->slot[0]);
    struct cdn_str cookie;
    atomic_init(&f->refs, 1);
    f->owner = owner;
    f->entry = entry;
    f->request = *request;
    f->control = *control;
    f->request.about.control = &f->control;
    f->request.about.has_cookie =
        http_fields_find(f->request.fields.item, f->request.fields.count, CDN_STR("Cookie"), &cookie) > 0;
    f->tell.call = tell_all;
    f->may_keep = true;
    f->origin_us = -1;
    for (unsigned i = 0; i < workers; i++) {
        f->slot[i].fetch = f;
        f->slot[i].worker = &owner->edge->worker[i];
    }
    *request = (struct edge_fetch_request){0};
    return f;
}

/* An origin known to be away is not waited for: what is stale is served at once. A refresh that nobody waits
 * for has its own pauses. */
static int64_t retry_ms(const struct edge_fetch *f)
{
    const struct edge *edge = f->owner->edge;
    const bool worth = !f->request.background && edge_breaker_state(&edge->breaker) == EDGE_ORIGIN_UP;
    return worth ? edge->settings.origin_retry : 0;
}

void edge_fetch_start(struct edge_fetch *f)
{
    struct edge_worker *w = f->owner;
    f->request_ms = loop_now_ms(w->loop);
    struct http_fetch_request r = {
        .method = f->request.method,
        .url = f->request.url,
        .fields = f->request.fields.item,
        .field_count = f->request.fields.count,
        .has_body = f->request.has_body,
        .body_length = f->request.body_length,
        .expect_continue = f->request.expect_continue,
        .read_body = f->request.read_body,
        .handler = &edge_fetch_handler,
        .arg = f,
        .retry_ms = retry_ms(f),
    };
    edge_budget_others(f->charged ? 0 : EDGE_BUDGET_FETCH);
    f->charged = true;
    edge_fetch_ref(f); /* until on_end or edge_fetch_end_early */
    cdn_metric_add(&w->metrics.origin_request_total, 1);
    f->http = http_fetch_start(f->request.upgrade ? w->upgrades : w->client, &r);
}

void edge_fetch_publish(struct edge_fetch *f, enum edge_fetch_phase phase)
{
    atomic_store(&f->phase, phase);
    edge_fetch_tell_later(f);
}

void edge_fetch_fail(struct edge_fetch *f, enum http_fetch_error error)
{
    edge_fetch_unlist(f);
    f->error = error;
    atomic_store(&f->finished, true);
    edge_fetch_publish(f, EDGE_FETCH_FAILED);
}

/* Nobody wants it any more. */
void edge_fetch_end_early(struct edge_fetch *f)
{
    if (!f->http) {
        return;
    }
    http_fetch_cancel(CDN_TAKE(f->http));
    edge_fetch_uncharge(f);
    if (f->body) {
        edge_body_finish(f->body, false);
    }
    if (edge_fetch_phase_now(f) == EDGE_FETCH_ASKING) {
        edge_fetch_fail(f, HTTP_FETCH_ABORTED);
    }
    atomic_store(&f->finished, true);
    edge_fetch_unref(f);
}

static bool is_worth_going_on(struct edge_fetch *f)
{
    const struct edge_settings *s = &f->owner->edge->settings;
    const uint64_t have = edge_body_length(f->body);
    if (!f->may_keep || f->request.ranged || f->request.for_range) {
        return f->may_keep;
    }
    return f->content_length < 0 ? have <= s->abandon_size
                                 : (uint64_t)f->content_length <= s->abandon_size ||
                                       (double)have >= s->abandon_part * (double)f->content_length;
}

bool edge_fetch_abandon(struct edge_fetch *f)
{
    struct edge_cache *cache = f->owner->edge->cache;
    if (!atomic_load_explicit(&f->deserted, memory_order_relaxed) || f->request.background || !f->entry ||
        edge_fetch_phase_now(f) != EDGE_FETCH_STORING || is_worth_going_on(f)) {
        return false;
    }
    edge_cache_lock(cache); /* nobody joins meanwhile */
    const bool awaited = is_awaited(f);
    if (!awaited) {
        unlist_locked(f);
    }
    edge_cache_unlock(cache);
    if (!awaited) {
        edge_fetch_end_early(f);
    }
    return !awaited;
}

static void resume_posted(void *arg)
{
    struct edge_fetch *f = arg;
    if (f->http) {
        http_fetch_resume(f->http);
    }
    edge_fetch_unref(f);
}

void edge_fetch_room_again(void *arg) /* any thread */
{
    struct edge_fetch *f = arg;
    edge_fetch_ref(f);
    loop_post(f->owner->loop, resume_posted, f);
}

void edge_fetch_body_ready(struct edge_fetch *f)
{
    if (f->http) {
        http_fetch_resume(f->http);
    }
}
