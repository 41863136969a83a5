/* demo_report: what the visits amount to: medians instead of means, since one cold connection would
 * colour a mean; as a table for people, as JSON for programs, from the same numbers. */
#include "cli/base/print.h"
#include "cli/base/table.h"
#include "cli/base/terminal.h"
#include "cli/demo/demo.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "geo-data/near.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

static const char *const verdict_words[] = {"hit", "miss", "other"};

struct totals {
    uint64_t requests, hits, bytes, fetches_expected;
    double median_edge_ms, median_origin_ms, median_page_ms[DEMO_LOAD_COUNT];
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double middle(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void take_medians(const struct demo *demo, struct totals *t)
{
    size_t n = demo->visit_count;
    CDN_AUTOFREE double *values = cdn_calloc(n, sizeof(*values));
    for (size_t i = 0; i < n; i++) {
        values[i] = demo->visits[i].edge_ms;
    }
    t->median_edge_ms = middle(values, n);
    for (size_t i = 0; i < n; i++) {
        values[i] = demo->visits[i].origin_ms;
    }
    t->median_origin_ms = middle(values, n);
    for (unsigned load = 0; load < DEMO_LOAD_COUNT; load++) {
        for (size_t i = 0; i < n; i++) {
            values[i] = demo->visits[i].page_ms[load];
        }
        t->median_page_ms[load] = middle(values, n);
    }
}

/* The first visitor of each edge brings every file there, once. */
static uint64_t edges_used(const struct demo *demo)
{
    uint64_t n = 0;
    for (size_t i = 0; i < demo->visit_count; i++) {
        bool before = false;
        for (size_t k = 0; k < i && !before; k++) {
            before = strcmp(demo->visits[k].edge, demo->visits[i].edge) == 0;
        }
        n += !before;
    }
    return n;
}

static struct totals add_up(const struct demo *demo)
{
    struct totals t = {0};
    take_medians(demo, &t);
    for (size_t i = 0; i < demo->visit_count; i++) {
        const struct demo_visit *v = &demo->visits[i];
        t.bytes += v->bytes;
        for (int round = 0; round < DEMO_ROUNDS; round++) {
            t.hits += v->verdicts[round][0];
            t.requests += v->verdicts[round][0] + v->verdicts[round][1] + v->verdicts[round][2];
        }
    }
    t.fetches_expected = edges_used(demo) * demo->file_count;
    return t;
}

static void check(struct demo *demo, const struct totals *t)
{
    for (size_t i = 0; i < demo->visit_count; i++) {
        const struct demo_visit *v = &demo->visits[i];
        if (v->verdicts[1][0] != demo->file_count) {
            cdn_buf_printf(&demo->wrong, "%s: the second visit had %u hits of %zu\n", v->city,
                           v->verdicts[1][0], demo->file_count);
        }
    }
    if (demo->origin_requests != t->fetches_expected) {
        cdn_buf_printf(&demo->wrong, "the origin had %llu requests where each file to each edge makes %llu\n",
                       (unsigned long long)demo->origin_requests, (unsigned long long)t->fetches_expected);
    }
}

static void put_verdicts(struct table *table, const unsigned verdicts[3])
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    for (size_t i = 0; i < 3; i++) {
        if (verdicts[i]) {
            cdn_buf_printf(&text, "%s%u %s", text.n ? ", " : "", verdicts[i], verdict_words[i]);
        }
    }
    table_add(table, "%s", text.n ? text.p : "");
}

static void print_table(const struct demo *demo)
{
    struct table table;
    CDN_AUTOBUF struct cdn_buf text = {0};
    table_init(
        &table,
        "CLIENT IN|EDGE|4>KM|3>RTT TO EDGE|3>RTT TO ORIGIN|>STRAIGHT|>FIRST VISIT|>SECOND VISIT|2FIRST|"
        "2SECOND|1>BYTES");
    for (size_t i = 0; i < demo->visit_count; i++) {
        const struct demo_visit *v = &demo->visits[i];
        table_add(&table, "%s", v->city);
        table_add(&table, "%s", v->edge);
        table_add(&table, "%.0f", v->km);
        table_add(&table, "%.1f", v->edge_ms);
        table_add(&table, "%.1f", v->origin_ms);
        for (unsigned load = 0; load < DEMO_LOAD_COUNT; load++) {
            table_add(&table, "%.0f ms", v->page_ms[load]);
        }
        put_verdicts(&table, v->verdicts[0]);
        put_verdicts(&table, v->verdicts[1]);
        table_add(&table, "%llu", (unsigned long long)v->bytes);
    }
    table_print_to(&table, terminal_of(STDOUT_FILENO), &text);
    table_fini(&table);
    fwrite(text.p, 1, text.n, stdout);
}

static void print_totals(const struct demo *demo, const struct totals *t)
{
    double requests = t->requests ? (double)t->requests : 1, bytes = t->bytes ? (double)t->bytes : 1;
    cli_print("\n");
    cli_print("%zu files, %zu cities, 2 visits each: %llu requests, %.2f MB, in %.1f s\n", demo->file_count,
              demo->visit_count, (unsigned long long)t->requests, (double)t->bytes / 1e6,
              demo->visits_ms / 1000);
    cli_print("median page load  %.0f ms straight from the origin in " DEMO_ORIGIN_PLACE
              ", %.0f ms at the first visit of the CDN, %.0f ms at the second\n",
              t->median_page_ms[DEMO_STRAIGHT], t->median_page_ms[DEMO_FIRST],
              t->median_page_ms[DEMO_SECOND]);
    cli_print("origin requests   %llu, one for each file at each edge in use\n",
              (unsigned long long)demo->origin_requests);
    cli_print("hit ratio         %.1f %%\n", 100 * (double)t->hits / requests);
    cli_print("offload           %.1f %% of the requests, %.1f %% of the bytes\n",
              100 * (1 - (double)demo->origin_requests / requests),
              100 * (1 - (double)demo->origin_bytes / bytes));
    cli_print("median round trip %.1f ms to the edge, %.1f ms to the origin (modelled)\n", t->median_edge_ms,
              t->median_origin_ms);
    cli_print("Page loads are real requests over the network between the places: its paths take the modelled "
              "time, the processors their own.\n");
}

static json_t *visit_json(const struct demo_visit *v)
{
    char ip[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format_ip(&v->near.address, ip);
    json_t *rounds = json_array();
    for (int i = 0; i < DEMO_ROUNDS; i++) {
        json_array_append_new(rounds, json_pack("{s:i, s:i, s:i}", verdict_words[0], (int)v->verdicts[i][0],
                                                verdict_words[1], (int)v->verdicts[i][1], verdict_words[2],
                                                (int)v->verdicts[i][2]));
    }
    return json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:I, s:o, s:{s:f, s:f, s:f}}", "city", v->city, "ip", ip,
                     "edge", v->edge, "km", v->km, "edge_rtt_ms", v->edge_ms, "origin_rtt_ms", v->origin_ms,
                     "bytes", (json_int_t)v->bytes, "visits", rounds, "page_ms", "straight",
                     v->page_ms[DEMO_STRAIGHT], "first", v->page_ms[DEMO_FIRST], "second",
                     v->page_ms[DEMO_SECOND]);
}

