/* plan_check: everything that can be known to be wrong before a process starts is said here, all
 * with file and line: a daemon that ends two seconds later says it too late and to a log. */
#include "cli/run/plan.h"
#include "cli/run/ports.h"
#include "common/admin_address.h"
#include "common/config/config.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/site/origin.h"
#include "geo-data/places.h"
#include "origin/base/root.h"
#include "origin/settings.h"
#include "router/base/settings.h"
#include "router/table/table.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

struct listener {
    const struct plan_node *node;
    const char *key; /* of its section of cdn.yaml */
    size_t item;     /* of `edges`; SIZE_MAX: not in the file */
    struct cdn_addr address;
};

static const char *section_of(const struct listener *l)
{
    return l->node->kind == PLAN_EDGE ? "edges" : plan_kind_word(l->node->kind);
}

static bool add_listener(struct listener *into, const struct plan_node *node, const char *key, size_t item,
                         const char *text)
{
    const char *slashes = strstr(text, "://");
    *into = (struct listener){.node = node, .key = key, .item = item};
    return cdn_parse_host_port(cdn_str(slashes ? slashes + 3 : text), &into->address) &&
           cdn_addr_port(&into->address) != 0;
}

/* Every address that the CDN is going to listen on; owned by the caller. What is no address the daemon
 * refuses itself. */
static struct listener *listeners_of(const struct plan *plan, size_t *ret_n)
{
    struct listener *all = cdn_calloc(2 * plan->n + 1, sizeof(*all));
    size_t n = 0, edge = 0;
    for (size_t i = 0; i < plan->n; i++) {
        const struct plan_node *node = &plan->nodes[i];
        size_t item = node->kind == PLAN_EDGE && !plan->default_edges ? edge++ : SIZE_MAX;
        if (node->external) {
            continue;
        }
        n += add_listener(&all[n], node, "listen", item, node->url);
        n += add_listener(&all[n], node, "admin", item, node->admin);
    }
    n += add_listener(&all[n], &plan->nodes[plan->n - 1], "dns_listen", SIZE_MAX, plan->dns);
    *ret_n = n;
    return all;
}

/* "cdn.yaml:12: edges[nrt]: listen" */
static char *place_of(const struct plan *plan, const struct listener *l)
{
    size_t line = cdn_config_line(plan->config, section_of(l), l->item, l->key);
    CDN_AUTOFREE char *number = line ? cdn_asprintf(":%zu", line) : cdn_strdup("");
    return l->node->kind == PLAN_EDGE
               ? cdn_asprintf("%s%s: edges[%s]: %s", plan->config, number, l->node->name, l->key)
               : cdn_asprintf("%s%s: %s: %s", plan->config, number, l->node->name, l->key);
}

static bool is_any(const struct cdn_addr *a)
{
    size_t n;
    const unsigned char *bytes = cdn_addr_bytes(a, &n);
    for (size_t i = 0; i < n; i++) {
        if (bytes[i]) {
            return false;
        }
    }
    return true;
}

static bool collide(const struct cdn_addr *a, const struct cdn_addr *b)
{
    size_t n, m;
    const unsigned char *x = cdn_addr_bytes(a, &n), *y = cdn_addr_bytes(b, &m);
    return cdn_addr_port(a) == cdn_addr_port(b) && n == m && (is_any(a) || is_any(b) || memcmp(x, y, n) == 0);
}

static enum cdn_status check_distinct(const struct plan *plan, struct cdn_error *err)
{
    size_t n;
    CDN_AUTOFREE struct listener *all = listeners_of(plan, &n);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (!collide(&all[i].address, &all[k].address)) {
                continue;
            }
            char text[CDN_ADDR_TEXT_SIZE];
            CDN_AUTOFREE char *here = place_of(plan, &all[i]), *there = place_of(plan, &all[k]);
            cdn_addr_format(&all[i].address, text);
            return cdn_error_set(err, CDN_INVALID, "%s: %s is an address of another node too: %s", here, text,
                                 there);
        }
    }
    return CDN_OK;
}

