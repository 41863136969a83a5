/* overrides: what the operator knows or wants better than the database and the ranking say, by network, by
 * autonomous system, by country and by continent.
 *
 *     KEY            203.0.113.0/24, 2001:db8::/32, asn:3320 (or AS3320), country:DE, continent:EU
 *     VALUE          actions, separated by ';' (in cdn.yaml also a list):
 *         PLACE          a city or LAT,LON: where these clients are
 *         edge:fra       this edge first, while it can serve
 *         only:fra,lhr   these edges and no other, whatever their health
 *         exclude:nrt    all but these
 *         prefer:fra,lhr          these first, in the order of the ranking, while they can serve
 *         prefer:fra within 20ms  the same, unless it costs so much more than the one that is first without
 *
 * One entry counts for a client, whole: the one with the longest prefix, else the AS', else the country's,
 * else the continent's. Two entries of one key are refused, both named, whether they agree or not.
 * Read-only once built. A look-up by address is one binary search and a climb through the networks around the
 * entry found.
 */
#ifndef CDN_ROUTER_OVERRIDES_H
#define CDN_ROUTER_OVERRIDES_H
#include "common/config/config.h"
#include "common/parse.h"
#include "common/status.h"
#include "geo-data/geo.h"
#include "router/base/edges.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUTER_OVERRIDES_MAX 100000u

enum router_override_kind { /* the first that matches counts */
                            ROUTER_OVERRIDE_NETWORK,
                            ROUTER_OVERRIDE_ASN,
                            ROUTER_OVERRIDE_COUNTRY,
                            ROUTER_OVERRIDE_CONTINENT,
                            ROUTER_OVERRIDE_KINDS
};

struct router_override {
    enum router_override_kind kind;
    struct cdn_cidr network; /* of a network */
    uint32_t number;         /* else: the AS, or the two letters of the code */
    uint16_t edge;           /* of `edge:NAME`, else ROUTER_NO_EDGE */
    bool has_place;
    double lat, lon;     /* of the place, else of the edge */
    char *place;         /* as written, with has_place */
    uint64_t *allowed;   /* of only: and exclude:; NULL: all edges */
    uint64_t *preferred; /* of prefer:; NULL: none */
    float margin_ms;     /* what a preferred edge may cost more; INFINITY: anything */
    char *match;         /* "10.0.0.0/8", "asn:3320", "country:DE", "continent:EU" */
    char *text;          /* the value as written: "Frankfurt", "edge:fra", "only:fra,lhr" */
    char *origin;        /* "cdn.yaml:14" */
    uint32_t parent;     /* index + 1 of the smallest network around this one; 0: none */
};

/* Whether it says more of the edges than which place or which single edge. */
static inline bool router_override_limits(const struct router_override *o)
{
    return o->allowed || o->preferred;
}

struct router_overrides;

/* `entries`: key -> actions. CDN_INVALID names entry, value and where both stand. */
enum cdn_status router_overrides_create(const struct cdn_config_list *entries,
                                        const struct router_edges *edges, struct router_overrides **ret,
                                        struct cdn_error *err) CDN_MUST_CHECK;
void router_overrides_destroy(struct router_overrides *overrides);
/* The most specific network that holds the address, or NULL. */
const struct router_override *router_overrides_find(const struct router_overrides *overrides,
                                                    const struct cdn_addr *address);
/* By what the databases say of an address: AS, country, continent, in this order. */
const struct router_override *router_overrides_find_record(const struct router_overrides *overrides,
                                                           const struct geo_record *record);
size_t router_overrides_count(const struct router_overrides *overrides);
size_t router_overrides_count_of(const struct router_overrides *overrides, enum router_override_kind kind);
/* Number i: networks first, in the order of family (IPv4 first), address and prefix, so that a network stands
 * before those inside it. */
const struct router_override *router_overrides_at(const struct router_overrides *overrides, size_t i);
size_t router_overrides_index(const struct router_overrides *overrides, const struct router_override *o);

/* overrides_parse.c: fills in `ret`, whose strings and sets are
 * the caller's to free, also after a failure. */
enum cdn_status router_override_parse(const struct cdn_config_entry *entry, const struct router_edges *edges,
                                      struct router_override *ret, struct cdn_error *err) CDN_MUST_CHECK;

#endif
