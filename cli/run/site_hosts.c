/* site_hosts: reads the keys of each site by the edge's own table, so that what is a mistake there is one
 * here, and passes over those of its rules. */
#include "cli/run/site_hosts.h"

#include "common/config/config.h"
#include "common/config/config_tree.h"
#include "common/mem.h"
#include "common/status.h"
#include "edge/site/rule_settings.h"

#include <stddef.h>
#include <string.h>

#include "common/banned.h"

struct telling {
    void (*take)(void *arg, const char *host);
    void *arg;
    const char **others; /* keys of rules */
};

/* Borrowed texts, ended by NULL. */
static const char **rule_keys(void)
{
    static const char *const words[] = {EDGE_RULE_WORDS NULL};
    const size_t rows = edge_rule_program.row_count;
    const char **keys = cdn_calloc(rows + CDN_ARRAY_LEN(words), sizeof(*keys));
    for (size_t i = 0; i < rows; i++) {
        keys[i] = edge_rule_program.rows[i].field;
    }
    memcpy(keys + rows, words, sizeof(words));
    return keys;
}

static enum cdn_status take_site(void *arg, const struct cdn_config_at *at, struct cdn_error *err)
{
    const struct telling *t = arg;
    struct edge_site_settings site = {0};
    char *from[sizeof(site) / sizeof(char *)] = {NULL};
    cdn_config_defaults(&edge_site_program, &site);
    enum cdn_status status = cdn_config_tree_rows(at, &edge_site_program, t->others, &site, from, err);
    for (size_t i = 0; i < site.hosts.n && status == CDN_OK; i++) {
        t->take(t->arg, site.hosts.items[i].key);
    }
    cdn_config_from_free(&edge_site_program, from);
    cdn_config_free(&edge_site_program, &site);
    return status;
}

enum cdn_status site_hosts_each(const char *path, void (*take)(void *arg, const char *host), void *arg,
                                struct cdn_error *err)
{
    struct cdn_config_tree *tree = NULL;
    struct cdn_config_at sites;
    CDN_AUTOFREE const char **others = rule_keys();
    struct telling telling = {take, arg, others};
    enum cdn_status status = path ? cdn_config_tree_open(path, &tree, err) : CDN_OK;
    if (status == CDN_OK && tree && cdn_config_tree_section(tree, "sites", &sites)) {
        status = cdn_config_tree_pairs(&sites, take_site, &telling, err);
    }
    cdn_config_tree_close(tree);
    return status;
}
