/* cache_sleep: objects on disk that nobody uses leave what they say there.
 *
 * Asleep, an object has no representation in memory; the index keeps what finds, evicts and purges it. It
 * falls asleep some uses of others after its own last one: until then it rests in a ring, so that what is
 * asked for again and again does not come from disk each time. Parts (206) never sleep: there are many in one
 * entry, and they are large beside what they say.
 * Waking reads what was stored beside the body, unless that was updated since (a 304, a soft purge): then the
 * index has it, and the writer's queue is asked, after all updates that are still in it.
 */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/ghost.h"
#include "edge/cache/object.h"
#include "edge/semantics/freshness.h"
#include "edge/store/store.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

/* One object whose words are being read. It holds the object, so it cannot fall asleep again meanwhile. */
struct edge_wake {
    struct edge_wake *next;
    struct edge_cache *cache;
    struct edge_object *object; /* counted */
    struct edge_store_location location;
    bool updated;  /* as the object's when it began */
    bool softened; /* a soft purge came while it is read */
    int64_t soften_ms;
    void (*done)(void *arg);
    void *arg;
};

/* ---- falling asleep ---- */

static bool may_sleep(struct edge_object *o)
{
    const struct edge_rep *rep = atomic_load_explicit(&o->rep, memory_order_relaxed);
    return edge_object_is(o, EDGE_OBJECT_LINKED) &&
           atomic_load_explicit(&o->refs, memory_order_relaxed) == 1 && !o->entry->use &&
           !edge_object_is(o, EDGE_OBJECT_SAVING) && o->location.id &&
           !atomic_load_explicit(&o->ram, memory_order_relaxed) && rep && rep->whole < 0;
}

void edge_sleep_rest(struct edge_cache *c, struct edge_object *o)
{
    if (edge_object_is(o, EDGE_OBJECT_RESTING) || !may_sleep(o)) {
        return;
    }
    struct edge_object **place = &c->resting[c->rest_next];
    struct edge_object *longest = *place;
    *place = o;
    edge_object_set(o, EDGE_OBJECT_RESTING, true);
    c->rest_next = (c->rest_next + 1) % EDGE_RESTING;
    if (longest) {
        edge_object_set(longest, EDGE_OBJECT_RESTING, false);
    }
    if (longest && may_sleep(longest)) {
        edge_rep_unref(atomic_exchange(&longest->rep, NULL)); /* nobody has it: no need to tell of a change */
    }
}

void edge_sleep_forget(struct edge_cache *c, struct edge_object *o)
{
    for (size_t i = 0; edge_object_is(o, EDGE_OBJECT_RESTING); i++) {
        if (c->resting[i] == o) {
            c->resting[i] = NULL;
            edge_object_set(o, EDGE_OBJECT_RESTING, false);
        }
    }
}

void edge_sleep_soften(struct edge_cache *c, struct edge_object *o, int64_t now_ms)
{
    for (struct edge_wake *w = c->wakes; w; w = w->next) {
        if (w->object == o) {
            w->softened = true;
            w->soften_ms = now_ms;
        }
    }
    edge_object_set(o, EDGE_OBJECT_UPDATED, true);
    const struct edge_store_key hash = edge_entry_hash(o->entry);
    edge_store_edit(c->config.store, &hash, &o->location, edge_rep_soften_stored, now_ms);
}

/* ---- waking ---- */

static struct edge_object *first_asleep(const struct edge_entry *e)
{
    struct edge_object *o = e->objects;
    while (o && !edge_object_asleep(o)) {
        o = o->next;
    }
    return o;
}

bool edge_cache_asleep_locked(const struct edge_entry *e)
{
    return first_asleep(e) != NULL;
}

static struct edge_wake *begin(struct edge_cache *c, struct edge_entry *e)
{
    edge_cache_lock(c);
    struct edge_object *o = first_asleep(e);
    struct edge_wake *w = NULL;
    if (o) {
        w = cdn_malloc(sizeof(*w));
        atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
        *w = (struct edge_wake){.next = c->wakes,
                                .cache = c,
                                .object = o,
                                .location = o->location,
                                .updated = edge_object_is(o, EDGE_OBJECT_UPDATED)};
        c->wakes = w;
    }
    edge_cache_unlock(c);
    return w;
}

/* Another may have been quicker, or a purge. */
static void settle(struct edge_wake *w, struct edge_rep **rep, enum cdn_status status, bool rebuilt)
{
    struct edge_object *o = w->object;
    if (!edge_object_asleep(o)) {
        return;
    }
    if (!*rep) {
        if (edge_store_location_eq(&w->location, &o->location)) { /* else it was moved: another try */
            edge_cache_remove_locked(w->cache, o,
                                     status == CDN_CORRUPT ? EDGE_GHOST_CORRUPT : EDGE_GHOST_EVICTED);
        }
        return;
    }
    if (rebuilt) { /* as at a start: later confirmations and soft purges are lost with the index */
        edge_freshness_soft_purge(&(*rep)->fresh, (*rep)->stored_ms);
    }
    if (w->softened) {
        edge_freshness_soft_purge(&(*rep)->fresh, w->soften_ms);
    }
    atomic_store(&o->rep, CDN_TAKE(*rep));
}

static void end(struct edge_wake *w, enum cdn_status status, struct cdn_str meta, bool rebuilt)
{
    struct edge_cache *c = w->cache;
    struct edge_rep *rep = NULL;
    if (status == CDN_OK) {
        status = edge_rep_parse(meta, &rep, NULL);
    }
    edge_cache_lock(c);
    struct edge_wake **link = &c->wakes;
    while (*link != w) {
        link = &(*link)->next;
    }
    *link = w->next;
    settle(w, &rep, status, rebuilt);
    edge_object_unref_locked(c, w->object);
    edge_cache_unlock(c);
    edge_rep_unref(rep);
    free(w);
}

/* Reader and writer threads of the store. */
static void woken(void *arg, enum cdn_status status, struct cdn_str meta, bool rebuilt)
{
    struct edge_wake *w = arg;
    void (*done)(void *arg) = w->done;
    void *done_arg = w->arg;
    end(w, status, meta, rebuilt);
    done(done_arg);
}

static void post(void *arg)
{
    sem_post(arg);
}

static void wake_updated(struct edge_wake *w)
{
    sem_t answered;
    const bool blocks = !w->done;
    if (blocks) {
        sem_init(&answered, 0, 0);
        w->done = post;
        w->arg = &answered;
    }
    const struct edge_store_location location = w->location;
    edge_store_newest_meta(w->cache->config.store, &location, woken, w);
    if (blocks) {
        while (sem_wait(&answered) != 0) { /* a signal */
        }
        sem_destroy(&answered);
    }
}

bool edge_cache_wake(struct edge_cache *c, struct edge_entry *e, void (*done)(void *arg), void *arg)
{
    for (struct edge_wake *w; (w = begin(c, e)) != NULL;) {
        CDN_AUTOBUF struct cdn_buf meta = {0};
        w->done = done;
        w->arg = arg;
        if (w->updated) {
            wake_updated(w);
            if (done) {
                return false;
            }
            continue;
        }
        enum cdn_status status = edge_store_meta(c->config.store, &w->location, !done, &meta);
        if (status == CDN_UNAVAILABLE && done) {
            const struct edge_store_location location = w->location;
            edge_store_read_meta(c->config.store, &location, woken, w);
            return false;
        }
        end(w, status, cdn_buf_str(&meta), false);
    }
    return true;
}
