/* csv: a line for each place and series (RFC 4180): what a spreadsheet or a data frame takes. Modelled
 * and measured columns carry it in their names. */
#include "cli/compare/model/comparison.h"
#include "cli/compare/model/series.h"
#include "cli/compare/model/times.h"
#include "cli/compare/model/world.h"
#include "cli/compare/output/output.h"
#include "cli/compare/stats/summary.h"
#include "common/str.h"

#include <math.h>
#include <string.h>

#include "common/banned.h"

/* Names come from elsewhere: quoted where needed, and never the beginning of a formula. */
static void put_text(struct cdn_buf *out, const char *text)
{
    cdn_buf_add_char(out, '"');
    if (text[0] && strchr("=+-@", text[0])) {
        cdn_buf_add_char(out, '\'');
    }
    for (; *text; text++) {
        if (*text == '"') {
            cdn_buf_add_char(out, '"');
        }
        cdn_buf_add_char(out, (unsigned char)*text < ' ' ? ' ' : *text);
    }
    cdn_buf_add_char(out, '"');
}

static void put_number(struct cdn_buf *out, double value)
{
    if (isfinite(value)) {
        cdn_buf_printf(out, ",%.3f", value);
    } else {
        cdn_buf_add_char(out, ',');
    }
}

static void put_line(const struct comparison *c, size_t i, unsigned series, struct cdn_buf *out)
{
    const struct world_city *city = &c->world.cities[i];
    const struct times *t = comparison_times(c, i, series);
    put_text(out, city->at.name);
    cdn_buf_printf(out, ",%s,%s,", city->at.country, city->at.continent);
    put_text(out, world_edge_name(&c->world, city->edge));
    cdn_buf_printf(out, ",%.0f,%.6g", city->km, city->weight);
    put_number(out, (double)city->edge_ms);
    put_number(out, (double)city->origin_ms);
    cdn_buf_printf(out, ",%s,%s", series_word(series), comparison_worth_word(comparison_worth(c, i, series)));
    put_number(out, comparison_ms(t->router_ns));
    put_number(out, comparison_ms(t->connect_ns));
    put_number(out, comparison_ms(t->first_byte_ns));
    put_number(out, comparison_ms(t->total_ns));
    if (c->sent) {
        struct summary s = comparison_measured_in(c, i, series);
        cdn_buf_printf(out, ",%zu", s.n);
        for (unsigned k = 0; k < SUMMARY_FIGURE_COUNT; k++) {
            put_number(out, s.at[k]);
        }
    }
    cdn_buf_add_str(out, CDN_STR("\r\n"));
}

void output_csv(const struct comparison *c, struct cdn_buf *out)
{
    cdn_buf_printf(out, "place,country,continent,edge,km,weight,edge_rtt_ms_modelled,origin_rtt_ms_modelled,"
                        "series,worth_modelled,router_ms_modelled,connect_ms_modelled,"
                        "first_byte_ms_modelled,total_ms_modelled");
    if (c->sent) {
        cdn_buf_printf(out, ",n");
        for (unsigned k = 0; k < SUMMARY_FIGURE_COUNT; k++) {
            cdn_buf_printf(out, ",total_ms_%s_measured", summary_words[k]);
        }
    }
    cdn_buf_add_str(out, CDN_STR("\r\n"));
    for (size_t i = 0; i < c->world.n; i++) {
        for (unsigned series = 0; series < SERIES_COUNT; series++) {
            put_line(c, i, series, out);
        }
    }
}
