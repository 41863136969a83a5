/* Ranking places and picking edges: orders at odd points of the globe, fail-over, load, weights. */
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geodesy.h"
#include "geo-data/latency.h"
#include "router/base/edges.h"
#include "router/base/reason.h"
#include "router/choice/select.h"
#include "router/choice/spread.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define NAMES_MAX 8

static struct router_edges *edges_at(const char *text)
{
    static struct router_edge_config configs[NAMES_MAX];
    static char names[NAMES_MAX][16];
    struct router_edges *edges = NULL;
    struct cdn_error err = {0};
    size_t n = 0;
    struct cdn_str rest = cdn_str(text);
    while (rest.p && rest.n) { /* "name:lat:lon name:lat:lon" */
        struct cdn_str one = cdn_str_cut(&rest, ' ');
        cdn_str_copy(names[n], sizeof(names[n]), cdn_str_cut(&one, ':'));
        double lat = 0, lon = 0;
        ck_assert(cdn_parse_real(cdn_str_cut(&one, ':'), &lat) && cdn_parse_real(one, &lon));
        configs[n] = (struct router_edge_config){names[n], "x", lat, lon, "http://h", "", 1, 0, "test"};
        n++;
    }
    ck_assert_msg(router_edges_create(configs, n, &edges, &err) == CDN_OK, "%s", err.text);
    return edges;
}

START_TEST(orders)
{
    static const struct {
        const char *edges;
        double lat, lon;
        const char *order;
    } rows[] = {
        /* over the poles and the date line, not round them */
        {"east:0:179 west:0:-170 far:0:150", 0, -179, "east west far"},
        {"east:0:179 west:0:-179", 0, 180, "east west"},
        {"east:0:179 west:0:-179", 0, -180, "east west"},
        {"a:80:0 b:60:0 c:85:180", 90, 0, "c a b"},
        {"a:80:0 b:85:180 c:0:0", 89, 10, "b a c"},
        {"south:-90:0 north:90:0 middle:0:90", -89, -120, "south middle north"},
        {"n1:90:0 n2:90:120 n3:89:0", 90, 77, "n1 n3"}, /* a pole is one place */
        {"e:0:10 w:0:-10 n:10:0", 0, 0, "e w n"},       /* equal costs: order of the configuration */
        {"b:10:10 a:10:10.5 c:10:9", 10, 10.1, "b a c"},
        {"antipode:-50.11:-171.32 fra:50.11:8.68", 50.11, 8.68, "fra antipode"},
        {"one:1:1", 50, 50, "one"},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        for (size_t max = 1; max <= NAMES_MAX; max++) {
            struct router_edges *edges = edges_at(rows[i].edges);
            struct router_candidate row[NAMES_MAX];
            size_t n =
                router_select_rank(edges, ROUTER_POLICY_DISTANCE, rows[i].lat, rows[i].lon, 0, row, max);
            ck_assert_uint_eq(n, max < edges->site_count ? max : edges->site_count);
            CDN_AUTOBUF struct cdn_buf got = {0};
            for (size_t k = 0; k < n; k++) {
                cdn_buf_printf(&got, "%s%s", k ? " " : "", edges->at[edges->sites[row[k].site].order].name);
            }
            ck_assert_msg(cdn_str_starts(cdn_str(rows[i].order), cdn_buf_str(&got)), "row %zu, %zu: %s", i,
                          max, got.p);
            router_edges_destroy(edges);
        }
    }
}
END_TEST

