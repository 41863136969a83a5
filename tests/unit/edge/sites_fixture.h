/* sites_fixture: `sites:` of a text as an edge reads them. The file is called cdn.yaml in messages. */
#ifndef CDN_TESTS_SITES_FIXTURE_H
#define CDN_TESTS_SITES_FIXTURE_H
#include "common/config/config.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/freshness.h"
#include "edge/site/origin.h"
#include "edge/site/rule.h"
#include "edge/site/site.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct edge_origins origins;
static const struct cdn_config_list no_names;

static inline enum cdn_status read_sites(const char *text, const char *origin, struct edge_sites *ret,
                                         struct cdn_error *err)
{
    char folder[] = "/tmp/cdn-sites-XXXXXX";
    struct edge_rule_defaults defaults = {.query_allow = &no_names,
                                          .query_ignore = &no_names,
                                          .origin = cdn_str(origin),
                                          .origin_host = CDN_STR("origin"),
                                          .origins = &origins};
    edge_rules_init(&defaults.rules);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    FILE *file = fopen("cdn.yaml", "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    fclose(file);
    *err = (struct cdn_error){0};
    const enum cdn_status status = edge_sites_create("cdn.yaml", &defaults, ret, err);
    ck_assert_int_eq(unlink("cdn.yaml"), 0);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(rmdir(folder), 0);
    return status;
}

static inline void read_good(const char *text, const char *origin, struct edge_sites *ret)
{
    struct cdn_error err;
    ck_assert_msg(read_sites(text, origin, ret, &err) == CDN_OK, "%s: %s", text, err.text);
}

static inline void end_sites(struct edge_sites *sites)
{
    edge_sites_free(sites);
    edge_origins_free(&origins);
}

/* One rule of one site: `keys` stand behind its path and origins. */
#define RULE_OF(keys)                                          \
    "sites:\n  shop:\n    hosts: [shop.example]\n    rules:\n" \
    "      - {path: /s/, origins: [\"http://a.example\"], " keys "}\n"
#define SITE_OF(lines) "sites:\n  shop:\n    hosts: [shop.example]\n" lines

/* A row: what is refused, and with what words. */
struct bad_row {
    const char *text;
    const char *said; /* behind "cdn.yaml:" */
};

static inline void check_bad(const struct bad_row *row)
{
    struct edge_sites sites = {0};
    struct cdn_error err;
    const enum cdn_status status = read_sites(row->text, "", &sites, &err);
    CDN_AUTOFREE char *said = cdn_asprintf("cdn.yaml:%s", row->said);
    ck_assert_msg(status == CDN_INVALID, "it is good, or not invalid (%d): %s", status, row->text);
    ck_assert_str_eq(err.text, said);
    edge_origins_free(&origins);
}

#endif
