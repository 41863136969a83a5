/* groups: Cache-Groups and Cache-Group-Invalidation (RFC 9875), which are lists of Strings. Pure.
 *
 * A group belongs to an origin (scheme, host and port): the same name of another origin is another group.
 */
#ifndef CDN_EDGE_GROUPS_H
#define CDN_EDGE_GROUPS_H
#include "common/str.h"

#include <stdbool.h>

/* Whether the joined value is a list of Strings; any other counts as absent. Parameters are ignored. */
bool edge_groups_valid(struct cdn_str value);
/* Steps through a valid one; the name, its escapes undone, in place of what is in *ret. */
bool edge_groups_next(struct cdn_str *rest, struct cdn_buf *ret);

#endif
