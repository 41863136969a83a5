/* world: each node is completed as its own program would complete it: an admin listener from the port, a
 * place from the name. What has no address of its own machine (an origin far away) is resolved once, here:
 * later nothing may wait. */
#include "wan/relay/world.h"

#include "common/admin_address.h"
#include "common/config/config.h"
#include "common/config/config_hosts.h"
#include "common/mem.h"
#include "geo-data/places.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/banned.h"

const char *wan_node_kind_word(enum wan_node_kind kind)
{
    static const char *const words[] = {
#define X(name, word) word,
        WAN_NODE_KINDS(X)
#undef X
    };
    return words[kind];
}

bool wan_world_same_address(const struct cdn_addr *a, const struct cdn_addr *b)
{
    size_t n, m;
    if (a->sa.sa_family != b->sa.sa_family || a->sa.sa_family == AF_UNSPEC) {
        return false;
    }
    const unsigned char *x = cdn_addr_bytes(a, &n), *y = cdn_addr_bytes(b, &m);
    return n == m && memcmp(x, y, n) == 0 && cdn_addr_port(a) == cdn_addr_port(b);
}

/* ---- addresses ---- */

/* host and port of "https://host:port/", "host:port" or "host"; the port that its scheme has. */
static bool split_authority(const char *text, struct cdn_str *ret_host, unsigned *ret_port)
{
    const char *slashes = strstr(text, "://");
    struct cdn_str rest = cdn_str(slashes ? slashes + 3 : text);
    uint64_t port = cdn_str_starts(cdn_str(text), CDN_STR("https:")) ? 443 : 80;
    rest = cdn_str_cut(&rest, '/');
    const char *colon = memrchr(rest.p, ':', rest.n), *bracket = memrchr(rest.p, ']', rest.n);
    if (colon && (!bracket || bracket < colon)) {
        struct cdn_str digits = cdn_str_sub(rest, (size_t)(colon - rest.p) + 1);
        if (!cdn_parse_u64(digits, &port) || !port || port > UINT16_MAX) {
            return false;
        }
        rest.n = (size_t)(colon - rest.p);
    }
    if (rest.n > 1 && rest.p[0] == '[' && rest.p[rest.n - 1] == ']') {
        rest = (struct cdn_str){rest.p + 1, rest.n - 2};
    }
    *ret_host = rest;
    *ret_port = (unsigned)port;
    return rest.n > 0;
}

/* The system's resolver, at the start only. AF_UNSPEC when it knows nothing. */
static void resolve(const char *host, unsigned port, struct cdn_addr *ret)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    *ret = (struct cdn_addr){0};
    if (cdn_parse_ip(cdn_str(host), ret)) {
        cdn_addr_set_port(ret, port);
        return;
    }
    if (strcasecmp(host, "localhost") == 0) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else if (getaddrinfo(host, NULL, &hints, &found) == 0) {
        if (found->ai_addrlen <= sizeof(*ret)) {
            memcpy(ret, found->ai_addr, found->ai_addrlen);
        }
        freeaddrinfo(found);
    }
    if (ret->sa.sa_family == AF_INET || ret->sa.sa_family == AF_INET6) {
        cdn_addr_set_port(ret, port);
    } else {
        *ret = (struct cdn_addr){0};
    }
}

/* A listener on all addresses is reached on loopback. */
static void reachable(struct cdn_addr *a)
{
    if (a->sa.sa_family == AF_INET && a->v4.sin_addr.s_addr == INADDR_ANY) {
        a->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else if (a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr)) {
        a->v6.sin6_addr = in6addr_loopback;
    }
}

static enum cdn_status set_listener(struct wan_node *node, const char *url_or_listen, const char *key,
                                    struct cdn_error *err)
{
    struct cdn_str host;
    unsigned port;
    if (!split_authority(url_or_listen, &host, &port)) {
        return cdn_error_set(err, CDN_INVALID, "%s: %s: '%s' has no host and port", node->end.name, key,
                             url_or_listen);
    }
    node->host = cdn_str_dup(host);
    node->port = port;
    resolve(node->host, port, &node->listen);
    reachable(&node->listen);
    return CDN_OK;
}

