/* edge: puts the parts together: shares out descriptors and memory, opens the parts in the order
 * in which they need one another, and decides nothing about requests. At the end the workers
 * close first, as what runs on them uses all else, and the store before the cache, which its
 * callbacks call. */
#include "edge/edge.h"

#include "common/config/config.h"
#include "common/daemon/daemon.h"
#include "common/daemon/metrics.h"
#include "common/http/client/http_client.h"
#include "common/http/server/http_head.h"
#include "common/http/server/http_server.h"
#include "common/http/server/tls_set.h"
#include "common/http/syntax/http_forwarded.h"
#include "common/http/syntax/http_server_check.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/rate.h"
#include "common/secret.h"
#include "common/str.h"
#include "edge/base/accept.h"
#include "edge/base/metrics.h"
#include "edge/base/tuning.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/control/admin.h"
#include "edge/control/certificate.h"
#include "edge/control/health.h"
#include "edge/control/sync.h"
#include "edge/log/access_log.h"
#include "edge/memory/budget.h"
#include "edge/memory/pages.h"
#include "edge/request/compress.h"
#include "edge/request/guarded.h"
#include "edge/request/hot.h"
#include "edge/request/queue.h"
#include "edge/request/request.h"
#include "edge/request/stall.h"
#include "edge/request/tunnel.h"
#include "edge/signed/signed.h"
#include "edge/site/guard.h"
#include "edge/site/origin.h"
#include "edge/site/site.h"
#include "edge/site/target.h"
#include "edge/store/store.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/banned.h"

/* Incomplete heads of a worker: not in the account, so a share of `memory` that is left beside it. */
#define HEADS_SHARE 16u
#define HEADS_MIN ((uint64_t)256 << 10)
#define HEADS_MAX ((uint64_t)32 << 20)
#define HOT_LIMIT 16384u
#define HOT_SHARE ((uint64_t)16 << 10) /* one ready answer a thread for so many bytes of `memory` */
#define QUEUE_MIN ((uint64_t)4 << 20)
#define QUEUE_MAX ((uint64_t)64 << 20)
#define SPARE_PAGES ((uint64_t)3 << 20)
#define SPARE_PAGES_LEAST ((uint64_t)1 << 20)
#define SWEEP_NS INT64_C(250000000)
#define SWEEP_SOON_NS INT64_C(25000000)
#define SWEEP_SLOTS 2048u
#define FEW_CLIENTS 1000u
#define RATE_CELLS 65536u /* networks of clients whose rates are known at a time: 512 KiB, once they came */

/* ---- descriptors ---- */

/* How many of the descriptors that this process may have each may take: a half for clients, an eighth for the
 * disk tier's open files, a quarter for the origin; the rest for bodies on their way from and to files. */
struct shares {
    unsigned clients, origin, tunnels; /* of one worker */
    unsigned disk;
};

static unsigned worker_count(const struct edge *edge)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return edge->settings.threads ? (unsigned)edge->settings.threads : (unsigned)(cores > 0 ? cores : 1);
}

static unsigned least(uint64_t a, uint64_t b)
{
    return (unsigned)(a < b ? a : b);
}

static struct shares share_descriptors(const struct edge *edge)
{
    const struct edge_settings *s = &edge->settings;
    const unsigned workers = worker_count(edge);
    const uint64_t rest = daemon_descriptors(workers);
    const uint64_t worker = rest / workers;
    return (struct shares){.clients = least(s->max_connections, http_server_limit_within(worker / 2)),
                           .origin = least(s->origin_connections, worker / 4 ? worker / 4 : 1),
                           .tunnels = worker / 16 ? (unsigned)(worker / 16) : 1,
                           .disk = least(256, rest / 8)};
}

static void tell_shares(const struct edge *edge)
{
    const struct shares share = share_descriptors(edge);
    struct rlimit files = {0};
    getrlimit(RLIMIT_NOFILE, &files);
    if (share.clients < edge->settings.max_connections || share.origin < edge->settings.origin_connections) {
        cdn_log(share.clients < FEW_CLIENTS ? CDN_LOG_WARN : CDN_LOG_INFO, "descriptors",
                "limit=%" PRIu64 " threads=%u connections=%u max_connections=%" PRIu64
                " to_origin=%u origin_connections=%" PRIu64,
                files.rlim_cur, edge->worker_count, share.clients, (uint64_t)edge->settings.max_connections,
                share.origin, (uint64_t)edge->settings.origin_connections);
    }
}

