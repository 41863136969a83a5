/* target: names are compared without case and without the dot at their end, as DNS does. A node is reached
 * by name at the ports of the web, which lead to its listener whatever its port, and at its own two ports. */
#include "wan/relay/target.h"

#include "wan/relay/end.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

#define PORT_HTTP 80u
#define PORT_HTTPS 443u

static enum cdn_status lead_to(const struct wan_node *node, unsigned port, struct wan_target *ret,
                               struct cdn_error *err)
{
    const bool web = port == PORT_HTTP || port == PORT_HTTPS;
    const struct cdn_addr *address = NULL;
    if (node->listen.sa.sa_family == AF_UNSPEC) {
        return cdn_error_set(err, CDN_REFUSED, "%s: no address is known of %s", node->end.name, node->host);
    }
    if (port == cdn_addr_port(&node->listen) || port == node->port) {
        address = &node->listen;
    } else if (node->admin.sa.sa_family != AF_UNSPEC && port == cdn_addr_port(&node->admin)) {
        address = &node->admin;
    } else if (web) {
        address = &node->listen;
    }
    if (!address) {
        return cdn_error_set(err, CDN_REFUSED,
                             "%s has no port %u (its own are %u and %u; 80 and 443 lead to the first)",
                             node->end.name, port, cdn_addr_port(&node->listen), cdn_addr_port(&node->admin));
    }
    *ret = (struct wan_target){node, *address};
    return CDN_OK;
}

static bool same_host(const struct cdn_addr *a, const struct cdn_addr *b)
{
    size_t n, m;
    if (a->sa.sa_family != b->sa.sa_family) {
        return false;
    }
    const unsigned char *x = cdn_addr_bytes(a, &n), *y = cdn_addr_bytes(b, &m);
    return n == m && memcmp(x, y, n) == 0;
}

/* The first edge at an address: those of one CDN have one each. */
static const struct wan_node *edge_at(const struct wan_world *world, const struct cdn_addr *address)
{
    for (size_t i = 0; i < world->n; i++) {
        const struct wan_node *node = &world->nodes[i];
        if (node->kind == WAN_NODE_EDGE && same_host(&node->listen, address)) {
            return node;
        }
    }
    return NULL;
}

static enum cdn_status find_address(const struct wan_world *world, const struct cdn_addr *host, unsigned port,
                                    struct wan_target *ret, struct cdn_error *err)
{
    struct cdn_addr address = *host;
    char text[CDN_ADDR_TEXT_SIZE];
    cdn_addr_set_port(&address, port);
    const struct wan_node *node = wan_world_at(world, &address);
    if (!node && (port == PORT_HTTP || port == PORT_HTTPS) && (node = edge_at(world, &address))) {
        return lead_to(node, port, ret, err);
    }
    if (!node) {
        cdn_addr_format(&address, text);
        return cdn_error_set(err, CDN_REFUSED,
                             "%s is no listener of a node of this CDN (--allow %s allows it)", text, text);
    }
    *ret = (struct wan_target){node, address};
    return CDN_OK;
}

/* A name with its port as it was allowed, or as a node's URL has it. */
static const struct wan_node *known_by_name(const struct wan_world *world, struct cdn_str host, unsigned port)
{
    for (size_t i = 0; i < world->n; i++) {
        const struct wan_node *node = &world->nodes[i];
        if (node->port == port && cdn_str_eq_nocase(cdn_str(node->host), host)) {
            return node;
        }
    }
    return NULL;
}

/* The name in front of the zone: "fra" of "fra.cdn.test"; p NULL when it is not in the zone. */
static struct cdn_str label_of(const struct wan_world *world, struct cdn_str host)
{
    const size_t zone_n = strlen(world->zone);
    if (host.n > zone_n + 1 && host.p[host.n - zone_n - 1] == '.' &&
        cdn_str_same_nocase(host.p + host.n - zone_n, world->zone, zone_n)) {
        return (struct cdn_str){host.p, host.n - zone_n - 1};
    }
    return (struct cdn_str){0};
}

static bool is_of_site(const struct wan_world *world, struct cdn_str host)
{
    host.n -= host.n > 1 && host.p[host.n - 1] == '.';
    for (size_t i = 0; i < world->host_count; i++) {
        struct cdn_str name = cdn_str(world->hosts[i]);
        if (cdn_str_starts(name, CDN_STR("*."))) { /* every name below it */
            name = cdn_str_sub(name, 1);
            if (host.n > name.n && cdn_str_eq_nocase(cdn_str_sub(host, host.n - name.n), name)) {
                return true;
            }
        } else if (cdn_str_eq_nocase(name, host)) {
            return true;
        }
    }
    return false;
}

const char *wan_target_question(const struct wan_world *world, const char *host)
{
    return is_of_site(world, cdn_str(host)) ? world->site : host;
}

enum cdn_status wan_target_find(const struct wan_world *world, struct cdn_str host, unsigned port,
                                struct wan_target *ret, struct cdn_error *err)
{
    struct cdn_addr address;
    host.n -= host.n > 1 && host.p[host.n - 1] == '.';
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
        host = (struct cdn_str){host.p + 1, host.n - 2};
    }
    const struct wan_node *node = known_by_name(world, host, port);
    if (node) {
        return lead_to(node, port, ret, err);
    }
    const bool local = cdn_str_eq_nocase(host, CDN_STR("localhost"));
    if (cdn_parse_ip(local ? CDN_STR("127.0.0.1") : host, &address)) {
        return find_address(world, &address, port, ret, err);
    }
    struct cdn_str label = label_of(world, host);
    node = label.p ? wan_world_node(world, label) : NULL;
    if (node && !cdn_str_eq_nocase(host, cdn_str(world->site))) {
        return lead_to(node, port, ret, err);
    }
    if (!label.p && !is_of_site(world, host) && !cdn_str_eq_nocase(host, cdn_str(world->zone)) &&
        !cdn_str_eq_nocase(host, cdn_str(world->site))) {
        return cdn_error_set(err, CDN_REFUSED,
                             "'" CDN_STR_FMT
                             "' is no name of this CDN, whose zone is %s (--allow " CDN_STR_FMT
                             ":%u allows it)",
                             CDN_STR_ARG(host), world->zone, CDN_STR_ARG(host), port);
    }
    if (world->dns.sa.sa_family == AF_UNSPEC) {
        return cdn_error_set(err, CDN_REFUSED, "'" CDN_STR_FMT "' cannot be asked for: the CDN has no DNS",
                             CDN_STR_ARG(host));
    }
    *ret = (struct wan_target){0};
    return CDN_OK;
}

enum cdn_status wan_target_of_answer(const struct wan_world *world, const struct cdn_addr *answer,
                                     unsigned port, struct wan_target *ret, struct cdn_error *err)
{
    char text[CDN_ADDR_TEXT_SIZE];
    const struct wan_node *node = edge_at(world, answer);
    if (node) {
        return lead_to(node, port, ret, err);
    }
    cdn_addr_format_ip(answer, text);
    return cdn_error_set(err, CDN_REFUSED, "DNS gives %s, which is no edge of this CDN", text);
}
