/* client: who connects: a place with a last mile, or a node. A listener of a place is one traveller, whose
 * connections share his line; on the general listener each connection is a traveller of its own. */
#ifndef CDN_WAN_RELAY_CLIENT_H
#define CDN_WAN_RELAY_CLIENT_H
#include "common/status.h"
#include "wan/path/path.h"
#include "wan/relay/end.h"

#include <stdbool.h>

struct wan_client { /* counted */
    unsigned owners;
    const struct wan_end *end; /* a node's, or `own` */
    struct wan_end own;
    const struct wan_profile *profile; /* NULL: no last mile */
    bool shares;                       /* its connections share the lines */
    struct wan_line up, down;
};

struct wan_who { /* what a client is made from */
    const struct wan_world *world;
    const struct wan_addresses *addresses;
    const char *profile; /* of those who name none */
};

/* `name` is a node's or a place's; `profile` may be "". CDN_NOT_FOUND or CDN_INVALID says what is wrong. */
enum cdn_status wan_client_create(const struct wan_who *who, const char *name, const char *profile,
                                  struct wan_client **ret, struct cdn_error *err) CDN_MUST_CHECK;
struct wan_client *wan_client_ref(struct wan_client *client);
void wan_client_unref(struct wan_client *client);                     /* NULL is fine */
const char *wan_client_profile_name(const struct wan_client *client); /* "" without a last mile */

#endif
