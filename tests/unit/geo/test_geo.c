/* geo: schemas, families, default points, damaged files, and the embedded database. A database is
 * a file from elsewhere: it may be wrong, never crash its reader. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "geo-data/geodesy.h"
#include "geo-data/mmdb_encode.h"
#include "geo-data/places.h"
#include "geo-data/tools/mmdb_writer.h"
#include "tests/unit/geo/rows.h"

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

enum schema { NESTED, FLAT, STRINGS, COUNTRY_ONLY, REGISTERED_ONLY };

/* {"names": {"en": name}} with more pairs to come before it */
static void put_names(struct cdn_buf *out, const char *name)
{
    mmdb_put_string(out, CDN_STR("names"));
    mmdb_put_map(out, 2);
    mmdb_put_string(out, CDN_STR("de"));
    mmdb_put_string(out, CDN_STR("anders"));
    mmdb_put_string(out, CDN_STR("en"));
    mmdb_put_string(out, cdn_str(name));
}

static void put_pair(struct cdn_buf *out, const char *key, const char *value)
{
    mmdb_put_string(out, cdn_str(key));
    mmdb_put_string(out, cdn_str(value));
}

static void put_nested(struct cdn_buf *out, const char *country, const char *city, const char *region,
                       double lat, double lon)
{
    mmdb_put_map(out, 5u + (city[0] != '\0') + (region[0] != '\0'));
    if (city[0]) {
        mmdb_put_string(out, CDN_STR("city"));
        mmdb_put_map(out, 2);
        mmdb_put_string(out, CDN_STR("geoname_id"));
        mmdb_put_uint32(out, 7);
        put_names(out, city);
    }
    mmdb_put_string(out, CDN_STR("continent"));
    mmdb_put_map(out, 1);
    put_pair(out, "code", "EU");
    mmdb_put_string(out, CDN_STR("country"));
    mmdb_put_map(out, 2);
    put_pair(out, "iso_code", country);
    put_names(out, "Somewhere");
    mmdb_put_string(out, CDN_STR("location"));
    mmdb_put_map(out, 4);
    mmdb_put_string(out, CDN_STR("accuracy_radius"));
    mmdb_put_uint16(out, 20);
    mmdb_put_string(out, CDN_STR("latitude"));
    mmdb_put_double(out, lat);
    mmdb_put_string(out, CDN_STR("longitude"));
    mmdb_put_double(out, lon);
    put_pair(out, "time_zone", "Europe/Berlin");
    mmdb_put_string(out, CDN_STR("registered_country"));
    mmdb_put_map(out, 1);
    put_pair(out, "iso_code", "AT");
    if (region[0]) {
        mmdb_put_string(out, CDN_STR("subdivisions"));
        mmdb_put_array(out, 2);
        for (int i = 0; i < 2; i++) {
            mmdb_put_map(out, 2);
            put_pair(out, "iso_code", i ? "ZZ" : "BY");
            put_names(out, i ? "Second" : region);
        }
    }
    mmdb_put_string(out, CDN_STR("traits"));
    mmdb_put_map(out, 2);
    mmdb_put_string(out, CDN_STR("autonomous_system_number"));
    mmdb_put_uint32(out, 4200000000u);
    put_pair(out, "autonomous_system_organization", "Example Net");
}

static void put_flat(struct cdn_buf *out, const char *country, const char *city, const char *region,
                     double lat, double lon)
{
    mmdb_put_map(out, 8);
    put_pair(out, "city", city);
    put_pair(out, "country_code", country);
    mmdb_put_string(out, CDN_STR("latitude"));
    mmdb_put_float(out, (float)lat);
    mmdb_put_string(out, CDN_STR("longitude"));
    mmdb_put_float(out, (float)lon);
    put_pair(out, "postcode", "");
    put_pair(out, "state1", region);
    put_pair(out, "state2", "");
    put_pair(out, "timezone", "");
}