static void print_json(const struct demo *demo, const struct totals *t)
{
    json_t *visits = json_array();
    for (size_t i = 0; i < demo->visit_count; i++) {
        json_array_append_new(visits, visit_json(&demo->visits[i]));
    }
    json_t *all = json_pack("{s:o, s:i, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:s, s:f}", "cities", visits,
                            "files", (int)demo->file_count, "requests", (json_int_t)t->requests, "hits",
                            (json_int_t)t->hits, "bytes", (json_int_t)t->bytes, "origin_requests",
                            (json_int_t)demo->origin_requests, "origin_bytes", (json_int_t)demo->origin_bytes,
                            "median_edge_rtt_ms", t->median_edge_ms, "median_origin_rtt_ms",
                            t->median_origin_ms, "rtt_label", "modelled", "measured_ms", demo->visits_ms);
    json_object_set_new(all, "median_page_ms",
                        json_pack("{s:f, s:f, s:f}", "straight", t->median_page_ms[DEMO_STRAIGHT], "first",
                                  t->median_page_ms[DEMO_FIRST], "second", t->median_page_ms[DEMO_SECOND]));
    cli_print_json(all, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
}

void demo_report(struct demo *demo)
{
    struct totals t = add_up(demo);
    check(demo, &t);
    if (demo->options->json) {
        print_json(demo, &t);
    } else {
        print_table(demo);
        print_totals(demo, &t);
    }
    if (demo->wrong.n) {
        cli_complain("not as it should be:\n");
        for (struct cdn_str rest = cdn_buf_str(&demo->wrong); rest.n;) {
            struct cdn_str line = cdn_str_cut(&rest, '\n');
            cli_complain(CDN_STR_FMT "\n", CDN_STR_ARG(line));
        }
    }
}
