/* fault: a name like "a-b-c" may be split at either dash, so all ways are tried, and the first that gives two
 * ends that exist is meant: nobody has to know which names have dashes. */
#include "wan/relay/fault.h"

#include "common/log.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "geo-data/places.h"

#include <string.h>

#include "common/banned.h"

#define DELAY_MAX_MS 60000
#define LOSS_MAX 0.9 /* with more nothing gets through, which `cut` says better */
#define RATE_LEAST 1000
#define NS_PER_MS INT64_C(1000000)

static const char *const directions[] = {
#define X(name, word) word,
    WAN_DIRECTIONS(X)
#undef X
};

/* ---- names ---- */

static enum cdn_status find_end(const struct wan_world *world, struct cdn_str name, struct wan_fault_end *ret,
                                struct cdn_error *err)
{
    struct geo_place place;
    name = cdn_str_trim(name);
    *ret = (struct wan_fault_end){.any = cdn_str_eq(name, CDN_STR("*"))};
    if (ret->any) {
        return CDN_OK;
    }
    ret->node = wan_world_node(world, name);
    enum cdn_status status = ret->node ? CDN_OK : geo_place_find(name, &place, err);
    if (!ret->node && status == CDN_OK) {
        ret->lat = place.lat;
        ret->lon = place.lon;
    }
    return status;
}

static enum cdn_status split_link(const struct wan_world *world, struct wan_fault *fault,
                                  struct cdn_error *err)
{
    struct cdn_str all = cdn_str(fault->link);
    struct cdn_error first = {0};
    for (size_t i = 1; i + 1 < all.n; i++) {
        struct cdn_error why = {0};
        if (all.p[i] != '-') {
            continue;
        }
        if (find_end(world, (struct cdn_str){all.p, i}, &fault->ends[0], &why) == CDN_OK &&
            find_end(world, cdn_str_sub(all, i + 1), &fault->ends[1], &why) == CDN_OK) {
            return CDN_OK;
        }
        first = first.text[0] ? first : why;
    }
    return cdn_error_set(err, CDN_INVALID, "faults: link '%s': %s", fault->link,
                         first.text[0] ? first.text
                                       : "two ends with a dash between them are meant, such as fra-origin, "
                                         "Tokyo-nrt or *-origin");
}

static bool end_matches(const struct wan_fault_end *wanted, const struct wan_end *end)
{
    return wanted->any || (wanted->node ? end->is_node && strcmp(end->name, wanted->node->end.name) == 0
                                        : wan_end_is_at(end, wanted->lat, wanted->lon));
}

/* ---- what POST /faults says ---- */

static enum cdn_status set_link(struct wan_fault *f, const json_t *v, struct cdn_error *err)
{
    if (!json_is_string(v) || !cdn_str_copy(f->link, sizeof(f->link), cdn_str(json_string_value(v)))) {
        return cdn_error_set(err, CDN_INVALID, "faults: link must be a name such as \"fra-origin\"");
    }
    return CDN_OK;
}

static enum cdn_status set_direction(struct wan_fault *f, const json_t *v, struct cdn_error *err)
{
    for (size_t i = 0; json_is_string(v) && i < CDN_ARRAY_LEN(directions); i++) {
        if (strcmp(json_string_value(v), directions[i]) == 0) {
            f->direction = (enum wan_direction)i;
            return CDN_OK;
        }
    }
    return cdn_error_set(err, CDN_INVALID, "faults: direction must be \"both\", \"there\" or \"back\"");
}

static enum cdn_status set_cut(struct wan_fault *f, const json_t *v, struct cdn_error *err)
{
    if (!json_is_boolean(v)) {
        return cdn_error_set(err, CDN_INVALID, "faults: cut must be true or false");
    }
    f->cut = json_is_true(v);
    return CDN_OK;
}

