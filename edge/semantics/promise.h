/* promise: whether a body is what its content-hashed name promises (12 hex digits of its MD5, as Django
 * writes them). Computed while the body arrives: it may be in a file or gone from memory when it is complete.
 *
 * Threads: the fetch's own. Life cycle: begin -> add* -> kept? -> free.
 */
#ifndef CDN_EDGE_PROMISE_H
#define CDN_EDGE_PROMISE_H

#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

struct edge_promise;

/* NULL: the name of `key` (a cache key or a path) promises nothing. */
struct edge_promise *edge_promise_begin(struct cdn_str key);
void edge_promise_add(struct edge_promise *promise, const void *data, size_t n); /* NULL: nothing */
/* Once, after the last byte; ret_hex: the MD5 that the body has. True for NULL, with nothing in ret_hex. */
bool edge_promise_kept(struct edge_promise *promise, char ret_hex[static 33]);
void edge_promise_free(struct edge_promise *promise); /* NULL: nothing */

#endif
