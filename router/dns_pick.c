/* dns_pick: see dns_pick.h */
#include "router/dns_pick.h"

#include "common/banned.h"

#define LOOKED_AT 64 /* sites, when the nearest have no address of the family */

_Static_assert(DNS_ANSWERS_MAX <= ROUTER_ROW, "a decision names that many edges");

struct picking {
    const struct dns_zone *zone;
    const struct router_pops *pops;
    int family;
    struct dns_pick *pick;
};

static bool is_full(const struct picking *p)
{
    return p->pick->count == p->zone->limits.answers;
}

static void take(struct picking *p, uint16_t pop)
{
    struct dns_pick *pick = p->pick;
    if (is_full(p) || !p->zone->edges[pop].address[p->family].owner)
        return;
    for (size_t i = 0; i < pick->count; i++)
        if (pick->pops[i] == pop)
            return;
    pick->pops[pick->count++] = pop;
}

/* The table's answer where it has been compiled, else the chain's. */
static unsigned scope_of(const struct dns_zone *zone, const struct cdn_addr *client)
{
    struct cdn_addr plain = *client;
    cdn_addr_unmap(&plain);
    unsigned mapped = plain.sa.sa_family == client->sa.sa_family ? 0 : 96;
    unsigned scope = router_scope(zone->table, &plain);
    if (scope < (plain.sa.sa_family == AF_INET ? 32 : 128))
        return mapped + scope;
    const struct router_question question = {.client = plain};
    struct router_where where;
    router_resolve(zone->table, &question, NULL, &where);
    return mapped + dns_scope(&zone->scope, &plain, &where);
}

static void keep_bits(uint8_t *bytes, size_t size, unsigned bits)
{
    for (size_t i = 0; i < size; i++) {
        unsigned keep = bits <= i * 8 ? 0 : bits - (unsigned)i * 8;
        bytes[i] &= keep >= 8 ? 0xff : (uint8_t)(0xff00 >> keep);
    }
}

struct place_in_network { /* the question, with the bytes that stand for a path */
    struct router_question question;
    uint8_t network[16];
};

static bool places_are_shared(const struct dns_zone *zone)
{
    return zone->table->pops->count > zone->table->pops->site_count;
}

static unsigned question_make(const struct dns_zone *zone, const struct cdn_addr *client, bool wants_scope,
                              struct place_in_network *ret)
{
    ret->question = (struct router_question){.client = *client};
    bool shared = places_are_shared(zone);
    if (!shared && (!wants_scope || !zone->by_place))
        return 0;
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
    router_decide(p->zone->table, question, NULL, &d);
    if (d.choice.pop == ROUTER_NO_POP)
        return;
    uint32_t blocked = ROUTER_BLOCK_ALL & ~router_pop_flags(p->pops, d.choice.pop); /* as strict as it was */
    const struct geo_record *r = &d.where.record;
    size_t n = router_rank(p->pops, p->zone->table->policy, r->lat, r->lon, blocked, row, LOOKED_AT);
    for (size_t i = 0; i < n && !is_full(p); i++) {
        const struct router_site *site = &p->pops->sites[row[i].site];
        for (size_t k = 0; k < site->count; k++) {
            uint16_t pop = p->pops->members[site->first + k];
            if (router_pop_weight(p->pops, pop) > 0 && !(router_pop_flags(p->pops, pop) & blocked))
                take(p, pop);
        }
    }
}

void dns_pick(const struct dns_zone *zone, const struct cdn_addr *client, int family, bool wants_scope,
              struct dns_pick *ret)
{
    struct picking p = {zone, zone->table->pops, family, ret};
    struct place_in_network place;
    struct router_brief brief;
    ret->scope = 0;
    ret->no_edge = false;
    ret->count = 0;
    if (!zone->any_address[family])
        return;
    bool all = zone->all_addresses[family];
    unsigned want = !all ? ROUTER_ROW : zone->limits.answers < 2 ? 2 : zone->limits.answers;
    ret->scope = question_make(zone, client, wants_scope, &place);
    router_decide_brief(zone->table, &place.question, want, &brief);
    ret->no_edge = brief.count == 0;
    for (size_t i = 0; i < brief.count; i++)
        take(&p, brief.pops[i]);
    /* the chain names two edges only, and the nearest may have other addresses */
    if (!is_full(&p) && !ret->no_edge && (!all || brief.count < p.pops->site_count))
        take_by_rank(&p, &place.question);
}

unsigned dns_pick_explain(const struct dns_zone *zone, const struct cdn_addr *client,
                          struct router_decision *ret)
{
    struct place_in_network place;
    unsigned scope = question_make(zone, client, true, &place);
    router_decide(zone->table, &place.question, NULL, ret);
    return scope;
}
