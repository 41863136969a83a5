/* compare_run: one side of a comparison, from who and where to the last request. The model is computed before
 * anything starts, so that a place that is none costs nobody a CDN. */
#include "cli/base/options.h"
#include "cli/base/terminal.h"
#include "cli/compare/compare_private.h"
#include "cli/compare/model/comparison.h"
#include "cli/compare/model/series.h"
#include "cli/compare/model/world.h"
#include "cli/compare/run/run.h"
#include "cli/compare/run/target.h"
#include "cli/compare/stats/summary.h"
#include "cli/run/own_cdn.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

#define WARMUP_REQUESTS 20u /* at each place */
#define BAR 30u

volatile int compare_interrupted;

struct progress {
    bool shown;
    struct terminal terminal;
};

static void tick(void *ctx, const char *what, double done)
{
    const struct progress *progress = ctx;
    char bar[BAR + 1];
    if (!progress->shown) {
        return;
    }
    for (unsigned i = 0; i < BAR; i++) {
        bar[i] = done * BAR > i ? '#' : '.';
    }
    bar[BAR] = '\0';
    fprintf(stderr, "\r%-12.40s [%s] %3.0f %%", what, bar, 100 * done);
}

static void clear(const struct progress *progress)
{
    if (progress->shown) {
        fprintf(stderr, "\r%*s\r", 64, "");
    }
}

static const char *path_of(const char *url)
{
    const char *slashes = url ? strstr(url, "://") : NULL, *path = slashes ? strchr(slashes + 3, '/') : url;
    return slashes && !path ? "/" : path;
}

static enum cdn_status outages(const struct compare_options *options, const struct target *target,
                               struct run *run, struct cdn_error *err)
{
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < options->kill.n && status == CDN_OK; i++) {
        struct target_outage outage;
        status = target_outage_read(target, options->kill.items[i], &outage, err);
        if (status == CDN_OK) {
            status = run_outage(run, outage.what, target_down, target_up, &outage, err);
        }
    }
    return status;
}

/* What the origin saw that was not sent straight to it. */
static void take_offload(struct comparison *c, uint64_t requests, uint64_t bytes)
{
    uint64_t direct = 0;
    for (size_t city = 0; city < c->world.n; city++) {
        direct += comparison_samples(c, city, series_of(VISIT_DIRECT, false))->n;
        direct += comparison_samples(c, city, series_of(VISIT_DIRECT, true))->n;
    }
    const uint64_t direct_bytes = direct * c->body_bytes;
    c->traffic.origin_requests = requests > direct ? requests - direct : 0;
    c->traffic.origin_bytes = bytes > direct_bytes ? bytes - direct_bytes : 0;
}

static enum cdn_status visits(struct comparison *c, const struct target *target, struct run *run,
                              struct cdn_error *err)
{
    uint64_t requests[2] = {0}, bytes[2] = {0};
    bool known = target_origin_served(target, &requests[0], &bytes[0]);
    enum cdn_status status = run_visits(run, WARMUP_REQUESTS, err);
    if (status == CDN_OK && known && target_origin_served(target, &requests[1], &bytes[1])) {
        take_offload(c, requests[1] - requests[0], bytes[1] - bytes[0]);
    } else {
        c->traffic.origin_requests = c->traffic.misses + c->traffic.others;
        c->traffic.origin_bytes = c->traffic.miss_bytes;
    }
    return status;
}

/* Files that are there already have sizes of their own: the first is what all series ask for, the others are
 * asked for as the other sizes are. */
static enum cdn_status probe(const struct compare_options *options, const struct target *target,
                             struct run *run, struct comparison *c, struct cdn_error *err)
{
    enum cdn_status status = run_probe(run, target->path, &c->body_bytes, err);
    for (size_t i = 1; i < options->url.n && status == CDN_OK; i++) {
        struct sweep_row *row = &c->sizes[i - 1];
        *row = (struct sweep_row){.path = cdn_strdup(path_of(options->url.items[i]))};
        c->size_count = i;
        status = run_probe(run, row->path, &row->bytes, err);
    }
    if (status == CDN_OK && options->url.n > 1) {
        run_take_paths(run);
    }
    return status == CDN_OK ? comparison_model(c, err) : status;
}

