/* http_faults: faults are drawn from a seed and the number of the request, not from a clock or a
 * generator with a state. Errors and lost answers exclude one another and share a draw; the others
 * have one each. */
#include "common/http/server/http_faults.h"

#include "common/mem.h"
#include "common/mix.h"
#include "common/parse.h"

#include <fnmatch.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define DELAY_MAX_MS 600000
#define SLOW_MAX UINT64_C(1000000000000)

static enum cdn_status set_delay(struct http_faults *f, const json_t *v, struct cdn_error *err)
{
    int64_t ms;
    if (!json_is_string(v) || !cdn_parse_duration_ms(cdn_str(json_string_value(v)), &ms) || ms < 0 ||
        ms > DELAY_MAX_MS) {
        return cdn_error_set(err, CDN_INVALID, "faults: delay must be a time up to 10m, such as \"200ms\"");
    }
    f->delay_ms = ms;
    return CDN_OK;
}

static enum cdn_status set_rate(double *rate, const char *key, const json_t *v, struct cdn_error *err)
{
    if (!json_is_number(v) || json_number_value(v) < 0 || json_number_value(v) > 1) {
        return cdn_error_set(err, CDN_INVALID, "faults: %s must be a number from 0 to 1", key);
    }
    *rate = json_number_value(v);
    return CDN_OK;
}

static enum cdn_status set_status(struct http_faults *f, const json_t *v, struct cdn_error *err)
{
    if (!json_is_integer(v) || json_integer_value(v) < 400 || json_integer_value(v) > 599) {
        return cdn_error_set(err, CDN_INVALID, "faults: status must be a number from 400 to 599");
    }
    f->status = (unsigned)json_integer_value(v);
    return CDN_OK;
}

static enum cdn_status set_slow(struct http_faults *f, const json_t *v, struct cdn_error *err)
{
    uint64_t n = 0;
    if (json_is_integer(v) && json_integer_value(v) > 0) {
        n = (uint64_t)json_integer_value(v);
    } else if (json_is_string(v)) {
        (void)cdn_parse_size(cdn_str(json_string_value(v)), &n);
    }
    if (n < 1 || n > SLOW_MAX) {
        return cdn_error_set(err, CDN_INVALID,
                             "faults: slow must be bytes a second, such as \"64KiB\", at least 1");
    }
    f->slow = n;
    return CDN_OK;
}

static enum cdn_status set_paths(struct http_faults *f, const json_t *v, struct cdn_error *err)
{
    if (!json_is_string(v) || !cdn_str_copy(f->paths, sizeof(f->paths), cdn_str(json_string_value(v)))) {
        return cdn_error_set(err, CDN_INVALID, "faults: paths must be a pattern of up to 255 characters");
    }
    return CDN_OK;
}

static enum cdn_status set_flag(bool *flag, const char *key, const json_t *v, struct cdn_error *err)
{
    if (!json_is_boolean(v)) {
        return cdn_error_set(err, CDN_INVALID, "faults: %s must be true or false", key);
    }
    *flag = json_is_true(v);
    return CDN_OK;
}

static double *rate_of(struct http_faults *f, const char *key)
{
    return strcmp(key, "error_rate") == 0      ? &f->error_rate
           : strcmp(key, "drop_rate") == 0     ? &f->drop_rate
           : strcmp(key, "truncate_rate") == 0 ? &f->truncate_rate
           : strcmp(key, "corrupt_rate") == 0  ? &f->corrupt_rate
                                               : NULL;
}

static enum cdn_status set(struct http_faults *f, const char *key, const json_t *v, struct cdn_error *err)
{
    static const struct {
        const char *key;
        enum cdn_status (*set)(struct http_faults *f, const json_t *v, struct cdn_error *err);
    } rows[] = {{"delay", set_delay}, {"status", set_status}, {"slow", set_slow}, {"paths", set_paths}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        if (strcmp(key, rows[i].key) == 0) {
            return rows[i].set(f, v, err);
        }
    }
    double *rate = rate_of(f, key);
    if (rate) {
        return set_rate(rate, key, v, err);
    }
    if (strcmp(key, "refuse") == 0 || strcmp(key, "down") == 0) {
        return set_flag(key[0] == 'r' ? &f->refuse : &f->down, key, v, err);
    }
    if (strcmp(key, "seed") == 0 && json_is_integer(v) && json_integer_value(v) >= 0) {
        f->seed = (uint64_t)json_integer_value(v);
        return CDN_OK;
    }
    if (strcmp(key, "off") == 0 && json_is_boolean(v)) {
        f->active = f->active && !json_is_true(v);
        return CDN_OK;
    }
    return cdn_error_set(err, CDN_INVALID, "faults: bad key or value: %s", key);
}

