/* compare_change: from one comparison to another, series by series, within places (cli/compare/stats/ranks).
 * A place has a stratum of its own; places that only one side has say nothing and are left out. What was
 * only modelled has one value a place, which the same test takes like any other. */
#include "cli/compare/compare_private.h"
#include "cli/compare/model/comparison.h"
#include "cli/compare/model/series.h"
#include "cli/compare/model/times.h"
#include "cli/compare/model/world.h"
#include "cli/compare/output/output.h"
#include "cli/compare/stats/gate.h"
#include "cli/compare/stats/ranks.h"
#include "cli/compare/stats/summary.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/latency.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

struct side { /* the values of one series, place by place */
    double **values;
    size_t *n;
};

static struct side side_create(size_t places)
{
    return (struct side){cdn_calloc(places, sizeof(double *)), cdn_calloc(places, sizeof(size_t))};
}

static void side_free(struct side *side, size_t places)
{
    for (size_t i = 0; i < places; i++) {
        free(side->values[i]);
    }
    free(side->values);
    free(side->n);
}

static void side_add(struct side *side, size_t place, double value)
{
    side->values[place] = cdn_realloc(side->values[place], side->n[place] + 1, sizeof(double));
    side->values[place][side->n[place]++] = value;
}

static void take_comparison(struct side *side, const struct comparison *c, size_t place, size_t to,
                            unsigned series)
{
    if (!c->sent) {
        side_add(side, to, comparison_ms(comparison_times(c, place, series)->total_ns));
        return;
    }
    const struct samples *s = comparison_samples(c, place, series);
    for (size_t i = 0; i < s->n; i++) {
        side_add(side, to, s->at[i].total_ms);
    }
}

static struct summary side_summary(const struct side *side, size_t places)
{
    double *all = NULL;
    size_t n = 0;
    for (size_t i = 0; i < places; i++) {
        all = cdn_realloc(all, n + side->n[i] + 1, sizeof(*all));
        memcpy(all + n, side->values[i], side->n[i] * sizeof(*all));
        n += side->n[i];
    }
    struct summary summary = summary_of(all, n);
    free(all);
    return summary;
}

static void change_of(const struct side *before, const struct side *after, size_t places, unsigned series,
                      struct output_changes *ret)
{
    CDN_AUTOFREE struct ranks_stratum *strata = cdn_calloc(places, sizeof(*strata));
    struct output_change *change = &ret->at[ret->n];
    for (size_t i = 0; i < places; i++) {
        strata[i] = (struct ranks_stratum){before->values[i], after->values[i], before->n[i], after->n[i]};
    }
    *change = (struct output_change){.series = series};
    ranks_compare(strata, places, &change->ranks);
    change->before = side_summary(before, places);
    change->after = side_summary(after, places);
    ret->n += change->ranks.a_n > 0;
}

/* ---- a baseline ---- */

enum cdn_status compare_baseline_read(const char *path, json_t **ret, struct cdn_error *err)
{
    json_error_t why;
    json_t *read = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    if (!read) {
        return cdn_error_set(err, CDN_INVALID, "--baseline: %s, line %d: %s", path, why.line, why.text);
    }
    if (json_integer_value(json_object_get(read, "format")) != 1 ||
        !json_is_array(json_object_get(read, "cities"))) {
        json_decref(read);
        return cdn_error_set(err, CDN_INVALID, "--baseline: %s is not what `pocketcdn compare --json` writes",
                             path);
    }
    *ret = read;
    return CDN_OK;
}

static const json_t *baseline_city(const json_t *baseline, const struct world_place *place)
{
    size_t i;
    const json_t *city;
    json_array_foreach(json_object_get(baseline, "cities"), i, city)
    {
        double lat = json_number_value(json_object_get(city, "lat"));
        double lon = json_number_value(json_object_get(city, "lon"));
        if (fabs(lat - place->point.lat) < 0.01 && fabs(lon - place->point.lon) < 0.01) {
            return city;
        }
    }
    return NULL;
}

static void take_baseline(struct side *side, const json_t *city, size_t to, unsigned series, bool sent)
{
    const json_t *one = json_object_get(json_object_get(city, "series"), series_word(series)), *sample;
    size_t i;
    if (!sent) {
        const json_t *ms = json_object_get(json_object_get(one, "modelled"), "total_ms");
        if (json_is_number(ms)) {
            side_add(side, to, json_number_value(ms));
        }
        return;
    }
    json_array_foreach(json_object_get(json_object_get(one, "measured"), "samples"), i, sample)
    {
        const json_t *ms = json_object_get(sample, "total_ms");
        if (json_is_number(ms)) {
            side_add(side, to, json_number_value(ms));
        }
    }
}

