/* gate: the conditions of `--fail-if`: when a comparison counts as failed.
 *
 *     p95>+5%                     a percentile that is over 5 % above the baseline's
 *     dns-warm-new.p50>120ms      that of one series, in figures
 *     hit_ratio<90%, errors>0     several, of which one is enough
 *     verdict=slower              what the rank test says of the baseline, or of `--against`
 *
 * Pure: read once, then asked with figures. Without a series a time is looked at in every one.
 */
#ifndef CDN_CLI_COMPARE_GATE_H
#define CDN_CLI_COMPARE_GATE_H
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

#define GATE_FIGURE_TABLE(X) /* name, word, of each series, kind, text */                 \
    X(N, "n", true, COUNT, "requests")                                                    \
    X(MIN, "min", true, TIME, "the least time")                                           \
    X(P50, "p50", true, TIME, "the median")                                               \
    X(P95, "p95", true, TIME, "percentile")                                               \
    X(P99, "p99", true, TIME, "percentile")                                               \
    X(MAX, "max", true, TIME, "the greatest time")                                        \
    X(HIT_RATIO, "hit_ratio", false, SHARE, "hits / (hits + misses)")                     \
    X(OFFLOAD, "offload", false, SHARE, "requests that the origin did not see")           \
    X(OFFLOAD_BYTES, "offload_bytes", false, SHARE, "bytes that the origin did not send") \
    X(ERRORS, "errors", false, COUNT, "requests that failed")                             \
    X(VERDICT, "verdict", true, WORD, "of the rank test: slower, faster, no difference")

enum gate_kind { GATE_TIME, GATE_SHARE, GATE_COUNT, GATE_WORD };
enum gate_figure {
#define X(name, word, of_series, kind, text) GATE_FIGURE_##name,
    GATE_FIGURE_TABLE(X)
#undef X
        GATE_FIGURE_COUNT
};
const char *gate_figure_word(enum gate_figure figure);
bool gate_figure_of_series(enum gate_figure figure);

enum gate_sign { GATE_LESS, GATE_AT_MOST, GATE_MORE, GATE_AT_LEAST, GATE_IS };

struct gate_condition {
    char series[48]; /* "": any */
    enum gate_figure figure;
    enum gate_sign sign;
    bool relative; /* to the baseline */
    bool percent;  /* of the baseline; only with `relative` */
    double value;  /* ms, a share from 0 to 1, a count; what is added to the baseline; with `percent` a part
                      of it */
    char word[24]; /* of GATE_WORD */
    char text[64]; /* as written */
};

#define GATE_CONDITIONS_MAX 16
struct gate {
    size_t n;
    struct gate_condition at[GATE_CONDITIONS_MAX];
};

/* `series`: the names that there are, ended by NULL. CDN_USAGE names the place and what is expected there. */
enum cdn_status gate_parse(struct cdn_str text, const char *const *series, struct gate *ret,
                           struct cdn_error *err) CDN_MUST_CHECK;
bool gate_is_relative(const struct gate *gate); /* needs a baseline */

/* Whether the condition is met, so that the comparison has failed. `baseline` is used when it is relative.
 * NaN: not known, so not met. */
bool gate_met(const struct gate_condition *condition, double value, double baseline);
/* The limit in figures. */
double gate_limit(const struct gate_condition *condition, double baseline);

#endif