static void put_strings(struct cdn_buf *out, const char *country, const char *city, const char *region,
                        double lat, double lon)
{
    char number[32];
    mmdb_put_map(out, 7);
    put_pair(out, "asn", "AS64496");
    put_pair(out, "as_name", "Example Net");
    put_pair(out, "country", country);
    put_pair(out, "city", city);
    put_pair(out, "region", region);
    snprintf(number, sizeof(number), "%.4f", lat);
    put_pair(out, "lat", number);
    snprintf(number, sizeof(number), "%.4f", lon);
    put_pair(out, "lng", number);
}

static void put_record(struct cdn_buf *out, enum schema schema, const char *country, const char *city,
                       const char *region, double lat, double lon)
{
    switch (schema) {
    case NESTED:
        put_nested(out, country, city, region, lat, lon);
        break;
    case FLAT:
        put_flat(out, country, city, region, lat, lon);
        break;
    case STRINGS:
        put_strings(out, country, city, region, lat, lon);
        break;
    case COUNTRY_ONLY:
        mmdb_put_map(out, 1);
        put_pair(out, "country_code", country);
        break;
    case REGISTERED_ONLY:
        mmdb_put_map(out, 1);
        mmdb_put_string(out, CDN_STR("registered_country"));
        mmdb_put_map(out, 1);
        put_pair(out, "iso_code", country);
        break;
    }
}

static const struct {
    enum schema schema;
    const char *country, *city, *region;
    double lat, lon;
    enum geo_precision precision;
    bool default_point;
    double found_lat;
} schemas[] = {
    {NESTED, "DE", "Munich", "Bavaria", 48.1374, 11.5755, GEO_PRECISION_CITY, false, 48.1374},
    {NESTED, "DE", "", "Bavaria", 48.9, 11.4, GEO_PRECISION_REGION, false, 48.9},
    {NESTED, "US", "", "", 37.751, -97.822, GEO_PRECISION_COUNTRY, true, 37.751},
    {NESTED, "US", "", "", 44.0, -99.0, GEO_PRECISION_COUNTRY, true, 44.0},
    {NESTED, "DE", "Munich", "", 0, 0, GEO_PRECISION_COUNTRY, true, 52.52}, /* 0,0 is no place: Berlin */
    {NESTED, "DE", "Munich", "", 91, 0, GEO_PRECISION_COUNTRY, true, 52.52},
    {FLAT, "CH", "Zurich", "Zurich", 47.3769, 8.5417, GEO_PRECISION_CITY, false, 47.3769},
    {FLAT, "US", "", "", 37.751, -97.822, GEO_PRECISION_COUNTRY, true, 37.751},
    {FLAT, "US", "", "Kansas", 37.751, -97.822, GEO_PRECISION_COUNTRY, true, 37.751},
    {FLAT, "US", "Cheney", "Kansas", 37.751, -97.822, GEO_PRECISION_CITY, false, 37.751},
    {STRINGS, "FR", "Lyon", "Rhone", 45.7485, 4.8467, GEO_PRECISION_CITY, false, 45.7485},
    {COUNTRY_ONLY, "ZA", "", "", 0, 0, GEO_PRECISION_COUNTRY, true, -26.2041},
    {COUNTRY_ONLY, "", "", "", 0, 0, GEO_PRECISION_NONE, false, 0},
    {REGISTERED_ONLY, "JP", "", "", 0, 0, GEO_PRECISION_COUNTRY, true, 35.6762},
};

