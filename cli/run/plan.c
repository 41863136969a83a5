/* plan: from a cdn.yaml to command lines. Each program's settings are read by its own rows, the
 * ones it will read itself, so that a plan never means anything else than the processes do. Pure
 * but for reading the file. */
#include "cli/run/plan.h"

#include "cli/run/child.h"
#include "cli/run/plan_private.h"
#include "common/admin_address.h"
#include "common/config/config.h"
#include "common/config/config_hosts.h"
#include "common/mem.h"
#include "common/parse.h"
#include "edge/base/settings.h"
#include "geo-data/places.h"
#include "origin/settings.h"
#include "router/base/settings.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

/* What this program reads beside the settings of the other programs. */
#define UP_PART(X)                                                                   \
    X(STRING, root, "", 0, 0, NULL, RESTART, "DIR", "Folder that the origin serves") \
    X(STRING, origin, "", 0, 0, NULL, RESTART, "URL", "Origin that runs already")
CDN_CONFIG_STRUCT(up_part, UP_PART);
#define UP_ROW(...) CDN_CONFIG_ROW_OF(struct up_part, __VA_ARGS__)
static const struct cdn_config_row up_rows[] = {UP_PART(UP_ROW)};
static const struct cdn_config_program up_program = {.name = "pocketcdn up",
                                                     .env = "UP",
                                                     .sections = {"cdn"},
                                                     .others_rows = true,
                                                     .rows = up_rows,
                                                     .row_count = CDN_ARRAY_LEN(up_rows),
                                                     .settings_size = sizeof(struct up_part)};
const struct plan_ports plan_default_ports = {"127.0.0.1", 8080, 8090, 8088, 1, 1080, false};
#define DNS_BELOW 27u    /* 8053 beside 8080 */
#define PORTS_FREE 1024u /* those below need rights */

enum cdn_status plan_ports_move(unsigned router, struct plan_ports *ret, struct cdn_error *err)
{
    const unsigned highest =
        UINT16_MAX - CDN_ADMIN_PORT_OFFSET - (plan_default_ports.origin - plan_default_ports.router);
    const unsigned lowest = PORTS_FREE + DNS_BELOW;
    if (router < lowest || router > highest) {
        return cdn_error_set(err, CDN_USAGE, "--port: %u is not from %u to %u", router, lowest, highest);
    }
    *ret = plan_default_ports;
    ret->router = router;
    ret->origin += router - plan_default_ports.router; /* unsigned: either way */
    ret->edges += router - plan_default_ports.router;
    if (router !=
        plan_default_ports.router) { /* 1080 is known by everybody, and too low to be moved as far */
        ret->wan = router + PLAN_WAN_ABOVE;
    }
    return CDN_OK;
}

enum cdn_status plan_ports_one_host(struct plan_ports *ports, struct cdn_error *err)
{
    ports->one_host = true;
    ports->origin = ports->edges + GEO_DEFAULT_EDGES;
    if (ports->origin > UINT16_MAX - CDN_ADMIN_PORT_OFFSET) {
        return cdn_error_set(err, CDN_USAGE, "--port: %u leaves no ports for --one-host", ports->router);
    }
    return CDN_OK;
}

void plan_edge_at(const struct plan_ports *ports, unsigned i, char ret_host[static PLAN_HOST_SIZE],
                  unsigned *ret_port)
{
    (void)(ports->one_host ? snprintf(ret_host, PLAN_HOST_SIZE, "%s", ports->router_host)
                           : snprintf(ret_host, PLAN_HOST_SIZE, "127.0.1.%u", ports->first_edge + i));
    *ret_port = ports->edges + (ports->one_host ? i : 0);
}

unsigned plan_dns_port(const struct plan_ports *ports)
{
    return ports->router - DNS_BELOW;
}

const char *plan_kind_word(enum plan_kind kind)
{
    static const char *const words[] = {
#define X(name, word) word,
        PLAN_NODE_KINDS(X)
#undef X
    };
    return words[kind];
}

void plan_add_args(struct plan_node *node, ...)
{
    size_t n = 0;
    while (node->argv[n]) {
        n++;
    }
    va_list list;
    va_start(list, node);
    for (const char *arg; n + 1 < PLAN_ARGS_MAX && (arg = va_arg(list, const char *));) {
        node->argv[n++] = cdn_strdup(arg);
    }
    va_end(list);
}