/* ---- the disk tier ---- */

static char *default_cache_dir(const char *name)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (cache && cache[0]) {
        return cdn_asprintf("%s/pocketcdn/%s", cache, name);
    }
    return home && home[0] ? cdn_asprintf("%s/.cache/pocketcdn/%s", home, name)
                           : cdn_asprintf("/var/cache/pocketcdn/%s", name);
}

static void on_store_event(void *self, enum edge_store_event event, const char *detail)
{
    struct edge *edge = self;
    uint64_t before = atomic_fetch_add(&edge->store_events[event], 1);
    enum cdn_log_level level =
        event == EDGE_STORE_COMPACTED || event == EDGE_STORE_ORPHAN ? CDN_LOG_DEBUG : CDN_LOG_WARN;
    if (before < 100 || (before & (before - 1)) == 0) { /* a failing disk must not fill the log as well */
        cdn_log(level, "store", "kind=%s detail=%s times=%" PRIu64, edge_store_event_word(event), detail,
                before + 1);
    }
}

static void on_store_moved(void *self, const struct edge_store_key *key,
                           const struct edge_store_location *from, const struct edge_store_location *to)
{
    struct edge *edge = self;
    edge_cache_moved(edge->cache, key, from, to);
}

static void on_store_update_lost(void *self, const struct edge_store_key *key,
                                 const struct edge_store_location *location)
{
    struct edge *edge = self;
    edge_cache_update_lost(edge->cache, key, location);
}

static void on_store_lost(void *self, uint64_t first)
{
    struct edge *edge = self;
    edge_cache_disk_gone(edge->cache, first);
}

static uint64_t clamp(uint64_t n, uint64_t least, uint64_t most)
{
    return n < least ? least : n > most ? most : n;
}

static enum cdn_status open_store(struct edge *edge, struct cdn_error *err)
{
    const struct edge_settings *s = &edge->settings;
    if (!s->disk) {
        return CDN_OK;
    }
    CDN_AUTOFREE char *dir = s->cache_dir[0] ? cdn_strdup(s->cache_dir) : default_cache_dir(s->name);
    struct edge_store_settings settings = {.directory = dir,
                                           .budget = s->disk,
                                           .descriptors = share_descriptors(edge).disk,
                                           .queue_bytes = clamp(s->memory / 8, QUEUE_MIN, QUEUE_MAX)};
    struct edge_store_hooks hooks = {.self = edge,
                                     .on_event = on_store_event,
                                     .on_moved = on_store_moved,
                                     .on_update_lost = on_store_update_lost,
                                     .on_lost = on_store_lost};
    return edge_store_open(&settings, &hooks, &edge->store, err);
}

static void on_loaded(void *arg, enum cdn_status status, uint64_t objects)
{
    struct edge *edge = arg;
    atomic_store(&edge->loaded_objects, (int64_t)objects);
    cdn_log(CDN_LOG_INFO, "cache_loaded", "objects=%" PRIu64 " status=%s", objects, cdn_status_name(status));
}

static enum cdn_status open_cache(struct edge *edge, struct cdn_error *err)
{
    static const char *const policies[] = {"s3fifo", "sieve", "lru",
                                           "fifo"}; /* as in the settings' choices */
    const struct edge_settings *s = &edge->settings;
    struct edge_cache_config config = {
        .memory = s->memory,
        .memory_object = s->memory_object,
        .memory_policy = policies[s->memory_policy],
        .disk_policy = policies[s->disk_policy],
        .store = edge->store,
        .variants = (unsigned)s->variants,
        .seed = 20240,
    };
    enum cdn_status status = edge_cache_create(&config, &edge->cache, err);
    if (status == CDN_OK && edge->store) {
        atomic_store(&edge->loaded_objects, -1);
        edge_cache_load(edge->cache, on_loaded, edge);
    }
    return status;
}

/* ---- workers ---- */