START_TEST(test_schema)
{
    CDN_AUTOBUF struct cdn_buf record = {0}, file = {0};
    put_record(&record, schemas[_i].schema, schemas[_i].country, schemas[_i].city, schemas[_i].region,
               schemas[_i].lat, schemas[_i].lon);
    make_file(&file, _i % 2 ? 4 : 6, "198.51.0.0/16", cdn_buf_str(&record));
    struct geo_db *db;
    struct cdn_error err;
    ck_assert_msg(open_bytes(file.p, file.n, &db, &err) == CDN_OK, "%s", err.text);
    struct geo_record r;
    union test_address address = address_of(_i % 3 ? "198.51.7.8" : "::ffff:198.51.7.8");
    ck_assert_int_eq(geo_lookup(db, &address.any, &r), CDN_OK);
    ck_assert_uint_eq(r.prefix_len, 16);
    ck_assert(cdn_str_eq(r.country_code, cdn_str(schemas[_i].country)));
    ck_assert(cdn_str_eq(r.city, cdn_str(schemas[_i].city)));
    ck_assert(cdn_str_eq(r.subdivision, cdn_str(schemas[_i].region)));
    ck_assert_int_eq(r.precision, schemas[_i].precision);
    ck_assert_int_eq(r.default_point, schemas[_i].default_point);
    ck_assert_int_eq(r.has_coordinates, schemas[_i].precision != GEO_PRECISION_NONE);
    ck_assert_double_eq_tol(r.lat, schemas[_i].found_lat, 0.0001);
    if (schemas[_i].schema == NESTED) {
        ck_assert_uint_eq(r.accuracy_radius_km, r.lat == schemas[_i].lat ? 20 : 0); /* of its coordinates */
        ck_assert(cdn_str_eq(r.time_zone, CDN_STR("Europe/Berlin")));
        ck_assert(cdn_str_eq(r.continent_code, CDN_STR("EU")));
        ck_assert(cdn_str_eq(r.registered_country_code, CDN_STR("AT")));
        ck_assert(cdn_str_eq(r.country, CDN_STR("Somewhere")));
    }
    uint32_t asn = schemas[_i].schema == NESTED ? 4200000000u : schemas[_i].schema == STRINGS ? 64496 : 0;
    ck_assert_uint_eq(r.asn, asn);
    ck_assert(cdn_str_eq(r.organization, cdn_str(asn ? "Example Net" : "")));
    address = address_of("198.52.0.0");
    ck_assert_int_eq(geo_lookup(db, &address.any, &r), CDN_NOT_FOUND);
    ck_assert_uint_eq(r.prefix_len, 14); /* 198.52.0.0/14: the widest network without an answer */
    geo_db_unref(db);
}
END_TEST

static bool count_network(void *ctx, const struct geo_net *net)
{
    unsigned *counts = ctx;
    counts[net->entry != GEO_ENTRY_NONE]++;
    return true;
}

START_TEST(test_two_files)
{
    CDN_AUTOBUF struct cdn_buf record = {0}, ipv4 = {0}, ipv6 = {0};
    put_record(&record, COUNTRY_ONLY, "SE", "", "", 0, 0);
    make_file(&ipv4, 4, "5.0.0.0/8", cdn_buf_str(&record));
    record.p[record.n - 1] = 'G'; /* SE becomes SG */
    make_file(&ipv6, 6, "2a00::/12", cdn_buf_str(&record));
    char *paths[] = {write_file(ipv4.p, ipv4.n), write_file(ipv6.p, ipv6.n)};
    struct geo_db *db;
    struct cdn_error err;
    struct geo_record r;
    for (int turn = 0; turn < 2; turn++) {
        const char *const order[] = {paths[turn], paths[1 - turn]};
        ck_assert_int_eq(geo_db_open(order, 2, &db, &err), CDN_OK);
        ck_assert_int_eq(look_up(db, "5.1.1.1", &r), CDN_OK);
        ck_assert(cdn_str_eq(r.country_code, CDN_STR("SE")));
        ck_assert_int_eq(look_up(db, "2a01::1", &r), CDN_OK);
        ck_assert(cdn_str_eq(r.country_code, CDN_STR("SG")));
        ck_assert_uint_eq(r.prefix_len, 12);
        unsigned counts[2] = {0};
        ck_assert_int_eq(geo_walk(db, AF_INET, count_network, counts, &err), CDN_OK);
        ck_assert_uint_eq(counts[0], 8);
        ck_assert_uint_eq(counts[1], 1);
        ck_assert_int_eq(geo_walk(db, AF_INET6, count_network, counts, &err), CDN_OK);
        ck_assert_uint_eq(counts[1], 2);
        geo_db_unref(geo_db_ref(db));
        geo_db_unref(db);
    }
    const char *const twice[] = {paths[0], paths[0]};
    ck_assert_int_eq(geo_db_open(twice, 2, &db, &err), CDN_OK); /* of no use, but no harm */
    ck_assert_int_eq(look_up(db, "5.1.1.1", &r), CDN_OK);
    geo_db_unref(db);
    ck_assert_int_eq(geo_db_open(twice, 0, &db, &err), CDN_INVALID);
    ck_assert_int_eq(geo_db_open(twice, 1, &db, &err), CDN_OK);
    ck_assert_int_eq(look_up(db, "2a01::1", &r), CDN_NOT_FOUND);
    geo_db_unref(db);
    for (int i = 0; i < 2; i++) {
        unlink(paths[i]);
        free(paths[i]);
    }
}
END_TEST

