/* The compiled table against the chain: equal answers for random addresses in every state of the edges, and
 * scopes that are right and as wide as they can be. */
#include "common/config/config.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/edges.h"
#include "router/base/reason.h"
#include "router/base/settings.h"
#include "router/choice/select.h"
#include "router/decide/compiled.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"
#include "tests/unit/long.h"
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

/* Addresses of each test, and every which round of `states`; the whole with CDN_LONG=yes. */
static size_t state_step, addresses;

static void sizes_set(void)
{
    const bool is_long = is_long_test();
    state_step = is_long ? 1 : 3;
    addresses = is_long ? 100000 : 20000;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    state_step = 3;
    addresses = 10000; /* slow, and the same ways are gone */
#endif
}

static uint64_t random_next(uint64_t *state) /* xorshift64* */
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

static struct cdn_addr random_ipv4(uint64_t *state)
{
    struct cdn_addr a = {.v4 = {.sin_family = AF_INET}};
    a.v4.sin_addr.s_addr = (uint32_t)(random_next(state) >> 32);
    return a;
}

/* Any bits, or those of a block that is in use: 2400::/12, 2600::/12, 2800::/12, 2a00::/12, 2c00::/12, some
 * with a tunnel's prefix. */
static struct cdn_addr random_ipv6(uint64_t *state)
{
    static const uint16_t heads[] = {0x2400, 0x2600, 0x2800, 0x2a00, 0x2c00, 0x2001, 0x2002, 0x0064};
    struct cdn_addr a = {.v6 = {.sin6_family = AF_INET6}};
    uint64_t high = random_next(state), low = random_next(state), kind = random_next(state) >> 32;
    if (kind % 4 > 0) {
        uint64_t head = heads[kind / 4 % CDN_ARRAY_LEN(heads)];
        unsigned free_bits = head == 0x0064 ? 0 : 52;
        high = head << 48 | (free_bits ? high >> 12 : (uint64_t)0xff9b << 32);
        low = head == 0x0064 ? low >> 32 : low;
    }
    high = __builtin_bswap64(high);
    low = __builtin_bswap64(low);
    memcpy(a.v6.sin6_addr.s6_addr, &high, 8);
    memcpy(a.v6.sin6_addr.s6_addr + 8, &low, 8);
    return a;
}

static void compile(struct router_table *table)
{
    struct cdn_error err;
    ck_assert_msg(router_compiled_build(table, NULL, &err) == CDN_OK, "%s", err.text);
}

