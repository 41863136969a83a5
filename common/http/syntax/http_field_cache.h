/* http_field_cache: Cache-Control (RFC 9111 5.2) of requests and responses, as one struct.
 *
 * Survives what is odd but legal: any case, quoted arguments, spaces, empty elements, unknown directives,
 * several lines. A directive that is given twice counts as it stood first (RFC 9111 4.2.1). Freshness that
 * cannot be read ("max-age=-1", "=1.5", "='5'", none, spaces round '=') is present with 0 seconds: the
 * response is stale, as 4.2.1 encourages. Other unreadable arguments make the directive absent. Too large
 * numbers are 2^31 - 1.
 */
#ifndef CDN_COMMON_HTTP_FIELD_CACHE_H
#define CDN_COMMON_HTTP_FIELD_CACHE_H
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

/* name, text, kind: FLAG; FIELDS (a flag, or a quoted list of field names); FRESH and SECONDS (an
 * argument; what an unreadable one means differs, see above); OPTIONAL (an argument or none: none is
 * HTTP_SECONDS_MAX) */
#define HTTP_CACHE_DIRECTIVES(X)                                 \
    X(MAX_AGE, "max-age", FRESH)                                 \
    X(S_MAXAGE, "s-maxage", FRESH)                               \
    X(MIN_FRESH, "min-fresh", SECONDS)                           \
    X(MAX_STALE, "max-stale", OPTIONAL)                          \
    X(STALE_WHILE_REVALIDATE, "stale-while-revalidate", SECONDS) \
    X(STALE_IF_ERROR, "stale-if-error", SECONDS)                 \
    X(NO_CACHE, "no-cache", FIELDS)                              \
    X(PRIVATE, "private", FIELDS)                                \
    X(NO_STORE, "no-store", FLAG)                                \
    X(NO_TRANSFORM, "no-transform", FLAG)                        \
    X(ONLY_IF_CACHED, "only-if-cached", FLAG)                    \
    X(MUST_REVALIDATE, "must-revalidate", FLAG)                  \
    X(PROXY_REVALIDATE, "proxy-revalidate", FLAG)                \
    X(MUST_UNDERSTAND, "must-understand", FLAG)                  \
    X(PUBLIC, "public", FLAG)                                    \
    X(IMMUTABLE, "immutable", FLAG)

enum http_cache_directive {
#define X(name, text, kind) HTTP_CC_##name,
    HTTP_CACHE_DIRECTIVES(X)
#undef X
        HTTP_CC_COUNT
};
#define HTTP_CC_SECONDS_COUNT (HTTP_CC_STALE_IF_ERROR + 1) /* the directives with seconds come first */

struct http_cache_control {
    uint32_t present;                       /* bit 1 << enum http_cache_directive */
    int32_t seconds[HTTP_CC_SECONDS_COUNT]; /* 0 when absent */
    struct cdn_str no_cache_fields; /* inside of the quotes: "a, b"; empty: the directive stands for the whole
                                       response */
    struct cdn_str private_fields;  /* likewise */
};

static inline bool http_cc_has(const struct http_cache_control *cc, enum http_cache_directive d)
{
    return (cc->present >> d) & 1;
}

/* Adds one line to a zeroed struct; call once per line, in order. Slices borrow from `value`. */
void http_cache_control_add(struct http_cache_control *cc, struct cdn_str value);
/* Adds a structured dictionary (RFC 9213 2.1) instead: returns false and changes nothing when it is empty,
 * invalid, or gives a known directive a value of the wrong type (max-age="10"): then the field is to be
 * ignored. Joined lines only. */
bool http_cache_control_add_structured(struct http_cache_control *cc, struct cdn_str value);
const char *http_cache_directive_text(enum http_cache_directive d);

#endif
