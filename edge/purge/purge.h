/* purge: what empties the cache: the PURGE method, the admin API, and unsafe requests (RFC 9111 4.4). */
#ifndef CDN_EDGE_PURGE_H
#define CDN_EDGE_PURGE_H

#include "edge/request/txn.h"

#include <jansson.h>

struct edge_purge {     /* exactly one of url, prefix, tag, all */
    struct cdn_str url; /* absolute, or a path of the one site */
    struct cdn_str prefix;
    struct cdn_str tag;
    bool all;
    bool soft;
};
/* Carries it out; how many objects it hit. CDN_INVALID for a URL that is none. Any thread. */
enum cdn_status edge_purge_apply(struct edge *edge, const struct edge_purge *purge, int64_t now_ms,
                                 uint64_t *ret_count, struct cdn_error *err) CDN_MUST_CHECK;
/* From JSON {"url": ...} | {"urls": [...]} | {"prefix": ...} | {"tag": ...} | {"tags": [...]} | {"all":
 * true}, "soft": bool. */
enum cdn_status edge_purge_json(struct edge *edge, json_t *body, int64_t now_ms, uint64_t *ret_count,
                                struct cdn_error *err) CDN_MUST_CHECK;

void edge_purge_request(struct edge_txn *txn); /* answers the PURGE method */
/* Invalidates what a successful unsafe request has changed. */
void edge_purge_after_unsafe(struct edge_txn *txn);

#endif