/* What this worker's connections take, in the account of memory. */
static void charge(struct edge_worker *w)
{
    const uint64_t connection = EDGE_BUDGET_CONNECTION + edge_budget_pool(w->edge->settings.memory);
    const uint64_t now = http_server_open_connections(w->server) * connection +
                         http_server_open_requests(w->server) * EDGE_BUDGET_REQUEST +
                         edge_hot_count(w->hot) * EDGE_BUDGET_READY;
    edge_budget_connections((int64_t)now - w->charged);
    w->charged = (int64_t)now;
}

/* For each connection as it is opened, so that a crowd is seen as it comes. */
static bool is_full(void *self)
{
    charge(self);
    return edge_budget_is_full();
}

static bool is_proxy(void *self, const struct cdn_addr *peer)
{
    const struct edge_worker *w = self;
    return http_is_trusted(&edge_tuning_now(w->edge)->trust, peer);
}

static void announced(void *self, bool accepted)
{
    struct edge_worker *w = self;
    cdn_metric_add(accepted ? &w->metrics.proxy_header_total : &w->metrics.proxy_header_refused_total, 1);
}

static bool allows_hot(void *self, struct http_request *req, const struct edge_guard *guard)
{
    return edge_guarded_hot(self, req, guard);
}

static void sweep(struct loop_timer *timer)
{
    struct edge_worker *w = CDN_CONTAINER_OF(timer, struct edge_worker, sweep);
    const bool behind = edge_budget_is_over(); /* the tier has to give way: then it is looked at sooner */
    edge_hot_sweep(w->hot, SWEEP_SLOTS);
    charge(w);
    edge_cache_fit(w->edge->cache);
    edge_budget_trim(&w->trim, loop_mono_ns(w->loop));
    edge_queue_serve(w);
    edge_queue_expire(w);
    edge_stall_look(w);
    loop_timer_start(w->loop, timer, behind ? SWEEP_SOON_NS : SWEEP_NS);
}

static enum cdn_status open_worker(struct edge_worker *w, const struct cdn_addr *listen, bool first,
                                   struct cdn_error *err)
{
    const struct edge_settings *s = &w->edge->settings;
    const struct shares share = share_descriptors(w->edge);
    struct http_server_config server = {
        .listen = *listen,
        .share_port = w->edge->worker_count > 1,
        .port_is_claimed = !first,
        .max_connections = share.clients,
        .memory_per_connection = edge_budget_pool(s->memory),
        .max_heads = (size_t)clamp(s->memory / HEADS_SHARE / w->edge->worker_count, HEADS_MIN, HEADS_MAX),
        .is_full = is_full,
        .idle_timeout_s = (unsigned)(s->keepalive / 1000),
        .head_timeout_ms = (unsigned)s->head_timeout,
        .body_timeout_ms = (unsigned)s->body_timeout,
        .body_rate = s->body_rate,
        .max_body = s->max_body,
        .tls = w->edge->tls,
        .handler = &edge_request_handler,
        .handler_self = w,
        .upgrades = true,
        .proxy_protocol = (enum http_proxy_protocol)s->proxy_protocol,
        .is_proxy = is_proxy,
        .announced = announced,
    };
    struct http_client_config client = {
        .max_connections = share.origin,
        .max_per_host = share.origin,
        .connect_timeout_ms = s->connect_timeout,
        .first_byte_timeout_ms = s->first_byte_timeout,
        .idle_timeout_ms = s->idle_timeout,
        .max_idle = (unsigned)s->origin_idle_connections,
        .keep_idle_ms = s->origin_keepalive,
        .lifetime_ms = s->origin_lifetime,
        .ca_file = s->origin_ca[0] ? s->origin_ca : NULL,
        .insecure = s->origin_insecure,
        .proxy = s->origin_proxy,
    };
    w->fetches_most = share.origin;
    enum cdn_status status = loop_create(&w->loop, err);
    if (status == CDN_OK) {
        status = http_client_create(w->loop, &client, &w->client, err);
    }
    if (status == CDN_OK && s->upgrade == EDGE_UPGRADE_TUNNEL) {
        struct http_client_config upgrades = client;
        w->tunnel_max = least(s->upgrade_connections, share.tunnels);
        upgrades.upgrades = true;
        upgrades.max_connections = upgrades.max_per_host = w->tunnel_max;
        upgrades.idle_timeout_ms = s->upgrade_idle;
        status = http_client_create(w->loop, &upgrades, &w->upgrades, err);
    }
    if (status == CDN_OK) {
        status = http_server_start(w->loop, &server, &w->server, err);
    }
    w->hot = edge_hot_create(w->edge->cache, (unsigned)clamp(s->memory / HOT_SHARE, 64, HOT_LIMIT),
                             cdn_str(s->name));
    edge_hot_ask(w->hot, allows_hot, w);
    w->sweep.fire = sweep;
    return status;
}

