/* The scope of an answer: cuts row by row; and everybody in a scope gets the same answer, compiled or not. */
#include "common/config/config.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/edges.h"
#include "router/choice/select.h"
#include "router/decide/compiled.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"
#include "router/dns/dns_pick.h"
#include "router/dns/dns_scope.h"
#include "router/dns/dns_zone.h"
#include "router/table/table.h"
#include "tests/unit/router/dns_help.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

static struct cdn_config_list list_of(struct cdn_config_entry *entries, const char *text)
{
    struct cdn_config_list list = {entries, 0};
    struct cdn_str rest = cdn_str(text);
    while (rest.p && rest.n) {
        entries[list.n++].key = cdn_str_dup(cdn_str_cut(&rest, ' '));
    }
    return list;
}

START_TEST(cuts)
{
    static const struct {
        const char *networks, *address;
        unsigned scope;
    } rows[] = {
        {"", "192.0.2.1", 0},
        {"0.0.0.0/0", "192.0.2.1", 0},
        {"10.0.0.0/8", "10.1.2.3", 8},
        {"10.0.0.0/8", "11.1.2.3", 8},
        {"10.0.0.0/8", "12.1.2.3", 6},
        {"10.0.0.0/8", "192.0.2.1", 1},
        {"10.1.0.0/16", "10.2.0.1", 15},
        {"10.0.0.0/8 10.1.0.0/16", "10.2.0.1", 15},
        {"10.0.0.0/8 10.1.0.0/16", "10.1.0.1", 16},
        {"10.0.0.0/8 10.1.0.0/16", "10.128.0.1", 9},
        {"10.0.0.0/8 10.1.0.0/16 10.1.1.0/24", "10.1.2.1", 23},
        {"10.1.0.0/32", "10.1.0.1", 32},
        {"10.1.0.0/32 10.1.0.255/32", "10.1.0.128", 26},
        {"0.0.0.0/32 255.255.255.255/32", "128.0.0.0", 2},
        {"2001:db8::/32", "2001:db9::1", 32},
        {"2001:db8::/32", "192.0.2.1", 0},
        {"2001:db8::/32", "2001:db8::1", 32},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct cdn_config_entry entries[8] = {0};
        struct cdn_config_list list = list_of(entries, rows[i].networks);
        struct dns_cuts *cut = dns_cuts_create(&list);
        struct cdn_addr address = addr(rows[i].address);
        ck_assert_msg(dns_cuts_scope(cut, &address) == rows[i].scope, "row %zu: %u", i,
                      dns_cuts_scope(cut, &address));
        dns_cuts_destroy(cut);
        for (size_t k = 0; k < list.n; k++) {
            free(entries[k].key);
        }
    }
}
END_TEST

static uint64_t state = 88172645463325252u;

static uint32_t random_u32(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static struct cdn_addr random_address(bool v6)
{
    struct cdn_addr a = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = random_u32()}};
    if (!v6) {
        return a;
    }
    a = (struct cdn_addr){.v6 = {.sin6_family = AF_INET6}};
    for (size_t i = 0; i < 16; i++) {
        a.v6.sin6_addr.s6_addr[i] = (uint8_t)random_u32();
    }
    static const uint8_t starts[][4] = {{0x20, 0x01, 0x0d, 0xb8}, {0x20, 0x02, 8, 8},
                                        {0x20, 0x01, 0, 0},       {0x2a, 0x02, 8, 0x10},
                                        {0x24, 0x00, 0x40, 1},    {0, 0x64, 0xff, 0x9b}};
    const uint8_t *start = starts[random_u32() % CDN_ARRAY_LEN(starts)];
    memcpy(a.v6.sin6_addr.s6_addr, start, 4);
    if (start[1] == 0x64) {
        memset(a.v6.sin6_addr.s6_addr + 4, 0, 8);
    }
    return a;
}

/* Another address of the same network. */
static struct cdn_addr neighbour(const struct cdn_addr *address, unsigned scope)
{
    struct cdn_addr a = *address;
    size_t size;
    uint8_t *bytes = (uint8_t *)(uintptr_t)cdn_addr_bytes(&a, &size);
    for (unsigned bit = scope; bit < size * 8; bit++) {
        if (random_u32() & 1) {
            bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        }
    }
    return a;
}

static void neighbours_agree(const struct dns_zone *zone, const struct cdn_addr *one)
{
    struct dns_pick first, second;
    dns_pick(zone, one, 0, true, &first);
    for (int k = 0; k < 8; k++) {
        struct cdn_addr other = neighbour(one, first.scope);
        dns_pick(zone, &other, 0, true, &second);
        char a[CDN_ADDR_TEXT_SIZE], b[CDN_ADDR_TEXT_SIZE];
        cdn_addr_format_ip(one, a);
        cdn_addr_format_ip(&other, b);
        ck_assert_msg(first.count == second.count &&
                          memcmp(first.edges, second.edges, first.count * sizeof(first.edges[0])) == 0,
                      "%s/%u and %s/%u go to other edges", a, first.scope, b, second.scope);
        ck_assert_msg(first.scope == second.scope, "%s/%u and %s/%u", a, first.scope, b, second.scope);
    }
}

