/* table: built in the order in which parts need each other: edges, overrides over them, places,
 * databases. The first thing that is wrong ends it with a sentence, and the half-built table is
 * freed by the same function as a whole one. */
#include "router/table/table.h"

#include "common/config/config.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "geo-data/places.h"
#include "geo-data/special.h"
#include "router/base/edges.h"
#include "router/choice/overrides.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

static enum cdn_status edges_build(const struct router_config *config, struct router_edges **ret,
                                   struct cdn_error *err)
{
    CDN_AUTOFREE struct router_edge_config *edges = cdn_calloc(config->edge_count + 1, sizeof(*edges));
    for (size_t i = 0; i < config->edge_count; i++) {
        const struct router_edge_entry *e = &config->edges[i];
        const struct router_edge_settings *s = &e->settings;
        struct geo_place place;
        struct cdn_error why;
        if (geo_place_find(cdn_str(s->place), &place, &why) != CDN_OK) {
            return cdn_error_set(err, CDN_INVALID, "%s: place: %s", e->origin, why.text);
        }
        edges[i] = (struct router_edge_config){s->name,  s->place, place.lat,           place.lon,
                                               s->url,   s->admin, (unsigned)s->weight, s->capacity,
                                               e->origin};
    }
    return router_edges_create(edges, config->edge_count, ret, err);
}

struct asn_search {
    const struct geo_db *db;
    int family;
    uint32_t last; /* entry that was looked at */
    bool found;
};

static bool has_asn(void *ctx, const struct geo_net *net)
{
    struct asn_search *s = ctx;
    struct geo_record r;
    if (net->entry == s->last) {
        return true;
    }
    s->last = net->entry;
    s->found = geo_entry_record(s->db, s->family, net->entry, &r) == CDN_OK && r.asn != 0;
    return !s->found;
}

/* An override by AS that can never match is a mistake. */
static enum cdn_status asn_check(const struct router_table *t, struct cdn_error *err)
{
    struct asn_search s = {.db = t->db, .last = GEO_ENTRY_NONE};
    size_t networks = router_overrides_count_of(t->overrides, ROUTER_OVERRIDE_NETWORK);
    if (router_overrides_count_of(t->overrides, ROUTER_OVERRIDE_ASN) == 0) {
        return CDN_OK;
    }
    for (int i = 0; i < 2 && !s.found; i++) {
        s.family = i == 0 ? AF_INET : AF_INET6;
        enum cdn_status status = geo_walk(s.db, s.family, has_asn, &s, err);
        if (status != CDN_OK) {
            return status;
        }
    }
    const struct router_override *first = router_overrides_at(t->overrides, networks);
    return s.found ? CDN_OK
                   : cdn_error_set(err, CDN_INVALID,
                                   "%s: overrides: %s: the database knows no AS numbers; put one that does "
                                   "behind it (database: [embedded, GeoLite2-ASN.mmdb])",
                                   first->origin, first->match);
}

static size_t paths_add(const struct cdn_config_list *files, const char *paths[], size_t n)
{
    for (size_t i = 0; i < files->n && n < GEO_FILES_MAX; i++) {
        paths[n++] = files->items[i].key;
    }
    return n;
}

/* `asn_database` is an older way to put files after those of `database`. */
static enum cdn_status databases_open(struct router_table *t, const struct router_settings *s,
                                      struct cdn_error *err)
{
    const char *paths[GEO_FILES_MAX] = {GEO_EMBEDDED};
    size_t n = s->database.n > 0 ? paths_add(&s->database, paths, 0) : 1;
    enum cdn_status status = geo_db_open(paths, paths_add(&s->asn_database, paths, n), &t->db, err);
    return status == CDN_OK ? asn_check(t, err) : status;
}

