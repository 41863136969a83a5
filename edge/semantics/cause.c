/* cause: the tables of cause.h as arrays, and from decisions to words. Cache-Status is written
 * once here for all answers but plain hits, which have a shorter way of their own without a
 * buffer. */
#include "edge/semantics/cause.h"

#include "common/http/syntax/http_structured.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/banned.h"

static const struct {
    const char *text;
    const char *meaning;
} verdicts[EDGE_VERDICT_COUNT] = {
#define X(name, text, meaning) {text, meaning},
    EDGE_VERDICTS(X)
#undef X
};

static const struct {
    const char *word;
    const char *fwd;
    const char *meaning;
} causes[EDGE_CAUSE_COUNT] = {
#define X(name, word, fwd, meaning) {word, fwd, meaning},
    EDGE_CAUSES(X)
#undef X
};

const char *edge_verdict_text(enum edge_verdict v)
{
    return v < EDGE_VERDICT_COUNT ? verdicts[v].text : "";
}

const char *edge_verdict_meaning(enum edge_verdict v)
{
    return v < EDGE_VERDICT_COUNT ? verdicts[v].meaning : "";
}

const char *edge_cause_word(enum edge_cause c)
{
    return c < EDGE_CAUSE_COUNT ? causes[c].word : "";
}

const char *edge_cause_fwd(enum edge_cause c)
{
    return c < EDGE_CAUSE_COUNT ? causes[c].fwd : "";
}

const char *edge_cause_meaning(enum edge_cause c)
{
    return c < EDGE_CAUSE_COUNT ? causes[c].meaning : "";
}

enum edge_cause edge_cause_of_reuse(enum edge_reuse reuse)
{
    switch (reuse) {
    case EDGE_REUSE_VALIDATE_NO_CACHE:
        return EDGE_CAUSE_VALIDATION;
    case EDGE_REUSE_VALIDATE_REQUEST:
        return EDGE_CAUSE_BYPASS_REQUEST;
    case EDGE_REUSE_VALIDATE_UNSYNCED:
        return EDGE_CAUSE_UNSYNCED;
    case EDGE_REUSE_FRESH:
        return EDGE_CAUSE_NONE;
    case EDGE_REUSE_STALE_REVALIDATE:
    case EDGE_REUSE_STALE_ERROR:
    case EDGE_REUSE_STALE_ALLOWED:
    case EDGE_REUSE_VALIDATE_EXPIRED:
    case EDGE_REUSE_COUNT:
        break;
    }
    return EDGE_CAUSE_EXPIRED;
}

enum edge_cause edge_cause_of_stored(enum edge_reuse reuse, const struct edge_freshness *fresh)
{
    const enum edge_cause cause = edge_cause_of_reuse(reuse);
    if (cause != EDGE_CAUSE_NONE || fresh->promise == EDGE_PROMISE_KEPT) {
        return cause;
    }
    return fresh->promise == EDGE_PROMISE_BROKEN ? EDGE_CAUSE_HASH_MISMATCH : EDGE_CAUSE_HASH_UNVERIFIED;
}

enum edge_cause edge_cause_of_unstorable(enum edge_store_reason reason)
{
    return reason == EDGE_STORE_SET_COOKIE ? EDGE_CAUSE_SET_COOKIE : EDGE_CAUSE_BYPASS_RESPONSE;
}

bool edge_cause_find(struct cdn_str word, enum edge_cause *ret)
{
    for (unsigned c = EDGE_CAUSE_NONE + 1; c < EDGE_CAUSE_COUNT; c++) {
        if (cdn_str_eq(word, cdn_str(causes[c].word))) {
            *ret = (enum edge_cause)c;
            return true;
        }
    }
    return false;
}

void edge_cache_status_build(const struct edge_cache_status *s, struct cdn_buf *into)
{
    struct cdn_str detail = s->detail.p ? s->detail : cdn_str(edge_cause_word(s->cause));
    const char *fwd = s->partial ? "partial" : edge_cause_fwd(s->cause);
    http_structured_add_text(into, s->name);
    if (s->hit) {
        cdn_buf_add(into, "; hit", 5);
    } else if (!s->own) {
        cdn_buf_add(into, "; fwd=", 6);
        cdn_buf_add_str(into, *fwd ? cdn_str(fwd) : CDN_STR("miss"));
    }
    if (!s->hit && s->fwd_status > 0) {
        cdn_buf_add(into, "; fwd-status=", 13);
        cdn_buf_add_int(into, s->fwd_status);
    }
    if (s->has_ttl) {
        cdn_buf_add(into, "; ttl=", 6);
        cdn_buf_add_int(into, s->ttl_s);
    }
    if (!s->hit && s->stored) {
        cdn_buf_add(into, "; stored", 8);
    }
    if (!s->hit && s->collapsed) {
        cdn_buf_add(into, "; collapsed", 11);
    }
    if (s->key.p) {
        cdn_buf_add(into, "; key=", 6);
        http_structured_add_string(into, s->key);
    }
    if (detail.n > 0) {
        cdn_buf_add(into, "; detail=", 9);
        http_structured_add_text(into, detail);
    }
}

size_t edge_cache_status_hit(struct cdn_str name, int64_t ttl_s, char *into, size_t size)
{
    if (!http_structured_is_token(name)) {
        return 0;
    }
    int n = snprintf(into, size, CDN_STR_FMT "; hit; ttl=%" PRId64, CDN_STR_ARG(name), ttl_s);
    return n > 0 && (size_t)n < size ? (size_t)n : 0;
}
