/* ranks: see the header for what is computed. Ranks are counted doubled, so that middle ranks are
 * whole numbers and the exact distribution is a plain array: for each stratum the number of ways in which
 * a_n of its values have a sum of ranks s (a knapsack), and the strata's distributions folded into one. */
#include "cli/compare/stats/ranks.h"

#include "cli/compare/stats/summary.h"
#include "common/mem.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define EXACT_VALUES_MAX 60u   /* of one stratum */
#define EXACT_WORK_MAX 40e6    /* additions */
#define PAIRS_OF_SIDE_MAX 200u /* values of a side of a stratum that make differences; more are thinned */
#define NORMAL_QUANTILE 2.575829304 /* of RANKS_CONFIDENCE, two-sided */

struct value {
    double x;
    bool in_a;
};

struct stratum_ranks {
    size_t n, a_n;
    unsigned *doubled; /* rank * 2 of each value, ascending */
    uint64_t sum_a;    /* of the values of A */
    double variance;   /* of that sum, when nothing differs */
    double wins;       /* pairs with b > a, ties half */
};

static int by_x(const void *a, const void *b)
{
    double x = ((const struct value *)a)->x, y = ((const struct value *)b)->x;
    return (x > y) - (x < y);
}

static struct value *merge(const struct ranks_stratum *s)
{
    struct value *values = cdn_calloc(s->a_n + s->b_n, sizeof(*values));
    for (size_t i = 0; i < s->a_n; i++) {
        values[i] = (struct value){s->a[i], true};
    }
    for (size_t i = 0; i < s->b_n; i++) {
        values[s->a_n + i] = (struct value){s->b[i], false};
    }
    qsort(values, s->a_n + s->b_n, sizeof(*values), by_x);
    return values;
}

/* Middle ranks: values from i to k - 1 are equal and share (i + 1 + k) / 2. */
static void rank(const struct ranks_stratum *s, struct stratum_ranks *ret)
{
    size_t n = s->a_n + s->b_n;
    CDN_AUTOFREE struct value *values = merge(s);
    double ties = 0;
    *ret = (struct stratum_ranks){.n = n, .a_n = s->a_n, .doubled = cdn_calloc(n, sizeof(unsigned))};
    for (size_t i = 0, k; i < n; i = k) {
        size_t of_a = 0;
        for (k = i; k < n && values[k].x <= values[i].x; k++) {
            of_a += values[k].in_a;
            ret->doubled[k] = 0;
        }
        for (size_t m = i; m < k; m++) {
            ret->doubled[m] = (unsigned)(i + 1 + k);
        }
        double t = (double)(k - i);
        ties += t * t * t - t;
        ret->sum_a += of_a * (i + 1 + k);
    }
    double a = (double)s->a_n, b = (double)s->b_n, all = (double)n;
    ret->variance = 4 * a * b / 12 * (all + 1 - ties / (all * (all - 1)));
    ret->wins = a * b - ((double)ret->sum_a / 2 - a * (a + 1) / 2);
}

/* ---- the exact distribution ---- */

struct distribution {
    size_t n; /* sums from 0 to n - 1 */
    double *share;
};

/* Of the doubled sum of ranks of a_n of the values, all choices being as likely. */
static struct distribution stratum_distribution(const struct stratum_ranks *r)
{
    size_t top = 0;
    for (size_t i = r->n - r->a_n; i < r->n; i++) {
        top += r->doubled[i];
    }
    struct distribution d = {.n = top + 1, .share = cdn_calloc(top + 1, sizeof(double))};
    CDN_AUTOFREE double *ways = cdn_calloc((r->a_n + 1) * d.n, sizeof(*ways));
    ways[0] = 1;
    for (size_t i = 0; i < r->n; i++) {
        for (size_t taken = r->a_n < i + 1 ? r->a_n : i + 1; taken > 0; taken--) {
            double *to = ways + taken * d.n;
            const double *from = ways + (taken - 1) * d.n;
            for (size_t sum = r->doubled[i]; sum < d.n; sum++) {
                to[sum] += from[sum - r->doubled[i]];
            }
        }
    }
    double all = 0;
    for (size_t sum = 0; sum < d.n; sum++) {
        all += ways[r->a_n * d.n + sum];
    }
    for (size_t sum = 0; sum < d.n; sum++) {
        d.share[sum] = ways[r->a_n * d.n + sum] / all;
    }
    return d;
}

