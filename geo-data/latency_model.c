/* latency_model: see latency_model.h */
#include "geo-data/latency_model.h"

#include <math.h>
#include <stdlib.h>

#include "common/banned.h"

const struct latency_parameters latency_fitted = {
#define X(name, value, text) .name = (value),
    LATENCY_PARAMETERS(X)
#undef X
};

static float cost_of(const struct latency_model *model, const struct backbone_link *link)
{
    const struct latency_parameters *p = &model->parameters;
    const struct backbone_node *nodes = model->backbone->nodes;
    double ends = (nodes[link->from].is_hub ? 0.5 : 0) + (nodes[link->to].is_hub ? 0.5 : 0);
    double stretch = (link->is_sea ? p->sea : p->land) * link->route * link->fit;
    return (float)(link->km / LATENCY_KM_PER_MS * stretch + ends * p->hop);
}

/* ---- shortest ways: Dijkstra from every node, with a binary heap that may hold outdated entries ---- */

struct reached {
    float ms;
    uint16_t node;
};

struct heap {
    struct reached *items;
    size_t n;
};

static void push(struct heap *heap, struct reached item)
{
    size_t i = heap->n++;
    while (i > 0 && heap->items[(i - 1) / 2].ms > item.ms) {
        heap->items[i] = heap->items[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap->items[i] = item;
}

static struct reached pop(struct heap *heap)
{
    struct reached top = heap->items[0], last = heap->items[--heap->n];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < heap->n) {
        if (child + 1 < heap->n && heap->items[child + 1].ms < heap->items[child].ms)
            child++;
        if (heap->items[child].ms >= last.ms)
            break;
        heap->items[i] = heap->items[child];
        i = child;
    }
    heap->items[i] = last;
    return top;
}

static void spread_from(const struct latency_model *model, uint16_t start, struct heap *heap)
{
    const struct backbone *b = model->backbone;
    float *ms = model->ms + start * b->node_count;
    for (size_t i = 0; i < b->node_count; i++)
        ms[i] = INFINITY;
    ms[start] = 0;
    push(heap, (struct reached){0, start});
    while (heap->n > 0) {
        struct reached at = pop(heap);
        const struct backbone_node *node = &b->nodes[at.node];
        if (at.ms > ms[at.node])
            continue;
        for (uint32_t i = 0; i < node->end_count; i++) {
            const struct backbone_end *end = &b->ends[node->first_end + i];
            float through = at.ms + model->link_ms[end->link];
            if (through < ms[end->node]) {
                ms[end->node] = through;
                push(heap, (struct reached){through, end->node});
            }
        }
    }
}

/* Sums of floats depend on their order: both directions get the smaller one. */
static void make_symmetric(const struct latency_model *model)
{
    size_t n = model->backbone->node_count;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            float *there = &model->ms[i * n + j], *back = &model->ms[j * n + i];
            *there = *back = *there < *back ? *there : *back;
        }
}

static void collect_hubs(struct latency_model *model)
{
    const struct backbone *b = model->backbone;
    model->hubs = cdn_calloc(b->node_count, sizeof *model->hubs);
    for (size_t i = 0; i < b->node_count; i++)
        if (b->nodes[i].is_hub)
            model->hubs[model->hub_count++] = (struct latency_hub){
                (float)b->nodes[i].at.x, (float)b->nodes[i].at.y, (float)b->nodes[i].at.z, (uint16_t)i};
}

struct latency_model *latency_model_create(const struct backbone *backbone,
                                           const struct latency_parameters *parameters)
{
    struct latency_model *model = cdn_calloc(1, sizeof *model);
    model->backbone = backbone;
    model->parameters = *parameters;
    model->link_ms = cdn_calloc(backbone->link_count + 1, sizeof *model->link_ms);
    model->ms = cdn_calloc(backbone->node_count * backbone->node_count, sizeof *model->ms);
    for (size_t i = 0; i < backbone->link_count; i++)
        model->link_ms[i] = cost_of(model, &backbone->links[i]);
    struct heap heap = {.items = cdn_calloc(2 * backbone->link_count + 2, sizeof *heap.items)};
    for (size_t i = 0; i < backbone->node_count; i++)
        spread_from(model, (uint16_t)i, &heap);
    free(heap.items);
    make_symmetric(model);
    collect_hubs(model);
    return model;
}

void latency_model_destroy(struct latency_model *model)
{
    if (!model)
        return;
    free(model->hubs);
    free(model->link_ms);
    free(model->ms);
    free(model);
}

