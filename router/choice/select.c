/* select: the ranking and the pick. Costs are measured for all sites, but only as many as the row
 * holds are kept in order: a few hundred sites are gone through faster than any structure over them
 * could be kept. Ties fall to the order of the configuration. */
#include "router/choice/select.h"

#include "geo-data/geodesy.h"
#include "geo-data/latency.h"
#include "router/choice/spread.h"

#include <math.h>
#include <string.h>

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

struct router_candidate router_candidate_of(const struct router_edges *edges, uint16_t site, double lat,
                                            double lon)
{
    const struct router_site *s = &edges->sites[site];
    struct geo_rtt_point from;
    geo_rtt_point(lat, lon, &from);
    return (struct router_candidate){
        .site = site,
        .km = km_between(lat, lon, s),
        .rtt_ms = geo_rtt_between(&from, &s->point),
    };
}

/* A candidate with what the policy goes by. */
static struct router_candidate measured(const struct router_edges *edges, enum router_policy policy,
                                        const struct geo_rtt_point *from, uint16_t site)
{
    const struct router_site *s = &edges->sites[site];
    struct router_candidate c = {.site = site};
    if (policy == ROUTER_POLICY_DISTANCE) {
        c.km = km_between(from->lat, from->lon, s);
    } else if (policy == ROUTER_POLICY_RTT) {
        c.rtt_ms = geo_rtt_between(from, &s->point);
    }
    return c;
}

/* What `measured` left out: only those that come first are worth it. */
static void complete(const struct router_edges *edges, enum router_policy policy,
                     const struct geo_rtt_point *from, struct router_candidate *row, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct router_site *s = &edges->sites[row[i].site];
        if (policy != ROUTER_POLICY_DISTANCE) {
            row[i].km = km_between(from->lat, from->lon, s);
        }
        if (policy != ROUTER_POLICY_RTT) {
            row[i].rtt_ms = geo_rtt_between(from, &s->point);
        }
    }
}

static float cost_of(const struct router_edges *edges, enum router_policy policy,
                     const struct router_candidate *c)
{
    if (policy == ROUTER_POLICY_PINNED) {
        return edges->sites[c->site].order;
    }
    return policy == ROUTER_POLICY_DISTANCE ? c->km : c->rtt_ms;
}

bool router_select_site_is_among(const struct router_edges *edges, uint16_t site,
                                 const struct router_among *among)
{
    const struct router_site *s = &edges->sites[site];
    for (size_t i = 0; i < s->count; i++) {
        if (router_among_has(among, edges->members[s->first + i])) {
            return true;
        }
    }
    return false;
}

struct ranking { /* what the parts of one row share */
    const struct router_edges *edges;
    enum router_policy policy;
    struct geo_rtt_point from;
    uint32_t blocked;
    const struct router_among *among;
    struct router_candidate *row; /* of this part */
    size_t n, max;
    size_t before; /* preferred ones, which stand in front of `row` */
};

/* The whole site would say no more than its preferred edge. */
static bool is_there_already(const struct ranking *r, uint16_t site)
{
    for (size_t i = 1; i <= r->before && r->edges->sites[site].count == 1; i++) {
        if ((r->row - i)->site == site) {
            return true;
        }
    }
    return false;
}

static bool site_is_usable(const struct ranking *r, uint16_t site)
{
    if (is_there_already(r, site)) {
        return false;
    }
    if (r->blocked == 0) {
        return !r->among || router_select_site_is_among(r->edges, site, r->among);
    }
    return router_spread(r->edges, site, 0, r->blocked, r->among) != ROUTER_NO_EDGE;
}

static void rank_site(struct ranking *r, uint16_t site)
{
    struct router_candidate c = measured(r->edges, r->policy, &r->from, site);
    float cost = cost_of(r->edges, r->policy, &c);
    size_t at = r->n;
    while (at > 0 && cost < cost_of(r->edges, r->policy, &r->row[at - 1])) {
        at--;
    }
    if (at == r->max) {
        return;
    }
    if (r->n < r->max) {
        r->n++;
    }
    memmove(&r->row[at + 1], &r->row[at], (r->n - 1 - at) * sizeof(*r->row));
    r->row[at] = c;
}

static void rank_all(struct ranking *r)
{
    for (size_t s = 0; s < r->edges->site_count; s++) {
        if (site_is_usable(r, (uint16_t)s)) {
            rank_site(r, (uint16_t)s);
        }
    }
    complete(r->edges, r->policy, &r->from, r->row, r->n);
}