static enum cdn_status send_all(const struct compare_options *options, const struct target *target,
                                struct comparison *c, struct progress *progress, struct cdn_error *err)
{
    struct run_place place;
    struct run *run;
    target_place(target, &place);
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < options->kill.n && status == CDN_OK; i++) { /* said before, not after the visits */
        struct target_outage outage;
        status = target_outage_read(target, options->kill.items[i], &outage, err);
    }
    if (status == CDN_OK) {
        status = run_create(c, &place, &compare_interrupted, tick, progress, &run, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    c->sent = true;
    c->url = cdn_asprintf("%s://%s%s", place.scheme, target->site, target->path);
    int64_t began_ns = cdn_clock_mono_ns();
    status = probe(options, target, run, c, err);
    if (status == CDN_OK) {
        status = visits(c, target, run, err);
    }
    if (status == CDN_OK) {
        status = run_sweep(run, err);
    }
    if (status == CDN_OK) {
        status = outages(options, target, run, err);
    }
    c->run_s = (double)(cdn_clock_mono_ns() - began_ns) / 1e9;
    run_destroy(run);
    clear(progress);
    if (status == CDN_OK && c->errors && comparison_measured(c, series_of(VISIT_DIRECT, false)).n == 0) {
        status = cdn_error_set(err, CDN_NETWORK, "no request was answered; the first: %s", c->first_error);
    }
    return status;
}

static enum cdn_status model(const struct compare_options *options, const char *config,
                             const struct comparison *like, struct comparison *ret, struct cdn_error *err)
{
    *ret = (struct comparison){.body_bytes = like->body_bytes, .seed = like->seed, .runs = like->runs};
    ret->profile = cdn_strdup(like->profile);
    enum cdn_status status = compare_who(options, config, &ret->world, err);
    return status == CDN_OK ? comparison_model(ret, err) : status;
}

enum cdn_status compare_one(const struct compare_options *options, const char *config,
                            const struct comparison *like, struct comparison *ret, struct cdn_error *err)
{
    if (options->model) {
        return model(options, config, like, ret, err);
    }
    struct target target = {0};
    const struct target_wish wish = {.state = options->state,
                                     .config = config,
                                     .path = path_of(options->url.n ? options->url.items[0] : NULL),
                                     .seed = like->seed,
                                     .bytes = like->body_bytes,
                                     .own = options->own};
    struct progress progress = {.shown = !options->quiet && isatty(STDERR_FILENO)};
    struct comparison first = {0};
    enum cdn_status status =
        model(options, config, like, &first, err); /* bad words are told before it starts */
    comparison_free(&first);
    *ret = (struct comparison){0};
    if (status == CDN_OK) {
        tick(&progress, "CDN starts", 0);
        status = target_open(&wish, &compare_interrupted, &target, err);
    }
    if (status == CDN_OK) {
        status = model(options, target.config, like, ret, err);
        ret->own_cdn = target.own.folder != NULL;
    }
    if (status == CDN_OK) {
        status = send_all(options, &target, ret, &progress, err);
    }
    target_close(&target);
    clear(&progress);
    return status;
}

/* "http://HOST:PORT/path" in two; the host borrowed from `url`, ended by the slash. */
static bool split(const char *url, struct cdn_str *ret_host, const char **ret_path)
{
    struct cdn_str rest = cdn_str(url);
    if (!cdn_str_starts(rest, CDN_STR("http://"))) {
        return false;
    }
    rest = cdn_str_sub(rest, strlen("http://"));
    *ret_path = strchr(rest.p, '/');
    *ret_host = *ret_path ? (struct cdn_str){rest.p, (size_t)(*ret_path - rest.p)} : rest;
    *ret_path = *ret_path ? *ret_path : "/";
    return ret_host->n > 0;
}

static enum cdn_status ask_server(const struct compare_options *options, const struct target *target,
                                  const char *host, const char *path, struct comparison *c,
                                  struct cdn_error *err)
{
    struct progress progress = {.shown = !options->quiet && isatty(STDERR_FILENO)};
    struct run_place place;
    struct run *run;
    target_place(target, &place);
    place = (struct run_place){.socks = place.socks,
                               .scheme = "http",
                               .site = host,
                               .origin = host,
                               .router = host,
                               .path = path,
                               .foreign = true};
    enum cdn_status status = run_create(c, &place, &compare_interrupted, tick, &progress, &run, err);
    if (status != CDN_OK) {
        return status;
    }
    c->sent = true;
    status = run_visits(run, 0, err);
    run_destroy(run);
    clear(&progress);
    if (status == CDN_OK && comparison_measured(c, series_of(VISIT_DNS_WARM, false)).n == 0) {
        status = cdn_error_set(err, CDN_NETWORK, "no request was answered; the first: %s",
                               c->first_error ? c->first_error : "none");
    }
    return status;
}

enum cdn_status compare_url(const struct compare_options *options, const struct comparison *a,
                            struct comparison *ret, struct cdn_error *err)
{
    struct target target = {0};
    struct cdn_addr address;
    struct cdn_str host;
    const char *path;
    *ret = (struct comparison){0};
    if (!split(options->against, &host, &path) || !cdn_parse_host_port(host, &address)) {
        return cdn_error_set(err, CDN_USAGE, "'%s' is not http://ADDRESS:PORT/PATH", options->against);
    }
    const char *place = options->against_place ? options->against_place : a->world.origin.name;
    CDN_AUTOFREE char *server = cdn_str_dup(host), *allow = cdn_asprintf("%s=%s", server, place);
    const struct target_wish wish = {.seed = a->seed, .bytes = a->body_bytes, .own = true, .allow = allow};
    enum cdn_status status = model(options, options->config, a, ret, err);
    if (status == CDN_OK) {
        status = target_open(&wish, &compare_interrupted, &target, err);
    }
    if (status == CDN_OK) {
        status = ask_server(options, &target, server, path, ret, err);
    }
    target_close(&target);
    return status;
}
