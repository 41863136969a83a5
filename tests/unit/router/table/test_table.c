/* Tables of odd configurations and of damaged databases: a clear refusal, or answers on which the compiled
 * table and the chain agree; never a crash, never a walk without end. */
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "router/base/edges.h"
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
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

#define WORLD CDN_SOURCE_DIR "/geo-data/world.mmdb"

static uint64_t random_next(uint64_t *state) /* xorshift64* */
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

struct bytes {
    unsigned char *p;
    size_t n;
};

static struct bytes world(void)
{
    FILE *file = fopen(WORLD, "rb");
    struct stat st;
    ck_assert(file && fstat(fileno(file), &st) == 0);
    struct bytes b = {cdn_malloc((size_t)st.st_size), (size_t)st.st_size};
    ck_assert_uint_eq(fread(b.p, 1, b.n, file), b.n);
    fclose(file);
    return b;
}

static void check_agreement(const struct router_table *table, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        struct router_question question = {.client = {.v4 = {.sin_family = AF_INET}}};
        uint64_t bits = random_next(&seed);
        question.client.v4.sin_addr.s_addr = (uint32_t)(bits >> 32);
        if (i % 2) {
            question.client = (struct cdn_addr){.v6 = {.sin6_family = AF_INET6}};
            memcpy(question.client.v6.sin6_addr.s6_addr, &bits, 8);
            question.client.v6.sin6_addr.s6_addr[0] = 0x2a;
        }
        struct router_decision d;
        struct router_brief b;
        router_decide(table, &question, NULL, &d);
        router_decide_brief(table, &question, 2, &b);
        ck_assert_uint_eq(b.count > 0 ? b.edges[0] : ROUTER_NO_EDGE, d.choice.edge);
        ck_assert_uint_eq(b.count > 1 ? b.edges[1] : ROUTER_NO_EDGE, d.choice.runner_up);
        ck_assert_int_eq(b.reason, d.reason);
    }
}

/* Opens, compiles, asks; returns whether the file was taken at all. */
static bool try_file(const struct bytes *content, const char *what)
{
    char path[] = "/tmp/cdn-test-table-XXXXXX";
    int fd = mkstemp(path);
    ck_assert(fd >= 0);
    ck_assert(write(fd, content->p, content->n) == (ssize_t)content->n);
    close(fd);
    struct router_table *table = NULL;
    struct cdn_error err = {0};
    bool taken = table_try(&table, &err, "--database", path, NULL) == CDN_OK;
    if (!taken) {
        ck_assert_msg(strstr(err.text, path) != NULL, "%s: %s", what, err.text);
    } else {
        struct cdn_error why = {0};
        if (router_compiled_build(table, NULL, &why) != CDN_OK) {
            ck_assert_msg(strstr(why.text, path) != NULL, "%s: %s", what, why.text);
        }
        check_agreement(table, 200, 5);
    }
    router_table_unref(table);
    unlink(path);
    return taken;
}

START_TEST(truncated)
{
    struct bytes whole = world();
    ck_assert(try_file(&whole, "whole"));
    const size_t step = is_long_test() ? 1000 : 9973;
    for (size_t n = 0; n < whole.n; n += step) {
        struct bytes part = {whole.p, n};
        ck_assert_msg(!try_file(&part, "truncated"), "%zu of %zu bytes were taken", n, whole.n);
    }
    free(whole.p);
}
END_TEST

/* Random bytes in the tree, in the data, anywhere; and nothing but random bytes. */
START_TEST(random_bytes)
{
    struct bytes whole = world(), copy = {cdn_malloc(whole.n), whole.n};
    uint64_t state = 9;
    size_t taken = 0;
    const size_t rounds = is_long_test() ? 40 : 12; /* all that the remainders below tell apart */
    for (size_t round = 0; round < rounds; round++) {
        memcpy(copy.p, whole.p, whole.n);
        size_t from = round % 3 == 1 ? whole.n / 8 * 7 : 0;
        size_t to = round % 3 == 0 ? whole.n / 8 * 7 : whole.n;
        for (size_t i = 0; i < (round % 2 ? 1u : 200u); i++) {
            copy.p[from + random_next(&state) % (to - from)] = (unsigned char)(random_next(&state) >> 56);
        }
        taken += try_file(&copy, "random bytes inside");
    }
    ck_assert_uint_gt(taken, 0); /* or the rest was not tested */
    for (size_t round = 0; round < 10; round++) {
        copy.n = (size_t)(random_next(&state) % 100000);
        for (size_t i = 0; i < copy.n; i++) {
            copy.p[i] = (unsigned char)(random_next(&state) >> 56);
        }
        ck_assert(!try_file(&copy, "random bytes"));
    }
    free(copy.p);
    free(whole.p);
}
END_TEST