enum cdn_status compare_with_baseline(const struct comparison *c, const json_t *baseline, const char *what,
                                      struct output_changes *ret, struct cdn_error *err)
{
    *ret = (struct output_changes){.what = what};
    bool was_sent = json_is_true(json_object_get(baseline, "sent"));
    if (was_sent != c->sent) {
        return cdn_error_set(err, CDN_INVALID,
                             "--baseline: %s was %s, this is %s: times of the two cannot be compared", what,
                             was_sent ? "measured" : "modelled", c->sent ? "measured" : "modelled");
    }
    for (unsigned series = 0; series < SERIES_COUNT; series++) {
        struct side before = side_create(c->world.n), after = side_create(c->world.n);
        for (size_t i = 0; i < c->world.n; i++) {
            const json_t *city = baseline_city(baseline, &c->world.cities[i].at);
            if (city) {
                take_baseline(&before, city, i, series, c->sent);
                take_comparison(&after, c, i, i, series);
            }
        }
        change_of(&before, &after, c->world.n, series, ret);
        side_free(&before, c->world.n);
        side_free(&after, c->world.n);
    }
    return ret->n ? CDN_OK : cdn_error_set(err, CDN_INVALID, "--baseline: %s has none of these places", what);
}

enum cdn_status compare_with(const struct comparison *a, const struct comparison *b, const char *what,
                             struct output_changes *ret, struct cdn_error *err)
{
    *ret = (struct output_changes){.what = what};
    for (unsigned series = 0; series < SERIES_COUNT; series++) {
        struct side before = side_create(a->world.n), after = side_create(a->world.n);
        for (size_t i = 0; i < a->world.n && i < b->world.n; i++) { /* both have the same places */
            take_comparison(&before, a, i, i, series);
            take_comparison(&after, b, i, i, series);
        }
        change_of(&before, &after, a->world.n, series, ret);
        side_free(&before, a->world.n);
        side_free(&after, a->world.n);
    }
    return ret->n ? CDN_OK : cdn_error_set(err, CDN_INVALID, "--against: nothing that both have");
}

/* ---- --fail-if ---- */

static double time_figure(const struct summary *s, enum gate_figure figure)
{
    for (unsigned i = 0; i < SUMMARY_FIGURE_COUNT; i++) {
        if (strcmp(gate_figure_word(figure), summary_words[i]) == 0) {
            return s->at[i];
        }
    }
    return figure == GATE_FIGURE_N ? (double)s->n : NAN;
}

static const struct output_change *change_for(const struct compare *compare, unsigned series)
{
    for (size_t i = 0; i < compare->changes.n; i++) {
        if (compare->changes.at[i].series == series) {
            return &compare->changes.at[i];
        }
    }
    return NULL;
}

static void judge_series(const struct compare *compare, const struct gate_condition *condition,
                         unsigned series, struct cdn_buf *met)
{
    const struct output_change *change = change_for(compare, series);
    if (condition->figure == GATE_FIGURE_VERDICT) {
        const char *word = change ? ranks_verdict_word(ranks_verdict(&change->ranks)) : NULL;
        if (word && strcmp(word, condition->word) == 0) {
            cdn_buf_printf(met, "%s: %s is %s (%+.1f %%, p %.2g)\n", condition->text, series_word(series),
                           word, 100 * change->ranks.ratio.at, change->ranks.p);
        }
        return;
    }
    struct summary now = change            ? change->after
                         : compare->a.sent ? comparison_measured(&compare->a, series)
                                           : comparison_modelled(&compare->a, series);
    double value = time_figure(&now, condition->figure);
    double before = change ? time_figure(&change->before, condition->figure) : NAN;
    if (gate_met(condition, value, before)) {
        cdn_buf_printf(met, "%s: %s has %.3f, the limit is %.3f\n", condition->text, series_word(series),
                       value, gate_limit(condition, before));
    }
}

static double share_of(uint64_t part, uint64_t all)
{
    return all ? (double)part / (double)all : NAN;
}

static double whole_figure(const struct comparison *c, enum gate_figure figure)
{
    const struct traffic *t = &c->traffic;
    if (figure == GATE_FIGURE_HIT_RATIO) {
        return share_of(t->hits, t->hits + t->misses);
    }
    if (figure == GATE_FIGURE_ERRORS) {
        return (double)(c->errors + c->unexpected);
    }
    return figure == GATE_FIGURE_OFFLOAD ? 1 - share_of(t->origin_requests, t->requests)
                                         : 1 - share_of(t->origin_bytes, t->bytes);
}

static double baseline_figure(const json_t *baseline, enum gate_figure figure)
{
    const json_t *at = figure == GATE_FIGURE_ERRORS
                           ? json_object_get(baseline, "errors")
                           : json_object_get(json_object_get(baseline, "traffic"), gate_figure_word(figure));
    return json_is_number(at) ? json_number_value(at) : NAN;
}

static void judge_whole(const struct compare *compare, const struct gate_condition *condition,
                        struct cdn_buf *met)
{
    double value = whole_figure(&compare->a, condition->figure);
    double before = compare->baseline ? baseline_figure(compare->baseline, condition->figure) : NAN;
    if (gate_met(condition, value, before)) {
        cdn_buf_printf(met, "%s: it is %.4g, the limit is %.4g\n", condition->text, value,
                       gate_limit(condition, before));
    }
}

void compare_judge(const struct compare *compare, struct cdn_buf *ret_met)
{
    for (size_t i = 0; i < compare->gate.n; i++) {
        const struct gate_condition *condition = &compare->gate.at[i];
        if (!gate_figure_of_series(condition->figure)) {
            judge_whole(compare, condition, ret_met);
            continue;
        }
        for (unsigned series = 0; series < SERIES_COUNT; series++) {
            if (!condition->series[0] || strcmp(condition->series, series_word(series)) == 0) {
                judge_series(compare, condition, series, ret_met);
            }
        }
    }
}
