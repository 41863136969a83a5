/* breaker: when the origin fails several times in a row it counts as down. Then whoever has a stale answer
 * that may be used so gets it at once instead of after a time-out, and now and then a refresh behind such an
 * answer tries whether the origin is back. */
#include "edge/worker.h"

#include "common/banned.h"

#define FAILURES_TO_OPEN 3u
#define FIRST_PAUSE_NS INT64_C(500000000)
#define LONGEST_PAUSE_NS INT64_C(8000000000)

enum edge_origin_state edge_breaker_state(const struct edge_breaker *b)
{
    if (atomic_load_explicit(&b->failures, memory_order_relaxed) < FAILURES_TO_OPEN) {
        return EDGE_ORIGIN_UP;
    }
    return atomic_load_explicit(&b->unreachable, memory_order_relaxed) < FAILURES_TO_OPEN
               ? EDGE_ORIGIN_ERROR
               : EDGE_ORIGIN_DISCONNECTED;
}

bool edge_breaker_may_probe(struct edge_breaker *b, int64_t mono_ns)
{
    int64_t retry_at = atomic_load(&b->retry_at_ns);
    /* Whoever moves the time on is the probe. */
    return mono_ns >= retry_at &&
           atomic_compare_exchange_strong(&b->retry_at_ns, &retry_at, mono_ns + LONGEST_PAUSE_NS);
}

void edge_breaker_success(struct edge_breaker *b)
{
    if (atomic_load_explicit(&b->failures, memory_order_relaxed)) {
        atomic_store(&b->failures, 0);
        atomic_store(&b->unreachable, 0);
    }
}

void edge_breaker_failure(struct edge_breaker *b, enum edge_origin_state how, int64_t mono_ns)
{
    if (how == EDGE_ORIGIN_DISCONNECTED) {
        atomic_fetch_add(&b->unreachable, 1);
    } else {
        atomic_store(&b->unreachable, 0);
    }
    unsigned failures = atomic_fetch_add(&b->failures, 1) + 1;
    unsigned doublings = failures > FAILURES_TO_OPEN ? failures - FAILURES_TO_OPEN : 0;
    int64_t pause = doublings > 4 ? LONGEST_PAUSE_NS : FIRST_PAUSE_NS << doublings;
    atomic_store(&b->retry_at_ns, mono_ns + pause);
}
