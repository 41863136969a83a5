/* slice: a few sums, kept pure so that a test can go through every edge of them. Positions fit 63
 * bits (http_range_parse), so that no sum here overflows. */
#include "edge/request/slice.h"

#include "common/http/syntax/http_field_range.h"

#include <stdbool.h>

#include "common/banned.h"

struct edge_fetch_scope edge_slice_around(uint64_t size, uint64_t at, uint64_t suffix, uint64_t whole)
{
    struct edge_fetch_scope scope = {.ranged = true, .range_first = at, .range_last = suffix};
    if (at != HTTP_RANGE_OPEN) {
        const uint64_t first = at / size * size;
        scope.range_last = first + size - 1;
        scope.range_last = whole && scope.range_last + 1 >= whole ? HTTP_RANGE_OPEN : scope.range_last;
        scope.range_first = whole ? at : first;
    }
    return scope;
}

uint64_t edge_slice_end(const struct edge_fetch_scope *scope, uint64_t whole)
{
    const uint64_t last = scope->range_last;
    return scope->range_first == HTTP_RANGE_OPEN || last >= whole ? whole : last + 1;
}
