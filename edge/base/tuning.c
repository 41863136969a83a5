/* tuning: a reload makes a new set of rules and swaps one pointer. The old one goes when the last request by
 * it is over: requests and fetches count, and what looks at it in passing is done when its worker's turn
 * ends, which a message to each worker waits for. */
#include "edge/base/tuning.h"

#include "common/http/syntax/http_forwarded.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/rate.h"
#include "common/str.h"
#include "edge/geo/client_db.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/key.h"
#include "edge/site/guard.h"
#include "edge/site/origin.h"
#include "edge/site/page.h"
#include "edge/site/rule.h"
#include "edge/site/shield.h"
#include "edge/site/site.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

enum cdn_status edge_tuning_networks(const struct cdn_config_list *list, const char *what,
                                     struct edge_networks *ret, struct cdn_error *err)
{
    struct cdn_cidr *item = cdn_calloc(list->n, sizeof(*item));
    for (size_t i = 0; i < list->n; i++) {
        if (!cdn_parse_cidr(cdn_str(list->items[i].key), &item[i])) {
            free(item);
            return cdn_error_set(err, CDN_INVALID, "%s: %s: \"%s\" is not a network such as 10.0.0.0/8",
                                 list->items[i].origin, what, list->items[i].key);
        }
    }
    *ret = (struct edge_networks){item, list->n};
    return CDN_OK;
}

struct cdn_str *edge_tuning_names(const struct cdn_config_list *list)
{
    struct cdn_str *names = cdn_calloc(list->n, sizeof(*names));
    for (size_t i = 0; i < list->n; i++) {
        names[i] = cdn_str(list->items[i].key);
    }
    return names;
}

static enum cdn_status read_negative(const struct cdn_config_list *map, struct edge_rules *rules,
                                     struct cdn_error *err)
{
    if (map->n > EDGE_RULES_NEGATIVE_MAX) {
        return cdn_error_set(err, CDN_INVALID, "negative_ttl: %zu statuses, at most %d", map->n,
                             EDGE_RULES_NEGATIVE_MAX);
    }
    for (size_t i = 0; i < map->n; i++) {
        uint64_t status;
        int64_t ms;
        const struct cdn_config_entry *e = &map->items[i];
        if (!cdn_parse_u64(cdn_str(e->key), &status) || status < 300 || status > 599 ||
            !cdn_parse_duration_ms(cdn_str(e->value), &ms)) {
            return cdn_error_set(err, CDN_INVALID,
                                 "%s: negative_ttl: \"%s: %s\" is not STATUS: TIME such as 404: 5s",
                                 e->origin, e->key, e->value);
        }
        rules->negative[i].status = (uint16_t)status;
        rules->negative[i].ttl_s = (int32_t)(ms / 1000);
    }
    rules->negative_count = (unsigned)map->n;
    return CDN_OK;
}

/* What rules of sites leave open. */
static void read_defaults(const struct edge_settings *s, struct edge_tuning *t, struct edge_origins *origins,
                          struct edge_rule_defaults *ret)
{
    struct edge_rules *rules = &ret->rules;
    *ret = (struct edge_rule_defaults){.query = (enum edge_query_mode)s->query,
                                       .query_allow = &s->query_allow,
                                       .query_ignore = &s->query_ignore,
                                       .origin = cdn_str(s->origin),
                                       .origin_host = cdn_str(s->origin_host),
                                       .origins = origins};
    edge_rules_init(rules);
    rules->targeted = t->targeted;
    rules->targeted_count = s->targeted_fields.n;
    rules->heuristic = s->heuristic_fraction > 0;
    rules->heuristic_fraction = s->heuristic_fraction;
    rules->heuristic_cap_s = s->heuristic_max / 1000;
    rules->honour_request = s->honor_request_directives;
    rules->default_swr_s = s->stale_while_revalidate / 1000;
    rules->default_sie_s = s->stale_if_error / 1000;
    rules->disconnected_s = s->stale_if_disconnected / 1000;
    rules->set_cookie = (enum edge_set_cookie)s->cache_set_cookie;
}