static void set_admin(struct wan_node *node, const char *admin, const char *listen)
{
    char beside[CDN_ADDR_TEXT_SIZE] = "";
    const char *slashes = strstr(admin, "://");
    cdn_admin_address(slashes ? slashes + 3 : admin, listen, beside);
    if (!cdn_parse_host_port(cdn_str(beside), &node->admin)) {
        node->admin = (struct cdn_addr){0};
    }
    reachable(&node->admin);
}

/* Whether headers from this machine would be believed: what is not believed must not be sent. */
static bool believes_us(int proxy_protocol, const struct cdn_config_list *trusted)
{
    struct cdn_addr us;
    struct cdn_cidr network;
    if (!proxy_protocol || !cdn_parse_ip(CDN_STR("127.0.0.1"), &us)) {
        return false;
    }
    for (size_t i = 0; i < trusted->n; i++) {
        if (cdn_parse_cidr(cdn_str(trusted->items[i].key), &network) && cdn_cidr_has(&network, &us)) {
            return true;
        }
    }
    return false;
}

/* ---- the nodes ---- */

struct reading {
    struct wan_world *world;
    const char *path; /* NULL: none */
    struct cdn_error *err;
    enum cdn_status status;
};

static struct wan_node *add(struct wan_world *world, enum wan_node_kind kind)
{
    world->nodes = cdn_realloc(world->nodes, world->n + 1, sizeof(*world->nodes));
    struct wan_node *node = &world->nodes[world->n++];
    *node = (struct wan_node){.kind = kind};
    return node;
}

static enum cdn_status add_node(struct wan_world *world, enum wan_node_kind kind, const char *name,
                                const char *place, const char *listen, const char *admin,
                                struct cdn_error *err)
{
    struct wan_node *node = add(world, kind);
    struct cdn_error why;
    if (wan_end_init(&node->end, name, place, &why) != CDN_OK) {
        world->n--;
        return cdn_error_set(err, CDN_INVALID, "%s: place: %s", name, why.text);
    }
    enum cdn_status status = set_listener(node, listen, "listen", err);
    if (status == CDN_OK && admin) {
        set_admin(node, admin, listen);
    }
    return status;
}

static void add_edge(struct reading *r, const struct wan_edge_part *edge)
{
    const size_t i = r->world->n;
    CDN_AUTOFREE char *usual = cdn_asprintf("127.0.%zu.%zu:8088", 1 + i / 254, 1 + i % 254);
    const char *listen = edge->listen[0] ? edge->listen : edge->url[0] ? edge->url : usual;
    const char *place = edge->place[0] ? edge->place : edge->name;
    const char *slashes = strstr(listen, "://");
    r->status = add_node(r->world, WAN_NODE_EDGE, edge->name, place, listen, "", r->err);
    if (r->status != CDN_OK) {
        return;
    }
    struct wan_node *node = &r->world->nodes[i];
    struct cdn_str host;
    set_admin(node, edge->admin, slashes ? slashes + 3 : listen);
    node->proxy = believes_us(edge->proxy_protocol, &edge->trusted_proxies);
    if (edge->url[0] && split_authority(edge->url, &host, &node->port)) {
        free(node->host);
        node->host = cdn_str_dup(host);
    }
}

static void take_edge(void *arg, const void *settings)
{
    struct reading *r = arg;
    struct wan_edge_part edge = *(const struct wan_edge_part *)settings; /* ours from now on */
    if (r->status == CDN_OK) {
        add_edge(r, &edge);
    }
    cdn_config_free(&wan_edge_program, &edge);
}

static enum cdn_status add_usual_edges(struct wan_world *world, struct cdn_error *err)
{
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < GEO_DEFAULT_EDGES && status == CDN_OK; i++) {
        const struct geo_site *site = geo_site_at(i);
        CDN_AUTOFREE char *name = cdn_str_dup(site->name), *city = cdn_str_dup(site->city);
        CDN_AUTOFREE char *listen = cdn_asprintf("127.0.1.%zu:8088", 1 + i);
        status = add_node(world, WAN_NODE_EDGE, name, city, listen, "", err);
    }
    return status;
}

