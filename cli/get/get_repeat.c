/* get_repeat: the same request again and again, on one connection and on new ones: two series, never
 * mixed, since they differ by the round trips of a handshake. A request that had to open the one
 * connection is not counted among the kept ones; with a server that closes each, none is. */
#include "cli/base/table.h"
#include "cli/base/terminal.h"
#include "cli/get/exchange.h"
#include "cli/get/get.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/banned.h"

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double get_repeat_quantile(const double *sorted, size_t n, double part)
{
    const size_t rank = (size_t)ceil(part * (double)n);
    return n == 0 ? 0 : sorted[rank == 0 ? 0 : rank > n ? n - 1 : rank - 1];
}

static enum cdn_status run_series(struct get_visit *visit, bool fresh, unsigned n, struct get_series *series,
                                  struct cdn_error *err)
{
    series->first_byte = cdn_calloc(n, sizeof(*series->first_byte));
    series->total = cdn_calloc(n, sizeof(*series->total));
    for (unsigned asked = 0; series->n < n && asked < 2 * n + 1; asked++) {
        struct exchange e;
        enum cdn_status status = get_visit_again(visit, fresh, &e, err);
        if (status != CDN_OK) {
            return status;
        }
        if (fresh || e.times.reused) {
            series->first_byte[series->n] = (double)e.times.first_us / 1000;
            series->total[series->n++] = (double)e.times.total_us / 1000;
        }
        exchange_free(&e);
    }
    qsort(series->first_byte, series->n, sizeof(double), by_value);
    qsort(series->total, series->n, sizeof(double), by_value);
    return CDN_OK;
}

enum cdn_status get_repeat_run(struct get_visit *visit, unsigned n, struct get_repeats *ret,
                               struct cdn_error *err)
{
    enum cdn_status status = run_series(visit, false, n, &ret->kept, err);
    return status == CDN_OK ? run_series(visit, true, n, &ret->fresh, err) : status;
}

static void add_row(struct table *table, const char *name, const char *what, const double *values, size_t n)
{
    table_add(table, "%s", name);
    table_add(table, "%s", what);
    table_add(table, "%zu", n);
    table_add(table, "%.1f", get_repeat_quantile(values, n, 0));
    table_add(table, "%.1f", get_repeat_quantile(values, n, 0.5));
    table_add(table, "%.1f", get_repeat_quantile(values, n, 0.95));
    table_add(table, "%.1f", get_repeat_quantile(values, n, 0.99));
    table_add(table, "%.1f", get_repeat_quantile(values, n, 1));
}

void get_repeat_print(const struct get_repeats *repeats)
{
    struct table table;
    CDN_AUTOBUF struct cdn_buf text = {0};
    table_init(&table, "CONNECTION|MS TO THE|>N|>MIN|>P50|>P95|>P99|>MAX");
    add_row(&table, "kept", "first byte", repeats->kept.first_byte, repeats->kept.n);
    add_row(&table, "kept", "last byte", repeats->kept.total, repeats->kept.n);
    add_row(&table, "new", "first byte", repeats->fresh.first_byte, repeats->fresh.n);
    add_row(&table, "new", "last byte", repeats->fresh.total, repeats->fresh.n);
    table_print_to(&table, terminal_of(STDOUT_FILENO), &text);
    fwrite(text.p, 1, text.n, stdout);
    table_fini(&table);
}

static json_t *values_json(const double *values, size_t n)
{
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(all, json_real(values[i]));
    }
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:o}", "n", (json_int_t)n, "min",
                     get_repeat_quantile(values, n, 0), "p50", get_repeat_quantile(values, n, 0.5), "p95",
                     get_repeat_quantile(values, n, 0.95), "p99", get_repeat_quantile(values, n, 0.99), "max",
                     get_repeat_quantile(values, n, 1), "sorted", all);
}

static json_t *series_json(const struct get_series *series)
{
    return json_pack("{s:o, s:o}", "first_byte_ms", values_json(series->first_byte, series->n), "total_ms",
                     values_json(series->total, series->n));
}

json_t *get_repeat_json(const struct get_repeats *repeats)
{
    return json_pack("{s:o, s:o}", "kept", series_json(&repeats->kept), "new", series_json(&repeats->fresh));
}

void get_repeat_free(struct get_repeats *repeats)
{
    free(repeats->kept.first_byte);
    free(repeats->kept.total);
    free(repeats->fresh.first_byte);
    free(repeats->fresh.total);
    *repeats = (struct get_repeats){0};
}
