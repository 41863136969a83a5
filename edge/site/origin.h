/* origin: one origin, as rules name it, and how it does.
 *
 * Rules that name the same URL share one origin: its breaker and its health. Origins are made when settings
 * are read, by one thread at a time, and live until the end of the process; a reload finds those that are
 * there. Threads: the figures are atomics, and may be a moment old.
 */
#ifndef CDN_EDGE_ORIGIN_H
#define CDN_EDGE_ORIGIN_H
#include "common/status.h"
#include "common/str.h"
#include "edge/site/breaker.h"

#include <stdbool.h>
#include <stdint.h>

struct edge_health_check { /* how an origin is asked whether it is well */
    char *path;            /* owned; "": only when it failed */
    char *host;            /* owned; Host that checks say; NULL: the origin's authority */
    int64_t interval_ms, timeout_ms;
    unsigned up, down; /* checks in a row */
};

struct edge_origin {
    struct edge_origin *next;
    char *text;      /* as it was named */
    char *base;      /* "http://127.0.0.1:8090/prefix" without a slash at the end */
    char *authority; /* "127.0.0.1:8090"; "localhost" for a socket */
    char *socket;    /* path of a Unix socket; NULL: TCP */
    bool secure;
    bool used;        /* by the rules in force. Checking thread, as the next one */
    bool has_fellows; /* in a rule: worth being tried again soon */
    struct edge_breaker breaker;
    _Atomic bool sick; /* by its health checks */
    struct edge_health_check check;
    unsigned checks_good, checks_bad; /* in a row */
    int64_t check_at_ns;
    void *checking;
    _Atomic uint64_t requests, failures; /* for /status */
};

struct edge_origins { /* of the process */
    struct edge_origin *_Atomic first;
};

/* The origin of that name, made if need be. CDN_INVALID: it is no URL of an origin; the message has the text
 * only. */
enum cdn_status edge_origins_get(struct edge_origins *origins, struct cdn_str text, struct edge_origin **ret,
                                 struct cdn_error *err) CDN_MUST_CHECK;
void edge_origins_free(struct edge_origins *origins);

/* `check` is copied. */
void edge_origin_check_set(struct edge_origin *origin, const struct edge_health_check *check);
/* After a check: sick after `down` bad ones in a row, well after `up` good ones. Checking thread. */
void edge_origin_checked(struct edge_origin *origin, bool good);
/* Whether it is worth asking: not sick, and connections succeed. */
bool edge_origin_is_well(const struct edge_origin *origin);

#endif
