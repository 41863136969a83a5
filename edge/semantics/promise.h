/* promise: whether a body is what its content-hashed name promises (12 hex digits of its MD5, as Django
 * writes them). Computed while the body arrives: it may be in a file or gone from memory when it is complete.
 * The name is about the plain form: a coded body is decoded when it is complete, if it is small (decode.h).
 *
 * Threads: the fetch's own. Life cycle: begin -> add* -> check -> free.
 */
#ifndef CDN_EDGE_PROMISE_H
#define CDN_EDGE_PROMISE_H
#include "common/str.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"

#include <stddef.h>

struct edge_promise;

/* NULL: the name of `key` (a cache key or a path) promises nothing. `head` tells the body's coding. */
struct edge_promise *edge_promise_begin(struct cdn_str key, const struct edge_head *head);
void edge_promise_add(struct edge_promise *promise, const void *data, size_t n); /* NULL: nothing */
/* Once, after the last byte. `body`: all of it, where it lies in memory; else p NULL. ret_hex: the MD5 that
 * the plain form has; empty unless the promise is broken. KEPT for NULL. */
enum edge_promise_state edge_promise_check(struct edge_promise *promise, struct cdn_str body,
                                           char ret_hex[static 33]);
void edge_promise_free(struct edge_promise *promise); /* NULL: nothing */

#endif
