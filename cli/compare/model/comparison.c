/* comparison: the modelled half, and the figures of both. The measured half is only kept here. */
#include "cli/compare/model/comparison.h"

#include "common/mem.h"
#include "common/str.h"
#include "geo-data/latency.h"
#include "geo-data/places.h"
#include "router/base/edges.h"
#include "router/table/table.h"
#include "wan/path/profile.h"

#include <math.h>
#include <stdlib.h>

#include "common/banned.h"

#define WORTH_SHARE 0.03
#define WORTH_MS 3.0

static const uint64_t sweep_bytes[] = {10000, 30000, 100000, 300000, 1000000};

enum visit_kind sweep_visit_kind(enum sweep_visit visit)
{
    static const enum visit_kind kinds[] = {VISIT_DIRECT, VISIT_DNS_COLD, VISIT_DNS_WARM};
    return kinds[visit];
}

uint64_t comparison_size(size_t row)
{
    return row < CDN_ARRAY_LEN(sweep_bytes) ? sweep_bytes[row] : 0;
}

double comparison_ms(int64_t ns)
{
    return (double)ns / 1e6;
}

/* ---- modelled ---- */

void comparison_paths(const struct comparison *c, size_t city, struct times_paths *ret)
{
    const struct world_city *at = &c->world.cities[city];
    const struct wan_profile *profile = wan_profile_find(cdn_str(c->profile));
    ret->origin = times_leg_of((double)at->origin_ms, profile);
    ret->edge = times_leg_of((double)at->edge_ms, profile);
    ret->router = times_leg_of((double)at->router_ms, profile);
    ret->behind = times_leg_of((double)at->behind_ms, NULL);
}

static void model_sweep(struct comparison *c, size_t row, struct summary_value *values)
{
    struct sweep_row *sweep = &c->sizes[row];
    for (unsigned visit = 0; visit < SWEEP_VISIT_COUNT; visit++) {
        for (size_t i = 0; i < c->world.n; i++) {
            struct times_paths paths;
            struct times times[2];
            comparison_paths(c, i, &paths);
            times_of_visit(&paths, sweep_visit_kind((enum sweep_visit)visit), sweep->bytes, times);
            values[i] = (struct summary_value){comparison_ms(times[0].total_ns), c->world.cities[i].weight};
        }
        sweep->modelled[visit] = summary_of_weighted(values, c->world.n);
    }
}

static void model_enough(struct comparison *c)
{
    size_t count = geo_place_count();
    CDN_AUTOFREE struct geo_rtt_point *candidates = cdn_calloc(count, sizeof(*candidates));
    CDN_AUTOFREE struct enough_client *clients = cdn_calloc(c->world.n, sizeof(*clients));
    for (size_t i = 0; i < count; i++) {
        geo_rtt_point(geo_place_at(i)->lat, geo_place_at(i)->lon, &candidates[i]);
    }
    for (size_t i = 0; i < c->world.n; i++) {
        clients[i] = (struct enough_client){&c->world.cities[i].at.point, c->world.cities[i].weight};
    }
    const size_t edges = c->world.table->edges->count;
    c->step_count =
        enough_greedy(clients, c->world.n, NULL, 0, candidates, count, COMPARISON_STEPS_MAX, c->steps);
    c->now = enough_now(clients, c->world.n, c->world.edges, edges);
    c->has_one_more =
        enough_greedy(clients, c->world.n, c->world.edges, edges, candidates, count, 1, &c->one_more) == 1;
}

enum cdn_status comparison_model(struct comparison *c, struct cdn_error *err)
{
    if (c->world.n == 0) {
        return cdn_error_set(err, CDN_USAGE, "no clients to compare for");
    }
    CDN_AUTOFREE struct summary_value *values = cdn_calloc(c->world.n, sizeof(*values));
    free(c->times);
    c->times = cdn_calloc(c->world.n * SERIES_COUNT, sizeof(*c->times));
    for (size_t i = 0; i < c->world.n; i++) {
        struct times_paths paths;
        comparison_paths(c, i, &paths);
        for (unsigned visit = 0; visit < VISIT_COUNT; visit++) {
            times_of_visit(&paths, (enum visit_kind)visit, c->body_bytes,
                           &c->times[i * SERIES_COUNT + series_of((enum visit_kind)visit, false)]);
        }
    }
    for (size_t row = 0; c->size_count == 0 && row < CDN_ARRAY_LEN(sweep_bytes); row++) {
        c->sizes[row].bytes = sweep_bytes[row];
    }
    c->size_count = c->size_count ? c->size_count : CDN_ARRAY_LEN(sweep_bytes);
    for (size_t row = 0; row < c->size_count; row++) {
        model_sweep(c, row, values);
    }
    model_enough(c);
    return CDN_OK;
}

/* ---- measured ---- */

void comparison_add(struct comparison *c, size_t city, unsigned series, const struct sample *sample)
{
    struct samples *samples = comparison_samples(c, city, series);
    samples->at = cdn_realloc(samples->at, samples->n + 1, sizeof(*samples->at));
    samples->at[samples->n++] = *sample;
}

