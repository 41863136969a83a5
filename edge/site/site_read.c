/* site_read: `sites:` of a cdn.yaml. A rule is read over what its site says and that over the defaults; then
 * comes what is between rules and sites: rules that nothing can reach, hosts that two sites have. */
#include "common/config/config.h"
#include "common/config/config_tree.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/key.h"
#include "edge/site/rule.h"
#include "edge/site/rule_settings.h"
#include "edge/site/site.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define SITES_MAX 10000u
#define RULES_MAX 1000u

struct site_reading {
    struct edge_sites *sites;
    struct edge_site *site;
    const struct edge_rule_defaults *defaults;
    const struct cdn_config_at *at; /* the site */
    struct cdn_config_at whole;     /* its rule for "/"; node NULL: there is none */
};

/* Keys of a site that are a rule's: the rows, and their first words. */
static const char *const *rule_keys(void)
{
    static const char *const keys[] = {
#define X(type, field, ...) #field,
        EDGE_RULE_SETTINGS(X)
#undef X
            EDGE_RULE_WORDS NULL};
    return keys;
}

/* All keys of a rule but `origins`. */
static const char *const *other_keys(void)
{
    static const char *const words[] = {EDGE_RULE_WORDS NULL};
    static const char *keys[EDGE_RULE_ROW_COUNT + CDN_ARRAY_LEN(words)];
    size_t n = 0;
    for (const char *const *key = rule_keys(); *key; key++) {
        if (strcmp(*key, "origins") != 0) {
            keys[n++] = *key;
        }
    }
    return keys;
}

static const char *const site_keys[] = {
#define X(type, field, ...) #field,
    EDGE_SITE_SETTINGS(X)
#undef X
        "rules",
    NULL};

/* ---- one rule ---- */

static char *place_of(const struct cdn_config_at *at)
{
    return cdn_asprintf("%s:%zu", cdn_config_tree_path(at->tree), at->line);
}

static enum cdn_status find_whole(void *arg, const struct cdn_config_at *at, struct cdn_error *err)
{
    struct site_reading *r = arg;
    struct cdn_config_at path;
    struct cdn_str text = CDN_STR("/");
    (void)err;
    if (!cdn_config_tree_child(at, "path", &path) || cdn_config_tree_text(&path, &text)) {
        if (cdn_str_eq(text, CDN_STR("/")) && !r->whole.node) {
            r->whole = *at;
            r->whole.name = "rules";
        }
    }
    return CDN_OK;
}

/* What the site says, and over it what the rule says. A rule that nobody gave origins asks those of the rule
 * for "/": the application behind the site. */
static enum cdn_status read_settings(const struct site_reading *r, const struct cdn_config_at *at,
                                     struct edge_rule_settings *settings, char **from, bool *inherited,
                                     struct cdn_error *err)
{
    char *own[EDGE_RULE_ROW_COUNT] = {NULL};
    cdn_config_defaults(&edge_rule_program, settings);
    enum cdn_status status = cdn_config_tree_rows(r->at, &edge_rule_program, site_keys, settings, from, err);
    if (status == CDN_OK && at) {
        status = cdn_config_tree_rows(at, &edge_rule_program, NULL, settings, own, err);
    }
    if (status == CDN_OK && r->whole.node && !from[EDGE_RULE_ROW_origins] && !own[EDGE_RULE_ROW_origins]) {
        status = cdn_config_tree_rows(&r->whole, &edge_rule_program, other_keys(), settings, own, err);
    }
    for (size_t i = 0; i < EDGE_RULE_ROW_COUNT; i++) {
        inherited[i] = from[i] && !own[i];
        if (own[i]) {
            free(from[i]);
            from[i] = own[i];
        }
    }
    return status;
}

/* at NULL: the site has no rules. */
static enum cdn_status read_rule(struct site_reading *r, const struct cdn_config_at *at,
                                 struct cdn_error *err)
{
    struct edge_rule_settings settings = {0};
    char *from[EDGE_RULE_ROW_COUNT] = {NULL};
    bool inherited[EDGE_RULE_ROW_COUNT];
    const struct cdn_config_at *which = at ? at : r->at;
    CDN_AUTOFREE char *place = place_of(which);
    struct edge_rule *rule = &r->site->rule[r->site->rule_count];
    enum cdn_status status = read_settings(r, at, &settings, from, inherited, err);
    if (status == CDN_OK) {
        status = edge_rule_create(rule, &settings, from, at ? inherited : NULL, place, which->name,
                                  r->defaults, err);
    }
    cdn_config_from_free(&edge_rule_program, from);
    cdn_config_free(&edge_rule_program, &settings);
    if (status == CDN_OK) {
        rule->number = ++r->site->rule_count;
    }
    return status;
}

