/* access_ring: head and tail count bytes without end and are taken modulo the size, so full and
 * empty differ without a spare byte. The producer keeps the tail that it saw last, and reads the
 * consumer's cache line only when by that one the ring is getting full. */
#include "edge/log/access_ring.h"

#include "common/mem.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

struct edge_access_ring *edge_access_ring_create(size_t size)
{
    assert(size >= 64 && (size & (size - 1)) == 0);
    struct edge_access_ring *ring = cdn_aligned_calloc(64, sizeof(*ring));
    ring->bytes = cdn_malloc(size);
    ring->size = size;
    return ring;
}

void edge_access_ring_destroy(struct edge_access_ring *ring)
{
    if (ring) {
        free(ring->bytes);
        free(ring);
    }
}

static size_t aligned(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

static bool fits(struct edge_access_ring *ring, size_t end)
{
    if (end - ring->tail_seen > ring->size) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
    }
    return end - ring->tail_seen <= ring->size;
}

void *edge_access_ring_reserve(struct edge_access_ring *ring, size_t n)
{
    assert(n >= sizeof(uint32_t) && n <= ring->size / 4);
    size_t start = atomic_load_explicit(&ring->head, memory_order_relaxed);
    const size_t to_end = ring->size - (start & (ring->size - 1));
    const bool wraps = aligned(n) > to_end;
    if (!fits(ring, start + aligned(n) + (wraps ? to_end : 0))) {
        return NULL;
    }
    if (wraps) {
        memset(ring->bytes + ring->size - to_end, 0, sizeof(uint32_t));
        start += to_end;
    }
    ring->reserved = start + aligned(n);
    return ring->bytes + (start & (ring->size - 1));
}

bool edge_access_ring_commit(struct edge_access_ring *ring, void *record, size_t n)
{
    const uint32_t size = (uint32_t)aligned(n);
    memcpy(record, &size, sizeof(size));
    atomic_store_explicit(&ring->head, ring->reserved, memory_order_release);
    if (ring->reserved - ring->tail_seen <= ring->size / 2) {
        return false;
    }
    ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
    return ring->reserved - ring->tail_seen > ring->size / 2;
}

const void *edge_access_ring_peek(struct edge_access_ring *ring)
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (tail == atomic_load_explicit(&ring->head, memory_order_acquire)) {
        return NULL;
    }
    uint32_t size;
    memcpy(&size, ring->bytes + (tail & (ring->size - 1)), sizeof(size));
    if (!size) {
        tail += ring->size - (tail & (ring->size - 1));
        atomic_store_explicit(&ring->tail, tail, memory_order_release);
    }
    return ring->bytes + (tail & (ring->size - 1));
}

void edge_access_ring_pop(struct edge_access_ring *ring)
{
    const size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint32_t size;
    memcpy(&size, ring->bytes + (tail & (ring->size - 1)), sizeof(size));
    atomic_store_explicit(&ring->tail, tail + size, memory_order_release);
}
