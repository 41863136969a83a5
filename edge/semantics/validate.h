/* validate: conditional requests, both ways (RFC 9110 13, RFC 9111 4.3).
 *
 * Towards the origin: which validators to send for what is stored. From a client: which of 200, 206, 304 and
 * 412 its conditions ask for, in the order of 13.2.2, against a stored head that may be served.
 */
#ifndef CDN_EDGE_VALIDATE_H
#define CDN_EDGE_VALIDATE_H
#include "common/http/syntax/http_message.h"
#include "common/str.h"
#include "edge/semantics/head.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Validators of a stored response; p NULL when there is none. Slices of the head. */
struct edge_validators {
    struct cdn_str etag;          /* for If-None-Match, as stored (W/ included) */
    struct cdn_str last_modified; /* for If-Modified-Since */
};
void edge_validators_read(const struct edge_head *head, struct edge_validators *ret);
/* If-None-Match for several stored variants: their ETags, each once. false when none has one. */
bool edge_validators_join(const struct edge_head *const *heads, size_t count, struct cdn_buf *into);
/* Which of the stored heads a 304 is about (9111 4.3.3): by strong ETag, else weak, else Last-Modified, else
 * the only one; -1: none (ask again without conditions). */
ptrdiff_t edge_validators_select(const struct edge_head *const *heads, size_t count,
                                 const struct http_field *fields, size_t field_count);
/* Does a HEAD answer leave the stored GET valid (9111 4.3.5)? false: make it stale or drop it. */
bool edge_validate_head_answer(const struct edge_head *stored, const struct http_field *fields, size_t count);
/* May bytes of two answers be combined (9111 3.4)? Both must share a strong validator. */
bool edge_validate_may_combine(const struct edge_head *stored, const struct edge_head *fresh);

/* Conditions of a client; joined values, p NULL when absent. */
struct edge_conditions {
    struct cdn_str if_match, if_none_match, if_modified_since, if_unmodified_since, if_range, range;
};

enum edge_condition {
    EDGE_CONDITION_PASS,         /* answer as usual */
    EDGE_CONDITION_NOT_MODIFIED, /* 304 */
    EDGE_CONDITION_FAILED,       /* 412 */
};
/* For GET and HEAD on a stored answer (preconditions count for 2xx only, 13.2.1). RFC 9110 13.1.1 lets a
 * cache ignore If-Match and If-Unmodified-Since; they are evaluated all the same, so that a client never gets
 * bytes that it said it cannot use. response_ms stands in for a missing Last-Modified and Date (9111 4.3.2).
 * *ret_use_range: the Range field counts (a GET with Range, and If-Range holds). */
enum edge_condition edge_conditions_decide(const struct edge_conditions *c, const struct edge_head *head,
                                           bool is_get, int64_t response_ms, bool *ret_use_range);
/* Does If-Range hold (13.1.5)? Strong ETag, or a date equal to a strong Last-Modified. */
bool edge_validate_if_range(struct cdn_str if_range, const struct edge_head *head);
/* Fields a 304 from the cache must carry (RFC 9110 15.4.5), if stored: all but representation metadata. */
bool edge_validate_field_in_not_modified(enum edge_head_field f, struct cdn_str name);

#endif
