/* places and distances: names to points and back. Every decision of the router is made of these. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geodesy.h"
#include "geo-data/places.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

static const struct {
    const char *text, *name, *country; /* name NULL: not found, and `country` is in the error */
} rows[] = {
    {"Zürich", "Zürich", "CH"},
    {"zurich", "Zürich", "CH"},
    {"ZÜRICH", "Zürich", "CH"},
    {"Zuerich", "Zürich", "CH"},
    {"München", "Munich", "DE"},
    {"MUENCHEN", "Munich", "DE"},
    {"munich", "Munich", "DE"},
    {"  Sao-Paulo ", "São Paulo", "BR"},
    {"Łódź", "Łódź", "PL"},
    {"lodz", "Łódź", "PL"},
    {"東京", "Tokyo", "JP"},
    {"Москва", "Moscow", "RU"},
    {"newyork", "New York", "US"},
    {"St. Louis", "St. Louis", "US"},
    {"Washington D.C.", "Washington", "US"},
    {"Birmingham", "Birmingham", "GB"},
    {"Birmingham,US", "Birmingham", "US"},
    {"Cambridge, us", "Cambridge", "US"},
    {"Cambridge, United Kingdom", "Cambridge", "GB"},
    {"Valencia,VE", "Valencia", "VE"},
    {"San José,CR", "San José", "CR"},
    {"fra", "Frankfurt", "DE"},
    {"NRT", "Tokyo", "JP"},
    {"Kobenhavn", "Copenhagen", "DK"},
    {"Frankfrut", NULL, "Frankfurt,DE"},
    {"Sidney", NULL, "Sydney,AU"},
    {"Paris,DE", NULL, "Paris,FR"},
    {"", NULL, "LAT,LON"},
    {",", NULL, "LAT,LON"},
    {"91,0", NULL, "91,0"},
    {"1,2,3", NULL, "1,2,3"},
    {"nan,0", NULL, "nan,0"},
};

START_TEST(test_find)
{
    struct geo_place place;
    struct cdn_error err = {.text = ""};
    enum cdn_status status = geo_place_find(cdn_str(rows[_i].text), &place, &err);
    if (!rows[_i].name) {
        ck_assert_int_eq(status, CDN_NOT_FOUND);
        ck_assert_msg(strstr(err.text, rows[_i].country) != NULL, "'%s': %s", rows[_i].text, err.text);
        return;
    }
    ck_assert_msg(status == CDN_OK, "'%s': %s", rows[_i].text, err.text);
    ck_assert_msg(cdn_str_eq(place.name, cdn_str(rows[_i].name)), "'%s'", rows[_i].text);
    ck_assert_msg(cdn_str_eq(place.country_code, cdn_str(rows[_i].country)), "'%s'", rows[_i].text);
}
END_TEST

START_TEST(test_coordinates)
{
    struct geo_place place;
    struct cdn_error err;
    ck_assert_int_eq(geo_place_find(CDN_STR("-33.9, 18.4"), &place, &err), CDN_OK);
    ck_assert_double_eq_tol(place.lat, -33.9, 1e-9);
    ck_assert_double_eq_tol(place.lon, 18.4, 1e-9);
    ck_assert_uint_eq(place.country_code.n, 0);
}
END_TEST

START_TEST(test_long_name_is_not_found)
{
    char text[2000];
    memset(text, 'x', sizeof(text));
    struct geo_place place;
    struct cdn_error err;
    ck_assert_int_eq(geo_place_find((struct cdn_str){text, sizeof(text)}, &place, &err), CDN_NOT_FOUND);
}
END_TEST