static enum cdn_status set_delay(struct wan_fault *f, const json_t *v, struct cdn_error *err)
{
    int64_t ms;
    if (!json_is_string(v) || !cdn_parse_duration_ms(cdn_str(json_string_value(v)), &ms) || ms < 0 ||
        ms > DELAY_MAX_MS) {
        return cdn_error_set(err, CDN_INVALID, "faults: delay must be a time up to 1m, such as \"200ms\"");
    }
    f->delay_ns = ms * NS_PER_MS;
    return CDN_OK;
}

static enum cdn_status set_loss(struct wan_fault *f, const json_t *v, struct cdn_error *err)
{
    if (!json_is_number(v) || json_number_value(v) < 0 || json_number_value(v) > LOSS_MAX) {
        return cdn_error_set(err, CDN_INVALID, "faults: loss must be a number from 0 to %.1f", LOSS_MAX);
    }
    f->loss = json_number_value(v);
    return CDN_OK;
}

static enum cdn_status set_rate(struct wan_fault *f, const json_t *v, struct cdn_error *err)
{
    uint64_t rate = json_is_integer(v) && json_integer_value(v) > 0 ? (uint64_t)json_integer_value(v) : 0;
    bool known = rate || (json_is_string(v) && cdn_parse_size(cdn_str(json_string_value(v)), &rate));
    if (!known || rate < RATE_LEAST || rate > INT64_MAX / 2) {
        return cdn_error_set(err, CDN_INVALID,
                             "faults: rate must be bytes a second from %d on, such as \"1MiB\"", RATE_LEAST);
    }
    f->rate = (int64_t)rate;
    return CDN_OK;
}

static enum cdn_status set_seed(struct wan_fault *f, const json_t *v, struct cdn_error *err)
{
    if (!json_is_integer(v) || json_integer_value(v) < 0) {
        return cdn_error_set(err, CDN_INVALID, "faults: seed must be a whole number");
    }
    f->seed = (uint64_t)json_integer_value(v);
    return CDN_OK;
}

static const struct {
    const char *key;
    enum cdn_status (*set)(struct wan_fault *f, const json_t *v, struct cdn_error *err);
} keys[] = {{"link", set_link}, {"direction", set_direction}, {"cut", set_cut},  {"delay", set_delay},
            {"loss", set_loss}, {"rate", set_rate},           {"seed", set_seed}};

static enum cdn_status set(struct wan_fault *f, bool *off, const char *key, const json_t *v,
                           struct cdn_error *err)
{
    if (strcmp(key, "off") == 0 && json_is_boolean(v)) {
        *off = json_is_true(v);
        return CDN_OK;
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(keys); i++) {
        if (strcmp(key, keys[i].key) == 0) {
            return keys[i].set(f, v, err);
        }
    }
    return cdn_error_set(err, CDN_INVALID,
                         "faults: unknown key \"%.64s\" (link, direction, cut, delay, loss, rate, seed, off)",
                         key);
}

static bool same_fault_end(const struct wan_fault_end *a, const struct wan_fault_end *b)
{
    return a->any == b->any && a->node == b->node &&
           (a->any || a->node ||
            (a->lat <= b->lat && a->lat >= b->lat && a->lon <= b->lon && a->lon >= b->lon));
}

/* Takes the link's faults away: of all directions, or of the same one. */
static void take_away(struct wan_faults *faults, const struct wan_fault *like, bool all_directions)
{
    size_t kept = 0;
    for (size_t i = 0; i < faults->n; i++) {
        const struct wan_fault *f = &faults->items[i];
        bool same = same_fault_end(&f->ends[0], &like->ends[0]) &&
                    same_fault_end(&f->ends[1], &like->ends[1]) &&
                    (all_directions || f->direction == like->direction);
        if (!same) {
            faults->items[kept++] = *f;
        }
    }
    faults->n = kept;
}

static bool does_something(const struct wan_fault *f)
{
    return f->cut || f->delay_ns || f->loss > 0 || f->rate;
}

