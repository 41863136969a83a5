/* range: which bytes to send (RFC 9110 14), and which bytes of a partly stored object are there.
 *
 * A plan lists the ranges of a response in the order asked, all within the complete length. Extents are a
 * sorted list of disjoint, non-touching byte ranges.
 */
#ifndef CDN_EDGE_RANGE_H
#define CDN_EDGE_RANGE_H
#include "common/http/syntax/http_field_range.h"
#include "common/status.h"
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
/* Value of a Range field that asks for `r`: "bytes=5-9", or "bytes=5-" when it reaches the end
 * (complete_length 0: unknown). */
void edge_range_request(const struct edge_range *r, uint64_t complete_length,
                        char out[static HTTP_CONTENT_RANGE_SIZE]);
/* One spec against a length; false: not satisfiable. */
bool edge_range_resolve(const struct http_range_spec *spec, uint64_t complete_length, struct edge_range *ret);

/* Extents: what is there of an object. */
#define EDGE_EXTENTS_MAX 65536
struct edge_extents {
    struct edge_range *item; /* sorted, disjoint, not touching */
    unsigned count;
    unsigned _room;
};
/* Adds and merges; CDN_TOO_LARGE with more than EDGE_EXTENTS_MAX. */
enum cdn_status edge_extents_add(struct edge_extents *e, struct edge_range r) CDN_MUST_CHECK;
bool edge_extents_cover(const struct edge_extents *e, struct edge_range r);
bool edge_extents_complete(const struct edge_extents *e, uint64_t complete_length);
/* The first part of `r` that is missing; false when all is there. */
bool edge_extents_first_missing(const struct edge_extents *e, struct edge_range r, struct edge_range *ret);
/* How far the bytes reach without a gap from `at`: the offset after the last one (at itself: none). */
uint64_t edge_extents_reach(const struct edge_extents *e, uint64_t at);
uint64_t edge_extents_bytes(const struct edge_extents *e);
void edge_extents_clear(struct edge_extents *e); /* releases; fine on a zeroed struct */
/* Text "0-4,10-19", appended; parse replaces *e and is strict (CDN_CORRUPT). */
void edge_extents_format(const struct edge_extents *e, struct cdn_buf *into);
enum cdn_status edge_extents_parse(struct cdn_str text, struct edge_extents *e,
                                   struct cdn_error *err) CDN_MUST_CHECK;

#endif
