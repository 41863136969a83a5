/* others: one function for each, in the order in which its documentation decides. The first sentence that
 * decides is the claim's. */
#include "cli/explain/others.h"

#include "common/http/syntax/http_date.h"
#include "common/http/syntax/http_field_cache.h"
#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

#define DAY_S 86400
#define YEAR_S 31536000

static const struct {
    const char *name, *setting, *key;
} others[] = {
#define X(name, who, setting, key) {who, setting, key},
    EXPLAIN_OTHERS(X)
#undef X
};

static const char *const pages[] = {
#define X(name, text) text,
    EXPLAIN_PAGES(X)
#undef X
};

const char *explain_other_name(enum explain_other who)
{
    return others[who].name;
}

const char *explain_other_setting(enum explain_other who)
{
    return others[who].setting;
}

const char *explain_other_key(enum explain_other who)
{
    return others[who].key;
}

const char *explain_page_name(enum explain_page page)
{
    return pages[page];
}

/* ---- what the answer says ---- */

static const struct http_field *find(const struct explain_answer *a, const char *name)
{
    for (size_t i = 0; i < a->count; i++) {
        if (cdn_str_eq_nocase(a->field[i].name, cdn_str(name))) {
            return &a->field[i];
        }
    }
    return NULL;
}

/* All lines of a field; false: there is none. */
static bool control_of(const struct explain_answer *a, const char *name, struct http_cache_control *ret)
{
    *ret = (struct http_cache_control){0};
    bool any = false;
    for (size_t i = 0; i < a->count; i++) {
        if (cdn_str_eq_nocase(a->field[i].name, cdn_str(name))) {
            http_cache_control_add(ret, a->field[i].value);
            any = true;
        }
    }
    return any;
}

/* s-maxage before max-age; -1: neither. */
static int64_t age_of(const struct http_cache_control *cc)
{
    return http_cc_has(cc, HTTP_CC_S_MAXAGE)  ? cc->seconds[HTTP_CC_S_MAXAGE]
           : http_cc_has(cc, HTTP_CC_MAX_AGE) ? cc->seconds[HTTP_CC_MAX_AGE]
                                              : -1;
}

/* Seconds until Expires, 0 when it cannot be read; -1: there is none. */
static int64_t expires_of(const struct explain_answer *a)
{
    const struct http_field *expires = find(a, "Expires"), *date = find(a, "Date");
    int64_t until, from = a->now_s;
    if (!expires) {
        return -1;
    }
    if (date && !http_date_parse_at(date->value, a->now_s, &from)) {
        from = a->now_s;
    }
    return http_date_parse_at(expires->value, a->now_s, &until) && until > from ? until - from : 0;
}

static bool is_one_of(unsigned status, const unsigned *list)
{
    for (; *list; list++) {
        if (*list == status) {
            return true;
        }
    }
    return false;
}

static bool is_get(const struct explain_answer *a)
{
    return cdn_str_eq(a->method, CDN_STR("GET")) || cdn_str_eq(a->method, CDN_STR("HEAD"));
}

static struct explain_claim no(const char *because, enum explain_page page)
{
    return (struct explain_claim){.because = because, .page = page};
}

static struct explain_claim yes(int64_t ttl_s, const char *because, enum explain_page page)
{
    return (struct explain_claim){.cached = true, .ttl_s = ttl_s, .because = because, .page = page};
}

/* ---- CloudFront ---- */

static struct explain_claim cloudfront_error(const struct explain_answer *a, int64_t age)
{
    static const unsigned always[] = {404, 414, 500, 501, 502, 503, 504, 0};
    static const unsigned when_said[] = {400, 403, 405, 412, 415, 0};
    const char *longer = "an error is kept for as long as it says, but at least 10 s";
    if (is_one_of(a->status, always) || (is_one_of(a->status, when_said) && age >= 0)) {
        return age > 10
                   ? yes(age, longer, EXPLAIN_PAGE_CF_ERRORS)
                   : yes(10, "an error is kept for 10 s (error caching minimum TTL)", EXPLAIN_PAGE_CF_ERRORS);
    }
    return no(is_one_of(a->status, when_said) ? "this status is kept only with max-age or s-maxage"
                                              : "this status is not kept",
              EXPLAIN_PAGE_CF_STATUSES);
}

