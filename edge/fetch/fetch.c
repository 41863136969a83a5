/* fetch: who waits, who may join, and how they are told. The lists of running fetches have locks
 * of their own, by entry, so that joining one does not hold up look-ups of other keys. What an
 * answer means is in fetch_answer.c and confirm.c. */
#include "edge/fetch/fetch.h"

#include "common/http/client/http_client.h"
#include "common/http/syntax/http_field.h"
#include "common/lock.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/base/settings.h"
#include "edge/base/tuning.h"
#include "edge/base/worker.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/fetch/body.h"
#include "edge/fetch/fetch_private.h"
#include "edge/memory/budget.h"
#include "edge/memory/lock_order.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/promise.h"
#include "edge/semantics/storable.h"
#include "edge/semantics/vary.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

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
    edge_body_destroy(f->body);
    edge_promise_free(f->promise);
    edge_fields_free(&f->request.fields);
    edge_tuning_unref(f->request.tuning);
    edge_blob_unref(f->request.body);
    free(f->request.path);
    free(f->request.host);
    free(f->request.key);
    free(f->url);
    free(f->expected_spec);
    free(f->expected_variant);
    free(f);
}

enum edge_fetch_phase edge_fetch_phase_now(const struct edge_fetch *f)
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

static void join(struct edge_fetch *f, struct edge_worker *worker, struct edge_fetch_waiter *waiter)
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

/* One lock for the lists of many entries. Held for moments; the cache's lock may be taken under it. */
#define LISTS 64u
static struct {
    _Alignas(64) struct cdn_lock lock;
} lists[LISTS];

static void __attribute__((constructor)) make_lists(void)
{
    for (unsigned i = 0; i < LISTS; i++) {
        cdn_lock_init(&lists[i].lock, EDGE_LOCK_FETCHES);
    }
}

static struct cdn_lock *lock_list(const struct edge_entry *e)
{
    struct cdn_lock *lock = &lists[e->hash % LISTS].lock;
    cdn_lock_take(lock);
    return lock;
}

static void list_locked(struct edge_fetch *f)
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
        struct cdn_lock *lock = lock_list(f->entry);
        unlist_locked(f);
        cdn_lock_drop(lock);
    }
}

bool edge_fetch_is_running(const struct edge_entry *e)
{
    struct cdn_lock *lock = lock_list(e);
    const bool running = e->use->fetches != NULL;
    cdn_lock_drop(lock);
    return running;
}

bool edge_fetch_is_whole(const struct edge_fetch *f)
{
    return edge_fetch_phase_now(f) == EDGE_FETCH_STORING && f->rep->whole < 0;
}

/* Whether the request may wait for this fetch. The answer to an authorised request is likely to be for that
 * one alone (RFC 9111 3.5), unless something of this URL is stored; then others do not wait for it to be
 * said. */
static bool fits(const struct edge_fetch *f, const struct edge_vary_source *source, bool sure)
{
    CDN_AUTOBUF struct cdn_buf scratch = {0};
    if (edge_fetch_phase_now(f) == EDGE_FETCH_STORING) {
        return edge_cache_rep_suits(f->rep, source);
    }
    return !sure && !f->scope.parallel && (!f->scope.authorized || f->expected_spec) &&
           (!f->expected_spec ||
            edge_vary_match(cdn_str(f->expected_spec), cdn_str(f->expected_variant), source, &scratch));
}

static struct edge_fetch *find_whole(struct edge_entry *e, const struct edge_vary_source *source, bool sure)
{
    struct edge_fetch *f = e->use->fetches;
    while (f && ((f->scope.ranged && !edge_fetch_is_whole(f)) || !fits(f, source, sure))) {
        f = f->next;
    }
    return f;
}

static struct edge_fetch *find_part(struct edge_entry *e, const struct edge_vary_source *source, uint64_t at)
{
    struct edge_fetch *f = e->use->fetches;
    while (f && (!f->scope.ranged || at < f->scope.range_first || at > f->scope.range_last ||
                 !fits(f, source, false))) {
        f = f->next;
    }
    return f;
}

bool edge_fetch_is_near(struct edge_entry *e, const struct edge_vary_source *source, uint64_t at,
                        uint64_t ahead)
{
    struct cdn_lock *lock = lock_list(e);
    struct edge_fetch *f = find_whole(e, source, false);
    const bool near = f && (f->scope.ranged || edge_fetch_phase_now(f) != EDGE_FETCH_STORING ||
                            at <= edge_body_length(f->body) + ahead);
    cdn_lock_drop(lock);
    return near;
}

