/* upstream: what goes to the origin for a request: its fields, its conditions, and which stored
 * answers it selects. */
#ifndef CDN_EDGE_UPSTREAM_H
#define CDN_EDGE_UPSTREAM_H
#include "common/str.h"
#include "edge/cache/object.h"
#include "edge/fetch/fetch.h"
#include "edge/request/txn.h"

#include <stdbool.h>

/* One field of it, for Vary (struct edge_vary_source): the origin chooses by what it is told, not by what we
 * were. */
bool edge_upstream_vary_get(void *txn, struct cdn_str name, struct cdn_buf *into);
bool edge_upstream_fits(struct edge_txn *txn, const struct edge_rep *rep); /* its request selects this one */
/* The request for a fetch of that scope, with `ret`'s candidates as conditions and `background` as it says;
 * scope NULL: for this request alone. */
void edge_upstream_request(struct edge_txn *txn, const struct edge_fetch_scope *scope,
                           struct edge_fetch_request *ret);

#endif
