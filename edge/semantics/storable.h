/* storable: may this response to this request be stored (RFC 9111 3), and what does a change invalidate
 * (4.4)?
 *
 * Each rule is a row of EDGE_STORE_REASONS, so that /why and the tests can name the one that decided.
 */
#ifndef CDN_EDGE_STORABLE_H
#define CDN_EDGE_STORABLE_H
#include "common/http/syntax/http_message.h"
#include "common/str.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"

#include <stdbool.h>
#include <stddef.h>

#define EDGE_STORE_REASONS(X) /* name, may be stored, word, RFC section */                           \
    X(OK, true, "ok", "9111 3")                                                                      \
    X(METHOD, false, "method", "9111 3") /* not GET, or a POST that 9110 9.3.3 excludes */           \
    X(REQUEST_NO_STORE, false, "request-no-store", "9111 5.2.1.5")                                   \
    X(INTERIM, false, "interim", "9111 3")           /* 1xx is not final */                          \
    X(NOT_MODIFIED, false, "not-modified", "9111 3") /* 304 updates, it is not stored */             \
    X(NOT_UNDERSTOOD, false, "not-understood",                                                       \
      "9111 5.2.2.3") /* must-understand and a status we do not know */                              \
    X(NO_STORE, false, "no-store", "9111 5.2.2.5")                                                   \
    X(PRIVATE, false, "private", "9111 5.2.2.7")                                                     \
    X(AUTHORIZATION, false, "authorization", "9111 3.5")                                             \
    X(VARY_ANY, false, "vary-any", "9111 4.1")         /* Vary: * never matches */                   \
    X(SET_COOKIE, false, "set-cookie", "9111 7.3")     /* for this client alone */                   \
    X(PARTIAL, false, "partial", "9111 3.3")           /* a 206 whose Content-Range is unusable */   \
    X(CONDITIONAL, false, "conditional", "9110 13.1")  /* 412 and 416 speak of one request only */   \
    X(ABOUT_REQUEST, false, "about-request", "9111 3") /* 429, 406 and the like, by no key */        \
    X(HASHED_ERROR, false, "hashed-name", "9111 3")    /* a content-hashed name and not a success */ \
    X(NO_FRESHNESS, false, "no-freshness",                                                           \
      "9111 3") /* nothing explicit, nothing heuristic, no use as stale */

enum edge_store_reason {
#define X(name, ok, word, section) EDGE_STORE_##name,
    EDGE_STORE_REASONS(X)
#undef X
        EDGE_STORE_COUNT
};
const char *edge_store_reason_word(enum edge_store_reason r);
const char *edge_store_reason_section(enum edge_store_reason r);
bool edge_store_reason_ok(enum edge_store_reason r);

struct edge_store_request {
    enum http_method method;
    bool authorized;                            /* it had Authorization */
    bool has_cookie;                            /* it had Cookie */
    const struct edge_request_control *control; /* NULL: nothing said */
    bool hashed_name;                           /* edge_key_hashed() said so */
    bool names_itself; /* of a POST: Content-Location is the URL of the request (9110 9.3.3) */
};

/* On OK, *freshness is what edge_freshness_compute() gave. A response that carries a validator but no
 * freshness is stored with lifetime 0 (validation is cheaper than a transfer). */
enum edge_store_reason edge_storable(const struct edge_rules *policy,
                                     const struct edge_store_request *request, const struct edge_head *head,
                                     const struct edge_control *control,
                                     const struct edge_freshness *freshness);
/* Statuses this cache understands (RFC 9110 15 and the ones it treats as complete). */
bool edge_storable_status_understood(unsigned status);

/* What an answer that is not stored says about others. An answer to one request says nothing about its URL:
 * all others still try to store theirs, and what is stored stays. */
enum edge_aftermath {
    EDGE_AFTER_NOTHING,  /* it was about this request or this moment */
    EDGE_AFTER_PARALLEL, /* for a while nobody waits for another's fetch, which may be in vain */
    EDGE_AFTER_SETTLED,  /* and the stale answer it was to replace is not given any more without asking */
    EDGE_AFTER_GONE,     /* and that one goes: the resource does not exist any more */
};
enum edge_aftermath edge_storable_aftermath(enum edge_store_reason reason,
                                            const struct edge_store_request *request, unsigned status);

/* Fields that are for the client whose request was answered, and in no stored answer: cookies, and what
 * signs in or out. `replay`: the policy lets cookies be given to others. */
bool edge_storable_field_is_personal(enum edge_head_field field, struct cdn_str name, bool replay);
/* A response whose no-cache="..." and private="..." name more fields than this is not stored. */
#define EDGE_DROP_NAMES_MAX 31u
#define EDGE_DROP_MAX (EDGE_DROP_NAMES_MAX + 8u)
/* Fields that must not be stored or reused without validation because no-cache="..." or private="..." names
 * them, and the personal ones that `head` has: to be taken out with edge_head_with(). Up to `max` slices
 * into `ret` (borrowed from control and head). */
size_t edge_storable_drop(const struct edge_rules *policy, const struct edge_head *head,
                          const struct edge_control *control, struct cdn_str *ret, size_t max);

#endif
