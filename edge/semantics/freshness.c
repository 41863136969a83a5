/* freshness: the sums are done once, when a response is stored (edge_freshness_compute), since
 * hits only compare. They follow the text of RFC 9111 4.2 step by step under its own names, so
 * that one can be held beside the other. Dates beyond reason are cut to HTTP_SECONDS_MAX before
 * they are added. */
#include "edge/semantics/freshness.h"

#include "common/http/syntax/http_date.h"
#include "common/http/syntax/http_field.h"
#include "common/mem.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/banned.h"

_Static_assert(sizeof(struct edge_freshness) == 48, "stored as it is");

static const struct cdn_str default_targeted[] = {{"pocketcdn-Cache-Control", 23}, {"CDN-Cache-Control", 17}};

void edge_rules_init(struct edge_rules *policy)
{
    *policy = (struct edge_rules){
        .heuristic = true,
        .heuristic_fraction = 0.1,
        .heuristic_cap_s = 86400,
        .targeted = default_targeted,
        .targeted_count = CDN_ARRAY_LEN(default_targeted),
        .honour_request = true,
        .disconnected_s = 86400,
        .max_lifetime_s = HTTP_SECONDS_MAX,
        .set_cookie = EDGE_SET_COOKIE_STRIP,
    };
}

int64_t edge_rules_negative_ttl(const struct edge_rules *policy, unsigned status)
{
    for (unsigned i = 0; i < policy->negative_count; i++) {
        if (policy->negative[i].status == status) {
            return policy->negative[i].ttl_s;
        }
    }
    return -1;
}

static const char *const source_words[EDGE_LIFETIME_COUNT] = {
#define X(name, word) word,
    EDGE_LIFETIME_SOURCES(X)
#undef X
};

const char *edge_lifetime_source_word(enum edge_lifetime_source s)
{
    return s < EDGE_LIFETIME_COUNT ? source_words[s] : "unknown";
}

static const struct {
    const char *word;
    bool serves;
} reuses[EDGE_REUSE_COUNT] = {
#define X(name, word, serve) {word, serve},
    EDGE_REUSES(X)
#undef X
};

const char *edge_reuse_word(enum edge_reuse r)
{
    return r < EDGE_REUSE_COUNT ? reuses[r].word : "unknown";
}

bool edge_reuse_serves(enum edge_reuse r)
{
    return r < EDGE_REUSE_COUNT && reuses[r].serves;
}

/* One targeted field; false when absent or not to be used. A single line is read in place, several are
 * joined. */
static bool read_targeted(const struct edge_head *head, struct cdn_str name, struct cdn_buf *scratch,
                          struct http_cache_control *cc)
{
    struct cdn_str value;
    size_t from = scratch->n;
    if (!edge_head_join_named(head, name, scratch)) {
        return false;
    }
    value = cdn_str_sub(cdn_buf_str(scratch), from);
    return http_cache_control_add_structured(cc, value);
}

void edge_control_read(const struct edge_rules *policy, const struct edge_head *head, struct cdn_buf *scratch,
                       struct edge_control *ret)
{
    struct cdn_str value;
    size_t at = 0;
    *ret = (struct edge_control){.source = {"", 0}};
    for (size_t i = 0; i < policy->targeted_count; i++) {
        if (read_targeted(head, policy->targeted[i], scratch, &ret->cc)) {
            ret->targeted = true;
            ret->source = policy->targeted[i];
            return;
        }
    }
    while (edge_head_next_of(head, EDGE_HEAD_CACHE_CONTROL, &at, &value)) {
        ret->source = CDN_STR("Cache-Control");
        http_cache_control_add(&ret->cc, value);
    }
}

static int64_t clamp_seconds(int64_t s)
{
    return s < 0 ? 0 : s > HTTP_SECONDS_MAX ? HTTP_SECONDS_MAX : s;
}

bool edge_freshness_age_parse(const struct edge_head *head, int64_t *ret_s)
{
    struct cdn_str list = edge_head_get(head, EDGE_HEAD_AGE), first;
    return list.p && http_list_next(&list, &first) && http_parse_seconds(first, ret_s);
}

/* Date of the response; when it has none that can be read, when it arrived (RFC 9110 6.6.1). */
static int64_t date_of(const struct edge_head *head, int64_t response_s)
{
    int64_t date = response_s;
    struct cdn_str value = edge_head_get(head, EDGE_HEAD_DATE);
    if (value.p) {
        (void)http_date_parse_at(value, response_s, &date);
    }
    return date;
}

static int64_t heuristic_lifetime(const struct edge_rules *policy, const struct edge_head *head, int64_t date,
                                  int64_t now_s)
{
    struct cdn_str value = edge_head_get(head, EDGE_HEAD_LAST_MODIFIED);
    int64_t modified;
    if (!value.p || !http_date_parse_at(value, now_s, &modified) || modified >= date) {
        return -1;
    }
    int64_t s = (int64_t)((double)(date - modified) * policy->heuristic_fraction);
    return s > policy->heuristic_cap_s ? policy->heuristic_cap_s : s;
}