static void everybody_agrees(const struct dns_zone *zone, bool v6, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        struct cdn_addr one = random_address(v6);
        neighbours_agree(zone, &one);
    }
}

#define MANY                                                                                                \
    "--edge", "name=fra,place=Frankfurt,listen=192.0.2.1:80", "--edge",                                     \
        "name=nrt,place=Tokyo,listen=192.0.2.2:80", "--edge", "name=iad,place=Ashburn,listen=192.0.2.3:80", \
        "--edge", "name=gru,place=Sao Paulo,listen=192.0.2.4:80", "--edge",                                 \
        "name=fra2,place=Frankfurt,listen=192.0.2.5:80", "--overrides", "8.8.0.0/16=Tokyo", "--overrides",  \
        "8.8.8.0/24=edge:gru", "--overrides", "91.0.0.0/9=edge:nrt", "--overrides",                         \
        "91.64.3.128/25=Ashburn", "--overrides", "2001:db8:8000::/33=Tokyo", "--overrides",                 \
        "2a02:810:4000::/34=edge:iad", "--dns-answers", "3"

START_TEST(everybody_in_a_scope)
{
    struct dns_zone *zone = ZONE_OF(MANY);
    for (int compiled = 0; compiled < 2; compiled++) {
        everybody_agrees(zone, false, 3000);
        everybody_agrees(zone, true, 1500);
        ck_assert_int_eq(router_compiled_build(zone->table, NULL, NULL), CDN_OK);
    }
    dns_zone_unref(zone);
}
END_TEST

/* When all edges of a compiled row are down, the answer is made of what the row does not say. */
START_TEST(everybody_in_a_scope_when_a_row_is_down)
{
    static const char *const answers[] = {"1", "3"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(answers); i++) {
        struct dns_zone *zone = ZONE_OF("--dns-answers", answers[i]); /* the ten default edges */
        struct router_edges *edges = zone->table->edges;
        ck_assert_int_eq(router_compiled_build(zone->table, NULL, NULL), CDN_OK);
        ck_assert_uint_eq(edges->count, ROUTER_ROW + 2);
        for (unsigned k = 0; k < 5000; k++) {
            const struct cdn_addr one = random_address(k % 4 == 0);
            const struct router_class *class =
                router_compiled_find(atomic_load(&zone->table->compiled), &one);
            for (size_t edge = 0; edge < edges->count; edge++) {
                router_edge_flag_set(edges, (uint16_t)edge, ROUTER_EDGE_SICK, false);
            }
            for (unsigned site = 0; class && site < class->count; site++) {
                router_edge_flag_set(edges, edges->members[edges->sites[class->sites[site]].first],
                                     ROUTER_EDGE_SICK, true);
            }
            neighbours_agree(zone, &one);
        }
        dns_zone_unref(zone);
    }
}
END_TEST

/* DNS, the chain and the short way name the same first edge. */
START_TEST(agrees_with_route)
{
    struct dns_zone *zone = ZONE_OF("--dns-answers", "1"); /* the ten default edges */
    for (int compiled = 0; compiled < 2; compiled++) {
        for (int i = 0; i < 5000; i++) {
            const struct router_question question = {.client = random_address(i % 4 == 0)};
            struct router_decision d;
            struct dns_pick pick;
            router_decide(zone->table, &question, NULL, &d);
            dns_pick(zone, &question.client, 0, false, &pick);
            ck_assert_uint_eq(pick.count, 1);
            ck_assert_uint_eq(pick.edges[0], d.choice.edge);
        }
        ck_assert_int_eq(router_compiled_build(zone->table, NULL, NULL), CDN_OK);
    }
    dns_zone_unref(zone);
}
END_TEST

/* Edges of one place share its clients by network; one with the other family's address is passed over. */
START_TEST(shared_places_and_families)
{
    struct dns_zone *zone =
        ZONE_OF("--edge", "name=a,place=Frankfurt,listen=192.0.2.1:80", "--edge",
                "name=b,place=Frankfurt,listen=192.0.2.2:80", "--edge",
                "name=six,place=Tokyo,listen=[2001:db8::6]:80", "--overrides", "133.0.0.0/8=Tokyo");
    unsigned got[3] = {0};
    for (int i = 0; i < 2000; i++) {
        struct cdn_addr client = random_address(false);
        struct dns_pick pick;
        dns_pick(zone, &client, 0, true, &pick);
        ck_assert_uint_eq(pick.count, 1);
        got[pick.edges[0]]++;
        dns_pick(zone, &client, 1, true, &pick);
        ck_assert(pick.count == 1 && pick.edges[0] == 2);
    }
    ck_assert(got[0] > 200 && got[1] > 200 && got[2] == 0);
    dns_zone_unref(zone);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {cuts, everybody_in_a_scope, everybody_in_a_scope_when_a_row_is_down,
                                  agrees_with_route, shared_places_and_families};
    return run_suite("dns_scope", tests, CDN_ARRAY_LEN(tests));
}
