/* report_charts: drawings as SVG. Each has its figures in a table or in titles too, so that nobody has to
 * see it; axes of time are logarithmic where near and far places stand side by side. */
#include "cli/compare/model/comparison.h"
#include "cli/compare/model/series.h"
#include "cli/compare/model/times.h"
#include "cli/compare/model/world.h"
#include "cli/compare/output/output.h"
#include "cli/compare/report/html.h"
#include "cli/compare/report/report_private.h"
#include "cli/compare/stats/summary.h"
#include "common/mem.h"
#include "common/str.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/banned.h"

#define WIDTH 960.0
#define LEFT 190.0
#define RIGHT 20.0
#define ROW 20.0
#define DOTS_MAX 400u /* of a series */

static const char *class_of(unsigned series)
{
    switch (series_visit_state(series_visit(series))) {
    case SERIES_ORIGIN:
        return "direct";
    case SERIES_COLD:
    case SERIES_UNCACHEABLE:
        return "cold";
    case SERIES_WARM:
        return "warm";
    case SERIES_REVALIDATED:
    case SERIES_STATE_COUNT:
        break;
    }
    return "other";
}

/* ---- an axis of ms from 1 to 10 s ---- */

static double log_x(double ms)
{
    double at = log10(fmin(fmax(ms, 1), 10000)) / 4;
    return LEFT + at * (WIDTH - LEFT - RIGHT);
}

static void log_axis(double height, struct cdn_buf *out)
{
    static const double marks[] = {1, 3, 10, 30, 100, 300, 1000, 3000, 10000};
    for (size_t i = 0; i < CDN_ARRAY_LEN(marks); i++) {
        double x = log_x(marks[i]);
        cdn_buf_printf(out,
                       "<path class=\"grid\" d=\"M%.1f 14V%.1f\"/><text class=\"soft\" x=\"%.1f\" y=\"10\" "
                       "text-anchor=\"%s\">%g</text>\n",
                       x, height, x, i + 1 == CDN_ARRAY_LEN(marks) ? "end" : "middle", marks[i]);
    }
}

/* ---- every run ---- */

static size_t put_dots(const struct comparison *c, unsigned series, double y, struct cdn_buf *out)
{
    size_t n = 0, put = 0;
    for (size_t i = 0; i < c->world.n; i++) {
        n += c->sent ? comparison_samples(c, i, series)->n : 1;
    }
    const size_t step = n / DOTS_MAX + 1;
    n = 0;
    for (size_t i = 0; i < c->world.n; i++) {
        const size_t all = c->sent ? comparison_samples(c, i, series)->n : 1;
        for (size_t k = 0; k < all; k++, n++) {
            double ms = c->sent ? comparison_samples(c, i, series)->at[k].total_ms
                                : comparison_ms(comparison_times(c, i, series)->total_ns);
            if (n % step == 0) {
                cdn_buf_printf(out, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>",
                               class_of(series), log_x(ms), y);
                put++;
            }
        }
    }
    return put;
}

void report_percentiles(const struct comparison *c, struct cdn_buf *out)
{
    const double height = 24 + ROW * SERIES_COUNT;
    html_section(
        out, "plot", "Every run",
        c->sent
            ? "Each dot is a request: ms to its last byte, on a logarithmic axis; the long mark is the "
              "median, the short one p95. The figures are in the table above."
            : "Each dot is a place: modelled ms to the last byte, on a logarithmic axis; the long mark is "
              "the median, the short one p95. The figures are in the table above.");
    cdn_buf_printf(
        out, "<figure><svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"Times of all series\">\n",
        WIDTH, height);
    log_axis(height, out);
    for (unsigned i = 0; i < SERIES_COUNT; i++) {
        struct summary s = c->sent ? comparison_measured(c, i) : comparison_modelled(c, i);
        double y = 24 + ROW * (i + 0.5);
        cdn_buf_printf(out, "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%s</text>", LEFT - 12, y + 4,
                       series_word(i));
        put_dots(c, i, y, out);
        if (s.n) {
            double p50 = log_x(s.at[SUMMARY_p50]), p95 = log_x(s.at[SUMMARY_p95]);
            cdn_buf_printf(out, "<path class=\"tick\" d=\"M%.1f %.1fv16M%.1f %.1fv8\"/>\n", p50, y - 8, p95,
                           y - 4);
        }
    }
    cdn_buf_add_str(out, CDN_STR("</svg></figure>\n</section>\n"));
}

/* ---- waterfalls ---- */

static double all_of(const struct report_phases *p)
{
    return p->router + p->connect + p->wait + p->body;
}

