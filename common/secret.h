/* secret: numbers that nobody outside can know, for tables whose keys come from the network: who cannot tell
 * where a key goes cannot fill one place of a table. */
#ifndef CDN_COMMON_SECRET_H
#define CDN_COMMON_SECRET_H

#include <stdint.h>

uint64_t cdn_secret64(void); /* another one each time; ends the process when the kernel has none */

/* Every bit of `x` moves every bit of the result (the finaliser of splitmix64). To place what is hashed
 * without a secret: cdn_mix64(hash ^ secret). */
static inline uint64_t cdn_mix64(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

#endif
