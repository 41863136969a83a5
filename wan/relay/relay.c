/* relay: puts the network together and takes it apart; what it says of itself is in relay_json. */
#include "wan/relay/relay.h"

#include "common/clock.h"
#include "common/config/config.h"
#include "common/daemon/daemon.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/str.h"
#include "wan/path/profile.h"
#include "wan/relay/address.h"
#include "wan/relay/client.h"
#include "wan/relay/end.h"
#include "wan/relay/fault.h"
#include "wan/relay/keep.h"
#include "wan/relay/link.h"
#include "wan/relay/pipe.h"
#include "wan/relay/relay_private.h"
#include "wan/relay/udp.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define LISTENERS_MAX 1024u
#define PLACE_MAX 200u /* bytes of a name: what is kept of all listeners stays below what keep.c reads */
#define DESCRIPTORS_A_CONN 2u
#define NS_PER_MS INT64_C(1000000)

/* ---- listeners of places ---- */

static struct wan_listener *find_listener(const struct wan_relay *relay, const struct wan_client *client)
{
    for (struct wan_listener *l = relay->listeners; l; l = l->next) {
        const struct wan_client *c = l->client;
        if (l->kind == WAN_LISTENER_PLACE && c->profile == client->profile &&
            (c->end == client->end ||
             (!c->end->is_node && !client->end->is_node && strcmp(c->end->name, client->end->name) == 0 &&
              wan_end_is_at(c->end, client->end->lat, client->end->lon)))) {
            return l;
        }
    }
    return NULL;
}

/* Closes the one of a place that nobody has used for longest, if that is long enough. */
static bool give_back(struct wan_relay *relay)
{
    const int64_t before_ns = cdn_clock_mono_ns() - relay->settings->listener_idle * NS_PER_MS;
    struct wan_listener *least = NULL;
    for (struct wan_listener *l = relay->listeners; l; l = l->next) {
        const bool is_idle =
            l->kind == WAN_LISTENER_PLACE && l->client->owners == 1 && l->used_ns <= before_ns;
        if (is_idle && (!least || l->used_ns < least->used_ns)) {
            least = l;
        }
    }
    if (least) {
        cdn_log(CDN_LOG_INFO, "listener_idle", "place=%s", least->place);
        wan_listen_close(least);
    }
    return least != NULL;
}

/* On the general listener's address; `port` 0: the kernel's choice. */
static enum cdn_status open_place(struct wan_relay *relay, struct wan_client *client, const char *place,
                                  unsigned port, struct wan_listener **ret, struct cdn_error *err)
{
    struct cdn_addr address;
    if (relay->places == LISTENERS_MAX && !give_back(relay)) {
        return cdn_error_set(err, CDN_TOO_LARGE,
                             "listeners: more than %u, and each was used within listener_idle",
                             LISTENERS_MAX);
    }
    wan_relay_address(relay, &address);
    cdn_addr_set_port(&address, port);
    enum cdn_status status = wan_listen_open(relay, WAN_LISTENER_PLACE, &address, ret, err);
    if (status == CDN_OK) {
        client->shares = true;
        (*ret)->client = wan_client_ref(client);
        (*ret)->place = cdn_strdup(place);
        (*ret)->profile = cdn_strdup(wan_client_profile_name(client));
        relay->places++;
    }
    return status;
}

enum cdn_status wan_relay_listen(struct wan_relay *relay, const char *place, const char *profile,
                                 struct cdn_addr *ret, struct cdn_error *err)
{
    struct wan_client *client;
    struct wan_listener *made = NULL;
    if (strlen(place) > PLACE_MAX) { /* signs that are in no name are passed over, however many */
        return cdn_error_set(err, CDN_INVALID, "listeners: a place has at most %u bytes", PLACE_MAX);
    }
    const struct wan_who who = wan_era_who(relay, relay->era);
    enum cdn_status status = wan_client_create(&who, place, profile, &client, err);
    if (status != CDN_OK) {
        return status;
    }
    struct wan_listener *there = find_listener(relay, client);
    if (!there) {
        status = open_place(relay, client, place, 0, &made, err);
        there = made;
        if (status == CDN_OK) {
            status = wan_keep_save(relay->settings->state, relay->listeners, err);
        }
    }
    if (status == CDN_OK && there) {
        there->used_ns = cdn_clock_mono_ns();
        *ret = there->address;
    }
    wan_client_unref(client);
    return status;
}

static void restore_place(void *arg, const char *place, const char *profile, unsigned port)
{
    struct wan_relay *relay = arg;
    struct wan_client *client;
    struct wan_listener *made;
    struct cdn_error err;
    const struct wan_who who = wan_era_who(relay, relay->era);
    enum cdn_status status = wan_client_create(&who, place, profile, &client, &err);
    if (status == CDN_OK) {
        status = open_place(relay, client, place, port, &made, &err);
        wan_client_unref(client);
    }
    if (status != CDN_OK) {
        cdn_log(CDN_LOG_WARN, "listener_lost", "place=%s port=%u error=%s", place, port, err.text);
    }
}