static enum cdn_status take_rule(void *arg, const struct cdn_config_at *at, struct cdn_error *err)
{
    struct site_reading *r = arg;
    if (at->index >= RULES_MAX) {
        return cdn_config_tree_wrong(at, err, CDN_TOO_LARGE, "more than %u rules", RULES_MAX);
    }
    r->site->rule = cdn_realloc(r->site->rule, at->index + 1, sizeof(*r->site->rule));
    enum cdn_status status = read_rule(r, at, err);
    const struct edge_rule *rule = &r->site->rule[at->index];
    for (size_t i = 0; status == CDN_OK && i < at->index; i++) {
        const struct edge_rule *earlier = &r->site->rule[i];
        if (edge_rule_is_hidden(rule, earlier)) {
            status = cdn_config_tree_wrong(at, err, CDN_INVALID,
                                           "\"%s\" is never reached: the rule in %s has all of its paths",
                                           rule->settings.path, earlier->place);
        }
    }
    return status;
}

/* ---- one site ---- */

/* A host as keys have it, a wildcard without its "*."; owned; NULL: it is none. The port of either scheme is
 * none. */
static char *host_of(const char *text, bool *ret_wild)
{
    char into[EDGE_KEY_HOST_MAX], again[EDGE_KEY_HOST_MAX];
    struct cdn_str host = cdn_str(text), written;
    *ret_wild = cdn_str_starts(host, CDN_STR("*."));
    host = cdn_str_sub(host, *ret_wild ? 2 : 0);
    if (cdn_str_find(host, '*') >= 0 || !edge_key_host_write(host, false, into, &written) ||
        !edge_key_host_write(written, true, again, &written)) {
        return NULL;
    }
    /* names below a port or an address are none */
    const bool odd = cdn_str_find(written, ':') >= 0;
    return *ret_wild && odd ? NULL : cdn_str_dup(written);
}

static enum cdn_status read_hosts(struct edge_site *site, const struct cdn_config_at *at,
                                  struct cdn_error *err)
{
    const struct cdn_config_list *list = &site->settings.hosts;
    if (!list->n) {
        return cdn_config_tree_wrong(at, err, CDN_INVALID, "`hosts` is missing: which names does it have?");
    }
    for (size_t i = 0; i < list->n; i++) {
        struct cdn_config_entry *e = &list->items[i];
        bool wild;
        char *host = host_of(e->key, &wild);
        if (!host) {
            return cdn_error_set(err, CDN_INVALID, "%s: %s.hosts: \"%s\" is not a host name", e->origin,
                                 at->name, e->key);
        }
        free(e->value); /* the name in its one form, for as long as the settings live */
        e->value = host;
        if (!wild && !site->key_host[0]) {
            edge_site_key_hosts(site, cdn_str(host));
        }
    }
    return CDN_OK;
}

