/* text: tables for a terminal. A city has a row, a series has a row; sums over cities stand below their
 * rows, never in place of them. Columns that can be done without give way on a narrow terminal. */
#include "cli/base/table.h"
#include "cli/base/terminal.h"
#include "cli/compare/model/comparison.h"
#include "cli/compare/model/enough.h"
#include "cli/compare/model/series.h"
#include "cli/compare/model/times.h"
#include "cli/compare/model/world.h"
#include "cli/compare/output/output.h"
#include "cli/compare/stats/ranks.h"
#include "cli/compare/stats/summary.h"
#include "common/mem.h"
#include "common/str.h"
#include "common/visible.h"
#include "geo-data/places.h"
#include "router/base/edges.h"
#include "router/table/table.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

static const size_t steps_shown[] = {1, 2, 3, 5, 10, 20};

void output_bytes(uint64_t bytes, char out[static 24])
{
    if (bytes >= 1000000 && bytes % 100000 == 0) {
        (void)snprintf(out, 24, "%.4g MB", (double)bytes / 1e6);
    } else if (bytes >= 1000 && bytes % 100 == 0) {
        (void)snprintf(out, 24, "%.4g kB", (double)bytes / 1e3);
    } else {
        (void)snprintf(out, 24, "%llu bytes", (unsigned long long)bytes);
    }
}

void output_setting(const struct comparison *c, struct cdn_buf *out)
{
    char size[24];
    output_bytes(c->body_bytes, size);
    cdn_buf_printf(out, "%zu %s, %s, %s, %zu %s, origin in %s, router in %s", c->world.n,
                   c->world.n == 1 ? "place" : "places", size, c->profile, c->world.table->edges->count,
                   c->world.table->edges->count == 1 ? "edge" : "edges", c->world.origin.name,
                   c->world.router.name);
}

static void add_ms(struct table *table, double ms)
{
    if (isnan(ms)) {
        table_add(table, "-");
    } else {
        table_add(table, ms < 9.95 ? "%.1f" : "%.0f", ms);
    }
}

static void print(struct table *table, struct terminal terminal, struct cdn_buf *out)
{
    table_print_to(table, terminal, out);
    table_fini(table);
    cdn_buf_add_char(out, '\n');
}

/* ---- cities ---- */

static const enum visit_kind city_columns[] = {VISIT_DIRECT,          VISIT_DNS_COLD,
                                               VISIT_DNS_WARM,        VISIT_DNS_REVALIDATED,
                                               VISIT_DNS_UNCACHEABLE, VISIT_REDIRECT_WARM};

static void add_worth(struct table *table, const struct comparison *c, size_t city)
{
    static const enum terminal_style styles[] = {[COMPARISON_HELPS] = TERMINAL_GOOD,
                                                 [COMPARISON_SAME] = TERMINAL_PLAIN,
                                                 [COMPARISON_HURTS] = TERMINAL_BAD};
    const unsigned warm = series_of(VISIT_DNS_WARM, false), direct = series_of(VISIT_DIRECT, false);
    enum comparison_worth worth = comparison_worth(c, city, warm);
    double ratio = (double)comparison_times(c, city, warm)->total_ns /
                   fmax((double)comparison_times(c, city, direct)->total_ns, 1);
    table_add(table, worth == COMPARISON_SAME ? "%s" : "%s, %.0f %%", comparison_worth_word(worth),
              100 * ratio);
    table_style(table, styles[worth]);
}

static void cities(const struct comparison *c, struct terminal terminal, struct cdn_buf *out)
{
    struct table table;
    table_init(
        &table,
        c->world.lines
            ? "CLIENT IN|>REQUESTS|EDGE|4>KM|1>RTT EDGE|2>RTT ORIGIN|CDN, WARM|>DIRECT|>COLD|>WARM|"
              "5>REVALIDATED|3>UNCACHEABLE|>REDIRECT|6>WARM KEPT"
            : "CLIENT IN|EDGE|4>KM|1>RTT EDGE|2>RTT ORIGIN|CDN, WARM|>DIRECT|>COLD|>WARM|5>REVALIDATED|"
              "3>UNCACHEABLE|>REDIRECT|6>WARM KEPT");
    for (size_t i = 0; i < c->world.n; i++) {
        const struct world_city *city = &c->world.cities[i];
        table_add(&table, "%s", city->at.name);
        if (c->world.lines) {
            table_add(&table, "%.0f", city->weight);
        }
        table_add(&table, "%s", world_edge_name(&c->world, city->edge));
        table_add(&table, "%.0f", city->km);
        add_ms(&table, (double)city->edge_ms);
        add_ms(&table, (double)city->origin_ms);
        add_worth(&table, c, i);
        for (size_t k = 0; k < CDN_ARRAY_LEN(city_columns); k++) {
            add_ms(&table, comparison_typical_ms(c, i, series_of(city_columns[k], false)));
        }
        add_ms(&table, comparison_typical_ms(c, i, series_of(VISIT_DNS_WARM, true)));
    }
    print(&table, terminal, out);
}

