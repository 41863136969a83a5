/* client: a node's name comes before a place's, because nodes are named after places (fra) and stand in data
 * centres, where there is no last mile. */
#include "wan/relay/client.h"

#include "common/mem.h"
#include "common/str.h"
#include "wan/path/profile.h"
#include "wan/relay/address.h"
#include "wan/relay/world.h"

#include <stdlib.h>

#include "common/banned.h"

static enum cdn_status find_profile(const char *name, const struct wan_profile **ret, struct cdn_error *err)
{
    *ret = wan_profile_find(cdn_str(name));
    if (*ret) {
        return CDN_OK;
    }
    CDN_AUTOBUF struct cdn_buf all = {0};
    for (size_t i = 0; i < wan_profile_count(); i++) {
        cdn_buf_printf(&all, "%s%s", i ? ", " : "", wan_profile_at(i)->name);
    }
    return cdn_error_set(err, CDN_INVALID, "no profile '%.40s' is known (there are: %s)", name, all.p);
}

enum cdn_status wan_client_create(const struct wan_who *who, const char *name, const char *profile,
                                  struct wan_client **ret, struct cdn_error *err)
{
    const struct wan_node *node = wan_world_node(who->world, cdn_str_trim(cdn_str(name)));
    struct wan_client made = {.owners = 1};
    enum cdn_status status = CDN_OK;
    if (!node || profile[0]) {
        status = find_profile(profile[0] ? profile : who->profile, &made.profile, err);
    }
    if (status == CDN_OK && !node) {
        status = wan_end_init_client(&made.own, name, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    struct wan_client *client = cdn_malloc(sizeof(*client));
    *client = made;
    client->end = node ? &node->end : &client->own;
    if (node) {
        client->profile = NULL; /* a data centre has no last mile */
    } else {
        wan_addresses_find(who->addresses, client->own.lat, client->own.lon, &client->own.address);
    }
    *ret = client;
    return CDN_OK;
}

struct wan_client *wan_client_ref(struct wan_client *client)
{
    client->owners++;
    return client;
}

void wan_client_unref(struct wan_client *client)
{
    if (client && --client->owners == 0) {
        wan_end_fini(&client->own);
        free(client);
    }
}

const char *wan_client_profile_name(const struct wan_client *client)
{
    return client->profile ? client->profile->name : "";
}
