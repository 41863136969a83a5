/* decide: the chain's place, the ranking and the choice put together, with each step written to the
 * trace when there is one. The order of who names an edge (override, operator, ranking) stands here
 * and nowhere else. */
#include "router/decide/decide.h"

#include "geo-data/geo.h"
#include "router/base/among.h"
#include "router/base/edges.h"
#include "router/choice/spread.h"

#include <stddef.h>
#include <sys/socket.h>

#include "common/banned.h"

/* What a path covers of the Earth in 1 ms of round-trip time: light in fibre, with the usual detours. */
#define KM_PER_MS (200.0f / 2 / 1.5f)

bool router_decide_is_unclear(const struct router_table *table, const struct router_where *where,
                              const struct router_candidate *chosen, const struct router_candidate *other)
{
    float km = table->policy == ROUTER_POLICY_DISTANCE ? other->km - chosen->km
                                                       : (other->rtt_ms - chosen->rtt_ms) * KM_PER_MS;
    return table->policy != ROUTER_POLICY_PINNED && (float)where->uncertainty_km > km;
}

static const uint64_t *within_reach(const struct router_table *table, const struct router_override *o,
                                    const struct router_question *q)
{
    struct cdn_addr client = q->client;
    cdn_addr_unmap(&client);
    const uint64_t *ipv4 = table->edges->ipv4;
    if (q->among || q->any_family || !ipv4 || client.sa.sa_family != AF_INET) {
        return q->among;
    }
    bool some = !o || !o->allowed || router_among_sets_meet(o->allowed, ipv4, table->edges->count);
    return some ? ipv4 : NULL; /* as for families_find: where none is left, none is barred */
}

void router_decide_limits(const struct router_table *table, const struct router_override *override,
                          const struct router_question *question, struct router_limits *ret)
{
    const struct router_override *o = override;
    *ret = (struct router_limits){.by_override = o && router_override_limits(o)};
    ret->allowed.sets[0] = o ? o->allowed : NULL;
    ret->allowed.sets[1] = within_reach(table, o, question);
    ret->prefers = o && o->preferred;
    ret->preferred = ret->allowed;
    ret->preferred.sets[2] = o ? o->preferred : NULL;
    ret->margin_ms = o ? o->margin_ms : 0;
}

struct deciding {
    const struct router_table *table;
    struct router_trace *trace;
    struct router_decision *d;
    bool named; /* the edge was, and not ranked for the place */
    struct router_limits limits;
};

static const char *name_of(const struct deciding *x, uint16_t edge)
{
    return x->table->edges->at[edge].name;
}

/* When all edges look sick, a named one is as good as another. */
static bool can_serve(const struct deciding *x, uint16_t edge)
{
    uint32_t blocked = x->d->choice.optimistic ? (uint32_t)ROUTER_EDGE_DRAINED : (uint32_t)ROUTER_BLOCK_ALL;
    return !(router_edge_flags(x->table->edges, edge) & blocked);
}

static const char *flag_word(uint32_t flags)
{
#define X(name, bit, word) \
    if (flags & (bit))     \
        return word;
    ROUTER_EDGE_FLAGS(X)
#undef X
    return "without weight";
}

/* Somebody named the edge: it comes first when it can serve. False: it cannot. */
static bool choose_named(struct deciding *x, uint16_t edge, const char *by)
{
    struct router_choice *c = &x->d->choice;
    const struct router_edges *edges = x->table->edges;
    if (!router_among_has(&x->limits.allowed, edge)) {
        router_trace_add(x->trace, ROUTER_STEP_PICK, "edge %s, named by %s, is not for this client",
                         name_of(x, edge), by);
        return false;
    }
    if (!can_serve(x, edge)) {
        router_trace_add(x->trace, ROUTER_STEP_PICK, "edge %s, named by %s, is %s", name_of(x, edge), by,
                         flag_word(router_edge_flags(edges, edge)));
        c->skipped = edge;
        return false;
    }
    const struct geo_record *r = &x->d->where.record;
    if (c->edge != edge) {
        c->runner_up = c->edge;
        c->runner_at = c->at;
    }
    x->named = true;
    c->edge = edge;
    c->at = router_candidate_of(edges, edges->at[edge].site, r->lat, r->lon);
    c->skipped = ROUTER_NO_EDGE;
    c->optimistic = router_edge_flags(edges, edge) & ROUTER_EDGE_SICK;
    router_trace_add(x->trace, ROUTER_STEP_PICK, "edge %s is named by %s", name_of(x, edge), by);
    return true;
}