static void fold(struct distribution *into, const struct distribution *d)
{
    struct distribution folded = {.n = into->n + d->n - 1};
    folded.share = cdn_calloc(folded.n, sizeof(double));
    for (size_t i = 0; i < into->n; i++) {
        for (size_t k = 0; k < d->n && into->share[i] > 0; k++) {
            folded.share[i + k] += into->share[i] * d->share[k];
        }
    }
    free(into->share);
    *into = folded;
}

static double exact_work(const struct stratum_ranks *ranks, size_t n)
{
    double work = 0, folded = 1;
    for (size_t i = 0; i < n; i++) {
        double a = (double)ranks[i].a_n, all = (double)ranks[i].n, sums = 2 * a * all;
        if (ranks[i].n > EXACT_VALUES_MAX) {
            return INFINITY;
        }
        work += all * a * sums + folded * sums;
        folded += sums;
    }
    return work;
}

static double exact_p(const struct stratum_ranks *ranks, size_t n, double sum, double expected)
{
    struct distribution all = {.n = 1, .share = cdn_calloc(1, sizeof(double))};
    double p = 0, off = fabs(sum - expected);
    all.share[0] = 1;
    for (size_t i = 0; i < n; i++) {
        struct distribution d = stratum_distribution(&ranks[i]);
        fold(&all, &d);
        free(d.share);
    }
    for (size_t i = 0; i < all.n; i++) {
        p += fabs((double)i - expected) >= off - 0.25 ? all.share[i] : 0;
    }
    free(all.share);
    return fmin(p, 1);
}

static double normal_p(double sum, double expected, double variance)
{
    double off = fmax(fabs(sum - expected) - 1, 0); /* continuity: half a rank, doubled */
    return variance > 0 ? erfc(off / sqrt(variance) / sqrt(2)) : 1;
}

static void test(const struct stratum_ranks *ranks, size_t n, struct ranks_result *ret)
{
    double sum = 0, expected = 0, variance = 0, wins = 0, pairs = 0;
    for (size_t i = 0; i < n; i++) {
        double a = (double)ranks[i].a_n, all = (double)ranks[i].n;
        sum += (double)ranks[i].sum_a;
        expected += a * (all + 1);
        variance += ranks[i].variance;
        wins += ranks[i].wins;
        pairs += a * (all - a);
    }
    ret->exact = exact_work(ranks, n) <= EXACT_WORK_MAX;
    ret->p = ret->exact ? exact_p(ranks, n, sum, expected) : normal_p(sum, expected, variance);
    ret->superiority = wins / pairs;
}

/* ---- the size of the effect ---- */

struct pairs {
    double *differences, *ratios;
    size_t n;
    bool positive; /* all values are above 0 */
    double half;   /* of the interval, in pairs */
};

/* The i-th of m values that stand for n sorted ones. */
static double thinned(const double *sorted, size_t n, size_t i, size_t m)
{
    return sorted[(i * n + n / 2) / m < n ? (i * n + n / 2) / m : n - 1];
}

static double *sorted_copy(const double *values, size_t n)
{
    double *copy = cdn_calloc(n, sizeof(*copy));
    memcpy(copy, values, n * sizeof(*copy));
    summary_sort(copy, n);
    return copy;
}

