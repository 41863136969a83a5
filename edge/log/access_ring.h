/* access_ring: records from one thread to another, without a lock and without waiting.
 *
 * A ring of bytes: the producer reserves room for a record, fills it in place and commits it; the consumer
 * peeks at the oldest and pops it. Records are contiguous and 8-byte aligned; each begins with its size as a
 * uint32_t, and a size of 0 says that the next one stands at the ring's start. When there is no room the
 * producer is told so at once. Exactly one producer and one consumer; each writes its own cache line.
 */
#ifndef CDN_EDGE_ACCESS_RING_H
#define CDN_EDGE_ACCESS_RING_H
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>

struct edge_access_ring {
    unsigned char *bytes;
    size_t size; /* a power of two */
    alignas(64) _Atomic size_t
        head;        /* producer's: end of what is committed, counted from the beginning of time */
    size_t reserved; /* end of what is reserved */
    size_t tail_seen;
    alignas(64) _Atomic size_t tail; /* consumer's */
};

struct edge_access_ring *edge_access_ring_create(size_t size);
void edge_access_ring_destroy(struct edge_access_ring *ring); /* NULL is fine */

/* Producer: room for `n` bytes (at most a quarter of the ring), or
 * NULL when the consumer is too far behind. */
void *edge_access_ring_reserve(struct edge_access_ring *ring, size_t n);
/* Hands over what was reserved, whose first four bytes are set to its size. True when the ring is more than
 * half full. */
bool edge_access_ring_commit(struct edge_access_ring *ring, void *record, size_t n);
/* Consumer: the oldest record, valid until the pop; NULL when there is none. */
const void *edge_access_ring_peek(struct edge_access_ring *ring);
void edge_access_ring_pop(struct edge_access_ring *ring);

#endif
