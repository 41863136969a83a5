/* http_faults: trouble on demand (simulation): answers that come late, wrong, in part or not at all, and a
 * server that is not there. The same for every daemon; this is the part that is values: what was asked for,
 * and what that means for one request. http_disturb.c carries it out.
 *
 * Deterministic: what happens to the n-th request that matches depends on the seed and n only, so that a test
 * that asks a hundred times gets the same failures on every machine. One set of rules is for all workers of a
 * process, which share its counter.
 */
#ifndef CDN_COMMON_HTTP_FAULTS_H
#define CDN_COMMON_HTTP_FAULTS_H
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define HTTP_FAULT_PATTERN_MAX 256

struct http_faults {
    bool active;
    int64_t delay_ms;
    double error_rate, drop_rate; /* 0 to 1; together at most 1 */
    unsigned status;              /* of the errors */
    double truncate_rate;         /* answers that break off in the middle of their body */
    double corrupt_rate;          /* with one byte of the body changed */
    uint64_t slow;                /* bytes of a body a second; 0: as fast as it goes */
    bool refuse;                  /* connections are refused */
    bool down;                    /* that, those that are there are cut, and health says no */
    uint64_t seed;
    char paths[HTTP_FAULT_PATTERN_MAX]; /* shell pattern for the raw path; "" is every path */
};

struct http_fault_verdict { /* of one request */
    int64_t delay_ms;
    unsigned status; /* 0: none */
    bool drop, truncate, corrupt;
    uint64_t slow;
    uint64_t draw; /* for what is left to chance in it */
};

/* {"delay":"200ms","error_rate":0.1,"status":503,"drop_rate":0,"truncate_rate":0,"corrupt_rate":0,
 * "slow":"64KiB","refuse":false,"down":false,"seed":1,"paths":"/static/" and a star} or {"off":true}. What is
 * not given is off, the status 503, the seed 1. CDN_INVALID for unknown keys, wrong types, values out of
 * range. */
enum cdn_status http_faults_parse(json_t *body, struct http_faults *ret,
                                  struct cdn_error *err) CDN_MUST_CHECK;
json_t *http_faults_json(const struct http_faults *faults);

/* What happens to this request; counts it in *counter when the rules match its path. */
struct http_fault_verdict http_faults_decide(const struct http_faults *faults, struct cdn_str path,
                                             _Atomic uint64_t *counter);

/* Rules with their counter, shared among threads; counted. */
struct http_fault_set {
    _Atomic unsigned owners;
    _Atomic uint64_t counter;
    _Atomic unsigned given, taken; /* to how many servers, and by how many */
    struct http_faults rules;
};
struct http_fault_set *http_fault_set_create(const struct http_faults *rules);
struct http_fault_set *http_fault_set_ref(struct http_fault_set *set);
void http_fault_set_unref(struct http_fault_set *set); /* NULL is fine */

#endif
