/* rules: the edge is the one whose address our GeoDNS gives to the client. Where several have it (`up
 * --one-host`), only the router can tell which, so it is asked. A rule says the port, too: then a URL needs
 * none, and a site is under its own name as in production. */
#include "cli/browse/rules.h"

#include "cli/run/control.h"
#include "cli/run/zone.h"
#include "common/config/config_hosts.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

/* "127.0.1.9:8088" of "https://127.0.1.9:8088". */
static const char *authority_of(const json_t *node)
{
    const char *url = control_text(node, "url"), *slashes = strstr(url, "://");
    return slashes ? slashes + 3 : url;
}

static bool is_kind(const json_t *node, const char *kind)
{
    return strcmp(control_text(node, "kind"), kind) == 0;
}

/* The only edge at the address; NULL: there is none, or there are several. */
static const json_t *edge_at(const json_t *cdn, const struct cdn_addr *address, unsigned *ret_count)
{
    const json_t *node, *found = NULL;
    size_t i;
    *ret_count = 0;
    json_array_foreach(json_object_get(cdn, "nodes"), i, node)
    {
        struct cdn_addr at;
        size_t n, m;
        if (is_kind(node, "edge") && cdn_parse_host_port(cdn_str(authority_of(node)), &at)) {
            const unsigned char *a = cdn_addr_bytes(&at, &n), *b = cdn_addr_bytes(address, &m);
            if (n == m && memcmp(a, b, n) == 0) {
                found = node;
                ++*ret_count;
            }
        }
    }
    return *ret_count == 1 ? found : NULL;
}

static enum cdn_status ask_router(const json_t *cdn, const struct cdn_addr *client, json_t **ret_borrowed,
                                  struct cdn_error *err)
{
    char ip[CDN_ADDR_TEXT_SIZE] = "127.0.0.1";
    json_t *router, *route;
    enum cdn_status status = control_node(cdn, "router", "router", &router, err);
    if (status != CDN_OK) {
        return status;
    }
    if (client->sa.sa_family != AF_UNSPEC) {
        cdn_addr_format_ip(client, ip);
    }
    CDN_AUTOFREE char *path = cdn_asprintf("/route?ip=%s", ip);
    status = control_ask(router, "GET", path, NULL, &route, err);
    if (status == CDN_OK) {
        CDN_AUTOFREE char *name = cdn_strdup(control_text(route, "edge"));
        json_decref(route);
        status = control_node(cdn, "edge", name, ret_borrowed, err);
    }
    return status;
}

static enum cdn_status choose(const json_t *cdn, const struct zone *zone, const struct cdn_addr *client,
                              const json_t **ret, struct cdn_error *err)
{
    struct cdn_addr address;
    unsigned count;
    json_t *edge = NULL;
    if (!zone->answers) {
        return cdn_error_set(err, CDN_NOT_FOUND,
                             "the router's DNS, which says where names lead, is switched off: dns_listen");
    }
    if (!zone_ask(zone, zone->site, client, &address)) {
        return cdn_error_set(err, CDN_NOT_FOUND, "the router's DNS has no address for %s", zone->site);
    }
    *ret = edge_at(cdn, &address, &count);
    if (*ret) {
        return CDN_OK;
    }
    if (count == 0) {
        char text[CDN_ADDR_TEXT_SIZE];
        cdn_addr_format_ip(&address, text);
        return cdn_error_set(err, CDN_NOT_FOUND, "%s leads to %s, where no edge of this CDN listens",
                             zone->site, text);
    }
    enum cdn_status status = ask_router(cdn, client, &edge, err);
    *ret = edge;
    return status;
}

struct writing {
    struct cdn_buf *out;
    const char *at;
};

static void map(struct writing *w, const char *name, const char *at)
{
    cdn_buf_printf(w->out, "%sMAP %s %s", w->out->n ? "," : "", name, at);
}

static void take_host(void *arg, const char *host)
{
    struct writing *w = arg;
    if (!zone_means_machine(cdn_str(host))) {
        map(w, host, w->at);
    }
}

/* The first rule that fits counts, so names of nodes come before a site's wildcard. */
static enum cdn_status write_all(const json_t *cdn, const struct zone *zone, struct writing *w,
                                 struct cdn_error *err)
{
    const json_t *node;
    size_t i;
    map(w, zone->site, w->at);
    map(w, zone->name, w->at);
    json_array_foreach(json_object_get(cdn, "nodes"), i, node)
    {
        if (!is_kind(node, "wan")) {
            CDN_AUTOFREE char *name = cdn_asprintf("%s.%s", control_text(node, "name"), zone->name);
            struct cdn_str rest = cdn_str(authority_of(node));
            CDN_AUTOFREE char *at = cdn_str_dup(cdn_str_cut(&rest, '/'));
            map(w, name, at);
        }
    }
    const char *config = control_text(cdn, "config");
    return cdn_config_hosts_each(config[0] ? config : NULL, take_host, w, err);
}

enum cdn_status rules_make(const json_t *cdn, const struct zone *zone, const struct cdn_addr *client,
                           struct cdn_buf *out, char **ret_edge, struct cdn_error *err)
{
    const json_t *edge = NULL;
    enum cdn_status status = choose(cdn, zone, client, &edge, err);
    if (status == CDN_OK) {
        struct writing w = {out, authority_of(edge)};
        status = write_all(cdn, zone, &w, err);
        *ret_edge = cdn_strdup(control_text(edge, "name"));
    }
    return status;
}
