/* key: the cache key of a request, "scheme://host[:port]/path?query", normalised (RFC 9110 4.2.3, RFC
 * 3986 6.2).
 *
 * Host in lower case, default port and a trailing dot of the host left out, percent-encoding in upper case
 * and undone for unreserved characters, dot segments removed, an empty path is "/". The query goes by policy;
 * its percent-encoding is normalised too. An encoded slash stays encoded. A stray '%' is an error: servers
 * read it in different ways. Fragments never reach a server; one in a target is an error.
 *
 * The key says all that the origin is asked: see target.h. What a QUERY asks stands behind a '#'
 * (edge/request/query.h), which no URL has.
 */
#ifndef CDN_EDGE_KEY_H
#define CDN_EDGE_KEY_H
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

#define EDGE_KEY_MAX 8192
#define EDGE_KEY_HOST_MAX 264 /* a name of 255 bytes and a port */

enum edge_query_mode {
    EDGE_QUERY_ALL,   /* as sent */
    EDGE_QUERY_NONE,  /* left out */
    EDGE_QUERY_ALLOW, /* only the listed names, in the order sent */
    EDGE_QUERY_SORT,  /* all, sorted by name; equal names keep their order */
};
struct edge_query_policy {
    enum edge_query_mode mode;
    bool sort;                   /* with ALLOW: sort what is left */
    const struct cdn_str *allow; /* names as they stand after normalising */
    size_t allow_count;
    const struct cdn_str *ignore; /* likewise; "utm_*": all that begin so. Left out with any mode */
    size_t ignore_count;
};

#define EDGE_KEY_ERRORS(X) /* name, HTTP status, text */                  \
    X(OK, 200, "ok")                                                      \
    X(HOST, 400, "the host is missing or malformed")                      \
    X(PATH, 400, "the path is malformed")                                 \
    X(PERCENT, 400, "the URL has a '%' without two hex digits behind it") \
    X(DOTS, 400, "a prefix has '.' or '..' as a segment")                 \
    X(LENGTH, 414, "the URL is too long")                                 \
    X(SITE, 421, "no site here has this host")                            \
    X(RULE, 404, "no rule of the site is for this path")

enum edge_key_error {
#define X(name, status, text) EDGE_KEY_##name,
    EDGE_KEY_ERRORS(X)
#undef X
};
unsigned edge_key_error_status(enum edge_key_error e);
const char *edge_key_error_text(enum edge_key_error e);

struct edge_key_parts {
    bool secure;          /* https */
    struct cdn_str host;  /* may carry a port */
    struct cdn_str path;  /* raw; empty is "/" */
    struct cdn_str query; /* raw without '?'; p NULL when there is none */
};
/* Writes into `into` (no NUL) and returns the key as a slice of it. No allocation. LENGTH: longer than `size`
 * or than EDGE_KEY_MAX, or more than 256 parameters where they are picked or sorted. */
enum edge_key_error edge_key_build(const struct edge_key_parts *parts, const struct edge_query_policy *query,
                                   char *into, size_t size, struct cdn_str *ret_key);
/* A host, with its port if that is not the scheme's, in the form that it has in a key; false: it is not a
 * host. */
bool edge_key_host_write(struct cdn_str host, bool secure, char into[static EDGE_KEY_HOST_MAX],
                         struct cdn_str *ret);
/* The parts of an absolute URL (http, https); false when it is not one. `path` empty when there is none. */
bool edge_key_split(struct cdn_str url, struct edge_key_parts *ret);
/* Path and query of a key, as sent to the origin: "/a?b". */
struct cdn_str edge_key_target(struct cdn_str key);
struct cdn_str edge_key_path(struct cdn_str key); /* without the query */
struct cdn_str edge_key_host(struct cdn_str key); /* with its port, if any */

/* A content-hashed name, NAME.XXXXXXXXXXXX.EXT as the last path segment: 12 lower-case hex digits of the
 * body's MD5. */
bool edge_key_hashed(struct cdn_str key_or_path, struct cdn_str *ret_digits);

#endif
