/* request_id: the number of a request that goes further than the cache: a trusted proxy's X-Request-ID, or
 * one made here. The origin is told it, the access log has it, and error pages may show it.
 *
 * Hits have none, unless a trusted proxy gave one: they cost nothing for it. */
#ifndef CDN_EDGE_REQUEST_ID_H
#define CDN_EDGE_REQUEST_ID_H
#include "common/str.h"
#include "edge/request/txn.h"
#include "edge/semantics/trace.h"

/* What the request's fields say, and what of it may be believed. */
void edge_request_trace(struct edge_txn *txn, struct edge_trace *ret);
struct cdn_str edge_request_id(struct edge_txn *txn); /* the same for all of the request's life */

#endif
