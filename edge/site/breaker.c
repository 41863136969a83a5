/* Only what fails before a request could be sent counts: an answer of 5xx, one that breaks off and one that
 * does not come are about one URL, and are remembered for that URL alone (cache_past.c). */
#include "edge/site/breaker.h"

#include <stdatomic.h>

#include "common/banned.h"

#define FAILURES_TO_OPEN 3u
#define FIRST_PAUSE_NS INT64_C(500000000)
#define LONGEST_PAUSE_NS INT64_C(8000000000)

enum edge_origin_state edge_breaker_kind(enum http_fetch_error error)
{
    switch (error) {
    case HTTP_FETCH_RESOLVE:
    case HTTP_FETCH_CONNECT:
    case HTTP_FETCH_TIMEOUT: /* of connecting */
    case HTTP_FETCH_TLS:
    case HTTP_FETCH_UNROUTABLE:
    case HTTP_FETCH_UNAVAILABLE:
    case HTTP_FETCH_PROXY: /* whose fault it is makes no difference to those who wait */
    case HTTP_FETCH_PROXY_REFUSED:
    case HTTP_FETCH_PROXY_BROKEN:
        return EDGE_ORIGIN_DISCONNECTED;
    case HTTP_FETCH_NONE:
    case HTTP_FETCH_DESCRIPTORS: /* ours: says nothing of the origin */
    case HTTP_FETCH_ABORTED:
        return EDGE_ORIGIN_UP;
    case HTTP_FETCH_READ_TIMEOUT:
    case HTTP_FETCH_CLOSED:
    case HTTP_FETCH_PROTOCOL:
    case HTTP_FETCH_TOO_LARGE:
        break;
    }
    return EDGE_ORIGIN_ERROR;
}

enum edge_origin_state edge_breaker_state(const struct edge_breaker *b)
{
    return atomic_load_explicit(&b->failures, memory_order_relaxed) < FAILURES_TO_OPEN
               ? EDGE_ORIGIN_UP
               : EDGE_ORIGIN_DISCONNECTED;
}

bool edge_breaker_may_probe(struct edge_breaker *b, int64_t mono_ns)
{
    int64_t retry_at = atomic_load(&b->retry_at_ns);
    /* Whoever moves the time on is the probe. */
    return mono_ns >= retry_at &&
           atomic_compare_exchange_strong(&b->retry_at_ns, &retry_at, mono_ns + LONGEST_PAUSE_NS);
}

void edge_breaker_reached(struct edge_breaker *b)
{
    if (atomic_load_explicit(&b->failures, memory_order_relaxed)) {
        atomic_store(&b->failures, 0);
    }
}

void edge_breaker_unreachable(struct edge_breaker *b, int64_t mono_ns)
{
    unsigned failures = atomic_fetch_add(&b->failures, 1) + 1;
    unsigned doublings = failures > FAILURES_TO_OPEN ? failures - FAILURES_TO_OPEN : 0;
    int64_t pause = doublings > 4 ? LONGEST_PAUSE_NS : FIRST_PAUSE_NS << doublings;
    atomic_store(&b->retry_at_ns, mono_ns + pause);
}
