/* part_private: what part.c and ranger.c ask of part_fetch.c. */
#ifndef CDN_EDGE_PART_PRIVATE_H
#define CDN_EDGE_PART_PRIVATE_H
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/fetch/fetch.h"
#include "edge/request/txn.h"
#include "edge/semantics/freshness.h"

#include <stdbool.h>
#include <stdint.h>

uint64_t edge_part_slice_size(const struct edge_txn *txn); /* 0: whole objects only */
enum edge_reuse edge_part_reuse(const struct edge_txn *txn, const struct edge_rep *rep,
                                enum edge_origin_state origin);
/* For an answer that has begun: stale parts too, when the first was stale. */
bool edge_part_is_usable(const struct edge_txn *txn, const struct edge_rep *rep);
struct edge_fetch_scope edge_part_scope(const struct edge_hold *part); /* exactly what the part covers */
/* Joins or makes the fetch of `scope` for byte `at`; `stale`: the part to confirm, or zeroed, whose
 * references are consumed when the fetch is new. False: look again. */
bool edge_part_join(struct edge_txn *txn, uint64_t at, const struct edge_fetch_scope *scope,
                    const struct edge_moment *moment, const struct edge_rep *newest, struct edge_hold *stale);
/* Confirms the stale part while it is being served, unless a fetch that does is on its way. */
void edge_part_refresh(struct edge_txn *txn, const struct edge_hold *part, const struct edge_moment *moment);

#endif
