/* json: the whole comparison as one object, samples included, so that a later run can be tested against
 * it (`--baseline`) and others can draw what we did not. */
#include "cli/compare/model/comparison.h"
#include "cli/compare/model/enough.h"
#include "cli/compare/model/series.h"
#include "cli/compare/model/times.h"
#include "cli/compare/model/world.h"
#include "cli/compare/output/output.h"
#include "cli/compare/stats/ranks.h"
#include "cli/compare/stats/summary.h"
#include "common/parse.h"
#include "common/str.h"
#include "geo-data/latency.h"
#include "geo-data/places.h"
#include "router/base/edges.h"
#include "router/table/table.h"
#include "wan/path/path.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/banned.h"

static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *integer(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *text_of(struct cdn_str s)
{
    json_t *text = json_stringn(s.p, s.n);
    return text ? text : json_string("?"); /* not UTF-8 */
}

json_t *output_summary_json(const struct summary *summary)
{
    json_t *object = json_pack("{s:o}", "n", integer(summary->n));
    for (unsigned i = 0; i < SUMMARY_FIGURE_COUNT; i++) {
        json_object_set_new(object, summary_words[i], real(summary->at[i]));
    }
    return object;
}

static json_t *place_json(const struct world_place *place)
{
    return json_pack("{s:o, s:s, s:s, s:f, s:f}", "name", text_of(cdn_str(place->name)), "country",
                     place->country, "continent", place->continent, "lat", place->point.lat, "lon",
                     place->point.lon);
}

static json_t *times_json(const struct times *t)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "router_ms", comparison_ms(t->router_ns), "connect_ms",
                     comparison_ms(t->connect_ns), "first_byte_ms", comparison_ms(t->first_byte_ns),
                     "total_ms", comparison_ms(t->total_ns), "least_total_ms",
                     comparison_ms(t->least_total_ns));
}

static json_t *samples_json(const struct comparison *c, size_t city, unsigned series)
{
    const struct samples *s = comparison_samples(c, city, series);
    struct summary summary = comparison_measured_in(c, city, series);
    json_t *object = output_summary_json(&summary), *all = json_array();
    for (size_t i = 0; i < s->n; i++) {
        const struct sample *at = &s->at[i];
        json_array_append_new(
            all,
            json_pack("{s:f, s:f, s:f, s:f, s:s}", "router_ms", at->router_ms, "connect_ms", at->connect_ms,
                      "first_byte_ms", at->first_byte_ms, "total_ms", at->total_ms, "edge",
                      at->edge == ROUTER_NO_EDGE ? "origin" : world_edge_name(&c->world, at->edge)));
    }
    json_object_set_new(object, "samples", all);
    return object;
}

static json_t *city_json(const struct comparison *c, size_t i)
{
    const struct world_city *city = &c->world.cities[i];
    json_t *object = place_json(&city->at), *all = json_object();
    char ip[CDN_ADDR_TEXT_SIZE] = "";
    if (city->address.sa.sa_family) {
        cdn_addr_format_ip(&city->address, ip);
    }
    json_object_update_new(
        object, json_pack("{s:s, s:f, s:s, s:f, s:f, s:f, s:f, s:f}", "ip", ip, "weight", city->weight,
                          "edge", world_edge_name(&c->world, city->edge), "km", city->km, "edge_rtt_ms",
                          (double)city->edge_ms, "origin_rtt_ms", (double)city->origin_ms, "router_rtt_ms",
                          (double)city->router_ms, "edge_origin_rtt_ms", (double)city->behind_ms));
    for (unsigned series = 0; series < SERIES_COUNT; series++) {
        json_t *one = json_pack("{s:o, s:s}", "modelled", times_json(comparison_times(c, i, series)), "worth",
                                comparison_worth_word(comparison_worth(c, i, series)));
        if (c->sent) {
            json_object_set_new(one, "measured", samples_json(c, i, series));
        }
        json_object_set_new(all, series_word(series), one);
    }
    json_object_set_new(object, "series", all);
    return object;
}

static json_t *cities_json(const struct comparison *c)
{
    json_t *all = json_array();
    for (size_t i = 0; i < c->world.n; i++) {
        json_array_append_new(all, city_json(c, i));
    }
    return all;
}

static json_t *edges_json(const struct comparison *c)
{
    const struct router_edges *edges = c->world.table->edges;
    json_t *all = json_array();
    for (size_t i = 0; i < edges->count; i++) {
        json_array_append_new(all, json_pack("{s:s, s:o, s:f, s:f}", "name", edges->at[i].name, "place",
                                             text_of(cdn_str(edges->at[i].place)), "lat", edges->at[i].lat,
                                             "lon", edges->at[i].lon));
    }
    return all;
}

