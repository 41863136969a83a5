/* decide_brief: decisions from the compiled table. The usual one is a copy of eight bytes; whatever
 * needs more (an edge down, named or pinned, several at a place) goes a longer way, and what the
 * row does not hold is left to the chain. */
#include "common/http/syntax/http_forwarded.h"
#include "common/parse.h"
#include "common/str.h"
#include "router/base/among.h"
#include "router/base/edges.h"
#include "router/base/reason.h"
#include "router/choice/select.h"
#include "router/choice/spread.h"
#include "router/decide/compiled.h"
#include "router/decide/compiled_private.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

static const struct router_compiled *compiled_of(const struct router_table *table)
{
    return atomic_load_explicit(&table->compiled, memory_order_acquire);
}

unsigned router_decide_scope(const struct router_table *table, const struct cdn_addr *client)
{
    const struct router_compiled *compiled = compiled_of(table);
    struct cdn_addr address = *client;
    cdn_addr_unmap(&address);
    if (!compiled) {
        return address.sa.sa_family == AF_INET ? 32 : 128;
    }
    return router_compiled_scope(compiled, &address);
}

void router_decide_prefetch(const struct router_table *table, const struct cdn_addr *client, unsigned step)
{
    const struct router_compiled *compiled = compiled_of(table);
    if (compiled) {
        router_compiled_prefetch(compiled, client, step);
    }
}

struct short_way {
    const struct router_edges *edges;
    const struct router_class *class;
    uint64_t hash;
    unsigned want;
    struct router_limits limits;
    unsigned at[ROUTER_ROW]; /* where in the row each edge stands */
    struct router_brief *brief;
};

/* The edge of site `k` of the row that can serve, or ROUTER_NO_EDGE. */
static uint16_t serving(const struct short_way *s, unsigned k, uint32_t blocked)
{
    const struct router_site *site = &s->edges->sites[s->class->sites[k]];
    const struct router_among *among = router_limits_among(&s->limits, k < s->class->preferred);
    if (site->count > 1) {
        return router_spread(s->edges, s->class->sites[k], s->hash, blocked, among);
    }
    uint16_t edge = s->edges->members[site->first];
    bool can = router_edge_weight(s->edges, edge) > 0 && !(router_edge_flags(s->edges, edge) & blocked) &&
               router_among_has(among, edge);
    return can ? edge : ROUTER_NO_EDGE;
}

/* A site with preferred edges and others is there twice. */
static bool is_taken(const struct short_way *s, unsigned k)
{
    for (unsigned i = 0; i < s->brief->count && s->class->preferred > 0; i++) {
        if (s->class->sites[s->at[i]] == s->class->sites[k]) {
            return true;
        }
    }
    return false;
}

/* As router_select_pick over the class' row. False: the row is too short to know the runner-up. */
static bool pick_from_row(struct short_way *s)
{
    struct router_brief *b = s->brief;
    for (unsigned i = 0; i < ROUTER_STRICTNESS_COUNT && b->count == 0; i++) {
        for (unsigned k = 0; k < s->class->count && b->count < s->want; k++) {
            uint16_t edge = is_taken(s, k) ? ROUTER_NO_EDGE : serving(s, k, router_strictness[i]);
            if (edge == ROUTER_NO_EDGE) {
                continue;
            }
            s->at[b->count] = k;
            b->edges[b->count++] = edge;
        }
        if (b->count < 2 && s->class->count == ROUTER_ROW) {
            return false;
        }
        b->optimistic = b->count > 0 && !(router_strictness[i] & ROUTER_EDGE_SICK);
    }
    return true;
}

static enum router_reason reason_of_skipped(const struct router_edges *edges, uint16_t edge)
{
    return router_edge_flags(edges, edge) == ROUTER_EDGE_FULL ? ROUTER_REASON_LOAD : ROUTER_REASON_HEALTH;
}

static void explain_row(struct short_way *s, const struct router_table *table)
{
    struct router_brief *b = s->brief;
    const struct router_class *c = s->class;
    b->reason = (uint8_t)router_decide_reason_ranked(table, s->limits.by_override, c->reason);
    unsigned top = 0; /* of the row, for those whom this client may be sent to */
    while (top < c->count &&
           !router_select_site_is_among(s->edges, c->sites[top],
                                        router_limits_among(&s->limits, top < c->preferred))) {
        top++;
    }
    uint16_t first = top < c->count ? serving(s, top, 0) : ROUTER_NO_EDGE;
    if (first != ROUTER_NO_EDGE && (b->count == 0 || first != b->edges[0])) {
        b->reason = (uint8_t)reason_of_skipped(s->edges, first);
    }
    if (b->count > 1) {
        b->ambiguous = s->at[1] - s->at[0] <= (c->reach >> 4 * s->at[0] & 15);
    }
}