static struct explain_claim cloudfront_lifetime(int64_t min_s, int64_t said, bool forbidden)
{
    if (forbidden) {
        return min_s ? yes(min_s,
                           "no-store, no-cache and private keep it for the minimum TTL of 1 s all the same",
                           EXPLAIN_PAGE_CF_EXPIRATION)
                     : no("no-store, no-cache or private", EXPLAIN_PAGE_CF_EXPIRATION);
    }
    if (said < 0) {
        return yes(DAY_S, "it names no lifetime: the default TTL of 1 d", EXPLAIN_PAGE_CF_POLICIES);
    }
    if (said > YEAR_S) {
        return yes(YEAR_S, "the maximum TTL of 365 d", EXPLAIN_PAGE_CF_POLICIES);
    }
    if (said <= min_s) {
        return min_s ? yes(min_s, "the minimum TTL of 1 s", EXPLAIN_PAGE_CF_POLICIES)
                     : no("its lifetime is 0: it is validated each time", EXPLAIN_PAGE_CF_EXPIRATION);
    }
    return yes(said, "s-maxage, max-age or Expires", EXPLAIN_PAGE_CF_EXPIRATION);
}

static struct explain_claim cloudfront(const struct explain_answer *a, int64_t min_s)
{
    struct http_cache_control cc;
    (void)control_of(a, "Cache-Control", &cc);
    int64_t said = age_of(&cc);
    if (!is_get(a)) {
        return no("only answers to GET and HEAD are kept", EXPLAIN_PAGE_CF_STATUSES);
    }
    if (a->status >= 400) {
        return cloudfront_error(a, said);
    }
    said = said < 0 ? expires_of(a) : said;
    struct explain_claim claim =
        cloudfront_lifetime(min_s, said,
                            http_cc_has(&cc, HTTP_CC_NO_STORE) || http_cc_has(&cc, HTTP_CC_NO_CACHE) ||
                                http_cc_has(&cc, HTTP_CC_PRIVATE));
    if (find(a, "Set-Cookie")) {
        claim.note = "Set-Cookie is taken away, as no cookies are forwarded";
    }
    return claim;
}

/* ---- Cloudflare ---- */

/* Default cached file extensions. */
static const char *const extensions[] = {
    "7z",   "avi",  "avif", "apk",   "bin", "bmp",  "bz2",  "class", "css", "csv", "doc",  "docx",
    "dmg",  "ejs",  "eot",  "eps",   "exe", "flac", "gif",  "gz",    "ico", "iso", "jar",  "jpg",
    "jpeg", "js",   "mid",  "midi",  "mkv", "mp3",  "mp4",  "ogg",   "otf", "pdf", "pict", "pls",
    "png",  "ppt",  "pptx", "ps",    "rar", "svg",  "svgz", "swf",   "tar", "tif", "tiff", "ttf",
    "webm", "webp", "woff", "woff2", "xls", "xlsx", "zip",  "zst"};

static bool is_static(struct cdn_str path)
{
    size_t at = path.n;
    while (at > 0 && path.p[at - 1] != '/') {
        at--;
    }
    const struct cdn_str name = cdn_str_sub(path, at);
    size_t dot = name.n;
    while (dot > 0 && name.p[dot - 1] != '.') {
        dot--;
    }
    for (size_t i = 0; dot > 0 && i < CDN_ARRAY_LEN(extensions); i++) {
        if (cdn_str_eq_nocase(cdn_str_sub(name, dot), cdn_str(extensions[i]))) {
            return true;
        }
    }
    return cdn_str_eq(path, CDN_STR("/robots.txt"));
}

static struct explain_claim cloudflare_default(unsigned status)
{
    static const unsigned long_lived[] = {200, 206, 301, 0}, middle[] = {302, 303, 0}, gone[] = {404, 410, 0};
    const char *because = "it names no lifetime: the default for its status";
    return is_one_of(status, long_lived) ? yes(7200, because, EXPLAIN_PAGE_CFL_STATUS)
           : is_one_of(status, middle)   ? yes(1200, because, EXPLAIN_PAGE_CFL_STATUS)
           : is_one_of(status, gone)
               ? yes(180, because, EXPLAIN_PAGE_CFL_STATUS)
               : no("it names no lifetime, and its status has no default", EXPLAIN_PAGE_CFL_STATUS);
}

