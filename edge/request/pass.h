/* pass: a request that goes to the origin for itself alone, and whose answer is not stored. */
#ifndef CDN_EDGE_PASS_H
#define CDN_EDGE_PASS_H
#include "edge/request/txn.h"

void edge_pass_start(struct edge_txn *txn); /* asks the origin for this request alone */

#endif
