/* pops: edges are sorted by place into sites once. A change at run time writes one atomic word and
 * works out anew whether all is well, the one question that the usual decision asks. */
#include "router/base/pops.h"

#include <ctype.h>
#include <xxhash.h>

#include "geo-data/geodesy.h"
#include "router/base/among.h"

#include "common/banned.h"

/* A name goes into headers, metrics and log lines. */
static bool name_is_good(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
            return false;
    return n > 0 && n <= 63;
}

/* http(s)://authority and nothing else, so that a client's path can stand behind it and never become the
 * authority. */
static bool url_is_good(const char *url)
{
    struct cdn_str rest = cdn_str(url);
    struct cdn_str schemes[] = {CDN_STR("http://"), CDN_STR("https://")};
    size_t skip = 0;
    for (size_t i = 0; i < CDN_ARRAY_LEN(schemes); i++)
        if (cdn_str_starts(rest, schemes[i]))
            skip = schemes[i].n;
    rest = cdn_str_sub(rest, skip);
    if (skip == 0 || rest.n == 0 || rest.n > 255)
        return false;
    for (size_t i = 0; i < rest.n; i++)
        if (!isalnum((unsigned char)rest.p[i]) && !strchr("-._:[]", rest.p[i]))
            return false;
    return true;
}

static enum cdn_status config_check(const struct router_pop_config *c, struct cdn_error *err)
{
    if (!name_is_good(c->name))
        return cdn_error_set(err, CDN_INVALID,
                             "%s: name: '%s' is no name of an edge (1 to 63 letters, digits, '-', '_', '.')",
                             c->origin, c->name);
    if (!url_is_good(c->url))
        return cdn_error_set(err, CDN_INVALID, "%s: url: '%s' of edge '%s' is not http(s)://HOST[:PORT]",
                             c->origin, c->url, c->name);
    if (c->admin[0] && !url_is_good(c->admin))
        return cdn_error_set(err, CDN_INVALID, "%s: admin: '%s' of edge '%s' is not http(s)://HOST[:PORT]",
                             c->origin, c->admin, c->name);
    if (!geo_coordinates_valid(c->lat, c->lon))
        return cdn_error_set(err, CDN_INVALID, "%s: place: %g,%g of edge '%s' is not on Earth", c->origin,
                             c->lat, c->lon, c->name);
    if (c->weight > ROUTER_WEIGHT_MAX)
        return cdn_error_set(err, CDN_INVALID, "%s: weight: %u of edge '%s' is over %u", c->origin, c->weight,
                             c->name, ROUTER_WEIGHT_MAX);
    return CDN_OK;
}

static void pop_init(struct router_pop *pop, const struct router_pop_config *c)
{
    double lat = c->lat, lon = c->lon;
    geo_canonical(&lat, &lon); /* edges of one point share its clients, however it is written */
    *pop = (struct router_pop){
        .name = cdn_strdup(c->name),
        .place = cdn_strdup(c->place),
        .url = cdn_strdup(c->url),
        .admin = cdn_strdup(c->admin),
        .origin = cdn_strdup(c->origin),
        .url_n = strlen(c->url),
        .lat = lat,
        .lon = lon,
        .weight = c->weight,
        .capacity = c->capacity,
        .seed = XXH3_64bits(c->name, strlen(c->name)),
    };
}

static int by_name(const void *a, const void *b, void *ctx)
{
    const struct router_pop *pops = ctx;
    return strcmp(pops[*(const uint16_t *)a].name, pops[*(const uint16_t *)b].name);
}

static int by_place(const void *a, const void *b, void *ctx)
{
    const struct router_pop *pops = ctx;
    uint16_t i = *(const uint16_t *)a, j = *(const uint16_t *)b;
    if (pops[i].lat != pops[j].lat)
        return pops[i].lat < pops[j].lat ? -1 : 1;
    if (pops[i].lon != pops[j].lon)
        return pops[i].lon < pops[j].lon ? -1 : 1;
    return i - j;
}

static void indexes_sort(struct router_pops *p, int (*compare)(const void *, const void *, void *))
{
    for (size_t i = 0; i < p->count; i++)
        p->members[i] = (uint16_t)i;
    qsort_r(p->members, p->count, sizeof(*p->members), compare, p->pops);
}

static enum cdn_status names_check(struct router_pops *p, struct cdn_error *err)
{
    indexes_sort(p, by_name);
    for (size_t i = 1; i < p->count; i++) {
        const struct router_pop *a = &p->pops[p->members[i - 1]], *b = &p->pops[p->members[i]];
        if (strcmp(a->name, b->name) == 0)
            return cdn_error_set(err, CDN_INVALID, "%s: the edge '%s' is already there: %s", b->origin,
                                 b->name, a->origin);
    }
    return CDN_OK;
}

static int by_order(const void *a, const void *b)
{
    return ((const struct router_site *)a)->order - ((const struct router_site *)b)->order;
}