/* ---- series ---- */

static void add_summary(struct table *table, const struct summary *s)
{
    table_add(table, "%zu", s->n);
    for (unsigned i = 0; i < SUMMARY_FIGURE_COUNT; i++) {
        add_ms(table, s->at[i]);
    }
}

/* "331 to 537" where the origin's answer may find a window that is open, or one that has closed. */
static void add_path(struct table *table, const struct comparison *c, unsigned series)
{
    double most = comparison_modelled(c, series).at[SUMMARY_p50];
    double least = comparison_modelled_least(c, series).at[SUMMARY_p50];
    if (most - least > 0.5) {
        table_add(table, "%.0f to %.0f", least, most);
    } else {
        add_ms(table, most);
    }
}

static void series(const struct comparison *c, struct terminal terminal, struct cdn_buf *out)
{
    struct table table;
    table_init(&table, c->sent ? "SERIES|>N|2>MIN|>P50|>P95|3>P99|>MAX|>PATH P50|1>PROCESSORS P50"
                               : "SERIES|>N|>MIN|>P50|>P95|>P99|>MAX");
    for (unsigned i = 0; i < SERIES_COUNT; i++) {
        struct summary modelled = comparison_modelled(c, i);
        struct summary shown = c->sent ? comparison_measured(c, i) : modelled;
        table_add(&table, "%s", series_word(i));
        add_summary(&table, &shown);
        if (c->sent) {
            add_path(&table, c, i);
            add_ms(&table, comparison_processors(c, i).at[SUMMARY_p50]);
        }
    }
    print(&table, terminal, out);
}

static void sizes(const struct comparison *c, struct terminal terminal, struct cdn_buf *out)
{
    struct table table;
    table_init(&table, "FILE OF|>DIRECT P50|1>P95|>COLD P50|2>P95|>WARM P50|3>P95|>WARM TAKES");
    for (size_t i = 0; i < c->size_count; i++) {
        const struct sweep_row *row = &c->sizes[i];
        char size[24];
        output_bytes(row->bytes, size);
        table_add(&table, "%s%s%s", size, row->path ? ", " : "", row->path ? row->path : "");
        for (unsigned visit = 0; visit < SWEEP_VISIT_COUNT; visit++) {
            add_ms(&table, row->modelled[visit].at[SUMMARY_p50]);
            add_ms(&table, row->modelled[visit].at[SUMMARY_p95]);
        }
        table_add(&table, "%.0f %%",
                  100 * row->modelled[SWEEP_WARM].at[SUMMARY_p50] /
                      fmax(row->modelled[SWEEP_DIRECT].at[SUMMARY_p50], 1e-9));
    }
    print(&table, terminal, out);
}

/* ---- places ---- */

static void add_step(struct table *table, const struct enough_step *step)
{
    add_ms(table, step->mean_ms);
    add_ms(table, step->p50_ms);
    add_ms(table, step->p95_ms);
}

static void enough(const struct comparison *c, struct terminal terminal, struct cdn_buf *out)
{
    struct table table;
    table_init(&table, ">EDGES|>MEAN|>P50|>P95|WHERE");
    for (size_t k = 0; k < CDN_ARRAY_LEN(steps_shown) && steps_shown[k] <= c->step_count; k++) {
        CDN_AUTOBUF struct cdn_buf where = {0};
        for (size_t i = k ? steps_shown[k - 1] : 0; i < steps_shown[k]; i++) {
            const struct geo_place *place = geo_place_at(c->steps[i].candidate);
            cdn_buf_printf(&where, "%s" CDN_STR_FMT,
                           where.n ? ", "
                           : k     ? "and "
                                   : "",
                           CDN_STR_ARG(place->name));
        }
        table_add(&table, "%zu", steps_shown[k]);
        add_step(&table, &c->steps[steps_shown[k] - 1]);
        table_add(&table, "%s", where.p);
    }
    table_add(&table, "%zu", c->world.table->edges->count);
    add_step(&table, &c->now);
    table_add(&table, "as this CDN has them");
    if (c->has_one_more) {
        const struct geo_place *place = geo_place_at(c->one_more.candidate);
        table_add(&table, "%zu", c->world.table->edges->count + 1);
        add_step(&table, &c->one_more);
        table_add(&table, "the one more that helps most: " CDN_STR_FMT, CDN_STR_ARG(place->name));
    }
    print(&table, terminal, out);
}

