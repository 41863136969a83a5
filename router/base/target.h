/* target: where a client is sent: the edge's URL, then the request's path and query exactly as they came.
 * Pure.
 *
 * No open redirect: the authority is the edge's always, since the path comes after it and begins with '/':
 * `//evil.example` and `/\evil.example` stay paths, and of an absolute target the path alone is taken. Bytes
 * that must not stand in a URI (RFC 3986: controls, blanks, quotes, '#', beyond ASCII) are percent-encoded,
 * so that a Location field stays one line and means the same path.
 */
#ifndef CDN_ROUTER_TARGET_H
#define CDN_ROUTER_TARGET_H
#include "common/status.h"
#include "common/str.h"
#include "router/base/edges.h"

#define ROUTER_TARGET_MAX 8000u   /* bytes of path and query */
#define ROUTER_LOCATION_MAX 9000u /* bytes of the whole, encoded */

/* Replaces what `out` holds. `query.p` NULL: there was no '?'.
 * CDN_INVALID: the path is none; CDN_TOO_LARGE. */
enum cdn_status router_target_build(const struct router_edge *edge, struct cdn_str path, struct cdn_str query,
                                    struct cdn_buf *out);

#endif
