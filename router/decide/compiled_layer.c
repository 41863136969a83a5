/* compiled_layer: nested networks are sorted and unwound with a stack, which gives the points at
 * which the innermost one changes. Then each layer is a cursor that only moves on. */
#include "router/decide/compiled_layer.h"

#include "common/mem.h"

#include <stdlib.h>

#include "common/banned.h"

struct layer_net layer_net_make(uint64_t key, unsigned prefix, uint32_t value)
{
    if (prefix > 64) {
        return (struct layer_net){key, key, LAYER_MIXED};
    }
    uint64_t host = prefix == 0 ? UINT64_MAX : prefix == 64 ? 0 : UINT64_MAX >> prefix;
    return (struct layer_net){key & ~host, key | host, value};
}

/* A network before those inside it; of equal ones the mixed one last, since it is the innermost. */
static int by_start(const void *a, const void *b)
{
    const struct layer_net *x = a, *y = b;
    if (x->first != y->first) {
        return x->first < y->first ? -1 : 1;
    }
    if (x->last != y->last) {
        return x->last > y->last ? -1 : 1;
    }
    return (x->value == LAYER_MIXED) - (y->value == LAYER_MIXED);
}

static void point_add(struct layer *l, uint64_t first, uint32_t value)
{
    if (l->count > 0 && l->points[l->count - 1].first == first) {
        l->points[l->count - 1].value = value;
    } else {
        l->points[l->count++] = (struct layer_point){first, value};
    }
}

/* Leaves the networks that end before `key`. */
static void unwind(struct layer *l, const struct layer_net *const *open, size_t *depth, uint64_t key)
{
    while (*depth > 0 && open[*depth - 1]->last < key) {
        uint64_t last = open[--*depth]->last;
        point_add(l, last + 1, *depth > 0 ? open[*depth - 1]->value : LAYER_NONE);
    }
}

void layer_build(struct layer *layer, struct layer_net *nets, size_t n)
{
    const struct layer_net **open = cdn_malloc((n + 1) * sizeof(*open));
    size_t depth = 0;
    if (n > 0) {
        qsort(nets, n, sizeof(*nets), by_start);
    }
    *layer = (struct layer){.points = cdn_malloc((2 * n + 1) * sizeof(*layer->points))};
    point_add(layer, 0, LAYER_NONE);
    for (size_t i = 0; i < n; i++) {
        unwind(layer, open, &depth, nets[i].first);
        open[depth++] = &nets[i];
        point_add(layer, nets[i].first, nets[i].value);
    }
    unwind(layer, open, &depth, UINT64_MAX); /* what ends at the last key needs no point after it */
    free(open);
}

void layer_fini(struct layer *layer)
{
    free(layer->points);
}

uint32_t layer_at(struct layer *layer, uint64_t key, uint64_t *last)
{
    while (layer->at + 1 < layer->count && layer->points[layer->at + 1].first <= key) {
        layer->at++;
    }
    if (layer->at + 1 < layer->count && layer->points[layer->at + 1].first - 1 < *last) {
        *last = layer->points[layer->at + 1].first - 1;
    }
    return layer->points[layer->at].value;
}
