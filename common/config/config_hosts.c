/* config_hosts: one row of each site. What else stands there is for the edges to judge, which refuse to start
 * with a mistake. */
#include "common/config/config_hosts.h"

#include "common/config/config.h"
#include "common/config/config_tree.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

#include "common/banned.h"

#define HOSTS_ROWS(X) X(LIST, hosts, "", 0, 1000, NULL, RUNTIME, "NAME", "Host names of the site")
CDN_CONFIG_STRUCT(hosts_part, HOSTS_ROWS);
#define ROW(...) CDN_CONFIG_ROW_OF(struct hosts_part, __VA_ARGS__)
static const struct cdn_config_row rows[] = {HOSTS_ROWS(ROW)};
static const struct cdn_config_program program = {.name = "sites",
                                                  .env = "SITES",
                                                  .others_rows = true,
                                                  .rows = rows,
                                                  .row_count = CDN_ARRAY_LEN(rows),
                                                  .settings_size = sizeof(struct hosts_part)};

struct telling {
    void (*take)(void *arg, const char *host);
    void *arg;
};

static enum cdn_status take_site(void *arg, const struct cdn_config_at *at, struct cdn_error *err)
{
    const struct telling *t = arg;
    struct hosts_part part = {0};
    char *from[CDN_ARRAY_LEN(rows)] = {NULL};
    cdn_config_defaults(&program, &part);
    enum cdn_status status = cdn_config_tree_rows(at, &program, NULL, &part, from, err);
    for (size_t i = 0; i < part.hosts.n && status == CDN_OK; i++) {
        struct cdn_str rest = cdn_str(part.hosts.items[i].key);
        CDN_AUTOFREE char *host = cdn_str_dup(cdn_str_cut(&rest, ':'));
        t->take(t->arg, host);
    }
    cdn_config_from_free(&program, from);
    cdn_config_free(&program, &part);
    return status;
}

enum cdn_status cdn_config_hosts_each(const char *path, void (*take)(void *arg, const char *host), void *arg,
                                      struct cdn_error *err)
{
    struct cdn_config_tree *tree = NULL;
    struct cdn_config_at sites;
    struct telling telling = {take, arg};
    enum cdn_status status = path ? cdn_config_tree_open(path, &tree, err) : CDN_OK;
    if (status == CDN_OK && tree && cdn_config_tree_section(tree, "sites", &sites)) {
        status = cdn_config_tree_pairs(&sites, take_site, &telling, err);
    }
    cdn_config_tree_close(tree);
    return status;
}
