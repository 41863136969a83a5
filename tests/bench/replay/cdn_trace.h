/* cdn_trace: the synthetic CDN trace "cdn-D" (5,000,000 requests, Zipf 1.0, 30 % of the objects asked once),
 * made in memory, byte for byte the same wherever it is made: golden miss counts are known for it.
 *
 * Popularity is Zipf over ranks; every 200 requests a new object takes a rank, the one there falls to a lower
 * rank and the one there retires. Sizes are lognormal (median 12 KiB, sigma 1.4) with 2 % Pareto, clipped to
 * 128 B .. 50 MB. Random numbers are those of Python's random.random() with seed 20240 (Mersenne Twister).
 */
#ifndef CDN_TESTS_CDN_TRACE_H
#define CDN_TESTS_CDN_TRACE_H
#include "tests/bench/replay/policy_replay.h"

#include <stddef.h>
#include <stdint.h>

#define CDN_TRACE_REQUESTS 5000000u

/* The first `n` of the requests. */
void cdn_trace_make(struct replay_request *ret, uint32_t n);
/* SHA-256 of the trace as a file of oracleGeneral records. */
void cdn_trace_sha256(const struct replay_request *requests, size_t n, unsigned char ret[static 32]);

#endif