enum cdn_status wan_faults_change(struct wan_faults *faults, const struct wan_world *world, json_t *body,
                                  struct cdn_error *err)
{
    struct wan_fault f = {.seed = 0};
    bool off = false;
    const char *key;
    json_t *value;
    enum cdn_status status = CDN_OK;
    if (!json_is_object(body)) {
        return cdn_error_set(err, CDN_INVALID, "faults: a JSON object is needed");
    }
    json_object_foreach(body, key, value)
    {
        status = set(&f, &off, key, value, err);
        if (status != CDN_OK) {
            return status;
        }
    }
    if (off && !f.link[0]) {
        faults->n = 0;
        return CDN_OK;
    }
    status = split_link(world, &f, err);
    if (status != CDN_OK) {
        return status;
    }
    if (!off && !does_something(&f)) {
        return cdn_error_set(err, CDN_INVALID,
                             "faults: link '%s': what is wrong with it? cut, delay, loss or rate", f.link);
    }
    take_away(faults, &f, off && f.direction == WAN_BOTH);
    if (!off && faults->n == WAN_FAULTS_MAX) {
        return cdn_error_set(err, CDN_TOO_LARGE, "faults: more than %u", WAN_FAULTS_MAX);
    }
    if (!off) {
        faults->items[faults->n++] = f;
    }
    return CDN_OK;
}

void wan_faults_move(struct wan_faults *faults, const struct wan_world *to)
{
    size_t n = 0;
    for (size_t i = 0; i < faults->n; i++) {
        struct wan_fault f = faults->items[i];
        struct cdn_error err;
        if (split_link(to, &f, &err) == CDN_OK) {
            faults->items[n++] = f;
        } else {
            cdn_log(CDN_LOG_WARN, "fault_lost", "link=%s error=%s", f.link, err.text);
        }
    }
    faults->n = n;
}

json_t *wan_faults_json(const struct wan_faults *faults)
{
    json_t *all = json_array();
    for (size_t i = 0; i < faults->n; i++) {
        const struct wan_fault *f = &faults->items[i];
        char delay[24];
        cdn_format_duration_ms(f->delay_ns / NS_PER_MS, delay);
        json_t *one = json_pack("{s:s, s:s, s:b}", "link", f->link, "direction", directions[f->direction],
                                "cut", f->cut);
        json_object_set_new(one, "delay", json_string(delay));
        json_object_set_new(one, "loss", json_real(f->loss));
        json_object_set_new(one, "rate", f->rate ? json_integer((json_int_t)f->rate) : json_null());
        json_object_set_new(one, "seed", json_integer((json_int_t)f->seed));
        json_array_append_new(all, one);
    }
    return all;
}

/* ---- applying ---- */

/* One direction, and what the other one knows of it as the way of its acknowledgements. */
static void worsen(const struct wan_fault *f, int64_t delay_ns, struct wan_path *path, struct wan_path *other)
{
    path->cut |= f->cut;
    other->acks_cut |= f->cut;
    path->there_ns += delay_ns;
    other->back_ns += delay_ns;
    path->loss = 1 - (1 - path->loss) * (1 - f->loss);
    if (f->rate && (!path->bytes_per_s || f->rate < path->bytes_per_s)) {
        path->bytes_per_s = f->rate;
    }
}

uint64_t wan_faults_apply(const struct wan_faults *faults, const struct wan_end *from,
                          const struct wan_end *to, struct wan_path *there, struct wan_path *back)
{
    uint64_t seed = 0;
    for (size_t i = 0; i < faults->n; i++) {
        const struct wan_fault *f = &faults->items[i];
        bool as_named = end_matches(&f->ends[0], from) && end_matches(&f->ends[1], to);
        if (!as_named && !(end_matches(&f->ends[0], to) && end_matches(&f->ends[1], from))) {
            continue;
        }
        struct wan_path *first = as_named ? there : back, *second = as_named ? back : there;
        seed += f->seed;
        int64_t delay_ns = f->direction == WAN_BOTH ? f->delay_ns / 2 : f->delay_ns;
        if (f->direction != WAN_BACK) {
            worsen(f, delay_ns, first, second);
        }
        if (f->direction != WAN_THERE) {
            worsen(f, delay_ns, second, first);
        }
    }
    return seed;
}