/* The environment is stronger than the file, for the daemons too. */
static char *token_of(const char *from_file)
{
    const char *token = getenv("POCKETCDN_ADMIN_TOKEN");
    return cdn_strdup(token && token[0] ? token : from_file ? from_file : "");
}

static struct plan_node *append(struct plan *plan, enum plan_kind kind, const struct plan_where *where)
{
    plan->nodes = cdn_realloc(plan->nodes, plan->n + 1, sizeof(*plan->nodes));
    struct plan_node *node = &plan->nodes[plan->n++];
    *node = (struct plan_node){.kind = kind,
                               .name = cdn_strdup(where->name),
                               .place = cdn_strdup(where->place ? where->place : ""),
                               .token = token_of(where->token)};
    return node;
}

enum cdn_status plan_add_node(struct plan *plan, enum plan_kind kind, const struct plan_where *where,
                              const struct plan_wish *wish, struct cdn_error *err)
{
    char beside[CDN_ADDR_TEXT_SIZE]; /* the public listener */
    cdn_admin_address("", where->listen, beside);
    const char *admin = where->admin && where->admin[0] ? where->admin : beside;
    CDN_AUTOFREE char *program = cdn_asprintf("pocketcdn-%s", plan_kind_word(kind));
    CDN_AUTOFREE char *path = NULL;
    enum cdn_status status = wish->only_look ? CDN_OK : child_program(program, &path, err);
    if (status != CDN_OK) {
        return status;
    }
    struct plan_node *node = append(plan, kind, where);
    node->url = cdn_asprintf("%s://%s", where->scheme, where->listen);
    node->admin = cdn_asprintf("http://%s", admin);
    if (path) {
        plan_add_args(node, path, "-c", plan->config, "--listen", where->listen, "--admin", admin, NULL);
    }
    return CDN_OK;
}

static void add_external(struct plan *plan, const char *url)
{
    struct plan_where where = {.name = plan_kind_word(PLAN_ORIGIN)};
    struct plan_node *node = append(plan, PLAN_ORIGIN, &where);
    node->external = true;
    node->token[0] = '\0'; /* it is not ours */
    node->url = cdn_strdup(url);
    node->admin = cdn_strdup(url);
    plan->origin_url = cdn_strdup(url);
}

struct parts { /* what the file says, program by program */
    struct up_part up;
    struct origin_settings origin;
    struct edge_settings edge; /* of the first edge, or without one */
    struct router_config router;
    const char *root; /* what the origin is to serve; with releases alone "", NULL: no origin of ours */
};

static void count_host(void *arg, const char *host)
{
    (void)host;
    ++*(size_t *)arg;
}

/* Without an origin for all, the sites of the file have their own, which its edges know. */
static enum cdn_status check_sites(const struct plan *plan, const struct plan_wish *wish,
                                   struct cdn_error *err)
{
    size_t hosts = 0;
    enum cdn_status status =
        wish->only_look || wish->wan ? CDN_OK : cdn_config_hosts_each(plan->config, count_host, &hosts, err);
    if (status != CDN_OK || wish->only_look || hosts > 0) {
        return status;
    }
    return cdn_error_set(err, CDN_USAGE,
                         "nothing to serve: name a folder with --root DIR or an origin with --origin URL%s",
                         wish->wan ? "" : ", or `sites` with their origins in a cdn.yaml");
}

/* For a publisher who stands in another folder. */
static char *absolute(const char *path)
{
    CDN_AUTOFREE char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
    return here ? cdn_asprintf("%s/%s", here, path) : cdn_strdup(path);
}

/* The origin that is to be started, or the URL of one that runs: the command line before the file. */
static enum cdn_status add_origin(struct plan *plan, const struct plan_wish *wish, struct parts *parts,
                                  struct cdn_error *err)
{
    const struct origin_settings *origin = &parts->origin;
    const char *root = wish->root ? wish->root : origin->root[0] ? origin->root : parts->up.root;
    const char *releases = wish->releases ? wish->releases : origin->releases;
    const char *url = wish->origin ? wish->origin : wish->root || wish->releases ? "" : parts->up.origin;
    if (!url[0] && !root[0] && !releases[0] && parts->edge.origin) {
        url = parts->edge.origin;
    }
    if (url[0]) {
        add_external(plan, url);
        return CDN_OK;
    }
    if (!root[0] && !releases[0]) {
        plan->origin_url = cdn_strdup("");
        return check_sites(plan, wish, err);
    }
    struct plan_where where = {
        plan_kind_word(PLAN_ORIGIN), origin->place, "http", origin->listen, origin->admin,
        origin->admin_token};
    enum cdn_status status = plan_add_node(plan, PLAN_ORIGIN, &where, wish, err);
    if (status != CDN_OK) {
        return status;
    }
    parts->root = root;
    if (root[0]) {
        plan_add_args(&plan->nodes[plan->n - 1], "--root", root, NULL);
    }
    if (releases[0]) {
        plan->releases = absolute(releases);
        plan_add_args(&plan->nodes[plan->n - 1], "--releases", plan->releases, NULL);
    }
    plan->origin_url = cdn_strdup(plan->nodes[plan->n - 1].url);
    return CDN_OK;
}

