/* relay_json: what the admin listener shows of the network. All times of paths are modelled, and say so. */
#include "common/daemon/metrics.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "wan/path/formula.h"
#include "wan/path/path.h"
#include "wan/relay/client.h"
#include "wan/relay/end.h"
#include "wan/relay/fault.h"
#include "wan/relay/link.h"
#include "wan/relay/metrics.h"
#include "wan/relay/pipe.h"
#include "wan/relay/relay.h"
#include "wan/relay/relay_private.h"
#include "wan/relay/route.h"
#include "wan/relay/world.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/banned.h"

#define MS(ns) ((double)(ns) / 1e6)

const struct wan_metrics *wan_relay_metrics(struct wan_relay *relay)
{
    struct wan_metrics *m = &relay->metrics;
    cdn_metric_set(&m->connections, relay->conn_count);
    cdn_metric_set(&m->memory, relay->budget.used);
    cdn_metric_set(&m->listeners, relay->places);
    cdn_metric_set(&m->faults, relay->faults.n);
    return m;
}

const struct cdn_histogram *wan_relay_lateness(const struct wan_relay *relay)
{
    return &relay->budget.late;
}

static json_t *address_json(const struct cdn_addr *address)
{
    char text[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format(address, text);
    return json_string(text);
}

json_t *wan_relay_listeners_json(const struct wan_relay *relay)
{
    json_t *all = json_array();
    for (const struct wan_listener *l = relay->listeners; l; l = l->next) {
        char text[CDN_ADDR_TEXT_SIZE];
        cdn_addr_format(&l->address, text);
        json_t *one = json_pack("{s:s}", "listen", text);
        if (l->kind == WAN_LISTENER_LINK) {
            json_object_set_new(one, "kind", json_string(l->link->udp ? "link, TCP and UDP" : "link"));
            json_object_set_new(one, "to", address_json(&l->link->target));
        } else {
            CDN_AUTOFREE char *proxy = cdn_asprintf("socks5h://%s", text);
            json_object_set_new(one, "kind", json_string(l->client ? "place" : "anybody"));
            json_object_set_new(one, "proxy", json_string(proxy));
        }
        if (l->client) {
            json_object_set_new(one, "place", json_string(l->client->end->name));
            json_object_set_new(one, "profile", json_string(wan_client_profile_name(l->client)));
        }
        json_array_insert_new(all, 0, one);
    }
    return all;
}

json_t *wan_relay_faults_json(const struct wan_relay *relay)
{
    return wan_faults_json(&relay->faults);
}

static json_t *node_json(const struct wan_node *node)
{
    json_t *one =
        json_pack("{s:s, s:s, s:s, s:b}", "name", node->end.name, "kind", wan_node_kind_word(node->kind),
                  "place", node->end.place, "proxy_protocol", node->proxy);
    if (node->listen.sa.sa_family != AF_UNSPEC) {
        json_object_set_new(one, "listen", address_json(&node->listen));
    }
    return one;
}

/* Connections and their links, counted: who is where, how far, and what is wrong with the way. */
static json_t *links_json(const struct wan_relay *relay)
{
    json_t *all = json_object();
    for (const struct wan_conn *c = relay->conns; c; c = c->next) {
        if (!c->to || !c->client) {
            continue;
        }
        CDN_AUTOFREE char *name = cdn_asprintf("%s-%s", c->client->end->name, c->to->name);
        json_t *there = json_object_get(all, name);
        if (!there) {
            there = json_pack("{s:I, s:f, s:b}", "connections", (json_int_t)0, "rtt_ms",
                              MS(c->route.up.there_ns + c->route.down.there_ns), "cut",
                              c->route.up.cut || c->route.down.cut);
            json_object_set_new(all, name, there);
        }
        json_t *count = json_object_get(there, "connections");
        json_integer_set(count, json_integer_value(count) + 1);
    }
    return all;
}

json_t *wan_relay_status_json(const struct wan_relay *relay)
{
    json_t *all = json_object(), *nodes = json_array();
    for (size_t i = 0; i < relay->era->world.n; i++) {
        json_array_append_new(nodes, node_json(&relay->era->world.nodes[i]));
    }
    json_object_set_new(all, "zone", json_string(relay->era->world.zone));
    json_object_set_new(all, "site", json_string(relay->era->world.site));
    json_object_set_new(all, "nodes", nodes);
    json_object_set_new(all, "listeners", wan_relay_listeners_json(relay));
    json_object_set_new(
        all, "connections",
        json_pack("{s:I, s:I}", "now", (json_int_t)relay->conn_count, "most", (json_int_t)relay->conn_limit));
    json_object_set_new(all, "memory",
                        json_pack("{s:I, s:I}", "used", (json_int_t)relay->budget.used, "most",
                                  (json_int_t)relay->budget.limit));
    json_object_set_new(all, "links", links_json(relay));
    json_object_set_new(all, "faults", wan_faults_json(&relay->faults));
    return all;
}

/* ---- GET /path ---- */

static json_t *path_json(const struct wan_path *path)
{
    return json_pack("{s:f, s:I, s:I, s:I, s:f, s:f, s:b}", "there_ms", MS(path->there_ns), "bytes_per_s",
                     (json_int_t)path->bytes_per_s, "initial_window",
                     (json_int_t)(path->initial_window ? path->initial_window : WAN_INITIAL_WINDOW),
                     "largest_window",
                     (json_int_t)(path->largest_window ? path->largest_window : WAN_LARGEST_WINDOW), "loss",
                     path->loss, "jitter_ms", MS(path->jitter_ns), "cut", path->cut);
}

/* By the closed formula, for a small request: the first byte, and bodies of some sizes to their end. Servers
 * take no time here, and nothing is lost. */
static json_t *times_json(const struct wan_route *route, bool new_connection)
{
    static const struct {
        const char *key;
        int64_t bytes;
    } bodies[] = {
        {"1", 1}, {"10000", 10000}, {"100000", 100000}, {"1000000", 1000000}, {"10000000", 10000000}};
    json_t *all = json_object(), *totals = json_object();
    for (size_t i = 0; i < CDN_ARRAY_LEN(bodies); i++) {
        const struct wan_exchange exchange = {
            .bytes_up = 100, .bytes_down = bodies[i].bytes, .new_connection = new_connection};
        struct wan_times times;
        wan_formula(&route->up, &route->down, &exchange, &times);
        json_object_set_new(totals, bodies[i].key, json_real(MS(times.total_ns)));
        if (i == 0) {
            json_object_set_new(all, "first_byte_ms", json_real(MS(times.first_byte_ns)));
        }
    }
    json_object_set_new(all, "total_ms", totals);
    return all;
}

enum cdn_status wan_relay_path_json(const struct wan_relay *relay, const char *from, const char *to,
                                    const char *profile, json_t **ret, struct cdn_error *err)
{
    struct wan_client *client, *target;
    struct wan_route route;
    const struct wan_who who = wan_era_who(relay, relay->era);
    enum cdn_status status = wan_client_create(&who, from, profile, &client, err);
    if (status != CDN_OK) {
        return cdn_error_prefix(err, "from");
    }
    status = wan_client_create(&who, to, "", &target, err);
    if (status != CDN_OK) {
        wan_client_unref(client);
        return cdn_error_prefix(err, "to");
    }
    wan_route_find(relay->settings, &relay->faults, client, target->end, -1, &route);
    double rtt_ms = MS(route.up.there_ns + route.down.there_ns);
    json_t *all = json_pack("{s:s, s:s, s:s, s:f, s:b}", "from", client->end->name, "to", target->end->name,
                            "profile", wan_client_profile_name(client), "rtt_ms", rtt_ms, "modelled", 1);
    json_object_set_new(all, "up", path_json(&route.up));
    json_object_set_new(all, "down", path_json(&route.down));
    json_object_set_new(all, "new", times_json(&route, true));
    json_object_set_new(all, "kept", times_json(&route, false));
    *ret = all;
    wan_client_unref(client);
    wan_client_unref(target);
    return CDN_OK;
}
