/* invalidate: what a successful unsafe request has changed is not reused (RFC 9111 4.4). */
#ifndef CDN_EDGE_INVALIDATE_H
#define CDN_EDGE_INVALIDATE_H
#include "edge/request/txn.h"

/* After the head of the answer to txn's request has come; nothing for safe methods. */
void edge_invalidate_after_unsafe(struct edge_txn *txn);

#endif