enum cdn_status http_faults_parse(json_t *body, struct http_faults *ret, struct cdn_error *err)
{
    if (!json_is_object(body)) {
        return cdn_error_set(err, CDN_INVALID, "faults: a JSON object is needed");
    }
    struct http_faults f = {.active = true, .status = 503, .seed = 1};
    const char *key;
    json_t *value;
    json_object_foreach(body, key, value)
    {
        enum cdn_status s = set(&f, key, value, err);
        if (s != CDN_OK) {
            return s;
        }
    }
    if (f.error_rate + f.drop_rate > 1) {
        return cdn_error_set(err, CDN_INVALID, "faults: error_rate and drop_rate together exceed 1");
    }
    *ret = f;
    return CDN_OK;
}

json_t *http_faults_json(const struct http_faults *f)
{
    char delay[24];
    char slow[24];
    if (!f->active) {
        return json_pack("{s:b}", "off", 1);
    }
    cdn_format_duration_ms(f->delay_ms, delay);
    json_t *o = json_pack("{s:s, s:f, s:i, s:f, s:f, s:f, s:b, s:b, s:I, s:s}", "delay", delay, "error_rate",
                          f->error_rate, "status", (int)f->status, "drop_rate", f->drop_rate, "truncate_rate",
                          f->truncate_rate, "corrupt_rate", f->corrupt_rate, "refuse", f->refuse, "down",
                          f->down, "seed", (json_int_t)f->seed, "paths", f->paths);
    if (f->slow) {
        cdn_format_size(f->slow, slow);
        json_object_set_new(o, "slow", json_string(slow));
    }
    return o;
}

/* ---- one request ---- */

/* A number from 0 to 1 for the n-th request. */
static double chance(uint64_t seed, uint64_t n)
{
    return cdn_mix_unit(cdn_mix64(seed * CDN_MIX_STEP + n * UINT64_C(0xbf58476d1ce4e5b9) + 1));
}

static bool is_about(const struct http_faults *f, struct cdn_str path)
{
    if (!f->paths[0]) {
        return true;
    }
    CDN_AUTOFREE char *text = cdn_str_dup(path);
    return fnmatch(f->paths, text, 0) == 0;
}

struct http_fault_verdict http_faults_decide(const struct http_faults *f, struct cdn_str path,
                                             _Atomic uint64_t *counter)
{
    const struct http_fault_verdict none = {0};
    if (!f->active || !is_about(f, path)) {
        return none;
    }
    const uint64_t n = atomic_fetch_add(counter, 1);
    const double x = chance(f->seed, n);
    return (struct http_fault_verdict){
        .delay_ms = f->delay_ms,
        .drop = x < f->drop_rate,
        .status = x >= f->drop_rate && x < f->drop_rate + f->error_rate ? f->status : 0,
        .truncate = chance(~f->seed, 2 * n) < f->truncate_rate,
        .corrupt = chance(~f->seed, 2 * n + 1) < f->corrupt_rate,
        .slow = f->slow,
        .draw = cdn_mix64(f->seed ^ (n + 1) * CDN_MIX_STEP),
    };
}

/* ---- sets ---- */

struct http_fault_set *http_fault_set_create(const struct http_faults *rules)
{
    struct http_fault_set *set = cdn_calloc(1, sizeof(*set));
    set->owners = 1;
    set->rules = *rules;
    return set;
}

struct http_fault_set *http_fault_set_ref(struct http_fault_set *set)
{
    atomic_fetch_add(&set->owners, 1);
    return set;
}

void http_fault_set_unref(struct http_fault_set *set)
{
    if (set && atomic_fetch_sub(&set->owners, 1) == 1) {
        free(set);
    }
}
