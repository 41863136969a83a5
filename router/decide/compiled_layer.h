/* compiled_layer: nested networks as the points of a line where the innermost one changes.
 *
 * Overrides and special ranges nest; the database's networks do not. Flattened, all three can be walked side
 * by side. Networks longer than 64 bits count as the /64 around them, with the value LAYER_MIXED.
 */
#ifndef CDN_ROUTER_COMPILED_LAYER_H
#define CDN_ROUTER_COMPILED_LAYER_H
#include <stddef.h>
#include <stdint.h>

#define LAYER_NONE UINT32_MAX        /* no network of the layer holds the key */
#define LAYER_MIXED (UINT32_MAX - 1) /* it depends on what is after the key */

struct layer_net {
    uint64_t first, last; /* keys */
    uint32_t value;
};
struct layer_point {
    uint64_t first; /* key from which on the value holds */
    uint32_t value;
};
struct layer {
    struct layer_point *points; /* the first one at key 0 */
    size_t count, at;           /* at: where a walk is */
};

struct layer_net layer_net_make(uint64_t key, unsigned prefix, uint32_t value);
/* `nets` are sorted in place. */
void layer_build(struct layer *layer, struct layer_net *nets, size_t n);
void layer_fini(struct layer *layer);
/* The value at `key`; keys of successive calls ascend. `*last` is lowered to the last key that has it. */
uint32_t layer_at(struct layer *layer, uint64_t key, uint64_t *last);

#endif
