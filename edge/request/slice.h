/* slice: which stretch of a whole the origin is asked for, so that requests for neighbouring bytes share it.
 * Pure.
 *
 * A whole is cut into slices of one size, each asked for as such while nothing is known of it. Once its
 * length is known, from a part that is stored, a slice is asked for from the byte that is missing, and the
 * last one without an end.
 */
#ifndef CDN_EDGE_SLICE_H
#define CDN_EDGE_SLICE_H
#include "edge/fetch/fetch.h"

#include <stdint.h>

/* The stretch around byte `at` in slices of `size` bytes (at least 1); HTTP_RANGE_OPEN: the last `suffix`
 * bytes. `whole` 0: its length is not known. */
struct edge_fetch_scope edge_slice_around(uint64_t size, uint64_t at, uint64_t suffix, uint64_t whole);
/* After the last byte that such a stretch has of a whole of that length. */
uint64_t edge_slice_end(const struct edge_fetch_scope *scope, uint64_t whole);

#endif
