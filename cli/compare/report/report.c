/* report: the document: head, what comes out in a few figures, the sections in the order in which one asks;
 * see report.h. */
#include "cli/compare/report/report.h"

#include "cli/compare/model/series.h"
#include "cli/compare/model/times.h"
#include "cli/compare/model/world.h"
#include "cli/compare/report/html.h"
#include "cli/compare/report/report_private.h"
#include "cli/compare/stats/summary.h"
#include "common/mem.h"
#include "wan/path/path.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "common/banned.h"

void report_ms(double ms, struct cdn_buf *out)
{
    if (isnan(ms)) {
        cdn_buf_add_str(out, CDN_STR("-"));
    } else {
        cdn_buf_printf(out, ms < 9.95 ? "%.1f" : "%.0f", ms);
    }
}

static double median_of(double *values, size_t n)
{
    return summary_of(values, n).at[SUMMARY_p50];
}

struct report_phases report_phases_of(const struct comparison *c, size_t city, unsigned series)
{
    const struct times *t = comparison_times(c, city, series);
    const double router = comparison_ms(t->router_ns), connect = comparison_ms(t->connect_ns);
    const double first = comparison_ms(t->first_byte_ns), total = comparison_ms(t->total_ns);
    const struct samples *s = c->samples ? comparison_samples(c, city, series) : NULL;
    if (!s || s->n == 0) {
        return (struct report_phases){router, connect, first - router - connect, total - first};
    }
    double *values = cdn_calloc(s->n * 3, sizeof(*values));
    for (size_t i = 0; i < s->n; i++) {
        values[i] = s->at[i].router_ms;
        values[s->n + i] = s->at[i].first_byte_ms - s->at[i].router_ms;
        values[2 * s->n + i] = s->at[i].total_ms - s->at[i].first_byte_ms;
    }
    struct report_phases phases = {.router = median_of(values, s->n), .connect = connect};
    phases.wait = fmax(median_of(values + s->n, s->n) - connect, 0);
    phases.body = median_of(values + 2 * s->n, s->n);
    free(values);
    return phases;
}

static const struct {
    const char *id, *title;
} sections[] = {{"map", "Map"},
                {"page", "A page load"},
                {"places", "Places"},
                {"matrix", "Edges"},
                {"series", "Series"},
                {"plot", "Every run"},
                {"falls", "Waterfalls"},
                {"sizes", "Sizes"},
                {"enough", "How many edges"},
                {"no-help", "Where it does not help"},
                {"how", "How it was done"}};

static void add_head(const struct comparison *c, struct cdn_buf *out)
{
    CDN_AUTOBUF struct cdn_buf setting = {0};
    output_setting(c, &setting);
    cdn_buf_add_str(out, CDN_STR("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                                 "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                                 "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
                                 "<title>What a CDN changes: "));
    html_text(out, setting.p);
    cdn_buf_add_str(out, CDN_STR("</title>\n<style>\n"));
    cdn_buf_add_str(out, report_css());
    cdn_buf_add_str(out, CDN_STR("</style>\n</head>\n<body>\n<header>\n<h1>What a CDN changes</h1>\n<p>"));
    html_text(out, setting.p);
    if (c->sent) {
        cdn_buf_printf(
            out,
            ". Real requests to real processes, %u runs of each kind in each place, in %.1f s. The "
            "paths take the time that the model gives them; what the processors take is real.",
            c->runs, c->run_s);
    } else {
        cdn_buf_add_str(out, CDN_STR(". Everything here is modelled: nothing was sent."));
    }
    cdn_buf_add_str(out, CDN_STR("</p>\n</header>\n<nav aria-label=\"Sections\"><ul>\n"));
    for (size_t i = 0; i < CDN_ARRAY_LEN(sections); i++) {
        cdn_buf_printf(out, "<li><a href=\"#%s\">%s</a></li>\n", sections[i].id, sections[i].title);
    }
    cdn_buf_add_str(out, CDN_STR("</ul></nav>\n<main>\n"));
}

static void add_figure(struct cdn_buf *out, const char *what, double value, const char *unit,
                       const char *more)
{
    cdn_buf_printf(out, "<div><dt>%s</dt><dd>", what);
    report_ms(value, out);
    cdn_buf_printf(out, "%s <small>%s</small></dd></div>\n", unit, more);
}