bool edge_freshness_status_heuristic(unsigned status)
{
    switch (status) {
    case 200:
    case 203:
    case 204:
    case 206:
    case 300:
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501:
        return true;
    default:
        return false;
    }
}

/* freshness_lifetime of RFC 9111 4.2.1 and 4.2.2. */
static int64_t lifetime_of(const struct edge_rules *policy, const struct edge_head *head,
                           const struct edge_control *control, int64_t date, int64_t now_s,
                           enum edge_lifetime_source *ret_source)
{
    const struct http_cache_control *cc = &control->cc;
    struct cdn_str expires = edge_head_get(head, EDGE_HEAD_EXPIRES);
    int64_t s, until = 0;
    if (http_cc_has(cc, HTTP_CC_S_MAXAGE) || http_cc_has(cc, HTTP_CC_MAX_AGE)) {
        bool shared = http_cc_has(cc, HTTP_CC_S_MAXAGE);
        *ret_source = control->targeted ? EDGE_LIFETIME_TARGETED
                      : shared          ? EDGE_LIFETIME_S_MAXAGE
                                        : EDGE_LIFETIME_MAX_AGE;
        return cc->seconds[shared ? HTTP_CC_S_MAXAGE : HTTP_CC_MAX_AGE];
    }
    if (expires.p && !control->targeted) {
        *ret_source = EDGE_LIFETIME_EXPIRES;
        return http_date_parse_at(expires, now_s, &until) ? clamp_seconds(until - date) : 0;
    }
    s = edge_rules_negative_ttl(policy, edge_head_status(head));
    if (s >= 0) {
        *ret_source = EDGE_LIFETIME_NEGATIVE;
        return s;
    }
    if (policy->heuristic &&
        (edge_freshness_status_heuristic(edge_head_status(head)) || http_cc_has(cc, HTTP_CC_PUBLIC))) {
        s = heuristic_lifetime(policy, head, date, now_s);
        if (s > 0) {
            *ret_source = EDGE_LIFETIME_HEURISTIC;
            return s;
        }
    }
    *ret_source = EDGE_LIFETIME_NONE;
    return 0;
}

/* What the operator says of it, within RFC 9111's leave: for how long, but not whether, it may be stored.
 * Errors have rows of their own (`negative`): a floor meant for pages would keep a failure for as long. */
static int64_t ruled_lifetime(const struct edge_rules *policy, unsigned status, int64_t lifetime,
                              enum edge_lifetime_source *source)
{
    if (status < 400 && (policy->fixed_lifetime || lifetime < policy->min_lifetime_s)) {
        *source = EDGE_LIFETIME_RULE;
        return policy->fixed_lifetime ? policy->fixed_lifetime_s : policy->min_lifetime_s;
    }
    return lifetime;
}

static int32_t window(const struct http_cache_control *cc, enum http_cache_directive d, int64_t otherwise)
{
    return http_cc_has(cc, d) ? cc->seconds[d] : (int32_t)clamp_seconds(otherwise);
}

/* apparent_age of 4.2.3, by the clock that the origin's Date is nearer to. */
static int64_t apparent_age(int64_t date, int64_t now_s, int64_t travelled_s)
{
    int64_t age = now_s - date, true_age = age - travelled_s;
    return llabs(true_age) < llabs(age) ? true_age : age;
}