/* ---- damage: an error that names the path, or an answer; never a crash (this also runs under ASan) ---- */

static void small_database(struct cdn_buf *file)
{
    struct mmdb_writer *w = mmdb_writer_create(6);
    static const char *const networks[] = {"1.0.0.0/8", "5.5.0.0/16", "2001:4860::/32", "2a00::/12",
                                           "5.5.5.0/24"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(networks); i++) {
        CDN_AUTOBUF struct cdn_buf record = {0};
        put_record(&record, i % 2 ? NESTED : FLAT, "DE", "Munich", "Bavaria", 48 + (double)i, 11);
        insert_text(w, networks[i], mmdb_writer_add(w, cdn_buf_str(&record)));
    }
    finish(w, 0, file);
    mmdb_writer_destroy(w);
}

static void use(struct geo_db *db)
{
    static const char *const addresses[] = {"1.2.3.4",      "5.5.5.5", "5.5.6.1",
                                            "2001:4860::1", "2a00::1", "9.9.9.9"};
    struct geo_record r;
    for (size_t i = 0; i < CDN_ARRAY_LEN(addresses); i++) {
        look_up(db, addresses[i], &r);
    }
    struct geo_verify_report report;
    struct cdn_error err;
    if (geo_db_verify(db, 0, &report, &err) == CDN_OK) { /* then everything must be readable */
        unsigned counts[2] = {0};
        ck_assert_int_eq(geo_walk(db, AF_INET6, count_network, counts, &err), CDN_OK);
    }
}

START_TEST(test_truncated)
{
    CDN_AUTOBUF struct cdn_buf file = {0};
    small_database(&file);
    for (size_t n = 0; n < file.n; n++) {
        struct geo_db *db = NULL;
        struct cdn_error err = {.text = ""};
        enum cdn_status status = open_bytes(file.p, n, &db, &err);
        ck_assert_msg(status == CDN_CORRUPT || status == CDN_IO, "%zu of %zu bytes: %s", n, file.n, err.text);
        ck_assert_msg(strncmp(err.text, "/tmp/geo-test-", 14) == 0, "%s", err.text);
        ck_assert_ptr_null(db);
    }
}
END_TEST

START_TEST(test_damaged)
{
    CDN_AUTOBUF struct cdn_buf file = {0};
    small_database(&file);
    uint64_t state = (uint64_t)_i + 99;
    for (int turn = 0; turn < 300; turn++) {
        CDN_AUTOBUF struct cdn_buf copy = {0};
        cdn_buf_add(&copy, file.p, file.n);
        for (int i = 0; i <= turn % 8; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            copy.p[(state >> 20) % copy.n] = (char)(state >> 50);
        }
        struct geo_db *db = NULL;
        if (open_bytes(copy.p, copy.n, &db, NULL) == CDN_OK) {
            use(db);
        }
        geo_db_unref(db);
    }
}
END_TEST

START_TEST(test_random_bytes)
{
    uint64_t state = 5;
    CDN_AUTOBUF struct cdn_buf noise = {0};
    for (int i = 0; i < 5000; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        cdn_buf_add_char(&noise, (char)(state >> 40));
    }
    struct geo_db *db = NULL;
    struct cdn_error err;
    ck_assert_int_eq(open_bytes(noise.p, noise.n, &db, &err), CDN_CORRUPT);
}
END_TEST

