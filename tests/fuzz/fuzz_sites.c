/* `sites:` of a cdn.yaml: any bytes are read, or refused with a sentence. What was read finds its rule for
 * every host and path that it names, and no rule that stands behind one with all of its paths. */
#include "common/config/config.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/key.h"
#include "edge/site/origin.h"
#include "edge/site/rule.h"
#include "edge/site/site.h"
#include "edge/site/target.h"
#include "fuzz.h"

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

static void check_host(const struct edge_sites *sites, const struct edge_host *host)
{
    MUST(host->name.n > 0);
    MUST(edge_sites_find(sites, host->name));
}

static void check_rule(const struct edge_sites *sites, const struct edge_site *site, size_t i)
{
    const struct edge_rule *rule = &site->rule[i];
    struct edge_key_parts parts = {.host = sites->exact_count ? sites->exact[0].name : CDN_STR("x"),
                                   .path = cdn_str(rule->prefix),
                                   .query = CDN_STR("a=1&b=2")};
    struct edge_target target;
    char into[EDGE_KEY_MAX];
    MUST(rule->site == site && rule->number == i + 1 && rule->origin_count > 0);
    MUST(rule->prefix[0] == '/');
    if (!rule->extension_count) { /* its prefix is one of its paths, and no rule before it has all of them */
        MUST(edge_rule_matches(rule, cdn_str(rule->prefix)));
    }
    for (size_t k = 0; k < i; k++) {
        MUST(!edge_rule_is_hidden(rule, &site->rule[k]));
    }
    (void)edge_target_build(sites, &parts, into, &target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct cdn_config_list none;
    char path[32];
    int fd = fuzz_file(data, n, path);
    struct edge_origins origins = {NULL};
    struct edge_rule_defaults defaults = {.query_allow = &none,
                                          .query_ignore = &none,
                                          .origin = CDN_STR("http://127.0.0.1:1"),
                                          .origin_host = CDN_STR("origin"),
                                          .origins = &origins};
    struct edge_sites sites;
    struct cdn_error err = {0};
    edge_rules_init(&defaults.rules);
    if (edge_sites_create(path, &defaults, &sites, &err) != CDN_OK) {
        fuzz_check_error(&err);
    } else {
        for (size_t i = 0; i < sites.exact_count; i++) {
            check_host(&sites, &sites.exact[i]);
        }
        for (size_t i = 0; i < sites.count; i++) {
            for (size_t k = 0; k < sites.site[i].rule_count; k++) {
                check_rule(&sites, &sites.site[i], k);
            }
        }
        edge_sites_free(&sites);
    }
    edge_origins_free(&origins);
    close(fd);
    return 0;
}
