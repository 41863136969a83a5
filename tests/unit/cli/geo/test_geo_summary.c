/* How many addresses have which value: counted, ordered, printed both ways. Sums that do not add
 * up show here. */
#include "cli/geo/geo_row.h"
#include "cli/geo/geo_summary.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "router/decide/decide.h"
#include "router/table/table.h"
#include "tests/unit/router/table_of.h"

#include <check.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

static struct router_table *table;

static void set_up(void)
{
    table = TABLE_OF("--simulate", "--edge", "name=fra,place=Frankfurt,url=http://a", "--edge",
                     "name=nrt,place=Tokyo,url=http://b", "--edge", "name=lhr,place=London,url=http://c",
                     "--overrides", "10.1.0.0/16=edge:nrt", "--overrides", "10.2.0.0/16=edge:fra",
                     "--overrides", "10.3.0.0/16=edge:lhr");
}

static void tear_down(void)
{
    router_table_unref(table);
}

/* Counts the addresses of a list with spaces. */
static void count(struct geo_summary *s, const char *ips)
{
    struct cdn_str rest = cdn_str(ips);
    uint64_t line = 0;
    while (rest.p && rest.n) {
        CDN_AUTOFREE char *ip = cdn_str_dup(cdn_str_cut(&rest, ' '));
        struct geo_row row = {.table = table, .question.client = addr(ip), .line = ++line};
        router_decide(table, &row.question, NULL, &row.decision);
        geo_summary_count(s, &row);
    }
}

static const struct {
    const char *fields, *ips, *text, *json;
} rows[] = {
    {"edge", "", "FIELD  VALUE  ADDRESSES  %\n", "{\"addresses\":0,\"edge\":{}}\n"},
    {"edge", "10.1.0.1 10.2.0.1 10.1.0.2",
     "FIELD  VALUE  ADDRESSES     %\nedge   nrt            2  66.7\nedge   fra            1  33.3\n",
     "{\"addresses\":3,\"edge\":{\"nrt\":2,\"fra\":1}}\n"},
    {"edge", "10.3.0.1 10.1.0.1 10.2.0.1", /* as often: by name */
     "FIELD  VALUE  ADDRESSES     %\nedge   fra            1  33.3\nedge   lhr            1  33.3\nedge   "
     "nrt   "
     "         1  33.3\n",
     "{\"addresses\":3,\"edge\":{\"fra\":1,\"lhr\":1,\"nrt\":1}}\n"},
    {" special , edge ", "10.1.0.1 127.0.0.1 127.0.0.1 127.0.0.1", NULL, NULL},
    {"city", "10.1.0.1", NULL, NULL},
    {"line", "10.1.0.1 10.1.0.1 10.1.0.1",
     "FIELD  VALUE  ADDRESSES     %\nline   1              1  33.3\nline   2              1  33.3\nline   3  "
     "   "
     "         1  33.3\n",
     "{\"addresses\":3,\"line\":{\"1\":1,\"2\":1,\"3\":1}}\n"},
    {"ip", "10.1.0.1 10.1.0.1 10.1.0.2 ::1",
     "FIELD  VALUE     ADDRESSES     %\nip     10.1.0.1          2  50.0\nip     10.1.0.2          1  "
     "25.0\nip   "
     "  ::1               1  25.0\n",
     "{\"addresses\":4,\"ip\":{\"10.1.0.1\":2,\"10.1.0.2\":1,\"::1\":1}}\n"},
    {"country", "192.0.2.1 192.0.2.2",
     "FIELD    VALUE    ADDRESSES      %\ncountry  unknown          2  100.0\n",
     "{\"addresses\":2,\"country\":{\"unknown\":2}}\n"},
};

