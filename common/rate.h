/* rate: how often somebody may do something: token buckets in a table of fixed size, shared by all threads.
 *
 * A bucket is a "theoretical arrival time" (GCRA, ITU-T I.371): one 48-bit time in microseconds says all that
 * a bucket of tokens and the time of its last filling would. With 16 bits that tell the owners of one set
 * apart it is one atomic word, so that threads share the table without a lock: the connections of one client
 * are spread over all of them, and its rate must not be.
 *
 * An owner finds its cell by a keyed hash in a set of four. When all of these are others', the one with the
 * earliest time gives way, which is who has done least: a flood of owners pushes out those who are within
 * their rate, never one that is over it.
 */
#ifndef CDN_COMMON_RATE_H
#define CDN_COMMON_RATE_H
#include "common/parse.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cdn_rate;

/* Room for `cells` owners, rounded up to a power of two; `seed` from secret.h. */
struct cdn_rate *cdn_rate_create(size_t cells, uint64_t seed);
void cdn_rate_destroy(struct cdn_rate *rate); /* NULL is fine */

struct cdn_rate_limit {
    uint64_t interval_us; /* one each; 0: no limit */
    uint64_t burst_us; /* how far ahead of its time an owner may be: `burst` at once are burst * interval */
};

/* "100/s", "6000/m", "10/h", "100" (a second); "off" and "0": no limit. `burst` 0: a second's worth, at least
 * one. */
bool cdn_rate_parse(struct cdn_str text, uint64_t burst, struct cdn_rate_limit *ret);

/* The owner that a network is: the address's first bits (AF_UNSPEC: one for all who are nobody), and a number
 * that tells kinds apart. */
struct cdn_rate_networks {
    unsigned v4, v6; /* prefixes: 24, 48 */
};
uint64_t cdn_rate_owner(const struct cdn_rate *rate, const struct cdn_addr *client,
                        const struct cdn_rate_networks *networks, uint64_t kind);

/* Takes one, if there is one; else *ret_wait_us (NULL is fine) is when there will be. Monotonic time. */
bool cdn_rate_take(struct cdn_rate *rate, uint64_t owner, const struct cdn_rate_limit *limit, int64_t now_us,
                   uint64_t *ret_wait_us);

#endif