static void put_bar(const struct report_phases *p, const char *name, double scale, double y,
                    struct cdn_buf *out)
{
    const struct {
        const char *class;
        double ms;
    } parts[] = {{"router", p->router}, {"connect", p->connect}, {"wait", p->wait}, {"body", p->body}};
    double x = LEFT;
    cdn_buf_printf(out,
                   "<g><title>%s: router %.1f, connect %.1f, wait %.1f, body %.1f ms</title><text x=\"%.0f\" "
                   "y=\"%.1f\" text-anchor=\"end\">%s</text>",
                   name, p->router, p->connect, p->wait, p->body, LEFT - 12, y + 13, name);
    for (size_t i = 0; i < CDN_ARRAY_LEN(parts); i++) {
        double width = parts[i].ms * scale;
        if (width > 0) {
            cdn_buf_printf(out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"14\"/>",
                           parts[i].class, x, y + 2, width);
        }
        x += width;
    }
    cdn_buf_printf(out, "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\">%.0f</text></g>\n", x + 5, y + 13,
                   all_of(p));
}

static void put_waterfall(const struct comparison *c, size_t city, bool open, struct cdn_buf *out)
{
    struct report_phases phases[SERIES_COUNT];
    double most = 1;
    for (unsigned i = 0; i < SERIES_COUNT; i++) {
        phases[i] = report_phases_of(c, city, i);
        most = fmax(most, all_of(&phases[i]));
    }
    cdn_buf_printf(out, "<details%s><summary>", open ? " open" : "");
    html_text(out, c->world.cities[city].at.name);
    cdn_buf_printf(
        out, "</summary><figure><svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"Phases in ms\">\n",
        WIDTH, ROW * SERIES_COUNT);
    for (unsigned i = 0; i < SERIES_COUNT; i++) {
        put_bar(&phases[i], series_word(i), (WIDTH - LEFT - RIGHT - 50) / most, ROW * i, out);
    }
    cdn_buf_add_str(out, CDN_STR("</svg></figure></details>\n"));
}

void report_waterfalls(const struct comparison *c, struct cdn_buf *out)
{
    html_section(
        out, "falls", "Waterfalls",
        c->sent ? "Where the time goes, place by place: medians of the runs; connecting is the model's round "
                  "trip."
                : "Where the time goes, place by place; modelled.");
    cdn_buf_add_str(
        out,
        CDN_STR("<ul class=\"legend\"><li><span class=\"bg-router\"></span>router, until its redirect is "
                "here</li><li><span class=\"bg-connect\"></span>connect</li><li><span class=\"bg-wait\">"
                "</span>wait for the first byte</li><li><span class=\"bg-body\"></span>body</li></ul>\n"));
    for (size_t i = 0; i < c->world.n && i < 100; i++) {
        put_waterfall(c, i, i == 0, out);
    }
    cdn_buf_add_str(out, CDN_STR("</section>\n"));
}

/* ---- sizes ---- */

/* From the smallest of the sizes to the largest, logarithmic. */
static double size_x(const struct comparison *c, uint64_t bytes)
{
    double least = INFINITY, most = 0;
    for (size_t i = 0; i < c->size_count; i++) {
        least = fmin(least, log10(fmax((double)c->sizes[i].bytes, 1)));
        most = fmax(most, log10(fmax((double)c->sizes[i].bytes, 1)));
    }
    double at = most > least ? (log10(fmax((double)bytes, 1)) - least) / (most - least) : 0.5;
    return LEFT / 2 + 20 + at * (WIDTH - LEFT - 40);
}

static double size_y(double ms)
{
    return 300 - log10(fmin(fmax(ms, 1), 10000)) / 4 * 280;
}

static void size_grid(struct cdn_buf *out)
{
    for (double ms = 1; ms <= 10000; ms *= 10) {
        cdn_buf_printf(
            out,
            "<path class=\"grid\" d=\"M%.0f %.1fH%.0f\"/><text class=\"soft\" x=\"%.0f\" y=\"%.1f\" "
            "text-anchor=\"end\">%g ms</text>\n",
            LEFT / 2, size_y(ms), WIDTH - LEFT / 2, LEFT / 2 - 8, size_y(ms) + 4, ms);
    }
}

