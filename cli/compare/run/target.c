/* target: see the header. The files of a CDN of our own are noise from the seed, so that nothing on the way
 * can make them smaller, and as large as the sizes that the model sweeps over. */
#include "cli/compare/run/target.h"

#include "cli/run/control.h"
#include "cli/run/state.h"
#include "cli/travel/network.h"
#include "common/clock.h"
#include "common/http/syntax/http_percent.h"
#include "common/mem.h"
#include "common/mix.h"
#include "common/str.h"
#include "router/base/settings.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/banned.h"

#define FOLDER "compare"
#define FRESH "1d" /* no warm file gets old while it is asked for */
#define FILES_LOOKED_AT 10000u
#define SYNC_LIMIT_MS 15000
#define SYNC_POLL_NS 50000000L

static json_t *node_of_kind(const json_t *cdn, const char *kind)
{
    json_t *node;
    size_t i;
    json_array_foreach(json_object_get(cdn, "nodes"), i, node)
    {
        if (strcmp(control_text(node, "kind"), kind) == 0) {
            return node;
        }
    }
    return NULL;
}

/* ---- files ---- */

static enum cdn_status write_file(const char *path, uint64_t bytes, uint64_t seed, struct cdn_error *err)
{
    FILE *file = fopen(path, "we");
    uint64_t state = cdn_mix64(seed ^ bytes);
    for (uint64_t left = bytes; file && left > 0;) {
        uint64_t noise[128];
        size_t n = left < sizeof(noise) ? (size_t)left : sizeof(noise);
        for (size_t i = 0; i < CDN_ARRAY_LEN(noise); i++) {
            noise[i] = cdn_mix_next(&state);
        }
        if (fwrite(noise, 1, n, file) != n) {
            break;
        }
        left -= n;
    }
    bool bad = !file || ferror(file);
    if ((file && fclose(file)) || bad) {
        return cdn_error_set(err, CDN_IO, "cannot write %s: %s", path, strerror(errno));
    }
    return CDN_OK;
}

/* Writes the file of this size and returns its path in URLs. */
static enum cdn_status add_file(const struct target *target, uint64_t bytes, uint64_t seed, char **ret,
                                struct cdn_error *err)
{
    CDN_AUTOFREE char *path =
        cdn_asprintf("%s/" FOLDER "/%llu.bin", target->own.root, (unsigned long long)bytes);
    enum cdn_status status = write_file(path, bytes, seed, err);
    if (status == CDN_OK) {
        *ret = cdn_asprintf("/" FOLDER "/%llu.bin", (unsigned long long)bytes);
    }
    return status;
}

static enum cdn_status make_files(struct target *target, const struct target_wish *wish,
                                  struct cdn_error *err)
{
    CDN_AUTOFREE char *folder = cdn_asprintf("%s/" FOLDER, target->own.root);
    if (mkdir(folder, 0700)) {
        return cdn_error_set(err, CDN_IO, "%s: %s", folder, strerror(errno));
    }
    enum cdn_status status = add_file(target, wish->bytes, wish->seed, &target->path, err);
    for (size_t i = 0; i < COMPARISON_SIZES_MAX && comparison_size(i) && status == CDN_OK; i++) {
        status = add_file(target, comparison_size(i), wish->seed, &target->size_paths[i], err);
    }
    target->small_path = cdn_strdup(target->size_paths[0]);
    return status;
}

struct search { /* for the file whose size is nearest to one */
    const char *root;
    uint64_t bytes, off;
    unsigned left;
    char *found; /* below root, "" for none */
};
static _Thread_local struct search *search; /* nftw gives no argument */

static int look_at(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    const char *name = path + walk->base;
    uint64_t size = (uint64_t)info->st_size;
    uint64_t off = size > search->bytes ? size - search->bytes : search->bytes - size;
    if (type == FTW_F && S_ISREG(info->st_mode) && name[0] != '.' && off < search->off) {
        search->off = off;
        free(search->found);
        search->found = cdn_strdup(path + strlen(search->root));
    }
    return search->left-- == 0;
}

/* A file of the folder that the origin of ours serves, as near to `bytes` as there is; "/" for others. */
static char *target_choose_path(const struct target *target, uint64_t bytes)
{
    const json_t *origin = node_of_kind(target->cdn, "origin");
    struct search s = {.bytes = bytes, .off = UINT64_MAX, .left = FILES_LOOKED_AT};
    CDN_AUTOBUF struct cdn_buf path = {0};
    struct cdn_error none;
    json_t *report = NULL;
    if (origin && !json_is_true(json_object_get(origin, "external")) &&
        control_ask(origin, "GET", "/status", NULL, &report, &none) == CDN_OK) {
        s.root = control_text(report, "root");
        search = &s;
        if (s.root[0]) {
            (void)nftw(s.root, look_at, 16, FTW_PHYS);
        }
    }
    struct cdn_str rest = cdn_str(s.found ? s.found : "/");
    while (rest.p) {
        struct cdn_str part = cdn_str_cut(&rest, '/');
        http_percent_encode(part, http_percent_is_unreserved, &path);
        cdn_buf_add_str(&path, rest.p ? CDN_STR("/") : CDN_STR(""));
    }
    json_decref(report);
    free(s.found);
    return cdn_strdup(path.n && path.p[0] == '/' ? path.p : "/");
}