void edge_freshness_compute(const struct edge_rules *policy, const struct edge_head *head,
                            const struct edge_control *control, int64_t request_ms, int64_t response_ms,
                            int64_t travelled_ms, struct edge_freshness *ret)
{
    const struct http_cache_control *cc = &control->cc;
    int64_t now_s = response_ms / 1000, age = 0;
    int64_t date = date_of(head, now_s);
    enum edge_lifetime_source source;
    int64_t lifetime = ruled_lifetime(policy, edge_head_status(head),
                                      lifetime_of(policy, head, control, date, now_s, &source), &source);
    struct edge_freshness f = {.response_ms = response_ms, .source = (uint8_t)source};
    (void)edge_freshness_age_parse(head, &age);
    f.lifetime_s =
        (int32_t)clamp_seconds(lifetime > policy->max_lifetime_s ? policy->max_lifetime_s : lifetime);
    f.age_value_s = (int32_t)age;
    f.apparent_age_s = (int32_t)clamp_seconds(apparent_age(date, now_s, travelled_ms / 1000));
    f.delay_s = (int32_t)clamp_seconds((response_ms - request_ms) / 1000);
    int64_t corrected = clamp_seconds(age + f.delay_s);
    f.initial_age_s = (int32_t)(corrected > f.apparent_age_s ? corrected : f.apparent_age_s);
    f.swr_s = window(cc, HTTP_CC_STALE_WHILE_REVALIDATE, policy->default_swr_s);
    f.sie_s = window(cc, HTTP_CC_STALE_IF_ERROR, policy->default_sie_s);
    f.no_cache = http_cc_has(cc, HTTP_CC_NO_CACHE) && cc->no_cache_fields.n == 0;
    /* s-maxage implies proxy-revalidate (9111 5.2.2.10); a response that names a window itself (RFC 5861)
     * means it. */
    const bool names_window =
        http_cc_has(cc, HTTP_CC_STALE_WHILE_REVALIDATE) || http_cc_has(cc, HTTP_CC_STALE_IF_ERROR);
    f.windows_only = http_cc_has(cc, HTTP_CC_S_MAXAGE) && names_window;
    f.must_revalidate = http_cc_has(cc, HTTP_CC_MUST_REVALIDATE) ||
                        http_cc_has(cc, HTTP_CC_PROXY_REVALIDATE) ||
                        (http_cc_has(cc, HTTP_CC_S_MAXAGE) && !names_window);
    f.immutable = http_cc_has(cc, HTTP_CC_IMMUTABLE);
    f.has_validator = edge_head_get(head, EDGE_HEAD_ETAG).p != NULL ||
                      edge_head_get(head, EDGE_HEAD_LAST_MODIFIED).p != NULL;
    *ret = f;
}

int64_t edge_freshness_age(const struct edge_freshness *f, int64_t now_ms)
{
    int64_t resident = now_ms > f->response_ms ? (now_ms - f->response_ms) / 1000 : 0;
    return clamp_seconds(f->initial_age_s + resident);
}

int64_t edge_freshness_left(const struct edge_freshness *f, int64_t now_ms)
{
    int64_t left = f->lifetime_s - edge_freshness_age(f, now_ms);
    /* Stored later than now: the clock went back, and how old the answer is cannot be told. */
    return now_ms + EDGE_CLOCK_SLACK_MS < f->response_ms && left > 0 ? 0 : left;
}

int64_t edge_freshness_expires_ms(const struct edge_freshness *f)
{
    return f->response_ms + ((int64_t)f->lifetime_s - f->initial_age_s) * 1000;
}

int64_t edge_freshness_useless_ms(const struct edge_freshness *f)
{
    int64_t more = f->must_revalidate ? 0 : f->swr_s > f->sie_s ? f->swr_s : f->sie_s;
    return edge_freshness_expires_ms(f) + more * 1000;
}

void edge_freshness_soft_purge(struct edge_freshness *f, int64_t now_ms)
{
    if (edge_freshness_left(f, now_ms) > 0) {
        f->lifetime_s = (int32_t)edge_freshness_age(f, now_ms);
    }
    f->source = EDGE_LIFETIME_PURGED;
}

void edge_freshness_explain(const struct edge_freshness *f, int64_t now_ms, struct cdn_buf *into)
{
    int64_t left = edge_freshness_left(f, now_ms);
    cdn_buf_printf(into, "freshness_lifetime = %d s (%s)\n", f->lifetime_s,
                   edge_lifetime_source_word((enum edge_lifetime_source)f->source));
    cdn_buf_printf(into, "apparent_age = %d s (response time - Date)\n", f->apparent_age_s);
    cdn_buf_printf(into, "corrected_age_value = %d s (Age %d + response delay %d)\n",
                   f->age_value_s + f->delay_s, f->age_value_s, f->delay_s);
    cdn_buf_printf(into, "corrected_initial_age = %d s (the larger of the two)\n", f->initial_age_s);
    cdn_buf_printf(into, "current_age = %" PRId64 " s (and the time it has been here)\n",
                   edge_freshness_age(f, now_ms));
    cdn_buf_printf(into, left > 0 ? "fresh for %" PRId64 " s more\n" : "stale for %" PRId64 " s\n",
                   left > 0 ? left : -left);
    cdn_buf_printf(into, "stale-while-revalidate = %d s, stale-if-error = %d s%s%s%s\n", f->swr_s, f->sie_s,
                   f->must_revalidate ? ", must-revalidate" : "", f->no_cache ? ", no-cache" : "",
                   f->immutable ? ", immutable" : "");
}

void edge_request_control_read(struct cdn_str cache_control, struct cdn_str pragma,
                               struct edge_request_control *ret)
{
    *ret = (struct edge_request_control){0};
    if (cache_control.p) {
        http_cache_control_add(&ret->cc, cache_control);
    } else if (pragma.p && http_list_has_token(pragma, CDN_STR("no-cache"))) {
        ret->cc.present = UINT32_C(1) << HTTP_CC_NO_CACHE; /* RFC 9111 5.4 */
    }
}

