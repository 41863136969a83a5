/* report_page: one page of twelve files over six connections, as browsers open them: each connection carries
 * a file on a new and one on a kept connection. Times are those of the series; the script only plays them. */
#include "cli/base/print.h"
#include "cli/compare/model/comparison.h"
#include "cli/compare/model/series.h"
#include "cli/compare/model/world.h"
#include "cli/compare/output/output.h"
#include "cli/compare/report/html.h"
#include "cli/compare/report/report_private.h"
#include "common/str.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/banned.h"

#define CONNECTIONS 6u
#define FILES 12u

struct ends {
    double from, to;
};

/* When file `i` begins and ends. */
static struct ends file_of(const struct comparison *c, size_t city, enum visit_kind visit, unsigned i)
{
    double first = comparison_typical_ms(c, city, series_of(visit, false));
    double second = comparison_typical_ms(c, city, series_of(visit, true));
    first = isnan(first) ? 0 : first;
    second = isnan(second) ? 0 : second;
    return i < CONNECTIONS ? (struct ends){0, first} : (struct ends){first, first + second};
}

static json_t *side_json(const struct comparison *c, size_t city, enum visit_kind visit)
{
    json_t *all = json_array();
    for (unsigned i = 0; i < FILES; i++) {
        struct ends ends = file_of(c, city, visit, i);
        json_array_append_new(all, json_pack("[f, f]", ends.from, ends.to));
    }
    return all;
}

/* JSON inside of a script element: no "<" may stand in it. */
static void put_data(const struct comparison *c, struct cdn_buf *out)
{
    json_t *all = json_array();
    CDN_AUTOBUF struct cdn_buf text = {0};
    for (size_t i = 0; i < c->world.n; i++) {
        json_t *city = json_pack("{s:o, s:o}", "direct", side_json(c, i, VISIT_DIRECT), "warm",
                                 side_json(c, i, VISIT_DNS_WARM));
        json_t *name = json_string(c->world.cities[i].at.name);
        json_object_set_new(city, "name", name ? name : json_string("?"));
        json_array_append_new(all, city);
    }
    cli_add_json(&text, all, JSON_COMPACT | JSON_REAL_PRECISION(6) | JSON_ENSURE_ASCII);
    json_decref(all);
    cdn_buf_add_str(out, CDN_STR("<script type=\"application/json\" id=\"race-data\">"));
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '<' || text.p[i] == '>' || text.p[i] == '&') {
            cdn_buf_printf(out, "\\u%04x", (unsigned)text.p[i]);
        } else {
            cdn_buf_add_char(out, text.p[i]);
        }
    }
    cdn_buf_add_str(out, CDN_STR("</script>\n"));
}

static size_t farthest(const struct comparison *c)
{
    size_t best = 0;
    for (size_t i = 1; i < c->world.n; i++) {
        best = c->world.cities[i].origin_ms > c->world.cities[best].origin_ms ? i : best;
    }
    return best;
}

static void put_side(const struct comparison *c, size_t city, const char *id, const char *title,
                     enum visit_kind visit, struct cdn_buf *out)
{
    cdn_buf_printf(out, "<section data-side=\"%s\"><h3>%s <output>%.0f ms</output></h3><div class=\"tiles\">",
                   id, title, file_of(c, city, visit, FILES - 1).to);
    for (unsigned i = 0; i < FILES; i++) {
        struct ends ends = file_of(c, city, visit, i);
        cdn_buf_printf(out, "<div class=\"tile\" title=\"file %u: %.0f to %.0f ms\"><i></i></div>", i + 1,
                       ends.from, ends.to);
    }
    cdn_buf_add_str(out, CDN_STR("</div></section>\n"));
}

void report_page(const struct comparison *c, struct cdn_buf *out)
{
    size_t city = farthest(c);
    char lead[240], size[24];
    output_bytes(c->body_bytes, size);
    (void)snprintf(
        lead, sizeof(lead),
        "A page of %u files of %s over %u connections, straight from the origin and by a warm CDN, in the "
        "time that it takes (%s).",
        FILES, size, CONNECTIONS, c->sent ? "medians of the runs" : "modelled");
    html_section(out, "page", "One page load, side by side", lead);
    cdn_buf_printf(
        out, "<div id=\"race\" data-first=\"%zu\"><p class=\"controls\"></p><noscript><p>Client in ", city);
    html_text(out, c->world.cities[city].at.name);
    cdn_buf_add_str(out, CDN_STR("</p></noscript><div class=\"race\">\n"));
    put_side(c, city, "direct", "Straight to the origin", VISIT_DIRECT, out);
    put_side(c, city, "warm", "CDN, warm", VISIT_DNS_WARM, out);
    cdn_buf_add_str(out, CDN_STR("</div>\n"));
    put_data(c, out);
    cdn_buf_add_str(out, CDN_STR("</div>\n</section>\n"));
}
