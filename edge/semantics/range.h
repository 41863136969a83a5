/* range: which bytes to send (RFC 9110 14).
 *
 * A plan lists the ranges of a response in the order asked, all within the complete length.
 */
#ifndef CDN_EDGE_RANGE_H
#define CDN_EDGE_RANGE_H
#include "common/http/syntax/http_field_range.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

struct edge_range {
    uint64_t first;
    uint64_t last; /* inclusive */
};
static inline uint64_t edge_range_length(const struct edge_range *r)
{
    return r->last - r->first + 1;
}

enum edge_range_kind {
    EDGE_RANGE_WHOLE,         /* 200: no range, malformed, or abusive */
    EDGE_RANGE_SINGLE,        /* 206 with Content-Range */
    EDGE_RANGE_MULTIPLE,      /* 206 with multipart/byteranges */
    EDGE_RANGE_UNSATISFIABLE, /* 416 with "bytes" and the length */
};
#define EDGE_RANGE_PARTS_MAX \
    16 /* more parts, or overlapping ones that send more than the whole: the whole is sent */

struct edge_range_plan {
    enum edge_range_kind kind;
    unsigned count;
    struct edge_range part[EDGE_RANGE_PARTS_MAX];
    uint64_t body_length;        /* Content-Length of the answer's body, framing of the parts included */
    char boundary[33];           /* of a MULTIPLE: 32 hex digits */
    struct cdn_str content_type; /* of the parts; borrowed; p NULL: none */
    uint64_t complete_length;
};
/* `range` p NULL: WHOLE. `seed` makes the boundary (anything that differs per object). Many small ranges that
 * touch or lie close (less than 80 bytes apart) are joined (14.2 and 15.3.7.2). */
void edge_range_plan(struct cdn_str range, uint64_t complete_length, struct cdn_str content_type,
                     uint64_t seed, struct edge_range_plan *ret);
/* The text before part `i` of a MULTIPLE ("\r\n--boundary\r\nContent-Type: ...\r\n...\r\n\r\n"); i == count:
 * the end. */
void edge_range_part_head(const struct edge_range_plan *plan, unsigned i, struct cdn_buf *into);
/* One piece of the body at offset `at`: framing text appended to `text` (then *ret_n is 0), or bytes
 * [*ret_from, +*ret_n) of the object. false at the end of the body. Works for all kinds but UNSATISFIABLE. */
bool edge_range_piece(const struct edge_range_plan *plan, uint64_t at, struct cdn_buf *text,
                      uint64_t *ret_from, uint64_t *ret_n);
/* Value of Content-Range (SINGLE, UNSATISFIABLE) or of Content-Type (MULTIPLE). */
void edge_range_content_range(const struct edge_range_plan *plan, char out[static HTTP_CONTENT_RANGE_SIZE]);
void edge_range_content_type(const struct edge_range_plan *plan, char out[static HTTP_CONTENT_RANGE_SIZE]);
/* One spec against a length; false: not satisfiable. */
bool edge_range_resolve(const struct http_range_spec *spec, uint64_t complete_length, struct edge_range *ret);

#endif
