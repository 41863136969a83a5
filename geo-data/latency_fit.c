/* latency_fit: gradient descent over all measured pairs, in one order and from fixed starts: a
 * refit gives the same numbers on every run, so that a difference is the data's. */
#include "geo-data/latency_fit.h"

#include "common/mem.h"
#include "geo-data/latency.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define SOFT 0.03
#define PARAMETER_COUNT (sizeof(struct latency_parameters) / sizeof(double))
#define PARAMETER(field) (offsetof(struct latency_parameters, field) / sizeof(double))
#define MOMENTUM 0.9
#define MOMENTUM_OF_SQUARES 0.98
#define FIT_MIN 0.5
#define FIT_MAX 2.5

const struct latency_fit_options latency_fit_defaults = {
#define X(name, value, text) .name = (value),
    LATENCY_FIT_OPTIONS(X)
#undef X
};

/* The unknowns: PARAMETER_COUNT logarithms, one for each link, one excess (ms) for each site. */
struct descent {
    struct backbone *backbone;
    struct latency_parameters *parameters;
    const struct latency_matrix *matrix;
    const struct latency_fit_options *options;
    struct geo_rtt_point *points;  /* by site */
    double start[PARAMETER_COUNT]; /* the parameters before */
    double *weights;               /* by site; 0: not used */
    double weight;                 /* of all pairs */
    size_t n;
    double *slopes, *mean, *mean_square; /* by unknown */
    double *excess;                      /* by site */
    double *site_weight;                 /* by site: of all its pairs */
};

static double *excess_slope(const struct descent *d, size_t site)
{
    return &d->slopes[PARAMETER_COUNT + d->backbone->link_count + site];
}

/* The slope of one pair's cost, `slope` by the logarithm of its round-trip time, goes to all that made it. */
static void share_out(struct descent *d, const struct latency_model *model,
                      const struct latency_choice *choice, double slope, double ms)
{
    const struct latency_parameters *p = d->parameters;
    double hops = 0, per_ms = slope / ms;
    d->slopes[PARAMETER(end)] += per_ms * 2 * p->end;
    if (choice->direct) {
        d->slopes[PARAMETER(direct)] += per_ms * (double)choice->ms;
        return;
    }
    uint16_t links[LATENCY_WAY_MAX], at = choice->from->node, goal = choice->to->node;
    double border = choice->abroad ? (double)(model->border_ms[at] + model->border_ms[goal]) : 0;
    d->slopes[PARAMETER(border)] += per_ms * border;
    double minor = (d->backbone->nodes[choice->from->node].is_major ? 0 : p->minor) +
                   (d->backbone->nodes[choice->to->node].is_major ? 0 : p->minor);
    d->slopes[PARAMETER(minor)] += per_ms * minor;
    d->slopes[PARAMETER(access)] += per_ms * ((double)(choice->from->ms + choice->to->ms) - minor);
    size_t n = latency_model_way(model, at, goal, links);
    for (size_t i = 0; i < n; i++) {
        const struct backbone_link *link = &d->backbone->links[links[i]];
        double hop = (d->backbone->nodes[link->from].is_hub ? 0.5 : 0) +
                     (d->backbone->nodes[link->to].is_hub ? 0.5 : 0);
        double part = per_ms * ((double)model->link_ms[links[i]] - hop * p->hop);
        d->slopes[link->is_sea ? PARAMETER(sea) : PARAMETER(land)] += part;
        d->slopes[PARAMETER_COUNT + links[i]] += part;
        hops += hop;
    }
    d->slopes[PARAMETER(hop)] += per_ms * hops * p->hop;
}

static void add_pair(struct descent *d, const struct latency_model *model, const struct latency_pair *pair)
{
    double weight = d->weights[pair->from] * d->weights[pair->to] / d->weight;
    if (weight <= 0 || pair->km < d->options->min_km) {
        return;
    }
    struct latency_choice choice = latency_model_choose(model, &d->points[pair->from], &d->points[pair->to]);
    double ms = (double)choice.rtt_ms + d->excess[pair->from] + d->excess[pair->to];
    double r = log(ms / pair->rtt_ms);
    bool major = d->matrix->sites[pair->from].is_major && d->matrix->sites[pair->to].is_major;
    double quantile = major ? d->options->quantile : d->options->minor_quantile;
    double detour = major ? d->options->detour : d->options->minor_detour;
    double slope = 2 * (r > 0 ? 1 - quantile : quantile) * r / sqrt(r * r + SOFT * SOFT);
    if (r < 0) {
        slope /= 1 + r * r / (detour * detour);
    }
    *excess_slope(d, pair->from) += weight * slope / ms;
    *excess_slope(d, pair->to) += weight * slope / ms;
    d->site_weight[pair->from] += weight / ms;
    d->site_weight[pair->to] += weight / ms;
    share_out(d, model, &choice, weight * slope, ms);
}

static double stride(struct descent *d, size_t i, double rate, size_t round)
{
    double slope = d->slopes[i];
    d->mean[i] = MOMENTUM * d->mean[i] + (1 - MOMENTUM) * slope;
    d->mean_square[i] = MOMENTUM_OF_SQUARES * d->mean_square[i] + (1 - MOMENTUM_OF_SQUARES) * slope * slope;
    double mean = d->mean[i] / (1 - pow(MOMENTUM, (double)round + 1));
    double square = d->mean_square[i] / (1 - pow(MOMENTUM_OF_SQUARES, (double)round + 1));
    return rate * mean / (sqrt(square) + 1e-7);
}

