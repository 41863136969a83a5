/* invalidation: what an answer to an unsafe request makes stale (RFC 9111 4.4). Pure. */
#ifndef CDN_EDGE_INVALIDATION_H
#define CDN_EDGE_INVALIDATION_H
#include "common/http/syntax/http_message.h"
#include "common/str.h"

#include <stdbool.h>

/* Does this answer to an unsafe request invalidate (4.4)? Methods other than GET, HEAD, OPTIONS, TRACE,
 * QUERY; 2xx and 3xx answers. */
bool edge_invalidation_due(enum http_method method, unsigned status);
/* Target of Location or Content-Location, against the request's URL: false unless it has the same
 * scheme, host and port. `base` and the result: "scheme://host[:port]/path?query". Relative references
 * are resolved. */
bool edge_invalidation_target(struct cdn_str base, struct cdn_str reference, struct cdn_buf *ret_url);

#endif