static json_t *series_json(const struct comparison *c)
{
    json_t *all = json_object();
    for (unsigned series = 0; series < SERIES_COUNT; series++) {
        struct summary modelled = comparison_modelled(c, series);
        struct summary least = comparison_modelled_least(c, series);
        json_t *one = json_pack("{s:o, s:o}", "modelled", output_summary_json(&modelled), "modelled_least",
                                output_summary_json(&least));
        if (c->sent) {
            struct summary measured = comparison_measured(c, series);
            struct summary processors = comparison_processors(c, series);
            json_object_set_new(one, "measured", output_summary_json(&measured));
            json_object_set_new(one, "processors", output_summary_json(&processors));
        }
        json_object_set_new(all, series_word(series), one);
    }
    return all;
}

static json_t *sizes_json(const struct comparison *c)
{
    json_t *all = json_array();
    for (size_t i = 0; i < c->size_count; i++) {
        const struct sweep_row *row = &c->sizes[i];
        json_t *object = json_pack("{s:o}", "bytes", integer(row->bytes));
        if (row->path) {
            json_object_set_new(object, "path", text_of(cdn_str(row->path)));
        }
        for (unsigned visit = 0; visit < SWEEP_VISIT_COUNT; visit++) {
            json_t *one = json_pack("{s:o}", "modelled", output_summary_json(&row->modelled[visit]));
            if (row->measured_n[visit]) {
                struct summary measured = summary_of(row->measured[visit], row->measured_n[visit]);
                json_object_set_new(one, "measured", output_summary_json(&measured));
            }
            json_object_set_new(object, series_visit_word(sweep_visit_kind((enum sweep_visit)visit)), one);
        }
        json_array_append_new(all, object);
    }
    return all;
}

static json_t *step_json(const struct enough_step *step, size_t edges, bool has_place)
{
    json_t *object = json_pack("{s:o, s:f, s:f, s:f}", "edges", integer(edges), "mean_ms", step->mean_ms,
                               "p50_ms", step->p50_ms, "p95_ms", step->p95_ms);
    if (has_place) {
        json_object_set_new(object, "place", text_of(geo_place_at(step->candidate)->name));
    }
    return object;
}

static json_t *enough_json(const struct comparison *c)
{
    const size_t edges = c->world.table->edges->count;
    json_t *best = json_array();
    for (size_t i = 0; i < c->step_count; i++) {
        json_array_append_new(best, step_json(&c->steps[i], i + 1, true));
    }
    json_t *object = json_pack("{s:o, s:o}", "best", best, "now", step_json(&c->now, edges, false));
    if (c->has_one_more) {
        json_object_set_new(object, "one_more", step_json(&c->one_more, edges + 1, true));
    }
    return object;
}

static json_t *no_help_json(const struct comparison *c)
{
    json_t *all = json_array();
    for (unsigned i = 0; i < COMPARISON_CASE_COUNT; i++) {
        struct comparison_case_row row = comparison_case(c, (enum comparison_case)i);
        json_array_append_new(all, json_pack("{s:s, s:s, s:o, s:o, s:o}", "case", row.text, "series",
                                             series_word(row.series), "no_help", integer(row.no_help),
                                             "hurts", integer(row.hurts), "worst",
                                             text_of(cdn_str(c->world.cities[row.worst].at.name))));
    }
    return all;
}

static json_t *share(uint64_t part, uint64_t all)
{
    return all ? json_real((double)part / (double)all) : json_null();
}

static json_t *traffic_json(const struct traffic *t)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "hits", integer(t->hits), "misses",
        integer(t->misses), "others", integer(t->others), "requests", integer(t->requests), "bytes",
        integer(t->bytes), "origin_requests", integer(t->origin_requests), "origin_bytes",
        integer(t->origin_bytes), "hit_ratio", share(t->hits, t->hits + t->misses), "hit_ratio_bytes",
        share(t->hit_bytes, t->hit_bytes + t->miss_bytes), "offload",
        t->origin_requests <= t->requests ? share(t->requests - t->origin_requests, t->requests)
                                          : json_real(0),
        "offload_bytes",
        t->origin_bytes <= t->bytes ? share(t->bytes - t->origin_bytes, t->bytes) : json_real(0));
}

