/* route: the two directions of a path between a client and a node: the modelled round trip, the client's last
 * mile, what the settings add, and what is wrong with the link. Pure. */
#ifndef CDN_WAN_RELAY_ROUTE_H
#define CDN_WAN_RELAY_ROUTE_H
#include "wan/path/path.h"
#include "wan/relay/client.h"
#include "wan/relay/end.h"
#include "wan/relay/fault.h"
#include "wan/relay/settings.h"

#include <stdint.h>

struct wan_route {
    struct wan_path up, down; /* from the client, to the client */
    uint64_t seed;            /* of what the faults draw */
};

/* `rtt_ns`: of a link that names its own; -1: as modelled. `faults` may be NULL. */
void wan_route_find(const struct wan_settings *settings, const struct wan_faults *faults,
                    const struct wan_client *client, const struct wan_end *to, int64_t rtt_ns,
                    struct wan_route *ret);

#endif