static enum cdn_status check_root(const char *root, struct cdn_error *err)
{
    struct origin_root *opened;
    enum cdn_status status = origin_root_open(root, &opened, err);
    if (status == CDN_OK) {
        origin_root_close(opened);
    }
    return status;
}

static enum cdn_status check_origin_url(const char *url, struct cdn_error *err)
{
    struct edge_origins origins = {NULL};
    struct edge_origin *origin;
    struct cdn_error why;
    const enum cdn_status status = edge_origins_get(&origins, cdn_str(url), &origin, &why);
    edge_origins_free(&origins);
    return status == CDN_OK ? status : cdn_error_set(err, status, "--origin: %s", why.text);
}

static enum cdn_status check_place(const struct plan *plan, const char *section, const char *key,
                                   const char *place, struct cdn_error *err)
{
    struct geo_place found;
    struct cdn_error why;
    if (!place[0] || geo_place_find(cdn_str(place), &found, &why) == CDN_OK) {
        return CDN_OK;
    }
    return cdn_error_set(err, CDN_INVALID, "%s:%zu: %s: %s: %s", plan->config,
                         cdn_config_line(plan->config, section, SIZE_MAX, key), section, key, why.text);
}

enum cdn_status plan_check(const struct plan *plan, const char *root, const struct origin_settings *origin,
                           const struct router_config *router, struct cdn_error *err)
{
    struct router_table *table = NULL;
    enum cdn_status status = root                  ? root[0] ? check_root(root, err) : CDN_OK
                             : plan->origin_url[0] ? check_origin_url(plan->origin_url, err)
                                                   : CDN_OK; /* sites have their own */
    if (status == CDN_OK && root) {
        status = check_place(plan, "origin", "place", origin->place, err);
    }
    if (status == CDN_OK) {
        status = check_place(plan, "router", "default_place", router->settings.default_place, err);
    }
    if (status == CDN_OK) {
        status = check_distinct(plan, err);
    }
    if (status == CDN_OK) {
        status = router_table_create(router, &table, err);
    }
    router_table_unref(table);
    return status;
}

enum cdn_status plan_check_free(const struct plan *plan, struct cdn_error *err)
{
    size_t n;
    CDN_AUTOFREE struct listener *all = listeners_of(plan, &n);
    for (size_t i = 0; i < n; i++) {
        bool dns = strcmp(all[i].key, "dns_listen") == 0;
        if (ports_free(&all[i].address) && (!dns || ports_free_udp(&all[i].address))) {
            continue;
        }
        char text[CDN_ADDR_TEXT_SIZE];
        CDN_AUTOFREE char *place = place_of(plan, &all[i]);
        cdn_addr_format(&all[i].address, text);
        return cdn_error_set(err, CDN_CONFLICT, "%s: %s is in use by another program", place, text);
    }
    return CDN_OK;
}

static bool is_free(const char *host, unsigned port)
{
    struct cdn_addr address;
    CDN_AUTOFREE char *text = cdn_asprintf("%s:%u", host, port);
    return cdn_parse_host_port(cdn_str(text), &address) && ports_free(&address);
}

bool plan_ports_free(const struct plan_ports *ports)
{
    struct cdn_addr dns;
    CDN_AUTOFREE char *text = cdn_asprintf("%s:%u", ports->router_host, plan_dns_port(ports));
    bool free_all = is_free(ports->router_host, ports->router) &&
                    is_free(ports->router_host, cdn_admin_port(ports->router)) &&
                    is_free(ports->router_host, ports->origin) &&
                    is_free(ports->router_host, cdn_admin_port(ports->origin)) &&
                    is_free(ports->router_host, ports->wan) &&
                    is_free(ports->router_host, cdn_admin_port(ports->wan)) &&
                    is_free(ports->router_host, plan_dns_port(ports)) &&
                    cdn_parse_host_port(cdn_str(text), &dns) && ports_free_udp(&dns);
    for (unsigned i = 0; i < GEO_DEFAULT_EDGES && free_all; i++) {
        char host[PLAN_HOST_SIZE];
        unsigned port;
        plan_edge_at(ports, i, host, &port);
        free_all = is_free(host, port) && is_free(host, cdn_admin_port(port));
    }
    return free_all;
}