/* However a point is written, its edges are one site. */
START_TEST(points_of_two_names)
{
    static const struct {
        const char *edges;
        size_t sites;
    } rows[] = {
        {"a:0:180 b:0:-180", 1},          {"a:51.5:-180 b:51.5:180", 1}, {"a:90:0 b:90:120 c:90:-180", 1},
        {"a:-90:33 b:-90:-33", 1},        {"a:90:0 b:-90:0", 2},         {"a:0:180 b:0:179.9999", 2},
        {"a:89.9999:0 b:89.9999:120", 2}, {"a:0:0 b:-0.0:0", 1},         {"a:0:0 b:0:-0.0", 1},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct router_edges *edges = edges_at(rows[i].edges);
        ck_assert_msg(edges->site_count == rows[i].sites, "row %zu: %zu sites", i, edges->site_count);
        router_edges_destroy(edges);
    }
    static const double pairs[][4] = {
        {0, 180, 0, -180}, {-33, 180, -33, -180}, {90, 0, 90, 135}, {-90, 7, -90, 0}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(pairs); i++) {
        for (double lat = -80; lat <= 80; lat += 20) {
            for (double lon = -180; lon <= 180; lon += 30) {
                const double *p = pairs[i];
                ck_assert(geo_rtt_ms(lat, lon, p[0], p[1]) == geo_rtt_ms(lat, lon, p[2], p[3]));
                ck_assert_double_eq_tol(geo_distance_km(lat, lon, p[0], p[1]),
                                        geo_distance_km(lat, lon, p[2], p[3]), 1e-6);
            }
        }
    }
}
END_TEST

static struct router_choice pick(const struct router_edges *edges, double lat, double lon, uint64_t hash)
{
    struct router_candidate row[ROUTER_ROW];
    struct router_choice choice;
    size_t n = router_select_rank(edges, ROUTER_POLICY_RTT, lat, lon, 0, row, ROUTER_ROW);
    router_select_pick(edges, ROUTER_POLICY_RTT, lat, lon, hash, NULL, row, n, &choice);
    return choice;
}

static const char *name(const struct router_edges *edges, uint16_t edge)
{
    return edge == ROUTER_NO_EDGE ? "-" : edges->at[edge].name;
}

START_TEST(states)
{
    static const struct {
        uint32_t flags[3]; /* of a, b, c, in this order of distance */
        const char *edge, *runner_up, *skipped;
        bool optimistic;
    } rows[] = {
        {{0, 0, 0}, "a", "b", "-", false},
        {{ROUTER_EDGE_SICK, 0, 0}, "b", "c", "a", false},
        {{ROUTER_EDGE_DRAINED, 0, 0}, "b", "c", "a", false},
        {{ROUTER_EDGE_FULL, 0, 0}, "b", "c", "a", false},
        {{0, ROUTER_EDGE_SICK, 0}, "a", "c", "-", false},
        {{0, ROUTER_EDGE_SICK, ROUTER_EDGE_SICK}, "a", "-", "-", false},
        {{ROUTER_EDGE_SICK, ROUTER_EDGE_SICK, 0}, "c", "-", "a", false},
        {{ROUTER_EDGE_SICK, ROUTER_EDGE_FULL, 0}, "c", "-", "a", false},
        {{ROUTER_EDGE_SICK, ROUTER_EDGE_FULL, ROUTER_EDGE_SICK},
         "b",
         "-",
         "a",
         false}, /* full is better than sick */
        {{ROUTER_EDGE_FULL, ROUTER_EDGE_FULL, ROUTER_EDGE_FULL}, "a", "b", "-", false},
        {{ROUTER_EDGE_SICK, ROUTER_EDGE_SICK, ROUTER_EDGE_SICK}, "a", "b", "-", true},
        {{ROUTER_EDGE_SICK | ROUTER_EDGE_DRAINED, ROUTER_EDGE_SICK, ROUTER_EDGE_SICK}, "b", "c", "a", true},
        {{ROUTER_EDGE_DRAINED, ROUTER_EDGE_DRAINED, ROUTER_EDGE_DRAINED}, "-", "-", "a", false},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct router_edges *edges = edges_at("a:0:0 b:0:10 c:0:20");
        for (size_t k = 0; k < 3; k++) {
            for (uint32_t bit = 1; bit <= ROUTER_EDGE_FULL; bit <<= 1) {
                router_edge_flag_set(edges, (uint16_t)k, (enum router_edge_flag)bit, rows[i].flags[k] & bit);
            }
        }
        struct router_choice c = pick(edges, 0, 1, 0);
        ck_assert_msg(strcmp(name(edges, c.edge), rows[i].edge) == 0, "row %zu: %s", i, name(edges, c.edge));
        ck_assert_msg(strcmp(name(edges, c.runner_up), rows[i].runner_up) == 0, "row %zu: runner-up %s", i,
                      name(edges, c.runner_up));
        ck_assert_msg(strcmp(name(edges, c.skipped), rows[i].skipped) == 0, "row %zu: skipped %s", i,
                      name(edges, c.skipped));
        ck_assert_msg(c.optimistic == rows[i].optimistic, "row %zu", i);
        router_edges_destroy(edges);
    }
}
END_TEST

