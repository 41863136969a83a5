/* site: hosts in two sorted arrays. A host with a port is looked for with it, and then without, so that a
 * site answers on every port that its edges listen on. */
#include "edge/site/site.h"

#include "common/config/config.h"
#include "common/config/config_tree.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/key.h"
#include "edge/site/origin.h"
#include "edge/site/rule.h"
#include "edge/site/rule_settings.h"
#include "edge/site/shield.h"
#include "edge/site/target.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

static int compare_names(struct cdn_str a, struct cdn_str b)
{
    const size_t n = a.n < b.n ? a.n : b.n;
    const int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static struct edge_site *find(const struct edge_host *host, size_t n, struct cdn_str name)
{
    size_t from = 0;
    while (from < n) {
        const size_t middle = from + (n - from) / 2;
        const int c = compare_names(host[middle].name, name);
        if (c == 0) {
            return host[middle].site;
        }
        if (c < 0) {
            from = middle + 1;
        } else {
            n = middle;
        }
    }
    return NULL;
}

static struct cdn_str without_port(struct cdn_str host)
{
    if (host.n && host.p[0] == '[') {
        const ptrdiff_t end = cdn_str_find(host, ']');
        return end < 0 ? host : (struct cdn_str){host.p, (size_t)end + 1};
    }
    return cdn_str_cut(&host, ':');
}

struct edge_site *edge_sites_find(const struct edge_sites *s, struct cdn_str host)
{
    const struct cdn_str name = without_port(host);
    struct edge_site *site = find(s->exact, s->exact_count, host);
    if (!site && name.n != host.n) {
        site = find(s->exact, s->exact_count, name);
    }
    for (struct cdn_str rest = name; !site && s->wild_count && rest.n;) {
        (void)cdn_str_cut(&rest, '.');
        site = rest.n ? find(s->wild, s->wild_count, rest) : NULL;
    }
    return site ? site : s->any;
}

const struct edge_rule *edge_site_rule(const struct edge_site *site, struct cdn_str path)
{
    for (size_t i = 0; i < site->rule_count; i++) {
        if (edge_rule_matches(&site->rule[i], path)) {
            return &site->rule[i];
        }
    }
    return NULL;
}

enum cdn_status edge_site_by_flags(const struct edge_rule_defaults *defaults, struct edge_site *ret,
                                   struct cdn_error *err)
{
    struct edge_rule_settings settings = {0};
    *ret = (struct edge_site){.name = cdn_strdup(""), .place = cdn_strdup("--origin"), .rule_count = 1};
    ret->rule = cdn_calloc(1, sizeof(*ret->rule));
    cdn_config_defaults(&edge_rule_program, &settings);
    enum cdn_status status =
        edge_rule_create(ret->rule, &settings, NULL, NULL, "--origin", "rule", defaults, err);
    if (status == CDN_OK) {
        char into[EDGE_KEY_HOST_MAX];
        const struct edge_origin *origin = ret->rule->origin[0];
        struct cdn_str host = cdn_str(origin->authority); /* without the port that its scheme means */
        (void)edge_key_host_write(host, origin->secure, into, &host);
        edge_site_key_hosts(ret, host);
        ret->rule->number = 1;
    }
    return status;
}

void edge_site_key_hosts(struct edge_site *site, struct cdn_str host)
{
    for (int secure = 0; secure <= 1; secure++) {
        char into[EDGE_KEY_HOST_MAX];
        struct cdn_str name;
        free(site->key_host[secure]);
        site->key_host[secure] = edge_key_host_write(host, secure, into, &name) ? cdn_str_dup(name) : NULL;
    }
    site->key_host_is_loopback = site->key_host[0] && edge_target_is_loopback(cdn_str(site->key_host[0]));
}

enum cdn_status edge_sites_create(const char *path, const struct edge_rule_defaults *defaults,
                                  struct edge_sites *ret, struct cdn_error *err)
{
    struct edge_sites s = {0};
    enum cdn_status status = path ? edge_sites_read(path, defaults, &s, err) : CDN_OK;
    if (status == CDN_OK && !s.count && !defaults->origin.n) {
        status = cdn_error_set(err, CDN_USAGE,
                               "--origin: missing; give the URL of the origin, or `sites:` in cdn.yaml");
    }
    if (status == CDN_OK && defaults->origin.n) { /* what `sites:` leaves */
        s.any = cdn_calloc(1, sizeof(*s.any));
        status = edge_site_by_flags(defaults, s.any, err);
        s.machine = s.any;
    }
    if (status == CDN_OK && s.count == 1 && !s.any && s.site[0].key_host[0]) {
        s.machine = &s.site[0];
    }
    for (size_t i = 0; i < s.count; i++) { /* the sites do not move any more */
        for (size_t k = 0; k < s.site[i].rule_count; k++) {
            s.site[i].rule[k].site = &s.site[i];
        }
    }
    if (status != CDN_OK) {
        edge_sites_free(&s);
        return status;
    }
    if (s.any) {
        s.any->rule->site = s.any;
    }
    *ret = s;
    return CDN_OK;
}

void edge_sites_use(const struct edge_sites *s, struct edge_origins *origins)
{
    const struct edge_health_check none = {.path = (char[]){""}};
    for (struct edge_origin *o = atomic_load(&origins->first); o; o = o->next) {
        o->used = o->has_fellows = false;
        edge_origin_check_set(o, &none);
    }
    for (size_t i = 0; i < s->count; i++) {
        for (size_t k = 0; k < s->site[i].rule_count; k++) {
            edge_rule_use_origins(&s->site[i].rule[k]);
        }
    }
    for (size_t i = 0; i < s->count; i++) {
        for (size_t k = 0; k < s->site[i].shield_count; k++) {
            struct edge_origin *o = s->site[i].shield[k].origin;
            if (o) {
                o->used = o->has_fellows = true;
            }
        }
    }
    if (s->any) {
        edge_rule_use_origins(s->any->rule);
    }
    for (struct edge_origin *o = atomic_load(&origins->first); o; o = o->next) {
        if (!o->check.path[0]) { /* nobody looks any more: then requests find out */
            atomic_store(&o->sick, false);
        }
    }
}

void edge_site_free(struct edge_site *site)
{
    for (size_t i = 0; i < site->rule_count; i++) {
        edge_rule_free(&site->rule[i]);
    }
    cdn_config_free(&edge_site_program, &site->settings);
    edge_shields_free(site);
    free(site->rule);
    free(site->name);
    free(site->place);
    free(site->key_host[0]);
    free(site->key_host[1]);
}

void edge_sites_free(struct edge_sites *s)
{
    for (size_t i = 0; i < s->count; i++) {
        edge_site_free(&s->site[i]);
    }
    if (s->any) {
        edge_site_free(s->any);
    }
    free(s->any);
    free(s->site);
    free(s->exact);
    free(s->wild);
    *s = (struct edge_sites){0};
}
