/* admission: what is worth storing at all.
 *
 * Two filters. In front of the memory tier, when there is a disk tier, an object is let in with
 * probability exp(-size / scale) (after AdaptSize, Berger et al., NSDI 2017); the chance is drawn from a hash
 * of key, count of misses and seed, so a replay repeats. In front of the disk tier, once that is nearly full,
 * a key is written only when it is asked for the second time: two bitmaps, the older dropped when enough new
 * keys came. Locks: edge_admission_by_size is pure; a doorkeeper is called under its owner's lock.
 */
#ifndef CDN_EDGE_ADMISSION_H
#define CDN_EDGE_ADMISSION_H
#include <stdbool.h>
#include <stdint.h>

#define EDGE_ADMISSION_SCALE (64u * 1024u) /* bytes */

/* `draw` numbers the attempts of one key (its misses, or any counter), so that a refused object gets new
 * chances. */
bool edge_admission_by_size(uint64_t seed, uint64_t hash, uint64_t draw, uint64_t size, uint64_t scale);

struct edge_doorkeeper;

/* Bitmaps of 2^log2_bits bits (6 to 32), the older one dropped after `rotate_after` new keys. 24 and 500,000
 * take 4 MiB and are what was measured; the memory is touched only as keys come. */
struct edge_doorkeeper *edge_doorkeeper_create(unsigned log2_bits, uint64_t rotate_after);
void edge_doorkeeper_destroy(struct edge_doorkeeper *d);
/* Whether the key was asked before; remembers it. */
bool edge_doorkeeper_seen(struct edge_doorkeeper *d, uint64_t hash);

/* Whether it is so far from full (below 1/2) that the doorkeeper need not learn yet: a small cache does
 * without its memory. */
static inline bool edge_admission_roomy(uint64_t used, uint64_t capacity)
{
    return used < capacity / 2;
}

/* Whether a tier of `capacity` bytes with `used` in use is so full (15/16) that the doorkeeper rules. */
static inline bool edge_admission_nearly_full(uint64_t used, uint64_t capacity)
{
    return used >= capacity - capacity / 16;
}

#endif
