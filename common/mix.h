/* mix: splitmix64 (Steele, Lea and Flood 2014), for hashes that must be spread and for draws that must
 * repeat. Nothing secret comes from it: who needs that takes secret.h. */
#ifndef CDN_COMMON_MIX_H
#define CDN_COMMON_MIX_H
#include <stdint.h>

#define CDN_MIX_STEP UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / the golden ratio */

/* Its finaliser: every bit of `x` moves every bit of the result. */
static inline uint64_t cdn_mix64(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The next number of the sequence that began with `*state`. */
static inline uint64_t cdn_mix_next(uint64_t *state)
{
    return cdn_mix64(*state += CDN_MIX_STEP);
}

/* From 0 to below 1, evenly. */
static inline double cdn_mix_unit(uint64_t mixed)
{
    return (double)(mixed >> 11) * 0x1p-53;
}

#endif
