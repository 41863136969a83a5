/* faults: trouble on demand (simulation): answers that come late, wrong or not at all.
 *
 * Deterministic: whether the n-th request that matches fails depends on the seed and n only. A rule set is a
 * value; every worker has its copy, and the counter is shared.
 */
#ifndef CDN_ORIGIN_FAULTS_H
#define CDN_ORIGIN_FAULTS_H
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define ORIGIN_FAULT_PATTERN_MAX 256

struct origin_faults {
    bool active;
    int64_t delay_ms;
    double error_rate, drop_rate; /* 0 to 1; together at most 1 */
    unsigned status;              /* of the errors */
    uint64_t seed;
    char paths[ORIGIN_FAULT_PATTERN_MAX]; /* shell pattern for the raw path; "" is every path */
};

struct origin_verdict {
    int64_t delay_ms;
    unsigned status; /* 0: none */
    bool drop;
};

/* {"delay":"200ms","error_rate":0.1,"status":503,"drop_rate":0,"seed":1,"paths":"/static/" and a star} or
 * {"off":true}. What is not given is 0, the status 503, the seed 1. CDN_INVALID for unknown keys, wrong
 * types, values out of range. */
enum cdn_status origin_faults_parse(json_t *body, struct origin_faults *ret,
                                    struct cdn_error *err) CDN_MUST_CHECK;
json_t *origin_faults_json(const struct origin_faults *faults);

/* What happens to this request; counts it in *counter when the rules match its path. */
struct origin_verdict origin_faults_decide(const struct origin_faults *faults, struct cdn_str path,
                                           _Atomic uint64_t *counter);

#endif
