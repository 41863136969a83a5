/* bits: a map of bits in 64-bit words, set, cleared and searched by the word. Pure; for pages.c, which has
 * one bit a page. */
#ifndef CDN_EDGE_BITS_H
#define CDN_EDGE_BITS_H
#include <stdbool.h>
#include <stdint.h>

static inline bool edge_bit(const uint64_t *map, unsigned i)
{
    return (map[i / 64] >> (i % 64)) & 1;
}

/* Sets or clears bits [from, from + n); how many changed. */
static inline unsigned edge_bits_fill(uint64_t *map, unsigned from, unsigned n, bool on)
{
    unsigned changed = 0;
    while (n) {
        const unsigned at = from % 64;
        const unsigned take = n < 64 - at ? n : 64 - at;
        const uint64_t mask = (take == 64 ? UINT64_MAX : (UINT64_C(1) << take) - 1) << at;
        uint64_t *word = &map[from / 64];
        changed += (unsigned)__builtin_popcountll((on ? ~*word : *word) & mask);
        *word = on ? *word | mask : *word & ~mask;
        from += take;
        n -= take;
    }
    return changed;
}

/* The first bit at or after `from` that is `on`; `size` (whole words): none. */
static inline unsigned edge_bits_next(const uint64_t *map, unsigned size, unsigned from, bool on)
{
    while (from < size) {
        const uint64_t word = (on ? map[from / 64] : ~map[from / 64]) >> (from % 64);
        if (word) {
            return from + (unsigned)__builtin_ctzll(word);
        }
        from = (from / 64 + 1) * 64;
    }
    return size;
}

#endif
