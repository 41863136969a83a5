/* chance: draws for loss and jitter. Integers only, so that one seed gives the same times on every machine.
 */
#ifndef CDN_WAN_PATH_CHANCE_H
#define CDN_WAN_PATH_CHANCE_H
#include <stdbool.h>
#include <stdint.h>

/* True with `probability`. */
bool wan_chance(uint64_t *seed, double probability);
/* From the exponential distribution with this mean, cut at eight times the mean: most waits in queues are
 * short, a few are long, none is negative. */
int64_t wan_chance_wait_ns(uint64_t *seed, int64_t mean_ns);

#endif
