/* origin: the daemon: opens what all workers share before the first of them starts, reloads by
 * posting values to their loops, and drains by asking each. No lock is held across threads, since
 * nothing shared changes. */
#include "origin/origin.h"

#include "common/admin_address.h"
#include "common/config/config.h"
#include "common/daemon/daemon.h"
#include "common/daemon/metrics.h"
#include "common/http/server/http_faults.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "geo-data/places.h"
#include "origin/base/path.h"
#include "origin/base/root.h"
#include "origin/files.h"
#include "origin/hash.h"
#include "origin/hash_file.h"
#include "origin/metrics.h"
#include "origin/mime.h"
#include "origin/release/table.h"
#include "origin/releases.h"
#include "origin/source.h"
#include "origin/worker.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

struct origin {
    int argc;
    char **argv;
    struct origin_settings settings;
    struct origin_shared shared;
    struct origin_root *root;         /* NULL: releases alone */
    struct origin_releases *releases; /* NULL: the folder alone */
    struct loop_timer look_timer;     /* at the releases */
    struct origin_mime *mime;
    struct origin_hash_file *hash_file;
    struct origin_hasher *hasher;
    struct origin_policy *policy;
    bool has_place;
    struct geo_place place;
    struct origin_worker *workers[64];
    size_t worker_count;
    struct daemon *daemon;
    struct cdn_addr address;
};

/* The lengths as a set for origin_path_is_hashed(). */
static enum cdn_status read_digits(const struct cdn_config_list *list, uint64_t *ret, struct cdn_error *err)
{
    *ret = 0;
    for (size_t i = 0; i < list->n; i++) {
        const struct cdn_config_entry *e = &list->items[i];
        uint64_t n;
        if (!cdn_parse_u64(cdn_str(e->key), &n) || n < ORIGIN_HASH_DIGITS_MIN || n > ORIGIN_HASH_DIGITS_MAX) {
            return cdn_error_set(err, CDN_INVALID,
                                 "%s: immutable_digits: \"%s\" is not a number from %d to %d", e->origin,
                                 e->key, ORIGIN_HASH_DIGITS_MIN, ORIGIN_HASH_DIGITS_MAX);
        }
        *ret |= UINT64_C(1) << (n - 1);
    }
    return CDN_OK;
}

static struct origin_policy *new_policy(const struct origin_settings *s)
{
    struct origin_policy *policy = cdn_calloc(1, sizeof(*policy));
    policy->owners = 1;
    policy->max_age_s = s->max_age / 1000;
    policy->immutable = s->immutable;
    (void)read_digits(&s->immutable_digits, &policy->hash_lengths, NULL); /* checked before */
    policy->listing = s->listing;
    policy->precompressed = s->precompressed;
    policy->access_log = s->access_log;
    (void)cdn_str_copy(policy->index, sizeof(policy->index), cdn_str(s->index));
    policy->trusted = cdn_calloc(s->trusted_proxies.n + 1, sizeof(*policy->trusted));
    for (size_t i = 0; i < s->trusted_proxies.n; i++) { /* networks, as common/config has checked */
        policy->trust.count +=
            cdn_parse_cidr(cdn_str(s->trusted_proxies.items[i].key), &policy->trusted[policy->trust.count]);
    }
    policy->trust.proxies = policy->trusted;
    return policy;
}

static enum cdn_status check_settings(const struct origin_settings *s, struct cdn_error *err)
{
    if (!s->root[0] && !s->releases[0]) {
        return cdn_error_set(err, CDN_USAGE, "--root: a folder to serve is needed, or --releases");
    }
    if (strchr(s->index, '/') || s->index[0] == '.') {
        return cdn_error_set(err, CDN_INVALID, "index: %s is not the name of a visible file", s->index);
    }
    uint64_t lengths;
    return read_digits(&s->immutable_digits, &lengths, err);
}

/* ---- releases ---- */

static struct origin_releases_limits limits_of(const struct origin_settings *s)
{
    struct origin_releases_limits limits;
    memset(&limits, 0, sizeof(limits)); /* compared as bytes */
    (void)read_digits(&s->immutable_digits, &limits.lengths, NULL);
    limits.keep = s->keep_releases;
    limits.keep_ms = s->keep_age;
    return limits;
}

/* `limits` NULL: as before. */
static void look_at_releases(struct origin *origin, const struct origin_releases_limits *limits)
{
    if (!origin->releases || !origin_releases_look(origin->releases, limits)) {
        return;
    }
    for (size_t i = 0; i < origin->worker_count; i++) {
        origin_worker_post_table(origin->workers[i],
                                 release_table_ref(origin_releases_table(origin->releases)));
    }
}

static void on_look(struct loop_timer *timer)
{
    struct origin *origin = CDN_CONTAINER_OF(timer, struct origin, look_timer);
    look_at_releases(origin, NULL);
    loop_timer_start(daemon_loop(origin->daemon), timer, ORIGIN_RELEASES_LOOK_NS);
}

