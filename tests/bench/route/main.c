/* bench-route: how long a decision takes.
 *
 *     bench-route [--edges N] [--addresses N] [--passes N] [--db FILE]...
 *
 * Random addresses with a fixed seed, one thread. Each line is the best of some passes over all of them, in
 * CPU time, so that other work on the machine counts little. Without --db the embedded database is used. The
 * first edges are the sites of the geo library, further ones are spread over the globe.
 */
#include "common/config/config.h"
#include "common/mem.h"
#include "common/mix.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/places.h"
#include "router/base/settings.h"
#include "router/choice/select.h"
#include "router/decide/compiled.h"
#include "router/decide/compiled_private.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"
#include "tests/bench/route/baseline.h"

#include <maxminddb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "common/banned.h"

#define EDGES_MAX 4000u
#define PASSES_MAX 100u

struct bench {
    size_t edge_count, address_count, pass_count, db_count;
    const char *db[2];
    struct router_table *table;
    struct baseline baseline;
    double edges[EDGES_MAX][2];
    uint64_t check; /* so that nothing is left out */
};

static bool number_option(const char *text, size_t max, size_t *ret)
{
    uint64_t value;
    if (!text || !cdn_parse_u64(cdn_str(text), &value) || value < 1 || value > max) {
        return false;
    }
    *ret = (size_t)value;
    return true;
}

