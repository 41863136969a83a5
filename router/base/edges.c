/* edges: edges are sorted by place into sites once. A change at run time writes one atomic word and
 * works out anew whether all is well, the one question that the usual decision asks. */
#include "router/base/edges.h"

#include "common/mem.h"
#include "geo-data/geodesy.h"
#include "router/base/among.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/banned.h"

/* A name goes into headers, metrics and log lines. */
static bool name_is_good(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i])) {
            return false;
        }
    }
    return n > 0 && n <= 63;
}

/* http(s)://authority and nothing else, so that a client's path can stand after it and never become the
 * authority. */
static bool url_is_good(const char *url)
{
    struct cdn_str rest = cdn_str(url);
    struct cdn_str schemes[] = {CDN_STR("http://"), CDN_STR("https://")};
    size_t skip = 0;
    for (size_t i = 0; i < CDN_ARRAY_LEN(schemes); i++) {
        if (cdn_str_starts(rest, schemes[i])) {
            skip = schemes[i].n;
        }
    }
    rest = cdn_str_sub(rest, skip);
    if (skip == 0 || rest.n == 0 || rest.n > 255) {
        return false;
    }
    for (size_t i = 0; i < rest.n; i++) {
        if (!isalnum((unsigned char)rest.p[i]) && !strchr("-._:[]", rest.p[i])) {
            return false;
        }
    }
    return true;
}

static enum cdn_status config_check(const struct router_edge_config *c, struct cdn_error *err)
{
    if (!name_is_good(c->name)) {
        return cdn_error_set(err, CDN_INVALID,
                             "%s: name: '%s' is no name of an edge (1 to 63 letters, digits, '-', '_', '.')",
                             c->origin, c->name);
    }
    if (!url_is_good(c->url)) {
        return cdn_error_set(err, CDN_INVALID, "%s: url: '%s' of edge '%s' is not http(s)://HOST[:PORT]",
                             c->origin, c->url, c->name);
    }
    if (c->admin[0] && !url_is_good(c->admin)) {
        return cdn_error_set(err, CDN_INVALID, "%s: admin: '%s' of edge '%s' is not http(s)://HOST[:PORT]",
                             c->origin, c->admin, c->name);
    }
    if (!geo_coordinates_valid(c->lat, c->lon)) {
        return cdn_error_set(err, CDN_INVALID, "%s: place: %g,%g of edge '%s' is not on Earth", c->origin,
                             c->lat, c->lon, c->name);
    }
    if (c->weight > ROUTER_WEIGHT_MAX) {
        return cdn_error_set(err, CDN_INVALID, "%s: weight: %u of edge '%s' is over %u", c->origin, c->weight,
                             c->name, ROUTER_WEIGHT_MAX);
    }
    return CDN_OK;
}