/* A link that no minor hub is at. */
static bool is_trunk(const struct backbone *b, const struct backbone_link *link)
{
    const struct backbone_node *from = &b->nodes[link->from], *to = &b->nodes[link->to];
    return from->is_hub == from->is_major && to->is_hub == to->is_major;
}

static void step(struct descent *d, size_t round)
{
    const struct latency_fit_options *o = d->options;
    double rate = o->rate * (1 - 0.9 * (double)round / o->rounds);
    double *values = (double *)d->parameters;
    for (size_t i = 0; i < PARAMETER_COUNT; i++) {
        d->slopes[i] += 2 * o->parameter_pull * log(values[i] / d->start[i]);
        values[i] *= exp(-stride(d, i, rate, round));
    }
    for (size_t i = 0; i < d->backbone->link_count; i++) {
        struct backbone_link *link = &d->backbone->links[i];
        d->slopes[PARAMETER_COUNT + i] += 2 * o->link_pull * log(link->fit);
        double fit = link->fit * exp(-stride(d, PARAMETER_COUNT + i, rate, round));
        double most = link->is_sea ? o->sea_max : o->land_max;
        link->fit = fmin(fmax(fit, FIT_MIN), is_trunk(d->backbone, link) ? most : FIT_MAX);
    }
    for (size_t i = 0; i < d->matrix->site_count; i++) {
        *excess_slope(d, i) += o->excess_pull * d->site_weight[i];
        size_t unknown = PARAMETER_COUNT + d->backbone->link_count + i;
        d->excess[i] = fmax(0, d->excess[i] - stride(d, unknown, rate * 30, round));
    }
}

static void run_round(struct descent *d, size_t round)
{
    struct latency_model *model = latency_model_create(d->backbone, d->parameters);
    memset(d->slopes, 0, d->n * sizeof(*d->slopes));
    memset(d->site_weight, 0, d->matrix->site_count * sizeof(*d->site_weight));
    for (size_t i = 0; i < d->matrix->site_count; i++) {
        latency_model_point(model, d->matrix->sites[i].lat, d->matrix->sites[i].lon, &d->points[i]);
    }
    for (size_t i = 0; i < d->matrix->pair_count; i++) {
        add_pair(d, model, &d->matrix->pairs[i]);
    }
    step(d, round);
    latency_model_destroy(model);
}

/* Many sites near each other say the same thing many times. */
static void weigh(struct descent *d, const bool *used)
{
    const struct latency_matrix *m = d->matrix;
    CDN_AUTOFREE size_t *near = cdn_calloc(m->site_count, sizeof(*near));
    for (size_t i = 0; i < m->pair_count; i++) {
        const struct latency_pair *pair = &m->pairs[i];
        if (used[pair->from] && used[pair->to] && pair->km < d->options->crowd_km) {
            near[pair->from]++;
            near[pair->to]++;
        }
    }
    for (size_t i = 0; i < m->site_count; i++) {
        d->weights[i] =
            used[i] ? (m->sites[i].is_major ? 1 : d->options->minor_weight) / sqrt(1 + (double)near[i]) : 0;
    }
    for (size_t i = 0; i < m->pair_count; i++) {
        if (m->pairs[i].km >= d->options->min_km) {
            d->weight += d->weights[m->pairs[i].from] * d->weights[m->pairs[i].to];
        }
    }
}

void latency_fit(struct backbone *backbone, struct latency_parameters *parameters,
                 const struct latency_matrix *matrix, const bool *used,
                 const struct latency_fit_options *options)
{
    struct descent d = {.backbone = backbone, .parameters = parameters, .matrix = matrix, .options = options};
    d.n = PARAMETER_COUNT + backbone->link_count + matrix->site_count;
    d.points = cdn_calloc(matrix->site_count, sizeof(*d.points));
    d.weights = cdn_calloc(matrix->site_count, sizeof(*d.weights));
    d.excess = cdn_calloc(matrix->site_count, sizeof(*d.excess));
    d.site_weight = cdn_calloc(matrix->site_count, sizeof(*d.site_weight));
    d.slopes = cdn_calloc(d.n, sizeof(*d.slopes));
    d.mean = cdn_calloc(d.n, sizeof(*d.mean));
    d.mean_square = cdn_calloc(d.n, sizeof(*d.mean_square));
    memcpy(d.start, parameters, sizeof(d.start));
    weigh(&d, used);
    for (size_t round = 0; d.weight > 0 && (double)round < options->rounds; round++) {
        run_round(&d, round);
    }
    free(d.points);
    free(d.weights);
    free(d.excess);
    free(d.site_weight);
    free(d.slopes);
    free(d.mean);
    free(d.mean_square);
}

void latency_predict(const struct latency_model *model, const struct latency_matrix *matrix, float *ret_ms)
{
    CDN_AUTOFREE struct geo_rtt_point *points = cdn_calloc(matrix->site_count, sizeof(*points));
    for (size_t i = 0; i < matrix->site_count; i++) {
        latency_model_point(model, matrix->sites[i].lat, matrix->sites[i].lon, &points[i]);
    }
    for (size_t i = 0; i < matrix->pair_count; i++) {
        ret_ms[i] =
            latency_model_choose(model, &points[matrix->pairs[i].from], &points[matrix->pairs[i].to]).rtt_ms;
    }
}
