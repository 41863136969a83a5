/* router: the order of things: what may fail is built beside what runs and swapped in when all of
 * it is sound; what is handed to other threads is handed over last, and taken down in the reverse
 * order. */
#include "router/router.h"

#include "common/clock.h"
#include "common/config/config.h"
#include "common/daemon/daemon.h"
#include "common/daemon/daemon_tls.h"
#include "common/http/server/http_faults.h"
#include "common/http/server/http_server.h"
#include "common/http/server/tls_set.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "router/base/edges.h"
#include "router/choice/overrides.h"
#include "router/choice/select.h"
#include "router/decide/table_compile.h"
#include "router/dns/dns_server.h"
#include "router/health.h"
#include "router/purge/purge_api.h"
#include "router/router_private.h"
#include "router/server.h"
#include "router/table/table.h"
#include "router/table/table_watch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

#define THREADS_MAX 64

static struct router_health_times times_of(const struct router_settings *s)
{
    return (struct router_health_times){
        .interval_ms = s->probe_interval,
        .timeout_ms = s->probe_timeout,
        .slow_ms = s->probe_slow,
        .rule = {.up = (unsigned)s->probe_up, .down = (unsigned)s->probe_down},
    };
}

/* From a page over TLS a browser loads nothing that is not. */
static void warn_of_plain_edges(const struct router_edges *edges)
{
    for (size_t i = 0; i < edges->count; i++) {
        if (cdn_str_starts(cdn_str(edges->at[i].url), CDN_STR("http:"))) {
            cdn_log(CDN_LOG_WARN, "edge_without_tls", "edge=%s url=%s", edges->at[i].name, edges->at[i].url);
        }
    }
}

static void take_in(struct router *r, struct router_table *table)
{
    if (r->tls) {
        warn_of_plain_edges(table->edges);
    }
    struct router_health_times times = times_of(&r->config.settings);
    router_purges_watch(r->purges, table->edges);
    router_table_unref(r->table);
    r->table = table;
    r->loaded_ms = cdn_clock_real_ms();
    router_health_watch(r->health, table, &times);
    router_compiler_submit(r->compiler, table);
    router_watch_files(r->watch, &r->config.settings);
    cdn_log_set_level((enum cdn_log_level)r->config.settings.log_level);
    cdn_log(CDN_LOG_INFO, "routing", "edges=%zu places=%zu overrides=%zu policy=%s", table->edges->count,
            table->edges->site_count, router_overrides_count(table->overrides),
            router_policy_word(table->policy));
}

/* What a reload builds beside what runs. */
struct next {
    struct router_config config;
    struct router_table *table;
    struct dns_zone *zone;
    struct cdn_tls_set *tls;
};

static enum cdn_status read_tls(const struct router *r, const struct router_settings *s, bool first,
                                struct cdn_tls_set **ret, struct cdn_error *err)
{
    CDN_AUTOFREE const char **certificates = cdn_config_items(&s->tls_certificate);
    CDN_AUTOFREE const char **keys = cdn_config_items(&s->tls_key);
    return first ? cdn_tls_set_read(certificates, keys, ret, err)
                 : daemon_tls_reread(r->tls, certificates, keys, ret, err);
}

static enum cdn_status load_next(const struct router *r, struct next *ret, struct cdn_error *err)
{
    enum cdn_config_outcome outcome;
    struct next next = {0};
    enum cdn_status status = router_config_load(r->argc, r->argv, &next.config, &outcome, err);
    if (status != CDN_OK) {
        return status;
    }
    status = cdn_config_can_reload(&router_program, &r->config.settings, &next.config.settings, err);
    if (status == CDN_OK) {
        status = read_tls(r, &next.config.settings, false, &next.tls, err);
    }
    if (status == CDN_OK) {
        status = router_table_create(&next.config, &next.table, err);
    }
    if (status == CDN_OK) {
        status = dns_server_prepare(r->dns, &next.config, next.table, &next.zone, err);
    }
    if (status == CDN_OK) {
        *ret = next;
        return CDN_OK;
    }
    router_table_unref(next.table);
    cdn_tls_set_unref(next.tls);
    router_config_free(&next.config);
    return status;
}

static enum cdn_status reload(void *self, struct cdn_error *err)
{
    struct router *r = self;
    struct next next;
    struct cdn_error failure = {0};
    enum cdn_status status = load_next(r, &next, &failure);
    if (status != CDN_OK) {
        r->reloads_failed++;
        r->last_failure = failure;
        return cdn_error_set(err, status, "%s", failure.text);
    }
    r->reloads++;
    r->last_failure = (struct cdn_error){0};
    router_config_free(&r->config);
    r->config = next.config;
    router_edges_inherit(next.table->edges, r->table->edges);
    take_in(r, next.table);
    router_server_publish(r->server, next.table);
    dns_server_publish(r->dns, next.zone);
    if (next.tls) {
        router_server_certify(r->server, next.tls);
        cdn_tls_set_unref(r->tls);
        r->tls = next.tls;
    }
    return CDN_OK;
}

static void database_changed(void *self)
{
    struct router *r = self;
    struct cdn_error err;
    if (reload(r, &err) == CDN_OK) {
        cdn_log(CDN_LOG_INFO, "reloaded", "because=%s", "a database file has changed");
    } else {
        cdn_log(CDN_LOG_ERROR, "reload_failed", "error=%s", err.text);
    }
}

static void drain(void *self)
{
    struct router *r = self;
    router_server_drain(r->server);
    router_purges_drain(r->purges);
}