/* ---- the other edges, for shields ---- */

struct peers {
    struct edge_peer *peer;
    size_t count;
    char **text; /* owned: what the peers borrow */
    size_t text_count;
};

static struct cdn_str keep(struct peers *p, char *text)
{
    p->text = cdn_realloc(p->text, p->text_count + 1, sizeof(*p->text));
    p->text[p->text_count++] = text;
    return cdn_str(text);
}

static void take_peer(void *arg, const void *settings)
{
    struct peers *p = arg;
    const struct edge_settings *s = settings;
    p->peer = cdn_realloc(p->peer, p->count + 1, sizeof(*p->peer));
    struct edge_peer *peer = &p->peer[p->count++];
    peer->name = keep(p, cdn_strdup(s->name));
    peer->place = keep(p, cdn_strdup(s->place));
    peer->url =
        keep(p, s->url[0] ? cdn_strdup(s->url)
                          : cdn_asprintf("%s://%s", s->tls_certificate.n ? "https" : "http", s->listen));
    struct edge_settings taken = *s;
    cdn_config_free(&edge_program, &taken);
}

static enum cdn_status find_shields(const struct edge_settings *s, const char *path, struct edge_tuning *t,
                                    struct edge_origins *origins, struct cdn_error *err)
{
    struct peers p = {0};
    const struct edge_peer own = {.name = cdn_str(s->name), .place = cdn_str(s->place)};
    if (!edge_shields_wanted(&t->sites)) {
        return CDN_OK;
    }
    enum cdn_status status = cdn_config_load_items(&edge_program, path, take_peer, &p, err);
    if (status == CDN_OK) {
        status = edge_shields_resolve(&t->sites, p.peer, p.count, &own, origins, err);
    }
    for (size_t i = 0; i < p.text_count; i++) {
        free(p.text[i]);
    }
    free(p.text);
    free(p.peer);
    return status;
}

static enum cdn_status read_rates(const struct edge_settings *s, struct edge_rates *ret,
                                  struct cdn_error *err)
{
    *ret = (struct edge_rates){.cached_only = s->over_limit != 0, .rate_kind = 1, .miss_kind = 2};
    if (!cdn_rate_parse(cdn_str(s->rate_limit), s->rate_burst, &ret->rate)) {
        return cdn_error_set(err, CDN_INVALID,
                             "rate_limit: \"%s\" is not a rate such as 100/s, 6000/m or off", s->rate_limit);
    }
    if (!cdn_rate_parse(cdn_str(s->miss_limit), s->miss_burst, &ret->miss)) {
        return cdn_error_set(err, CDN_INVALID, "miss_limit: \"%s\" is not a rate such as 20/s, 600/m or off",
                             s->miss_limit);
    }
    if (!edge_guard_networks_read(s->rate_networks, &ret->networks)) {
        return cdn_error_set(err, CDN_INVALID, "rate_networks: \"%s\" is not two prefixes such as 24,48",
                             s->rate_networks);
    }
    return CDN_OK;
}

static bool site_needs_places(const struct edge_site *site)
{
    for (size_t i = 0; i < site->rule_count; i++) {
        if (site->rule[i].guard.needs_places) {
            return true;
        }
    }
    return false;
}

static enum cdn_status open_places(const struct edge_settings *s, const struct edge_tuning *before,
                                   struct edge_tuning *t, struct cdn_error *err)
{
    bool needed = t->sites.any && site_needs_places(t->sites.any);
    for (size_t i = 0; i < t->sites.count && !needed; i++) {
        needed = site_needs_places(&t->sites.site[i]);
    }
    return needed ? edge_client_db_open(&s->geo_db, before ? &before->places : NULL, &t->places, err)
                  : CDN_OK;
}