/* A few figures, each with what it is of; no sum without its rows further down. */
static void add_key(const struct comparison *c, struct cdn_buf *out)
{
    const unsigned direct = series_of(VISIT_DIRECT, false), warm = series_of(VISIT_DNS_WARM, false);
    const unsigned cold = series_of(VISIT_DNS_COLD, false);
    const char *how = c->sent ? "median of all runs, measured" : "median of the places, modelled";
    size_t worth[COMPARISON_WORTH_COUNT] = {0};
    for (size_t i = 0; i < c->world.n; i++) {
        worth[comparison_worth(c, i, warm)]++;
    }
    cdn_buf_add_str(out, CDN_STR("<dl class=\"key\">\n"));
    const unsigned shown[] = {direct, cold, warm};
    const char *const names[] = {"Straight to the origin", "CDN, cold", "CDN, warm"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(shown); i++) {
        struct summary s = c->sent ? comparison_measured(c, shown[i]) : comparison_modelled(c, shown[i]);
        add_figure(out, names[i], s.at[SUMMARY_p50], " ms", how);
    }
    cdn_buf_printf(
        out,
        "<div><dt>Warm, it helps in</dt><dd>%zu of %zu <small>places; changes nothing in %zu, hurts in "
        "%zu (modelled)</small></dd></div>\n",
        worth[COMPARISON_HELPS], c->world.n, worth[COMPARISON_SAME], worth[COMPARISON_HURTS]);
    if (c->warmup.n) {
        const struct traffic *t = &c->warmup.traffic;
        add_figure(out, "Hit ratio while warming up",
                   100 * (double)t->hits / fmax((double)(t->hits + t->misses), 1), " %",
                   "of the catalogue's requests, measured");
    }
    cdn_buf_add_str(out, CDN_STR("</dl>\n"));
}

static void add_how(const struct comparison *c, const char *command, struct cdn_buf *out)
{
    html_section(out, "how", "How it was done",
                 "What is modelled, what is measured, and how to do it again.");
    cdn_buf_add_str(out, CDN_STR("<p>Again: <code>"));
    html_text(out, command);
    cdn_buf_printf(out, "</code>, seed %llu. Modelled figures are then the same to the bit.</p>\n<ul>\n",
                   (unsigned long long)c->seed);
    cdn_buf_printf(
        out, "<li>Round trips are modelled over a graph of cables (pocketcdn rtt), and the last mile of a "
             "client is that of the profile <b>");
    html_text(out, c->profile);
    cdn_buf_printf(
        out,
        "</b>.</li>\n<li>A path carries bytes as TCP does: segments of %d bytes, an initial window of %d "
        "bytes, slow start by rounds, a window kept over the connection's life and reset after idling. "
        "Loss and jitter of the profile count in what is measured, not in the closed prediction.</li>\n"
        "<li>Names are resolved without charge: a resolver next door with a warm cache.</li>\n"
        "<li>%s</li>\n"
        "<li>Percentiles are nearest ranks of all samples, never averages of percentiles. New and kept "
        "connections, cold and warm requests are series of their own.</li>\n</ul>\n</section>\n",
        WAN_MSS, WAN_INITIAL_WINDOW,
        c->sent ? "Requests are real, sent by one process over pocketcdn-wan to the CDN's own processes. "
                  "Before a visitor counts, it asks once, uncounted."
                : "Nothing was sent.");
}

void report_print(const struct comparison *c, const char *command, const struct output_changes *changes,
                  struct cdn_buf *out)
{
    add_head(c, out);
    add_key(c, out);
    report_map(c, out);
    report_page(c, out);
    report_places(c, out);
    report_matrix(c, out);
    report_series(c, out);
    report_percentiles(c, out);
    report_waterfalls(c, out);
    report_sizes(c, out);
    report_enough(c, out);
    report_no_help(c, out);
    report_warmup(c, out);
    report_outages(c, out);
    report_changes(changes, out);
    add_how(c, command, out);
    cdn_buf_add_str(
        out, CDN_STR("</main>\n<footer class=\"soft\"><p>Made by pocketcdn compare. Land: Natural Earth, "
                     "public domain. <a href=\"https://db-ip.com\">IP Geolocation by DB-IP</a>.</p>"
                     "</footer>\n<script>\n"));
    cdn_buf_add_str(out, report_js());
    cdn_buf_add_str(out, CDN_STR("</script>\n</body>\n</html>\n"));
}
