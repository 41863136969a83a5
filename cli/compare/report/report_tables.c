/* report_tables: what is best read as rows: places, round trips to all edges, series, places for edges, what
 * does not help, outages, changes. */
#include "cli/compare/model/comparison.h"
#include "cli/compare/model/enough.h"
#include "cli/compare/model/series.h"
#include "cli/compare/model/times.h"
#include "cli/compare/model/world.h"
#include "cli/compare/output/output.h"
#include "cli/compare/report/html.h"
#include "cli/compare/report/report_private.h"
#include "cli/compare/stats/ranks.h"
#include "cli/compare/stats/summary.h"
#include "common/mem.h"
#include "common/str.h"
#include "geo-data/latency.h"
#include "geo-data/places.h"
#include "router/base/edges.h"
#include "router/table/table.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/banned.h"

#define MATRIX_EDGES_MAX 40u

static void cell_ms(double ms, struct cdn_buf *out)
{
    cdn_buf_add_str(out, CDN_STR("<td>"));
    report_ms(ms, out);
    cdn_buf_add_str(out, CDN_STR("</td>"));
}

static void row_head(const char *text, struct cdn_buf *out)
{
    cdn_buf_add_str(out, CDN_STR("<tr><th scope=\"row\">"));
    html_text(out, text);
    cdn_buf_add_str(out, CDN_STR("</th>"));
}

static void table_head(const char *const *heads, size_t n, struct cdn_buf *out)
{
    cdn_buf_add_str(
        out,
        CDN_STR(
            "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"table\"><table><thead><tr>"));
    for (size_t i = 0; i < n; i++) {
        cdn_buf_printf(out, "<th scope=\"col\">%s</th>", heads[i]);
    }
    cdn_buf_add_str(out, CDN_STR("</tr></thead><tbody>\n"));
}

static void table_end(struct cdn_buf *out)
{
    cdn_buf_add_str(out, CDN_STR("</tbody></table></div>\n"));
}

/* ---- places ---- */

static void put_place(const struct comparison *c, size_t i, struct cdn_buf *out)
{
    static const enum visit_kind columns[] = {VISIT_DIRECT,          VISIT_DNS_COLD,
                                              VISIT_DNS_WARM,        VISIT_DNS_REVALIDATED,
                                              VISIT_DNS_UNCACHEABLE, VISIT_REDIRECT_WARM};
    const struct world_city *city = &c->world.cities[i];
    const unsigned warm = series_of(VISIT_DNS_WARM, false);
    const char *worth = comparison_worth_word(comparison_worth(c, i, warm));
    row_head(city->at.name, out);
    cdn_buf_add_str(out, CDN_STR("<td class=\"left\">"));
    html_text(out, world_edge_name(&c->world, city->edge));
    cdn_buf_printf(out, "</td><td>%.0f</td>", city->km);
    cell_ms((double)city->edge_ms, out);
    cell_ms((double)city->origin_ms, out);
    for (size_t k = 0; k < CDN_ARRAY_LEN(columns); k++) {
        cell_ms(comparison_typical_ms(c, i, series_of(columns[k], false)), out);
    }
    cell_ms(comparison_ms(comparison_times(c, i, warm)->total_ns), out);
    cdn_buf_printf(out, "<td class=\"left %s\">%s</td></tr>\n", worth, worth);
}

void report_places(const struct comparison *c, struct cdn_buf *out)
{
    static const char *const heads[] = {
        "Client in", "Edge", "km",          "RTT edge",    "RTT origin",       "Direct",
        "Cold",      "Warm", "Revalidated", "Uncacheable", "Warm by redirect", "Warm, modelled path",
        "Warm, it"};
    html_section(
        out, "places", "Place by place",
        c->sent ? "ms to the last byte on new connections: medians of the runs. Round trips and the last "
                  "columns are modelled."
                : "ms to the last byte on new connections, modelled.");
    table_head(heads, CDN_ARRAY_LEN(heads), out);
    for (size_t i = 0; i < c->world.n; i++) {
        put_place(c, i, out);
    }
    table_end(out);
    cdn_buf_add_str(out, CDN_STR("</section>\n"));
}

