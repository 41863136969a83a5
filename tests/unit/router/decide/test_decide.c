/* Whole decisions: reasons, runner-up, margin, ambiguity, and that explaining changes nothing:
 * `why` must show what clients get. */
#include "common/mem.h"
#include "common/str.h"
#include "router/base/edges.h"
#include "router/base/reason.h"
#include "router/choice/select.h"
#include "router/decide/decide.h"
#include "router/decide/explain.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

static struct router_table *three(void)
{
    return TABLE_OF("--simulate", "--edge", "name=fra,place=Frankfurt,url=http://a", "--edge",
                    "name=lhr,place=London,url=http://b", "--edge", "name=nrt,place=Tokyo,url=http://c",
                    "--overrides", "10.1.0.0/16=edge:nrt", "--overrides", "10.2.0.0/16=Paris",
                    "--default-place", "Frankfurt");
}

START_TEST(reasons)
{
    static const struct {
        const char *ip, *pin;
        int sick, full, drained, pinned; /* indexes of edges, -1: none */
        const char *edge, *reason, *place_reason, *runner_up;
        bool ambiguous;
    } rows[] = {
        {"10.2.0.1", NULL, -1, -1, -1, -1, "lhr", "override", "override", "fra", false},
        {"10.2.0.1", NULL, 1, -1, -1, -1, "fra", "health", "override", "nrt", false},
        {"10.2.0.1", NULL, -1, 1, -1, -1, "fra", "load", "override", "nrt", false},
        {"10.2.0.1", NULL, -1, -1, 1, -1, "fra", "health", "override", "nrt", false},
        {"10.2.0.1", NULL, -1, -1, -1, 2, "nrt", "pinned", "override", "lhr", false},
        {"10.2.0.1", NULL, 2, -1, -1, 2, "lhr", "health", "override", "fra", false},
        {"10.1.0.1", NULL, -1, -1, -1, -1, "nrt", "override", "override", "fra", false},
        {"10.1.0.1", NULL, 2, -1, -1, -1, "fra", "health", "override", "lhr", true},
        {"10.1.0.1", NULL, -1, -1, -1, 1, "nrt", "override", "override", "fra", false},
        {"127.0.0.1", NULL, -1, -1, -1, -1, "fra", "special", "special", "lhr", true},
        {"127.0.0.1", "Osaka", -1, -1, -1, -1, "nrt", "pinned", "pinned", "lhr", false},
        {"127.0.0.1", "edge:lhr", -1, -1, -1, -1, "lhr", "pinned", "pinned", "fra", false},
        {"127.0.0.1", "edge:lhr", 1, -1, -1, -1, "fra", "health", "pinned", "nrt", true},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct router_table *table = three();
        struct router_question question = {.client = addr(rows[i].ip), .pin = cdn_str(rows[i].pin)};
        if (rows[i].sick >= 0) {
            router_edge_flag_set(table->edges, (uint16_t)rows[i].sick, ROUTER_EDGE_SICK, true);
        }
        if (rows[i].full >= 0) {
            router_edge_flag_set(table->edges, (uint16_t)rows[i].full, ROUTER_EDGE_FULL, true);
        }
        if (rows[i].drained >= 0) {
            router_edge_flag_set(table->edges, (uint16_t)rows[i].drained, ROUTER_EDGE_DRAINED, true);
        }
        if (rows[i].pinned >= 0) {
            router_edges_pin(table->edges, (uint16_t)rows[i].pinned);
        }
        struct router_decision plain, traced;
        struct router_trace trace = {0};
        router_decide(table, &question, NULL, &plain);
        router_decide(table, &question, &trace, &traced);
        ck_assert_msg(strcmp(edge_name(table, plain.choice.edge), rows[i].edge) == 0, "row %zu: %s", i,
                      edge_name(table, plain.choice.edge));
        ck_assert_msg(strcmp(router_reason_word(plain.reason), rows[i].reason) == 0, "row %zu: %s", i,
                      router_reason_word(plain.reason));
        ck_assert_str_eq(router_reason_word(plain.where.reason), rows[i].place_reason);
        ck_assert_msg(strcmp(edge_name(table, plain.choice.runner_up), rows[i].runner_up) == 0, "row %zu: %s",
                      i, edge_name(table, plain.choice.runner_up));
        ck_assert_msg(plain.ambiguous == rows[i].ambiguous, "row %zu", i);
        ck_assert(traced.choice.edge == plain.choice.edge && traced.reason == plain.reason &&
                  traced.choice.runner_up == plain.choice.runner_up && traced.ambiguous == plain.ambiguous &&
                  traced.margin_ms == plain.margin_ms);
        ck_assert(trace.count > 2 && trace.count < ROUTER_TRACE_MAX);
        router_table_unref(table);
    }
}
END_TEST