/* What every worker has by now. */
static void find_serving(const struct origin *origin, uint64_t *ret_current, uint64_t *ret_newest)
{
    *ret_current = *ret_newest = UINT64_MAX;
    for (size_t i = 0; i < origin->worker_count; i++) {
        uint64_t current, newest;
        origin_worker_release(origin->workers[i], &current, &newest);
        *ret_current = current < *ret_current ? current : *ret_current;
        *ret_newest = newest < *ret_newest ? newest : *ret_newest;
    }
}

/* ---- what the daemon asks for ---- */

static void sum_metrics(const struct origin *origin, uint64_t values[static ORIGIN_METRIC_COUNT])
{
    memset(values, 0, ORIGIN_METRIC_COUNT * sizeof(*values));
    for (size_t i = 0; i < origin->worker_count; i++) {
        cdn_metrics_sum(origin_worker_metrics(origin->workers[i]), values, ORIGIN_METRIC_COUNT);
    }
}

static void give_metrics(void *self, struct cdn_buf *out)
{
    uint64_t values[ORIGIN_METRIC_COUNT];
    sum_metrics(self, values);
    cdn_metrics_prometheus("pocketcdn_origin_", origin_metric_rows, values, ORIGIN_METRIC_COUNT, out);
}

static void give_status(void *self, json_t *into)
{
    const struct origin *origin = self;
    char listen[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format(&origin->address, listen);
    json_object_set_new(into, "root", json_string(origin->settings.root));
    json_object_set_new(into, "listen", json_string(listen));
    json_object_set_new(into, "threads", json_integer((json_int_t)origin->worker_count));
    json_object_set_new(into, "max_age_s", json_integer(origin->policy->max_age_s));
    if (origin->has_place) {
        CDN_AUTOFREE char *name = cdn_str_dup(origin->place.name);
        json_object_set_new(
            into, "place",
            json_pack("{s:s, s:f, s:f}", "name", name, "lat", origin->place.lat, "lon", origin->place.lon));
    }
    uint64_t values[ORIGIN_METRIC_COUNT];
    sum_metrics(origin, values);
    json_t *metrics = json_object();
    cdn_metrics_json(origin_metric_rows, values, ORIGIN_METRIC_COUNT, metrics);
    json_object_set_new(into, "metrics", metrics);
    if (origin->releases) {
        uint64_t current, newest;
        find_serving(origin, &current, &newest);
        json_t *report = origin_releases_json(origin->releases);
        json_object_set_new(report, "serving", json_integer((json_int_t)current));
        json_object_set_new(report, "newest", json_integer((json_int_t)newest));
        json_object_set_new(report, "index", json_string(origin->policy->index));
        json_object_set_new(into, "releases", report);
    }
}

static enum cdn_status load_next(struct origin *origin, struct origin_settings *next, struct cdn_error *err)
{
    enum cdn_config_outcome outcome;
    enum cdn_status status =
        cdn_config_load(&origin_program, origin->argc, origin->argv, next, &outcome, NULL, NULL, err);
    if (status != CDN_OK) {
        return status;
    }
    status = check_settings(next, err);
    if (status == CDN_OK) {
        status = cdn_config_can_reload(&origin_program, &origin->settings, next, err);
    }
    if (status != CDN_OK) {
        cdn_config_free(&origin_program, next);
    }
    return status;
}

static enum cdn_status reload(void *self, struct cdn_error *err)
{
    struct origin *origin = self;
    struct origin_settings next = {0};
    enum cdn_status status = load_next(origin, &next, err);
    if (status != CDN_OK) {
        return status;
    }
    cdn_log_set_level((enum cdn_log_level)next.log_level);
    origin_policy_unref(origin->policy);
    origin->policy = new_policy(&next);
    const struct origin_releases_limits limits = limits_of(&next);
    look_at_releases(origin, &limits);
    cdn_config_free(&origin_program, &next); /* the rest cannot differ, and others hold pointers into it */
    for (size_t i = 0; i < origin->worker_count; i++) {
        atomic_fetch_add(&origin->policy->owners, 1);
        origin_worker_post_policy(origin->workers[i], origin->policy);
    }
    return CDN_OK;
}

static void disturb(void *self, struct http_fault_set *set)
{
    struct origin *origin = self;
    for (size_t i = 0; i < origin->worker_count; i++) {
        origin_worker_disturb(origin->workers[i], set);
    }
}

static void drain(void *self)
{
    struct origin *origin = self;
    for (size_t i = 0; i < origin->worker_count; i++) {
        origin_worker_drain(origin->workers[i]);
    }
}

static bool drained(void *self)
{
    const struct origin *origin = self;
    for (size_t i = 0; i < origin->worker_count; i++) {
        if (!origin_worker_is_drained(origin->workers[i])) {
            return false;
        }
    }
    return true;
}

/* ---- life ---- */

static enum cdn_status open_data(struct origin *origin, struct cdn_error *err)
{
    const struct origin_settings *s = &origin->settings;
    enum cdn_status status = check_settings(s, err);
    if (status == CDN_OK && s->place[0]) {
        struct cdn_error why;
        origin->has_place = true;
        status = geo_place_find(cdn_str(s->place), &origin->place, &why);
        if (status != CDN_OK) {
            return cdn_error_set(err, CDN_INVALID, "place: %s", why.text);
        }
    }
    if (status == CDN_OK && s->root[0]) {
        status = origin_root_open(s->root, &origin->root, err);
    }
    if (status == CDN_OK && s->releases[0]) {
        const struct origin_releases_limits limits = limits_of(s);
        status = origin_releases_open(s->releases, &limits, &origin->releases, err);
    }
    if (status == CDN_OK) {
        status = origin_mime_load(s->mime_types, &origin->mime, err);
    }
    if (status == CDN_OK && s->state[0]) {
        status = origin_hash_file_open(s->state, &origin->hash_file, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    origin->hasher = origin_hasher_create(origin->hash_file);
    origin->policy = new_policy(s);
    origin->shared.settings = s;
    origin->shared.sources.root = origin->root;
    if (origin->releases) {
        origin->shared.sources.blobs = origin_releases_blobs(origin->releases);
        origin->shared.sources.table = origin_releases_table(origin->releases);
    }
    origin->shared.mime = origin->mime;
    origin->shared.hasher = origin->hasher;
    origin->shared.connections =
        daemon_client_connections((unsigned)s->max_connections, (unsigned)s->threads);
    return CDN_OK;
}

static enum cdn_status open_workers(struct origin *origin, struct cdn_error *err)
{
    if (!cdn_parse_host_port(cdn_str(origin->settings.listen), &origin->address)) {
        return cdn_error_set(err, CDN_INVALID, "listen: %s is not HOST:PORT", origin->settings.listen);
    }
    for (size_t i = 0; i < origin->settings.threads; i++) {
        struct origin_worker **worker = &origin->workers[i];
        enum cdn_status status =
            origin_worker_create(&origin->shared, origin->policy, &origin->address, i > 0, worker, err);
        if (status != CDN_OK) {
            return status;
        }
        origin->worker_count++;
        origin_worker_address(*worker, &origin->address);
    }
    return CDN_OK;
}

static enum cdn_status open_daemon(struct origin *origin, struct cdn_error *err)
{
    char admin[CDN_ADDR_TEXT_SIZE];
    static const struct daemon_route none[] = {{0}};
    cdn_admin_address(origin->settings.admin, origin->settings.listen, admin);
    const struct daemon_config config = {
        .program = origin_program.name,
        .admin_listen = admin,
        .admin_token = origin->settings.admin_token,
        .simulate = origin->settings.simulate,
        .routes = none,
        .self = origin,
        .metrics = give_metrics,
        .status = give_status,
        .reload = reload,
        .disturb = disturb,
        .drain = drain,
        .drained = drained,
    };
    return daemon_create(&config, &origin->daemon, err);
}

enum cdn_status origin_create(struct origin_settings *take, int argc, char **argv, struct origin **ret,
                              struct cdn_error *err)
{
    struct origin *origin = cdn_calloc(1, sizeof(*origin));
    origin->argc = argc;
    origin->argv = argv;
    origin->settings = *take;
    memset(take, 0, sizeof(*take));
    enum cdn_status status = open_data(origin, err);
    if (status == CDN_OK) {
        status = open_workers(origin, err);
    }
    if (status == CDN_OK) {
        status = open_daemon(origin, err);
    }
    if (status != CDN_OK) {
        origin_destroy(origin);
        return status;
    }
    *ret = origin;
    return CDN_OK;
}

enum cdn_status origin_run(struct origin *origin, struct cdn_error *err)
{
    /* after daemon_create, which blocked the signals that only its loop may take */
    enum cdn_status status = origin_hasher_start(origin->hasher, err);
    for (size_t i = 0; i < origin->worker_count && status == CDN_OK; i++) {
        status = origin_worker_start(origin->workers[i], err);
    }
    if (status == CDN_OK) {
        if (origin->releases) {
            origin->look_timer.fire = on_look;
            loop_timer_start(daemon_loop(origin->daemon), &origin->look_timer, ORIGIN_RELEASES_LOOK_NS);
        }
        daemon_run(origin->daemon, &origin->address);
        loop_timer_stop(daemon_loop(origin->daemon), &origin->look_timer);
    }
    return status;
}

void origin_destroy(struct origin *origin)
{
    if (!origin) {
        return;
    }
    daemon_destroy(origin->daemon);
    origin_hasher_destroy(origin->hasher); /* first: what waits for it is told */
    for (size_t i = 0; i < origin->worker_count; i++) {
        origin_worker_stop(origin->workers[i]);
        origin_worker_destroy(origin->workers[i]);
    }
    origin_hash_file_close(origin->hash_file);
    origin_policy_unref(origin->policy);
    origin_mime_destroy(origin->mime);
    origin_releases_close(origin->releases);
    origin_root_close(origin->root);
    cdn_config_free(&origin_program, &origin->settings);
    free(origin);
}