START_TEST(no_edges)
{
    struct router_edges *edges = edges_at("");
    struct router_choice c = pick(edges, 0, 0, 0);
    ck_assert_uint_eq(c.edge, ROUTER_NO_EDGE);
    ck_assert_uint_eq(c.runner_up, ROUTER_NO_EDGE);
    router_edges_destroy(edges);
}
END_TEST

static struct router_edges *many(size_t n)
{
    struct router_edge_config *configs = cdn_calloc(n, sizeof(*configs));
    char(*names)[24] = cdn_calloc(n, sizeof(*names));
    struct router_edges *edges = NULL;
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof(names[i]), "e%zu", i);
        double lat = -90 + 180.0 * (double)(i * 7 % n) / (double)n;
        double lon = -180 + 360.0 * (double)(i * 13 % n) / (double)n;
        configs[i] = (struct router_edge_config){names[i], "x", lat, lon, "http://h", "", 1, 0, "test"};
    }
    struct cdn_error err = {0};
    enum cdn_status status = router_edges_create(configs, n, &edges, &err);
    ck_assert_msg((n <= ROUTER_EDGES_MAX) == (status == CDN_OK), "%zu: %s", n, err.text);
    free(configs);
    free(names);
    return edges;
}

/* The short row must agree with the ranking of all, and so must a pick far beyond the row. */
START_TEST(two_thousand_edges)
{
    struct router_edges *edges = many(2000);
    struct router_candidate *all = cdn_calloc(2000, sizeof(*all)), row[ROUTER_ROW];
    for (double lat = -90; lat <= 90; lat += 45) {
        for (double lon = -180; lon <= 180; lon += 60) {
            size_t n = router_select_rank(edges, ROUTER_POLICY_RTT, lat, lon, 0, all, 2000);
            ck_assert_uint_eq(n, edges->site_count);
            ck_assert_uint_eq(router_select_rank(edges, ROUTER_POLICY_RTT, lat, lon, 0, row, ROUTER_ROW),
                              ROUTER_ROW);
            for (size_t i = 0; i < ROUTER_ROW; i++) {
                ck_assert_uint_eq(row[i].site, all[i].site);
            }
            for (size_t i = 1; i < n; i++) {
                ck_assert(all[i - 1].rtt_ms <= all[i].rtt_ms);
            }
        }
    }
    router_select_rank(edges, ROUTER_POLICY_RTT, 10, 10, 0, all, 2000);
    for (size_t i = 0; i < 100; i++) { /* the hundred nearest die */
        router_edge_flag_set(edges, edges->members[edges->sites[all[i].site].first], ROUTER_EDGE_SICK, true);
    }
    struct router_choice c = pick(edges, 10, 10, 0);
    ck_assert_uint_eq(edges->at[c.edge].site, all[100].site);
    ck_assert_uint_eq(edges->at[c.runner_up].site, all[101].site);
    ck_assert_uint_eq(edges->at[c.skipped].site, all[0].site);
    free(all);
    router_edges_destroy(edges);
    ck_assert_ptr_null(many(ROUTER_EDGES_MAX + 1));
}
END_TEST

#define PATHS 20000u
#define SAME_PLACE "a:1:1 b:1:1 c:1:1 d:1:1"

static uint64_t path_hash(unsigned i)
{
    char path[32];
    int n = snprintf(path, sizeof(path), "/static/%u.js", i);
    return router_spread_hash((struct cdn_str){path, (size_t)n});
}

static uint64_t hash_of(const char *path)
{
    return router_spread_hash(cdn_str(path));
}