/* The first records of the tree lead back to the root: 24-bit records, 0 is the root. */
START_TEST(cycles)
{
    struct bytes whole = world(), copy = {cdn_malloc(whole.n), whole.n};
    for (size_t record = 0; record < 12; record += is_long_test() ? 1 : 4) {
        memcpy(copy.p, whole.p, whole.n);
        memset(copy.p + 3 * record, 0, 3);
        try_file(&copy, "cycle");
    }
    memcpy(copy.p, whole.p, whole.n);
    memset(copy.p, 0, 6);
    try_file(&copy, "both sides of the root lead to it");
    free(copy.p);
    free(whole.p);
}
END_TEST

START_TEST(absurd_sizes)
{
    static const char *const keys[] = {"node_count", "record_size", "ip_version", "build_epoch"};
    struct bytes whole = world(), copy = {cdn_malloc(whole.n), whole.n};
    for (size_t i = 0; i < CDN_ARRAY_LEN(keys); i++) {
        memcpy(copy.p, whole.p, whole.n);
        unsigned char *tail = copy.p + copy.n - 4096;
        unsigned char *key = memmem(tail, 4096, keys[i], strlen(keys[i]));
        ck_assert_ptr_nonnull(key);
        size_t size = key[strlen(keys[i])] & 31u; /* of the integer behind the key */
        ck_assert_uint_le(size, 8);
        memset(key + strlen(keys[i]) + 1, 0xff, size);
        bool taken = try_file(&copy, keys[i]);
        ck_assert_msg(!taken || strcmp(keys[i], "build_epoch") == 0, "%s", keys[i]);
    }
    free(copy.p);
    free(whole.p);
}
END_TEST

static struct router_table *table_of_edges(size_t n)
{
    struct router_config config = {0};
    struct router_table *table;
    struct cdn_error err = {0};
    ck_assert_msg(router_config_read(NULL, &config, &err) == CDN_OK, "%s", err.text);
    const struct router_edge_entry like = config.edges[0];
    struct router_edge_entry *own = config.edges, *edges = cdn_calloc(n + 1, sizeof(*edges));
    size_t own_count = config.edge_count;
    for (size_t i = 0; i < n; i++) {
        edges[i] = like;
        edges[i].settings.name = cdn_asprintf("e%zu", i);
        edges[i].settings.place = cdn_asprintf("%.2f,%.2f", (double)(i * 7919 % 18001) / 100 - 90,
                                               (double)(i * 104729 % 36001) / 100 - 180);
    }
    config.edges = edges;
    config.edge_count = n;
    ck_assert_msg(router_table_create(&config, &table, &err) == CDN_OK, "%s", err.text);
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)edges[i].settings.name);
        free((void *)(uintptr_t)edges[i].settings.place);
    }
    free(edges);
    config.edges = own;
    config.edge_count = own_count;
    router_config_free(&config);
    return table;
}

START_TEST(numbers_of_edges)
{
    static const size_t counts[] = {0, 1, 2, 7, 8, 9, 2000};
    for (size_t i = 0; i < CDN_ARRAY_LEN(counts); i++) {
        struct router_table *table = table_of_edges(counts[i]);
        struct cdn_error err;
        ck_assert_msg(router_compiled_build(table, NULL, &err) == CDN_OK, "%s", err.text);
        check_agreement(table, 500, 3);
        for (uint16_t edge = 0; edge < counts[i]; edge++) {
            router_edge_flag_set(table->edges, edge, ROUTER_EDGE_DRAINED, true);
        }
        check_agreement(table, 20, 4);
        router_table_unref(table);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {truncated, random_bytes, cycles, absurd_sizes, numbers_of_edges};
    return run_suite("table", tests, CDN_ARRAY_LEN(tests));
}
