/* decide: see decide.h */
#include "router/decide.h"

#include "router/compiled.h"
#include "router/spread.h"

#include "common/banned.h"

/* What a path covers of the Earth in 1 ms of round-trip time: light in fibre, with the usual detours. */
#define KM_PER_MS (200.0f / 2 / 1.5f)

bool router_is_unclear(const struct router_table *table, const struct router_where *where,
                       const struct router_candidate *chosen, const struct router_candidate *other)
{
    float km = table->policy == ROUTER_POLICY_DISTANCE ? other->km - chosen->km
                                                       : (other->rtt_ms - chosen->rtt_ms) * KM_PER_MS;
    return table->policy != ROUTER_POLICY_PINNED && (float)where->uncertainty_km > km;
}

struct deciding {
    const struct router_table *table;
    struct router_trace *trace;
    struct router_decision *d;
};

static const char *name_of(const struct deciding *x, uint16_t pop)
{
    return x->table->pops->pops[pop].name;
}

/* When all edges look sick, a named one is as good as another. */
static bool can_serve(const struct deciding *x, uint16_t pop)
{
    uint32_t blocked = x->d->choice.optimistic ? (uint32_t)ROUTER_POP_DRAINED : (uint32_t)ROUTER_BLOCK_ALL;
    return !(router_pop_flags(x->table->pops, pop) & blocked);
}

static const char *flag_word(uint32_t flags)
{
#define X(name, bit, word) \
    if (flags & (bit))     \
        return word;
    ROUTER_POP_FLAGS(X)
#undef X
    return "without weight";
}

/* Somebody named the edge: it comes first when it can serve. False: it cannot. */
static bool choose_named(struct deciding *x, uint16_t pop, const char *by)
{
    struct router_choice *c = &x->d->choice;
    const struct router_pops *pops = x->table->pops;
    if (!can_serve(x, pop)) {
        router_trace_add(x->trace, ROUTER_STEP_PICK, "edge %s, named by %s, is %s", name_of(x, pop), by,
                         flag_word(router_pop_flags(pops, pop)));
        c->skipped = pop;
        return false;
    }
    const struct geo_record *r = &x->d->where.record;
    if (c->pop != pop) {
        c->runner_up = c->pop;
        c->runner_at = c->at;
    }
    c->pop = pop;
    c->at = router_candidate_of(pops, pops->pops[pop].site, r->lat, r->lon);
    c->skipped = ROUTER_NO_POP;
    c->optimistic = router_pop_flags(pops, pop) & ROUTER_POP_SICK;
    router_trace_add(x->trace, ROUTER_STEP_PICK, "edge %s is named by %s", name_of(x, pop), by);
    return true;
}

static void choose_ranked(struct deciding *x)
{
    struct router_decision *d = x->d;
    const struct router_choice *c = &d->choice;
    d->reason = x->table->policy == ROUTER_POLICY_PINNED ? ROUTER_REASON_PINNED : d->where.reason;
    if (c->skipped != ROUTER_NO_POP) {
        uint32_t flags = router_pop_flags(x->table->pops, c->skipped);
        d->reason = flags == ROUTER_POP_FULL ? ROUTER_REASON_LOAD : ROUTER_REASON_HEALTH;
        router_trace_add(x->trace, ROUTER_STEP_PICK, "edge %s would come first but is %s",
                         name_of(x, c->skipped), flag_word(flags));
    }
    if (c->optimistic)
        router_trace_add(x->trace, ROUTER_STEP_PICK, "all edges look sick, so none is held to be");
    if (c->pop != ROUTER_NO_POP)
        router_trace_add(x->trace, ROUTER_STEP_PICK, "edge %s: %.0f km, modelled %.1f ms", name_of(x, c->pop),
                         (double)c->at.km, (double)c->at.rtt_ms);
    else
        router_trace_add(x->trace, ROUTER_STEP_PICK, "no edge can serve");
}

