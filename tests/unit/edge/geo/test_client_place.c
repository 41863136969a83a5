/* What is told of a client's place, and sets of countries: a row that fails keeps somebody out, or in, or
 * tells an origin something that is not so. */
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/geo/client_place.h"
#include "geo-data/geo.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

static struct cdn_addr address(const char *text)
{
    struct cdn_addr a = {.sa.sa_family = AF_UNSPEC};
    ck_assert(!text[0] || cdn_parse_ip(cdn_str(text), &a));
    return a;
}

static const struct {
    const char *ip, *country;
} rows[] = {
    {"193.0.6.139", "NL"},
    {"::ffff:193.0.6.139", "NL"},
    {"121.80.0.1", "JP"},
    {"127.0.0.1", "??"},
    {"10.0.0.1", "??"},
    {"::1", "??"},
    {"", "??"},
};

START_TEST(countries_of_addresses)
{
    struct geo_db *db;
    struct cdn_error err;
    struct cdn_addr client = address(rows[_i].ip);
    CDN_AUTOBUF struct cdn_buf country = {0};
    CDN_AUTOBUF struct cdn_buf lat = {0};
    ck_assert(geo_db_open_embedded(&db, &err) == CDN_OK);
    ck_assert(cdn_str_eq(edge_place_country(db, &client), cdn_str(rows[_i].country)));
    const bool known = strcmp(rows[_i].country, "??") != 0;
    ck_assert(edge_place_write(db, &client, EDGE_PLACE_country, &country) == known);
    ck_assert_str_eq(country.n ? country.p : "", known ? rows[_i].country : "");
    ck_assert(edge_place_write(db, &client, EDGE_PLACE_latitude, &lat) == known);
    ck_assert(cdn_str_eq(edge_place_country(NULL, &client), CDN_STR("??")));
    geo_db_unref(db);
}
END_TEST

START_TEST(fields)
{
    static const struct {
        const char *name;
        bool ours;
        enum edge_place_field field;
    } names[] = {
        {"CDN-Client-Country", true, EDGE_PLACE_country},
        {"cdn-client-asn", true, EDGE_PLACE_asn},
        {"CDN-Client-Moon", true, EDGE_PLACE_FIELD_COUNT},
        {"CDN-Client-", false, 0},
        {"CDN-Loop", false, 0},
        {"X-CDN-Client-Country", false, 0},
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(names); i++) {
        enum edge_place_field field;
        ck_assert(edge_place_is_ours(cdn_str(names[i].name), &field) == names[i].ours);
        ck_assert(!names[i].ours || field == names[i].field);
        ck_assert(edge_place_is_ours(cdn_str(names[i].name), NULL) == names[i].ours);
    }
    enum edge_place_field field;
    ck_assert(edge_place_field_find(CDN_STR("city"), &field) && field == EDGE_PLACE_city);
    ck_assert(!edge_place_field_find(CDN_STR("City"), &field));
    ck_assert(cdn_str_eq(edge_place_field_name(EDGE_PLACE_city), CDN_STR("CDN-Client-City")));
}
END_TEST

START_TEST(sets)
{
    static const char *const none[] = {"", "D", "de", "DEU", "?", "D1", "ÄÖ"};
    struct edge_countries set = {0};
    ck_assert(edge_countries_add(&set, CDN_STR("DE")) && edge_countries_add(&set, CDN_STR("ZZ")) &&
              edge_countries_add(&set, CDN_STR("AA")));
    ck_assert(edge_countries_has(&set, CDN_STR("DE")) && edge_countries_has(&set, CDN_STR("ZZ")));
    ck_assert(edge_countries_has(&set, CDN_STR("AA")) && !edge_countries_has(&set, CDN_STR("FR")));
    ck_assert(!edge_countries_has(&set, CDN_STR("??")) && !edge_countries_has(&set, CDN_STR("")));
    ck_assert(edge_countries_add(&set, CDN_STR("??")));
    ck_assert(edge_countries_has(&set, CDN_STR("??")) && edge_countries_has(&set, CDN_STR("")));
    ck_assert_uint_eq(set.count, 4);
    for (size_t i = 0; i < CDN_ARRAY_LEN(none); i++) {
        ck_assert(!edge_countries_add(&set, cdn_str(none[i])));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_place");
    TCase *cases = tcase_create("rows");
    tcase_add_loop_test(cases, countries_of_addresses, 0, CDN_ARRAY_LEN(rows));
    tcase_add_test(cases, fields);
    tcase_add_test(cases, sets);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