enum cdn_status edge_tuning_create(const struct edge_settings *s, const char *path,
                                   struct edge_origins *origins, const struct edge_tuning *before,
                                   struct edge_tuning **ret, struct cdn_error *err)
{
    struct edge_tuning *t = cdn_calloc(1, sizeof(*t));
    struct edge_rule_defaults defaults;
    atomic_init(&t->refs, 1);
    t->targeted = edge_tuning_names(&s->targeted_fields);
    read_defaults(s, t, origins, &defaults);
    t->max_object = s->max_object;
    t->send_request_id = s->send_request_id;
    t->query_body = s->query_body;
    t->purge_token = cdn_strdup(s->purge_token);
    enum cdn_status status = edge_tuning_networks(&s->purge_allow, "purge_allow", &t->purge_allow, err);
    if (status == CDN_OK) {
        status = edge_tuning_networks(&s->trusted_proxies, "trusted_proxies", &t->trusted, err);
    }
    t->trust =
        (struct http_trust){t->trusted.item, t->trusted.count, (enum http_client_field)s->client_field};
    if (status == CDN_OK) {
        status = read_negative(&s->negative_ttl, &defaults.rules, err);
    }
    defaults.pages = &t->pages;
    if (status == CDN_OK && s->error_page[0]) {
        status = edge_page_get(&t->pages, s->error_page, &t->page, err);
        (void)(status == CDN_OK ? status : cdn_error_prefix(err, "error_page"));
    }
    defaults.page = t->page;
    if (status == CDN_OK) {
        status = read_rates(s, &defaults.rates, err);
    }
    if (status == CDN_OK) {
        status = edge_sites_create(path, &defaults, &t->sites, err);
    }
    if (status == CDN_OK) {
        status = find_shields(s, path, t, origins, err);
    }
    if (status == CDN_OK) {
        status = open_places(s, before, t, err);
    }
    if (status != CDN_OK) {
        edge_tuning_destroy(t);
        return status;
    }
    *ret = t;
    return CDN_OK;
}

void edge_tuning_destroy(struct edge_tuning *t)
{
    if (!t) {
        return;
    }
    edge_sites_free(&t->sites);
    edge_pages_free(t->pages);
    edge_client_db_close(&t->places);
    free(t->targeted);
    free(t->purge_allow.item);
    free(t->trusted.item);
    free(t->purge_token);
    if (t->keep_settings) {
        cdn_config_free(&edge_program, &t->settings);
    }
    free(t);
}

struct edge_tuning *edge_tuning_ref(const struct edge_tuning *tuning)
{
    struct edge_tuning *t = (struct edge_tuning *)(uintptr_t)tuning; /* counting changes nothing else */
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

static void destroy_posted(void *arg)
{
    edge_tuning_destroy(arg);
}

void edge_tuning_unref(struct edge_tuning *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (t->home) {
        loop_post(t->home, destroy_posted, t);
    } else {
        edge_tuning_destroy(t);
    }
}

struct retirement {
    struct edge_tuning *tuning;
    void (*each)(struct edge_worker *worker);
    _Atomic unsigned left; /* workers that are still to begin another turn */
    struct farewell {
        struct retirement *of;
        struct edge_worker *worker;
    } worker[];
};

static void retire_posted(void *arg)
{
    const struct farewell *f = arg;
    struct retirement *r = f->of;
    r->each(f->worker);
    if (atomic_fetch_sub(&r->left, 1) == 1) {
        edge_tuning_unref(r->tuning);
        free(r);
    }
}

void edge_tuning_retire(struct edge *edge, struct edge_tuning *tuning,
                        void (*each)(struct edge_worker *worker))
{
    struct retirement *r = cdn_calloc(1, sizeof(*r) + edge->worker_count * sizeof(r->worker[0]));
    r->tuning = tuning;
    r->each = each;
    atomic_init(&r->left, edge->worker_count);
    const unsigned count = edge->worker_count; /* the last message frees r */
    for (unsigned i = 0; i < count; i++) {
        r->worker[i] = (struct farewell){r, &edge->worker[i]};
    }
    for (unsigned i = 0; i < count; i++) {
        loop_post(edge->worker[i].loop, retire_posted, &r->worker[i]);
    }
}
