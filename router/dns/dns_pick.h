/* dns_pick: from a client's address to the edges that an answer names, and the network that it holds for.
 *
 * The edges are router_decide_brief's, the nearest that can serve, one a place: so HTTP, GET /route,
 * `pocketcdn geo` and DNS agree. Where several edges share a place, the client's network draws among them as
 * a path does over HTTP: so they share the load, and everybody in the network gets the same answer. Edges
 * without an address of the asked family do not count, also for whether all look sick. Pure, but for the
 * edges' health.
 */
#ifndef CDN_ROUTER_DNS_PICK_H
#define CDN_ROUTER_DNS_PICK_H
#include "common/parse.h"
#include "router/base/dns_settings.h"
#include "router/decide/decide.h"
#include "router/dns/dns_zone.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dns_pick {
    unsigned scope; /* prefix length of the client's address that the answer holds for; 0 when not wanted */
    bool no_edge;   /* there is no edge to send anybody to */
    uint16_t edges[DNS_ANSWERS_MAX];
    size_t count; /* 0: no_edge, or none that can serve has such an address */
};

/* `family`: 0 for A, 1 for AAAA. The scope costs time: `wants_scope` only to tell it to somebody. */
void dns_pick(const struct dns_zone *zone, const struct cdn_addr *client, int family, bool wants_scope,
              struct dns_pick *ret);
/* All that can be said of the decision; returns the scope. */
unsigned dns_pick_explain(const struct dns_zone *zone, const struct cdn_addr *client,
                          struct router_decision *ret);

#endif
