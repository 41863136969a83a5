/* part: answers put together from parts of a representation (RFC 9110 14, RFC 9111 3.3 and 3.4).
 *
 * A request for a range of something that is not stored whole is fetched in slices of a fixed size, each
 * stored as a part (a 206 that covers [first, first + length) of `whole` bytes). An answer is one stretch of
 * the whole; a ranger walks along it and takes each byte from a stored part, or from the fetch of the slice
 * that holds it. Parts are only put together when they share a strong validator. A stale part is confirmed by
 * a conditional request of its own.
 */
#ifndef CDN_EDGE_PART_H
#define CDN_EDGE_PART_H
#include "edge/request/step.h"
#include "edge/request/txn.h"
#include "edge/semantics/freshness.h"

#include <stdbool.h>

bool edge_part_wants(struct edge_txn *txn); /* whether PART is the way of this request */
/* The slice that was fetched, or confirmed, has come. */
enum edge_step edge_part_serve_fetched(struct edge_txn *txn);
enum edge_step edge_part_serve_confirmed(struct edge_txn *txn);
/* After an error of the origin: the stale part, if it may be used then and all that is wanted is stored. */
bool edge_part_serve_stale(struct edge_txn *txn, enum edge_origin_state origin, enum edge_step *ret);

#endif
