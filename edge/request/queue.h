/* queue: requests that wait until another request to the origin may be made.
 *
 * Only so many may be under way on a worker: `origin_connections`, and at a small `memory` as many as that
 * allows (edge_budget_fetches), since each takes some 32 KiB beside its body. The others wait here, each
 * worker's in lines of its own: a network of clients stands in one line, by a hash that nobody outside knows,
 * and the lines have their turns one after the other (stochastic fairness queueing, McKenney 1990). So
 * whoever asks for a thousand things at once waits for them behind his own, and somebody else for one turn.
 * One that has waited for `memory_wait` is answered 503 with Retry-After, or cut off when its answer has
 * begun. Hits, and requests that join a fetch of the whole, never come here.
 *
 * Life: edge_queue_must_wait? -> edge_queue_before -> the state QUEUE -> the state that was named, when there
 * is room -> edge_queue_must_wait says no. All on the worker's thread.
 */
#ifndef CDN_EDGE_QUEUE_H
#define CDN_EDGE_QUEUE_H
#include "edge/base/worker.h"
#include "edge/request/step.h"
#include "edge/request/txn.h"

#include <stdbool.h>

bool edge_queue_must_wait(struct edge_txn *txn);
/* The state to go to now; `then` comes when there is room. */
enum edge_step edge_queue_before(struct edge_txn *txn, enum edge_step then);
/* For an answer that has begun and needs another request. NONE: that may be made now. WAITS: its stream is
 * resumed when it may. EXPIRED: it has waited for too long. */
enum edge_queue_state edge_queue_stream(struct edge_txn *txn);
/* It begins to ask the origin, or its request is over. Harmless when it is not in the queue. */
void edge_queue_leave(struct edge_txn *txn);
void edge_queue_serve(struct edge_worker *worker); /* room may have come about */
void edge_queue_expire(struct edge_worker *worker);

#endif