static void compare_with_runner_up(struct deciding *x)
{
    struct router_decision *d = x->d;
    const struct router_choice *c = &d->choice;
    if (c->runner_up == ROUTER_NO_POP)
        return;
    d->margin_ms = c->runner_at.rtt_ms - c->at.rtt_ms;
    float gap_km = c->runner_at.km - c->at.km;
    d->ambiguous = router_is_unclear(x->table, &d->where, &c->at, &c->runner_at);
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
    struct deciding x = {table, trace, ret};
    ret->margin_ms = 0;
    ret->ambiguous = false;
    const struct router_where *w = &ret->where;
    struct router_candidate row[ROUTER_ROW];
    size_t n = router_rank(table->pops, table->policy, w->record.lat, w->record.lon, 0, row, ROUTER_ROW);
    router_trace_add(trace, ROUTER_STEP_RANK, "%zu edges at %zu places by %s", table->pops->count,
                     table->pops->site_count, router_policy_word(table->policy));
    router_pick(table->pops, table->policy, w->record.lat, w->record.lon, router_spread_hash(question->path),
                row, n, &ret->choice);
    uint32_t pinned = router_pops_pinned(table->pops);
    if (w->pop != ROUTER_NO_POP && choose_named(&x, w->pop, router_reason_word(w->reason)))
        ret->reason = w->reason;
    else if (pinned != ROUTER_NO_POP && choose_named(&x, (uint16_t)pinned, "the operator"))
        ret->reason = ROUTER_REASON_PINNED;
    else
        choose_ranked(&x);
    compare_with_runner_up(&x);
    ret->scope_len = router_scope(table, &question->client);
}

/* ---- the short way ---- */

static const struct router_compiled *compiled_of(const struct router_table *table)
{
    return atomic_load_explicit(&table->compiled, memory_order_acquire);
}

unsigned router_scope(const struct router_table *table, const struct cdn_addr *client)
{
    const struct router_compiled *compiled = compiled_of(table);
    struct cdn_addr address = *client;
    cdn_addr_unmap(&address);
    if (!compiled)
        return address.sa.sa_family == AF_INET ? 32 : 128;
    return router_compiled_scope(compiled, &address);
}

static uint16_t serving(const struct router_pops *pops, uint16_t site, uint64_t hash, uint32_t blocked)
{
    if (pops->sites[site].count > 1)
        return router_spread(pops, site, hash, blocked);
    uint16_t pop = pops->members[pops->sites[site].first];
    bool can = router_pop_weight(pops, pop) > 0 && !(router_pop_flags(pops, pop) & blocked);
    return can ? pop : ROUTER_NO_POP;
}

struct short_way {
    const struct router_pops *pops;
    const struct router_class *class;
    uint64_t hash;
    unsigned want;
    unsigned at[ROUTER_ROW]; /* where in the row each edge stands */
    struct router_brief *brief;
};

/* As router_pick over the class' row. False: the row is too short to know the runner-up. */
static bool pick_from_row(struct short_way *s)
{
    struct router_brief *b = s->brief;
    for (unsigned i = 0; i < ROUTER_STRICTNESS_COUNT && b->count == 0; i++) {
        for (unsigned k = 0; k < s->class->count && b->count < s->want; k++) {
            uint16_t pop = serving(s->pops, s->class->sites[k], s->hash, router_strictness[i]);
            if (pop == ROUTER_NO_POP)
                continue;
            s->at[b->count] = k;
            b->pops[b->count++] = pop;
        }
        if (b->count < 2 && s->class->count < s->pops->site_count)
            return false;
        b->optimistic = b->count > 0 && !(router_strictness[i] & ROUTER_POP_SICK);
    }
    return true;
}

static enum router_reason reason_of_skipped(const struct router_pops *pops, uint16_t pop)
{
    return router_pop_flags(pops, pop) == ROUTER_POP_FULL ? ROUTER_REASON_LOAD : ROUTER_REASON_HEALTH;
}