static void no_help(const struct comparison *c, struct cdn_buf *out)
{
    cdn_buf_printf(out, "Where a CDN does not help (modelled, new connections, against direct-new):\n");
    for (unsigned i = 0; i < COMPARISON_CASE_COUNT; i++) {
        struct comparison_case_row row = comparison_case(c, (enum comparison_case)i);
        const double direct =
            comparison_ms(comparison_times(c, row.worst, series_of(VISIT_DIRECT, false))->total_ns);
        const double with = comparison_ms(comparison_times(c, row.worst, row.series)->total_ns);
        cdn_buf_printf(out, "  %s\n    no gain in %zu of %zu places, a loss in %zu; the case of ", row.text,
                       row.no_help, c->world.n, row.hurts);
        cdn_buf_add_visible(out, cdn_str(c->world.cities[row.worst].at.name));
        cdn_buf_printf(out, ": %.0f ms instead of %.0f\n", with, direct);
    }
}

/* ---- traffic ---- */

static double percent(uint64_t part, uint64_t all)
{
    return all ? 100 * (double)part / (double)all : NAN;
}

static void put_traffic(const char *what, const struct traffic *t, struct cdn_buf *out)
{
    if (t->hits + t->misses == 0) {
        return;
    }
    cdn_buf_printf(
        out, "%s: hit ratio %.1f %% of the requests, %.1f %% of the bytes (hits / (hits + misses))", what,
        percent(t->hits, t->hits + t->misses), percent(t->hit_bytes, t->hit_bytes + t->miss_bytes));
    if (t->origin_requests <= t->requests && t->requests) {
        cdn_buf_printf(out, "; offload %.1f %% of %llu requests, %.1f %% of the bytes",
                       100 - percent(t->origin_requests, t->requests), (unsigned long long)t->requests,
                       100 - percent(t->origin_bytes, t->bytes));
    }
    cdn_buf_add_char(out, '\n');
}

static void put_warmup(const struct comparison *c, struct cdn_buf *out)
{
    const struct warmup *w = &c->warmup;
    if (w->n == 0) {
        return;
    }
    cdn_buf_printf(out,
                   "\nWarm-up: %zu requests of a catalogue of %zu objects (Zipf, exponent %.2f), measured\n",
                   w->n, w->objects, w->exponent);
    for (size_t part = 0; part < 5; part++) {
        size_t first = w->n * part / 5, last = w->n * (part + 1) / 5, hits = 0;
        CDN_AUTOFREE double *ms = cdn_calloc(last - first + 1, sizeof(*ms));
        for (size_t i = first; i < last; i++) {
            hits += w->hit[i];
            ms[i - first] = w->total_ms[i];
        }
        struct summary s = summary_of(ms, last - first);
        cdn_buf_printf(out, "  request %5zu to %5zu: %5.1f %% hits, p50 %.0f ms, p95 %.0f ms (n %zu)\n",
                       first + 1, last, percent(hits, last - first), s.at[SUMMARY_p50], s.at[SUMMARY_p95],
                       s.n);
    }
    put_traffic("  all", &w->traffic, out);
}

static void put_outages(const struct comparison *c, struct cdn_buf *out)
{
    for (size_t i = 0; i < c->outage_count; i++) {
        const struct outage_row *row = &c->outages[i];
        cdn_buf_add_visible(out, cdn_str(row->what));
        cdn_buf_printf(out,
                       ": %llu requests, %llu failed, %llu stale, %llu wrong; the longest time without an "
                       "answer %.1f s, the slowest answer %.0f ms\n",
                       (unsigned long long)row->requests, (unsigned long long)row->failed,
                       (unsigned long long)row->stale, (unsigned long long)row->wrong, row->without_answer_s,
                       row->worst_ms);
    }
}

