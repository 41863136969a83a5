/* The fields of an answer: what each says, of addresses of all kinds, and with no edge to go to. */
#include "cli/geo/geo_row.h"
#include "common/mem.h"
#include "common/str.h"
#include "router/base/edges.h"
#include "router/decide/decide.h"
#include "router/table/table.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/banned.h"

static struct router_table *table;

static void set_up(void)
{
    table = TABLE_OF("--simulate", "--edge", "name=fra,place=Frankfurt,url=http://a.example", "--edge",
                     "name=nrt,place=Tokyo,url=http://b.example", "--overrides", "10.1.0.0/16=edge:nrt",
                     "--overrides", "10.2.0.0/16=Paris", "--overrides", "2001:db8:1::/48=Osaka",
                     "--default-place", "Frankfurt");
}

static void tear_down(void)
{
    router_table_unref(table);
}

static const struct {
    /* ip|network|source|reason|edge|url|runner_up|ambiguous|line; the network is what the place depended on,
     * and an override that names an edge says no place */
    const char *ip, *values;
} rows[] = {
    {"10.1.2.3", "10.1.2.3|10.0.0.0/8|default|override|nrt|http://b.example|fra|no|7"},
    {"10.2.255.255", "10.2.255.255|10.2.0.0/16|override|override|fra|http://a.example|nrt|no|7"},
    {"2001:db8:1::5", "2001:db8:1::5|2001:db8:1::/48|override|override|nrt|http://b.example|fra|no|7"},
    {"2001:0DB8:0001:0:0::5",
     "2001:db8:1::5|2001:db8:1::/48|override|override|nrt|http://b.example|fra|no|7"},
    {"::ffff:10.1.2.3", "10.1.2.3|10.0.0.0/8|default|override|nrt|http://b.example|fra|no|7"}, /* mapped */
};

static void put(const struct geo_row *row, const char *names, struct cdn_buf *out)
{
    struct cdn_str rest = cdn_str(names);
    for (unsigned i = 0; rest.p; i++) {
        enum geo_field field;
        ck_assert(geo_field_find(cdn_str_cut(&rest, '|'), &field));
        cdn_buf_printf(out, "%s", i ? "|" : "");
        geo_field_put(row, field, out);
    }
}

static struct geo_row row_of(const char *ip)
{
    struct geo_row row = {.table = table, .question.client = addr(ip), .line = 7};
    router_decide(table, &row.question, NULL, &row.decision);
    return row;
}

START_TEST(what_fields_say)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    const struct geo_row row = row_of(rows[_i].ip);
    put(&row, "ip|network|source|reason|edge|url|runner_up|ambiguous|line", &out);
    ck_assert_str_eq(out.p, rows[_i].values);
    ck_assert_int_eq(geo_row_found(&row), GEO_FOUND);
}
END_TEST

static const struct {
    const char *ip, *special;
    enum geo_found found;
} specials[] = {
    {"127.0.0.1", "loopback", GEO_SPECIAL},  {"10.9.9.9", "private", GEO_SPECIAL},
    {"192.168.1.1", "private", GEO_SPECIAL}, {"192.0.2.1", "documentation", GEO_SPECIAL},
    {"::1", "loopback", GEO_SPECIAL},
};

START_TEST(special_ranges)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    const struct geo_row row = row_of(specials[_i].ip);
    put(&row, "special", &out);
    ck_assert_str_eq(out.p, specials[_i].special);
    ck_assert_int_eq(geo_row_found(&row), specials[_i].found);
}
END_TEST

/* Numbers have their decimals, and agree with one another. */
START_TEST(numbers)
{
    double rtt, margin, km;
    char first[8], second[8];
    double best, next;
    CDN_AUTOBUF struct cdn_buf out = {0};
    const struct geo_row row = row_of("10.2.0.1"); /* Paris */
    put(&row, "lat|lon|km|rtt_ms|margin_ms|edges", &out);
    ck_assert_msg(sscanf(out.p, "48.85%*1[0-9]%*1[0-9]|2.3%*[0-9]|%lf|%lf|%lf|%3[a-z]:%lf|%3[a-z]:%lf", &km,
                         &rtt, &margin, first, &best, second, &next) == 7,
                  "%s", out.p);
    ck_assert(km > 400 && km < 550); /* to Frankfurt */
    ck_assert_str_eq(first, "fra");
    ck_assert_str_eq(second, "nrt");
    ck_assert(best - rtt < 0.06 && rtt - best < 0.06);
    ck_assert(next - best - margin < 0.11 && margin - next + best < 0.11);
}
END_TEST

START_TEST(no_edge_to_go_to)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    for (uint16_t edge = 0; edge < 2; edge++) {
        router_edge_flag_set(table->edges, edge, ROUTER_EDGE_DRAINED, true);
    }
    const struct geo_row row = row_of("10.2.0.1");
    put(&row, "edge|url|km|rtt_ms|runner_up|margin_ms|ambiguous|ip", &out);
    ck_assert_str_eq(out.p, "||||||no|10.2.0.1");
}
END_TEST

START_TEST(one_edge_has_no_runner_up)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    router_edge_flag_set(table->edges, edge_named(table, "fra"), ROUTER_EDGE_DRAINED, true);
    const struct geo_row row = row_of("10.2.0.1");
    put(&row, "edge|runner_up|margin_ms", &out);
    ck_assert_str_eq(out.p, "nrt||");
}
END_TEST

/* Of a stencil, what differs between addresses of a record is a mark, and nothing else is. */
START_TEST(marks)
{
    struct geo_row row = row_of("10.1.2.3");
    row.stencil = true;
    for (unsigned visible = 0; visible < 2; visible++) {
        for (size_t i = 0; i < GEO_FIELD_COUNT; i++) {
            CDN_AUTOBUF struct cdn_buf out = {0};
            const enum geo_field field = (enum geo_field)i;
            if (visible) {
                geo_field_put_visible(&row, field, &out);
            } else {
                geo_field_put(&row, field, &out);
            }
            const char mark = field == GEO_FIELD_ip        ? GEO_MARK_IP
                              : field == GEO_FIELD_network ? GEO_MARK_NETWORK
                              : field == GEO_FIELD_line    ? GEO_MARK_LINE
                                                           : '\0';
            ck_assert(mark ? out.n == 1 && out.p[0] == mark : !out.n || (unsigned char)out.p[0] >= ' ');
        }
    }
}
END_TEST

/* Names are spelled as they are. */
static const struct {
    const char *name;
    bool known;
} names[] = {{"ip", true},   {"IP", false},    {"ip ", false},    {"", false},       {"i", false},
             {"ipx", false}, {"rtt_ms", true}, {"rtt-ms", false}, {"country", true}, {"country_nam", false}};

START_TEST(names_are_exact)
{
    enum geo_field field;
    ck_assert(geo_field_find(cdn_str(names[_i].name), &field) == names[_i].known);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("geo_row");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, what_fields_say, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_loop_test(all, special_ranges, 0, (int)CDN_ARRAY_LEN(specials));
    tcase_add_test(all, numbers);
    tcase_add_test(all, no_edge_to_go_to);
    tcase_add_test(all, one_edge_has_no_runner_up);
    tcase_add_test(all, marks);
    tcase_add_loop_test(all, names_are_exact, 0, (int)CDN_ARRAY_LEN(names));
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
