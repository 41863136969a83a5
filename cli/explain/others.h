/* others: what CloudFront, Cloudflare and Fastly do with an answer by what their documentation says of a
 * service that nobody has configured further. Pure: tables and a function each; docs/explain.md names the
 * page behind each claim and when it was read.
 *
 * These are claims about documents, not measurements: what an account is set to do may be anything else.
 */
#ifndef CDN_CLI_EXPLAIN_OTHERS_H
#define CDN_CLI_EXPLAIN_OTHERS_H
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPLAIN_OTHERS(X) /* name, who, with what setting, what is in the cache key */               \
    X(CLOUDFRONT, "CloudFront", "cache policy CachingOptimized",                                     \
      "host and path; no query, no cookies; Accept-Encoding in one spelling; Vary is not looked at") \
    X(CLOUDFRONT_LEGACY, "CloudFront", "legacy settings, minimum TTL 0",                             \
      "host and path; no query, no cookies; Vary is not looked at")                                  \
    X(CLOUDFLARE, "Cloudflare", "no cache rule",                                                     \
      "scheme, host, path and the whole query; no cookies; of Vary only Accept-Encoding")            \
    X(FASTLY, "Fastly", "the VCL boilerplate", "host, path and the whole query; no cookies; Vary is followed")

enum explain_other {
#define X(name, who, setting, key) EXPLAIN_##name,
    EXPLAIN_OTHERS(X)
#undef X
        EXPLAIN_OTHER_COUNT
};

#define EXPLAIN_PAGES(X) /* name, the page of docs/explain.md's list */                     \
    X(CF_EXPIRATION, "CloudFront: Manage how long content stays in the cache (expiration)") \
    X(CF_POLICIES, "CloudFront: Use managed cache policies")                                \
    X(CF_ERRORS, "CloudFront: Control how long CloudFront caches errors")                   \
    X(CF_STATUSES, "CloudFront: How CloudFront processes HTTP 4xx and 5xx status codes")    \
    X(CF_COOKIES, "CloudFront: Cache content based on cookies")                             \
    X(CFL_DEFAULT, "Cloudflare: Default cache behavior")                                    \
    X(CFL_CONTROL, "Cloudflare: Origin Cache Control")                                      \
    X(CFL_CDN, "Cloudflare: CDN-Cache-Control")                                             \
    X(CFL_STATUS, "Cloudflare: Cache by status code")                                       \
    X(CFL_COOKIE, "Cloudflare: Head Requests and Set-Cookie Headers")                       \
    X(FASTLY_FRESHNESS, "Fastly: Cache freshness and TTLs")                                 \
    X(FASTLY_CONTROL, "Fastly: Controlling caching")                                        \
    X(FASTLY_STATUS, "Fastly: HTTP status codes cached by default")                         \
    X(FASTLY_FETCH, "Fastly: vcl_fetch")

enum explain_page {
#define X(name, text) EXPLAIN_PAGE_##name,
    EXPLAIN_PAGES(X)
#undef X
};

struct explain_answer {          /* borrowed */
    struct cdn_str method, path; /* without the query */
    bool authorized;             /* the request has Authorization */
    unsigned status;
    const struct http_field *field;
    size_t count;
    int64_t now_s; /* for Expires and Date */
};

struct explain_claim {
    bool cached;
    int64_t ttl_s; /* when cached */
    const char *because;
    const char *note; /* a second thing to know; NULL: none */
    enum explain_page page;
};

struct explain_claim explain_claim_of(enum explain_other who, const struct explain_answer *answer);
const char *explain_other_name(enum explain_other who);
const char *explain_other_setting(enum explain_other who);
const char *explain_other_key(enum explain_other who);
const char *explain_page_name(enum explain_page page);

#endif