/* ---- places ---- */

/* Keeps the nearest ones, nearest first; `ms` is the squared chord as yet. */
static void find_nearest(const struct latency_model *model, struct geo_rtt_point *point)
{
    float px = (float)point->x, py = (float)point->y, pz = (float)point->z, limit = INFINITY;
    for (size_t i = 0; i < model->hub_count; i++) {
        const struct latency_hub *hub = &model->hubs[i];
        float x = hub->x - px, y = hub->y - py, z = hub->z - pz, chord = x * x + y * y + z * z;
        if (chord >= limit)
            continue;
        unsigned at = point->n < LATENCY_TRIED ? point->n++ : LATENCY_TRIED - 1;
        for (; at > 0 && point->access[at - 1].ms > chord; at--)
            point->access[at] = point->access[at - 1];
        point->access[at] = (struct geo_rtt_access){hub->node, chord};
        if (point->n == LATENCY_TRIED)
            limit = point->access[LATENCY_TRIED - 1].ms;
    }
}

/* A hub that is reached no later through another one can be left out: no way gets longer. */
static bool is_useless(const struct latency_model *model, const struct geo_rtt_point *point, unsigned hub)
{
    const struct geo_rtt_access *a = point->access;
    const float *ms = model->ms + a[hub].node * model->backbone->node_count;
    for (unsigned i = 0; i < point->n; i++)
        if (i != hub && a[i].ms + ms[a[i].node] <= a[hub].ms)
            return true;
    return false;
}

void latency_model_point(const struct latency_model *model, double lat, double lon, struct geo_rtt_point *ret)
{
    struct backbone_vector at = backbone_vector(lat, lon);
    *ret = (struct geo_rtt_point){.lat = lat, .lon = lon, .x = at.x, .y = at.y, .z = at.z};
    find_nearest(model, ret);
    double limit = INFINITY;
    for (unsigned i = 0; i < ret->n; i++) {
        const struct backbone_node *hub = &model->backbone->nodes[ret->access[i].node];
        double km = backbone_km(at, hub->at);
        if (i == 0)
            limit = 2 * km + LATENCY_ACCESS_KM;
        if (km > limit) {
            ret->n = i;
            break;
        }
        ret->access[i].ms = (float)(km / LATENCY_KM_PER_MS * model->parameters.access +
                                    (hub->is_major ? 0 : model->parameters.minor));
    }
    for (unsigned i = ret->n; i-- > 0;)
        if (is_useless(model, ret, i)) {
            ret->n--;
            for (unsigned j = i; j < ret->n; j++)
                ret->access[j] = ret->access[j + 1];
        }
}

/* ---- pairs ---- */

struct latency_choice latency_model_choose(const struct latency_model *model,
                                           const struct geo_rtt_point *from, const struct geo_rtt_point *to)
{
    const struct latency_parameters *p = &model->parameters;
    double km = backbone_km((struct backbone_vector){from->x, from->y, from->z},
                            (struct backbone_vector){to->x, to->y, to->z});
    double far = km / p->direct_range;
    struct latency_choice best = {
        .km = km, .direct = true, .ms = (float)(km / LATENCY_KM_PER_MS * p->direct * (1 + far * far))};
    for (unsigned i = 0; i < from->n; i++) {
        const float *row = model->ms + from->access[i].node * model->backbone->node_count;
        for (unsigned j = 0; j < to->n; j++) {
            float ms = (from->access[i].ms + to->access[j].ms) + row[to->access[j].node];
            if (ms < best.ms) {
                best.ms = ms;
                best.direct = false;
                best.from = &from->access[i];
                best.to = &to->access[j];
            }
        }
    }
    best.rtt_ms = (float)fmax(best.ms + 2 * p->end, km / LATENCY_KM_PER_MS * LATENCY_FLOOR);
    return best;
}

const struct backbone_end *latency_model_step(const struct latency_model *model, uint16_t at, uint16_t goal)
{
    const struct backbone *b = model->backbone;
    const struct backbone_node *node = &b->nodes[at];
    const struct backbone_end *best = NULL;
    float best_ms = INFINITY;
    for (uint32_t i = 0; i < node->end_count && at != goal; i++) {
        const struct backbone_end *end = &b->ends[node->first_end + i];
        float ms = model->link_ms[end->link] + model->ms[end->node * b->node_count + goal];
        if (ms < best_ms) {
            best_ms = ms;
            best = end;
        }
    }
    return best;
}
