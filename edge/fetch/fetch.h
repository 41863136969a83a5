/* fetch: one request to the origin and everyone who waits for its answer.
 *
 * A fetch belongs to the worker on which it began (`owner`): libcurl's callbacks run there. Waiters may be on
 * any worker; each worker's own list of them (`slot`) is touched by that worker only. What the origin said is
 * written by the owner before it publishes the phase (release), and never changes afterwards; the body has
 * its own lock (body.h).
 *
 *   ASKING -> STORING    the answer may be stored: all waiters stream it; at its end the cache gets it
 *          -> PASSING    it may not: the leader gets it, the others are released to ask for themselves
 *          -> CONFIRMED  304: a stored response is good again (`result`)
 *          -> FAILED     no usable answer
 *
 * Wake-ups: at the end of the owner's turn its own waiters are told directly and other workers by one message
 * each, however many pieces came. A waiter that joins sets its slot's flag and then reads the phase; the
 * owner publishes the phase and then reads the flags (both sequentially consistent), so nobody is forgotten.
 * Life: references by the owner (until the end), each waiter, and messages under way. While it may be joined
 * it is in its entry's list, under one of a few locks of this file's own, by entry.
 */
#ifndef CDN_EDGE_FETCH_H
#define CDN_EDGE_FETCH_H
#include "common/http/client/http_client.h"
#include "common/loop.h"
#include "common/str.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/storable.h"
#include "edge/semantics/vary.h"
#include "edge/site/rule.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum edge_fetch_phase {
    EDGE_FETCH_ASKING,
    EDGE_FETCH_STORING,
    EDGE_FETCH_PASSING,
    EDGE_FETCH_CONFIRMED,
    EDGE_FETCH_FAILED,
};
#define EDGE_FETCH_PHASE_COUNT (EDGE_FETCH_FAILED + 1)

/* Request fields in memory of their own. */
struct edge_fields {
    struct http_field *item;
    size_t count, room;
    struct cdn_buf text;
};
void edge_fields_add(struct edge_fields *f, struct cdn_str name, struct cdn_str value);
/* Slices are valid from here on; nothing may be added any more. */
void edge_fields_seal(struct edge_fields *f);
void edge_fields_free(struct edge_fields *f);

#define EDGE_FETCH_CANDIDATES 8

/* Who waits for a fetch embeds one. Called on the waiter's own worker. */
struct edge_fetch_waiter {
    struct edge_fetch_waiter *next;
    void (*moved)(struct edge_fetch_waiter *waiter); /* the fetch has a new phase or more body */
    /* of the leader: a 1xx answer (RFC 9110 15.2) */
    void (*interim)(struct edge_fetch_waiter *waiter, const struct http_fetch_head *head);
};

struct edge_fetch_slot { /* the waiters of one worker */
    struct edge_fetch *fetch;
    struct edge_worker *worker;
    struct edge_fetch_waiter *first; /* owned by that worker */
    _Atomic bool any;
    _Atomic bool posted;
};

/* What decides who may join: fixed before a fetch can be found. */
struct edge_fetch_scope {
    bool ranged; /* one stretch of the whole is asked for: [range_first, range_last] */
    uint64_t range_first;
    uint64_t range_last;
    bool parallel;   /* others do not wait for it before it is known to be storable */
    bool authorized; /* the request carried Authorization */
};

struct edge_fetch_request {
    const char *method;
    struct edge_tuning *tuning;   /* that the rule is of; taken over */
    const struct edge_rule *rule; /* borrowed: where to ask, and what of the answer may be kept */
    char *path;                   /* with the query: the target; taken over */
    /* where more than one may be asked (edge_fetch_has_ways), and then not in `fields`; taken over */
    char *host; /* NULL: each origin's authority */
    char *key;
    struct edge_fields fields;       /* taken over, sealed */
    struct edge_store_request about; /* `control` points into the caller's; only read at the start */
    bool pass;                       /* never store, never share */
    bool unkeyed;                    /* it has fields that are in no key (outgoing.h) */
    bool background;                 /* nobody waits: a background refresh of a stale answer */
    bool for_range;                  /* the whole, of which a range is wanted: the origin sends no ranges */
    bool has_body;
    int64_t body_length;
    bool upgrade;         /* asks for WebSocket; what is read goes into the tunnel after 101 */
    bool expect_continue; /* the client holds its body back until the origin wants it */
    ssize_t (*read_body)(void *arg, char *into, size_t max);
    struct edge_blob *body; /* all of it, which may be sent again; counted; NULL: it comes as it comes */
    size_t body_at;         /* sent */
    struct edge_fetch_waiter *leader; /* whose request it is; NULL once it left */
    /* stored responses that a 304 may confirm; taken over */
    struct edge_hold candidate[EDGE_FETCH_CANDIDATES];
    unsigned candidate_count;
};

struct edge_fetch {
    _Atomic unsigned refs;
    struct edge_worker *owner;
    struct edge_entry *entry; /* counted; NULL: passing, and never stored */
    struct edge_fetch *next;  /* in the entry's list */
    bool listed;
    struct edge_fetch_scope scope;
    uint64_t purge_number;
    struct edge_fetch_request request;
    struct edge_request_control control;    /* copy of the leader's */
    char *expected_spec, *expected_variant; /* Vary as far as it is known before the answer; NULL: unknown */
    int64_t request_ms;