static void explain_row(struct short_way *s, const struct router_table *table)
{
    struct router_brief *b = s->brief;
    const struct router_class *c = s->class;
    b->reason = table->policy == ROUTER_POLICY_PINNED ? ROUTER_REASON_PINNED : (enum router_reason)c->reason;
    uint16_t first = c->count > 0 ? serving(s->pops, c->sites[0], s->hash, 0) : ROUTER_NO_POP;
    if (first != ROUTER_NO_POP && (b->count == 0 || first != b->pops[0]))
        b->reason = reason_of_skipped(s->pops, first);
    if (b->count > 1)
        b->ambiguous = s->at[1] - s->at[0] <= (c->reach >> 4 * s->at[0] & 15);
}

/* An override names the edge: it stands first when it can serve. */
static void put_named_first(struct short_way *s)
{
    struct router_brief *b = s->brief;
    uint16_t named = s->class->named;
    uint32_t blocked = b->optimistic ? (uint32_t)ROUTER_POP_DRAINED : (uint32_t)ROUTER_BLOCK_ALL;
    uint32_t flags = router_pop_flags(s->pops, named);
    if (flags & blocked) {
        b->reason = reason_of_skipped(s->pops, named);
        return;
    }
    b->reason = (enum router_reason)s->class->reason;
    b->optimistic = flags & ROUTER_POP_SICK;
    if (b->count > 0 && b->pops[0] == named)
        return;
    b->ambiguous = b->count > 0 && (s->class->named_unclear >> s->at[0] & 1);
    unsigned behind = 0; /* edges that move back by one: those before the named one's place */
    while (behind < b->count && b->pops[behind] != named)
        behind++;
    if (behind == b->count && b->count < s->want)
        b->count++;
    else if (behind == b->count)
        behind--;
    memmove(b->pops + 1, b->pops, behind * sizeof(*b->pops));
    b->pops[0] = named;
}

static void brief_by_chain(const struct router_table *table, const struct router_question *question,
                           struct router_brief *ret)
{
    struct router_decision d;
    router_decide(table, question, NULL, &d);
    *ret = (struct router_brief){
        .reason = d.reason, .ambiguous = d.ambiguous, .optimistic = d.choice.optimistic};
    if (d.choice.pop != ROUTER_NO_POP)
        ret->pops[ret->count++] = d.choice.pop;
    if (d.choice.runner_up != ROUTER_NO_POP)
        ret->pops[ret->count++] = d.choice.runner_up;
}

/* Edges are down, named, pinned or share a place; or the chain has to decide. */
static __attribute__((noinline)) void decide_long(const struct router_table *table,
                                                  const struct router_question *question, unsigned want,
                                                  struct router_brief *ret)
{
    const struct router_compiled *compiled = compiled_of(table);
    bool plain = compiled && question->pin.n == 0 && router_pops_pinned(table->pops) == ROUTER_NO_POP;
    struct cdn_addr address = question->client;
    cdn_addr_unmap(&address);
    const struct router_class *class = plain ? router_compiled_find(compiled, &address) : NULL;
    struct short_way s = {
        .pops = table->pops, .class = class, .want = want < ROUTER_ROW ? want : ROUTER_ROW, .brief = ret};
    *ret = (struct router_brief){0};
    s.hash = router_spread_hash(question->path);
    if (!class || !pick_from_row(&s)) {
        brief_by_chain(table, question, ret);
        return;
    }
    explain_row(&s, table);
    if (class->named != ROUTER_NO_POP)
        put_named_first(&s);
}

void router_decide_brief(const struct router_table *table, const struct router_question *question,
                         unsigned want, struct router_brief *ret)
{
    const struct router_compiled *compiled = compiled_of(table);
    if (compiled && question->pin.n == 0 && want == 2 && router_pops_all_well(table->pops)) {
        const struct router_quick *quick = router_compiled_quick(compiled, &question->client);
        if (quick->count > 0) {
            ret->reason = (enum router_reason)quick->reason;
            ret->ambiguous = quick->ambiguous;
            ret->optimistic = false;
            ret->count = quick->count;
            memcpy(ret->pops, quick->pops, sizeof(quick->pops));
            return;
        }
    }
    decide_long(table, question, want, ret);
}
