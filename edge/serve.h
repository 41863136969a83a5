/* serve: libmicrohttpd responses made from stored heads and bodies. Building only; deciding is deliver.c's.
 */
#ifndef CDN_EDGE_SERVE_H
#define CDN_EDGE_SERVE_H

#include "edge/cache.h"
#include "edge/range.h"

#include <microhttpd.h>

/* What an edge adds to an answer: Age, Via, Cache-Status (RFC 9211), X-Cache, Server-Timing. */
struct edge_marks {
    struct edge_cache_status status;
    enum edge_verdict verdict;
    int64_t age_s;     /* negative: no Age (straight from the origin, which sent none) */
    int64_t origin_us; /* real time the origin took; negative: it was not asked */
};
void edge_serve_marks(struct MHD_Response *response, const struct edge_marks *marks);

/* Adds the stored fields. Left out: Content-Length (the server counts), Age (counted anew); for 304 also what
 * describes the body (RFC 9110 15.4.5). `plan`: Content-Range or the multipart type in place of the stored
 * fields; may be NULL. */
void edge_serve_fields(struct MHD_Response *response, const struct edge_head *head, unsigned status,
                       const struct edge_range_plan *plan);

/* A response over bytes of a blob; holds its own reference. */
struct MHD_Response *edge_serve_blob(struct edge_blob *blob, size_t from, size_t n);

/* A hit, ready to be sent any number of times, fields and marks included. The body is all of hold->ram. */
struct MHD_Response *edge_serve_response_of_hit(const struct edge_hold *hold, unsigned status,
                                                struct cdn_str name, int64_t now_ms);
/* Brings Age and Cache-Status of such a response up to date. */
void edge_serve_renew_hit(struct MHD_Response *response, struct cdn_str name,
                          const struct edge_freshness *fresh, int64_t now_ms);

#endif