/* Does the request refuse this stored answer although the response would allow it (RFC 9111 5.2.1)? */
static bool request_refuses(const struct edge_rules *policy, const struct edge_freshness *f,
                            const struct http_cache_control *cc, int64_t age, int64_t left)
{
    if (http_cc_has(cc, HTTP_CC_MIN_FRESH) && left < cc->seconds[HTTP_CC_MIN_FRESH]) {
        return true;
    }
    if (policy->ignore_reload) {
        return false;
    }
    if (http_cc_has(cc, HTTP_CC_NO_CACHE) || http_cc_has(cc, HTTP_CC_NO_STORE)) {
        return true;
    }
    if (!http_cc_has(cc, HTTP_CC_MAX_AGE)) {
        return false;
    }
    if (cc->seconds[HTTP_CC_MAX_AGE] == 0) {
        return !(f->immutable && left > 0); /* a reload; RFC 8246 2 makes it pointless */
    }
    return age > cc->seconds[HTTP_CC_MAX_AGE];
}

/* Stale, the origin is well, and neither response nor request wants validation: may it be served? */
static enum edge_reuse decide_stale(const struct edge_freshness *f, const struct http_cache_control *cc,
                                    int64_t stale_s)
{
    if (f->must_revalidate) {
        return EDGE_REUSE_VALIDATE_EXPIRED;
    }
    if (http_cc_has(cc, HTTP_CC_MAX_STALE) && !f->windows_only) {
        return stale_s <= cc->seconds[HTTP_CC_MAX_STALE] ? EDGE_REUSE_STALE_ALLOWED
                                                         : EDGE_REUSE_VALIDATE_EXPIRED;
    }
    /* max-age without max-stale: the client does not want stale answers (5.2.1.1) */
    bool wants_fresh = http_cc_has(cc, HTTP_CC_MAX_AGE) || http_cc_has(cc, HTTP_CC_MIN_FRESH);
    return !wants_fresh && f->swr_s > 0 && stale_s <= f->swr_s ? EDGE_REUSE_STALE_REVALIDATE
                                                               : EDGE_REUSE_VALIDATE_EXPIRED;
}

/* The origin cannot give a good answer: may the stored one stand in (RFC 5861 4, RFC 9111 4.2.4)? */
static bool allowed_on_error(const struct edge_rules *policy, const struct edge_freshness *f,
                             const struct http_cache_control *cc, enum edge_origin_state origin,
                             int64_t stale_s)
{
    if (f->no_cache || (stale_s >= 0 && f->must_revalidate)) {
        return false;
    }
    int64_t allowed = f->sie_s;
    if (http_cc_has(cc, HTTP_CC_STALE_IF_ERROR) && cc->seconds[HTTP_CC_STALE_IF_ERROR] > allowed) {
        allowed = cc->seconds[HTTP_CC_STALE_IF_ERROR];
    }
    if (origin == EDGE_ORIGIN_DISCONNECTED && !f->windows_only && policy->disconnected_s > allowed) {
        allowed = policy->disconnected_s;
    }
    return stale_s < 0 || (allowed > 0 && stale_s <= allowed);
}

enum edge_reuse edge_reuse_decide(const struct edge_rules *policy, const struct edge_freshness *f,
                                  const struct edge_request_control *request, enum edge_origin_state origin,
                                  bool unsynced, int64_t now_ms)
{
    static const struct http_cache_control nothing;
    const struct http_cache_control *cc = request && policy->honour_request ? &request->cc : &nothing;
    int64_t age = edge_freshness_age(f, now_ms), left = edge_freshness_left(f, now_ms);
    enum edge_reuse reuse = EDGE_REUSE_FRESH;
    if (f->no_cache) {
        reuse = EDGE_REUSE_VALIDATE_NO_CACHE;
    } else if (request_refuses(policy, f, cc, age, left)) {
        reuse = EDGE_REUSE_VALIDATE_REQUEST;
    } else if (unsynced) {
        reuse = EDGE_REUSE_VALIDATE_UNSYNCED;
    } else if (left <= 0) {
        reuse = decide_stale(f, cc, -left);
    }
    if (!edge_reuse_serves(reuse) && origin != EDGE_ORIGIN_UP &&
        allowed_on_error(policy, f, cc, origin, -left)) {
        return EDGE_REUSE_STALE_ERROR;
    }
    return reuse;
}

bool edge_freshness_only_if_cached(const struct edge_rules *policy,
                                   const struct edge_request_control *request)
{
    return policy->honour_request && request && http_cc_has(&request->cc, HTTP_CC_ONLY_IF_CACHED);
}

bool edge_freshness_status_is_error(unsigned status)
{
    return status == 500 || status == 502 || status == 503 || status == 504;
}