/* What router_decide says without a compiled table, and router_decide_brief with it. */
static void check_equal(const struct router_table *table, const struct cdn_addr *address, const char *path)
{
    struct router_question question = {.client = *address, .path = cdn_str(path)};
    struct router_decision d;
    struct router_brief b;
    router_decide(table, &question, NULL, &d);
    router_decide_brief(table, &question, 2, &b);
    char text[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format_ip(address, text);
    uint16_t edge = b.count > 0 ? b.edges[0] : ROUTER_NO_EDGE,
             next = b.count > 1 ? b.edges[1] : ROUTER_NO_EDGE;
    ck_assert_msg(edge == d.choice.edge, "%s: edge %s, the chain says %s", text, edge_name(table, edge),
                  edge_name(table, d.choice.edge));
    ck_assert_msg(next == d.choice.runner_up, "%s: runner-up %s, the chain says %s", text,
                  edge_name(table, next), edge_name(table, d.choice.runner_up));
    ck_assert_msg(b.reason == d.reason, "%s: reason %s, the chain says %s", text,
                  router_reason_word(b.reason), router_reason_word(d.reason));
    ck_assert_msg(b.ambiguous == d.ambiguous, "%s: ambiguous %d", text, b.ambiguous);
    ck_assert_msg(b.optimistic == d.choice.optimistic, "%s: optimistic %d", text, b.optimistic);
}

static void check_random(const struct router_table *table, size_t n, uint64_t seed)
{
    uint64_t state = seed;
    for (size_t i = 0; i < n; i++) {
        struct cdn_addr a = i % 2 ? random_ipv6(&state) : random_ipv4(&state);
        check_equal(table, &a, i % 3 ? "/a.js" : "/b.css");
    }
}

#define OVERRIDES                                                                                         \
    "--overrides", "10.0.0.0/8=Tokyo", "--overrides", "10.1.0.0/16=edge:fra", "--overrides",              \
        "10.1.2.0/24=Lima", "--overrides", "10.1.2.3=edge:nrt", "--overrides", "8.0.0.0/7=edge:nrt",      \
        "--overrides", "8.8.8.0/24=Paris", "--overrides", "2001:db8::/32=Oslo", "--overrides",            \
        "2001:db8:1::/48=edge:fra", "--overrides", "2001:db8:1::/72=Lima", "--overrides",                 \
        "2a00::/12=edge:nrt", "--overrides", "2a00:1450::/32=Cairo", "--overrides", "2002:800::/24=Rome", \
        "--overrides", "255.255.255.255=Rome", "--overrides", "ffff::/16=Rome"

START_TEST(default_edges)
{
    struct router_table *table = TABLE_OF(NULL);
    compile(table);
    check_random(table, 2 * addresses, 1);
    router_table_unref(table);
}
END_TEST

START_TEST(overrides_and_edges_of_one_place)
{
    struct router_table *table = TABLE_OF(
        "--edge", "name=fra,place=Frankfurt,url=http://a", "--edge", "name=fra2,place=Frankfurt,url=http://b",
        "--edge", "name=nrt,place=Tokyo,url=http://c", "--edge", "name=gru,place=Sao Paulo,url=http://d",
        "--edge", "name=idle,place=Cairo,url=http://e,weight=0", OVERRIDES);
    compile(table);
    check_random(table, addresses / 2, 2);
    static const char *const ips[] = {"10.0.0.0",
                                      "10.0.255.255",
                                      "10.1.0.0",
                                      "10.1.1.255",
                                      "10.1.2.0",
                                      "10.1.2.2",
                                      "10.1.2.3",
                                      "10.1.2.4",
                                      "10.1.3.0",
                                      "10.2.0.0",
                                      "10.255.255.255",
                                      "11.0.0.0",
                                      "9.255.255.255",
                                      "7.255.255.255",
                                      "8.0.0.0",
                                      "8.8.7.255",
                                      "8.8.8.0",
                                      "8.8.8.255",
                                      "8.8.9.0",
                                      "0.0.0.0",
                                      "255.255.255.255",
                                      "255.255.255.254",
                                      "2001:db8::",
                                      "2001:db8:1::",
                                      "2001:db8:1::1:0:0:0",
                                      "2001:db8:1:1::",
                                      "2001:db8:2::",
                                      "2001:db9::",
                                      "::",
                                      "::1",
                                      "ffff::",
                                      "fffe:ffff::1",
                                      "64:ff9b::808:808",
                                      "2002:a00:1::",
                                      "2002:808:808::1",
                                      "2a00:1450::1",
                                      "2a00:1451::1",
                                      "2a0f:ffff::",
                                      "2a10::",
                                      "::ffff:8.8.8.8",
                                      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                                      "2001:0:53aa:64c:0:5efe:3f57:fe81"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(ips); i++) {
        struct cdn_addr a = addr(ips[i]);
        check_equal(table, &a, "/");
    }
    router_table_unref(table);
}
END_TEST

/* Health, load and pins change the answer without another compilation. */
START_TEST(states)
{
    static const char *const policies[] = {"rtt", "distance", "pinned"};
    for (size_t p = 0; p < CDN_ARRAY_LEN(policies); p++) {
        struct router_table *table = TABLE_OF("--policy", policies[p], OVERRIDES);
        compile(table);
        uint64_t state = 3 + p;
        for (size_t round = 0; round < 30; round += state_step) {
            for (size_t edge = 0; edge < table->edges->count; edge++) {
                for (uint32_t bit = 1; bit <= ROUTER_EDGE_FULL; bit <<= 1) {
                    router_edge_flag_set(table->edges, (uint16_t)edge, (enum router_edge_flag)bit,
                                         random_next(&state) >> 32 < (uint64_t)round << 27);
                }
            }
            router_edges_pin(table->edges, round % 10 == 9 ? (uint16_t)(round / 10) : ROUTER_NO_EDGE);
            check_random(table, 400, random_next(&state));
        }
        router_table_unref(table);
    }
}
END_TEST

static struct router_table *table_of(int argc, char **argv)
{
    struct router_config config;
    struct router_table *table;
    struct cdn_error err;
    enum cdn_config_outcome outcome;
    ck_assert_msg(router_config_load(argc, argv, &config, &outcome, &err) == CDN_OK, "%s", err.text);
    ck_assert_msg(router_table_create(&config, &table, &err) == CDN_OK, "%s", err.text);
    router_config_free(&config);
    return table;
}

/* Rows of slots that are not of one class, and more of IPv6 than the index takes. */
START_TEST(overrides_everywhere)
{
    enum { IPV4 = 300, IPV6 = 4200 };
    static const char *const targets[] = {"edge:fra", "Lima", "edge:nrt", "Oslo"};
    char *flags[2 * (IPV4 + IPV6) + 2] = {(char *)(uintptr_t) "pocketcdn-router"};
    size_t flag_count = 1;
    for (unsigned i = 0; i < IPV4 + IPV6; i++) {
        const char *target = targets[i % CDN_ARRAY_LEN(targets)];
        flags[flag_count++] = (char *)(uintptr_t) "--overrides";
        flags[flag_count++] =
            i < IPV4 ? cdn_asprintf("20.9.%u.%u/%u=%s", 3 * i / 4 % 256, 64 * (i % 3), 26 + i % 5, target)
                     : cdn_asprintf("%x:%x00::/24=%s", 0x2000 + i, i % 256, target);
    }
    for (unsigned ipv6 = 0; ipv6 < 2; ipv6++) {
        struct router_table *table = table_of((int)(ipv6 ? flag_count : 2 * IPV4 + 1), flags);
        compile(table);
        for (unsigned i = 0; i < 65536; i += 3) {
            struct cdn_addr a = {.v4 = {.sin_family = AF_INET}};
            a.v4.sin_addr.s_addr = __builtin_bswap32(0x14090000 + i);
            check_equal(table, &a, "/");
        }
        for (unsigned i = IPV4; i < IPV4 + IPV6; i++) {
            struct cdn_addr a = {.v6 = {.sin6_family = AF_INET6}};
            uint64_t high =
                __builtin_bswap64((uint64_t)(0x2000 + i) << 48 | (uint64_t)(i % 256 + i / 256 % 2) << 40);
            memcpy(a.v6.sin6_addr.s6_addr, &high, 8);
            check_equal(table, &a, "/");
        }
        check_random(table, addresses / 50, 9);
        router_table_unref(table);
    }
    for (size_t i = 2; i < flag_count; i += 2) {
        free(flags[i]);
    }
}
END_TEST

/* With 300 places, rows are shorter than what may have to be looked at. */
START_TEST(many_edges)
{
    char *flags[2 * 300 + 3] = {(char *)(uintptr_t) "pocketcdn-router"};
    int argc = 1;
    for (int i = 0; i < 300; i++) {
        flags[argc++] = (char *)(uintptr_t) "--edge";
        flags[argc++] =
            cdn_asprintf("name=e%d,place=%d;%d,url=http://h", i, i * 7 % 181 - 90, i * 13 % 360 - 180);
        *strchr(flags[argc - 1], ';') = ',';
    }
    struct router_table *table = table_of(argc, flags);
    compile(table);
    check_random(table, 2000, 7);
    for (uint16_t edge = 0; edge < 290; edge++) {
        router_edge_flag_set(table->edges, edge, ROUTER_EDGE_SICK, true);
    }
    check_random(table, 2000, 8);
    router_table_unref(table);
    for (int i = 2; i < argc; i += 2) {
        free(flags[i]);
    }
}
END_TEST

START_TEST(more_than_two)
{
    struct router_table *table = TABLE_OF(OVERRIDES);
    compile(table);
    for (unsigned want = 2; want <= ROUTER_ROW; want++) {
        uint64_t state = want;
        for (size_t i = 0; i < 200; i++) {
            struct router_question question = {.client = random_ipv4(&state)};
            struct router_brief b;
            router_decide_brief(table, &question, want, &b);
            ck_assert_uint_eq(b.count, want);
            for (unsigned k = 0; k < b.count; k++) {
                for (unsigned j = 0; j < k; j++) {
                    ck_assert_uint_ne(b.edges[k], b.edges[j]);
                }
            }
        }
    }
    router_table_unref(table);
}
END_TEST

static uint32_t ipv4_of(const struct cdn_addr *a)
{
    return __builtin_bswap32(a->v4.sin_addr.s_addr);
}

static struct cdn_addr ipv4_at(uint32_t ip)
{
    struct cdn_addr a = {.v4 = {.sin_family = AF_INET}};
    a.v4.sin_addr.s_addr = __builtin_bswap32(ip);
    return a;
}

static uint32_t row_at(const struct router_table *table, uint32_t ip)
{
    struct cdn_addr a = ipv4_at(ip);
    return router_compiled_find(atomic_load(&table->compiled), &a)->row;
}

/* All addresses of the scope have the row, and some in the twin of the scope have another. */
static void check_scope(const struct router_table *table, uint32_t ip)
{
    struct cdn_addr a = ipv4_at(ip);
    unsigned scope = router_decide_scope(table, &a);
    uint32_t row = row_at(table, ip);
    ck_assert_uint_le(scope, 32);
    uint64_t size = (uint64_t)1 << (32 - scope), step = size > 4096 ? size / 4096 | 1 : 1;
    uint32_t first = ip & (uint32_t) ~(size - 1), twin = first ^ (uint32_t)size;
    bool differs = scope == 0 || step > 1;
    for (uint64_t i = 0; i < size; i += step) {
        ck_assert_msg(row_at(table, first + (uint32_t)i) == row, "%08x/%u: %08x has another row", ip, scope,
                      first + (uint32_t)i);
        differs = differs || row_at(table, twin + (uint32_t)i) != row;
    }
    ck_assert_msg(differs, "%08x/%u is too narrow", ip, scope);
}

START_TEST(scopes)
{
    struct router_table *table = TABLE_OF(OVERRIDES);
    struct cdn_addr known = addr("193.0.6.139"), known6 = addr("2a00:1450::1");
    ck_assert_uint_eq(router_decide_scope(table, &known), 32); /* not compiled yet: safe */
    ck_assert_uint_eq(router_decide_scope(table, &known6), 128);
    compile(table);
    uint64_t state = 11;
    for (size_t i = 0; i < addresses / 33; i++) {
        struct cdn_addr a = random_ipv4(&state);
        check_scope(table, ipv4_of(&a));
    }
    static const struct {
        const char *ip;
        unsigned scope;
    } rows[] = {
        {"10.1.2.3", 32},           /* the edge is named for it alone */
        {"10.1.2.2", 32},           /* its twin is not */
        {"10.1.2.0", 31},           /* */
        {"10.1.2.129", 25},         /* the other half of Lima's /24 */
        {"10.1.3.1", 24},           /* next to it, edge fra */
        {"10.1.128.0", 17},         /* */
        {"10.128.0.0", 9},          /* Tokyo's */
        {"2a00:1450::1", 32},       /* */
        {"2a00:1451::1", 32},       /* */
        {"2001:db8:1::1", 128},     /* within the /64 it depends on more */
        {"2001:db8:1:8000::1", 49}, /* */
        {"64:ff9b::808:808", 128},  /* the IPv4 inside decides */
        {"::ffff:10.128.0.0", 9},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct cdn_addr a = addr(rows[i].ip);
        ck_assert_msg(router_decide_scope(table, &a) == rows[i].scope, "%s: %u, not %u", rows[i].ip,
                      router_decide_scope(table, &a), rows[i].scope);
    }
    router_table_unref(table);
    table = TABLE_OF("--edge", "name=one,place=Oslo,url=http://a"); /* the answer depends on nothing */
    compile(table);
    ck_assert_uint_eq(router_decide_scope(table, &known), 0);
    router_table_unref(table);
}
END_TEST

START_TEST(stopped)
{
    struct router_table *table = TABLE_OF(NULL);
    struct cdn_error err;
    _Atomic bool stop = true;
    ck_assert_int_eq(router_compiled_build(table, &stop, &err), CDN_UNAVAILABLE);
    ck_assert_ptr_null(atomic_load(&table->compiled));
    compile(table);
    struct router_compiled_info info;
    router_compiled_info(atomic_load(&table->compiled), &info);
    ck_assert_uint_gt(info.classes, 100);
    ck_assert_uint_lt(info.bytes, 16u << 20);
    router_table_unref(table);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {default_edges,
                                  overrides_and_edges_of_one_place,
                                  overrides_everywhere,
                                  states,
                                  many_edges,
                                  more_than_two,
                                  scopes,
                                  stopped};
    sizes_set();
    return run_suite("compiled", tests, CDN_ARRAY_LEN(tests));
}