static void disturb(void *self, struct http_fault_set *set)
{
    const struct router *r = self;
    router_server_disturb(r->server, set);
}

static bool drained(void *self)
{
    struct router *r = self;
    return router_server_drained(r->server);
}

static bool healthy(void *self, char why[static 128])
{
    const struct router *r = self;
    if (r->table->edges->count > 0) {
        return true;
    }
    cdn_str_copy(why, 128, CDN_STR("there are no edges"));
    return false;
}

static enum cdn_status daemon_open(struct router *r, struct cdn_error *err)
{
    const struct router_settings *s = &r->config.settings;
    struct daemon_config config = {
        .program = router_program.name,
        .admin_listen = r->admin_listen,
        .admin_token = r->admin_token,
        .simulate = s->simulate,
        .connections = 1024 + ROUTER_PURGE_EDGES, /* each edge holds one */
        .routes = router_admin_routes,
        .self = r,
        .metrics = router_admin_metrics,
        .status = router_admin_status,
        .healthy = healthy,
        .reload = reload,
        .disturb = disturb,
        .drain = drain,
        .drained = drained,
    };
    return daemon_create(&config, &r->daemon, err);
}

struct suspicion {
    struct router *router;
    char edge[];
};

static void suspect(void *arg)
{
    struct suspicion *s = arg;
    if (s->router->health) { /* else the router ends */
        router_health_suspect(s->router->health, cdn_str(s->edge));
    }
    free(s);
}

/* On any thread. */
static void edge_failed(void *self, const char *edge)
{
    struct router *r = self;
    const size_t n = strlen(edge) + 1;
    struct suspicion *s = cdn_malloc(sizeof(*s) + n);
    s->router = r;
    memcpy(s->edge, edge, n);
    loop_post(daemon_loop(r->daemon), suspect, s);
}

static enum cdn_status listener_open(struct router *r, struct cdn_error *err)
{
    const struct router_settings *s = &r->config.settings;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned each = processors < 1 ? 1 : processors > THREADS_MAX ? THREADS_MAX : (unsigned)processors;
    unsigned threads = s->threads ? (unsigned)s->threads : each;
    struct router_server_config config = {
        .clients = {.head_timeout_ms = (unsigned)s->head_timeout,
                    .body_timeout_ms = (unsigned)s->body_timeout,
                    .body_rate = s->body_rate,
                    .proxy_protocol = (enum http_proxy_protocol)s->proxy_protocol},
        .threads = threads,
        .settings = s,
        .failed = edge_failed,
        .failed_self = r,
    };
    if (!cdn_parse_host_port(cdn_str(s->listen), &config.clients.listen)) {
        return cdn_error_set(err, CDN_INVALID, "listen: '%s' is not HOST:PORT", s->listen);
    }
    config.clients.max_connections = daemon_client_connections(HTTP_CONNECTIONS_USUAL, threads);
    enum cdn_status status = read_tls(r, s, true, &r->tls, err);
    config.clients.tls = r->tls;
    return status != CDN_OK ? status : router_server_create(&config, r->table, &r->server, err);
}

static enum cdn_status open_all(struct router *r, struct cdn_error *err)
{
    enum cdn_status status = router_table_create(&r->config, &r->table, err);
    if (status == CDN_OK) {
        status = listener_open(r, err);
    }
    if (status == CDN_OK) {
        status = dns_server_create(&r->config, r->table, &r->dns, err);
    }
    if (status == CDN_OK) {
        status = daemon_open(r, err);
    }
    if (status == CDN_OK) {
        status = router_purges_create(&r->config.settings, r->daemon, &r->purges, err);
    }
    if (status == CDN_OK) {
        status =
            router_health_create(daemon_loop(r->daemon), r->config.settings.probe_proxy, &r->health, err);
    }
    return status;
}

enum cdn_status router_create(struct router_config *config, int argc, char **argv, struct router **ret,
                              struct cdn_error *err)
{
    struct router *r = cdn_calloc(1, sizeof(*r));
    r->argc = argc;
    r->argv = argv;
    r->config = *config;
    r->admin_listen = cdn_strdup(config->settings.admin);
    r->admin_token = cdn_strdup(config->settings.admin_token);
    *config = (struct router_config){0};
    enum cdn_status status = open_all(r, err);
    if (status != CDN_OK) {
        router_destroy(r);
        return status;
    }
    r->compiler = router_compiler_create(daemon_loop(r->daemon));
    r->watch = router_watch_create(daemon_loop(r->daemon), database_changed, r);
    take_in(r, router_table_ref(r->table));
    *ret = r;
    return CDN_OK;
}

enum cdn_status router_run(struct router *router, struct cdn_error *err)
{
    struct cdn_addr address;
    enum cdn_status status = router_server_start(router->server, err);
    if (status == CDN_OK) {
        status = dns_server_start(router->dns, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    router_server_address(router->server, &address);
    daemon_run(router->daemon, &address);
    return CDN_OK;
}

void router_destroy(struct router *router)
{
    if (!router) {
        return;
    }
    router_server_destroy(router->server);
    dns_server_destroy(router->dns);
    router_compiler_destroy(router->compiler);
    router_watch_destroy(router->watch);
    router_health_destroy(CDN_TAKE(router->health));
    daemon_destroy(router->daemon);
    router_purges_destroy(router->purges); /* requests that waited for a purge are over by now */
    router_table_unref(router->table);
    cdn_tls_set_unref(router->tls);
    router_config_free(&router->config);
    free(router->admin_listen);
    free(router->admin_token);
    free(router);
}