void report_matrix(const struct comparison *c, struct cdn_buf *out)
{
    const struct router_edges *edges = c->world.table->edges;
    const size_t shown = edges->count < MATRIX_EDGES_MAX ? edges->count : MATRIX_EDGES_MAX;
    html_section(
        out, "matrix", "Every place and every edge",
        "Modelled round trips in ms, without the last mile; the edge that the router chooses is framed.");
    cdn_buf_add_str(
        out,
        CDN_STR("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"matrix\"><table><thead><tr>"
                "<th scope=\"col\">Client in</th>"));
    for (size_t e = 0; e < shown; e++) {
        cdn_buf_add_str(out, CDN_STR("<th scope=\"col\">"));
        html_text(out, edges->at[e].name);
        cdn_buf_add_str(out, CDN_STR("</th>"));
    }
    cdn_buf_add_str(out, CDN_STR("</tr></thead><tbody>\n"));
    for (size_t i = 0; i < c->world.n; i++) {
        row_head(c->world.cities[i].at.name, out);
        for (size_t e = 0; e < shown; e++) {
            float ms = geo_rtt_between(&c->world.cities[i].at.point, &c->world.edges[e]);
            float strength = fminf(40, 800 / fmaxf(ms, 1));
            cdn_buf_printf(
                out,
                "<td%s style=\"background:color-mix(in srgb, var(--warm) %.0f%%, transparent)\">%.0f</td>",
                c->world.cities[i].edge == e ? " class=\"chosen\"" : "", (double)strength, (double)ms);
        }
        cdn_buf_add_str(out, CDN_STR("</tr>\n"));
    }
    table_end(out);
    cdn_buf_add_str(out, CDN_STR("</section>\n"));
}

/* ---- series ---- */

static void cells_of(const struct summary *s, struct cdn_buf *out)
{
    cdn_buf_printf(out, "<td>%zu</td>", s->n);
    for (unsigned i = 0; i < SUMMARY_FIGURE_COUNT; i++) {
        cell_ms(s->at[i], out);
    }
}

static void put_names(struct cdn_buf *out)
{
    cdn_buf_add_str(out, CDN_STR("<details><summary>What the names mean</summary><ul>\n"));
    for (unsigned way = 0; way < SERIES_WAY_COUNT; way++) {
        cdn_buf_printf(out, "<li><b>%s</b>: %s</li>\n", series_way_word((enum series_way)way),
                       series_way_text((enum series_way)way));
    }
    for (unsigned state = SERIES_ORIGIN + 1; state < SERIES_STATE_COUNT; state++) {
        cdn_buf_printf(
            out, "<li><b>%s</b>: %s (X-Cache: %s)</li>\n", series_state_word((enum series_state)state),
            series_state_text((enum series_state)state), series_state_verdict((enum series_state)state));
    }
    cdn_buf_add_str(
        out, CDN_STR("<li><b>new</b>, <b>kept</b>: the request that opens a connection, and the one that "
                     "follows on it at once</li>\n</ul></details>\n"));
}

void report_series(const struct comparison *c, struct cdn_buf *out)
{
    static const char *const heads[] = {"Series",   "n",
                                        "min",      "p50",
                                        "p95",      "p99",
                                        "max",      "path p50, modelled",
                                        "at least", "processors p50, measured"};
    html_section(
        out, "series", "Series",
        c->sent ? "All samples of all places, measured; beside them what the model says of the paths (at "
                  "least: over a window that is open behind the edge), and what the first byte took over "
                  "that."
                : "All places, modelled.");
    put_names(out);
    table_head(heads, c->sent ? CDN_ARRAY_LEN(heads) : 7, out);
    for (unsigned i = 0; i < SERIES_COUNT; i++) {
        struct summary modelled = comparison_modelled(c, i);
        struct summary shown = c->sent ? comparison_measured(c, i) : modelled;
        row_head(series_word(i), out);
        cells_of(&shown, out);
        if (c->sent) {
            cell_ms(modelled.at[SUMMARY_p50], out);
            cell_ms(comparison_modelled_least(c, i).at[SUMMARY_p50], out);
            cell_ms(comparison_processors(c, i).at[SUMMARY_p50], out);
        }
        cdn_buf_add_str(out, CDN_STR("</tr>\n"));
    }
    table_end(out);
    cdn_buf_add_str(out, CDN_STR("</section>\n"));
}

/* ---- places for edges ---- */

static void put_step(size_t edges, const char *what, const struct enough_step *step, bool has_place,
                     struct cdn_buf *out)
{
    cdn_buf_printf(out, "<tr><th scope=\"row\">%zu</th><td class=\"left\">%s", edges, what);
    if (has_place) {
        const struct cdn_str name = geo_place_at(step->candidate)->name;
        CDN_AUTOFREE char *text = cdn_str_dup(name);
        html_text(out, text);
    }
    cdn_buf_add_str(out, CDN_STR("</td>"));
    cell_ms(step->mean_ms, out);
    cell_ms(step->p50_ms, out);
    cell_ms(step->p95_ms, out);
    cdn_buf_add_str(out, CDN_STR("</tr>\n"));
}