static struct explain_claim cloudflare(const struct explain_answer *a)
{
    struct http_cache_control cc;
    const bool targeted =
        control_of(a, "Cloudflare-CDN-Cache-Control", &cc) || control_of(a, "CDN-Cache-Control", &cc);
    if (!targeted) {
        (void)control_of(a, "Cache-Control", &cc);
    }
    int64_t said = age_of(&cc);
    if (!is_get(a)) {
        return no("only answers to GET are kept", EXPLAIN_PAGE_CFL_DEFAULT);
    }
    if (!is_static(a->path)) {
        return no("by its extension: only static files are kept, not HTML or JSON", EXPLAIN_PAGE_CFL_DEFAULT);
    }
    if (http_cc_has(&cc, HTTP_CC_NO_STORE) || http_cc_has(&cc, HTTP_CC_PRIVATE) ||
        http_cc_has(&cc, HTTP_CC_NO_CACHE) || said == 0) {
        return no("no-store, no-cache, private or max-age=0", EXPLAIN_PAGE_CFL_DEFAULT);
    }
    if (find(a, "Set-Cookie")) {
        return no("it sets a cookie", EXPLAIN_PAGE_CFL_COOKIE);
    }
    if (a->authorized && !http_cc_has(&cc, HTTP_CC_PUBLIC) && !http_cc_has(&cc, HTTP_CC_S_MAXAGE) &&
        !http_cc_has(&cc, HTTP_CC_MUST_REVALIDATE)) {
        return no("the request has Authorization, and the answer does not allow that",
                  EXPLAIN_PAGE_CFL_CONTROL);
    }
    if (said > 0) {
        return targeted ? yes(said, "CDN-Cache-Control", EXPLAIN_PAGE_CFL_CDN)
                        : yes(said, "s-maxage or max-age", EXPLAIN_PAGE_CFL_CONTROL);
    }
    said = targeted ? -1 : expires_of(a);
    return said > 0    ? yes(said, "Expires", EXPLAIN_PAGE_CFL_DEFAULT)
           : said == 0 ? no("Expires is past", EXPLAIN_PAGE_CFL_DEFAULT)
                       : cloudflare_default(a->status);
}

/* ---- Fastly ---- */

static struct explain_claim fastly(const struct explain_answer *a)
{
    static const unsigned cacheable[] = {200, 203, 300, 301, 302, 404, 410, 0};
    struct http_cache_control cc, surrogate;
    (void)control_of(a, "Cache-Control", &cc);
    (void)control_of(a, "Surrogate-Control", &surrogate);
    int64_t said = age_of(&surrogate);
    if (!is_get(a)) {
        return no("only answers to GET and HEAD are kept", EXPLAIN_PAGE_FASTLY_FETCH);
    }
    if (find(a, "Set-Cookie")) {
        return no("it sets a cookie: pass", EXPLAIN_PAGE_FASTLY_FETCH);
    }
    if (http_cc_has(&cc, HTTP_CC_PRIVATE) || http_cc_has(&cc, HTTP_CC_NO_STORE)) {
        return no("Cache-Control says private or no-store: pass", EXPLAIN_PAGE_FASTLY_FETCH);
    }
    if (!is_one_of(a->status, cacheable)) {
        return no("this status is not kept by default", EXPLAIN_PAGE_FASTLY_STATUS);
    }
    const char *because = said >= 0                            ? "Surrogate-Control"
                          : http_cc_has(&cc, HTTP_CC_S_MAXAGE) ? "s-maxage"
                                                               : "max-age";
    said = said < 0 ? age_of(&cc) : said;
    if (said < 0) {
        said = expires_of(a);
        because = "Expires";
    }
    struct explain_claim claim =
        said < 0 ? yes(3600, "it names no lifetime: the fallback TTL of 3600 s", EXPLAIN_PAGE_FASTLY_CONTROL)
        : said > 0 ? yes(said, because, EXPLAIN_PAGE_FASTLY_FRESHNESS)
                   : no("its lifetime is 0", EXPLAIN_PAGE_FASTLY_FRESHNESS);
    if (http_cc_has(&cc, HTTP_CC_NO_CACHE) && claim.cached) {
        claim.note = "no-cache alone is not looked at";
    }
    return claim;
}

struct explain_claim explain_claim_of(enum explain_other who, const struct explain_answer *answer)
{
    switch (who) {
    case EXPLAIN_CLOUDFRONT:
        return cloudfront(answer, 1);
    case EXPLAIN_CLOUDFRONT_LEGACY:
        return cloudfront(answer, 0);
    case EXPLAIN_CLOUDFLARE:
        return cloudflare(answer);
    case EXPLAIN_FASTLY:
    case EXPLAIN_OTHER_COUNT:
        break;
    }
    return fastly(answer);
}