START_TEST(spellings_of_a_path_go_to_one_edge)
{
    static const char *const same[] = {"/%61pp.css", "/x/../app.css", "/x/%2e%2E/app.css", "/./app.css",
                                       "/../app%2Ecss"};
    static const char *const others[] = {"/App.css", "/app.css/", "//app.css", "/%2561pp.css", "/100%", ""};
    for (size_t i = 0; i < CDN_ARRAY_LEN(same); i++) {
        ck_assert_msg(hash_of(same[i]) == hash_of("/app.css"), "%s", same[i]);
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(others); i++) {
        ck_assert_msg(hash_of(others[i]) != hash_of("/app.css"), "%s", others[i]);
    }
}
END_TEST

START_TEST(spread_follows_weights)
{
    static const unsigned weights[] = {1, 2, 1, 0};
    struct router_edges *edges = edges_at(SAME_PLACE);
    unsigned got[4] = {0};
    for (uint16_t i = 0; i < 4; i++) {
        router_edge_weight_set(edges, i, weights[i]);
    }
    for (unsigned i = 0; i < PATHS; i++) {
        got[pick(edges, 0, 0, path_hash(i)).edge]++;
    }
    for (size_t i = 0; i < 4; i++) {
        double share = (double)got[i] / PATHS, expected = weights[i] / 4.0;
        ck_assert_msg(share > expected - 0.015 && share < expected + 0.015, "edge %zu: %.3f, not %.3f", i,
                      share, expected);
    }
    ck_assert_uint_eq(got[3], 0);
    router_edges_destroy(edges);
}
END_TEST

START_TEST(spread_is_stable)
{
    struct router_edges *edges = edges_at(SAME_PLACE);
    uint16_t *before = cdn_calloc(PATHS, sizeof(*before));
    for (unsigned i = 0; i < PATHS; i++) {
        before[i] = pick(edges, 0, 0, path_hash(i)).edge;
    }
    router_edge_flag_set(edges, 2, ROUTER_EDGE_SICK, true);
    unsigned moved[4] = {0};
    for (unsigned i = 0; i < PATHS; i++) {
        struct router_choice c = pick(edges, 0, 0, path_hash(i));
        ck_assert_uint_ne(c.edge, 2);
        ck_assert_uint_eq(c.skipped, before[i] == 2 ? 2 : ROUTER_NO_EDGE);
        if (before[i] != 2) {
            ck_assert_uint_eq(c.edge, before[i]); /* nobody else's paths move */
        } else {
            moved[c.edge]++;
        }
    }
    ck_assert(moved[0] > PATHS / 20 && moved[1] > PATHS / 20 &&
              moved[3] > PATHS / 20); /* shared among the others */
    router_edges_destroy(edges);
    edges = edges_at("d:1:1 b:1:1 a:1:1 c:1:1"); /* the order of the configuration does not matter */
    static const char names[] = "abcd";
    for (unsigned i = 0; i < PATHS; i++) {
        ck_assert_int_eq(edges->at[pick(edges, 0, 0, path_hash(i)).edge].name[0], names[before[i]]);
    }
    free(before);
    router_edges_destroy(edges);
}
END_TEST

START_TEST(policies)
{
    struct router_table *table = TABLE_OF("--edge", "name=lhr,place=London,url=http://a", "--edge",
                                          "name=nrt,place=Tokyo,url=http://b", "--policy", "pinned",
                                          "--simulate", "--edge", "name=syd,place=Sydney,url=http://c");
    struct router_question question = {.client = addr("10.0.0.1"), .pin = CDN_STR("Osaka")};
    struct router_decision d;
    router_decide(table, &question, NULL, &d);
    ck_assert_str_eq(edge_name(table, d.choice.edge), "lhr");
    ck_assert_int_eq(d.reason, ROUTER_REASON_PINNED);
    router_edge_flag_set(table->edges, 0, ROUTER_EDGE_SICK, true);
    router_decide(table, &question, NULL, &d);
    ck_assert_str_eq(edge_name(table, d.choice.edge), "nrt");
    ck_assert_int_eq(d.reason, ROUTER_REASON_HEALTH);
    router_table_unref(table);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {orders,
                                  points_of_two_names,
                                  states,
                                  no_edges,
                                  two_thousand_edges,
                                  spread_follows_weights,
                                  spread_is_stable,
                                  spellings_of_a_path_go_to_one_edge,
                                  policies};
    return run_suite("select", tests, CDN_ARRAY_LEN(tests));
}
