/* why: the whole story of a key, for GET /why and `pocketcdn why`. */
#ifndef CDN_EDGE_WHY_H
#define CDN_EDGE_WHY_H
#include "common/status.h"
#include "common/str.h"
#include "edge/base/worker.h"

#include <jansson.h>
#include <stdint.h>

/* {"key", "stored": [objects, with their freshness line by line and what the next request would get: whether
 * it is served without the origin ("next_serves") and why not as a hit ("next_cause")], "missing": cause,
 * "because": its meaning, "unstorable": the rule by which the last answer may not be stored, "unstorable_by":
 * its section}. CDN_INVALID when it is not a URL. *ret is a new reference. Takes the cache's lock. */
enum cdn_status edge_why(struct edge *edge, struct cdn_str url, int64_t now_ms, json_t **ret,
                         struct cdn_error *err) CDN_MUST_CHECK;

#endif
