/* clock: the offset of the cache clock is one atomic word, so a thread that only asks for the time
 * takes no lock; each change of it is refused unless the program allowed travel (simulation). */
#include "common/clock.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <time.h>

#include "common/banned.h"

/* Process-wide by nature, like the clock itself. */
static _Atomic int64_t offset_ms;
static _Atomic int travel_allowed;

static int64_t read_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t cdn_clock_real_ms(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000;
}

int64_t cdn_clock_now_ms(void)
{
    return cdn_clock_real_ms() + atomic_load_explicit(&offset_ms, memory_order_relaxed);
}

int64_t cdn_clock_now_s(void)
{
    return cdn_clock_now_ms() / 1000;
}

int64_t cdn_clock_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t cdn_clock_mono_ms(void)
{
    return cdn_clock_mono_ns() / 1000000;
}

int64_t cdn_clock_thread_cpu_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

int64_t cdn_clock_offset_ms(void)
{
    return atomic_load(&offset_ms);
}

void cdn_clock_allow_travel(int allowed)
{
    atomic_store(&travel_allowed, allowed);
}

enum cdn_status cdn_clock_advance_ms(int64_t ms, struct cdn_error *err)
{
    const int64_t last_ms = INT64_C(253402300799000); /* 9999-12-31T23:59:59Z, the last HTTP date */
    if (!atomic_load(&travel_allowed)) {
        return cdn_error_set(err, CDN_REFUSED, "clock: time travel is off (start with --simulate)");
    }
    int64_t old = atomic_load(&offset_ms);
    int64_t wanted;
    int64_t then;
    do {
        if (__builtin_add_overflow(old, ms, &wanted) ||
            __builtin_add_overflow(cdn_clock_real_ms(), wanted, &then) || then < 0 || then > last_ms) {
            return cdn_error_set(err, CDN_INVALID, "clock: %" PRId64 " ms would leave the years 1970 to 9999",
                                 ms);
        }
    } while (!atomic_compare_exchange_weak(&offset_ms, &old, wanted));
    return CDN_OK;
}