/* The keys that programs rely on, and what a decision without any edge looks like. */
START_TEST(explanations)
{
    static const char *const keys[] = {"ip",
                                       "network",
                                       "special",
                                       "country",
                                       "country_name",
                                       "city",
                                       "subdivision",
                                       "lat",
                                       "lon",
                                       "accuracy_km",
                                       "accuracy_assumed",
                                       "precision",
                                       "source",
                                       "override",
                                       "reason",
                                       "place_reason",
                                       "edge",
                                       "url",
                                       "km",
                                       "rtt_ms",
                                       "rtt_label",
                                       "runner_up",
                                       "margin_ms",
                                       "ambiguous",
                                       "optimistic",
                                       "policy",
                                       "candidates",
                                       "steps"};
    struct router_table *table = three();
    static const char *const ips[] = {"10.1.0.1", "10.2.3.4", "8.8.8.8", "2001:db8::1", "255.255.255.255"};
    for (size_t drained = 0; drained < 2; drained++) {
        for (size_t i = 0; i < CDN_ARRAY_LEN(ips); i++) {
            struct router_question question = {.client = addr(ips[i])};
            struct router_trace trace = {0};
            struct router_decision d;
            for (uint16_t edge = 0; edge < 3; edge++) {
                router_edge_flag_set(table->edges, edge, ROUTER_EDGE_DRAINED, drained);
            }
            router_decide(table, &question, &trace, &d);
            json_t *o = router_explain(table, &question, &d, &trace, SIZE_MAX);
            for (size_t k = 0; k < CDN_ARRAY_LEN(keys); k++) {
                ck_assert_msg(json_object_get(o, keys[k]) != NULL, "%s: no key %s", ips[i], keys[k]);
            }
            ck_assert_str_eq(json_string_value(json_object_get(o, "ip")), ips[i]);
            ck_assert(json_is_null(json_object_get(o, "edge")) == (drained == 1));
            ck_assert_uint_eq(json_array_size(json_object_get(o, "candidates")), 3);
            json_decref(o);
            o = router_explain(table, &question, &d, NULL, 1);
            ck_assert_uint_eq(json_array_size(json_object_get(o, "candidates")), 1);
            ck_assert_ptr_null(json_object_get(o, "steps"));
            json_decref(o);
        }
    }
    router_table_unref(table);
}
END_TEST

START_TEST(networks)
{
    static const struct {
        const char *ip;
        unsigned len;
        const char *network;
    } rows[] = {
        {"255.255.255.255", 0, "0.0.0.0/0"},
        {"255.255.255.255", 1, "128.0.0.0/1"},
        {"10.1.2.3", 32, "10.1.2.3/32"},
        {"193.0.7.139", 23, "193.0.6.0/23"},
        {"2001:db8:ffff::1", 33, "2001:db8:8000::/33"},
        {"2001:db8::1", 128, "2001:db8::1/128"},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        struct router_where where = {.address = addr(rows[i].ip), .network_len = rows[i].len};
        char text[ROUTER_NETWORK_TEXT_SIZE];
        router_explain_network(&where, text);
        ck_assert_str_eq(text, rows[i].network);
    }
}
END_TEST

/* What was set at run time goes with the edge's name into the next table. */
START_TEST(inheritance)
{
    struct router_table *before = three();
    struct router_table *after =
        TABLE_OF("--edge", "name=nrt,place=Tokyo,url=http://c", "--edge", "name=new,place=Oslo,url=http://d",
                 "--edge", "name=fra,place=Frankfurt,url=http://a,weight=7");
    router_edge_flag_set(before->edges, edge_named(before, "fra"), ROUTER_EDGE_DRAINED, true);
    router_edge_flag_set(before->edges, edge_named(before, "lhr"), ROUTER_EDGE_SICK, true);
    router_edges_pin(before->edges, edge_named(before, "nrt"));
    router_edges_inherit(after->edges, before->edges);
    ck_assert_uint_eq(router_edge_flags(after->edges, edge_named(after, "fra")), ROUTER_EDGE_DRAINED);
    ck_assert_uint_eq(router_edge_weight(after->edges, edge_named(after, "fra")), 7);
    ck_assert_uint_eq(router_edge_flags(after->edges, edge_named(after, "new")), 0);
    ck_assert_uint_eq(router_edges_pinned(after->edges), edge_named(after, "nrt"));
    router_table_unref(before);
    router_table_unref(after);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {reasons, explanations, networks, inheritance};
    return run_suite("decide", tests, CDN_ARRAY_LEN(tests));
}
