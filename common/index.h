/* index: finds the entries of an array by hash. Open addressing; the array is the caller's, who appends to
 * it:
 *
 *     uint32_t number = cdn_index_find(&index, hash, is_same, ctx);
 *     if (number == CDN_INDEX_NONE) {
 *         cdn_index_put(&index, hash, number = (uint32_t)count);
 *         entries[count++] = ...;
 *     }
 *
 * Nothing is taken out again. Hashes are mixed before use, so any number will do for one; for keys that a
 * stranger chooses it should be made with a secret (secret.h), or he can put all in one place. No lock.
 */
#ifndef CDN_COMMON_INDEX_H
#define CDN_COMMON_INDEX_H
#include "common/mix.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CDN_INDEX_NONE UINT32_MAX /* no entry; entries have smaller numbers */

struct cdn_index_slot {
    uint64_t hash;
    uint32_t taken; /* number + 1; 0: free */
};

struct cdn_index { /* zeroed: empty */
    struct cdn_index_slot *slots;
    size_t count, room; /* room: a power of two, at least twice the count */
};

void cdn_index_put(struct cdn_index *x, uint64_t hash, uint32_t number);
void cdn_index_free(struct cdn_index *x); /* leaves it empty */

/* The entry with this hash to which is_same(ctx, number) says yes (NULL: equal hashes are enough), or
 * CDN_INDEX_NONE. Inline, so that is_same becomes part of the loop. */
static inline uint32_t cdn_index_find(const struct cdn_index *x, uint64_t hash,
                                      bool (*is_same)(const void *ctx, uint32_t number), const void *ctx)
{
    if (x->count == 0) {
        return CDN_INDEX_NONE;
    }
    for (size_t i = (size_t)cdn_mix64(hash) & (x->room - 1); x->slots[i].taken; i = (i + 1) & (x->room - 1)) {
        const uint32_t number = x->slots[i].taken - 1;
        if (x->slots[i].hash == hash && (!is_same || is_same(ctx, number))) {
            return number;
        }
    }
    return CDN_INDEX_NONE;
}

#endif