void comparison_free(struct comparison *c)
{
    for (size_t i = 0; c->samples && i < c->world.n * SERIES_COUNT; i++) {
        free(c->samples[i].at);
    }
    for (size_t i = 0; i < c->size_count; i++) {
        free(c->sizes[i].path);
        for (unsigned visit = 0; visit < SWEEP_VISIT_COUNT; visit++) {
            free(c->sizes[i].measured[visit]);
        }
    }
    for (size_t i = 0; i < c->outage_count; i++) {
        free(c->outages[i].what);
        free(c->outages[i].samples.at);
    }
    free(c->outages);
    free(c->warmup.hit);
    free(c->warmup.total_ms);
    free(c->warmup.bytes);
    free(c->samples);
    free(c->times);
    free(c->profile);
    free(c->url);
    free(c->first_error);
    world_free(&c->world);
    *c = (struct comparison){0};
}

/* ---- figures ---- */

static struct summary modelled(const struct comparison *c, unsigned series, bool least)
{
    CDN_AUTOFREE struct summary_value *values = cdn_calloc(c->world.n, sizeof(*values));
    for (size_t i = 0; i < c->world.n; i++) {
        const struct times *t = comparison_times(c, i, series);
        values[i] = (struct summary_value){comparison_ms(least ? t->least_total_ns : t->total_ns),
                                           c->world.cities[i].weight};
    }
    return summary_of_weighted(values, c->world.n);
}

struct summary comparison_modelled(const struct comparison *c, unsigned series)
{
    return modelled(c, series, false);
}

struct summary comparison_modelled_least(const struct comparison *c, unsigned series)
{
    return modelled(c, series, true);
}

/* The samples of cities from `first` to `last`, for one series. */
static struct summary samples_of(const struct comparison *c, size_t first, size_t last, unsigned series,
                                 bool processors)
{
    double *values = NULL;
    size_t n = 0;
    for (size_t i = first; i < last && c->samples; i++) {
        const struct samples *s = comparison_samples(c, i, series);
        double path_ms = comparison_ms(comparison_times(c, i, series)->first_byte_ns);
        values = cdn_realloc(values, n + s->n + 1, sizeof(*values));
        for (size_t k = 0; k < s->n; k++) {
            values[n++] = processors ? s->at[k].first_byte_ms - path_ms : s->at[k].total_ms;
        }
    }
    struct summary summary = summary_of(values, n);
    free(values);
    return summary;
}

struct summary comparison_measured(const struct comparison *c, unsigned series)
{
    return samples_of(c, 0, c->world.n, series, false);
}

struct summary comparison_processors(const struct comparison *c, unsigned series)
{
    return samples_of(c, 0, c->world.n, series, true);
}

struct summary comparison_measured_in(const struct comparison *c, size_t city, unsigned series)
{
    return samples_of(c, city, city + 1, series, false);
}

double comparison_typical_ms(const struct comparison *c, size_t city, unsigned series)
{
    if (c->sent) {
        return comparison_measured_in(c, city, series).at[SUMMARY_p50];
    }
    return comparison_ms(comparison_times(c, city, series)->total_ns);
}

enum comparison_worth comparison_worth(const struct comparison *c, size_t city, unsigned series)
{
    const unsigned base = series_of(VISIT_DIRECT, series_kept(series));
    double direct = comparison_ms(comparison_times(c, city, base)->total_ns);
    double with = comparison_ms(comparison_times(c, city, series)->total_ns), off = with - direct;
    if (fabs(off) <= fmax(WORTH_MS, WORTH_SHARE * direct)) {
        return COMPARISON_SAME;
    }
    return off < 0 ? COMPARISON_HELPS : COMPARISON_HURTS;
}

const char *comparison_worth_word(enum comparison_worth worth)
{
    static const char *const words[] = {
#define X(name, word, text) word,
        COMPARISON_WORTH_TABLE(X)
#undef X
    };
    return words[worth];
}

struct comparison_case_row comparison_case(const struct comparison *c, enum comparison_case which)
{
    static const struct {
        const char *text;
        enum visit_kind visit;
    } cases[] = {
#define X(name, visit, text) {text, VISIT_##visit},
        COMPARISON_CASE_TABLE(X)
#undef X
    };
    const unsigned base = series_of(VISIT_DIRECT, false);
    struct comparison_case_row row = {.text = cases[which].text,
                                      .series = series_of(cases[which].visit, false)};
    double worst = -INFINITY;
    for (size_t i = 0; i < c->world.n; i++) {
        enum comparison_worth worth = comparison_worth(c, i, row.series);
        double ratio = which == COMPARISON_CASE_BESIDE
                           ? -(double)c->world.cities[i].origin_ms
                           : (double)comparison_times(c, i, row.series)->total_ns /
                                 fmax((double)comparison_times(c, i, base)->total_ns, 1);
        row.no_help += worth != COMPARISON_HELPS;
        row.hurts += worth == COMPARISON_HURTS;
        if (ratio > worst) {
            worst = ratio;
            row.worst = i;
        }
    }
    return row;
}
