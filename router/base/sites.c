/* sites: hosts in one sorted array, looked for with their port and without, as the edges do, so that a site
 * is the same for both. A host without a mode of its own is not there. */
#include "router/base/sites.h"

#include "common/config/config_tree.h"
#include "common/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define HOST_MAX 262 /* bytes: a name and a port */

#define ROW(...) CDN_CONFIG_ROW_OF(struct router_site_settings, __VA_ARGS__)
static const struct cdn_config_row rows[] = {ROUTER_SITE_SETTINGS(ROW)};
static const struct cdn_config_program site_program = {
    .name = "pocketcdn-router",
    .env = "ROUTER_SITE",
    .others_rows = true,
    .rows = rows,
    .row_count = CDN_ARRAY_LEN(rows),
    .settings_size = sizeof(struct router_site_settings),
};
enum site_mode { SITE_DEFAULT, SITE_REDIRECT, SITE_PROXY }; /* as in the choices */

/* ---- names ---- */

static int compare(const void *a, const void *b)
{
    const struct router_host *x = a, *y = b;
    return x->wild != y->wild ? (x->wild ? 1 : -1) : strcmp(x->name, y->name);
}

/* In lower case, without the root's dot (before a port, too); false: too long for a name. */
static bool fold(struct cdn_str host, char into[static HOST_MAX])
{
    size_t n = 0;
    if (host.n >= HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < host.n; i++) {
        const char c = host.p[i];
        if (c == '.' && (i + 1 == host.n || host.p[i + 1] == ':')) {
            continue;
        }
        into[n++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    into[n] = '\0';
    return true;
}

static const struct router_host *find(const struct router_sites *s, char *name, bool wild)
{
    const struct router_host key = {.name = name, .wild = wild};
    return s->count ? bsearch(&key, s->host, s->count, sizeof(key), compare) : NULL;
}

static void cut_port(char *host)
{
    char *end = host[0] == '[' ? strchr(host, ']') : strchr(host, ':');
    if (end) {
        end[host[0] == '[' ? 1 : 0] = '\0';
    }
}

static const struct router_host *find_wild(const struct router_sites *s, char *name)
{
    const struct router_host *h = NULL;
    for (char *dot = strchr(name, '.'); dot && !h; dot = strchr(dot + 1, '.')) {
        h = find(s, dot + 1, true);
    }
    return h;
}

enum router_mode router_sites_mode(const struct router_sites *sites, struct cdn_str host,
                                   enum router_mode fallback)
{
    char name[HOST_MAX];
    if (!sites->count || !fold(host, name)) {
        return fallback;
    }
    const struct router_host *h = find(sites, name, false);
    if (!h) {
        cut_port(name);
        h = find(sites, name, false);
    }
    h = h ? h : find_wild(sites, name);
    return h ? h->mode : fallback;
}

/* ---- reading ---- */

static enum cdn_status add_hosts(struct router_sites *s, const struct router_site_settings *site,
                                 const struct cdn_config_at *at, struct cdn_error *err)
{
    for (size_t i = 0; i < site->hosts.n; i++) {
        const struct cdn_config_entry *e = &site->hosts.items[i];
        struct cdn_str text = cdn_str(e->key);
        const bool wild = cdn_str_starts(text, CDN_STR("*."));
        char name[HOST_MAX];
        if (!fold(cdn_str_sub(text, wild ? 2 : 0), name) || !name[0]) {
            return cdn_config_tree_wrong(at, err, CDN_INVALID, "hosts: \"%.64s\" is not a host name", e->key);
        }
        if ((s->count & (s->count - 1)) == 0) { /* room doubles at each power of two */
            s->host = cdn_realloc(s->host, s->count ? 2 * s->count : 1, sizeof(*s->host));
        }
        s->host[s->count++] = (struct router_host){
            .name = cdn_strdup(name),
            .wild = wild,
            .mode = (enum site_mode)site->mode == SITE_PROXY ? ROUTER_MODE_PROXY : ROUTER_MODE_REDIRECT,
            .origin = cdn_asprintf("%s:%zu", cdn_config_tree_path(at->tree), at->line),
        };
    }
    return CDN_OK;
}

static enum cdn_status take_site(void *arg, const struct cdn_config_at *at, struct cdn_error *err)
{
    struct router_site_settings site = {0};
    char *from[CDN_ARRAY_LEN(rows)] = {NULL};
    cdn_config_defaults(&site_program, &site);
    enum cdn_status status = cdn_config_tree_rows(at, &site_program, NULL, &site, from, err);
    if (status == CDN_OK && (enum site_mode)site.mode != SITE_DEFAULT) {
        status = add_hosts(arg, &site, at, err);
    }
    cdn_config_from_free(&site_program, from);
    cdn_config_free(&site_program, &site);
    return status;
}

static enum cdn_status put_in_order(struct router_sites *s, struct cdn_error *err)
{
    if (s->count) {
        qsort(s->host, s->count, sizeof(*s->host), compare);
    }
    for (size_t i = 1; i < s->count; i++) {
        if (compare(&s->host[i - 1], &s->host[i]) == 0) {
            return cdn_error_set(err, CDN_INVALID, "%s: sites: the host \"%s%s\" is in the site at %s, too",
                                 s->host[i].origin, s->host[i].wild ? "*." : "", s->host[i].name,
                                 s->host[i - 1].origin);
        }
    }
    return CDN_OK;
}

enum cdn_status router_sites_read(const char *path, struct router_sites *ret, struct cdn_error *err)
{
    struct cdn_config_tree *tree = NULL;
    struct cdn_config_at at;
    struct router_sites sites = {0};
    enum cdn_status status = path ? cdn_config_tree_open(path, &tree, err) : CDN_OK;
    if (status == CDN_OK && tree && cdn_config_tree_section(tree, "sites", &at)) {
        status = cdn_config_tree_pairs(&at, take_site, &sites, err);
    }
    cdn_config_tree_close(tree);
    if (status == CDN_OK) {
        status = put_in_order(&sites, err);
    }
    if (status != CDN_OK) {
        router_sites_free(&sites);
        return status;
    }
    *ret = sites;
    return CDN_OK;
}

void router_sites_copy(const struct router_sites *sites, struct router_sites *ret)
{
    *ret = (struct router_sites){cdn_calloc(sites->count + 1, sizeof(*sites->host)), sites->count};
    for (size_t i = 0; i < sites->count; i++) {
        ret->host[i] = sites->host[i];
        ret->host[i].name = cdn_strdup(sites->host[i].name);
        ret->host[i].origin = cdn_strdup(sites->host[i].origin);
    }
}

void router_sites_free(struct router_sites *sites)
{
    for (size_t i = 0; i < sites->count; i++) {
        free(sites->host[i].name);
        free(sites->host[i].origin);
    }
    free(sites->host);
    *sites = (struct router_sites){0};
}