static json_t *warmup_json(const struct warmup *w)
{
    json_t *all = json_array();
    for (size_t i = 0; i < w->n; i++) {
        json_array_append_new(all, json_pack("{s:b, s:f, s:o}", "hit", (int)w->hit[i], "total_ms",
                                             w->total_ms[i], "bytes", integer(w->bytes[i])));
    }
    return json_pack("{s:o, s:f, s:o, s:o}", "objects", integer(w->objects), "exponent", w->exponent,
                     "traffic", traffic_json(&w->traffic), "requests", all);
}

static json_t *outages_json(const struct comparison *c)
{
    json_t *all = json_array();
    for (size_t i = 0; i < c->outage_count; i++) {
        const struct outage_row *row = &c->outages[i];
        json_array_append_new(all, json_pack("{s:o, s:o, s:o, s:o, s:o, s:f, s:f}", "what",
                                             text_of(cdn_str(row->what)), "requests", integer(row->requests),
                                             "failed", integer(row->failed), "stale", integer(row->stale),
                                             "wrong", integer(row->wrong), "worst_ms", row->worst_ms,
                                             "without_answer_s", row->without_answer_s));
    }
    return all;
}

static json_t *estimate_json(const struct ranks_estimate *e)
{
    return json_pack("{s:o, s:o, s:o}", "at", real(e->at), "low", real(e->low), "high", real(e->high));
}

static json_t *changes_json(const struct output_changes *changes)
{
    json_t *all = json_object();
    for (size_t i = 0; i < changes->n; i++) {
        const struct output_change *change = &changes->at[i];
        json_object_set_new(
            all, series_word(change->series),
            json_pack("{s:s, s:f, s:b, s:f, s:o, s:o, s:o, s:o}", "verdict",
                      ranks_verdict_word(ranks_verdict(&change->ranks)), "p", change->ranks.p, "exact",
                      (int)change->ranks.exact, "superiority", change->ranks.superiority, "shift_ms",
                      estimate_json(&change->ranks.shift), "ratio", estimate_json(&change->ranks.ratio),
                      "before", output_summary_json(&change->before), "after",
                      output_summary_json(&change->after)));
    }
    return json_pack("{s:o, s:o}", "what", text_of(cdn_str(changes->what)), "series", all);
}

json_t *output_json(const struct comparison *c, const char *command, const struct output_changes *changes)
{
    json_t *all =
        json_pack("{s:i, s:o, s:b, s:o, s:o, s:i, s:o}", "format", 1, "command", text_of(cdn_str(command)),
                  "sent", (int)c->sent, "seed", integer(c->seed), "profile", text_of(cdn_str(c->profile)),
                  "runs", (int)c->runs, "body_bytes", integer(c->body_bytes));
    json_object_set_new(all, "model",
                        json_pack("{s:s, s:s, s:i, s:i, s:i, s:i}", "rtt",
                                  "geo-data/latency, docs/latency.md", "path", "wan/path", "segment_bytes",
                                  WAN_MSS, "initial_window_bytes", WAN_INITIAL_WINDOW, "request_bytes",
                                  (int)TIMES_REQUEST_BYTES, "head_bytes", (int)TIMES_HEAD_BYTES));
    json_object_set_new(all, "origin", place_json(&c->world.origin));
    json_object_set_new(all, "router", place_json(&c->world.router));
    json_object_set_new(all, "edges", edges_json(c));
    json_object_set_new(all, "cities", cities_json(c));
    if (c->world.lines) {
        json_object_set_new(all, "log",
                            json_pack("{s:o, s:o}", "lines", integer(c->world.lines), "without_place",
                                      integer(c->world.skipped)));
    }
    json_object_set_new(all, "series", series_json(c));
    json_object_set_new(all, "sizes", sizes_json(c));
    json_object_set_new(all, "enough", enough_json(c));
    json_object_set_new(all, "no_help", no_help_json(c));
    if (c->sent) {
        json_object_set_new(all, "url", text_of(cdn_str(c->url)));
        json_object_set_new(all, "run_s", json_real(c->run_s));
        json_object_set_new(all, "traffic", traffic_json(&c->traffic));
        json_object_set_new(all, "errors", integer(c->errors));
        json_object_set_new(all, "unexpected", integer(c->unexpected));
        if (c->first_error) {
            json_object_set_new(all, "first_error", text_of(cdn_str(c->first_error)));
        }
        json_object_set_new(all, "warmup", warmup_json(&c->warmup));
        json_object_set_new(all, "outages", outages_json(c));
    }
    if (changes) {
        json_object_set_new(all, "changes", changes_json(changes));
    }
    return all;
}
