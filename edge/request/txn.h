/* txn: one request on its long way through the edge (everything but a plain hit from the hot table).
 *
 * A transaction belongs to the worker of its connection. Its states, and how it goes from one to the next,
 * are in step.h. Life: the handler's first call -> steps -> done. It comes from the worker's free list, and
 * keeps its buffers for the next one.
 */
#ifndef CDN_EDGE_TXN_H
#define CDN_EDGE_TXN_H
#include "common/http/server/http_server.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/fetch/body.h"
#include "edge/fetch/fetch.h"
#include "edge/purge/purge_job.h"
#include "edge/request/step.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/trace.h"
#include "edge/semantics/validate.h"
#include "edge/signed/policy.h"
#include "edge/site/shield.h"
#include "edge/site/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum edge_wish { /* what a transaction waits for */
                 EDGE_WISH_WHOLE,
                 EDGE_WISH_SLICE, /* of a range */
                 EDGE_WISH_ALONE, /* an answer to this request, for nobody else */
                 EDGE_WISH_COUNT
};

enum edge_queue_state {
    EDGE_QUEUE_NONE,
    EDGE_QUEUE_WAITS,
    EDGE_QUEUE_ADMITTED,
    EDGE_QUEUE_EXPIRED,
};

/* Of request.c, which sees what the files below it do not. */
struct edge_txn_hooks {
    struct edge_fetch_waiter waiter;    /* of a new transaction */
    void (*drop)(struct edge_txn *txn); /* at its end: what other files hold for it */
};

struct edge_txn {
    const struct edge_txn_hooks *hooks;
    struct edge_txn *next; /* free list */
    struct edge_worker *worker;
    struct http_request *http;
    enum edge_step step; /* that runs when libmicrohttpd asks next */
    /* the request */
    struct cdn_buf key;         /* cache key; `target` points into it */
    struct edge_target target;  /* what is asked, of us and of the origin, and by which rule */
    struct edge_tuning *tuning; /* that the rule is of */
    struct cdn_buf text;        /* joined fields that `conditions` and `control` point into */
    struct edge_request_control control;
    struct edge_conditions conditions;
    struct {
        bool judged;
        bool limited;      /* nothing is asked of the origin for it */
        bool miss_counted; /* in its network's rate of misses */
        bool over_misses;  /* that is why it is limited */
        unsigned status;   /* it is refused with; 0: it is not */
        unsigned retry_s;
        enum edge_signed_verdict signature;
    } guard;                                  /* guarded.h */
    bool hashed;                              /* content-hashed name */
    bool passing;                             /* never from the cache */
    int64_t now_ms;                           /* cache clock at its start */
    char request_id[EDGE_REQUEST_ID_MAX + 1]; /* request_id.h; "": none was needed so far */
    bool for_edge; /* asked by an edge that this one shields; `seen`: the purges behind its answer */
    struct edge_purge_state seen;
    /* what was found and decided */
    struct edge_entry *entry;  /* counted */
    struct cdn_buf search_key; /* looked up in place of `key`: No-Vary-Search says that it is the same */
    unsigned searches;         /* how many were tried */
    struct edge_hold hold;     /* stored response: to serve, or stale */
    enum edge_cause cause;
    enum edge_verdict verdict;
    enum cdn_status disk_status; /* of the last read */
    bool looked_on_disk;
    struct edge_save_waiter saved;
    struct edge_purge_job purge; /* of the PURGE method */
    bool disk_pending;           /* another thread will post back: the transaction must not go before */
    bool over; /* done() was called: it goes as soon as no stream and no other thread holds it */
    unsigned tries;
    /* the fetch it waits for */
    struct edge_fetch_waiter waiter;
    struct edge_fetch *fetch; /* counted by joining */
    enum edge_wish wish;      /* what it is for */
    bool leader;
    bool alone; /* a fetch that it joined spoke for its leader only: it waits for nobody any more */
    struct {
        struct edge_txn *next, *previous;
        enum edge_step then; /* the state that has to wait for its turn */
        int64_t since_ns;
        enum edge_queue_state state;
        unsigned line;
    } queue; /* queue.h */
    /* the answer */
    struct edge_blob *blob; /* read from disk */
    struct edge_body_reader reader;
    struct http_stream *stream;
    size_t block; /* what it holds, taken from the account */
    struct {
        struct edge_txn *next, *previous;
        int64_t since_ns; /* others wait for this reader since then; 0: they don't */
        uint64_t taken;   /* what its client had then */
    } stall;              /* stall.h; while `reader` has joined */
    unsigned status;
    uint64_t sent;
    struct edge_ranger *ranger; /* ranger.h: puts stretches of stored and fetched parts together */
    /* of a QUERY (query.h) */
    bool collecting;              /* its body comes */
    bool query_keyed;             /* the key has it */
    struct edge_blob *query_body; /* counted; NULL: none */
    /* a body on its way to the origin */
    struct cdn_buf upload;
    size_t upload_at;
    bool upload_done;
    bool upload_charged;        /* libcurl's buffer for it */
    bool waits_in_head;         /* nothing of it was read yet */
    bool holding;               /* the client waits for 100 Continue before it sends its body */
    bool upload_full;           /* libmicrohttpd was told to wait */
    bool upgrading;             /* asks for WebSocket, and is counted among the tunnels */
    struct http_tunnel *tunnel; /* open */
    struct {
        struct edge_txn *next, *previous;
    } tunnels; /* the open ones of the worker */
};

/* ---- txn.c: life and waits ---- */
struct edge_txn *edge_txn_new(struct edge_worker *worker, struct http_request *req,
                              const struct edge_txn_hooks *hooks);
/* Back to the free list if the request is over and nothing holds the transaction any more. Returns whether
 * it went. */
bool edge_txn_release(struct edge_txn *txn);
void edge_txn_leave_fetch(struct edge_txn *txn);
/* Suspends the request until somebody calls http_request_resume; `step` comes then. */
enum edge_step edge_txn_wait(struct edge_txn *txn, enum edge_step step);
/* The same when somebody will call edge_txn_disk_done: disk, cache or writer, on any thread. The
 * transaction stays until then, whatever becomes of the request. */
enum edge_step edge_txn_wait_disk(struct edge_txn *txn, enum edge_step step);
void edge_txn_disk_done(void *arg);

/* ---- txn.c: what several states ask ---- */
bool edge_txn_is_cached_method(const struct edge_txn *txn); /* GET or HEAD, or a QUERY with a key */
bool edge_txn_gets(const struct edge_txn *txn);             /* these, but for HEAD */
/* Whether the request must not go to the origin (RFC 9111 5.2.1.7). */
bool edge_txn_only_cached(const struct edge_txn *txn);
/* Appends its cookies: several lines are one list (RFC 9113 8.2.3). */
void edge_txn_cookies(const struct edge_txn *txn, struct cdn_buf *into);
/* To the origin for this request alone, because of `cause`; the second leaves a fetch first. */
enum edge_step edge_txn_pass(struct edge_txn *txn, enum edge_cause cause);
enum edge_step edge_txn_pass_instead(struct edge_txn *txn, enum edge_cause cause);

#endif
