/* clock: the only place that asks what time it is.
 *
 * Two times. The *cache clock* is wall time plus an offset: freshness, Age, purges and everything that RFC
 * 9111 speaks of use it, and in simulation `POST /clock` moves it on every daemon. The *monotonic clock* is
 * real and cannot be moved: time-outs, measurements and delays use it. Names end in their unit: _ms, _us,
 * _ns.
 */
#ifndef CDN_COMMON_CLOCK_H
#define CDN_COMMON_CLOCK_H
#include "common/status.h"

#include <stdint.h>

int64_t cdn_clock_now_ms(void);  /* cache clock, ms since 1970 (UTC) */
int64_t cdn_clock_now_s(void);   /* cache clock, whole seconds since 1970 */
int64_t cdn_clock_real_ms(void); /* wall clock without the offset: log lines, file times */
int64_t cdn_clock_mono_ns(void);
int64_t cdn_clock_mono_ms(void);
int64_t cdn_clock_thread_cpu_ns(void); /* what the calling thread has used of a processor */

/* Moves the cache clock by `ms` (it may go back). Thread-safe; refused (CDN_REFUSED) until
 * cdn_clock_allow_travel(true) was called, and out of the years 1970 to 9999. */
enum cdn_status cdn_clock_advance_ms(int64_t ms, struct cdn_error *err) CDN_MUST_CHECK;
int64_t cdn_clock_offset_ms(void);
void cdn_clock_allow_travel(int allowed);

#endif