/* Sites stand in the order of their first edge, so that equal costs are decided by the configuration. */
static void sites_build(struct router_pops *p)
{
    indexes_sort(p, by_place);
    for (size_t i = 0; i < p->count; i++) {
        const struct router_pop *pop = &p->pops[p->members[i]];
        struct router_site *last = p->site_count ? &p->sites[p->site_count - 1] : NULL;
        if (last && last->lat == pop->lat && last->lon == pop->lon)
            last->count++;
        else
            p->sites[p->site_count++] = (struct router_site){
                .lat = pop->lat, .lon = pop->lon, .first = (uint16_t)i, .count = 1, .order = p->members[i]};
    }
    qsort(p->sites, p->site_count, sizeof(*p->sites), by_order);
    for (size_t s = 0; s < p->site_count; s++) {
        geo_rtt_point(p->sites[s].lat, p->sites[s].lon, &p->sites[s].point);
        for (size_t i = 0; i < p->sites[s].count; i++)
            p->pops[p->members[p->sites[s].first + i]].site = (uint16_t)s;
    }
}

/* An edge whose URL has an IPv6 address is out of reach for who came by IPv4. The other way round nothing is
 * known: nearly all who have IPv6 have IPv4 too. */
static bool url_is_ipv6(const char *url)
{
    return strstr(url, "://[") != NULL;
}

/* Nothing is barred when no edge is left then: what the router's own address says is likely wrong. */
static void families_find(struct router_pops *p)
{
    size_t n = 0;
    uint64_t *set = cdn_calloc(router_set_words(p->count), sizeof(*set));
    for (size_t i = 0; i < p->count; i++)
        if (!url_is_ipv6(p->pops[i].url)) {
            router_set_add(set, i);
            n++;
        }
    if (n > 0 && n < p->count)
        p->ipv4 = set;
    else
        free(set);
}

enum cdn_status router_pops_create(const struct router_pop_config *configs, size_t count,
                                   struct router_pops **ret, struct cdn_error *err)
{
    if (count > ROUTER_POPS_MAX)
        return cdn_error_set(err, CDN_INVALID, "%zu edges are too many: at most %u", count, ROUTER_POPS_MAX);
    for (size_t i = 0; i < count; i++) {
        enum cdn_status status = config_check(&configs[i], err);
        if (status != CDN_OK)
            return status;
    }
    struct router_pops *p = cdn_calloc(1, sizeof(*p));
    p->pops = cdn_calloc(count + 1, sizeof(*p->pops));
    p->sites = cdn_calloc(count + 1, sizeof(*p->sites));
    p->members = cdn_calloc(count + 1, sizeof(*p->members));
    p->state = cdn_calloc(count + 1, sizeof(*p->state));
    p->count = count;
    for (size_t i = 0; i < count; i++) {
        pop_init(&p->pops[i], &configs[i]);
        atomic_init(&p->state[i].weight, configs[i].weight);
    }
    enum cdn_status status = names_check(p, err);
    if (status != CDN_OK) {
        router_pops_destroy(p);
        return status;
    }
    sites_build(p);
    families_find(p);
    router_pops_pin(p, ROUTER_NO_POP);
    *ret = p;
    return CDN_OK;
}

void router_pops_destroy(struct router_pops *pops)
{
    if (!pops)
        return;
    for (size_t i = 0; i < pops->count; i++) {
        free(pops->pops[i].name);
        free(pops->pops[i].place);
        free(pops->pops[i].url);
        free(pops->pops[i].admin);
        free(pops->pops[i].origin);
    }
    free(pops->pops);
    free(pops->sites);
    free(pops->members);
    free(pops->ipv4);
    free(pops->state);
    free(pops);
}

uint16_t router_pops_find(const struct router_pops *pops, struct cdn_str name)
{
    for (size_t i = 0; i < pops->count; i++)
        if (cdn_str_eq(cdn_str(pops->pops[i].name), name))
            return (uint16_t)i;
    return ROUTER_NO_POP;
}

/* After each change of an edge's state. One thread writes. */
static void judge_all(struct router_pops *pops)
{
    bool well = router_pops_pinned(pops) == ROUTER_NO_POP;
    for (size_t i = 0; i < pops->count; i++)
        well = well && router_pop_flags(pops, (uint16_t)i) == 0 && router_pop_weight(pops, (uint16_t)i) > 0;
    atomic_store(&pops->all_well, well);
}

void router_pops_inherit(struct router_pops *pops, const struct router_pops *from)
{
    uint32_t pinned = router_pops_pinned(from);
    for (size_t i = 0; i < from->count; i++) {
        uint16_t heir = router_pops_find(pops, cdn_str(from->pops[i].name));
        if (heir == ROUTER_NO_POP)
            continue;
        atomic_store(&pops->state[heir].flags, router_pop_flags(from, (uint16_t)i));
        if (i == pinned)
            router_pops_pin(pops, heir);
    }
    judge_all(pops);
}

void router_pop_flag_set(struct router_pops *pops, uint16_t pop, enum router_pop_flag flag, bool on)
{
    if (on)
        atomic_fetch_or(&pops->state[pop].flags, (uint32_t)flag);
    else
        atomic_fetch_and(&pops->state[pop].flags, ~(uint32_t)flag);
    judge_all(pops);
}

void router_pop_weight_set(struct router_pops *pops, uint16_t pop, unsigned weight)
{
    atomic_store(&pops->state[pop].weight, weight);
    judge_all(pops);
}

void router_pops_pin(struct router_pops *pops, uint16_t pop)
{
    atomic_store(&pops->pinned, pop);
    judge_all(pops);
}