static void add_pairs(struct pairs *pairs, const struct ranks_stratum *s)
{
    size_t a_n = s->a_n < PAIRS_OF_SIDE_MAX ? s->a_n : PAIRS_OF_SIDE_MAX;
    size_t b_n = s->b_n < PAIRS_OF_SIDE_MAX ? s->b_n : PAIRS_OF_SIDE_MAX;
    CDN_AUTOFREE double *a = sorted_copy(s->a, s->a_n), *b = sorted_copy(s->b, s->b_n);
    pairs->differences = cdn_realloc(pairs->differences, pairs->n + a_n * b_n, sizeof(double));
    pairs->ratios = cdn_realloc(pairs->ratios, pairs->n + a_n * b_n, sizeof(double));
    pairs->positive = pairs->positive && a[0] > 0 && b[0] > 0;
    for (size_t i = 0; i < a_n; i++) {
        for (size_t k = 0; k < b_n; k++) {
            double x = thinned(a, s->a_n, i, a_n), y = thinned(b, s->b_n, k, b_n);
            pairs->differences[pairs->n] = y - x;
            pairs->ratios[pairs->n++] = y / x - 1;
        }
    }
    double m = (double)a_n, n = (double)b_n;
    /* of the pairs that b wins: as many values as there are decide how sure they are, thinned or not */
    double scale = m * n / ((double)s->a_n * (double)s->b_n);
    pairs->half += (double)s->a_n * (double)s->b_n * (double)(s->a_n + s->b_n + 1) / 12 * scale * scale;
}

static struct ranks_estimate estimate(double *values, size_t n, double deviation)
{
    double middle = summary_median(values, n), half = NORMAL_QUANTILE * deviation;
    double low = floor((double)n / 2 - half);
    size_t at = low < 0 ? 0 : (size_t)low;
    return (struct ranks_estimate){middle, values[at], values[n - 1 - at]};
}

static void measure(const struct ranks_stratum *strata, size_t n, struct ranks_result *ret)
{
    struct pairs pairs = {.positive = true};
    for (size_t i = 0; i < n; i++) {
        if (strata[i].a_n && strata[i].b_n) {
            add_pairs(&pairs, &strata[i]);
        }
    }
    ret->shift = estimate(pairs.differences, pairs.n, sqrt(pairs.half));
    if (pairs.positive) {
        ret->ratio = estimate(pairs.ratios, pairs.n, sqrt(pairs.half));
    }
    free(pairs.differences);
    free(pairs.ratios);
}

void ranks_compare(const struct ranks_stratum *strata, size_t n, struct ranks_result *ret)
{
    const struct ranks_estimate none = {NAN, NAN, NAN};
    CDN_AUTOFREE struct stratum_ranks *ranks = cdn_calloc(n, sizeof(*ranks));
    size_t used = 0;
    *ret = (struct ranks_result){.p = 1, .superiority = 0.5, .shift = none, .ratio = none};
    for (size_t i = 0; i < n; i++) {
        if (strata[i].a_n && strata[i].b_n) {
            rank(&strata[i], &ranks[used++]);
            ret->a_n += strata[i].a_n;
            ret->b_n += strata[i].b_n;
        }
    }
    if (used) {
        test(ranks, used, ret);
        measure(strata, n, ret);
    }
    for (size_t i = 0; i < used; i++) {
        free(ranks[i].doubled);
    }
}

enum ranks_verdict ranks_verdict(const struct ranks_result *result)
{
    if (result->a_n == 0) {
        return RANKS_NOTHING;
    }
    if (result->p >= RANKS_ALPHA) {
        return RANKS_UNCLEAR;
    }
    return result->superiority < 0.5 ? RANKS_LESS : RANKS_MORE;
}

const char *ranks_verdict_word(enum ranks_verdict verdict)
{
    static const char *const words[RANKS_VERDICT_COUNT] = {
#define X(name, word, text) word,
        RANKS_VERDICT_TABLE(X)
#undef X
    };
    return words[verdict];
}
