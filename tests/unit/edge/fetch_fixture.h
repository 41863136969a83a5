/* fetch_fixture: two workers on one loop, a cache, and an origin that follows a script: fetches without the
 * rest of an edge, on one thread. */
#ifndef CDN_TESTS_FETCH_FIXTURE_H
#define CDN_TESTS_FETCH_FIXTURE_H
#include "common/http/client/http_client.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/fetch/fetch.h"
#include "edge/fetch/fetch_private.h"
#include "edge/semantics/freshness.h"
#include "edge/site/origin.h"
#include "edge/site/rule.h"
#include "tests/unit/common/client_help.h"
#include "tests/unit/common/net_help.h"
#include "tests/unit/edge/cache_fixture.h"

#include <check.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define KEY "http://h/a"
#define DE "Accept-Language: de"
#define EN "Accept-Language: en"
#define MIB ((uint64_t)1 << 20)

static struct fixture net;
static struct edge_tuning tuning;
static struct edge edge;
static struct edge_worker workers[2];
static struct edge_origin *origin[1];
static char no_names[] = "";
static struct edge_rule rule;
static struct edge_entry *entry;

static inline void set_up(void)
{
    begin(&net, &(struct http_client_config){.first_byte_timeout_ms = NET_LIMIT_MS});
    origin[0] = cdn_calloc(1, sizeof(*origin[0]));
    rule = (struct edge_rule){.key_names = no_names, .origin = origin, .origin_count = 1};
    edge_rules_init(&rule.rules);
    tuning.max_object = MIB;
    atomic_store(&edge.tuning, &tuning);
    edge.settings.memory_object = MIB;
    edge.settings.abandon_size = 1000;
    edge.settings.abandon_part = 0.5;
    edge.cache = make_cache(8 * MIB, "lru");
    edge.worker = workers;
    edge.worker_count = 2;
    for (unsigned i = 0; i < 2; i++) {
        workers[i] = (struct edge_worker){.edge = &edge, .index = i, .loop = net.loop, .client = net.client};
    }
    entry = edge_cache_enter(edge.cache, CDN_STR(KEY));
}

static inline void tear_down(void)
{
    turn_times(net.loop, 3);
    ck_assert(!edge_fetch_is_running(entry));
    ck_assert_uint_eq(http_client_running(net.client), 0);
    edge_cache_leave(edge.cache, entry);
    finish(&net);
    struct edge_cache_stats stats;
    edge_cache_purge_all(edge.cache, false, CACHE_NOW_MS);
    edge_cache_stats(edge.cache, &stats);
    ck_assert_uint_eq(stats.entries, 0); /* nobody holds anything any more */
    edge_cache_destroy(edge.cache);
    free(origin[0]);
}

/* ---- a request that waits ---- */

struct waiting {
    struct edge_fetch_waiter waiter;
    struct edge_worker *worker;
    struct edge_fetch *fetch;
    struct asked asked;
    unsigned moved;
};

static inline void moved(struct edge_fetch_waiter *waiter)
{
    CDN_CONTAINER_OF(waiter, struct waiting, waiter)->moved++;
}

static inline void interim(struct edge_fetch_waiter *waiter, const struct http_fetch_head *head)
{
    (void)waiter, (void)head;
}

static inline void wait_for(struct waiting *w, unsigned worker, const char *request)
{
    *w = (struct waiting){.waiter = {.moved = moved, .interim = interim}, .worker = &workers[worker]};
    ask(&w->asked, request);
}

static struct edge_fetch_wish wish_of(struct waiting *w)
{
    struct edge_stored stored;
    edge_cache_look(edge.cache, CDN_STR(KEY), &entry, &w->asked.source, CACHE_NOW_MS, &stored);
    edge_cache_release(edge.cache, &stored.hold);
    edge_rep_unref(stored.newest);
    return (struct edge_fetch_wish){.source = &w->asked.source, .moment = stored.moment};
}

static inline bool join_or_make(struct waiting *w, const struct edge_fetch_wish *wish)
{
    bool made;
    w->fetch = edge_fetch_join_or_make(w->worker, entry, wish, &w->waiter, &made);
    return made;
}

static inline void leave(struct waiting *w)
{
    edge_fetch_leave(CDN_TAKE(w->fetch), w->worker, &w->waiter);
}

/* One that was made and is not going to be started. */
static inline void forget(struct waiting *w)
{
    struct edge_fetch *f = w->fetch;
    edge_fetch_unlist(f);
    leave(w);
    edge_fetch_unref(f);
}

#endif