static enum cdn_status default_place_find(struct router_table *t, const char *setting, struct cdn_error *err)
{
    const char *text = setting[0] ? setting : t->edges->count > 0 ? t->edges->at[0].place : "0,0";
    struct geo_place place;
    struct cdn_error why;
    if (geo_place_find(cdn_str(text), &place, &why) != CDN_OK) {
        return cdn_error_set(err, CDN_INVALID, "default_place: %s", why.text);
    }
    t->default_name = cdn_str_dup(place.name);
    t->default_lat = place.lat;
    t->default_lon = place.lon;
    return CDN_OK;
}

static enum cdn_status trusted_parse(struct router_table *t, const struct cdn_config_list *list,
                                     struct cdn_error *err)
{
    t->trusted = cdn_calloc(list->n + 1, sizeof(*t->trusted));
    t->trust.proxies = t->trusted;
    for (size_t i = 0; i < list->n; i++) {
        if (!cdn_parse_cidr(cdn_str(list->items[i].key), &t->trusted[t->trust.count++])) {
            return cdn_error_set(err, CDN_INVALID, "%s: trusted_proxies: '%s' is not a network",
                                 list->items[i].origin, list->items[i].key);
        }
    }
    return CDN_OK;
}

static void special_heads_find(struct router_table *t)
{
    for (size_t i = 0; i < geo_special_count(); i++) {
        const struct geo_special *s = geo_special_at(i);
        unsigned width = s->prefix_len < 8 ? 1u << (8 - s->prefix_len) : 1;
        memset(&t->special_heads[s->family == AF_INET6][s->address[0]], 1, width);
    }
}

static enum cdn_status table_fill(struct router_table *t, const struct router_config *config,
                                  struct cdn_error *err)
{
    const struct router_settings *s = &config->settings;
    t->policy = (enum router_policy)s->policy;
    t->simulate = s->simulate;
    t->trust.field = (enum http_client_field)s->client_field;
    special_heads_find(t);
    t->mode = (enum router_mode)s->mode;
    router_sites_copy(&config->sites, &t->sites);
    t->proxy.tries = (unsigned)s->proxy_tries;
    t->proxy.avoid_ms = s->proxy_avoid;
    t->proxy.max_body = s->max_body;
    t->proxy.tunnels = (enum router_upgrade)s->upgrade == ROUTER_UPGRADE_TUNNEL;
    t->redirect_status = s->redirect_status == 0 ? 307 : 302;
    t->cache_control = cdn_asprintf("private, max-age=%lld", (long long)(s->redirect_max_age / 1000));
    enum cdn_status status = edges_build(config, &t->edges, err);
    if (status == CDN_OK) {
        status = router_overrides_create(&s->overrides, t->edges, &t->overrides, err);
    }
    if (status == CDN_OK) {
        status = default_place_find(t, s->default_place, err);
    }
    if (status == CDN_OK) {
        status = trusted_parse(t, &s->trusted_proxies, err);
    }
    return status == CDN_OK ? databases_open(t, s, err) : status;
}

enum cdn_status router_table_create(const struct router_config *config, struct router_table **ret,
                                    struct cdn_error *err)
{
    struct router_table *t = cdn_calloc(1, sizeof(*t));
    atomic_store(&t->_refs, 1);
    enum cdn_status status = table_fill(t, config, err);
    if (status != CDN_OK) {
        router_table_unref(t);
        return status;
    }
    *ret = t;
    return CDN_OK;
}

struct router_table *router_table_ref(struct router_table *table)
{
    atomic_fetch_add_explicit(&table->_refs, 1, memory_order_relaxed);
    return table;
}

void router_table_unref(struct router_table *table)
{
    if (!table || atomic_fetch_sub_explicit(&table->_refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (atomic_load(&table->compiled)) {
        atomic_load (&table->compiled_destroy)(atomic_load(&table->compiled));
    }
    router_overrides_destroy(table->overrides);
    router_sites_free(&table->sites);
    router_edges_destroy(table->edges);
    geo_db_unref(table->db);
    free(table->default_name);
    free(table->trusted);
    free(table->cache_control);
    free(table);
}