/* host:port of an http:// or https:// URL. */
static const char *authority(const char *url)
{
    const char *slashes = strstr(url, "://");
    return slashes ? slashes + 3 : url;
}

static enum cdn_status add_edge(struct plan *plan, size_t i, const struct plan_wish *wish,
                                const struct parts *parts, const char *state, const char *control,
                                struct cdn_error *err)
{
    const struct router_edge_settings *edge = &parts->router.edges[i].settings;
    struct edge_settings part = {0};
    struct cdn_error none;
    enum cdn_status status = cdn_config_load_item(&edge_program, plan->config, i, &part, &none);
    if (status != CDN_OK && status != CDN_NOT_FOUND) {
        return cdn_error_set(err, status, "%s", none.text);
    }
    plan->default_edges = status == CDN_NOT_FOUND;
    CDN_AUTOFREE char *cache = part.cache_dir && part.cache_dir[0]
                                   ? cdn_strdup(part.cache_dir)
                                   : cdn_asprintf("%s/cache-%s", state, edge->name);
    const char *token = status != CDN_OK ? parts->origin.admin_token : part.admin_token;
    const bool own = part.tls_certificate.n > 0;
    struct plan_where where = {edge->name,
                               edge->place,
                               own || wish->tls ? "https" : "http",
                               edge->listen[0] ? edge->listen : authority(edge->url),
                               authority(edge->admin),
                               token};
    status = wish->tls && part.url ? plan_tls_check_url(plan, i, part.url, err) : CDN_OK;
    if (status == CDN_OK) {
        status = plan_add_node(plan, PLAN_EDGE, &where, wish, err);
    }
    if (status == CDN_OK) {
        plan->nodes[plan->n - 1].has_certificate = own;
    }
    cdn_config_free(&edge_program, &part);
    if (status == CDN_OK && !wish->only_look) {
        plan_add_args(&plan->nodes[plan->n - 1], "--name", edge->name, "--place", edge->place, "--cache-dir",
                      cache, "--control", control, NULL);
        if (plan->origin_url[0]) {
            plan_add_args(&plan->nodes[plan->n - 1], "--origin", plan->origin_url, NULL);
        }
    }
    return status;
}

/* What the nodes of a whole plan have to know of each other. */
static enum cdn_status connect_all(struct plan *plan, const struct plan_wish *wish,
                                   const struct router_config *router, struct cdn_error *err)
{
    enum cdn_status status = wish->tls ? plan_tls_connect(plan, wish->tls, router, err) : CDN_OK;
    if (status == CDN_OK) {
        status = plan_proxy_connect(plan, wish, router, err);
    }
    return status == CDN_OK && wish->wan ? plan_wan_connect(plan, &router->settings, err) : status;
}