static enum cdn_status read_edges(struct reading *r)
{
    enum cdn_status status = CDN_OK;
    if (r->path) {
        status = cdn_config_load_items(&wan_edge_program, r->path, take_edge, r, r->err);
    }
    status = status == CDN_OK ? r->status : status;
    return status == CDN_OK && r->world->n == 0 ? add_usual_edges(r->world, r->err) : status;
}

static const char *first_edge_place(const struct wan_world *world)
{
    return world->n ? world->nodes[0].end.place : "";
}

/* Our own origin if there is a folder to serve, else the one that the edges ask: as `up` decides it. */
static enum cdn_status read_origin(struct reading *r, const struct wan_settings *settings)
{
    struct wan_origin_part part = {0};
    struct wan_url_part url = {0};
    struct wan_root_part root = {0};
    bool other_origin = false;
    enum cdn_status status = cdn_config_load_item(&wan_origin_program, r->path, 0, &part, r->err);
    if (status == CDN_OK) {
        status = cdn_config_load_item(&wan_url_program, r->path, 0, &url, r->err);
    }
    if (status == CDN_OK) {
        status = cdn_config_load_item(&wan_root_program, r->path, 0, &root, r->err);
    }
    if (status == CDN_OK) {
        const char *other = settings->origin[0] ? settings->origin : root.root[0] ? "" : url.origin;
        const char *place = part.place[0]               ? part.place
                            : settings->origin_place[0] ? settings->origin_place
                                                        : first_edge_place(r->world);
        other_origin = other[0] != '\0';
        status = add_node(r->world, WAN_NODE_ORIGIN, wan_node_kind_word(WAN_NODE_ORIGIN), place,
                          other[0] ? other : part.listen, other[0] ? NULL : part.admin, r->err);
    }
    if (status == CDN_OK) {
        r->world->nodes[r->world->n - 1].proxy =
            !other_origin && believes_us(part.proxy_protocol, &part.trusted_proxies);
    }
    cdn_config_free(&wan_origin_program, &part);
    cdn_config_free(&wan_url_program, &url);
    cdn_config_free(&wan_root_program, &root);
    return status;
}

static void set_names(struct wan_world *world, const struct wan_router_part *router)
{
    struct cdn_str zone = cdn_str(router->dns_zone), name = cdn_str(router->dns_name);
    zone.n -= zone.n && zone.p[zone.n - 1] == '.';
    name.n -= name.n && name.p[name.n - 1] == '.';
    world->zone = cdn_str_dup(zone);
    /* as the router's zone has it: a name with the zone at its end is whole */
    world->site = cdn_str_ends(name, zone)
                      ? cdn_str_dup(name)
                      : cdn_asprintf(CDN_STR_FMT "." CDN_STR_FMT, CDN_STR_ARG(name), CDN_STR_ARG(zone));
    if (!cdn_parse_host_port(cdn_str(router->dns_listen), &world->dns)) { /* "off" */
        world->dns = (struct cdn_addr){0};
    }
    reachable(&world->dns);
}

static void take_host(void *arg, const char *host)
{
    struct wan_world *world = arg;
    world->hosts = cdn_realloc(world->hosts, world->host_count + 1, sizeof(*world->hosts));
    world->hosts[world->host_count++] = cdn_strdup(host);
}

static enum cdn_status read_router(struct reading *r, const struct wan_settings *settings)
{
    struct wan_router_part part = {0};
    const struct wan_node *origin = &r->world->nodes[r->world->n - 1];
    enum cdn_status status = cdn_config_load_item(&wan_router_program, r->path, 0, &part, r->err);
    if (status == CDN_OK) {
        CDN_AUTOFREE char *place =
            cdn_strdup(settings->router_place[0] ? settings->router_place : origin->end.place);
        status = add_node(r->world, WAN_NODE_ROUTER, wan_node_kind_word(WAN_NODE_ROUTER), place, part.listen,
                          part.admin, r->err);
    }
    if (status == CDN_OK) {
        r->world->nodes[r->world->n - 1].proxy = believes_us(part.proxy_protocol, &part.trusted_proxies);
        set_names(r->world, &part);
        status = cdn_config_hosts_each(r->path, take_host, r->world, r->err);
    }
    cdn_config_free(&wan_router_program, &part);
    return status;
}