enum router_reason router_decide_reason_ranked(const struct router_table *table, bool by_override,
                                               enum router_reason place)
{
    if (by_override) {
        return ROUTER_REASON_OVERRIDE;
    }
    return table->policy == ROUTER_POLICY_PINNED ? ROUTER_REASON_PINNED : place;
}

static void choose_ranked(struct deciding *x)
{
    struct router_decision *d = x->d;
    const struct router_choice *c = &d->choice;
    d->reason = router_decide_reason_ranked(x->table, x->limits.by_override, d->where.reason);
    if (c->skipped != ROUTER_NO_EDGE) {
        uint32_t flags = router_edge_flags(x->table->edges, c->skipped);
        d->reason = flags == ROUTER_EDGE_FULL ? ROUTER_REASON_LOAD : ROUTER_REASON_HEALTH;
        router_trace_add(x->trace, ROUTER_STEP_PICK, "edge %s would come first but is %s",
                         name_of(x, c->skipped), flag_word(flags));
    }
    if (c->optimistic) {
        router_trace_add(x->trace, ROUTER_STEP_PICK, "all edges that count look sick, so none is held to be");
    }
    if (c->edge != ROUTER_NO_EDGE) {
        router_trace_add(x->trace, ROUTER_STEP_PICK, "edge %s: %.0f km, modelled %.1f ms",
                         name_of(x, c->edge), (double)c->at.km, (double)c->at.rtt_ms);
    } else {
        router_trace_add(x->trace, ROUTER_STEP_PICK, "no edge can serve");
    }
}

static void compare_with_runner_up(struct deciding *x)
{
    struct router_decision *d = x->d;
    const struct router_choice *c = &d->choice;
    if (c->runner_up == ROUTER_NO_EDGE) {
        return;
    }
    d->margin_ms = c->runner_at.rtt_ms - c->at.rtt_ms;
    float gap_km = c->runner_at.km - c->at.km;
    d->ambiguous =
        !x->named && !c->at.preferred && router_decide_is_unclear(x->table, &d->where, &c->at, &c->runner_at);
    router_trace_add(x->trace, ROUTER_STEP_PICK,
                     "runner-up %s: %.0f km and %.1f ms more; the place may be off by %u km: %s",
                     name_of(x, c->runner_up), (double)gap_km, (double)d->margin_ms, d->where.uncertainty_km,
                     d->ambiguous ? "ambiguous" : "clear");
}

void router_decide(const struct router_table *table, const struct router_question *question,
                   struct router_trace *trace, struct router_decision *ret)
{
    router_resolve(table, question, trace, &ret->where);
    router_decide_where(table, question, trace, ret);
}

void router_decide_where(const struct router_table *table, const struct router_question *question,
                         struct router_trace *trace, struct router_decision *ret)
{
    struct deciding x = {.table = table, .trace = trace, .d = ret};
    ret->margin_ms = 0;
    ret->ambiguous = false;
    const struct router_where *w = &ret->where;
    struct router_candidate row[ROUTER_ROW];
    router_decide_limits(table, w->override, question, &x.limits);
    size_t n = router_select_rank_within(table->edges, table->policy, w->record.lat, w->record.lon, 0,
                                         &x.limits, row, ROUTER_ROW);
    router_trace_add(trace, ROUTER_STEP_RANK, "%zu edges at %zu places by %s", table->edges->count,
                     table->edges->site_count, router_policy_word(table->policy));
    router_select_pick(table->edges, table->policy, w->record.lat, w->record.lon,
                       router_spread_hash(question->path), &x.limits, row, n, &ret->choice);
    uint32_t pinned = router_edges_pinned(table->edges);
    if (w->edge != ROUTER_NO_EDGE && choose_named(&x, w->edge, router_reason_word(w->reason))) {
        ret->reason = w->reason;
    } else if (pinned != ROUTER_NO_EDGE && choose_named(&x, (uint16_t)pinned, "the operator")) {
        ret->reason = ROUTER_REASON_PINNED;
    } else {
        choose_ranked(&x);
    }
    compare_with_runner_up(&x);
    ret->scope_len = router_decide_scope(table, &question->client);
}