/* ---- life ---- */

static enum cdn_status open_general(struct wan_relay *relay, struct cdn_error *err)
{
    struct cdn_addr address;
    struct wan_listener *general;
    if (!cdn_parse_host_port(cdn_str(relay->settings->listen), &address)) {
        return cdn_error_set(err, CDN_INVALID, "listen: %s is not HOST:PORT", relay->settings->listen);
    }
    if (!cdn_addr_is_loopback(&address)) {
        return cdn_error_set(err, CDN_INVALID,
                             "listen: %s is not on loopback: the network between places is for this machine",
                             relay->settings->listen);
    }
    enum cdn_status status = wan_listen_open(relay, WAN_LISTENER_ANYBODY, &address, &general, err);
    return status == CDN_OK ? status : cdn_error_prefix(err, "listen");
}

static enum cdn_status open_links(struct wan_relay *relay, struct cdn_error *err)
{
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < relay->era->link_count && status == CDN_OK; i++) {
        struct wan_link *link = &relay->era->links[i];
        struct wan_listener *l;
        status = wan_listen_open(relay, WAN_LISTENER_LINK, &link->listen, &l, err);
        if (status == CDN_OK) {
            link->listen = l->address;
            l->link = link;
            l->client = wan_client_ref(link->client);
            status = link->udp ? wan_udp_open(relay->udp, link, err) : CDN_OK;
        }
        if (status != CDN_OK) {
            cdn_error_prefix(err, "%s: links", relay->settings->links.items[i].origin);
        }
    }
    return status;
}

static void limit_connections(struct wan_relay *relay)
{
    const uint64_t spare = daemon_descriptors(1) / DESCRIPTORS_A_CONN;
    relay->conn_limit = (unsigned)relay->settings->connections;
    if (spare < relay->conn_limit) {
        relay->conn_limit = (unsigned)spare;
        cdn_log(CDN_LOG_INFO, "descriptors", "connections=%u wanted=%u", relay->conn_limit,
                (unsigned)relay->settings->connections);
    }
}

static enum cdn_status open_all(struct wan_relay *relay, struct wan_world *take, struct cdn_error *err)
{
    enum cdn_status status = wan_addresses_create(&relay->addresses, err);
    if (status == CDN_OK && !wan_profile_find(cdn_str(relay->settings->profile))) {
        status =
            cdn_error_set(err, CDN_INVALID, "profile: no profile '%s' is known", relay->settings->profile);
    }
    if (status == CDN_OK) {
        status = wan_era_create(relay, take, &relay->era, err);
    }
    if (status == CDN_OK) {
        status = open_general(relay, err);
    }
    if (status == CDN_OK) {
        status = open_links(relay, err);
    }
    if (status == CDN_OK) {
        status = wan_keep_load(relay->settings->state, restore_place, relay, err);
    }
    return status;
}

enum cdn_status wan_relay_create(struct loop *loop, const struct wan_settings *settings,
                                 struct wan_world *take, struct wan_relay **ret, struct cdn_error *err)
{
    struct wan_relay *relay = cdn_calloc(1, sizeof(*relay));
    relay->loop = loop;
    relay->settings = settings;
    relay->budget.limit = settings->memory;
    relay->budget.scratch = cdn_malloc(WAN_PIPE_SCRATCH);
    relay->udp = wan_udp_create(relay);
    limit_connections(relay);
    enum cdn_status status = open_all(relay, take, err);
    if (status != CDN_OK) {
        wan_relay_destroy(relay);
        return status;
    }
    *ret = relay;
    return CDN_OK;
}

void wan_relay_destroy(struct wan_relay *relay)
{
    if (!relay) {
        return;
    }
    while (relay->conns) {
        wan_conn_break(relay->conns, "stopped");
    }
    wan_listen_close_all(relay, false);
    wan_udp_destroy(relay->udp);
    wan_era_unref(relay->era);
    wan_addresses_destroy(relay->addresses);
    free(relay->budget.scratch);
    free(relay);
}

void wan_relay_address(const struct wan_relay *relay, struct cdn_addr *ret)
{
    for (const struct wan_listener *l = relay->listeners; l; l = l->next) {
        if (l->kind == WAN_LISTENER_ANYBODY) {
            *ret = l->address;
        }
    }
}

void wan_relay_drain(struct wan_relay *relay)
{
    relay->draining = true;
    wan_listen_close_all(relay, true);
}

/* Idle connections do not count: their owners keep them for ever. */
bool wan_relay_is_drained(const struct wan_relay *relay)
{
    return relay->budget.used == 0;
}

/* ---- faults ---- */

enum cdn_status wan_relay_set_faults(struct wan_relay *relay, json_t *body, struct cdn_error *err)
{
    enum cdn_status status = wan_faults_change(&relay->faults, &relay->era->world, body, err);
    if (status == CDN_OK) {
        for (struct wan_conn *conn = relay->conns; conn; conn = conn->next) {
            wan_conn_paths_changed(conn);
        }
    }
    return status;
}