static void put_measured(const struct comparison *c, struct cdn_buf *out)
{
    put_traffic("Series", &c->traffic, out);
    put_warmup(c, out);
    if (c->outage_count) {
        cdn_buf_printf(out, "\nWhat users saw (measured):\n");
        put_outages(c, out);
    }
    if (c->url && strncmp(c->url, "https:", 6) == 0) {
        cdn_buf_printf(
            out, "The edges speak HTTPS: a new connection to them takes a handshake more, which neither "
                 "the model nor the plain origin has.\n");
    }
    if (c->errors || c->unexpected) {
        cdn_buf_printf(out, "%llu requests failed, %llu were answered otherwise than their series wants",
                       (unsigned long long)c->errors, (unsigned long long)c->unexpected);
        if (c->first_error) {
            cdn_buf_printf(out, "; the first: ");
            cdn_buf_add_visible(out, cdn_str(c->first_error));
        }
        cdn_buf_add_char(out, '\n');
    }
}

static void put_log(const struct comparison *c, struct cdn_buf *out)
{
    const unsigned long long lines = c->world.lines, skipped = c->world.skipped;
    if (lines) {
        cdn_buf_printf(out, "%llu lines of the log, %llu of them without a client that has a place\n\n",
                       lines, skipped);
    }
}

void output_text(const struct comparison *c, struct terminal terminal, struct cdn_buf *out)
{
    CDN_AUTOBUF struct cdn_buf setting = {0};
    output_setting(c, &setting);
    cdn_buf_add_visible(out, cdn_buf_str(&setting));
    cdn_buf_printf(out, c->sent ? "; %u runs, seed %llu, in %.1f s (measured)\n\n" : "; nothing was sent\n\n",
                   c->runs, (unsigned long long)c->seed, c->run_s);
    put_log(c, out);
    cdn_buf_printf(out, c->sent
                            ? "ms to the last byte, new connections, median of the runs: the paths' time is "
                              "taken by the model, the processors' is real\n"
                            : "ms to the last byte, new connections, modelled: the paths alone\n");
    cities(c, terminal, out);
    cdn_buf_printf(out, c->sent
                            ? "All samples of all places, measured; beside them what the model says of the "
                              "paths, and what is over that\n"
                            : "All places, modelled\n");
    series(c, terminal, out);
    cdn_buf_printf(out, "Files of other sizes, new connections, modelled\n");
    sizes(c, terminal, out);
    cdn_buf_printf(out, "How many edges are enough: modelled RTT to the nearest edge at the best places\n");
    enough(c, terminal, out);
    no_help(c, out);
    if (c->sent) {
        cdn_buf_add_char(out, '\n');
        put_measured(c, out);
    }
}

void output_changes_text(const struct output_changes *changes, struct terminal terminal, struct cdn_buf *out)
{
    struct table table;
    cdn_buf_printf(out, "\nAgainst ");
    cdn_buf_add_visible(out, cdn_str(changes->what));
    cdn_buf_printf(out, " (rank test within places; a difference is p < %g; shift with %.0f %% confidence)\n",
                   RANKS_ALPHA, 100 * RANKS_CONFIDENCE);
    table_init(&table, "SERIES|>N|>P50 BEFORE|>P50|>SHIFT|1FROM, TO|2>P|VERDICT");
    for (size_t i = 0; i < changes->n; i++) {
        const struct output_change *change = &changes->at[i];
        enum ranks_verdict verdict = ranks_verdict(&change->ranks);
        table_add(&table, "%s", series_word(change->series));
        table_add(&table, "%zu, %zu", change->before.n, change->after.n);
        add_ms(&table, change->before.at[SUMMARY_p50]);
        add_ms(&table, change->after.at[SUMMARY_p50]);
        table_add(&table, "%+.1f %%", 100 * change->ranks.ratio.at);
        table_add(&table, "%+.1f, %+.1f %%", 100 * change->ranks.ratio.low, 100 * change->ranks.ratio.high);
        table_add(&table, "%.2g", change->ranks.p);
        table_add(&table, "%s", ranks_verdict_word(verdict));
        table_style(&table, verdict == RANKS_MORE   ? TERMINAL_BAD
                            : verdict == RANKS_LESS ? TERMINAL_GOOD
                                                    : TERMINAL_PLAIN);
    }
    print(&table, terminal, out);
}