/* A root that leads to itself, and a map that holds a pointer to itself. */
START_TEST(test_cycles)
{
    CDN_AUTOBUF struct cdn_buf record = {0}, file = {0};
    mmdb_put_map(&record, 1);
    mmdb_put_string(&record, CDN_STR("city"));
    mmdb_put_pointer(&record, 0);
    make_file(&file, 4, "0.0.0.0/1", cdn_buf_str(&record));
    struct geo_db *db = NULL;
    struct cdn_error err;
    ck_assert_int_eq(open_bytes(file.p, file.n, &db, &err), CDN_CORRUPT);

    CDN_AUTOBUF struct cdn_buf sound = {0}, looped = {0};
    put_record(&sound, COUNTRY_ONLY, "DE", "", "", 0, 0);
    make_file(&looped, 4, "0.0.0.0/1", cdn_buf_str(&sound));
    memset(looped.p + 3, 0, 3); /* the right record: node 0 */
    ck_assert_msg(open_bytes(looped.p, looped.n, &db, &err) == CDN_OK, "%s", err.text);
    struct geo_verify_report report;
    ck_assert_int_eq(geo_db_verify(db, 0, &report, &err), CDN_CORRUPT);
    unsigned counts[2] = {0};
    ck_assert_int_eq(geo_walk(db, AF_INET, count_network, counts, &err), CDN_CORRUPT);
    struct geo_record r;
    ck_assert_int_ne(look_up(db, "255.255.255.255", &r), CDN_OK);
    geo_db_unref(db);
}
END_TEST

