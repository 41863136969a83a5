/* breaker: when the origin fails several times in a row it counts as down; then a request tries it only now
 * and then, and whoever has a stale answer gets it at once instead of after a time-out. */
#include "edge/worker.h"

#include "common/banned.h"

#define FAILURES_TO_OPEN 3u
#define FIRST_PAUSE_NS INT64_C(500000000)
#define LONGEST_PAUSE_NS INT64_C(8000000000)

enum edge_origin_state edge_breaker_state(struct edge_breaker *b, int64_t mono_ns)
{
    if (atomic_load_explicit(&b->failures, memory_order_relaxed) < FAILURES_TO_OPEN) {
        return EDGE_ORIGIN_UP;
    }
    int64_t retry_at = atomic_load(&b->retry_at_ns);
    if (mono_ns < retry_at) {
        return EDGE_ORIGIN_DISCONNECTED;
    }
    /* Half open: whoever moves the time on is the probe. */
    bool is_probe = atomic_compare_exchange_strong(&b->retry_at_ns, &retry_at, mono_ns + LONGEST_PAUSE_NS);
    return is_probe ? EDGE_ORIGIN_UP : EDGE_ORIGIN_DISCONNECTED;
}

void edge_breaker_success(struct edge_breaker *b)
{
    if (atomic_load_explicit(&b->failures, memory_order_relaxed)) {
        atomic_store(&b->failures, 0);
    }
}

void edge_breaker_failure(struct edge_breaker *b, int64_t mono_ns)
{
    unsigned failures = atomic_fetch_add(&b->failures, 1) + 1;
    unsigned doublings = failures > FAILURES_TO_OPEN ? failures - FAILURES_TO_OPEN : 0;
    int64_t pause = doublings > 4 ? LONGEST_PAUSE_NS : FIRST_PAUSE_NS << doublings;
    atomic_store(&b->retry_at_ns, mono_ns + pause);
}