static enum cdn_status take_site(void *arg, const struct cdn_config_at *at, struct cdn_error *err)
{
    struct site_reading *r = arg;
    struct edge_sites *sites = r->sites;
    char *from[sizeof(struct edge_site_settings) / sizeof(char *)] = {NULL};
    struct cdn_config_at rules;
    if (at->index >= SITES_MAX) {
        return cdn_config_tree_wrong(at, err, CDN_TOO_LARGE, "more than %u sites", SITES_MAX);
    }
    if ((sites->count & (sites->count - 1)) == 0) { /* room doubles at each power of two */
        sites->site = cdn_realloc(sites->site, sites->count ? 2 * sites->count : 1, sizeof(*sites->site));
    }
    r->site = &sites->site[sites->count++];
    *r->site = (struct edge_site){.name = cdn_str_dup(at->key), .place = place_of(at)};
    r->at = at;
    cdn_config_defaults(&edge_site_program, &r->site->settings);
    enum cdn_status status =
        cdn_config_tree_rows(at, &edge_site_program, rule_keys(), &r->site->settings, from, err);
    cdn_config_from_free(&edge_site_program, from);
    if (status == CDN_OK) {
        status = read_hosts(r->site, at, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    if (!cdn_config_tree_child(at, "rules", &rules)) {
        r->site->rule = cdn_calloc(1, sizeof(*r->site->rule));
        return read_rule(r, NULL, err);
    }
    CDN_AUTOFREE char *name = cdn_asprintf("%s.rules", at->name);
    rules.name = name;
    r->whole.node = NULL;
    status = cdn_config_tree_items(&rules, find_whole, r, err);
    status = status == CDN_OK ? cdn_config_tree_items(&rules, take_rule, r, err) : status;
    return status == CDN_OK && !r->site->rule_count
               ? cdn_config_tree_wrong(&rules, err, CDN_INVALID, "the list is empty")
               : status;
}

/* ---- all of them ---- */

static int compare_hosts(const void *a, const void *b)
{
    const struct edge_host *x = a, *y = b;
    const size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
    const int c = n ? memcmp(x->name.p, y->name.p, n) : 0;
    return c ? c : (x->name.n > y->name.n) - (x->name.n < y->name.n);
}

/* Where the second of two was read. */
static const char *place_of_host(const struct edge_host *host)
{
    const struct cdn_config_list *list = &host->site->settings.hosts;
    size_t i = 0;
    while (i + 1 < list->n && list->items[i].value != host->name.p) {
        i++;
    }
    return list->items[i].origin;
}

static enum cdn_status check_hosts(const struct edge_host *host, size_t n, const char *wild,
                                   struct cdn_error *err)
{
    for (size_t i = 1; i < n; i++) {
        if (compare_hosts(&host[i - 1], &host[i]) == 0) {
            const bool ordered = host[i - 1].site <= host[i].site;
            const struct edge_host *a = &host[ordered ? i - 1 : i], *b = &host[ordered ? i : i - 1];
            return cdn_error_set(
                err, CDN_INVALID, "%s: sites.%s.hosts: \"%s" CDN_STR_FMT "\" is there twice (also in %s, %s)",
                place_of_host(b), b->site->name, wild, CDN_STR_ARG(a->name), a->site->name, place_of_host(a));
        }
    }
    return CDN_OK;
}

static enum cdn_status order_hosts(struct edge_sites *s, struct cdn_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++) {
        n += s->site[i].settings.hosts.n;
    }
    s->exact = cdn_calloc(n, sizeof(*s->exact));
    s->wild = cdn_calloc(n, sizeof(*s->wild));
    for (size_t i = 0; i < s->count; i++) {
        const struct cdn_config_list *list = &s->site[i].settings.hosts;
        for (size_t k = 0; k < list->n; k++) {
            const struct edge_host host = {cdn_str(list->items[k].value), &s->site[i]};
            if (cdn_str_starts(cdn_str(list->items[k].key), CDN_STR("*."))) {
                s->wild[s->wild_count++] = host;
            } else {
                s->exact[s->exact_count++] = host;
            }
        }
    }
    qsort(s->exact, s->exact_count, sizeof(*s->exact), compare_hosts);
    qsort(s->wild, s->wild_count, sizeof(*s->wild), compare_hosts);
    enum cdn_status status = check_hosts(s->exact, s->exact_count, "", err);
    return status == CDN_OK ? check_hosts(s->wild, s->wild_count, "*.", err) : status;
}

enum cdn_status edge_sites_read(const char *path, const struct edge_rule_defaults *defaults,
                                struct edge_sites *into, struct cdn_error *err)
{
    struct cdn_config_tree *tree;
    struct cdn_config_at at;
    struct site_reading r = {.sites = into, .defaults = defaults};
    enum cdn_status status = cdn_config_tree_open(path, &tree, err);
    if (status != CDN_OK) {
        return status;
    }
    if (cdn_config_tree_section(tree, "sites", &at)) {
        status = cdn_config_tree_pairs(&at, take_site, &r, err);
        status = status == CDN_OK ? order_hosts(into, err) : status;
    }
    cdn_config_tree_close(tree);
    return status;
}
