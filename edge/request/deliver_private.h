/* deliver_private: what deliver.c has for deliver_stored.c; nobody else includes it. */
#ifndef CDN_EDGE_DELIVER_PRIVATE_H
#define CDN_EDGE_DELIVER_PRIVATE_H
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/request/txn.h"
#include "edge/semantics/range.h"

#include <sys/types.h>

/* All of a blob or what the plan says of it. `hold`: where the blob comes from when it may
 * become a hot answer; or NULL. */
void edge_deliver_blob(struct edge_txn *txn, const struct edge_rep *rep, const struct edge_range_plan *plan,
                       struct edge_blob *blob, const struct edge_hold *hold);
/* Several ranges of a blob (borrowed), or of what lies from `base` on in `fd` (taken
 * over). */
void edge_deliver_multi(struct edge_txn *txn, const struct edge_rep *rep, const struct edge_range_plan *plan,
                        struct edge_blob *blob, int fd, off_t base);

#endif
