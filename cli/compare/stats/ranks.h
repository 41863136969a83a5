/* ranks: whether the times of B differ from those of A, and by how much.
 *
 * A stratum is one city (or one city and series): a time is compared with times of its own city only, since
 * cities differ by more than any change. The test is that of Wilcoxon, Mann and Whitney, summed over the
 * strata, with middle ranks for ties. Under "no difference" every share-out of a stratum's values is as
 * likely as any other: while that can be counted, p is exact, whatever the values are (constant samples and
 * samples full of ties too); with more values the normal approximation with the variance of the ties takes
 * its place.
 *
 * The size of the effect is the shift of Hodges and Lehmann, the median of all differences b - a within
 * strata, with the interval that belongs to the test; and the same as a ratio b / a - 1, which cities far and
 * near have in common. Distribution-free: no assumption of a bell curve.
 */
#ifndef CDN_CLI_COMPARE_RANKS_H
#define CDN_CLI_COMPARE_RANKS_H
#include <stdbool.h>
#include <stddef.h>

struct ranks_stratum { /* borrowed */
    const double *a, *b;
    size_t a_n, b_n;
};

struct ranks_estimate {
    double at, low, high; /* with RANKS_CONFIDENCE between low and high */
};

struct ranks_result {
    size_t a_n, b_n; /* in strata that have both */
    double p;        /* two-sided; 1 where nothing can be compared */
    bool exact;
    double superiority;          /* how often b > a, equal ones half; 0.5 means no difference */
    struct ranks_estimate shift; /* in the unit of the values; NaN without values */
    struct ranks_estimate ratio; /* b / a - 1; NaN unless all values are above 0 */
};

/* A difference is one with p below this: one false alarm in 200, so that 100 looks rarely have two. */
#define RANKS_ALPHA 0.005
#define RANKS_CONFIDENCE 0.99

void ranks_compare(const struct ranks_stratum *strata, size_t n, struct ranks_result *ret);

#define RANKS_VERDICT_TABLE(X) /* name, word, text */           \
    X(UNCLEAR, "no difference", "none that these samples show") \
    X(LESS, "faster", "B takes less time than A")               \
    X(MORE, "slower", "B takes more time than A")               \
    X(NOTHING, "nothing to compare", "no city has values of both, A and B")

enum ranks_verdict {
#define X(name, word, text) RANKS_##name,
    RANKS_VERDICT_TABLE(X)
#undef X
        RANKS_VERDICT_COUNT
};
enum ranks_verdict ranks_verdict(const struct ranks_result *result);
const char *ranks_verdict_word(enum ranks_verdict verdict);

#endif
