/* faults: faults are drawn from a seed and the number of the request, not from a clock or a
 * generator with a state: so a test that asks a hundred times gets the same failures on every
 * machine. */
#include "origin/faults.h"

#include "common/mem.h"
#include "common/mix.h"
#include "common/parse.h"

#include <fnmatch.h>
#include <stdatomic.h>
#include <string.h>

#include "common/banned.h"

#define DELAY_MAX_MS 600000

static enum cdn_status set_delay(struct origin_faults *f, const json_t *v, struct cdn_error *err)
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

static enum cdn_status set_status(struct origin_faults *f, const json_t *v, struct cdn_error *err)
{
    if (!json_is_integer(v) || json_integer_value(v) < 400 || json_integer_value(v) > 599) {
        return cdn_error_set(err, CDN_INVALID, "faults: status must be a number from 400 to 599");
    }
    f->status = (unsigned)json_integer_value(v);
    return CDN_OK;
}

static enum cdn_status set_paths(struct origin_faults *f, const json_t *v, struct cdn_error *err)
{
    if (!json_is_string(v) || !cdn_str_copy(f->paths, sizeof(f->paths), cdn_str(json_string_value(v)))) {
        return cdn_error_set(err, CDN_INVALID, "faults: paths must be a pattern of up to 255 characters");
    }
    return CDN_OK;
}

static enum cdn_status set(struct origin_faults *f, const char *key, const json_t *v, struct cdn_error *err)
{
    if (strcmp(key, "delay") == 0) {
        return set_delay(f, v, err);
    }
    if (strcmp(key, "error_rate") == 0) {
        return set_rate(&f->error_rate, key, v, err);
    }
    if (strcmp(key, "drop_rate") == 0) {
        return set_rate(&f->drop_rate, key, v, err);
    }
    if (strcmp(key, "status") == 0) {
        return set_status(f, v, err);
    }
    if (strcmp(key, "paths") == 0) {
        return set_paths(f, v, err);
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

enum cdn_status origin_faults_parse(json_t *body, struct origin_faults *ret, struct cdn_error *err)
{
    if (!json_is_object(body)) {
        return cdn_error_set(err, CDN_INVALID, "faults: a JSON object is needed");
    }
    struct origin_faults f = {.active = true, .status = 503, .seed = 1};
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

json_t *origin_faults_json(const struct origin_faults *f)
{
    char delay[24];
    cdn_format_duration_ms(f->delay_ms, delay);
    return f->active ? json_pack("{s:s, s:f, s:i, s:f, s:I, s:s}", "delay", delay, "error_rate",
                                 f->error_rate, "status", (int)f->status, "drop_rate", f->drop_rate, "seed",
                                 (json_int_t)f->seed, "paths", f->paths)
                     : json_pack("{s:b}", "off", 1);
}

/* A number from 0 to 1 for the n-th request. */
static double chance(uint64_t seed, uint64_t n)
{
    return cdn_mix_unit(cdn_mix64(seed * CDN_MIX_STEP + n * UINT64_C(0xbf58476d1ce4e5b9) + 1));
}

struct origin_verdict origin_faults_decide(const struct origin_faults *f, struct cdn_str path,
                                           _Atomic uint64_t *counter)
{
    struct origin_verdict none = {0};
    if (!f->active) {
        return none;
    }
    if (f->paths[0]) {
        CDN_AUTOFREE char *text = cdn_str_dup(path);
        if (fnmatch(f->paths, text, 0) != 0) {
            return none;
        }
    }
    double x = chance(f->seed, atomic_fetch_add(counter, 1));
    return (struct origin_verdict){
        .delay_ms = f->delay_ms,
        .drop = x < f->drop_rate,
        .status = x >= f->drop_rate && x < f->drop_rate + f->error_rate ? f->status : 0,
    };
}
