/* table_of: a routing table from the flags of a router, for tests. */
#ifndef CDN_TESTS_UNIT_ROUTER_TABLE_OF_H
#define CDN_TESTS_UNIT_ROUTER_TABLE_OF_H
#include "common/config/config.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/edges.h"
#include "router/base/settings.h"
#include "router/table/table.h"

#include <check.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#define FLAGS_MAX 64

/* Flags, ended by NULL. */
static inline enum cdn_status table_try(struct router_table **ret, struct cdn_error *err, ...)
{
    char *argv[FLAGS_MAX] = {(char *)(uintptr_t) "pocketcdn-router"};
    int argc = 1;
    va_list more;
    va_start(more, err);
    while (argc < FLAGS_MAX - 1 && (argv[argc] = va_arg(more, char *))) {
        argc++;
    }
    va_end(more);
    argv[argc] = NULL;
    struct router_config config = {0};
    enum cdn_config_outcome outcome;
    enum cdn_status status = router_config_load(argc, argv, &config, &outcome, err);
    if (status != CDN_OK) {
        return status;
    }
    ck_assert_int_eq(outcome, CDN_CONFIG_RUN);
    status = router_table_create(&config, ret, err);
    router_config_free(&config);
    return status;
}

#define TABLE_OF(...)                                                                           \
    __extension__({                                                                             \
        struct router_table *table_ = NULL;                                                     \
        struct cdn_error err_ = {0};                                                            \
        ck_assert_msg(table_try(&table_, &err_, __VA_ARGS__, NULL) == CDN_OK, "%s", err_.text); \
        table_;                                                                                 \
    })

static inline struct cdn_addr addr(const char *ip)
{
    struct cdn_addr a;
    ck_assert_msg(cdn_parse_ip(cdn_str(ip), &a), "%s", ip);
    return a;
}

static inline const char *edge_name(const struct router_table *table, uint16_t edge)
{
    return edge == ROUTER_NO_EDGE ? "-" : table->edges->at[edge].name;
}

static inline uint16_t edge_named(const struct router_table *table, const char *name)
{
    uint16_t edge = router_edges_find(table->edges, cdn_str(name));
    ck_assert_msg(edge != ROUTER_NO_EDGE, "%s", name);
    return edge;
}

static inline int run_suite(const char *name, const TTest *const tests[], size_t n)
{
    Suite *suite = suite_create(name);
    TCase *cases = tcase_create(name);
    tcase_set_timeout(cases, 300);
    for (size_t i = 0; i < n; i++) {
        tcase_add_test(cases, tests[i]);
    }
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

#endif
