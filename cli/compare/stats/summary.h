/* summary: what is said of a sample of times: n, min, percentiles and max. No mean: one cold start colours
 * it.
 *
 * A percentile is a nearest rank (the smallest value that at least q of all values do not exceed), so each
 * one is a time that was really seen, and that of a constant sample is the constant. Percentiles are never
 * averaged: where samples are put together, their values are.
 */
#ifndef CDN_CLI_COMPARE_SUMMARY_H
#define CDN_CLI_COMPARE_SUMMARY_H
#include <stddef.h>

#define SUMMARY_TABLE(X) /* name, share of the values, text */ \
    X(min, 0.0, "the least")                                   \
    X(p50, 0.5, "the median")                                  \
    X(p95, 0.95, "95 of 100 are not above")                    \
    X(p99, 0.99, "99 of 100 are not above")                    \
    X(max, 1.0, "the greatest")

enum summary_figure {
#define X(name, share, text) SUMMARY_##name,
    SUMMARY_TABLE(X)
#undef X
        SUMMARY_FIGURE_COUNT
};
extern const char *const summary_words[SUMMARY_FIGURE_COUNT]; /* "min", "p50", ... */

struct summary {
    size_t n;
    double at[SUMMARY_FIGURE_COUNT]; /* NaN with n == 0 */
};

/* Sorts the values. */
struct summary summary_of(double *values, size_t n);
struct summary_value {
    double value, weight;
};
/* The same where a value stands for `weight` requests. Sorts them; n is the sum of the weights. */
struct summary summary_of_weighted(struct summary_value *values, size_t n);
double summary_rank(const double *sorted, size_t n, double share); /* NaN with n == 0 */
void summary_sort(double *values, size_t n);
double summary_median(double *values, size_t n); /* sorts; the middle of the two in the middle */

#endif
