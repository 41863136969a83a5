/* dns_zone: everything that one configuration says about DNS: the names of the zone, their records, and the
 * table that routes.
 *
 * Names and records are libknot's, the library of Knot DNS and kdig: it parses and writes messages into
 * memory that the caller gives, knows EDNS, Client Subnet and cookies, and is fast. (ldns allocates each
 * record and has no cookies.) libknot is under the GPL 3 or later, so programs linked with it are too,
 * whatever this source says.
 *
 *     cdn.test.            SOA, NS, CAA, and A/AAAA as the site's name has
 *     www.cdn.test.        A, AAAA: the nearest healthy edges (dns_pick.h)
 *     _why.www.cdn.test.   TXT: the reason; also _why.cdn.test.
 *     fra.cdn.test.        A, AAAA of that edge, healthy or not
 *     ns1.cdn.test.        A, AAAA of a name server
 *
 * An edge's addresses are the literal ones of its url and its listen. Of names that collide the first of this
 * list stays; what had to be left out is said in the zone's warnings.
 *
 * Built whole beside the old one, like the table (table.h); never changed afterwards. Life cycle:
 * dns_zone_create -> dns_zone_ref/unref.
 */
#ifndef CDN_ROUTER_DNS_ZONE_H
#define CDN_ROUTER_DNS_ZONE_H
#include "common/parse.h"
#include "common/status.h"
#include "router/base/settings.h"
#include "router/dns/dns_scope.h"
#include "router/table/table.h"

#include <libknot/libknot.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_LONG_TTL 3600 /* seconds; of what does not move: NS, SOA, name servers' addresses, CAA, HINFO */

enum dns_kind {
    DNS_KIND_EMPTY, /* only names below it have records */
    DNS_KIND_APEX,
    DNS_KIND_SITE,
    DNS_KIND_WHY,
    DNS_KIND_HOST, /* an edge or a name server: fixed addresses */
};

struct dns_node {
    knot_dname_t *name; /* lower case; NULL in a free place of the index */
    enum dns_kind kind;
    knot_rrset_t addresses[2]; /* of a host: A, AAAA; no records when it has none */
};

struct dns_edge {            /* one for each of the table's edges, same index */
    knot_rrset_t address[2]; /* A, AAAA, for the site's name: one record or none */
};

struct dns_limits { /* that a reload may change */
    char *nsid;     /* RFC 5001; "": nothing is said */
    size_t nsid_n;
    uint16_t udp_size;
    unsigned answers;
    unsigned rate, slip;
    struct cdn_cidr *exempt;
    size_t exempt_count;
};

struct dns_zone {
    struct router_table *table;
    struct dns_scope_rules scope;
    bool by_place; /* false: where a client is does not matter, every answer holds for all */
    knot_dname_t *apex;
    size_t apex_size;
    struct dns_node *nodes; /* open hashing; the size is a power of two */
    size_t node_mask;
    struct dns_edge *edges;
    bool any_address[2], all_addresses[2]; /* whether any edge, all edges have an A, an AAAA */
    uint64_t *with_address[2];             /* these edges (among.h) */
    knot_rrset_t soa, soa_negative, ns, caa, hinfo;
    struct dns_limits limits;
    uint32_t ttl; /* seconds */
    char **warnings;
    size_t warning_count;
    _Atomic unsigned _refs;
};

/* `listen` is the address of a name server that the configuration does not name. The sentence of CDN_INVALID
 * names key and value. The caller keeps `config`; a reference to `table` is taken. */
enum cdn_status dns_zone_create(const struct router_config *config, struct router_table *table,
                                const struct cdn_addr *listen, uint32_t serial, struct dns_zone **ret,
                                struct cdn_error *err) CDN_MUST_CHECK;
struct dns_zone *dns_zone_ref(struct dns_zone *zone);
void dns_zone_unref(struct dns_zone *zone); /* any thread; NULL is fine */

bool dns_zone_has(const struct dns_zone *zone, const knot_dname_t *name); /* the apex or below; lower case */
/* NULL: there is no such name. `name` is in lower case. */
const struct dns_node *dns_zone_find(const struct dns_zone *zone, const knot_dname_t *name);

/* For dns_zone_build.c and dns_zone.c. */
struct dns_node *dns_zone_slot(const struct dns_zone *zone, const knot_dname_t *name);
void dns_zone_warn(struct dns_zone *zone, char *take_text);

#endif