static enum cdn_status open_workers(struct edge *edge, struct cdn_error *err)
{
    struct cdn_addr listen;
    if (!cdn_parse_host_port(cdn_str(edge->settings.listen), &listen)) {
        return cdn_error_set(err, CDN_INVALID, "--listen: \"%s\" is not HOST:PORT", edge->settings.listen);
    }
    edge_pages_start(
        (size_t)clamp(edge->settings.memory / 16, SPARE_PAGES_LEAST,
                      SPARE_PAGES)); /* not before the daemon has blocked the signals it waits for */
    edge->worker_count = worker_count(edge);
    tell_shares(edge);
    edge->worker = cdn_aligned_calloc(64, edge->worker_count * sizeof(*edge->worker));
    for (unsigned i = 0; i < edge->worker_count; i++) {
        edge->worker[i].edge = edge;
        edge->worker[i].index = i;
        enum cdn_status status = open_worker(&edge->worker[i], &listen, i == 0, err);
        if (status != CDN_OK) {
            return status;
        }
        http_server_address(edge->worker[0].server, &listen); /* the port that the kernel chose */
    }
    atomic_load(&edge->tuning)->sites.names = &edge->machine;
    return edge_target_machine_create(edge->settings.url, &listen, edge->tls != NULL, &edge->machine, err);
}

static void *work(void *arg)
{
    struct edge_worker *w = arg;
    loop_timer_start(w->loop, &w->sweep, SWEEP_NS);
    loop_run(w->loop);
    return NULL;
}

static void close_worker(struct edge_worker *w)
{
    edge_tunnels_end(w);
    http_server_stop(CDN_TAKE(w->server)); /* messages to the worker may still be run by loop_destroy */
    http_client_destroy(w->client);
    http_client_destroy(w->upgrades);
    edge_hot_destroy(w->hot);
    edge_signed_memo_destroy(w->signatures);
    http_head_free(&w->head);
    loop_destroy(w->loop);
    edge_request_free(w);
}

/* ---- life ---- */

static enum cdn_status check_name(const struct edge_settings *settings, struct cdn_error *err)
{
    return http_check_token(cdn_str(settings->name))
               ? CDN_OK
               : cdn_error_set(err, CDN_INVALID,
                               "--name: \"%s\" is not a name for Via: letters, digits and -._~",
                               settings->name);
}

enum cdn_status edge_check(const struct edge_settings *settings, int argc, char **argv, struct cdn_error *err)
{
    struct edge_origins origins = {NULL};
    struct edge_tuning *tuning = NULL;
    struct edge_accept accept;
    struct edge trial = {.settings = *settings};
    CDN_AUTOFREE char *path = cdn_config_path(&edge_program, argc, argv);
    enum cdn_status status = check_name(settings, err);
    status = status == CDN_OK ? edge_accept_read(settings, &accept, err) : status;
    status = status == CDN_OK ? edge_certificate_read(&trial, err) : status;
    status = status == CDN_OK ? edge_tuning_create(settings, path, &origins, NULL, &tuning, err) : status;
    if (status == CDN_OK) {
        const struct edge_sites *s = &tuning->sites;
        size_t rules = s->any != NULL;
        for (size_t i = 0; i < s->count; i++) {
            rules += s->site[i].rule_count;
        }
        printf("%s: good: %zu site%s, %zu rule%s\n", path ? path : settings->name,
               s->count + (s->any != NULL), s->count + (s->any != NULL) == 1 ? "" : "s", rules,
               rules == 1 ? "" : "s");
    }
    edge_tuning_destroy(tuning);
    edge_origins_free(&origins);
    cdn_tls_set_unref(trial.tls);
    return status;
}