static bool options_parse(struct bench *b, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool ok = false;
        if (strcmp(argv[i], "--edges") == 0) {
            ok = number_option(value, EDGES_MAX, &b->edge_count);
        } else if (strcmp(argv[i], "--addresses") == 0) {
            ok = number_option(value, 1000u << 20, &b->address_count);
        } else if (strcmp(argv[i], "--passes") == 0) {
            ok = number_option(value, PASSES_MAX, &b->pass_count);
        } else if (strcmp(argv[i], "--db") == 0 && value && b->db_count < CDN_ARRAY_LEN(b->db)) {
            ok = (b->db[b->db_count++] = value);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

static uint64_t random_at(uint64_t i) /* of the sequence from 0: each number by itself */
{
    return cdn_mix64((i + 1) * CDN_MIX_STEP);
}

/* Unicast IPv4; IPv6 in the registries' five large blocks. Made when it is needed: an array of them would
 * push the tables out of the caches. */
static inline __attribute__((always_inline)) void address_make(int family, uint64_t i, struct cdn_addr *ret)
{
    uint64_t x = random_at(i);
    ret->sa.sa_family = (sa_family_t)family;
    if (family == AF_INET) {
        ret->v4.sin_addr.s_addr = __builtin_bswap32((uint32_t)((x >> 32) * 0xdf000000u >> 32) + 0x01000000u);
    } else {
        x = __builtin_bswap64(0x2400000000000000u + (((x & 0xfff) * 5 >> 12) << 57) + (x >> 12));
        memcpy(ret->v6.sin6_addr.s6_addr, &x, 8);
    }
}

static void edge_place(struct bench *b, size_t i)
{
    bool known = i < geo_site_count();
    b->edges[i][0] = known ? geo_site_at(i)->lat : (double)(i * 7919 % 13000) / 100 - 55;
    b->edges[i][1] = known ? geo_site_at(i)->lon : (double)(i * 104729 % 36000) / 100 - 180;
}

static enum cdn_status table_open(struct bench *b, struct cdn_error *err)
{
    const char **argv = cdn_calloc(2 * (b->edge_count + b->db_count) + 2, sizeof(*argv));
    int argc = 0;
    argv[argc++] = "pocketcdn-router";
    for (size_t i = 0; i < b->edge_count; i++) {
        edge_place(b, i);
        argv[argc++] = "--edge";
        argv[argc++] =
            cdn_asprintf("name=e%zu,place=%.4f,%.4f,url=http://h", i, b->edges[i][0], b->edges[i][1]);
    }
    for (size_t i = 0; i < b->db_count; i++) {
        argv[argc++] = "--database";
        argv[argc++] = b->db[i];
    }
    struct router_config config = {0};
    enum cdn_config_outcome outcome;
    enum cdn_status status = router_config_load(argc, (char **)(uintptr_t)argv, &config, &outcome, err);
    if (status == CDN_OK) {
        status = router_table_create(&config, &b->table, err);
    }
    router_config_free(&config);
    for (size_t i = 0; i < b->edge_count; i++) {
        free((void *)(uintptr_t)argv[2 + 2 * i]);
    }
    free(argv);
    return status;
}

/* ---- what is measured ---- */

static void look_up(struct bench *b, const struct router_question *q)
{
    MMDB_lookup_result_s found;
    b->check += baseline_look_up(&b->baseline, &q->client, &found) ? found.entry.offset : 0;
}

static void haversine(struct bench *b, const struct router_question *q)
{
    b->check += (uint64_t)baseline_nearest(&b->baseline, &q->client);
}

static void by_chain(struct bench *b, const struct router_question *q)
{
    struct router_decision d;
    router_decide(b->table, q, NULL, &d);
    b->check += d.choice.edge;
}

static void compiled(struct bench *b, const struct router_question *q)
{
    struct router_brief brief;
    router_decide_brief(b->table, q, 2, &brief);
    b->check += brief.edges[0];
}

static void edge_only(struct bench *b, const struct router_question *q)
{
    const struct router_compiled *c = atomic_load(&b->table->compiled);
    b->check += c->quick[c->find(c, &q->client)].edges[0];
}

static void scope(struct bench *b, const struct router_question *q)
{
    b->check += router_decide_scope(b->table, &q->client);
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Inlined, so that no call through a pointer is measured with it. */
static inline __attribute__((always_inline)) double measure(struct bench *b, int family, const char *name,
                                                            void (*one)(struct bench *,
                                                                        const struct router_question *),
                                                            double against)
{
    double ns = 0;
    struct router_question question = {0}; /* of no path: each place has one edge */
    for (unsigned pass = 0; pass < b->pass_count; pass++) {
        int64_t start = cpu_ns();
        for (size_t i = 0; i < b->address_count; i++) {
            address_make(family, i, &question.client);
            one(b, &question);
        }
        double took = (double)(cpu_ns() - start) / (double)b->address_count;
        ns = pass == 0 || took < ns ? took : ns;
    }
    printf("  %-46s %9.1f ns", name, ns);
    if (against > 0) {
        printf("   %.0f x", against / ns);
    }
    printf("\n");
    return ns;
}

/* Inlined with a constant family, as above. */
static inline __attribute__((always_inline)) void family_measure(struct bench *b, const char *name,
                                                                 int family)
{
    printf("%s, %zu random addresses, %zu edges\n", name, b->address_count, b->edge_count);
    measure(b, family, "MMDB_lookup_sockaddr", look_up, 0);
    double base = measure(b, family, "MMDB_lookup_sockaddr, place, haversine", haversine, 0);
    measure(b, family, "chain: all that can be said (router_decide)", by_chain, base);
    measure(b, family, "compiled: the edge that is best for the place", edge_only, base);
    measure(b, family, "compiled: edge, runner-up, reason, by health", compiled, base);
    measure(b, family, "compiled: scope of a client subnet", scope, 0);
}

static enum cdn_status run(struct bench *b, struct cdn_error *err)
{
    static const char *const embedded = CDN_SOURCE_DIR "/geo-data/world.mmdb";
    enum cdn_status status = table_open(b, err);
    if (status == CDN_OK) {
        status =
            baseline_open(&b->baseline, b->db_count ? b->db : &embedded, b->db_count ? b->db_count : 1, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    b->baseline.edges = (const double(*)[2])b->edges;
    b->baseline.edge_count = b->edge_count;
    int64_t start = cpu_ns();
    status = router_compiled_build(b->table, NULL, err);
    if (status != CDN_OK) {
        return status;
    }
    struct router_compiled_info info;
    router_compiled_info(atomic_load(&b->table->compiled), &info);
    printf("compiled in %.3f s: %zu rows, %zu classes, %zu + %zu networks, %.1f MB\n",
           (double)(cpu_ns() - start) / 1e9, info.rows, info.classes, info.networks[0], info.networks[1],
           (double)info.bytes / 1e6);
    family_measure(b, "IPv4", AF_INET);
    family_measure(b, "IPv6", AF_INET6);
    return CDN_OK;
}

int main(int argc, char **argv)
{
    static struct bench b = {.edge_count = 20, .address_count = 1000000, .pass_count = 5};
    struct cdn_error err;
    if (!options_parse(&b, argc, argv)) {
        fprintf(stderr, "usage: bench-route [--edges N] [--addresses N] [--passes N] [--db FILE]...\n");
        return 2;
    }
    enum cdn_status status = run(&b, &err);
    if (status != CDN_OK) {
        fprintf(stderr, "bench-route: %s\n", err.text);
    }
    baseline_close(&b.baseline);
    router_table_unref(b.table);
    return b.check == 1 ? 1 : cdn_status_exit_code(status);
}
