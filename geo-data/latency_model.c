/* latency_model: Dijkstra's algorithm from every hub once, kept as a matrix; a place reaches the
 * graph through its nearest hubs. The way itself is found again when somebody asks for it, which is
 * rare. */
#include "geo-data/latency_model.h"

#include "common/mem.h"
#include "geo-data/geodesy.h"

#include <assert.h>
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

/* ---- shortest ways: Dijkstra from every node, with a binary heap that may hold outdated entries ----
 *
 * A way that came into a country over one of its border links may only end there: it is confined. So a node
 * can be reached in two states, open and confined, and has two places in the row of `came` of the node where
 * the ways start: at [node] and at [node_count + node]. A place holds the last link of the way there and the
 * state before it; that of the open state also tells which state is the sooner. A pair's way is the one that
 * starts at its lower node, so that both directions are the same to the bit.
 */

#define CAME_CONFINED 0x8000u /* the state before the link */
#define ENDS_CONFINED 0x4000u /* the confined state is the sooner one */
#define CAME_LINK 0x3fffu
_Static_assert(BACKBONE_LINKS_MAX <= CAME_LINK, "a link's number fits");

struct reached {
    float ms;
    uint16_t place; /* node, or node_count + node */
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
        if (child + 1 < heap->n && heap->items[child + 1].ms < heap->items[child].ms) {
            child++;
        }
        if (heap->items[child].ms >= last.ms) {
            break;
        }
        heap->items[i] = heap->items[child];
        i = child;
    }
    heap->items[i] = last;
    return top;
}

struct spread { /* the ways from one node */
    const struct latency_model *model;
    uint16_t start;
    float *ms;      /* by place */
    uint16_t *came; /* by place */
    struct heap heap;
};

/* Whether a way may go on from `at` over the link, and whether it is confined then. */
static bool may_pass(const struct spread *s, uint16_t at, const struct backbone_end *end, bool *confined)
{
    const struct backbone *b = s->model->backbone;
    uint16_t here = b->nodes[at].country, there = b->nodes[end->node].country;
    const struct backbone_link *link = &b->links[end->link];
    uint16_t owner = b->nodes[link->from].country;
    if (*confined) {
        return here == there;
    }
    if (!link->is_border || owner == b->nodes[s->start].country) {
        return true;
    }
    *confined = true;
    return owner == there;
}

static void go_on(struct spread *s, struct reached from)
{
    const struct backbone *b = s->model->backbone;
    bool was_confined = from.place >= b->node_count;
    uint16_t at = (uint16_t)(from.place - (was_confined ? b->node_count : 0));
    for (uint32_t i = 0; i < b->nodes[at].end_count; i++) {
        const struct backbone_end *end = &b->ends[b->nodes[at].first_end + i];
        bool confined = was_confined;
        if (!may_pass(s, at, end, &confined)) {
            continue;
        }
        struct reached next = {from.ms + s->model->link_ms[end->link],
                               (uint16_t)(end->node + (confined ? b->node_count : 0))};
        if (next.ms >= s->ms[next.place]) {
            continue;
        }
        s->ms[next.place] = next.ms;
        s->came[next.place] = (uint16_t)(end->link | (was_confined ? CAME_CONFINED : 0));
        push(&s->heap, next);
    }
}

static void spread_from(struct spread *s)
{
    size_t n = s->model->backbone->node_count;
    for (size_t i = 0; i < 2 * n; i++) {
        s->ms[i] = INFINITY;
    }
    s->ms[s->start] = 0;
    push(&s->heap, (struct reached){0, s->start});
    while (s->heap.n > 0) {
        struct reached at = pop(&s->heap);
        if (at.ms <= s->ms[at.place]) {
            go_on(s, at);
        }
    }
    for (size_t i = s->start; i < n; i++) {
        bool confined = s->ms[n + i] < s->ms[i];
        s->came[i] |= confined ? ENDS_CONFINED : 0;
        s->model->ms[s->start * n + i] = s->model->ms[i * n + s->start] = s->ms[i + (confined ? n : 0)];
    }
}

static void find_ways(struct latency_model *model)
{
    const struct backbone *b = model->backbone;
    struct spread s = {.model = model, .ms = cdn_calloc(2 * b->node_count, sizeof(*s.ms))};
    s.heap.items = cdn_calloc(4 * b->link_count + 2, sizeof(*s.heap.items));
    for (size_t i = 0; i < b->node_count; i++) {
        s.start = (uint16_t)i;
        s.came = model->came + i * 2 * b->node_count;
        spread_from(&s);
    }
    free(s.heap.items);
    free(s.ms);
}

uint16_t latency_model_over(const struct latency_model *model, uint16_t link, uint16_t at)
{
    const struct backbone_link *l = &model->backbone->links[link];
    return l->from == at ? l->to : l->from;
}

size_t latency_model_way(const struct latency_model *model, uint16_t from, uint16_t to,
                         uint16_t ret_links[static LATENCY_WAY_MAX])
{
    size_t node_count = model->backbone->node_count, n = 0;
    uint16_t start = from < to ? from : to, at = from < to ? to : from;
    const uint16_t *came = model->came + start * 2 * node_count;
    for (bool confined = (came[at] & ENDS_CONFINED) != 0; at != start;) {
        uint16_t last = came[at + (confined ? node_count : 0)], link = last & CAME_LINK;
        assert(n < LATENCY_WAY_MAX);
        ret_links[n++] = link;
        confined = (last & CAME_CONFINED) != 0;
        at = latency_model_over(model, link, at);
    }
    for (size_t i = 0; from < to && i < n / 2; i++) {
        uint16_t other = ret_links[i];
        ret_links[i] = ret_links[n - 1 - i];
        ret_links[n - 1 - i] = other;
    }
    return n;
}

