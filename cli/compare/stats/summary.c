/* summary: nearest ranks, since a percentile that nobody waited for (between two values) would be a
 * figure of ours; see the header. */
#include "cli/compare/stats/summary.h"

#include "common/mem.h"

#include <math.h>
#include <stdlib.h>

#include "common/banned.h"

const char *const summary_words[SUMMARY_FIGURE_COUNT] = {
#define X(name, share, text) #name,
    SUMMARY_TABLE(X)
#undef X
};
static const double shares[SUMMARY_FIGURE_COUNT] = {
#define X(name, share, text) share,
    SUMMARY_TABLE(X)
#undef X
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void summary_sort(double *values, size_t n)
{
    if (n > 1) {
        qsort(values, n, sizeof(*values), by_value);
    }
}

double summary_rank(const double *sorted, size_t n, double share)
{
    if (n == 0) {
        return NAN;
    }
    double rank = ceil(share * (double)n - 1e-9); /* 0.95 * 20 is a little more than 19 */
    return sorted[rank < 1 ? 0 : rank > (double)n ? n - 1 : (size_t)rank - 1];
}

struct summary summary_of(double *values, size_t n)
{
    struct summary summary = {.n = n};
    summary_sort(values, n);
    for (size_t i = 0; i < CDN_ARRAY_LEN(shares); i++) {
        summary.at[i] = summary_rank(values, n, shares[i]);
    }
    return summary;
}

static int by_weighted_value(const void *a, const void *b)
{
    double x = ((const struct summary_value *)a)->value, y = ((const struct summary_value *)b)->value;
    return (x > y) - (x < y);
}

static double weighted_rank(const struct summary_value *sorted, size_t n, double all, double share)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += sorted[i].weight;
        if (sum >= share * all - 1e-9 * all) {
            return sorted[i].value;
        }
    }
    return n ? sorted[n - 1].value : NAN;
}

struct summary summary_of_weighted(struct summary_value *values, size_t n)
{
    double all = 0;
    struct summary summary = {0};
    if (n > 1) {
        qsort(values, n, sizeof(*values), by_weighted_value);
    }
    for (size_t i = 0; i < n; i++) {
        all += values[i].weight;
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(shares); i++) {
        summary.at[i] = weighted_rank(values, n, all, shares[i]);
    }
    summary.n = (size_t)(all + 0.5);
    return summary;
}

double summary_median(double *values, size_t n)
{
    if (n == 0) {
        return NAN;
    }
    summary_sort(values, n);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}
