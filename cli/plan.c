#include "cli/plan.h"

#include "cli/child.h"
#include "common/config.h"
#include "common/parse.h"
#include "edge/settings.h"
#include "geo-data/places.h"
#include "origin/settings.h"
#include "router/settings.h"

#include <stdarg.h>

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
const struct plan_ports plan_default_ports = {"127.0.0.1", 8080, 8090, 8088, 1};

unsigned plan_dns_port(const struct plan_ports *ports)
{
    return ports->router - 27; /* 8053 beside 8080 */
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

void plan_default_yaml(const struct plan_wish *wish, const struct plan_ports *ports, struct cdn_buf *out)
{
    cdn_buf_printf(out, "# Written by `pocketcdn up`. A copy of it is a start for a cdn.yaml of your "
                        "own.\ncdn:\n  simulate: yes\n"
                        "  trusted_proxies: [\"127.0.0.0/8\"]\n");
    if (wish->root)
        cdn_buf_printf(out, "origin:\n  listen: %s:%u\n  admin: %s:%u\n  place: Frankfurt\n",
                       ports->router_host, ports->origin, ports->router_host, ports->origin + 1000);
    cdn_buf_printf(out, "router:\n  listen: %s:%u\n  admin: %s:%u\n  dns_listen: %s:%u\nedges:\n",
                   ports->router_host, ports->router, ports->router_host, ports->router + 1000,
                   ports->router_host, plan_dns_port(ports));
    for (unsigned i = 0; i < GEO_DEFAULT_EDGES && i < geo_site_count(); i++) {
        const struct geo_site *site = geo_site_at(i);
        unsigned host = ports->first_edge + i;
        cdn_buf_printf(
            out,
            "  - name: " CDN_STR_FMT "\n    place: \"" CDN_STR_FMT "\"\n    listen: 127.0.1.%u:%u\n"
            "    admin: 127.0.1.%u:%u\n",
            CDN_STR_ARG(site->name), CDN_STR_ARG(site->city), host, ports->edges, host, ports->edges + 1000);
    }
}

static void add_args(struct plan_node *node, ...)
{
    size_t n = 0;
    while (node->argv[n])
        n++;
    va_list list;
    va_start(list, node);
    for (const char *arg; n + 1 < PLAN_ARGS_MAX && (arg = va_arg(list, const char *));)
        node->argv[n++] = cdn_strdup(arg);
    va_end(list);
}

/* The public port plus 1000 on the same host: the default of every admin listener. */
static char *admin_of(const char *listen)
{
    struct cdn_addr address;
    char text[CDN_ADDR_TEXT_SIZE] = "";
    if (cdn_parse_host_port(cdn_str(listen), &address)) {
        cdn_addr_set_port(&address, cdn_addr_port(&address) + 1000);
        cdn_addr_format(&address, text);
    }
    return cdn_strdup(text);
}

struct where { /* what all nodes are described by; text borrowed */
    const char *name, *place, *listen, *admin;
};

static enum cdn_status add_node(struct plan *plan, enum plan_kind kind, const struct where *where,
                                struct cdn_error *err)
{
    CDN_AUTOFREE char *admin = where->admin[0] ? cdn_strdup(where->admin) : admin_of(where->listen);
    CDN_AUTOFREE char *program = cdn_asprintf("pocketcdn-%s", plan_kind_word(kind));
    CDN_AUTOFREE char *path = NULL;
    enum cdn_status status = child_program(program, &path, err);
    if (status)
        return status;
    plan->nodes = cdn_realloc(plan->nodes, plan->n + 1, sizeof(*plan->nodes));
    struct plan_node *node = &plan->nodes[plan->n++];
    *node =
        (struct plan_node){.kind = kind, .name = cdn_strdup(where->name), .place = cdn_strdup(where->place)};
    node->url = cdn_asprintf("http://%s", where->listen);
    node->admin = cdn_asprintf("http://%s", admin);
    add_args(node, path, "-c", plan->config, "--listen", where->listen, "--admin", admin, NULL);
    return CDN_OK;
}

/* The origin that is to be started, or the URL of one that runs: the command line before the file. */
static enum cdn_status add_origin(struct plan *plan, const struct plan_wish *wish, const struct up_part *up,
                                  const struct origin_settings *origin, struct cdn_error *err)
{
    const char *root = wish->root ? wish->root : origin->root[0] ? origin->root : up->root;
    const char *url = wish->origin ? wish->origin : wish->root ? "" : up->origin;
    if (url[0]) {
        plan->origin_url = cdn_strdup(url);
        return CDN_OK;
    }
    if (!root[0])
        return cdn_error_set(
            err, CDN_USAGE, "nothing to serve: name a folder with --root DIR or an origin with --origin URL");
    struct where where = {plan_kind_word(PLAN_ORIGIN), origin->place, origin->listen, origin->admin};
    enum cdn_status status = add_node(plan, PLAN_ORIGIN, &where, err);
    if (status)
        return status;
    add_args(&plan->nodes[0], "--root", root, NULL);
    plan->origin_url = cdn_strdup(plan->nodes[0].url);
    return CDN_OK;
}

/* host:port of an http:// URL. */
static const char *authority(const char *url)
{
    return strncmp(url, "http://", 7) == 0 ? url + 7 : url;
}

static enum cdn_status add_edge(struct plan *plan, size_t i, const struct router_edge_settings *edge,
                                const char *state, const char *control, struct cdn_error *err)
{
    struct edge_settings part = {0};
    struct cdn_error none;
    enum cdn_status status = cdn_config_load_item(&edge_program, plan->config, i, &part, &none);
    if (status && status != CDN_NOT_FOUND)
        return cdn_error_set(err, status, "%s", none.text);
    CDN_AUTOFREE char *cache = part.cache_dir && part.cache_dir[0]
                                   ? cdn_strdup(part.cache_dir)
                                   : cdn_asprintf("%s/cache-%s", state, edge->name);
    struct where where = {edge->name, edge->place, edge->listen[0] ? edge->listen : authority(edge->url),
                          authority(edge->admin)};
    cdn_config_free(&edge_program, &part);
    status = add_node(plan, PLAN_EDGE, &where, err);
    if (!status)
        add_args(&plan->nodes[plan->n - 1], "--name", edge->name, "--place", edge->place, "--origin",
                 plan->origin_url, "--cache-dir", cache, "--control", control, NULL);
    return status;
}

static enum cdn_status add_all(struct plan *plan, const struct plan_wish *wish, const char *state,
                               const struct up_part *up, const struct origin_settings *origin,
                               const struct router_config *router, struct cdn_error *err)
{
    const struct router_settings *settings = &router->settings;
    CDN_AUTOFREE char *admin = settings->admin[0] ? cdn_strdup(settings->admin) : admin_of(settings->listen);
    CDN_AUTOFREE char *control = cdn_asprintf("http://%s", admin);
    struct where where = {plan_kind_word(PLAN_ROUTER), "", settings->listen, admin};
    if (router->edge_count > PLAN_EDGES_MAX)
        return cdn_error_set(err, CDN_TOO_LARGE, "%s: edges: more than %d on one machine", plan->config,
                             PLAN_EDGES_MAX);
    enum cdn_status status = add_origin(plan, wish, up, origin, err);
    for (size_t i = 0; i < router->edge_count && !status; i++)
        status = add_edge(plan, i, &router->edges[i].settings, state, control, err);
    if (!status)
        status = add_node(plan, PLAN_ROUTER, &where, err);
    if (!status) /* the purge log outlives a restart */
        add_args(&plan->nodes[plan->n - 1], "--state", state, NULL);
    return status;
}

enum cdn_status plan_read(const struct plan_wish *wish, const char *state, struct plan **ret,
                          struct cdn_error *err)
{
    struct up_part up = {0};
    struct origin_settings origin = {0};
    struct router_config router = {0};
    struct plan *plan = cdn_calloc(1, sizeof(*plan));
    plan->config = cdn_strdup(wish->config);
    enum cdn_status status = cdn_config_load_item(&up_program, wish->config, 0, &up, err);
    if (!status)
        status = cdn_config_load_item(&origin_program, wish->config, 0, &origin, err);
    if (!status)
        status = router_config_read(wish->config, &router, err);
    if (!status)
        status = add_all(plan, wish, state, &up, &origin, &router, err);
    cdn_config_free(&up_program, &up);
    cdn_config_free(&origin_program, &origin);
    router_config_free(&router);
    if (status)
        plan_destroy(plan);
    else
        *ret = plan;
    return status;
}

void plan_destroy(struct plan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; i < plan->n; i++) {
        struct plan_node *node = &plan->nodes[i];
        for (size_t k = 0; node->argv[k]; k++)
            free(node->argv[k]);
        free(node->name);
        free(node->place);
        free(node->url);
        free(node->admin);
    }
    free(plan->nodes);
    free(plan->config);
    free(plan->origin_url);
    free(plan);
}

json_t *plan_json(const struct plan *plan)
{
    json_t *nodes = json_array(), *all = json_object();
    for (size_t i = 0; i < plan->n; i++) {
        const struct plan_node *node = &plan->nodes[i];
        json_array_append_new(nodes, json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind",
                                               plan_kind_word(node->kind), "name", node->name, "place",
                                               node->place, "url", node->url, "admin", node->admin));
    }
    const struct plan_node *router = &plan->nodes[plan->n - 1];
    json_object_set_new(all, "config", json_string(plan->config));
    json_object_set_new(all, "origin", json_string(plan->origin_url));
    json_object_set_new(all, "router", json_string(router->url));
    json_object_set_new(all, "router_admin", json_string(router->admin));
    json_object_set_new(all, "nodes", nodes);
    return all;
}
