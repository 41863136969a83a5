/* The chain from address to place: what each link answers, and in which order. */
#include "common/config/config.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "router/base/edges.h"
#include "router/base/reason.h"
#include "router/choice/overrides.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

static const char *const two_edges[] = {
    "name=fra,place=Frankfurt,url=http://127.0.1.1:8088",
    "name=nrt,place=Tokyo,url=http://127.0.1.2:8088",
};

static struct router_table *table_with(const char *overrides_flag, const char *overrides)
{
    return TABLE_OF("--edge", two_edges[0], "--edge", two_edges[1], "--default-place", "Lima", "--simulate",
                    overrides_flag, overrides);
}

struct row {
    const char *ip, *pin;
    const char *reason, *place, *precision, *network_len;
};

static void check_rows(const struct router_table *table, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct router_question question = {.client = addr(rows[i].ip), .pin = cdn_str(rows[i].pin)};
        struct router_where where;
        struct router_trace trace = {0};
        router_resolve(table, &question, &trace, &where);
        char length[16];
        snprintf(length, sizeof(length), "/%u", where.network_len);
        ck_assert_msg(strcmp(router_reason_word(where.reason), rows[i].reason) == 0, "%s: reason %s, not %s",
                      rows[i].ip, router_reason_word(where.reason), rows[i].reason);
        bool is_default = router_where_is_default(&where);
        struct cdn_str place = is_default ? cdn_str(table->default_name) : where.record.city;
        ck_assert_msg(!rows[i].place || cdn_str_eq(place, cdn_str(rows[i].place)),
                      "%s: place '" CDN_STR_FMT "', not '%s'", rows[i].ip, CDN_STR_ARG(place), rows[i].place);
        ck_assert(!is_default || (where.record.country_code.n == 0 && where.record.city.n == 0));
        ck_assert_msg(!rows[i].precision || strcmp(router_where_precision(&where), rows[i].precision) == 0,
                      "%s: precision %s, not %s", rows[i].ip, router_where_precision(&where),
                      rows[i].precision);
        ck_assert_msg(!rows[i].network_len || strcmp(length, rows[i].network_len) == 0,
                      "%s: network %s, not %s", rows[i].ip, length, rows[i].network_len);
        ck_assert_uint_gt(trace.count, 0);
    }
}

START_TEST(chain)
{
    static const struct row rows[] = {
        /* nobody's places are named, and the default place stands for them */
        {"10.1.2.3", NULL, "special", "Lima", "default", "/8"},
        {"127.0.0.1", NULL, "special", "Lima", "default", "/8"},
        {"100.64.0.1", NULL, "special", "Lima", "default", "/10"},
        {"198.51.100.7", NULL, "special", "Lima", "default", "/24"},
        {"::ffff:10.0.0.1", NULL, "special", "Lima", "default", "/8"},
        {"fd00::1", NULL, "special", "Lima", "default", "/7"},
        {"::1", NULL, "special", "Lima", "default", "/128"},
        {"2001:db8::1", NULL, "special", "Lima", "default", "/32"},
        /* a tunnel's inside may be special itself */
        {"2002:0a00:0001::1", NULL, "special", "Lima", "default", "/16"},
        /* overrides come before special addresses and the database; the longest prefix wins */
        {"192.168.0.1", NULL, "override", "Tokyo", "exact", "/16"},
        {"192.168.7.1", NULL, "override", "Paris", "exact", "/24"},
        {"192.168.7.255", NULL, "override", "Paris", "exact", "/24"},
        {"192.168.7.9", NULL, "override", "Oslo", "exact", "/32"},
        {"192.168.8.0", NULL, "override", "Tokyo", "exact", "/16"},
        {"::ffff:192.168.7.9", NULL, "override", "Oslo", "exact", "/32"},
        {"2001:db8:1::5", NULL, "override", "Madrid", "exact", "/48"},
        /* a pin comes before everything, but only when it means something */
        {"192.168.7.9", "Cairo", "pinned", "Cairo", "exact", NULL},
        {"8.8.8.8", "192.168.7.9", "override", "Oslo", "exact", "/32"},
        {"192.168.7.9", "edge:fra", "pinned", "Oslo", "exact", "/32"},
        {"192.168.7.9", "edge:nobody", "override", "Oslo", "exact", "/32"},
        {"192.168.7.9", "no such place at all", "override", "Oslo", "exact", "/32"},
        {"8.8.8.8", "48.85,2.35", "pinned", "48.85,2.35", "exact", NULL},
    };
    struct router_table *table =
        table_with("--overrides=192.168.0.0/16=Tokyo", "--overrides=192.168.7.0/24=Paris");
    router_table_unref(table);
    table = TABLE_OF("--edge", two_edges[0], "--edge", two_edges[1], "--default-place", "Lima", "--simulate",
                     "--overrides=192.168.7.9=Oslo", "--overrides=192.168.0.0/16=Tokyo",
                     "--overrides=192.168.7.0/24=Paris", "--overrides=2001:db8:1::/48=Madrid");
    check_rows(table, rows, CDN_ARRAY_LEN(rows));
    router_table_unref(table);
}
END_TEST

