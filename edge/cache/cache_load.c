/* cache_load: what was on disk before the start comes back, while requests are served already; and what the
 * store tells of places that change. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/ghost.h"
#include "edge/cache/object.h"
#include "edge/cache/policy.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/key.h"
#include "edge/store/store.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

static bool have_id(const struct edge_entry *e, uint64_t id)
{
    for (const struct edge_object *o = e->objects; o; o = o->next) {
        if (o->location.id == id) {
            return true;
        }
    }
    return false;
}

/* The object that is stored for the same variant (and part) as the row; NULL: none that is awake. */
static struct edge_object *rival(const struct edge_entry *e, const struct edge_rep *rep)
{
    for (struct edge_object *o = e->objects; o; o = o->next) {
        const struct edge_rep *other = atomic_load(&o->rep);
        if (other && other->first == rep->first && other->whole == rep->whole &&
            cdn_str_eq(edge_rep_spec(other), edge_rep_spec(rep)) &&
            cdn_str_eq(edge_rep_variant(other), edge_rep_variant(rep))) {
            return o;
        }
    }
    return NULL;
}

/* An object without a place on disk was stored since the start;
 * otherwise the higher number is the newer one. */
static bool is_outdated(const struct edge_object *o, const struct edge_store_row *row)
{
    return o && (!o->location.id || o->location.id > row->location.id);
}

static bool enter_disk(struct edge_cache *c, struct edge_object *o, const struct edge_rep *rep)
{
    const uint64_t size = edge_store_cost(o->entry->key_length, edge_rep_size(rep), edge_object_length(o));
    if (edge_policy_short(c->disk, size) || edge_tier_index_is_full(c)) {
        return false; /* a budget shrank since: the oldest rows came first and keep their place */
    }
    edge_policy_admit(c->disk, edge_entry_hash(o->entry).a, size);
    return edge_policy_insert(c->disk, &o->disk_item, size, EDGE_POLICY_NEW);
}

void edge_cache_purge_early(struct edge_cache *c, struct cdn_str key)
{
    if (!c->early) {
        c->early = cdn_calloc(1, sizeof(*c->early));
    }
    if (c->early->count < EDGE_EARLY_PURGES) {
        edge_cache_hash(key, &c->early->key[c->early->count++]);
    }
}

static bool is_purged_early(const struct edge_cache *c, struct cdn_str text)
{
    struct edge_store_key of_url, *key = &of_url;
    edge_cache_hash(cdn_str_cut(&text, '#'), key);
    unsigned i = 0;
    const unsigned count = c->early ? c->early->count : 0;
    while (i < count && (c->early->key[i].a != key->a || c->early->key[i].b != key->b)) {
        i++;
    }
    return i < count || count == EDGE_EARLY_PURGES;
}

static void take_row(struct edge_cache *c, const struct edge_store_row *row, struct edge_rep *rep)
{
    edge_cache_lock(c);
    struct edge_entry *e = edge_cache_enter_locked(c, row->key);
    if (!have_id(e, row->location.id) && edge_cache_asleep_locked(e)) { /* which is of the same variant? */
        edge_cache_unlock(c);
        edge_cache_wake(c, e, NULL, NULL);
        edge_cache_lock(c);
    }
    struct edge_object *other = rival(e, rep);
    if (have_id(e, row->location.id) || edge_store_removed(c->config.store, row->location.id)) {
        edge_rep_unref(rep);
    } else if (is_outdated(other, row) || is_purged_early(c, row->key)) {
        edge_store_remove(c->config.store, &row->location);
        edge_rep_unref(rep);
    } else {
        if (other) {
            edge_cache_remove_locked(c, other, EDGE_GHOST_EXPIRED);
        }
        struct edge_object *o = edge_object_create(e, rep, row->location.body);
        if (enter_disk(c, o, rep)) {
            o->location = row->location;
            edge_object_set(o, EDGE_OBJECT_UPDATED, !row->pristine);
            edge_object_link_locked(c, o);
            c->load_count++;
        } else {
            edge_store_remove(c->config.store, &row->location);
        }
        edge_object_unref_locked(c, o);
    }
    edge_cache_leave_locked(c, e);
    edge_cache_unlock(c);
}

/* Loader and reader threads. */
static void take_rows(void *arg, const struct edge_store_row *rows, size_t n)
{
    struct edge_cache *c = arg;
    for (size_t i = 0; i < n; i++) {
        struct edge_rep *rep = NULL;
        if (rows[i].n_extents || rows[i].key.n > EDGE_KEY_MAX ||
            edge_rep_parse(rows[i].meta, &rep, NULL) != CDN_OK) {
            edge_store_remove(c->config.store, &rows[i].location);
            continue;
        }
        if (rows[i].rebuilt) { /* later confirmations and soft purges are lost with the index: ask first */
            edge_freshness_soft_purge(&rep->fresh, rep->stored_ms);
        }
        take_row(c, &rows[i], rep);
    }
}