/* Every city is found by its own name and country, and lies where it is nearest to itself. */
START_TEST(test_table_agrees_with_itself)
{
    ck_assert_uint_gt(geo_place_count(), 500);
    for (size_t i = 0; i < geo_place_count(); i++) {
        const struct geo_place *place = geo_place_at(i);
        char text[128];
        snprintf(text, sizeof(text), CDN_STR_FMT "," CDN_STR_FMT, CDN_STR_ARG(place->name),
                 CDN_STR_ARG(place->country_code));
        struct geo_place found;
        struct cdn_error err;
        ck_assert_msg(geo_place_find(cdn_str(text), &found, &err) == CDN_OK, "%s", text);
        ck_assert_msg(geo_distance_km(place->lat, place->lon, found.lat, found.lon) < 0.001,
                      "%s stands twice", text);
        double km;
        ck_assert_msg(geo_place_nearest(place->lat, place->lon, &km) && km < 2, "%s", text);
        ck_assert_msg(geo_country_find(place->country_code) != NULL, "%s has no country", text);
    }
}
END_TEST

START_TEST(test_countries)
{
    for (size_t i = 0; i < geo_country_count(); i++) {
        const struct geo_country *country = geo_country_at(i);
        ck_assert_msg(country->lat != 0 && country->lon != 0, CDN_STR_FMT " has no city",
                      CDN_STR_ARG(country->name));
        ck_assert_ptr_eq(geo_country_find(country->code), country);
    }
    const struct geo_country *us = geo_country_find(CDN_STR("us"));
    ck_assert_double_eq_tol(us->lat, 40.71, 0.01); /* New York, not a field in Kansas */
    ck_assert_ptr_null(geo_country_find(CDN_STR("ZZ")));
    ck_assert_ptr_null(geo_country_find(CDN_STR("")));
    ck_assert_ptr_null(geo_country_find(CDN_STR("\xff\xff")));
}
END_TEST

START_TEST(test_sites)
{
    static const char *const edges[GEO_DEFAULT_EDGES] = {"iad", "sjc", "gru", "lhr", "fra",
                                                         "jnb", "bom", "sin", "nrt", "syd"};
    ck_assert_uint_eq(geo_site_count(), 30);
    for (size_t i = 0; i < GEO_DEFAULT_EDGES; i++) {
        ck_assert(cdn_str_eq(geo_site_at(i)->name, cdn_str(edges[i])));
    }
    for (size_t i = 0; i < geo_site_count(); i++) {
        struct geo_place place;
        struct cdn_error err;
        ck_assert_int_eq(geo_place_find(geo_site_at(i)->city, &place, &err), CDN_OK);
        ck_assert(geo_distance_km(place.lat, place.lon, geo_site_at(i)->lat, geo_site_at(i)->lon) < 20);
    }
}
END_TEST

static const struct {
    double lat1, lon1, lat2, lon2, km; /* on a sphere of 6371.0088 km */
} distances[] = {
    {0, 0, 0, 0, 0},
    {0, 0, 0, 180, 20015.115},
    {90, 0, -90, 0, 20015.115},
    {0, 0, 0, 1, 111.19508},
    {0, 179.5, 0, -179.5, 111.19508},
    {51.5074, -0.1278, 40.7128, -74.0060, 5570.2},   /* London - New York */
    {-33.8688, 151.2093, 35.6762, 139.6503, 7823.4}, /* Sydney - Tokyo */
    {50, 8, 50, 8.00001, 0.000715},
};

START_TEST(test_distance)
{
    double km =
        geo_distance_km(distances[_i].lat1, distances[_i].lon1, distances[_i].lat2, distances[_i].lon2);
    ck_assert_double_eq_tol(km, distances[_i].km, 1e-6 + distances[_i].km * 1e-3);
    struct geo_unit a = geo_unit(distances[_i].lat1, distances[_i].lon1);
    struct geo_unit b = geo_unit(distances[_i].lat2, distances[_i].lon2);
    double cosine = fmax(-1, fmin(1, (double)geo_unit_dot(a, b)));
    ck_assert_double_eq_tol(acos(cosine) * GEO_EARTH_RADIUS_KM, km, 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("places");
    TCase *tc = tcase_create("rows");
    tcase_add_loop_test(tc, test_find, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_loop_test(tc, test_distance, 0, (int)CDN_ARRAY_LEN(distances));
    tcase_add_test(tc, test_coordinates);
    tcase_add_test(tc, test_long_name_is_not_found);
    tcase_add_test(tc, test_table_agrees_with_itself);
    tcase_add_test(tc, test_countries);
    tcase_add_test(tc, test_sites);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
