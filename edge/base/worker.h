/* worker: the edge's process-wide context and its worker threads, as the edge's own files see them.
 *
 * Each worker owns a loop, a public listener (one shared port), an origin client, a hot table, counters and
 * the requests and fetches that began on it; nobody else touches those. Shared: the cache (own lock), the
 * store (own lock), the settings (fixed, but for the rules that a reload swaps) and what is known about the
 * origin (atomics).
 */
#ifndef CDN_EDGE_WORKER_H
#define CDN_EDGE_WORKER_H
#include "common/http/server/http_head.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/loop.h"
#include "edge/base/accept.h"
#include "edge/base/metrics.h"
#include "edge/base/settings.h"
#include "edge/geo/client_db.h"
#include "edge/memory/budget.h"
#include "edge/site/origin.h"
#include "edge/site/site.h"
#include "edge/store/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cdn_tls_set;
struct cdn_rate;
struct edge_access_log;
struct edge_access_ring;
struct edge_cache;
struct edge_compress;
struct edge_health;
struct edge_hot;
struct edge_signed_memo;
struct edge_sync;
struct edge_txn;

#define EDGE_QUEUE_LINES 256u
struct edge_queue { /* queue.h */
    struct {
        struct edge_txn *first, *last;
    } line[EDGE_QUEUE_LINES]; /* a network stands in one of them */
    unsigned turn;            /* the line that is next */
    unsigned waiting;
    unsigned admitted; /* that were let through and have not begun yet */
};

struct edge_worker {
    struct edge *edge;
    unsigned index;
    pthread_t thread;
    bool running;
    struct loop *loop;
    struct http_server *server;
    struct http_client *client;
    struct http_client *upgrades; /* for tunnels; NULL: they are refused */
    struct edge_txn *tunnels;     /* with an open one, by txn->tunnels */
    unsigned tunnel_count;        /* with those that wait for the origin's answer */
    unsigned tunnel_max;
    struct edge_hot *hot;
    struct http_head head; /* of the answer being made */
    struct loop_timer sweep;
    struct edge_trim trim;
    int64_t charged;           /* to the account of memory, for what `others` counts there */
    struct edge_txn *free_txn; /* free list */
    unsigned free_txn_count;
    struct edge_queue queue;
    unsigned fetches_most;               /* under way to the origin at a time */
    struct edge_txn *readers;            /* of bodies on their way (stall.h) */
    struct edge_access_ring *access;     /* of the access log; NULL: there is none */
    uint64_t request_id_seed[2];         /* request_id.c */
    struct edge_signed_memo *signatures; /* good ones; NULL: none came yet */
    struct edge_metrics metrics;
};

struct edge_networks { /* parsed lists of CIDRs */
    struct cdn_cidr *item;
    size_t count;
};

/* What can change at a reload: another is swapped in. Code on a worker's thread may use the one in force
 * until its turn ends; what lives longer holds a reference (tuning.h). */
struct edge_tuning {
    _Atomic unsigned
        refs;          /* the edge's while it is in force, and one for each request and fetch by its rules */
    struct loop *home; /* on which it is freed, as that takes a while; NULL: at once */
    struct edge_sites sites;
    struct edge_client_db places; /* open if a rule asks where clients are */
    struct cdn_str *targeted;     /* names that the rules of the sites borrow */
    struct edge_networks purge_allow;
    struct edge_networks trusted;
    struct http_trust trust; /* borrows `trusted` */
    char *purge_token;
    uint64_t max_object;
    bool send_request_id;
    uint64_t query_body;
    struct edge_page *pages;      /* for errors: owned here */
    const struct edge_page *page; /* of the setting error_page; NULL: none */
    bool keep_settings;           /* `settings` is owned here */
    struct edge_settings settings;
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
    char *config_path; /* the cdn.yaml; NULL: none */
    char *loop_id;     /* ours in CDN-Loop */
    struct edge_machine machine;
    struct edge_accept accept;
    struct edge_origins origins;
    struct cdn_tls_set *tls; /* of the public listener; NULL: no TLS. Main thread */
    struct edge_access_log *access_log;
    struct edge_compress *compress; /* NULL: off */
    struct cdn_rate *rate;          /* what each network of clients did */
    struct edge_service_metrics service;
    _Atomic uint64_t purge_log, purge_id; /* how far it is in the purge log; written by sync */
    _Atomic bool unsynced;                /* purges may have been missed: every reuse is revalidated */
    struct edge_health *health;
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

#endif