    _Atomic(enum edge_fetch_phase) phase;
    /* published with the phase */
    struct edge_rep *rep;        /* STORING, PASSING: what came, but for fields that may not be stored */
    struct edge_rep *leader_rep; /* with those (no-cache="..", private="..", cookies), for the leader;
                                    CONFIRMED: what the 304 says to it; NULL: the same as to all */
    struct edge_body *body;
    int64_t content_length;
    enum edge_store_reason reason;
    enum http_fetch_error error; /* FAILED */
    struct edge_hold result;     /* CONFIRMED; STORING once finished */
    bool leader_only;            /* CONFIRMED: what the 304 says may not be stored: it is for the leader */
    uint8_t received;            /* version of the origin's answer, as in edge_freshness */
    bool had_age;                /* the origin's answer carried Age */
    int64_t origin_us;
    _Atomic bool finished; /* the body is complete or broken off */
    _Atomic bool kept;     /* stored in a tier */
    _Atomic bool deserted; /* its last waiter left, and perhaps nobody came since */

    /* owner's thread */
    struct http_fetch *http;
    struct edge_origin *origin; /* that is asked */
    uint32_t asked;             /* bits of the rule's origins that were */
    bool shielded;              /* by a shield; `origin` is its listener */
    bool shield_tried;
    bool body_begun;              /* bytes of the request's body went out */
    char *url;                    /* as that origin is asked; for messages, too */
    struct edge_promise *promise; /* of the name about the body; NULL: none */
    bool charged;                 /* in the account of memory */
    struct loop_deferred tell;
    _Atomic bool may_keep; /* written here, read by waiters for their Cache-Status */
    struct edge_fetch_slot slot[];
};

/* Whether requests by this rule may go to more than one place: several origins, or a shield. */
bool edge_fetch_has_ways(const struct edge_rule *rule);

/* What a request wants of the origin. */
struct edge_fetch_wish {
    const struct edge_vary_source *source; /* the request */
    struct edge_moment moment;             /* of the look at what is stored that found nothing to use */
    const struct edge_rep *newest;         /* Vary as it was last; NULL: unknown */
    struct edge_fetch_scope scope;         /* of the fetch that is made when there is none to join */
    uint64_t at;                           /* with scope.ranged: the byte that must be in its stretch */
    bool sure;                             /* joins only one whose answer is being stored already */
    bool only_join;                        /* none may be made */
};
/* Joins a running fetch of the entry, or makes and joins one that others may join from now on: *ret_made; it
 * wants edge_fetch_start() then, and the caller has a reference for that besides the waiter's. Without a
 * waiter (a background refresh of a stale answer) none is joined. NULL: look again, something was published
 * since the wish's moment (its fetch may have been the one to wait for); or, without a waiter, one is
 * running. */
struct edge_fetch *edge_fetch_join_or_make(struct edge_worker *worker, struct edge_entry *entry,
                                           const struct edge_fetch_wish *wish,
                                           struct edge_fetch_waiter *waiter, bool *ret_made);
/* One that nobody finds, for the waiter's request alone. The reference of `entry` (NULL: its answer is never
 * stored) is consumed. Start it. */
struct edge_fetch *edge_fetch_make_alone(struct edge_worker *worker, struct edge_entry *entry,
                                         uint64_t purge_number, struct edge_fetch_waiter *waiter);
/* Asks the origin. Takes what `request` owns, and the caller's reference. */
void edge_fetch_start(struct edge_fetch *fetch, const struct edge_request_control *control,
                      struct edge_fetch_request *request);
bool edge_fetch_is_running(const struct edge_entry *entry); /* whether there is one to be joined */
/* Whether a fetch of the whole that the request may join will soon have byte `at`: it is within `ahead` of
 * what has come. */
bool edge_fetch_is_near(struct edge_entry *entry, const struct edge_vary_source *source, uint64_t at,
                        uint64_t ahead);
/* Whether its answer is the whole and is being stored, also where a range was asked for and ignored. */
bool edge_fetch_is_whole(const struct edge_fetch *fetch);
/* Leaves; drops the waiter's reference. When the leader of an answer that only it can use leaves, the fetch
 * ends. */
void edge_fetch_leave(struct edge_fetch *fetch, struct edge_worker *worker, struct edge_fetch_waiter *waiter);
struct edge_fetch *edge_fetch_ref(struct edge_fetch *fetch);
void edge_fetch_unref(struct edge_fetch *fetch);
enum edge_fetch_phase edge_fetch_phase_now(const struct edge_fetch *fetch);
/* What a STORING or PASSING fetch's answer says to its leader, or to the others. */
struct edge_rep *edge_fetch_told(const struct edge_fetch *fetch, bool leader);
/* More of a request's body is there (after read_body said wait). Owner's thread. */
void edge_fetch_body_ready(struct edge_fetch *fetch);

#endif
