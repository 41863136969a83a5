/* The logarithm is made by squaring, because the last bit of libm's differs from machine to machine. */
#include "wan/path/chance.h"

#include "common/mix.h"

#include <stdbool.h>
#include <stdint.h>

#include "common/banned.h"

#define BITS 20                      /* behind the point, of a logarithm */
#define LONGEST (INT64_C(8) << BITS) /* times the mean */

bool wan_chance(uint64_t *seed, double probability)
{
    return probability > 0 && cdn_mix_unit(cdn_mix_next(seed)) < probability;
}

/* log2 of x >= 1, times 2^BITS: the number of bits, then one bit of the fraction a squaring. */
static int64_t log2_of(uint64_t x)
{
    int whole = 63 - __builtin_clzll(x);
    uint64_t m = whole > 31 ? x >> (whole - 31) : x << (31 - whole); /* 1 to below 2, times 2^31 */
    int64_t log = whole;
    for (int i = 0; i < BITS; i++) {
        m = m * m >> 31;
        log = log * 2 + (m >> 32 ? 1 : 0);
        m >>= m >> 32;
    }
    return log;
}

int64_t wan_chance_wait_ns(uint64_t *seed, int64_t mean_ns)
{
    if (mean_ns <= 0) {
        return 0;
    }
    /* -ln(u) = ln 2 * (64 - log2(u * 2^64)) */
    int64_t bits = (INT64_C(64) << BITS) - log2_of(cdn_mix_next(seed) | 1);
    int64_t log = bits * 726817 >> BITS; /* ln 2, times 2^BITS */
    log = log < LONGEST ? log : LONGEST;
    return (mean_ns >> BITS) * log + ((mean_ns & ((1 << BITS) - 1)) * log >> BITS);
}