static void edge_init(struct router_edge *edge, const struct router_edge_config *c)
{
    double lat = c->lat, lon = c->lon;
    geo_canonical(&lat, &lon); /* edges of one point share its clients, however it is written */
    *edge = (struct router_edge){
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
    const struct router_edge *edges = ctx;
    return strcmp(edges[*(const uint16_t *)a].name, edges[*(const uint16_t *)b].name);
}

static int by_place(const void *a, const void *b, void *ctx)
{
    const struct router_edge *edges = ctx;
    uint16_t i = *(const uint16_t *)a, j = *(const uint16_t *)b;
    if (edges[i].lat != edges[j].lat) {
        return edges[i].lat < edges[j].lat ? -1 : 1;
    }
    if (edges[i].lon != edges[j].lon) {
        return edges[i].lon < edges[j].lon ? -1 : 1;
    }
    return i - j;
}

static void indexes_sort(struct router_edges *p, int (*compare)(const void *, const void *, void *))
{
    for (size_t i = 0; i < p->count; i++) {
        p->members[i] = (uint16_t)i;
    }
    qsort_r(p->members, p->count, sizeof(*p->members), compare, p->at);
}

static enum cdn_status names_check(struct router_edges *p, struct cdn_error *err)
{
    indexes_sort(p, by_name);
    for (size_t i = 1; i < p->count; i++) {
        const struct router_edge *a = &p->at[p->members[i - 1]], *b = &p->at[p->members[i]];
        if (strcmp(a->name, b->name) == 0) {
            return cdn_error_set(err, CDN_INVALID, "%s: the edge '%s' is already there: %s", b->origin,
                                 b->name, a->origin);
        }
    }
    return CDN_OK;
}

static int by_order(const void *a, const void *b)
{
    return ((const struct router_site *)a)->order - ((const struct router_site *)b)->order;
}

/* Sites stand in the order of their first edge, so that equal costs are decided by the configuration. */
static void sites_build(struct router_edges *p)
{
    indexes_sort(p, by_place);
    for (size_t i = 0; i < p->count; i++) {
        const struct router_edge *edge = &p->at[p->members[i]];
        struct router_site *last = p->site_count ? &p->sites[p->site_count - 1] : NULL;
        if (last && last->lat == edge->lat && last->lon == edge->lon) {
            last->count++;
        } else {
            p->sites[p->site_count++] = (struct router_site){
                .lat = edge->lat, .lon = edge->lon, .first = (uint16_t)i, .count = 1, .order = p->members[i]};
        }
    }
    qsort(p->sites, p->site_count, sizeof(*p->sites), by_order);
    for (size_t s = 0; s < p->site_count; s++) {
        geo_rtt_point(p->sites[s].lat, p->sites[s].lon, &p->sites[s].point);
        for (size_t i = 0; i < p->sites[s].count; i++) {
            p->at[p->members[p->sites[s].first + i]].site = (uint16_t)s;
        }
    }
}

/* An edge whose URL has an IPv6 address is out of reach for who came by IPv4. The other way round nothing is
 * known: nearly all who have IPv6 have IPv4 too. */
static bool url_is_ipv6(const char *url)
{
    return strstr(url, "://[") != NULL;
}

/* Nothing is barred when no edge is left then: what the router's own address says is likely wrong. */
static void families_find(struct router_edges *p)
{
    size_t n = 0;
    uint64_t *set = cdn_calloc(router_among_words(p->count), sizeof(*set));
    for (size_t i = 0; i < p->count; i++) {
        if (!url_is_ipv6(p->at[i].url)) {
            router_among_set_add(set, i);
            n++;
        }
    }
    if (n > 0 && n < p->count) {
        p->ipv4 = set;
    } else {
        free(set);
    }
}

enum cdn_status router_edges_create(const struct router_edge_config *configs, size_t count,
                                    struct router_edges **ret, struct cdn_error *err)
{
    if (count > ROUTER_EDGES_MAX) {
        return cdn_error_set(err, CDN_INVALID, "%zu edges are too many: at most %u", count, ROUTER_EDGES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        enum cdn_status status = config_check(&configs[i], err);
        if (status != CDN_OK) {
            return status;
        }
    }
    struct router_edges *p = cdn_calloc(1, sizeof(*p));
    p->at = cdn_calloc(count + 1, sizeof(*p->at));
    p->sites = cdn_calloc(count + 1, sizeof(*p->sites));
    p->members = cdn_calloc(count + 1, sizeof(*p->members));
    p->state = cdn_calloc(count + 1, sizeof(*p->state));
    p->count = count;
    for (size_t i = 0; i < count; i++) {
        edge_init(&p->at[i], &configs[i]);
        atomic_init(&p->state[i].weight, configs[i].weight);
    }
    enum cdn_status status = names_check(p, err);
    if (status != CDN_OK) {
        router_edges_destroy(p);
        return status;
    }
    sites_build(p);
    families_find(p);
    router_edges_pin(p, ROUTER_NO_EDGE);
    *ret = p;
    return CDN_OK;
}

void router_edges_destroy(struct router_edges *edges)
{
    if (!edges) {
        return;
    }
    for (size_t i = 0; i < edges->count; i++) {
        free(edges->at[i].name);
        free(edges->at[i].place);
        free(edges->at[i].url);
        free(edges->at[i].admin);
        free(edges->at[i].origin);
    }
    free(edges->at);
    free(edges->sites);
    free(edges->members);
    free(edges->ipv4);
    free(edges->state);
    free(edges);
}

uint16_t router_edges_find(const struct router_edges *edges, struct cdn_str name)
{
    for (size_t i = 0; i < edges->count; i++) {
        if (cdn_str_eq(cdn_str(edges->at[i].name), name)) {
            return (uint16_t)i;
        }
    }
    return ROUTER_NO_EDGE;
}

/* After each change of an edge's state. One thread writes. */
static void judge_all(struct router_edges *edges)
{
    bool well = router_edges_pinned(edges) == ROUTER_NO_EDGE;
    for (size_t i = 0; i < edges->count; i++) {
        well =
            well && router_edge_flags(edges, (uint16_t)i) == 0 && router_edge_weight(edges, (uint16_t)i) > 0;
    }
    atomic_store(&edges->all_well, well);
}

void router_edges_inherit(struct router_edges *edges, const struct router_edges *from)
{
    uint32_t pinned = router_edges_pinned(from);
    for (size_t i = 0; i < from->count; i++) {
        uint16_t heir = router_edges_find(edges, cdn_str(from->at[i].name));
        if (heir == ROUTER_NO_EDGE) {
            continue;
        }
        atomic_store(&edges->state[heir].flags, router_edge_flags(from, (uint16_t)i));
        router_edge_avoid(edges, heir, atomic_load(&from->state[i].avoid_until_ms));
        if (i == pinned) {
            router_edges_pin(edges, heir);
        }
    }
    judge_all(edges);
}

void router_edge_flag_set(struct router_edges *edges, uint16_t edge, enum router_edge_flag flag, bool on)
{
    if (on) {
        atomic_fetch_or(&edges->state[edge].flags, (uint32_t)flag);
    } else {
        atomic_fetch_and(&edges->state[edge].flags, ~(uint32_t)flag);
    }
    judge_all(edges);
}

void router_edge_weight_set(struct router_edges *edges, uint16_t edge, unsigned weight)
{
    atomic_store(&edges->state[edge].weight, weight);
    judge_all(edges);
}

void router_edges_pin(struct router_edges *edges, uint16_t edge)
{
    atomic_store(&edges->pinned, edge);
    judge_all(edges);
}

static void raise_to(_Atomic int64_t *at, int64_t value)
{
    int64_t now = atomic_load(at);
    while (now < value && !atomic_compare_exchange_weak(at, &now, value)) {
    }
}

void router_edge_avoid(struct router_edges *edges, uint16_t edge, int64_t until_ms)
{
    raise_to(&edges->state[edge].avoid_until_ms, until_ms);
    raise_to(&edges->avoid_until_ms, until_ms);
}