void report_sizes(const struct comparison *c, struct cdn_buf *out)
{
    static const char *const classes[] = {
        [SWEEP_DIRECT] = "direct", [SWEEP_COLD] = "cold", [SWEEP_WARM] = "warm"};
    html_section(
        out, "sizes", "Files of other sizes",
        "Median over the places, new connections: lines are modelled, circles measured (median of all "
        "places, where such files were sent). Larger files need more rounds, each of which is a round trip.");
    cdn_buf_add_str(
        out, CDN_STR("<ul class=\"legend\"><li><span class=\"bg-direct\"></span>straight to the origin</li>"
                     "<li><span class=\"bg-cold\"></span>CDN, cold</li><li><span class=\"bg-warm\"></span>"
                     "CDN, warm</li></ul>\n"));
    cdn_buf_printf(out, "<figure><svg viewBox=\"0 0 %.0f 330\" role=\"img\" aria-label=\"Time by size\">\n",
                   WIDTH);
    size_grid(out);
    for (unsigned visit = 0; visit < SWEEP_VISIT_COUNT; visit++) {
        cdn_buf_printf(out, "<path class=\"line %s\" d=\"", classes[visit]);
        for (size_t i = 0; i < c->size_count; i++) {
            cdn_buf_printf(out, "%c%.1f %.1f", i ? 'L' : 'M', size_x(c, c->sizes[i].bytes),
                           size_y(c->sizes[i].modelled[visit].at[SUMMARY_p50]));
        }
        cdn_buf_add_str(out, CDN_STR("\"/>\n"));
    }
    for (size_t i = 0; i < c->size_count; i++) {
        const struct sweep_row *row = &c->sizes[i];
        char size[24];
        output_bytes(row->bytes, size);
        cdn_buf_printf(out, "<text class=\"soft\" x=\"%.1f\" y=\"322\" text-anchor=\"middle\">%s</text>\n",
                       size_x(c, row->bytes), size);
        for (unsigned visit = 0; visit < SWEEP_VISIT_COUNT; visit++) {
            if (row->measured_n[visit]) {
                struct summary s = summary_of(row->measured[visit], row->measured_n[visit]);
                cdn_buf_printf(
                    out,
                    "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"><title>%s: %.0f ms measured, %.0f "
                    "modelled, n %zu</title></circle>\n",
                    classes[visit], size_x(c, row->bytes), size_y(s.at[SUMMARY_p50]), size, s.at[SUMMARY_p50],
                    row->modelled[visit].at[SUMMARY_p50], s.n);
            }
        }
    }
    cdn_buf_add_str(out, CDN_STR("</svg></figure>\n</section>\n"));
}

/* ---- warm-up ---- */

#define PARTS 20u

void report_warmup(const struct comparison *c, struct cdn_buf *out)
{
    const struct warmup *w = &c->warmup;
    char lead[256];
    if (w->n < PARTS) {
        return;
    }
    (void)snprintf(
        lead, sizeof(lead),
        "%zu requests of a catalogue of %zu objects, popular as Zipf's law says (exponent %.1f), while the "
        "edges are cold. Bars: hits among each twentieth of the requests; measured.",
        w->n, w->objects, w->exponent);
    html_section(out, "warmup", "Warming up", lead);
    cdn_buf_printf(
        out, "<figure><svg viewBox=\"0 0 %.0f 240\" role=\"img\" aria-label=\"Hit ratio by request\">\n",
        WIDTH);
    for (unsigned percent = 0; percent <= 100; percent += 25) {
        double y = 210 - 2.0 * percent;
        cdn_buf_printf(out,
                       "<path class=\"grid\" d=\"M60 %.0fH%.0f\"/><text class=\"soft\" x=\"52\" y=\"%.0f\" "
                       "text-anchor=\"end\">%u %%</text>\n",
                       y, WIDTH - RIGHT, y + 4, percent);
    }
    for (unsigned part = 0; part < PARTS; part++) {
        size_t first = w->n * part / PARTS, last = w->n * (part + 1) / PARTS, hits = 0;
        CDN_AUTOFREE double *ms = cdn_calloc(last - first + 1, sizeof(*ms));
        for (size_t i = first; i < last; i++) {
            hits += w->hit[i];
            ms[i - first] = w->total_ms[i];
        }
        struct summary s = summary_of(ms, last - first);
        double share = (double)hits / (double)(last - first), width = (WIDTH - 60 - RIGHT) / PARTS;
        cdn_buf_printf(out,
                       "<rect class=\"warm\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                       "height=\"%.1f\"><title>requests %zu to "
                       "%zu: %.0f %% hits, p50 %.0f ms, p95 %.0f ms</title></rect>\n",
                       62 + width * part, 210 - 200 * share, width - 4, 200 * share, first + 1, last,
                       100 * share, s.at[SUMMARY_p50], s.at[SUMMARY_p95]);
    }
    cdn_buf_add_str(out, CDN_STR("</svg></figure>\n</section>\n"));
}