/* HOST:PORT[=PLACE] */
static enum cdn_status add_allowed(struct wan_world *world, const struct cdn_config_entry *entry,
                                   struct cdn_error *err)
{
    struct cdn_str place = cdn_str(entry->key);
    struct cdn_str target = cdn_str_trim(cdn_str_cut(&place, '='));
    const struct wan_node *origin = &world->nodes[0];
    CDN_AUTOFREE char *name = cdn_str_dup(target);
    for (size_t i = 0; i < world->n; i++) {
        origin = world->nodes[i].kind == WAN_NODE_ORIGIN ? &world->nodes[i] : origin;
    }
    CDN_AUTOFREE char *where = place.p ? cdn_str_dup(place) : cdn_strdup(origin->end.place);
    struct cdn_str host;
    unsigned port;
    if (!memchr(name, ':', target.n) || strstr(name, "://") || strchr(name, '/') ||
        !split_authority(name, &host, &port)) {
        return cdn_error_set(err, CDN_INVALID, "%s: allow: '%s' is not HOST:PORT or HOST:PORT=PLACE",
                             entry->origin, entry->key);
    }
    enum cdn_status status = add_node(world, WAN_NODE_ALLOWED, name, where, name, NULL, err);
    if (status != CDN_OK) {
        return cdn_error_prefix(err, "%s: allow", entry->origin);
    }
    if (world->nodes[world->n - 1].listen.sa.sa_family == AF_UNSPEC) {
        return cdn_error_set(err, CDN_INVALID, "%s: allow: no address is known of '%s'", entry->origin, name);
    }
    return CDN_OK;
}

enum cdn_status wan_world_read(const char *path, const struct wan_settings *settings, struct wan_world *ret,
                               struct cdn_error *err)
{
    struct wan_world world = {0};
    struct reading r = {.world = &world, .path = path, .err = err};
    enum cdn_status status = read_edges(&r);
    if (status == CDN_OK) {
        status = read_origin(&r, settings);
    }
    if (status == CDN_OK) {
        status = read_router(&r, settings);
    }
    if (status != CDN_OK && path) {
        cdn_error_prefix(err, "%s", path);
    }
    for (size_t i = 0; i < world.n && settings->proxy_headers; i++) {
        world.nodes[i].proxy = world.nodes[i].admin.sa.sa_family != AF_UNSPEC; /* not an origin of others */
    }
    for (size_t i = 0; i < settings->allow.n && status == CDN_OK; i++) {
        status = add_allowed(&world, &settings->allow.items[i], err);
    }
    if (status == CDN_OK) {
        *ret = world;
    } else {
        wan_world_free(&world);
    }
    return status;
}

void wan_world_free(struct wan_world *world)
{
    for (size_t i = 0; i < world->n; i++) {
        wan_end_fini(&world->nodes[i].end);
        free(world->nodes[i].host);
    }
    free(world->nodes);
    free(world->zone);
    free(world->site);
    for (size_t i = 0; i < world->host_count; i++) {
        free(world->hosts[i]);
    }
    free(world->hosts);
    *world = (struct wan_world){0};
}

const struct wan_node *wan_world_node(const struct wan_world *world, struct cdn_str name)
{
    for (size_t i = 0; i < world->n; i++) {
        const struct wan_node *node = &world->nodes[i];
        if (node->kind != WAN_NODE_ALLOWED && cdn_str_eq_nocase(cdn_str(node->end.name), name)) {
            return node;
        }
    }
    return NULL;
}

const struct wan_node *wan_world_node_of(const struct wan_world *world, const struct wan_end *end)
{
    for (size_t i = 0; i < world->n; i++) {
        if (&world->nodes[i].end == end) {
            return &world->nodes[i];
        }
    }
    return NULL;
}

const struct wan_node *wan_world_at(const struct wan_world *world, const struct cdn_addr *address)
{
    for (size_t i = 0; i < world->n; i++) {
        const struct wan_node *node = &world->nodes[i];
        if (wan_world_same_address(&node->listen, address) || wan_world_same_address(&node->admin, address)) {
            return node;
        }
    }
    return NULL;
}
