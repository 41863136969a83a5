/* serve: libmicrohttpd responses made from stored heads and bodies. Building only; deciding is deliver.c's.
 */
#ifndef CDN_EDGE_SERVE_H
#define CDN_EDGE_SERVE_H
#include "common/http/server/http_head.h"
#include "common/str.h"
#include "edge/cache/blob.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/semantics/range.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an edge adds to an answer: Age, Via, Cache-Status (RFC 9211), X-Cache, Server-Timing. */
struct edge_marks {
    struct edge_cache_status status;
    enum edge_verdict verdict;
    int64_t age_s;     /* negative: no Age (straight from the origin, which sent none) */
    uint8_t received;  /* as in edge_freshness */
    int64_t origin_us; /* real time the origin took; negative: it was not asked */
};
void edge_serve_marks(struct http_head *into, const struct edge_marks *marks);

enum edge_serve_personal { /* which personal fields (edge_storable_field_is_personal) an answer has */
                           EDGE_SERVE_SHARED,  /* none */
                           EDGE_SERVE_COOKIES, /* cookies, as the setting says */
                           EDGE_SERVE_ALL,     /* it is for the client whose request it was */
};
struct edge_serve_choice {
    enum edge_serve_personal personal;
    bool tags;                    /* those it can be purged by, too */
    const struct edge_rule *rule; /* that sets or removes fields; NULL: none does */
};
/* Adds the stored fields. Left out: Content-Length (the server counts), Age (counted anew); for 304 also what
 * describes the body (RFC 9110 15.4.5). `plan`: Content-Range or the multipart type in place of the stored
 * fields; may be NULL. */
void edge_serve_fields(struct http_head *into, const struct edge_head *head, unsigned status,
                       const struct edge_range_plan *plan, const struct edge_serve_choice *choice);

/* A response over bytes of a blob; holds its own reference. */
struct MHD_Response *edge_serve_blob(struct edge_blob *blob, size_t from, size_t n);

/* For 304: what `full`, whose body is all of `body`, says but for what describes the body. */
struct MHD_Response *edge_serve_unchanged(struct MHD_Response *full, struct edge_blob *body);
/* Brings Age and Cache-Status of such a response up to date; whether its fields moved in memory. */
bool edge_serve_renew_hit(struct MHD_Response *response, struct cdn_str name,
                          const struct edge_freshness *fresh, int64_t now_ms);

#endif