static void collect_hubs(struct latency_model *model)
{
    const struct backbone *b = model->backbone;
    model->hubs = cdn_calloc(b->node_count, sizeof(*model->hubs));
    for (size_t i = 0; i < b->node_count; i++) {
        if (b->nodes[i].is_hub) {
            model->hubs[model->hub_count++] = (struct latency_hub){
                (float)b->nodes[i].at.x, (float)b->nodes[i].at.y, (float)b->nodes[i].at.z, (uint16_t)i};
        }
    }
}

struct latency_model *latency_model_create(const struct backbone *backbone,
                                           const struct latency_parameters *parameters)
{
    struct latency_model *model = cdn_calloc(1, sizeof(*model));
    model->backbone = backbone;
    model->parameters = *parameters;
    model->link_ms = cdn_calloc(backbone->link_count + 1, sizeof(*model->link_ms));
    model->ms = cdn_calloc(backbone->node_count * backbone->node_count, sizeof(*model->ms));
    model->came = cdn_calloc(2 * backbone->node_count * backbone->node_count, sizeof(*model->came));
    model->border_ms = cdn_calloc(backbone->node_count, sizeof(*model->border_ms));
    for (size_t i = 0; i < backbone->node_count; i++) {
        model->border_ms[i] = backbone->nodes[i].is_major ? 0 : (float)parameters->border;
    }
    for (size_t i = 0; i < backbone->link_count; i++) {
        model->link_ms[i] = cost_of(model, &backbone->links[i]);
    }
    find_ways(model);
    collect_hubs(model);
    return model;
}

void latency_model_destroy(struct latency_model *model)
{
    if (!model) {
        return;
    }
    free(model->hubs);
    free(model->link_ms);
    free(model->border_ms);
    free(model->ms);
    free(model->came);
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
        if (chord >= limit) {
            continue;
        }
        unsigned at = point->n < LATENCY_TRIED ? point->n++ : LATENCY_TRIED - 1;
        for (; at > 0 && point->access[at - 1].ms > chord; at--) {
            point->access[at] = point->access[at - 1];
        }
        point->access[at] = (struct geo_rtt_access){hub->node, chord};
        if (point->n == LATENCY_TRIED) {
            limit = point->access[LATENCY_TRIED - 1].ms;
        }
    }
}

/* A hub that is reached no later through another one can be left out: no way gets longer. */
static bool is_useless(const struct latency_model *model, const struct geo_rtt_point *point, unsigned hub)
{
    const struct geo_rtt_access *a = point->access;
    const float *ms = model->ms + a[hub].node * model->backbone->node_count;
    for (unsigned i = 0; i < point->n; i++) {
        if (i != hub && a[i].ms + ms[a[i].node] <= a[hub].ms) {
            return true;
        }
    }
    return false;
}

void latency_model_point(const struct latency_model *model, double lat, double lon, struct geo_rtt_point *ret)
{
    geo_canonical(&lat, &lon); /* else two spellings of a point differ in the last bit, and in their way */
    struct backbone_vector at = backbone_vector(lat, lon);
    *ret = (struct geo_rtt_point){.lat = lat, .lon = lon, .x = at.x, .y = at.y, .z = at.z};
    find_nearest(model, ret);
    double limit = INFINITY;
    for (unsigned i = 0; i < ret->n; i++) {
        const struct backbone_node *hub = &model->backbone->nodes[ret->access[i].node];
        double km = backbone_km(at, hub->at);
        if (i == 0) {
            limit = 2 * km + LATENCY_ACCESS_KM;
        }
        if (km > limit) {
            ret->n = i;
            break;
        }
        ret->access[i].ms = (float)(km / LATENCY_KM_PER_MS * model->parameters.access +
                                    (hub->is_major ? 0 : model->parameters.minor));
    }
    for (unsigned i = ret->n; i-- > 0;) {
        if (is_useless(model, ret, i)) {
            ret->n--;
            for (unsigned j = i; j < ret->n; j++) {
                ret->access[j] = ret->access[j + 1];
            }
        }
    }
}

/* ---- pairs ---- */

struct latency_choice latency_model_choose(const struct latency_model *model,
                                           const struct geo_rtt_point *from, const struct geo_rtt_point *to)
{
    const struct latency_parameters *p = &model->parameters;
    double km = backbone_km((struct backbone_vector){from->x, from->y, from->z},
                            (struct backbone_vector){to->x, to->y, to->z});
    const struct backbone_node *nodes = model->backbone->nodes;
    double far = km / p->direct_range;
    struct latency_choice best = {
        .km = km, .direct = true, .ms = (float)(km / LATENCY_KM_PER_MS * p->direct * (1 + far * far))};
    for (unsigned i = 0; i < from->n; i++) {
        const float *row = model->ms + from->access[i].node * model->backbone->node_count;
        for (unsigned j = 0; j < to->n; j++) {
            uint16_t a = from->access[i].node, b = to->access[j].node;
            bool abroad = nodes[a].country != nodes[b].country;
            float ms = (from->access[i].ms + to->access[j].ms) + row[b];
            ms += abroad ? model->border_ms[a] + model->border_ms[b] : 0;
            if (ms < best.ms) {
                best.ms = ms;
                best.direct = false;
                best.abroad = abroad;
                best.from = &from->access[i];
                best.to = &to->access[j];
            }
        }
    }
    best.rtt_ms = (float)fmax(best.ms + 2 * p->end, km / LATENCY_KM_PER_MS * LATENCY_FLOOR);
    return best;
}
