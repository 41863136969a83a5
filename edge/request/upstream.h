/* upstream: what goes to the origin for a request: its fields, its conditions, and which stored
 * answers it selects. */
#ifndef CDN_EDGE_UPSTREAM_H
#define CDN_EDGE_UPSTREAM_H
#include "edge/cache/object.h"
#include "edge/fetch/fetch.h"
#include "edge/request/txn.h"
#include "edge/semantics/vary.h"

#include <stdbool.h>

/* Its fields, for Vary: the origin chooses by what it is told, not by what we were. */
struct edge_vary_source edge_upstream_source(struct edge_txn *txn);
bool edge_upstream_fits(struct edge_txn *txn, const struct edge_rep *rep); /* its request selects this one */
/* The request for a fetch of that scope, with `ret`'s candidates as conditions and `background` as it says;
 * scope NULL: for this request alone. */
void edge_upstream_request(struct edge_txn *txn, const struct edge_fetch_scope *scope,
                           struct edge_fetch_request *ret);

#endif