/* The sites of preferred edges that are not too far off; leaves `r` after them. Returns how many. */
static size_t rank_preferred(struct ranking *r, const struct router_limits *limits)
{
    struct router_candidate best = {0};
    struct ranking first = *r;
    first.blocked = 0;
    first.among = &limits->allowed;
    first.row = &best;
    first.max = 1;
    rank_all(&first);
    r->among = &limits->preferred;
    rank_all(r);
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (r->row[i].rtt_ms <= best.rtt_ms + limits->margin_ms) {
            r->row[n] = r->row[i];
            r->row[n++].preferred = true;
        }
    }
    r->row += n;
    r->max -= n;
    r->before = n;
    r->n = 0;
    return n;
}

size_t router_select_rank_within(const struct router_edges *edges, enum router_policy policy, double lat,
                                 double lon, uint32_t blocked, const struct router_limits *limits,
                                 struct router_candidate *ret, size_t max)
{
    struct geo_rtt_point from;
    geo_rtt_point(lat, lon, &from);
    struct ranking r = {
        .edges = edges, .policy = policy, .from = from, .blocked = blocked, .row = ret, .max = max};
    size_t n = limits && limits->prefers ? rank_preferred(&r, limits) : 0;
    r.among = limits ? &limits->allowed : NULL;
    if (r.max > 0) {
        rank_all(&r);
    }
    return n + r.n;
}

size_t router_select_rank(const struct router_edges *edges, enum router_policy policy, double lat, double lon,
                          uint32_t blocked, struct router_candidate *ret, size_t max)
{
    return router_select_rank_within(edges, policy, lat, lon, blocked, NULL, ret, max);
}

struct walk { /* what the steps of one pick share */
    const struct router_edges *edges;
    uint64_t hash;
    uint32_t blocked;
    const struct router_limits *limits;
    struct router_choice *choice;
};

static uint16_t serving(const struct walk *w, const struct router_candidate *c)
{
    const struct router_among *among = w->limits ? router_limits_among(w->limits, c->preferred) : NULL;
    return router_spread(w->edges, c->site, w->hash, w->blocked, among);
}

/* Fills the first two edges of different sites that can serve, and returns how many are known now. */
static unsigned take(struct walk *w, const struct router_candidate *row, size_t n)
{
    struct router_choice *c = w->choice;
    for (size_t i = 0; i < n; i++) {
        uint16_t edge = serving(w, &row[i]);
        if (edge == ROUTER_NO_EDGE) {
            continue;
        }
        if (c->edge == ROUTER_NO_EDGE) {
            c->edge = edge;
            c->at = row[i];
        } else if (row[i].site != c->at.site) {
            c->runner_up = edge;
            c->runner_at = row[i];
            return 2;
        }
    }
    return c->edge == ROUTER_NO_EDGE ? 0 : 1;
}

const uint32_t router_strictness[ROUTER_STRICTNESS_COUNT] = {
    ROUTER_BLOCK_ALL,
    ROUTER_EDGE_SICK | ROUTER_EDGE_DRAINED,
    ROUTER_EDGE_DRAINED,
};

#define BEYOND 3 /* enough for two sites, one of which is there twice */

void router_select_pick(const struct router_edges *edges, enum router_policy policy, double lat, double lon,
                        uint64_t hash, const struct router_limits *limits, const struct router_candidate *row,
                        size_t row_n, struct router_choice *ret)
{
    struct walk walk = {edges, hash, 0, limits, ret};
    *ret = (struct router_choice){
        .edge = ROUTER_NO_EDGE, .runner_up = ROUTER_NO_EDGE, .skipped = ROUTER_NO_EDGE};
    for (size_t i = 0; i < ROUTER_STRICTNESS_COUNT && ret->edge == ROUTER_NO_EDGE; i++) {
        walk.blocked = router_strictness[i];
        if (take(&walk, row, row_n) < 2 && (row_n < edges->site_count || (limits && limits->prefers))) {
            struct router_candidate beyond[BEYOND];
            take(&walk, beyond,
                 router_select_rank_within(edges, policy, lat, lon, walk.blocked, limits, beyond, BEYOND));
        }
        ret->optimistic = ret->edge != ROUTER_NO_EDGE && !(router_strictness[i] & ROUTER_EDGE_SICK);
    }
    walk.blocked = 0;
    uint16_t first = row_n > 0 ? serving(&walk, &row[0]) : ROUTER_NO_EDGE;
    if (first != ret->edge) {
        ret->skipped = first;
    }
}
