/* era: the CDN between two reloads, and the change from one to the next. What was under way goes on as it
 * began, since its ends and its path are those of its own era; all that comes later sees the new one. A
 * reload that names what is not there changes nothing: the new era is whole before anything is swapped. */
#include "common/config/config.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/status.h"
#include "wan/relay/client.h"
#include "wan/relay/fault.h"
#include "wan/relay/keep.h"
#include "wan/relay/link.h"
#include "wan/relay/relay.h"
#include "wan/relay/relay_private.h"
#include "wan/relay/settings.h"
#include "wan/relay/udp.h"
#include "wan/relay/world.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/banned.h"

struct wan_who wan_era_who(const struct wan_relay *relay, const struct wan_era *era)
{
    return (struct wan_who){&era->world, relay->addresses, relay->settings->profile};
}

/* Whether what enters at a link comes back to it, over others perhaps: it would go round for ever. */
static bool goes_round(const struct wan_era *era, const struct wan_link *link)
{
    const struct wan_link *at = link;
    for (size_t hops = 0; at && hops <= era->link_count; hops++) {
        const struct wan_link *next = NULL;
        for (size_t i = 0; i < era->link_count && !next; i++) {
            next = wan_world_same_address(&era->links[i].listen, &at->target) ? &era->links[i] : NULL;
        }
        at = next;
    }
    return at != NULL;
}

static enum cdn_status read_links(const struct wan_relay *relay, struct wan_era *era, struct cdn_error *err)
{
    const struct cdn_config_list *list = &relay->settings->links;
    const struct wan_who who = wan_era_who(relay, era);
    era->links = cdn_calloc(list->n ? list->n : 1, sizeof(*era->links));
    for (size_t i = 0; i < list->n; i++) {
        enum cdn_status status = wan_link_read(&who, &list->items[i], &era->links[i], err);
        if (status != CDN_OK) {
            return status;
        }
        era->link_count++;
        if (relay->era) { /* where it listens already, whichever port the kernel gave it */
            era->links[i].listen = relay->era->links[i].listen;
        }
    }
    for (size_t i = 0; i < era->link_count; i++) {
        if (goes_round(era, &era->links[i])) {
            return cdn_error_set(err, CDN_INVALID, "%s: links: what enters here would go round in a circle",
                                 list->items[i].origin);
        }
    }
    return CDN_OK;
}

enum cdn_status wan_era_create(const struct wan_relay *relay, struct wan_world *take, struct wan_era **ret,
                               struct cdn_error *err)
{
    struct wan_era *era = cdn_calloc(1, sizeof(*era));
    era->owners = 1;
    era->world = *take;
    *take = (struct wan_world){0};
    enum cdn_status status = read_links(relay, era, err);
    if (status != CDN_OK) {
        wan_era_unref(era);
        return status;
    }
    *ret = era;
    return CDN_OK;
}

struct wan_era *wan_era_ref(struct wan_era *era)
{
    era->owners++;
    return era;
}

void wan_era_unref(struct wan_era *era)
{
    if (!era || --era->owners > 0) {
        return;
    }
    for (size_t i = 0; i < era->link_count; i++) {
        wan_link_free(&era->links[i]);
    }
    free(era->links);
    wan_world_free(&era->world);
    free(era);
}

/* ---- from one to the next ---- */

static void take_client(struct wan_listener *l, struct wan_client *client)
{
    wan_client_unref(l->client);
    l->client = client;
}

/* Who enters at the listener, in the new era. False: nobody can any more. */
static bool move_listener(struct wan_relay *relay, struct wan_listener *l, const struct wan_era *old)
{
    const struct wan_who who = wan_era_who(relay, relay->era);
    struct wan_client *client;
    struct cdn_error err;
    if (l->kind == WAN_LISTENER_LINK) {
        l->link = &relay->era->links[l->link - old->links];
        take_client(l, wan_client_ref(l->link->client));
    } else if (l->kind == WAN_LISTENER_PLACE) {
        if (wan_client_create(&who, l->place, l->profile, &client, &err) != CDN_OK) {
            cdn_log(CDN_LOG_WARN, "listener_lost", "place=%s error=%s", l->place, err.text);
            return false;
        }
        client->shares = true;
        take_client(l, client);
    }
    return true;
}

enum cdn_status wan_relay_reload(struct wan_relay *relay, struct wan_world *take, struct cdn_error *err)
{
    struct wan_era *old = relay->era, *next;
    enum cdn_status status = wan_era_create(relay, take, &next, err);
    if (status != CDN_OK) {
        return status;
    }
    relay->era = next;
    const size_t places = relay->places;
    for (struct wan_listener *l = relay->listeners, *following; l; l = following) {
        following = l->next;
        if (!move_listener(relay, l, old)) {
            wan_listen_close(l);
        }
    }
    wan_udp_move(relay->udp, old->links, next->links);
    wan_faults_move(&relay->faults, &next->world);
    wan_era_unref(old);
    for (struct wan_conn *conn = relay->conns; conn; conn = conn->next) {
        wan_conn_paths_changed(conn);
    }
    return places == relay->places ? CDN_OK : wan_keep_save(relay->settings->state, relay->listeners, err);
}
