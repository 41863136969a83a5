/* worker: the edge's process-wide context and its worker threads, as the edge's own files see them.
 *
 * Each worker owns a loop, a public listener (one shared port), an origin client, a hot table, counters and
 * the requests and fetches that began on it; nobody else touches those. Shared: the cache (own lock), the
 * store (own lock), the settings (fixed, but for the rules that a reload swaps) and what is known about the
 * origin (atomics).
 */
#ifndef CDN_EDGE_WORKER_H
#define CDN_EDGE_WORKER_H

#include "edge/base/accept.h"
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/http/server/http_head.h"
#include "common/http/server/http_server.h"
#include "common/tls_pair.h"
#include "edge/memory/budget.h"
#include "edge/cache/cache.h"
#include "edge/request/hot.h"
#include "edge/base/metrics.h"
#include "edge/semantics/storable.h"
#include "edge/base/settings.h"
#include "edge/base/target.h"

#include <pthread.h>

struct edge_txn;
struct edge_fetch;
struct edge_sync;

struct edge_worker {
    struct edge *edge;
    unsigned index;
    pthread_t thread;
    bool running;
    struct loop *loop;
    struct http_server *server;
    struct http_client *client;
    struct http_client *upgrades; /* for tunnels; NULL: they are refused */
    struct edge_tunnel *tunnels;  /* open ones */
    unsigned tunnel_count;        /* with those that wait for the origin's answer */
    unsigned tunnel_max;
    struct edge_hot *hot;
    struct http_head head; /* of the answer being made */
    struct loop_timer sweep;
    struct edge_trim trim;
    int64_t charged;                 /* to the account of memory, for what `others` counts there */
    struct edge_txn *free_txn;       /* free list */
    struct edge_access_ring *access; /* of the access log; NULL: there is none */
    struct edge_metrics metrics;
};

struct edge_networks { /* parsed lists of CIDRs */
    struct cdn_cidr *item;
    size_t count;
};

/* What can change at a reload; a new one is swapped in, old ones live until the end of the process. */
struct edge_tuning {
    struct edge_tuning *older;
    struct edge_rules rules;
    struct cdn_str *targeted;
    struct edge_networks purge_allow;
    struct edge_networks trusted;
    struct http_trust trust; /* borrows `trusted` */
    char *purge_token;
    uint64_t max_object;
    bool keep_settings; /* `settings` is owned here */
    struct edge_settings settings;
};

/* The origin as the circuit breaker sees it (RFC 5861 leaves to us when it counts as down). */
struct edge_breaker {
    _Atomic unsigned failures;   /* connections in a row that failed */
    _Atomic int64_t retry_at_ns; /* monotonic; while open: when the next request may try */
};

struct edge {
    struct daemon *daemon;
    int argc; /* as given to main, for reloads */
    char **argv;
    struct edge_settings settings; /* fixed ones */
    struct edge_tuning *_Atomic tuning;
    struct edge_cache *cache;
    struct edge_store *store;
    struct edge_worker *worker;
    unsigned worker_count;
    /* from the settings */
    char *origin_base;      /* "http://127.0.0.1:8090/prefix" without a slash at the end */
    char *origin_authority; /* "127.0.0.1:8090" */
    char *loop_id;          /* ours in CDN-Loop */
    struct edge_naming naming;
    struct edge_accept accept;
    struct edge_breaker breaker;
    struct cdn_tls_pair certificate; /* of the start; zeroed: no TLS */
    struct edge_access_log *access_log;
    struct edge_compress *compress; /* NULL: off */
    struct edge_service_metrics service;
    _Atomic bool unsynced;  /* purges may have been missed: every reuse is revalidated */
    struct edge_sync *sync; /* NULL: no purge log is followed */
    _Atomic bool draining;
    _Atomic unsigned tunnel_count; /* of all workers */
    _Atomic uint64_t store_events[EDGE_STORE_EVENT_COUNT];
    _Atomic int64_t loaded_objects; /* -1: still loading */
};

static inline const struct edge_tuning *edge_tuning_now(struct edge *edge)
{
    return atomic_load_explicit(&edge->tuning, memory_order_acquire);
}

/* breaker.c: pure but for the atomics */
/* What a failed fetch says: DISCONNECTED: the origin could not be reached, which makes stale answers allowed
 * that nobody gave leave for (RFC 9111 4.2.4); ERROR: it is there and failed with this one URL; UP: nothing.
 */
enum edge_origin_state edge_breaker_kind(enum http_fetch_error error);
enum edge_origin_state edge_breaker_state(const struct edge_breaker *b);
bool edge_breaker_may_probe(struct edge_breaker *b, int64_t mono_ns); /* true for one caller at a time */
void edge_breaker_reached(struct edge_breaker *b);                    /* it answered, whatever it said */
void edge_breaker_unreachable(struct edge_breaker *b, int64_t mono_ns);

#endif
