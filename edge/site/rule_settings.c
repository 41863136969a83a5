/* rule_settings: the rows of rule_settings.h as tables for common/config. The reader of sites (site_read.c),
 * docs/settings.md and the checks follow from them. */
#include "edge/site/rule_settings.h"

#include "common/banned.h"

#define RULE_ROW(...) CDN_CONFIG_ROW_OF(struct edge_rule_settings, __VA_ARGS__)
static const struct cdn_config_row rule_rows[] = {EDGE_RULE_SETTINGS(RULE_ROW)};

const struct cdn_config_program edge_rule_program = {
    .name = "rules",
    .summary = "A path rule of a site.",
    .sections = {"rules", NULL},
    .rows = rule_rows,
    .row_count = sizeof(rule_rows) / sizeof(*rule_rows),
    .settings_size = sizeof(struct edge_rule_settings),
};

#define SITE_ROW(...) CDN_CONFIG_ROW_OF(struct edge_site_settings, __VA_ARGS__)
static const struct cdn_config_row site_rows[] = {EDGE_SITE_SETTINGS(SITE_ROW)};

const struct cdn_config_program edge_site_program = {
    .name = "sites",
    .summary = "A site, under its name.",
    .sections = {"sites", NULL},
    .rows = site_rows,
    .row_count = sizeof(site_rows) / sizeof(*site_rows),
    .settings_size = sizeof(struct edge_site_settings),
};
