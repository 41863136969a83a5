/* overrides: networks whose place or edge the operator knows better than the database.
 *
 * The longest prefix wins. Two entries for one network are refused, both named, whether they agree or not.
 * Read-only once built. A look-up is one binary search and a climb through the networks around the entry
 * found.
 */
#ifndef CDN_ROUTER_OVERRIDES_H
#define CDN_ROUTER_OVERRIDES_H

#include "common/config.h"
#include "common/parse.h"
#include "router/pops.h"

#define ROUTER_OVERRIDES_MAX 100000u

struct router_override {
    struct cdn_cidr network;
    uint16_t pop;    /* of `edge:NAME`, else ROUTER_NO_POP */
    double lat, lon; /* of the place or the edge */
    char *text;      /* the value as written: "Frankfurt", "edge:fra", "50.1,8.7" */
    char *origin;    /* "cdn.yaml:14" */
    uint32_t parent; /* index + 1 of the smallest network around this one; 0: none */
};

struct router_overrides;

/* `entries`: network -> place or edge:NAME. CDN_INVALID names entry, value and where both stand. */
enum cdn_status router_overrides_create(const struct cdn_config_list *entries, const struct router_pops *pops,
                                        struct router_overrides **ret, struct cdn_error *err) CDN_MUST_CHECK;
void router_overrides_destroy(struct router_overrides *overrides);
/* The most specific network that holds the address, or NULL. */
const struct router_override *router_overrides_find(const struct router_overrides *overrides,
                                                    const struct cdn_addr *address);
size_t router_overrides_count(const struct router_overrides *overrides);
/* Number i in the order of family (IPv4 first), address and prefix; a network stands before those inside it.
 */
const struct router_override *router_overrides_at(const struct router_overrides *overrides, size_t i);

#endif
