/* stall: readers that hold up others.
 *
 * A body that is not kept goes through a window (body.h), which moves with its slowest reader. One that stops
 * reading would hold up all who share the fetch until its connection is idle for too long. So when a
 * reader's client takes less than `body_rate` allows for in `stalled_reader` while somebody else waits for
 * it, its connection is reset: its answer is incomplete, and the others go on. What a client takes is told
 * by TCP: the place in the body stands still while megabytes lie in the kernel's buffers. A reader for whom
 * nobody waits may be slow.
 *
 * Each worker has a list of its own readers; all on the worker's thread.
 */
#ifndef CDN_EDGE_STALL_H
#define CDN_EDGE_STALL_H
#include "edge/base/worker.h"
#include "edge/request/txn.h"

#include <stdbool.h>
#include <stdint.h>

/* txn->reader reads txn->fetch's body from `at` on. False as edge_body_join. */
bool edge_stall_join(struct edge_txn *txn, uint64_t at);
/* txn->reader leaves the body, if it has joined. */
void edge_stall_leave(struct edge_txn *txn);
/* To be called a few times a second: lets go of those that hold others up. */
void edge_stall_look(struct edge_worker *worker);

#endif
