/* txn: one request on its long way through the edge (everything but a plain hit from the hot table).
 *
 * A transaction belongs to the worker of its connection. `step` is the state: the function to run when
 * libmicrohttpd asks for the answer, first and after every suspension. Life: the handler's first call ->
 * steps -> done. It comes from the worker's free list, and keeps its buffers for the next one.
 */
#ifndef CDN_EDGE_TXN_H
#define CDN_EDGE_TXN_H

#include "edge/fetch/body.h"
#include "edge/fetch/fetch.h"
#include "edge/semantics/range.h"
#include "edge/semantics/validate.h"

struct edge_txn {
    struct edge_txn *next; /* free list */
    struct edge_worker *worker;
    struct http_request *http;
    void (*step)(struct edge_txn *txn);
    /* the request */
    struct cdn_buf key;        /* cache key; `target` points into it */
    struct edge_target target; /* what is asked, of us and of the origin */
    struct cdn_buf text;       /* joined fields that `conditions` and `control` point into */
    struct edge_request_control control;
    struct edge_conditions conditions;
    bool hashed;    /* content-hashed name */
    bool passing;   /* never from the cache */
    int64_t now_ms; /* cache clock at its start */
    /* what was found and decided */
    struct edge_entry *entry; /* counted */
    struct edge_hold hold;    /* stored response: to serve, or stale */
    enum edge_cause cause;
    enum edge_verdict verdict;
    enum cdn_status disk_status; /* of the last read */
    bool looked_on_disk;
    struct edge_save_waiter saved;
    struct edge_load_waiter loaded;
    uint64_t purged;   /* objects, of a PURGE */
    bool disk_pending; /* another thread will post back: the transaction must not go before */
    bool over;         /* done() was called: it goes as soon as no stream and no other thread holds it */
    unsigned tries;
    /* the fetch it waits for */
    struct edge_fetch_waiter waiter;
    struct edge_fetch *fetch; /* counted by joining */
    bool leader;
    bool alone; /* a fetch that it joined spoke for its leader only: it waits for nobody any more */
    /* the answer */
    struct edge_blob *blob; /* read from disk */
    struct edge_body_reader reader;
    struct http_stream *stream;
    size_t block; /* what it holds, taken from the account */
    unsigned status;
    uint64_t sent;
    struct edge_ranger *ranger; /* part.c: puts stretches of stored and fetched parts together */
    /* a body on its way to the origin */
    struct cdn_buf upload;
    size_t upload_at;
    bool upload_done;
    bool holding;               /* the client waits for 100 Continue before it sends its body */
    bool upload_full;           /* libmicrohttpd, or the tunnel, was told to wait */
    bool upgrading;             /* asks for WebSocket, and is counted among the tunnels */
    struct edge_tunnel *tunnel; /* open */
};

/* ---- request.c: life, suspension, wake-ups ---- */
extern const struct http_handler edge_handler;
/* Back to the free list if the request is over and nothing holds the transaction any more. Returns whether
 * it went. */
bool edge_txn_release(struct edge_txn *txn);
bool edge_txn_is_cached_method(const struct edge_txn *txn); /* GET or HEAD */
/* Suspends until someone resumes the request; `step` runs then. */
void edge_txn_wait(struct edge_txn *txn, void (*step)(struct edge_txn *));
/* The same for who will call edge_txn_disk_done: disk, cache or writer, on any thread. The transaction stays
 * until then, whatever becomes of the request. */
void edge_txn_wait_disk(struct edge_txn *txn, void (*step)(struct edge_txn *));
void edge_txn_disk_done(void *txn);
void edge_txn_leave_fetch(struct edge_txn *txn);

/* ---- lookup.c: what is stored, what to do about it, what the fetch brought ---- */
void edge_request_lookup(struct edge_txn *txn); /* again, when the disk did not keep its promise */
/* Under the cache's lock: a fetch that others may join, for what `request` says already (range, candidates).
 * Start it without the lock. */
struct edge_fetch *edge_txn_new_fetch_locked(struct edge_txn *txn, struct edge_fetch_request *request,
                                             bool background);
void edge_txn_got_answer(struct edge_txn *txn); /* the fetch has a head to answer with */
void edge_txn_got_failure(struct edge_txn *txn);
/* Whether the request must not go to the origin (only-if-cached, RFC 9111 5.2.1.7), and the answer when it
 * would have to. */
bool edge_txn_only_cached(const struct edge_txn *txn);
void edge_txn_refuse_uncached(struct edge_txn *txn);
/* Whether what is stored was given in place of the error that its fetch brought. */
bool edge_txn_keeps_stored(struct edge_txn *txn);
bool edge_txn_fits(struct edge_txn *txn, const struct edge_rep *rep); /* its request selects this one */
bool edge_txn_is_unasked_304(const struct edge_txn *txn); /* its fetch brought one: no answer to give */

/* ---- pass.c: the origin is asked for this request alone ---- */
void edge_pass_start(struct edge_txn *txn);
void edge_pass_wait(struct edge_txn *txn);                       /* the step behind it */
void edge_txn_pass(struct edge_txn *txn, enum edge_cause cause); /* both */

/* ---- upstream.c: what goes to the origin for this request ---- */
void edge_upstream_request(struct edge_txn *txn, bool pass, bool background, struct edge_fetch_request *ret);
/* One field of it, for Vary (struct edge_vary_source): the origin chooses by what it is told, not by what we
 * were. */
bool edge_txn_vary_get(void *txn, struct cdn_str name, struct cdn_buf *into);

/* ---- part.c: answers put together from parts (206), stored or to be fetched ---- */
bool edge_part_wants_locked(struct edge_txn *txn);
void edge_part_begin(struct edge_txn *txn);
void edge_part_discard(struct edge_txn *txn);

/* ---- deliver.c: the answer. Each ends with http_respond, or hands the transaction to the disk and comes
 * back through `step`. ---- */
void edge_deliver_hold(struct edge_txn *txn);  /* from the stored response in txn->hold */
void edge_deliver_fetch(struct edge_txn *txn); /* from the answer of txn->fetch: complete or under way */
/* Conditions and range against a complete response of `length` bytes. False: answered already (304, 412, 416,
 * HEAD). */
bool edge_deliver_choose(struct edge_txn *txn, const struct edge_rep *rep, uint64_t length,
                         struct edge_range_plan *ret_plan);
/* Adds stored fields and marks, and answers. */
void edge_deliver_respond(struct edge_txn *txn, struct MHD_Response *response, unsigned status,
                          const struct edge_rep *rep, const struct edge_range_plan *plan,
                          uint64_t body_bytes);
void edge_deliver_error(struct edge_txn *txn, unsigned status, const char *detail);
void edge_deliver_options(struct edge_txn *txn); /* OPTIONS that goes no further than here */

#endif