/* An override names the edge: it stands first when it can serve. */
static void put_named_first(struct short_way *s)
{
    struct router_brief *b = s->brief;
    uint16_t named = s->class->named;
    uint32_t blocked = b->optimistic ? (uint32_t)ROUTER_EDGE_DRAINED : (uint32_t)ROUTER_BLOCK_ALL;
    uint32_t flags = router_edge_flags(s->edges, named);
    if (!router_among_has(&s->limits.allowed, named)) {
        return;
    }
    if (flags & blocked) {
        b->reason = (uint8_t)reason_of_skipped(s->edges, named);
        return;
    }
    b->reason = s->class->reason;
    b->optimistic = flags & ROUTER_EDGE_SICK;
    b->ambiguous = false; /* whoever named it is sure */
    if (b->count > 0 && b->edges[0] == named) {
        return;
    }
    unsigned behind = 0; /* edges that move back by one: those before the named one's place */
    while (behind < b->count && b->edges[behind] != named) {
        behind++;
    }
    if (behind == b->count && b->count < s->want) {
        b->count++;
    } else if (behind == b->count) {
        behind--;
    }
    memmove(b->edges + 1, b->edges, behind * sizeof(*b->edges));
    b->edges[0] = named;
}

static void brief_by_chain(const struct router_table *table, const struct router_question *question,
                           struct router_brief *ret)
{
    struct router_decision d;
    router_decide(table, question, NULL, &d);
    *ret = (struct router_brief){.reason = (uint8_t)d.reason,
                                 .ambiguous = d.ambiguous,
                                 .optimistic = d.choice.optimistic,
                                 .beyond = true};
    if (d.choice.edge != ROUTER_NO_EDGE) {
        ret->edges[ret->count++] = d.choice.edge;
    }
    if (d.choice.runner_up != ROUTER_NO_EDGE) {
        ret->edges[ret->count++] = d.choice.runner_up;
    }
}

/* Edges are down, named, pinned or share a place; or the chain has to decide. */
static __attribute__((noinline)) void decide_long(const struct router_table *table,
                                                  const struct router_question *question, unsigned want,
                                                  struct router_brief *ret)
{
    const struct router_compiled *compiled = compiled_of(table);
    bool plain = compiled && question->pin.n == 0 && http_forwarded_is_known(&question->client) &&
                 router_edges_pinned(table->edges) == ROUTER_NO_EDGE;
    struct cdn_addr address = question->client;
    cdn_addr_unmap(&address);
    const struct router_class *class = plain ? router_compiled_find(compiled, &address) : NULL;
    struct short_way s = {
        .edges = table->edges, .class = class, .want = want < ROUTER_ROW ? want : ROUTER_ROW, .brief = ret};
    *ret = (struct router_brief){0};
    s.hash = router_spread_hash(question->path);
    router_decide_limits(table, class ? router_class_override(table, class) : NULL, question, &s.limits);
    if (!class || !pick_from_row(&s)) {
        brief_by_chain(table, question, ret);
        return;
    }
    explain_row(&s, table);
    if (class->named != ROUTER_NO_EDGE) {
        put_named_first(&s);
    }
}

_Static_assert(offsetof(struct router_brief, count) == offsetof(struct router_quick, count) &&
                   offsetof(struct router_brief, edges) == offsetof(struct router_quick, edges),
               "a quick answer is the front of a brief one");

void router_decide_brief(const struct router_table *table, const struct router_question *question,
                         unsigned want, struct router_brief *ret)
{
    const struct router_compiled *compiled = compiled_of(table);
    bool plain = question->pin.n == 0 && !question->among && !(question->any_family && table->edges->ipv4) &&
                 http_forwarded_is_known(&question->client);
    if (compiled && plain && want == 2 && router_edges_all_well(table->edges)) {
        const struct router_quick *quick = &compiled->quick[compiled->find(compiled, &question->client)];
        if (quick->count > 0) {
            memcpy(ret, quick, sizeof(*quick));
            ret->beyond = false;
            return;
        }
    }
    decide_long(table, question, want, ret);
}
