/* select: which part of a representation a GET or HEAD is answered with, and with which status. Pure.
 *
 * Preconditions in the order of RFC 9110 13.2.2, then Range and If-Range (13.1.5, 14.2). The representation
 * (its coding too) was chosen before; fields that came on several lines are given joined.
 */
#ifndef CDN_ORIGIN_SELECT_H
#define CDN_ORIGIN_SELECT_H
#include "common/http/syntax/http_field.h"
#include "common/http/syntax/http_field_range.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

struct origin_representation {
    struct http_etag etag; /* strong */
    int64_t modified_s;    /* Last-Modified as sent */
    uint64_t size;
    int64_t now_s; /* Date of the answer */
};

struct origin_conditions { /* values of the request; p NULL when absent */
    struct cdn_str if_match, if_none_match, if_modified_since, if_unmodified_since, range, if_range;
    bool is_head;
};

struct origin_part { /* bytes first..last, both included */
    uint64_t first, last;
};

struct origin_selection {
    unsigned status; /* 200, 206, 304, 412, 416 */
    unsigned count;  /* of parts, with 206 */
    struct origin_part part[HTTP_RANGE_MAX];
};

void origin_select(const struct origin_representation *r, const struct origin_conditions *c,
                   struct origin_selection *ret);

#endif