static void load_end(void *arg, enum cdn_status status)
{
    struct edge_cache *c = arg;
    edge_cache_lock(c);
    atomic_store(&c->loaded, true);
    struct edge_cache_load_waiter *waiter = CDN_TAKE(c->load_waiters);
    const uint64_t count = c->load_count;
    edge_cache_unlock(c);
    for (struct edge_cache_load_waiter *next; waiter; waiter = next) {
        next = waiter->next;
        waiter->done(waiter->arg);
    }
    c->load_done(c->load_arg, status, count);
}

void edge_cache_load(struct edge_cache *c, void (*done)(void *arg, enum cdn_status status, uint64_t objects),
                     void *arg)
{
    c->load_done = done;
    c->load_arg = arg;
    edge_store_load(c->config.store, take_rows, load_end, c);
}

bool edge_cache_await_load(struct edge_cache *c, struct edge_cache_load_waiter *waiter)
{
    edge_cache_lock(c);
    const bool loading = !edge_cache_loaded(c);
    if (loading) {
        waiter->next = c->load_waiters;
        c->load_waiters = waiter;
    }
    edge_cache_unlock(c);
    return loading;
}

bool edge_cache_loaded(const struct edge_cache *c)
{
    return atomic_load_explicit(&c->loaded, memory_order_acquire);
}

struct find_job {
    struct edge_cache *cache;
    void (*done)(void *arg);
    void *arg;
};

static void found_rows(void *arg, const struct edge_store_row *rows, size_t n)
{
    struct find_job *job = arg;
    take_rows(job->cache, rows, n);
    job->done(job->arg);
    free(job);
}

void edge_cache_find_on_disk(struct edge_cache *c, struct cdn_str key, void (*done)(void *arg), void *arg)
{
    struct find_job *job = cdn_malloc(sizeof(*job));
    *job = (struct find_job){.cache = c, .done = done, .arg = arg};
    struct edge_store_key hash;
    edge_cache_hash(key, &hash);
    edge_store_find(c->config.store, hash.a, hash.b, found_rows, job);
}

/* The object of a key that is stored under `id`; NULL: none. */
static struct edge_object *find_stored(struct edge_cache *c, const struct edge_store_key *key, uint64_t id)
{
    const uint32_t place = edge_cache_place(c, key);
    for (const struct edge_entry *e = c->bucket[place & c->bucket_mask]; e; e = e->chain) {
        for (struct edge_object *o = e->hash == place ? e->objects : NULL; o; o = o->next) {
            if (o->location.id == id) {
                return o;
            }
        }
    }
    return NULL;
}

void edge_cache_moved(struct edge_cache *c, const struct edge_store_key *key,
                      const struct edge_store_location *from, const struct edge_store_location *to)
{
    edge_cache_lock(c);
    struct edge_object *o = find_stored(c, key, from->id);
    if (o) {
        o->location = *to;
    }
    edge_cache_unlock(c);
}

/* What the disk has of it must not come back; what is in RAM is right. */
void edge_cache_update_lost(struct edge_cache *c, const struct edge_store_key *key,
                            const struct edge_store_location *location)
{
    edge_cache_lock(c);
    struct edge_object *o = find_stored(c, key, location->id);
    if (o) {
        edge_tier_disk_leave(c, o);
        edge_tier_drop_if_homeless(c, o, EDGE_GHOST_EVICTED);
    }
    edge_cache_unlock(c);
}

#define GONE_BATCH 256u

/* Of one entry: what was only on disk goes. */
static void entry_gone(struct edge_cache *c, struct edge_entry *e, uint64_t first)
{
    edge_cache_ref_locked(e);
    for (struct edge_object *o = e->objects, *next; o; o = next) {
        next = o->next;
        if (o->location.id && o->location.id < first) {
            edge_policy_remove(c->disk, &o->disk_item);
            o->location.id = 0;
            edge_tier_drop_if_homeless(c, o, EDGE_GHOST_EVICTED);
        }
    }
    edge_cache_leave_locked(c, e);
}

void edge_cache_disk_gone(struct edge_cache *c, uint64_t first)
{
    CDN_AUTOFREE char *at = cdn_strdup("");
    size_t n = 0;
    for (bool more = true; more;) { /* requests come between the batches */
        struct edge_entry *next;
        unsigned left = GONE_BATCH;
        edge_cache_lock(c);
        for (struct edge_entry *e = edge_keys_from(c, (struct cdn_str){at, n}, false); e && left; e = next) {
            next = edge_keys_from(c, edge_entry_key(e), true);
            if (--left == 0 && next) {
                free(at);
                at = cdn_str_dup(edge_entry_key(next));
                n = edge_entry_key(next).n;
            }
            more = next != NULL;
            entry_gone(c, e, first);
        }
        more = more && left == 0;
        edge_cache_unlock(c);
    }
}
