/* index: growth. The hashes are kept beside the numbers, so that a larger table is made without asking the
 * caller for the entries again, and most look-ups that fail never touch one. */
#include "common/index.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>

#include "common/banned.h"

#define LEAST_ROOM 1024u

static void place(struct cdn_index *x, struct cdn_index_slot slot)
{
    size_t i = (size_t)cdn_mix64(slot.hash) & (x->room - 1);
    while (x->slots[i].taken) {
        i = (i + 1) & (x->room - 1);
    }
    x->slots[i] = slot;
}

static void grow(struct cdn_index *x)
{
    struct cdn_index bigger = {.count = x->count, .room = x->room ? x->room * 2 : LEAST_ROOM};
    bigger.slots = cdn_calloc(bigger.room, sizeof(*bigger.slots));
    for (size_t i = 0; i < x->room; i++) {
        if (x->slots[i].taken) {
            place(&bigger, x->slots[i]);
        }
    }
    free(x->slots);
    *x = bigger;
}

void cdn_index_put(struct cdn_index *x, uint64_t hash, uint32_t number)
{
    assert(number < CDN_INDEX_NONE);
    if ((x->count + 1) * 2 > x->room) {
        grow(x);
    }
    place(x, (struct cdn_index_slot){hash, number + 1});
    x->count++;
}

void cdn_index_free(struct cdn_index *x)
{
    free(x->slots);
    *x = (struct cdn_index){0};
}