START_TEST(test_not_a_file)
{
    struct geo_db *db = NULL;
    struct cdn_error err;
    ck_assert_int_eq(geo_db_open((const char *const[]){"/nonexistent/x.mmdb"}, 1, &db, &err), CDN_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/x.mmdb"));
    ck_assert_int_eq(geo_db_open((const char *const[]){"/tmp"}, 1, &db, &err), CDN_IO);
    ck_assert_int_eq(geo_db_open((const char *const[]){CDN_SOURCE_DIR "/geo-data/cities.csv"}, 1, &db, &err),
                     CDN_CORRUPT);
}
END_TEST

/* ---- the embedded database ---- */

static const struct {
    const char *address, *country;
} known[] = {
    {"18.9.22.69", "US"},   {"128.112.136.1", "US"},     {"171.64.64.64", "US"},     {"129.67.1.1", "GB"},
    {"131.111.8.46", "GB"}, {"130.59.1.1", "CH"},        {"133.11.0.1", "JP"},       {"143.89.1.1", "HK"},
    {"101.6.6.6", "CN"},    {"137.132.1.1", "SG"},       {"152.66.115.1", "HU"},     {"147.83.2.135", "ES"},
    {"142.150.1.1", "CA"},  {"200.160.2.3", "BR"},       {"196.25.1.1", "ZA"},       {"193.0.6.139", "NL"},
    {"202.12.27.33", "JP"}, {"::ffff:130.59.1.1", "CH"}, {"2002:823b:101::1", "CH"},
};

START_TEST(test_embedded_known)
{
    struct geo_db *db;
    struct cdn_error err;
    struct geo_record r;
    ck_assert_msg(geo_db_open_embedded(&db, &err) == CDN_OK, "%s", err.text);
    ck_assert_int_eq(look_up(db, known[_i].address, &r), CDN_OK);
    ck_assert_msg(cdn_str_eq(r.country_code, cdn_str(known[_i].country)), "%s: " CDN_STR_FMT,
                  known[_i].address, CDN_STR_ARG(r.country_code));
    ck_assert_int_eq(r.precision, GEO_PRECISION_CELL);
    geo_db_unref(db);
}
END_TEST

static const char *nearest_of_20(double lat, double lon, size_t *ret_n)
{
    const struct geo_site *best = geo_site_at(0);
    double least = INFINITY;
    for (size_t i = 0; i < 20; i++) {
        double km = geo_distance_km(lat, lon, geo_site_at(i)->lat, geo_site_at(i)->lon);
        if (km < least) {
            least = km;
            best = geo_site_at(i);
        }
    }
    *ret_n = best->name.n;
    return best->name.p;
}

/* sample-20sites.csv holds random addresses with the full database's nearest of 20 sites. */
START_TEST(test_embedded_agrees_with_full)
{
    struct geo_db *db;
    struct cdn_error err;
    ck_assert_int_eq(geo_db_open_embedded(&db, &err), CDN_OK);
    FILE *sample = fopen(CDN_SOURCE_DIR "/tests/unit/geo/sample-20sites.csv", "r");
    ck_assert_ptr_nonnull(sample);
    char line[128];
    size_t asked[2] = {0}, same[2] = {0};
    ck_assert_ptr_nonnull(fgets(line, sizeof(line), sample));
    while (fgets(line, sizeof(line), sample)) {
        struct cdn_str rest = cdn_str(line), part = cdn_str_cut(&rest, ',');
        char text[64];
        cdn_str_copy(text, sizeof(text), part);
        struct cdn_str site = cdn_str_cut(&rest, ',');
        union test_address address = address_of(text);
        struct geo_record r;
        ck_assert_int_eq(geo_lookup(db, &address.any, &r), CDN_OK);
        size_t is_ipv6 = address.any.sa_family == AF_INET6, n;
        const char *found = nearest_of_20(r.lat, r.lon, &n);
        asked[is_ipv6]++;
        same[is_ipv6] += cdn_str_eq(site, (struct cdn_str){found, n});
    }
    fclose(sample);
    geo_db_unref(db);
    ck_assert_uint_ge(asked[0], 2000);
    ck_assert_uint_ge(asked[1], 200);
    ck_assert_msg(same[0] * 100 >= asked[0] * 95, "IPv4: %zu of %zu", same[0], asked[0]);
    ck_assert_msg(same[1] * 100 >= asked[1] * 75, "IPv6: %zu of %zu", same[1], asked[1]);
}
END_TEST

/* What the source leaves unanswered at large is not given away to a neighbour. */
START_TEST(test_embedded_leaves_private_space_out)
{
    static const char *const addresses[] = {"10.1.2.3",    "127.0.0.1",  "172.20.1.1",
                                            "192.168.1.1", "100.64.1.1", "224.0.0.1",
                                            "fe80::1",     "fc00::1",    "ff02::1"};
    struct geo_db *db;
    struct cdn_error err;
    struct geo_record r;
    ck_assert_int_eq(geo_db_open_embedded(&db, &err), CDN_OK);
    for (size_t i = 0; i < CDN_ARRAY_LEN(addresses); i++) {
        ck_assert_msg(look_up(db, addresses[i], &r) == CDN_NOT_FOUND, "%s", addresses[i]);
    }
    geo_db_unref(db);
}
END_TEST

START_TEST(test_embedded_is_sound)
{
    struct geo_db *db;
    struct cdn_error err;
    struct geo_verify_report report;
    struct geo_info info;
    ck_assert_int_eq(geo_db_open_embedded(&db, &err), CDN_OK);
    ck_assert_msg(geo_db_verify(db, 0, &report, &err) == CDN_OK, "%s", err.text);
    ck_assert_uint_eq(report.records, report.records_placed);
    geo_db_info(db, 0, &info);
    ck_assert_str_eq(info.path, "embedded");
    ck_assert(info.answers_ipv4 && info.answers_ipv6);
    ck_assert_uint_le(info.file_size, 1600000);
    ck_assert_ptr_nonnull(strstr(info.description, "https://db-ip.com"));
    geo_db_unref(db);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("geo");
    TCase *tc = tcase_create("rows");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, test_schema, 0, (int)CDN_ARRAY_LEN(schemas));
    tcase_add_loop_test(tc, test_damaged, 0, 10);
    tcase_add_loop_test(tc, test_embedded_known, 0, (int)CDN_ARRAY_LEN(known));
    tcase_add_test(tc, test_two_files);
    tcase_add_test(tc, test_truncated);
    tcase_add_test(tc, test_random_bytes);
    tcase_add_test(tc, test_cycles);
    tcase_add_test(tc, test_not_a_file);
    tcase_add_test(tc, test_embedded_agrees_with_full);
    tcase_add_test(tc, test_embedded_leaves_private_space_out);
    tcase_add_test(tc, test_embedded_is_sound);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