START_TEST(values_are_counted)
{
    struct geo_summary *s;
    struct cdn_error err = {0};
    CDN_AUTOBUF struct cdn_buf text = {0};
    CDN_AUTOBUF struct cdn_buf json = {0};
    ck_assert_msg(geo_summary_create(rows[_i].fields, &s, &err) == CDN_OK, "%s", err.text);
    count(s, rows[_i].ips);
    geo_summary_print(s, false, &text);
    geo_summary_print(s, true, &json);
    geo_summary_destroy(s);
    if (rows[_i].text) {
        ck_assert_str_eq(text.p, rows[_i].text);
        ck_assert_str_eq(json.p, rows[_i].json);
    }
    json_t *all = json_loads(json.p, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(all);
    const char *name;
    json_t *counts;
    json_object_foreach(all, name, counts)
    { /* each field has all of the addresses */
        json_int_t sum = 0;
        const char *value;
        json_t *number;
        if (!json_is_object(counts)) {
            continue;
        }
        json_object_foreach(counts, value, number)
        {
            sum += json_integer_value(number);
        }
        ck_assert_int_eq(sum, json_integer_value(json_object_get(all, "addresses")));
    }
    json_decref(all);
}
END_TEST

/* Thousands of values, some many times: every one is found again. */
START_TEST(many_values)
{
    struct geo_summary *s;
    struct cdn_error err;
    CDN_AUTOBUF struct cdn_buf out = {0};
    ck_assert_int_eq(geo_summary_create("ip,edge", &s, &err), CDN_OK);
    for (unsigned i = 0; i < 9000; i++) {
        char ip[32];
        snprintf(ip, sizeof(ip), "10.1.%u.%u", i % 3000 / 256, i % 3000 % 256);
        count(s, ip);
    }
    geo_summary_print(s, true, &out);
    geo_summary_destroy(s);
    json_t *all = json_loads(out.p, JSON_REJECT_DUPLICATES, NULL);
    json_t *ips = json_object_get(all, "ip");
    const char *ip;
    json_t *number;
    ck_assert_uint_eq(json_object_size(ips), 3000);
    json_object_foreach(ips, ip, number)
    {
        ck_assert_int_eq(json_integer_value(number), 3);
    }
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(all, "edge"), "nrt")), 9000);
    json_decref(all);
}
END_TEST

static const struct {
    const char *fields, *error; /* NULL: fine */
} fields[] = {
    {NULL, NULL},
    {"country,asn,edge", NULL},
    {"ip, network", NULL},
    {"", "no field ''"},
    {"country,", "no field ''"},
    {",country", "no field ''"},
    {"Country", "no field 'Country'"},
    {"country edge", "no field 'country edge'"},
    {"edge,nonsense,ip", "no field 'nonsense'"},
};

START_TEST(fields_are_checked)
{
    struct geo_summary *s = NULL;
    struct cdn_error err = {0};
    const enum cdn_status status = geo_summary_create(fields[_i].fields, &s, &err);
    ck_assert_int_eq(status, fields[_i].error ? CDN_USAGE : CDN_OK);
    ck_assert_msg(!fields[_i].error || strstr(err.text, fields[_i].error), "%s", err.text);
    geo_summary_destroy(s);
}
END_TEST

/* Without fields: country, asn and edge, in this order. */
START_TEST(usual_fields)
{
    struct geo_summary *s;
    struct cdn_error err;
    CDN_AUTOBUF struct cdn_buf out = {0};
    ck_assert_int_eq(geo_summary_create(NULL, &s, &err), CDN_OK);
    count(s, "10.1.0.1");
    geo_summary_print(s, true, &out);
    geo_summary_destroy(s);
    const char *country = strstr(out.p, "\"country\""), *asn = strstr(out.p, "\"asn\""),
               *edge = strstr(out.p, "\"edge\"");
    ck_assert(country && asn && edge && country < asn && asn < edge);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("geo_summary");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, values_are_counted, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(all, many_values);
    tcase_add_loop_test(all, fields_are_checked, 0, (int)CDN_ARRAY_LEN(fields));
    tcase_add_test(all, usual_fields);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