void report_enough(const struct comparison *c, struct cdn_buf *out)
{
    static const char *const heads[] = {"Edges", "The next best place", "mean", "p50", "p95"};
    const size_t edges = c->world.table->edges->count;
    html_section(
        out, "enough", "How many edges are enough",
        "Modelled round trip in ms from these clients to their nearest edge, if the edges stood at the best "
        "places: each row adds the place that helps most.");
    table_head(heads, CDN_ARRAY_LEN(heads), out);
    for (size_t i = 0; i < c->step_count; i++) {
        put_step(i + 1, "", &c->steps[i], true, out);
    }
    put_step(edges, "as this CDN has them", &c->now, false, out);
    if (c->has_one_more) {
        put_step(edges + 1, "and one more: ", &c->one_more, true, out);
    }
    table_end(out);
    cdn_buf_add_str(out, CDN_STR("</section>\n"));
}

void report_no_help(const struct comparison *c, struct cdn_buf *out)
{
    static const char *const heads[] = {"Case",        "Series", "No gain in", "A loss in",
                                        "For example", "ms",     "instead of"};
    html_section(out, "no-help", "Where a CDN does not help",
                 "Modelled, new connections, against straight to the origin.");
    table_head(heads, CDN_ARRAY_LEN(heads), out);
    for (unsigned i = 0; i < COMPARISON_CASE_COUNT; i++) {
        struct comparison_case_row row = comparison_case(c, (enum comparison_case)i);
        row_head(row.text, out);
        cdn_buf_printf(out, "<td class=\"left\">%s</td><td>%zu of %zu</td><td>%zu</td><td class=\"left\">",
                       series_word(row.series), row.no_help, c->world.n, row.hurts);
        html_text(out, c->world.cities[row.worst].at.name);
        cdn_buf_add_str(out, CDN_STR("</td>"));
        cell_ms(comparison_ms(comparison_times(c, row.worst, row.series)->total_ns), out);
        cell_ms(comparison_ms(comparison_times(c, row.worst, series_of(VISIT_DIRECT, false))->total_ns), out);
        cdn_buf_add_str(out, CDN_STR("</tr>\n"));
    }
    table_end(out);
    cdn_buf_add_str(out, CDN_STR("</section>\n"));
}

/* ---- outages and changes ---- */

void report_outages(const struct comparison *c, struct cdn_buf *out)
{
    static const char *const heads[] = {
        "What", "Requests", "Failed", "Stale", "Wrong", "Longest without an answer, s", "Slowest answer, ms"};
    if (c->outage_count == 0) {
        return;
    }
    html_section(out, "outages", "What users saw when something went down", "Measured, all places at once.");
    table_head(heads, CDN_ARRAY_LEN(heads), out);
    for (size_t i = 0; i < c->outage_count; i++) {
        const struct outage_row *row = &c->outages[i];
        row_head(row->what, out);
        cdn_buf_printf(out, "<td>%llu</td><td>%llu</td><td>%llu</td><td>%llu</td><td>%.1f</td>",
                       (unsigned long long)row->requests, (unsigned long long)row->failed,
                       (unsigned long long)row->stale, (unsigned long long)row->wrong, row->without_answer_s);
        cell_ms(row->worst_ms, out);
        cdn_buf_add_str(out, CDN_STR("</tr>\n"));
    }
    table_end(out);
    cdn_buf_add_str(out, CDN_STR("</section>\n"));
}

void report_changes(const struct output_changes *changes, struct cdn_buf *out)
{
    static const char *const heads[] = {"Series", "n",  "p50 before", "p50",    "Shift",
                                        "from",   "to", "p",          "Verdict"};
    if (!changes) {
        return;
    }
    html_section(
        out, "changes", "Compared with",
        "Rank test within places (Wilcoxon, Mann and Whitney); shift of Hodges and Lehmann with 99 % "
        "confidence; a difference is p &lt; 0.005.");
    cdn_buf_add_str(out, CDN_STR("<p>"));
    html_text(out, changes->what);
    cdn_buf_add_str(out, CDN_STR("</p>\n"));
    table_head(heads, CDN_ARRAY_LEN(heads), out);
    for (size_t i = 0; i < changes->n; i++) {
        const struct output_change *change = &changes->at[i];
        enum ranks_verdict verdict = ranks_verdict(&change->ranks);
        const struct ranks_estimate *ratio = &change->ranks.ratio;
        row_head(series_word(change->series), out);
        cdn_buf_printf(out, "<td>%zu, %zu</td>", change->before.n, change->after.n);
        cell_ms(change->before.at[SUMMARY_p50], out);
        cell_ms(change->after.at[SUMMARY_p50], out);
        cdn_buf_printf(out, "<td>%+.1f %%</td><td>%+.1f %%</td><td>%+.1f %%</td><td>%.2g</td>",
                       100 * ratio->at, 100 * ratio->low, 100 * ratio->high, change->ranks.p);
        cdn_buf_printf(out, "<td class=\"left %s\">%s</td></tr>\n",
                       verdict == RANKS_LESS   ? "helps"
                       : verdict == RANKS_MORE ? "hurts"
                                               : "",
                       ranks_verdict_word(verdict));
    }
    table_end(out);
    cdn_buf_add_str(out, CDN_STR("</section>\n"));
}