START_TEST(pins_count_in_simulation_only)
{
    static const struct row rows[] = {{"10.0.0.1", "Cairo", "special", "Lima", "default", "/8"}};
    struct router_table *table = TABLE_OF("--default-place", "Lima");
    check_rows(table, rows, CDN_ARRAY_LEN(rows));
    router_table_unref(table);
}
END_TEST

START_TEST(default_place_is_the_first_edge)
{
    static const struct row rows[] = {{"10.0.0.1", NULL, "special", "Tokyo", "default", "/8"}};
    struct router_table *table = TABLE_OF("--edge", two_edges[1], "--edge", two_edges[0]);
    check_rows(table, rows, CDN_ARRAY_LEN(rows));
    router_table_unref(table);
}
END_TEST

START_TEST(database)
{
    struct router_table *table = TABLE_OF("--simulate");
    struct router_question question = {.client = addr("193.0.6.139")}; /* RIPE NCC, Amsterdam */
    struct router_where where, mapped, tunnelled;
    router_resolve(table, &question, NULL, &where);
    ck_assert_int_eq(where.reason, ROUTER_REASON_GEO);
    ck_assert(cdn_str_eq(where.record.country_code, CDN_STR("NL")));
    ck_assert_uint_gt(where.uncertainty_km, 0);
    ck_assert(where.uncertainty_assumed);
    question.client = addr("::ffff:193.0.6.139");
    router_resolve(table, &question, NULL, &mapped);
    ck_assert_uint_eq(mapped.record.entry, where.record.entry);
    ck_assert_uint_eq(mapped.network_len, where.network_len);
    question.client = addr("2002:c100:068b::1"); /* the same through 6to4 */
    router_resolve(table, &question, NULL, &tunnelled);
    ck_assert_uint_eq(tunnelled.record.entry, where.record.entry);
    ck_assert_ptr_nonnull(tunnelled.special);
    ck_assert_int_eq(tunnelled.reason, ROUTER_REASON_GEO);
    router_table_unref(table);
}
END_TEST

START_TEST(bad_overrides_are_refused_with_their_lines)
{
    static const struct {
        const char *one, *two, *says;
    } rows[] = {
        {"10.0.0.0/8=Tokyo", "10.0.0.0/8=Oslo", "10.0.0.0/8"},
        {"10.0.0.1=Tokyo", "10.0.0.1/32=Tokyo", "10.0.0.1/32 'Tokyo' is already there"},
        {"10.0.0.1/8=Tokyo", NULL, "'10.0.0.1/8' is not a network"},
        {"nonsense=Tokyo", NULL, "'nonsense' is not a network"},
        {"10.0.0.0/33=Tokyo", NULL, "'10.0.0.0/33' is not a network"},
        {"10.0.0.0/8=Atlantis", NULL, "10.0.0.0/8: no place 'Atlantis'"},
        {"10.0.0.0/8=edge:nobody", NULL, "10.0.0.0/8: there is no edge 'nobody'"},
        {"10.0.0.0/8=91,0", NULL, "10.0.0.0/8"},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct router_table *table = NULL;
        struct cdn_error err = {0};
        enum cdn_status status = table_try(&table, &err, "--overrides", rows[i].one,
                                           rows[i].two ? "--overrides" : NULL, rows[i].two, NULL);
        ck_assert_msg(status == CDN_INVALID && !table, "row %zu: %d", i, status);
        ck_assert_msg(strstr(err.text, rows[i].says), "row %zu: %s", i, err.text);
    }
}
END_TEST

