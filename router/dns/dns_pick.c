/* dns_pick: the edges of an answer and the scope it holds for come from one question, asked with
 * the set of edges that have an address of the family: filtering afterwards would name an edge that
 * nobody ranked. */
#include "router/dns/dns_pick.h"

#include "common/str.h"
#include "geo-data/geo.h"
#include "router/base/among.h"
#include "router/base/edges.h"
#include "router/choice/select.h"
#include "router/decide/resolve.h"
#include "router/dns/dns_scope.h"
#include "router/table/table.h"

#include <libknot/libknot.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

#define LOOKED_AT 64 /* sites, when the nearest have no address of the family */

_Static_assert(DNS_ANSWERS_MAX <= ROUTER_ROW, "a decision names that many edges");

struct picking {
    const struct dns_zone *zone;
    const struct router_edges *edges;
    int family;
    struct dns_pick *pick;
};

static bool is_full(const struct picking *p)
{
    return p->pick->count == p->zone->limits.answers;
}

static void take(struct picking *p, uint16_t edge)
{
    struct dns_pick *pick = p->pick;
    if (is_full(p) || !p->zone->edges[edge].address[p->family].owner) {
        return;
    }
    for (size_t i = 0; i < pick->count; i++) {
        if (pick->edges[i] == edge) {
            return;
        }
    }
    pick->edges[pick->count++] = edge;
}

struct own_family { /* a client's address, and the bits before it when it was mapped into IPv6 */
    struct cdn_addr address;
    unsigned before;
};

static struct own_family own_family_of(const struct cdn_addr *client)
{
    struct own_family own = {.address = *client};
    cdn_addr_unmap(&own.address);
    own.before = own.address.sa.sa_family == client->sa.sa_family ? 0 : 96;
    return own;
}

static unsigned scope_by_chain(const struct dns_zone *zone, const struct cdn_addr *client)
{
    const struct own_family own = own_family_of(client);
    const struct router_question question = {.client = own.address};
    struct router_where where;
    router_resolve(zone->table, &question, NULL, &where);
    return own.before + dns_scope(&zone->scope, &own.address, &where);
}

/* The table's answer where it has been compiled, else the chain's. */
static unsigned scope_of(const struct dns_zone *zone, const struct cdn_addr *client)
{
    const struct own_family own = own_family_of(client);
    unsigned scope = router_decide_scope(zone->table, &own.address);
    bool known = scope < (own.address.sa.sa_family == AF_INET ? 32 : 128);
    return known ? own.before + scope : scope_by_chain(zone, client);
}

static void keep_bits(uint8_t *bytes, size_t size, unsigned bits)
{
    for (size_t i = 0; i < size; i++) {
        unsigned keep = bits <= i * 8 ? 0 : bits - (unsigned)i * 8;
        if (keep < 8) {
            bytes[i] = (uint8_t)(bytes[i] & 0xff00 >> keep);
        }
    }
}

struct place_in_network { /* the question, with the bytes that stand for a path */
    struct router_question question;
    uint8_t network[16];
};

static bool places_are_shared(const struct dns_zone *zone)
{
    return zone->table->edges->count > zone->table->edges->site_count;
}

/* `among`: the edges that the answer can name; NULL: all. */
static unsigned question_make(const struct dns_zone *zone, const struct cdn_addr *client,
                              const uint64_t *among, bool wants_scope, struct place_in_network *ret)
{
    ret->question = (struct router_question){.client = *client, .among = among, .any_family = true};
    bool shared = places_are_shared(zone);
    if (!shared && (!wants_scope || !zone->by_place)) {
        return 0;
    }
    unsigned scope = scope_of(zone, client);
    if (shared) {
        size_t size;
        const uint8_t *bytes = cdn_addr_bytes(client, &size);
        memcpy(ret->network, bytes, size);
        keep_bits(ret->network, size, scope);
        ret->question.path = (struct cdn_str){(const char *)ret->network, size};
    }
    return scope;
}

/* Beyond what a decision names: the nearest that can serve and have such an address. */
static void take_by_rank(struct picking *p, const struct router_question *question)
{
    struct router_decision d;
    struct router_candidate row[LOOKED_AT];
    struct router_limits limits;
    router_decide(p->zone->table, question, NULL, &d);
    if (d.choice.edge == ROUTER_NO_EDGE) {
        return;
    }
    uint32_t blocked =
        ROUTER_BLOCK_ALL & ~router_edge_flags(p->edges, d.choice.edge); /* as strict as it was */
    const struct geo_record *r = &d.where.record;
    router_decide_limits(p->zone->table, d.where.override, question, &limits);
    size_t n = router_select_rank_within(p->edges, p->zone->table->policy, r->lat, r->lon, blocked, &limits,
                                         row, LOOKED_AT);
    for (size_t i = 0; i < n && !is_full(p); i++) {
        const struct router_site *site = &p->edges->sites[row[i].site];
        for (size_t k = 0; k < site->count; k++) {
            uint16_t edge = p->edges->members[site->first + k];
            bool counts = router_among_has(router_limits_among(&limits, row[i].preferred), edge);
            if (counts && router_edge_weight(p->edges, edge) > 0 &&
                !(router_edge_flags(p->edges, edge) & blocked)) {
                take(p, edge);
            }
        }
    }
}

/* No edge of the family can serve. Where others can, there is no such address; else something is wrong. */
static bool no_edge_at_all(const struct picking *p, struct router_question question)
{
    struct router_brief brief;
    question.among = NULL;
    router_decide_brief(p->zone->table, &question, 2, &brief);
    return brief.count == 0;
}

void dns_pick(const struct dns_zone *zone, const struct cdn_addr *client, int family, bool wants_scope,
              struct dns_pick *ret)
{
    struct picking p = {zone, zone->table->edges, family, ret};
    struct place_in_network place;
    struct router_brief brief;
    ret->scope = 0;
    ret->no_edge = false;
    ret->count = 0;
    if (!zone->any_address[family]) {
        return;
    }
    bool all = zone->all_addresses[family];
    unsigned want = zone->limits.answers < 2 ? 2 : zone->limits.answers;
    ret->scope = question_make(zone, client, all ? NULL : zone->with_address[family], wants_scope, &place);
    router_decide_brief(zone->table, &place.question, want, &brief);
    ret->no_edge = brief.count == 0 && no_edge_at_all(&p, place.question);
    for (size_t i = 0; i < brief.count; i++) {
        take(&p, brief.edges[i]);
    }
    /* the chain names two edges only, and the nearest may have other addresses */
    bool by_rank = !is_full(&p) && brief.count > 0 && (!all || brief.count < p.edges->site_count);
    if (by_rank) {
        take_by_rank(&p, &place.question);
    }
    if (wants_scope && zone->by_place && (by_rank || brief.beyond)) {
        unsigned scope = scope_by_chain(zone, client);
        ret->scope = scope > ret->scope ? scope : ret->scope;
    }
}

unsigned dns_pick_explain(const struct dns_zone *zone, const struct cdn_addr *client,
                          struct router_decision *ret)
{
    struct place_in_network place;
    unsigned scope = question_make(zone, client, NULL, true, &place);
    router_decide(zone->table, &place.question, NULL, ret);
    return scope;
}