/* ---- life ---- */

static struct edge_fetch *create(struct edge_worker *owner, struct edge_entry *entry, uint64_t purge_number)
{
    const unsigned workers = owner->edge->worker_count;
    struct edge_fetch *f = cdn_calloc(1, sizeof(*f) + workers * sizeof(f->slot[0]));
    atomic_init(&f->refs, 1);
    f->owner = owner;
    f->entry = entry;
    f->purge_number = purge_number;
    f->tell.call = tell_all;
    f->may_keep = true;
    f->origin_us = -1;
    for (unsigned i = 0; i < workers; i++) {
        f->slot[i].fetch = f;
        f->slot[i].worker = &owner->edge->worker[i];
    }
    return f;
}

struct edge_fetch *edge_fetch_make_alone(struct edge_worker *worker, struct edge_entry *entry,
                                         uint64_t purge_number, struct edge_fetch_waiter *waiter)
{
    struct edge_fetch *f = create(worker, entry, purge_number);
    join(f, worker, waiter);
    return f;
}

static struct edge_fetch *make_locked(struct edge_worker *worker, struct edge_entry *entry,
                                      const struct edge_fetch_wish *wish)
{
    struct edge_fetch *f =
        create(worker, edge_cache_ref(worker->edge->cache, entry), wish->moment.purge_number);
    f->scope = wish->scope;
    if (wish->newest) {
        CDN_AUTOBUF struct cdn_buf variant = {0};
        edge_vary_key(edge_rep_spec(wish->newest), wish->source, &variant);
        f->expected_spec = cdn_str_dup(edge_rep_spec(wish->newest));
        f->expected_variant = cdn_str_dup(cdn_buf_str(&variant));
    }
    list_locked(f);
    return f;
}

/* A fetch publishes before it leaves the list: when it is not there any more, its answer is in the index, and
 * the entry's number has changed. */
struct edge_fetch *edge_fetch_join_or_make(struct edge_worker *worker, struct edge_entry *entry,
                                           const struct edge_fetch_wish *wish,
                                           struct edge_fetch_waiter *waiter, bool *ret_made)
{
    struct cdn_lock *lock = lock_list(entry);
    struct edge_fetch *f = wish->scope.ranged ? find_part(entry, wish->source, wish->at)
                                              : find_whole(entry, wish->source, wish->sure);
    *ret_made = false;
    if (f && !waiter) {
        f = NULL;
    } else if (!f && !wish->only_join &&
               atomic_load_explicit(&entry->use->published, memory_order_acquire) == wish->moment.published) {
        f = make_locked(worker, entry, wish);
        *ret_made = true;
    }
    if (f && waiter) {
        join(f, worker, waiter);
    }
    cdn_lock_drop(lock);
    return f;
}

void edge_fetch_start(struct edge_fetch *f, const struct edge_request_control *control,
                      struct edge_fetch_request *request)
{
    struct cdn_str cookie;
    f->request = *request;
    *request = (struct edge_fetch_request){0};
    f->control = *control;
    f->request.about.control = &f->control;
    f->request.about.has_cookie =
        http_fields_find(f->request.fields.item, f->request.fields.count, CDN_STR("Cookie"), &cookie) > 0;
    edge_fetch_send(f);
    edge_fetch_unref(f);
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
    if (!f->may_keep || f->scope.ranged || f->request.for_range) {
        return f->may_keep;
    }
    return f->content_length < 0 ? have <= s->abandon_size
                                 : (uint64_t)f->content_length <= s->abandon_size ||
                                       (double)have >= s->abandon_part * (double)f->content_length;
}

bool edge_fetch_abandon(struct edge_fetch *f)
{
    if (!atomic_load_explicit(&f->deserted, memory_order_relaxed) || f->request.background || !f->entry ||
        edge_fetch_phase_now(f) != EDGE_FETCH_STORING || is_worth_going_on(f)) {
        return false;
    }
    struct cdn_lock *lock = lock_list(f->entry); /* nobody joins meanwhile */
    const bool awaited = is_awaited(f);
    if (!awaited) {
        unlist_locked(f);
    }
    cdn_lock_drop(lock);
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