/* Every network inside every other: the climb must find the right depth from any address. */
START_TEST(nested_overrides)
{
    struct cdn_config_list list = {.items = cdn_calloc(33, sizeof(struct cdn_config_entry)), .n = 33};
    struct router_edges *edges = NULL;
    struct router_overrides *overrides = NULL;
    for (unsigned i = 0; i < 33; i++) {
        uint32_t address = i == 0 ? 0 : 0xffffffffu << (32 - i);
        list.items[i].key = cdn_asprintf("%u.%u.%u.%u/%u", address >> 24, address >> 16 & 255,
                                         address >> 8 & 255, address & 255, i);
        list.items[i].value = cdn_asprintf("0,%u", i);
    }
    ck_assert_int_eq(router_edges_create(NULL, 0, &edges, NULL), CDN_OK);
    ck_assert_int_eq(router_overrides_create(&list, edges, &overrides, NULL), CDN_OK);
    for (unsigned ones = 0; ones < 33; ones++) { /* `ones` leading ones, then zeros */
        struct cdn_addr a = addr("0.0.0.0");
        a.v4.sin_addr.s_addr = htonl(ones == 0 ? 0 : 0xffffffffu << (32 - ones));
        const struct router_override *found = router_overrides_find(overrides, &a);
        ck_assert_ptr_nonnull(found);
        ck_assert_uint_eq(found->network.prefix, ones);
        ck_assert(found->lon == ones);
    }
    struct cdn_addr v6 = addr("2001:db8::1");
    ck_assert_ptr_null(router_overrides_find(overrides, &v6));
    router_overrides_destroy(overrides);
    router_edges_destroy(edges);
    for (size_t i = 0; i < list.n; i++) {
        free(list.items[i].key);
        free(list.items[i].value);
    }
    free(list.items);
}
END_TEST

#define NETWORKS 300u

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Random networks in a small space, against the plain search for the longest prefix. */
START_TEST(overrides_against_the_plain_search)
{
    struct cdn_config_entry items[NETWORKS];
    struct cdn_cidr networks[NETWORKS];
    struct cdn_config_list list = {.items = items};
    struct router_edges *edges = NULL;
    struct router_overrides *overrides = NULL;
    struct cdn_error err = {0};
    uint32_t seed = 7;
    ck_assert_int_eq(router_edges_create(NULL, 0, &edges, NULL), CDN_OK);
    while (list.n < NETWORKS) {
        unsigned prefix = 16 + next_random(&seed) % 17;
        uint32_t address = (0x0a000000u | (next_random(&seed) & 0xffffu)) & 0xffffffffu << (32 - prefix);
        struct cdn_cidr c = {.prefix = prefix};
        c.addr = addr("0.0.0.0");
        c.addr.v4.sin_addr.s_addr = htonl(address);
        bool known = false;
        for (size_t i = 0; i < list.n; i++) {
            known = known || (networks[i].prefix == prefix &&
                              networks[i].addr.v4.sin_addr.s_addr == c.addr.v4.sin_addr.s_addr);
        }
        if (known) {
            continue;
        }
        char text[CDN_ADDR_TEXT_SIZE];
        cdn_addr_format_ip(&c.addr, text);
        networks[list.n] = c;
        items[list.n].key = cdn_asprintf("%s/%u", text, prefix);
        items[list.n].value = cdn_strdup("0,0");
        items[list.n].origin = NULL;
        list.n++;
    }
    ck_assert_msg(router_overrides_create(&list, edges, &overrides, &err) == CDN_OK, "%s", err.text);
    for (uint32_t low = 0; low < 0x10000u; low += 3) {
        struct cdn_addr a = addr("10.0.0.0");
        a.v4.sin_addr.s_addr = htonl(0x0a000000u | low);
        const struct cdn_cidr *best = NULL;
        for (size_t i = 0; i < list.n; i++) {
            if (cdn_cidr_has(&networks[i], &a) && (!best || networks[i].prefix > best->prefix)) {
                best = &networks[i];
            }
        }
        const struct router_override *found = router_overrides_find(overrides, &a);
        ck_assert((found != NULL) == (best != NULL));
        ck_assert(!found || found->network.prefix == best->prefix);
    }
    router_overrides_destroy(overrides);
    router_edges_destroy(edges);
    for (size_t i = 0; i < list.n; i++) {
        free(items[i].key);
        free(items[i].value);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {chain,
                                  pins_count_in_simulation_only,
                                  default_place_is_the_first_edge,
                                  database,
                                  bad_overrides_are_refused_with_their_lines,
                                  nested_overrides,
                                  overrides_against_the_plain_search};
    return run_suite("resolve", tests, CDN_ARRAY_LEN(tests));
}
