/* freshness: how long a stored response may be used, and whether it may be used now (RFC 9111 4.2, 5.2; RFC
 * 5861).
 *
 * edge_control_read() finds the directives that count for us (a targeted field such as CDN-Cache-Control in
 * place of Cache-Control, RFC 9213); edge_freshness_compute() turns them into numbers once, when a response
 * is stored or refreshed; edge_reuse_decide() then answers for one request with a few comparisons. No
 * function asks for the time. Times are milliseconds of the cache clock, durations seconds unless the name
 * says otherwise.
 */
#ifndef CDN_EDGE_FRESHNESS_H
#define CDN_EDGE_FRESHNESS_H
#include "common/http/syntax/http_field_cache.h"
#include "common/str.h"
#include "edge/semantics/head.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EDGE_RULES_NEGATIVE_MAX 16

/* What a Set-Cookie in an otherwise storable response does. RFC 9111 7.3 leaves it to the directives;
 * explicit freshness is needed all the same. In the order of the setting's words. */
enum edge_set_cookie {
    EDGE_SET_COOKIE_REFUSE, /* not stored unless `public`, s-maxage or a targeted field says so */
    EDGE_SET_COOKIE_STRIP,  /* stored without it: only who asked the origin gets it */
    EDGE_SET_COOKIE_REPLAY, /* stored and given with it */
};

struct edge_rules {
    bool heuristic;                 /* use 10 % of the Last-Modified age where nothing is said (4.2.2) */
    double heuristic_fraction;      /* 0.1 */
    int64_t heuristic_cap_s;        /* 86400 */
    const struct cdn_str *targeted; /* names of targeted fields, the most specific first; borrowed */
    size_t targeted_count;
    bool honour_request; /* request directives count (9111 5.2.1 lets a cache choose) */
    bool ignore_reload;  /* all of these but no-cache, no-store, max-age, Pragma: no client forces a fetch */
    int64_t default_swr_s;  /* stale-while-revalidate when the response says nothing; 0 */
    int64_t default_sie_s;  /* stale-if-error likewise; 0 */
    int64_t disconnected_s; /* how long past its lifetime an answer may be served when the origin cannot be
                               reached (4.2.4 allows it unless the response forbids it); 86400 */
    int64_t max_lifetime_s; /* longer lifetimes are cut; HTTP_SECONDS_MAX */
    int64_t min_lifetime_s; /* shorter ones are made so long, also where nothing is said; not of errors; 0 */
    bool fixed_lifetime;    /* every lifetime but that of errors is fixed_lifetime_s, whatever is said */
    int64_t fixed_lifetime_s;
    enum edge_set_cookie set_cookie;
    struct {
        uint16_t status;
        int32_t ttl_s;
    } negative[EDGE_RULES_NEGATIVE_MAX]; /* lifetimes of error statuses that name none themselves */
    unsigned negative_count;
};
/* The defaults above; targeted: pocketcdn-Cache-Control, CDN-Cache-Control. */
void edge_rules_init(struct edge_rules *policy);
/* Lifetime for a status that says nothing; -1 when the policy has no row for it. */
int64_t edge_rules_negative_ttl(const struct edge_rules *policy, unsigned status);

/* The directives of a response that count. */
struct edge_control {
    struct http_cache_control cc;
    bool targeted; /* from a targeted field: Cache-Control, Expires and Pragma are not looked at */
    struct cdn_str
        source; /* the field's name as the policy spells it, "Cache-Control", or empty (none there) */
};
/* `scratch` holds joined lines that the slices of *ret may borrow from; keep it as long as *ret. */
void edge_control_read(const struct edge_rules *policy, const struct edge_head *head, struct cdn_buf *scratch,
                       struct edge_control *ret);

#define EDGE_LIFETIME_SOURCES(X) /* name, word (for /why) */      \
    X(NONE, "none")                                               \
    X(TARGETED, "cdn-cache-control")                              \
    X(S_MAXAGE, "s-maxage")                                       \
    X(MAX_AGE, "max-age")                                         \
    X(EXPIRES, "expires")                                         \
    X(HEURISTIC, "heuristic")                                     \
    X(NEGATIVE, "negative")                                       \
    X(PURGED, "purged") /* by a soft purge: stale from then on */ \
    X(RULE, "rule")     /* the site's rule has a floor, or says it itself */

enum edge_lifetime_source {
#define X(name, word) EDGE_LIFETIME_##name,
    EDGE_LIFETIME_SOURCES(X)
#undef X
        EDGE_LIFETIME_COUNT
};
const char *edge_lifetime_source_word(enum edge_lifetime_source s);

#define EDGE_CLOCK_SLACK_MS 5000 /* a clock that is set back by less is not noticed */

/* What a name that looks content-hashed says of the body (promise.h). Stored as numbers. */
enum edge_promise_state {
    EDGE_PROMISE_KEPT,       /* or there is none */
    EDGE_PROMISE_BROKEN,     /* the body has another hash */
    EDGE_PROMISE_UNVERIFIED, /* the body is coded and cannot be compared */
};

