/* near: whoever stands in for a client at a place has an address that the database puts there. */
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "geo-data/geodesy.h"
#include "geo-data/near.h"
#include "geo-data/places.h"
#include "geo-data/special.h"

#include <check.h>
#include <netinet/in.h>
#include <stddef.h>

#include "common/banned.h"

static const struct {
    const char *place;
    double km; /* no farther: cells are 1 to 2 degrees */
} rows[] = {
    {"Tokyo", 200}, {"New York", 200},     {"Frankfurt", 200}, {"Sydney", 200},
    {"Lagos", 300}, {"São Paulo", 200},    {"Mumbai", 200},    {"Reykjavik", 300},
    {"90,0", 4000}, {"-48.9,-123.4", 5000} /* the point farthest from land still has the nearest there is */
};
#define ROWS (sizeof(rows) / sizeof(*rows))

static struct geo_db *open_db(void)
{
    struct geo_db *db;
    struct cdn_error err = {.text = ""};
    ck_assert_msg(geo_db_open_embedded(&db, &err) == CDN_OK, "%s", err.text);
    return db;
}

START_TEST(test_the_database_agrees)
{
    struct geo_near points[ROWS];
    struct cdn_error err = {.text = ""};
    struct geo_db *db = open_db();
    for (size_t i = 0; i < ROWS; i++) {
        struct geo_place place;
        ck_assert_int_eq(geo_place_find(cdn_str(rows[i].place), &place, &err), CDN_OK);
        points[i] = (struct geo_near){.lat = place.lat, .lon = place.lon};
    }
    ck_assert_msg(geo_near_find(db, points, ROWS, &err) == CDN_OK, "%s", err.text);
    for (size_t i = 0; i < ROWS; i++) {
        struct geo_record record;
        ck_assert_int_eq(geo_lookup(db, &points[i].address.sa, &record), CDN_OK);
        ck_assert(record.has_coordinates && !geo_special(&points[i].address.sa));
        double km = geo_distance_km(points[i].lat, points[i].lon, record.lat, record.lon);
        ck_assert_double_eq_tol(points[i].km, km, 1e-6);
        ck_assert_msg(km <= rows[i].km, "%s: %.0f km", rows[i].place, km);
    }
    geo_db_unref(db);
}
END_TEST

START_TEST(test_alone_or_together_it_is_the_same_address)
{
    struct geo_near two[2] = {{.lat = 35.69, .lon = 139.69}, {.lat = 51.5, .lon = -0.1}};
    struct cdn_error err;
    struct geo_db *db = open_db();
    ck_assert_int_eq(geo_near_find(db, two, 2, &err), CDN_OK);
    for (size_t i = 0; i < 2; i++) {
        struct geo_near one = {.lat = two[i].lat, .lon = two[i].lon};
        ck_assert_int_eq(geo_near_find(db, &one, 1, &err), CDN_OK);
        ck_assert_uint_eq(one.address.v4.sin_addr.s_addr, two[i].address.v4.sin_addr.s_addr);
    }
    geo_db_unref(db);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("near");
    TCase *tcase = tcase_create("near");
    tcase_add_test(tcase, test_the_database_agrees);
    tcase_add_test(tcase, test_alone_or_together_it_is_the_same_address);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
