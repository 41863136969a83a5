/* cause: the words for what an edge did and why: verdicts (X-Cache), causes (detail=), and Cache-Status (RFC
 * 9211).
 *
 * One table each; logs, metrics, headers and /why take their words from here.
 */
#ifndef CDN_EDGE_CAUSE_H
#define CDN_EDGE_CAUSE_H
#include "common/str.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/storable.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EDGE_VERDICTS(X) /* name, X-Cache text, meaning */                       \
    X(HIT, "HIT", "answered from the cache")                                     \
    X(MISS, "MISS", "fetched from the origin")                                   \
    X(STALE, "STALE", "answered from the cache past its lifetime")               \
    X(REVALIDATED, "REVALIDATED", "stored answer confirmed by the origin")       \
    X(EXPIRED, "EXPIRED", "stored answer replaced by a new one from the origin") \
    X(BYPASS, "BYPASS", "passed on without the cache")

enum edge_verdict {
#define X(name, text, meaning) EDGE_VERDICT_##name,
    EDGE_VERDICTS(X)
#undef X
        EDGE_VERDICT_COUNT
};
const char *edge_verdict_text(enum edge_verdict v);
const char *edge_verdict_meaning(enum edge_verdict v);

/* name, word, fwd= of RFC 9211 2.2, meaning. NONE is a plain hit. */
#define EDGE_CAUSES(X)                                                                                \
    X(NONE, "", "", "nothing to explain")                                                             \
    X(COLD, "cold", "miss", "never stored here, or so long ago that nothing is remembered")           \
    X(EXPIRED, "expired", "stale", "stored, but past its lifetime")                                   \
    X(EVICTED, "evicted", "miss", "was stored and had to make room")                                  \
    X(PURGED, "purged", "miss", "was stored and has been purged")                                     \
    X(VARY, "vary", "vary-miss", "stored, but not for request fields like these")                     \
    X(BYPASS_METHOD, "bypass-method", "method", "the request's method is not answered from a cache")  \
    X(BYPASS_REQUEST, "bypass-request", "request", "the request asked for an answer of the origin")   \
    X(BYPASS_RULE, "bypass-rule", "bypass", "the site's rule for this path passes everything")        \
    X(BYPASS_COOKIE, "bypass-cookie", "request",                                                      \
      "the request has a cookie that the site's rule keeps for its owner")                            \
    X(BYPASS_RESPONSE, "bypass-response", "miss", "the origin's answer may not be stored")            \
    X(SET_COOKIE, "set-cookie", "miss", "the origin's answer sets a cookie for this client alone")    \
    X(RANGE_IGNORED, "range-ignored", "miss", "the origin answers a range with the whole")            \
    X(VALIDATION, "validation", "stale", "the stored answer must be confirmed before every use")      \
    X(UNSYNCED, "unsynced", "stale", "purges may have been missed, so the stored answer was checked") \
    X(CORRUPT, "corrupt", "miss", "the stored bytes were damaged and have been thrown away")          \
    X(HASH_MISMATCH, "hash-mismatch", "miss",                                                         \
      "its name looks content-hashed, but is not the MD5 of its body")                                \
    X(HASH_UNVERIFIED, "hash-unverified", "miss",                                                     \
      "its name looks content-hashed, and its coded body could not be compared with it")              \
    X(RATE_LIMIT, "rate-limit", "request", "refused: its network is over rate_limit")                 \
    X(MISS_LIMIT, "miss-limit", "request",                                                            \
      "refused: it needs the origin, and its network is over miss_limit")                             \
    X(COUNTRY, "country", "request", "refused: the rule is not for the country that it came from")    \
    X(SIGNATURE, "signature", "request", "refused: nothing good signs it")

enum edge_cause {
#define X(name, word, fwd, meaning) EDGE_CAUSE_##name,
    EDGE_CAUSES(X)
#undef X
        EDGE_CAUSE_COUNT
};
const char *edge_cause_word(enum edge_cause c);
const char *edge_cause_fwd(enum edge_cause c);
const char *edge_cause_meaning(enum edge_cause c);
enum edge_cause edge_cause_of_reuse(enum edge_reuse reuse); /* why an answer decided so is no plain hit */
/* The same for a stored answer, which may have something to say on a plain hit, too. */
enum edge_cause edge_cause_of_stored(enum edge_reuse reuse, const struct edge_freshness *fresh);
enum edge_cause edge_cause_of_unstorable(enum edge_store_reason reason); /* why one is passed on */
bool edge_cause_find(struct cdn_str word, enum edge_cause *ret);

/* One member of Cache-Status. */
struct edge_cache_status {
    struct cdn_str name; /* the edge's */
    bool hit;            /* answered without the origin */
    bool own;            /* neither hit nor forwarded: an answer of the edge's own, such as 400 */
    bool partial;        /* fwd=partial: some bytes were stored, the rest was fetched */
    enum edge_cause
        cause; /* of a non-hit; on a hit it may still say why (an answer past its lifetime: expired) */
    unsigned fwd_status; /* the origin's status; 0: none */
    bool has_ttl;
    int64_t ttl_s; /* may be negative */
    bool stored;
    bool collapsed;
    struct cdn_str detail; /* in place of the cause's word; p NULL: the cause */
    struct cdn_str key;    /* p NULL: left out */
};
/* Appends the member: `fra; hit; ttl=30`, `fra; fwd=miss; fwd-status=200; stored; detail=cold`. */
void edge_cache_status_build(const struct edge_cache_status *s, struct cdn_buf *into);
/* The same for a plain hit, into a buffer, without allocating; returns the length, 0 when it does not fit. */
size_t edge_cache_status_hit(struct cdn_str name, int64_t ttl_s, char *into, size_t size);

#endif