/* Plain data, fit to be stored (48 bytes). */
struct edge_freshness {
    int64_t response_ms;    /* when the answer's head arrived */
    int32_t initial_age_s;  /* corrected_initial_age of 4.2.3, at response_ms */
    int32_t lifetime_s;     /* freshness_lifetime of 4.2.1 */
    int32_t swr_s;          /* stale-while-revalidate window after the lifetime */
    int32_t sie_s;          /* stale-if-error window */
    uint8_t source;         /* enum edge_lifetime_source */
    bool no_cache;          /* validate before every reuse (no-cache without field names) */
    bool must_revalidate;   /* must-revalidate, proxy-revalidate or s-maxage: never serve stale */
    bool immutable;         /* RFC 8246 */
    bool has_validator;     /* ETag or Last-Modified: a conditional request makes sense */
    bool windows_only;      /* s-maxage beside explicit stale windows: stale within these, never beyond */
    uint8_t received;       /* version of the answer: 0: HTTP/1.1, 10: HTTP/1.0, 20: HTTP/2 (9110 7.6.3) */
    uint8_t despite;        /* edge_vary_despite() of the request that brought it */
    int32_t age_value_s;    /* the three parts of the age, for /why: Age as sent (0 when unusable), */
    int32_t apparent_age_s; /* response time minus Date, */
    int32_t delay_s;        /* response time minus request time */
    uint8_t promise;        /* enum edge_promise_state */
    uint8_t _reserved[3];
};

/* request_ms: when the request went to the origin; response_ms: when its head came. travelled_ms: by how much
 * the cache clock was moved (simulation; else 0): an origin that is not part of it stands in true time, and
 * then its Date is compared with that. */
void edge_freshness_compute(const struct edge_rules *policy, const struct edge_head *head,
                            const struct edge_control *control, int64_t request_ms, int64_t response_ms,
                            int64_t travelled_ms, struct edge_freshness *ret);
/* Age of 9111 5.1: the first element of the first line; false when it is not a number (then it is
 * ignored). */
bool edge_freshness_age_parse(const struct edge_head *head, int64_t *ret_s);
/* Seconds; never negative, even when the clock went back. */
int64_t edge_freshness_age(const struct edge_freshness *f, int64_t now_ms);
/* Seconds left; negative: stale for that long. */
int64_t edge_freshness_left(const struct edge_freshness *f, int64_t now_ms);
/* When it turns stale, ms. */
int64_t edge_freshness_expires_ms(const struct edge_freshness *f);
/* When nothing allows its use without validation any more (the longest window), ms. */
int64_t edge_freshness_useless_ms(const struct edge_freshness *f);
/* Stale at once; windows count from now. */
void edge_freshness_soft_purge(struct edge_freshness *f, int64_t now_ms);
/* "lifetime 3600 s by max-age, ..." line by line, for /why. */
void edge_freshness_explain(const struct edge_freshness *f, int64_t now_ms, struct cdn_buf *into);

/* What a request says (directives of Cache-Control; Pragma: no-cache when there is no Cache-Control). */
struct edge_request_control {
    struct http_cache_control cc;
};
/* Joined values, p NULL when absent. */
void edge_request_control_read(struct cdn_str cache_control, struct cdn_str pragma,
                               struct edge_request_control *ret);

#define EDGE_REUSES(X) /* name, word, may be served without waiting for the origin */         \
    X(FRESH, "fresh", true)                                                                   \
    X(STALE_REVALIDATE, "stale-while-revalidate", true) /* and refresh in the background */   \
    X(STALE_ERROR, "stale-if-error", true)              /* the origin is down or failed */    \
    X(STALE_ALLOWED, "max-stale", true)                 /* the request takes stale answers */ \
    X(VALIDATE_EXPIRED, "expired", false)                                                     \
    X(VALIDATE_NO_CACHE, "no-cache", false) /* the response wants it */                       \
    X(VALIDATE_REQUEST, "request", false)   /* the request wants it */                        \
    X(VALIDATE_UNSYNCED, "unsynced", false) /* purges may have been missed */

enum edge_reuse {
#define X(name, word, serve) EDGE_REUSE_##name,
    EDGE_REUSES(X)
#undef X
        EDGE_REUSE_COUNT
};
const char *edge_reuse_word(enum edge_reuse r);
bool edge_reuse_serves(enum edge_reuse r);

enum edge_origin_state {
    EDGE_ORIGIN_UP,           /* as far as known */
    EDGE_ORIGIN_ERROR,        /* it was reached, but does not answer this URL, or with an error
                          (edge_freshness_status_is_error) */
    EDGE_ORIGIN_DISCONNECTED, /* it cannot be reached: refused, no route, no name, no TLS */
};
/* `request` NULL: nothing said. `unsynced`: the purge log is out of reach (nothing is served unvalidated but
 * stale-if-error answers are not affected: the origin is down as well). */
enum edge_reuse edge_reuse_decide(const struct edge_rules *policy, const struct edge_freshness *f,
                                  const struct edge_request_control *request, enum edge_origin_state origin,
                                  bool unsynced, int64_t now_ms);
/* only-if-cached: what cannot be served is to be answered 504 instead of asking the origin (5.2.1.7). */
bool edge_freshness_only_if_cached(const struct edge_rules *policy,
                                   const struct edge_request_control *request);
/* Statuses that count as an error for stale-if-error (RFC 5861 4): 500, 502, 503, 504. */
bool edge_freshness_status_is_error(unsigned status);
bool edge_freshness_status_heuristic(unsigned status); /* heuristically cacheable (RFC 9110 15.1) */

#endif
