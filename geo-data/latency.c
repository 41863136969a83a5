/* latency: the committed model, prepared once and then read-only: every edge keeps its way to the
 * graph, so that a time between two places is a walk over few hubs and ranking all edges takes
 * microseconds. */
#include "geo-data/latency.h"

#include "common/status.h"
#include "geo-data/backbone.h"
#include "geo-data/embedded.h"
#include "geo-data/geodesy.h"
#include "geo-data/latency_model.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/banned.h"

static struct latency_model *model;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare(void)
{
    struct backbone *backbone;
    struct cdn_error err = {0};
    if (backbone_parse(geo_embedded_backbone(), &backbone, &err)) {
        fprintf(stderr, "%s\n", err.text); /* the file is part of the program: a bug */
        abort();
    }
    model = latency_model_create(backbone, &latency_fitted);
}

static const struct latency_model *ready(void)
{
    pthread_once(&once, prepare);
    return model;
}

void geo_rtt_point(double lat, double lon, struct geo_rtt_point *ret)
{
    latency_model_point(ready(), lat, lon, ret);
}

float geo_rtt_between(const struct geo_rtt_point *from, const struct geo_rtt_point *to)
{
    return latency_model_choose(ready(), from, to).rtt_ms;
}

void geo_rtt_row(const struct geo_rtt_point *from, const struct geo_rtt_point *to, size_t n, float *ret_ms)
{
    for (size_t i = 0; i < n; i++) {
        ret_ms[i] = geo_rtt_between(from, &to[i]);
    }
}

double geo_rtt_ms(double lat1, double lon1, double lat2, double lon2)
{
    struct geo_rtt_point from, to;
    geo_rtt_point(lat1, lon1, &from);
    geo_rtt_point(lat2, lon2, &to);
    return geo_rtt_between(&from, &to);
}

/* ---- the way ---- */

const char *geo_rtt_leg_word(enum geo_rtt_leg_kind kind)
{
    static const char *const words[] = {
#define X(name, word, text) word,
        GEO_RTT_LEG_TABLE(X)
#undef X
    };
    return words[kind];
}

static void add_leg(struct geo_rtt_path *path, struct geo_rtt_leg leg)
{
    assert(path->leg_count < GEO_RTT_LEGS_MAX);
    path->legs[path->leg_count++] = leg;
    path->kind_km[leg.kind] += leg.km;
    path->kind_ms[leg.kind] += leg.ms;
}

static void add_node_leg(struct geo_rtt_path *path, enum geo_rtt_leg_kind kind, uint16_t to, double km,
                         double ms)
{
    const struct backbone_node *node = &model->backbone->nodes[to];
    add_leg(path, (struct geo_rtt_leg){.kind = kind,
                                       .to = node->name,
                                       .to_country = node->country_code,
                                       .lat = node->lat,
                                       .lon = node->lon,
                                       .km = km,
                                       .ms = ms});
}

static double access_km(const struct geo_rtt_point *point, const struct geo_rtt_access *access)
{
    const struct backbone_node *hub = &model->backbone->nodes[access->node];
    return geo_distance_km(point->lat, point->lon, hub->lat, hub->lon);
}

static double access_ms(const struct latency_choice *choice, const struct geo_rtt_access *access)
{
    return access->ms + (choice->abroad ? model->border_ms[access->node] : 0);
}

static void add_graph_legs(struct geo_rtt_path *path, const struct geo_rtt_point *from,
                           const struct latency_choice *choice)
{
    uint16_t links[LATENCY_WAY_MAX], at = choice->from->node;
    size_t n = latency_model_way(model, at, choice->to->node, links);
    add_node_leg(path, GEO_RTT_ACCESS, at, access_km(from, choice->from), access_ms(choice, choice->from));
    for (size_t i = 0; i < n; i++) {
        const struct backbone_link *link = &model->backbone->links[links[i]];
        at = latency_model_over(model, links[i], at);
        add_node_leg(path, link->is_sea ? GEO_RTT_SEA : GEO_RTT_LAND, at, link->km, model->link_ms[links[i]]);
    }
}

void geo_rtt_path(double lat1, double lon1, double lat2, double lon2, struct geo_rtt_path *ret)
{
    struct geo_rtt_point from, to;
    geo_rtt_point(lat1, lon1, &from);
    geo_rtt_point(lat2, lon2, &to);
    struct latency_choice choice = latency_model_choose(model, &from, &to);
    struct geo_rtt_leg last = {
        .kind = GEO_RTT_DIRECT, .lat = lat2, .lon = lon2, .km = choice.km, .ms = choice.ms};
    *ret = (struct geo_rtt_path){
        .rtt_ms = choice.rtt_ms,
        .km = choice.km,
        .light_ms = choice.km / LATENCY_KM_PER_MS,
        .end_ms = 2 * model->parameters.end,
    };
    ret->floor_ms = fmax(0, choice.rtt_ms - choice.ms - ret->end_ms);
    if (!choice.direct) {
        add_graph_legs(ret, &from, &choice);
        last.kind = GEO_RTT_ACCESS;
        last.km = access_km(&to, choice.to);
        last.ms = access_ms(&choice, choice.to);
    }
    add_leg(ret, last);
}