static enum cdn_status add_all(struct plan *plan, const struct plan_wish *wish, const char *state,
                               struct parts *parts, struct cdn_error *err)
{
    const struct router_settings *settings = &parts->router.settings;
    char admin[CDN_ADDR_TEXT_SIZE];
    cdn_admin_address(settings->admin, settings->listen, admin);
    CDN_AUTOFREE char *control = cdn_asprintf("http://%s", admin);
    const bool own = settings->tls_certificate.n > 0;
    struct plan_where where = {
        plan_kind_word(PLAN_ROUTER), "", own || wish->tls ? "https" : "http", settings->listen, admin,
        settings->admin_token};
    if (parts->router.edge_count > PLAN_EDGES_MAX && !wish->only_look) {
        return cdn_error_set(err, CDN_TOO_LARGE, "%s: edges: more than %d on one machine", plan->config,
                             PLAN_EDGES_MAX);
    }
    plan->dns = cdn_strdup(settings->dns_listen);
    enum cdn_status status = plan_wan_add(plan, wish, state, err);
    if (status == CDN_OK) {
        status = add_origin(plan, wish, parts, err);
    }
    for (size_t i = 0; i < parts->router.edge_count && status == CDN_OK; i++) {
        status = add_edge(plan, i, wish, parts, state, control, err);
    }
    if (status == CDN_OK) {
        status = plan_add_node(plan, PLAN_ROUTER, &where, wish, err);
    }
    if (status == CDN_OK && !wish->only_look) { /* the purge log outlives a restart */
        plan_add_args(&plan->nodes[plan->n - 1], "--state", state, NULL);
    }
    if (status == CDN_OK) {
        plan->nodes[plan->n - 1].has_certificate = own;
    }
    return status == CDN_OK ? connect_all(plan, wish, &parts->router, err) : status;
}

static enum cdn_status read_parts(const char *path, struct parts *parts, struct cdn_error *err)
{
    enum cdn_status status = cdn_config_load_item(&up_program, path, 0, &parts->up, err);
    if (status == CDN_OK) {
        status = cdn_config_load_item(&origin_program, path, 0, &parts->origin, err);
    }
    if (status == CDN_OK) {
        status = router_config_read(path, &parts->router, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    status = cdn_config_load_item(&edge_program, path, 0, &parts->edge, err);
    return status == CDN_NOT_FOUND ? CDN_OK : status;
}

enum cdn_status plan_read(const struct plan_wish *wish, const char *state, struct plan **ret,
                          struct cdn_error *err)
{
    struct parts parts = {0};
    struct plan *plan = cdn_calloc(1, sizeof(*plan));
    plan->config = cdn_strdup(wish->config);
    enum cdn_status status = read_parts(wish->config, &parts, err);
    if (status == CDN_OK) {
        status = add_all(plan, wish, state, &parts, err);
    }
    if (status == CDN_OK && !wish->only_look) {
        status = plan_check(plan, parts.root, &parts.origin, &parts.router, err);
    }
    cdn_config_free(&up_program, &parts.up);
    cdn_config_free(&origin_program, &parts.origin);
    cdn_config_free(&edge_program, &parts.edge);
    router_config_free(&parts.router);
    if (status != CDN_OK) {
        plan_destroy(plan);
    } else {
        *ret = plan;
    }
    return status;
}

void plan_destroy(struct plan *plan)
{
    if (!plan) {
        return;
    }
    for (size_t i = 0; i < plan->n; i++) {
        struct plan_node *node = &plan->nodes[i];
        for (size_t k = 0; node->argv[k]; k++) {
            free(node->argv[k]);
        }
        free(node->name);
        free(node->place);
        free(node->url);
        free(node->admin);
        free(node->token);
    }
    free(plan->nodes);
    free(plan->config);
    free(plan->origin_url);
    free(plan->releases);
    free(plan->dns);
    free(plan->authority);
    free(plan->bundle);
    for (size_t i = 0; i < plan->name_count; i++) {
        free(plan->names[i]);
    }
    free(plan->names);
    free(plan);
}

json_t *plan_json(const struct plan *plan)
{
    json_t *nodes = json_array(), *all = json_object();
    for (size_t i = 0; i < plan->n; i++) {
        const struct plan_node *node = &plan->nodes[i];
        json_t *entry = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "kind", plan_kind_word(node->kind),
                                  "name", node->name, "place", node->place, "url", node->url, "admin",
                                  node->admin, "external", node->external);
        if (node->token[0]) {
            json_object_set_new(entry, "token", json_string(node->token));
        }
        json_array_append_new(nodes, entry);
    }
    const struct plan_node *router = &plan->nodes[plan->n - 1];
    json_object_set_new(all, "config", json_string(plan->config));
    json_object_set_new(all, "origin", json_string(plan->origin_url));
    json_object_set_new(all, "router", json_string(router->url));
    json_object_set_new(all, "router_admin", json_string(router->admin));
    if (plan->releases) {
        json_object_set_new(all, "releases", json_string(plan->releases));
    }
    if (plan->authority) {
        json_object_set_new(all, "authority", json_string(plan->authority));
        json_object_set_new(all, "bundle", json_string(plan->bundle));
    }
    json_object_set_new(all, "nodes", nodes);
    return all;
}
