/* ranger: walks along one stretch of a version and takes each byte from a stored part, or from the fetch of
 * the slice that holds it.
 *
 * Life, on the worker's thread: stream -> the response is sent or given up -> discard, with the transaction,
 * which owns it (txn->ranger).
 */
#ifndef CDN_EDGE_RANGER_H
#define CDN_EDGE_RANGER_H
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/request/txn.h"

#include <stdint.h>

/* The response for `n` bytes from `from` of the version that `rep` is of (counted from here on). The first
 * of them is in `part`, unless that is NULL; a fetch that the transaction has joined when it is read holds
 * it. */
struct MHD_Response *edge_ranger_stream(struct edge_txn *txn, struct edge_rep *rep, uint64_t from, uint64_t n,
                                        const struct edge_hold *part);
void edge_ranger_discard(struct edge_txn *txn); /* harmless without one */

#endif
