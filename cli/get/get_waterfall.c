/* get_waterfall: what happened when, one row a phase, on one scale over all hops. Letters and '=' alone:
 * a bar has to be right in a log file, too; colours are for terminals. */
#include "cli/base/print.h"
#include "cli/base/terminal.h"
#include "cli/get/exchange.h"
#include "cli/get/get.h"
#include "common/mem.h"
#include "common/str.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define LEFT 34u /* columns before the bars */
#define WIDTH_LEAST (LEFT + 20u)
#define WIDTH_UNLIMITED 100u
#define WIDTH_MOST 200u
#define ROUNDS_SHOWN 12u
#define GAP_LEAST_US 1000 /* of silence between two rounds */

struct scale {
    int64_t total_us;
    unsigned columns;
};

size_t get_waterfall_rounds(const struct exchange *exchange, int64_t gap_us, struct get_round *ret,
                            size_t max)
{
    size_t n = 0, before = 0;
    int64_t last = 0;
    for (size_t i = 0; i < exchange->piece_count; i++) {
        const struct exchange_piece *piece = &exchange->pieces[i];
        if (n == 0 || (piece->us - last > gap_us && n < max)) {
            ret[n++] = (struct get_round){.from_us = piece->us};
        }
        ret[n - 1].until_us = last = piece->us;
        ret[n - 1].bytes += piece->n - before;
        before = piece->n;
    }
    return n;
}

/* A bar has a column at least: what took no time happened all the same. */
static void draw(const struct scale *scale, enum terminal_style style, int64_t from_us, int64_t until_us)
{
    const int64_t total = scale->total_us > 0 ? scale->total_us : 1;
    unsigned from = (unsigned)(from_us * scale->columns / total),
             until = (unsigned)(until_us * scale->columns / total);
    CDN_AUTOBUF struct cdn_buf bar = {0};
    from = from < scale->columns ? from : scale->columns - 1;
    until = until > from ? until : from + 1;
    cdn_buf_printf(&bar, "%*s", (int)from, "");
    for (unsigned i = from; i < until && i < scale->columns; i++) {
        cdn_buf_add_char(&bar, '=');
    }
    cli_print_styled(style, bar.p);
    cli_print("\n");
}

static void row(const struct scale *scale, const char *name, enum terminal_style style, int64_t from_us,
                int64_t until_us, size_t bytes)
{
    CDN_AUTOFREE char *size = bytes ? cdn_asprintf("%zu B", bytes) : cdn_strdup("");
    cli_print("  %-9s %9s %8.1f ms ", name, size, (double)(until_us - from_us) / 1000);
    draw(scale, style, from_us, until_us);
}

static void body_rows(const struct scale *scale, const struct exchange *e, int64_t at_us, int64_t rtt_us)
{
    struct get_round rounds[ROUNDS_SHOWN];
    const int64_t gap = rtt_us / 4 > GAP_LEAST_US ? rtt_us / 4 : GAP_LEAST_US;
    const size_t n = get_waterfall_rounds(e, gap, rounds, ROUNDS_SHOWN);
    for (size_t i = 0; i < n; i++) {
        CDN_AUTOFREE char *name = n == 1 ? cdn_strdup("body") : cdn_asprintf("body %zu", i + 1);
        const int64_t from =
            i ? rounds[i - 1].until_us : e->times.first_us; /* waiting for it is a part of it */
        row(scale, name, TERMINAL_GOOD, at_us + from, at_us + rounds[i].until_us, rounds[i].bytes);
    }
}

static void cut_line(unsigned width, const char *text)
{
    const size_t n = strlen(text);
    if (n > width) {
        cli_print("%.*s...\n", (int)width - 3, text);
    } else {
        cli_print("%s\n", text);
    }
}

static void hop_rows(const struct get_hop *hop, const struct scale *scale, int64_t at_us)
{
    const struct exchange *e = &hop->exchange;
    const struct exchange_times *t = &e->times;
    const double rtt_ms = json_number_value(json_object_get(hop->model, "rtt_ms"));
    CDN_AUTOFREE char *x_cache = exchange_field(e, "X-Cache");
    CDN_AUTOFREE char *title = cdn_asprintf("%s%s%u%s%s  %s", hop->node, hop->node[0] ? "  " : "", e->status,
                                            x_cache[0] ? " " : "", x_cache, hop->url);
    cut_line(LEFT + scale->columns, title);
    if (hop->dns.address[0]) {
        row(scale, "resolver", TERMINAL_PLAIN, at_us, at_us, 0);
    }
    if (t->connect_us) {
        row(scale, "connect", TERMINAL_PLAIN, at_us, at_us + t->connect_us, 0);
    }
    if (t->tls_us > t->connect_us) {
        row(scale, "TLS", TERMINAL_PLAIN, at_us + t->connect_us, at_us + t->tls_us, 0);
    }
    row(scale, "wait", TERMINAL_WARNING, at_us + t->sent_us, at_us + t->first_us, 0);
    body_rows(scale, e, at_us, (int64_t)(rtt_ms * 1000));
    if (hop->dns.address[0]) {
        cli_print("  DNS       says %s, after %.2f ms measured and not charged\n", hop->dns.address,
                  (double)hop->dns.us / 1000);
    }
    if (hop->model) {
        cli_print("  model     one round trip %.1f ms, first byte %.1f ms\n", rtt_ms,
                  json_number_value(json_object_get(json_object_get(hop->model, t->reused ? "kept" : "new"),
                                                    "first_byte_ms")));
    }
}

void get_waterfall_print(const struct get_visit *visit, unsigned width)
{
    struct scale scale = {0};
    int64_t at_us = 0;
    width = width == 0            ? WIDTH_UNLIMITED
            : width < WIDTH_LEAST ? WIDTH_LEAST
            : width > WIDTH_MOST  ? WIDTH_MOST
                                  : width;
    scale.columns = width - LEFT;
    for (size_t i = 0; i < visit->hop_count; i++) {
        scale.total_us += visit->hops[i].exchange.times.total_us;
    }
    cli_print("\n");
    cut_line(width, visit->wan
                        ? "By the clock, over modelled ways and real programs; resolving is not charged."
                        : "Measured on this machine: no distance is in it.");
    cli_print("%*s0%*.1f ms\n", (int)LEFT, "", (int)scale.columns - 4, (double)scale.total_us / 1000);
    for (size_t i = 0; i < visit->hop_count; i++) {
        hop_rows(&visit->hops[i], &scale, at_us);
        at_us += visit->hops[i].exchange.times.total_us;
    }
}