/* ---- the CDN ---- */

static enum cdn_status start_own(struct target *target, const struct target_wish *wish,
                                 const volatile int *interrupted, struct cdn_error *err)
{
    enum cdn_status status = own_cdn_begin("compare", &target->own, err);
    struct own_cdn_wish own = {.config = wish->config, .wan = true, .allow = wish->allow, .max_age = FRESH};
    if (status == CDN_OK && (!wish->config || !wish->path)) {
        status = make_files(target, wish, err);
        own.root = target->own.root;
    }
    if (status == CDN_OK) {
        status = own_cdn_start(&target->own, &own, interrupted, err);
    }
    if (status == CDN_OK) {
        target->cdn = json_incref(target->own.is);
    }
    return status;
}

/* One that runs there and has the network; CDN_NOT_FOUND otherwise. */
static enum cdn_status use_running(struct target *target, const struct target_wish *wish,
                                   struct cdn_error *err)
{
    const struct control_where where = {.state = wish->state};
    json_t *cdn = NULL, *wan = NULL;
    CDN_AUTOFREE char *folder = NULL;
    enum cdn_status status = state_path(wish->state, &folder, err);
    if (status == CDN_OK && !wish->state) { /* no guess by address: only what `up` wrote counts */
        status = state_read(folder, &cdn, err);
        json_decref(cdn);
    }
    if (status == CDN_OK) {
        status = network_open(&where, &cdn, &wan, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    target->cdn = cdn;
    target->path = wish->path ? NULL : target_choose_path(target, wish->bytes);
    return CDN_OK;
}

static enum cdn_status read_names(struct target *target, struct cdn_error *err)
{
    struct router_config config = {0};
    enum cdn_status status = router_config_read(target->config, &config, err);
    if (status == CDN_OK) {
        struct cdn_str zone = cdn_str(config.settings.dns_zone);
        zone.n -= zone.n && zone.p[zone.n - 1] == '.';
        target->site = cdn_asprintf("%s." CDN_STR_FMT, config.settings.dns_name, CDN_STR_ARG(zone));
        target->origin = cdn_asprintf("origin." CDN_STR_FMT, CDN_STR_ARG(zone));
        target->router = cdn_asprintf("router." CDN_STR_FMT, CDN_STR_ARG(zone));
    }
    router_config_free(&config);
    return status;
}

static bool is_synced(const json_t *edge)
{
    struct cdn_error none;
    json_t *report;
    if (control_ask(edge, "GET", "/status", NULL, &report, &none) != CDN_OK) {
        return false;
    }
    bool synced = !json_is_true(json_object_get(report, "unsynced"));
    json_decref(report);
    return synced;
}

/* An edge that has not read the purge log yet, which may be half a second away, revalidates what it has. One
 * that does not get there is compared as it is. */
static void wait_until_synced(const struct target *target, const volatile int *interrupted)
{
    const struct timespec pause = {.tv_nsec = SYNC_POLL_NS};
    const int64_t until_ms = cdn_clock_mono_ms() + SYNC_LIMIT_MS;
    json_t *node;
    size_t i;
    json_array_foreach(json_object_get(target->cdn, "nodes"), i, node)
    {
        while (strcmp(control_text(node, "kind"), "edge") == 0 && !is_synced(node) && !*interrupted &&
               cdn_clock_mono_ms() < until_ms) {
            nanosleep(&pause, NULL);
        }
    }
}

enum cdn_status target_open(const struct target_wish *wish, const volatile int *interrupted,
                            struct target *ret, struct cdn_error *err)
{
    struct target target = {0};
    enum cdn_status status = CDN_NOT_FOUND;
    if (!wish->own && !wish->config) {
        status = use_running(&target, wish, err);
    }
    if (status == CDN_NOT_FOUND && !wish->state) {
        err->text[0] = '\0';
        status = start_own(&target, wish, interrupted, err);
    }
    if (status == CDN_OK) {
        const char *wan = control_text(network_of(target.cdn), "url"), *slashes = strstr(wan, "://");
        target.socks = cdn_strdup(slashes ? slashes + 3 : wan);
        target.config = cdn_strdup(control_text(target.cdn, "config"));
        status = read_names(&target, err);
        wait_until_synced(&target, interrupted);
    }
    if (wish->path) {
        free(target.path);
        target.path = cdn_strdup(wish->path);
    }
    *ret = target;
    return status;
}

void target_close(struct target *target)
{
    json_decref(target->cdn);
    free(target->config);
    free(target->socks);
    free(target->site);
    free(target->origin);
    free(target->router);
    free(target->path);
    free(target->small_path);
    for (size_t i = 0; i < COMPARISON_SIZES_MAX; i++) {
        free(target->size_paths[i]);
    }
    own_cdn_end(&target->own);
    *target = (struct target){0};
}

void target_place(const struct target *target, struct run_place *ret)
{
    const bool tls = strncmp(control_text(target->cdn, "router"), "https:", 6) == 0;
    *ret = (struct run_place){.socks = target->socks,
                              .scheme = tls ? "https" : "http",
                              .ca_file = tls ? control_text(target->cdn, "authority") : NULL,
                              .site = target->site,
                              .origin = target->origin,
                              .router = target->router,
                              .path = target->path,
                              .small_path = target->small_path};
    memcpy(ret->size_paths, target->size_paths, sizeof(ret->size_paths));
}

bool target_origin_served(const struct target *target, uint64_t *ret_requests, uint64_t *ret_bytes)
{
    const json_t *origin = node_of_kind(target->cdn, "origin");
    struct cdn_error none;
    json_t *report, *value;
    const char *key;
    if (!origin || json_is_true(json_object_get(origin, "external")) ||
        control_ask(origin, "GET", "/status", NULL, &report, &none) != CDN_OK) {
        return false;
    }
    json_t *metrics = json_object_get(report, "metrics");
    *ret_requests = 0;
    *ret_bytes = (uint64_t)json_number_value(json_object_get(metrics, "body_bytes_total"));
    json_object_foreach(metrics, key, value)
    {
        if (strncmp(key, "request_total", strlen("request_total")) == 0) {
            *ret_requests += (uint64_t)json_number_value(value);
        }
    }
    json_decref(report);
    return true;
}

/* ---- outages ---- */

enum cdn_status target_outage_read(const struct target *target, const char *text, struct target_outage *ret,
                                   struct cdn_error *err)
{
    struct cdn_str rest = cdn_str(text), kind = cdn_str_cut(&rest, ':');
    *ret = (struct target_outage){.target = target};
    if (cdn_str_eq(kind, CDN_STR("link")) && rest.n && cdn_str_copy(ret->link, sizeof(ret->link), rest)) {
        (void)snprintf(ret->what, sizeof(ret->what), "link %.60s is cut", ret->link);
        return CDN_OK;
    }
    bool is_origin = cdn_str_eq(kind, CDN_STR("origin")) && !rest.p;
    if (!is_origin && !(cdn_str_eq(kind, CDN_STR("edge")) && rest.n)) {
        return cdn_error_set(err, CDN_USAGE, "--kill: '%s' is not edge:NAME, origin or link:A-B", text);
    }
    if (!target->own.folder) {
        return cdn_error_set(
            err, CDN_REFUSED,
            "--kill %s: only processes of a CDN of compare's own are killed; for one that runs "
            "already take link:A-B",
            text);
    }
    enum cdn_status status = control_node(target->cdn, NULL, is_origin ? "origin" : rest.p, &ret->node, err);
    if (status != CDN_OK) {
        return cdn_error_prefix(err, "--kill");
    }
    (void)snprintf(ret->what, sizeof(ret->what), "%s is killed", control_text(ret->node, "name"));
    return CDN_OK;
}

static enum cdn_status set_link(const struct target_outage *outage, bool cut, struct cdn_error *err)
{
    json_t *answer = NULL, *fault = cut ? json_pack("{s:s, s:b}", "link", outage->link, "cut", 1)
                                        : json_pack("{s:s, s:b}", "link", outage->link, "off", 1);
    enum cdn_status status =
        control_ask(network_of(outage->target->cdn), "POST", "/faults", fault, &answer, err);
    json_decref(fault);
    json_decref(answer);
    return status;
}

/* `up` starts it again, as soon as it sees that it is gone. */
static enum cdn_status kill_node(const struct target_outage *outage, struct cdn_error *err)
{
    const char *name = control_text(outage->node, "name");
    json_t *now, *node;
    enum cdn_status status = state_read(outage->target->own.state, &now, err);
    if (status != CDN_OK) {
        return status;
    }
    status = control_node(now, NULL, name, &node, err);
    pid_t pid = status == CDN_OK ? (pid_t)json_integer_value(json_object_get(node, "pid")) : 0;
    if (status == CDN_OK && (pid <= 1 || kill(pid, SIGKILL))) {
        status = cdn_error_set(err, CDN_UNAVAILABLE, "--kill: %s has no process", name);
    }
    json_decref(now);
    return status;
}

enum cdn_status target_down(void *ctx, struct cdn_error *err)
{
    const struct target_outage *outage = ctx;
    return outage->link[0] ? set_link(outage, true, err) : kill_node(outage, err);
}

enum cdn_status target_up(void *ctx, struct cdn_error *err)
{
    const struct target_outage *outage = ctx;
    return outage->link[0] ? set_link(outage, false, err) : CDN_OK;
}
