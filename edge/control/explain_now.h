/* explain_now: an edge's whole answer to "what would happen to this request": what its rules say (explain.h),
 * and what it has stored for it. */
#ifndef CDN_EDGE_EXPLAIN_NOW_H
#define CDN_EDGE_EXPLAIN_NOW_H
#include "common/status.h"
#include "edge/base/worker.h"

#include <jansson.h>
#include <stdint.h>

/* `question`: see edge_explain_read(). Adds "edge" and "now": {"found", "next": X-Cache of the next request,
 * "cause", "because", "age_s", "ttl_s"}. *ret is a new reference. Takes the cache's lock. */
enum cdn_status edge_explain_now(struct edge *edge, const json_t *question, int64_t now_ms, json_t **ret,
                                 struct cdn_error *err) CDN_MUST_CHECK;

#endif
