/* secret: numbers that nobody outside can know, for tables whose keys come from the network: who cannot tell
 * where a key goes cannot fill one place of a table. What is hashed without a secret is placed by
 * cdn_mix64(hash ^ secret). */
#ifndef CDN_COMMON_SECRET_H
#define CDN_COMMON_SECRET_H
#include <stdint.h>

uint64_t cdn_secret64(void); /* another one each time; ends the process when the kernel has none */

#endif
