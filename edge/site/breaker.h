/* breaker: the circuit breaker of the origin. Pure but for the atomics.
 *
 * When several connections to the origin in a row fail it counts as disconnected (RFC 9111 4.2.4). Then
 * whoever has a stale answer that may be used so gets it at once instead of after a time-out, and now and
 * then a background refresh of such an answer tries whether the origin is back.
 *
 * Threads: any; the figures may be a moment old. Life cycle: zeroed, for the process.
 */
#ifndef CDN_EDGE_BREAKER_H
#define CDN_EDGE_BREAKER_H
#include "common/http/client/http_client.h"
#include "edge/semantics/freshness.h"

#include <stdbool.h>
#include <stdint.h>

struct edge_breaker {
    _Atomic unsigned failures;   /* connections in a row that failed */
    _Atomic int64_t retry_at_ns; /* monotonic; while open: when the next request may try */
};

/* What a failed fetch says: DISCONNECTED: the origin could not be reached, which makes stale answers
 * allowed that nobody gave leave for (RFC 9111 4.2.4); ERROR: it is there and failed with this one URL;
 * UP: nothing. */
enum edge_origin_state edge_breaker_kind(enum http_fetch_error error);
enum edge_origin_state edge_breaker_state(const struct edge_breaker *b);
bool edge_breaker_may_probe(struct edge_breaker *b, int64_t mono_ns); /* true for one caller at a time */
void edge_breaker_reached(struct edge_breaker *b);                    /* it answered, whatever it said */
void edge_breaker_unreachable(struct edge_breaker *b, int64_t mono_ns);

#endif