enum cdn_status edge_create(struct edge_settings *settings, int argc, char **argv, struct edge **ret,
                            struct cdn_error *err)
{
    struct edge *edge = cdn_calloc(1, sizeof(*edge));
    struct edge_tuning *tuning = NULL;
    edge->settings = *settings;
    edge->argc = argc;
    edge->argv = argv;
    if (check_name(settings, err) != CDN_OK) {
        goto fail;
    }
    edge->rate = cdn_rate_create(RATE_CELLS, cdn_secret64());
    edge->loop_id = cdn_asprintf("pocketcdn-%s", settings->name);
    edge->config_path = cdn_config_path(&edge_program, argc, argv);
    if (edge_accept_read(&edge->settings, &edge->accept, err) != CDN_OK ||
        edge_certificate_read(edge, err) != CDN_OK ||
        edge_tuning_create(&edge->settings, edge->config_path, &edge->origins, NULL, &tuning, err) !=
            CDN_OK) {
        goto fail;
    }
    atomic_store(&edge->tuning, tuning);
    edge_sites_use(&tuning->sites, &edge->origins);
    edge_budget_set(settings->memory);
    if (edge_admin_create(edge, err) != CDN_OK || open_store(edge, err) != CDN_OK ||
        open_cache(edge, err) != CDN_OK || edge_sync_create(edge, &edge->sync, err) != CDN_OK ||
        edge_health_create(edge, &edge->health, err) != CDN_OK || open_workers(edge, err) != CDN_OK ||
        edge_access_log_create(edge, &edge->access_log, err) != CDN_OK ||
        edge_compress_create(edge, &edge->compress, err) != CDN_OK) {
        goto fail;
    }
    *ret = edge;
    *settings = (struct edge_settings){0};
    return CDN_OK;
fail:
    edge->settings = (struct edge_settings){0}; /* still the caller's */
    edge_destroy(edge);
    return err ? err->status : CDN_INTERNAL;
}

static enum cdn_status start_workers(struct edge *edge, struct cdn_error *err)
{
    for (unsigned i = 0; i < edge->worker_count; i++) {
        struct edge_worker *w = &edge->worker[i];
        char name[24];
        const int problem = pthread_create(&w->thread, NULL, work, w);
        if (problem) {
            return cdn_error_set(err, CDN_UNAVAILABLE, "threads: cannot start worker %u of %u: %s", i + 1,
                                 edge->worker_count, strerror(problem));
        }
        w->running = true;
        snprintf(name, sizeof(name), "worker-%u", i);
        pthread_setname_np(w->thread, name);
    }
    return CDN_OK;
}

enum cdn_status edge_run(struct edge *edge, struct cdn_error *err)
{
    struct cdn_addr address;
    http_server_address(edge->worker[0].server, &address);
    const enum cdn_status status = start_workers(edge, err);
    if (status == CDN_OK) {
        daemon_run(edge->daemon, &address);
    }
    for (unsigned i = 0; i < edge->worker_count; i++) {
        loop_stop(edge->worker[i].loop);
        if (edge->worker[i].running) {
            pthread_join(edge->worker[i].thread, NULL);
            edge->worker[i].running = false;
        }
    }
    return status;
}

void edge_destroy(struct edge *edge)
{
    if (!edge) {
        return;
    }
    for (unsigned i = 0; i < edge->worker_count; i++) {
        close_worker(&edge->worker[i]);
    }
    edge_access_log_destroy(edge->access_log);
    edge_compress_destroy(edge->compress);
    edge_health_destroy(edge->health);
    edge_sync_destroy(edge->sync);
    edge_store_close(edge->store);
    edge_cache_destroy(edge->cache);
    edge_pages_stop();
    struct edge_tuning *tuning = atomic_load(&edge->tuning);
    if (tuning) {
        tuning->home = NULL; /* goes with the daemon */
    }
    edge_tuning_unref(tuning);
    daemon_destroy(edge->daemon);
    free(edge->worker);
    edge_target_machine_free(&edge->machine);
    edge_origins_free(&edge->origins);
    cdn_rate_destroy(edge->rate);
    cdn_tls_set_unref(edge->tls);
    free(edge->loop_id);
    free(edge->config_path);
    cdn_config_free(&edge_program, &edge->settings);
    free(edge);
}
