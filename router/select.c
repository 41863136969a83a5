/* select: see select.h */
#include "router/select.h"

#include <math.h>

#include "geo-data/geodesy.h"
#include "geo-data/latency.h"
#include "router/spread.h"

#include "common/banned.h"

static const char *const policy_words[] = {
#define X(name, word, text) word,
    ROUTER_POLICY_TABLE(X)
#undef X
};

const char *router_policy_word(enum router_policy policy)
{
    return policy_words[policy];
}

/* To the metre, so that two names of one point (the poles have a longitude too) are equally far. */
static float km_between(double lat, double lon, const struct router_site *site)
{
    return (float)(round(geo_distance_km(lat, lon, site->lat, site->lon) * 1000) / 1000);
}

struct router_candidate router_candidate_of(const struct router_pops *pops, uint16_t site, double lat,
                                            double lon)
{
    const struct router_site *s = &pops->sites[site];
    struct geo_rtt_point from;
    geo_rtt_point(lat, lon, &from);
    return (struct router_candidate){
        .site = site,
        .km = km_between(lat, lon, s),
        .rtt_ms = geo_rtt_between(&from, &s->point),
    };
}

/* A candidate with what the policy goes by. */
static struct router_candidate measured(const struct router_pops *pops, enum router_policy policy,
                                        const struct geo_rtt_point *from, uint16_t site)
{
    const struct router_site *s = &pops->sites[site];
    struct router_candidate c = {.site = site};
    if (policy == ROUTER_POLICY_DISTANCE)
        c.km = km_between(from->lat, from->lon, s);
    else if (policy == ROUTER_POLICY_RTT)
        c.rtt_ms = geo_rtt_between(from, &s->point);
    return c;
}

/* What `measured` left out: only those that come first are worth it. */
static void complete(const struct router_pops *pops, enum router_policy policy,
                     const struct geo_rtt_point *from, struct router_candidate *row, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct router_site *s = &pops->sites[row[i].site];
        if (policy != ROUTER_POLICY_DISTANCE)
            row[i].km = km_between(from->lat, from->lon, s);
        if (policy != ROUTER_POLICY_RTT)
            row[i].rtt_ms = geo_rtt_between(from, &s->point);
    }
}

static float cost_of(const struct router_pops *pops, enum router_policy policy,
                     const struct router_candidate *c)
{
    if (policy == ROUTER_POLICY_PINNED)
        return pops->sites[c->site].order;
    return policy == ROUTER_POLICY_DISTANCE ? c->km : c->rtt_ms;
}

static bool site_is_usable(const struct router_pops *pops, uint16_t site, uint32_t blocked)
{
    return blocked == 0 || router_spread(pops, site, 0, blocked) != ROUTER_NO_POP;
}

size_t router_rank(const struct router_pops *pops, enum router_policy policy, double lat, double lon,
                   uint32_t blocked, struct router_candidate *ret, size_t max)
{
    size_t n = 0;
    struct geo_rtt_point from;
    geo_rtt_point(lat, lon, &from);
    for (size_t s = 0; s < pops->site_count; s++) {
        if (!site_is_usable(pops, (uint16_t)s, blocked))
            continue;
        struct router_candidate c = measured(pops, policy, &from, (uint16_t)s);
        float cost = cost_of(pops, policy, &c);
        size_t at = n;
        while (at > 0 && cost < cost_of(pops, policy, &ret[at - 1]))
            at--;
        if (at == max)
            continue;
        if (n < max)
            n++;
        memmove(&ret[at + 1], &ret[at], (n - 1 - at) * sizeof(*ret));
        ret[at] = c;
    }
    complete(pops, policy, &from, ret, n);
    return n;
}

struct walk { /* what the steps of one pick share */
    const struct router_pops *pops;
    uint64_t hash;
    uint32_t blocked;
    struct router_choice *choice;
};

/* Fills the first two edges of different sites that can serve, and returns how many are known now. */
static unsigned take(struct walk *w, const struct router_candidate *row, size_t n)
{
    struct router_choice *c = w->choice;
    for (size_t i = 0; i < n; i++) {
        uint16_t pop = router_spread(w->pops, row[i].site, w->hash, w->blocked);
        if (pop == ROUTER_NO_POP)
            continue;
        if (c->pop == ROUTER_NO_POP) {
            c->pop = pop;
            c->at = row[i];
        } else if (row[i].site != c->at.site) {
            c->runner_up = pop;
            c->runner_at = row[i];
            return 2;
        }
    }
    return c->pop == ROUTER_NO_POP ? 0 : 1;
}

const uint32_t router_strictness[ROUTER_STRICTNESS_COUNT] = {
    ROUTER_BLOCK_ALL,
    ROUTER_POP_SICK | ROUTER_POP_DRAINED,
    ROUTER_POP_DRAINED,
};

void router_pick(const struct router_pops *pops, enum router_policy policy, double lat, double lon,
                 uint64_t hash, const struct router_candidate *row, size_t row_n, struct router_choice *ret)
{
    *ret = (struct router_choice){.pop = ROUTER_NO_POP, .runner_up = ROUTER_NO_POP, .skipped = ROUTER_NO_POP};
    for (size_t i = 0; i < ROUTER_STRICTNESS_COUNT && ret->pop == ROUTER_NO_POP; i++) {
        struct walk walk = {pops, hash, router_strictness[i], ret};
        if (take(&walk, row, row_n) < 2 && row_n < pops->site_count) {
            struct router_candidate beyond[2];
            take(&walk, beyond,
                 router_rank(pops, policy, lat, lon, router_strictness[i], beyond, CDN_ARRAY_LEN(beyond)));
        }
        ret->optimistic = ret->pop != ROUTER_NO_POP && !(router_strictness[i] & ROUTER_POP_SICK);
    }
    uint16_t first = row_n > 0 ? router_spread(pops, row[0].site, hash, 0) : ROUTER_NO_POP;
    if (first != ret->pop)
        ret->skipped = first;
}
