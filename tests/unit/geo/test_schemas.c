/* schemas: the keys of many databases; fields of several files; files that change */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "geo-data/mmdb_encode.h"
#include "tests/unit/geo/rows.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

/* One row a spelling: "key=value;key=value" of texts, or a nested key "a.b=value"; what must come of it. */
static const struct {
    const char *record, *country, *name, *city, *organization;
    uint32_t asn;
    enum geo_precision precision;
    double lat;
} spellings[] = {
    {"country=JP;country_name=Japan", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country_name=Japan;country=JP", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country=Japan;country_code=JP", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country=JP;continent=AS", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country_short=JP;country_long=Japan", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country_iso_code=JP", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country.code=JP;country.name=Nippon", "JP", "Nippon", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"asn=AS2497;as_name=IIJ;country=Japan;country_code=JP;continent=Asia;continent_code=AS", "JP", "Japan",
     "", "IIJ", 2497, GEO_PRECISION_COUNTRY, 35.6762},
    {"asn=2497;asn_org=IIJ", "", "", "", "IIJ", 2497, GEO_PRECISION_NONE, 0},
    {"org=AS2497 Internet Initiative", "", "", "", "Internet Initiative", 2497, GEO_PRECISION_NONE, 0},
    {"org=Internet Initiative", "", "", "", "Internet Initiative", 0, GEO_PRECISION_NONE, 0},
    {"as=AS2497 IIJ", "", "", "", "IIJ", 2497, GEO_PRECISION_NONE, 0},
    {"asn=ASx", "", "", "", "", 0, GEO_PRECISION_NONE, 0},
    {"asn=AS4294967296", "", "", "", "", 0, GEO_PRECISION_NONE, 0},
    {"autonomous_system_number=AS2497;autonomous_system_organization=IIJ", "", "", "", "IIJ", 2497,
     GEO_PRECISION_NONE, 0},
    {"asn.asn=AS2497;asn.name=IIJ", "", "", "", "IIJ", 2497, GEO_PRECISION_NONE, 0},
    {"city=Tokyo;loc=35.6,139.7", "", "", "Tokyo", "", 0, GEO_PRECISION_CITY, 35.6},
    {"city=Tokyo;location=35.6, 139.7", "", "", "Tokyo", "", 0, GEO_PRECISION_CITY, 35.6},
    {"city=Tokyo;location.lat=35.6;location.lng=139.7", "", "", "Tokyo", "", 0, GEO_PRECISION_CITY, 35.6},
    {"city_name=Tokyo;lat=35.6;lon=139.7", "", "", "Tokyo", "", 0, GEO_PRECISION_CITY, 35.6},
    {"city=Tokyo;loc=35.6", "", "", "Tokyo", "", 0, GEO_PRECISION_NONE, 0},
    {"city=Tokyo;loc=x,y;country=JP", "JP", "Japan", "Tokyo", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country=-;city=-;asn=-", "", "", "", "", 0, GEO_PRECISION_NONE, 0},
    {"country=N/A;city=unknown", "", "", "", "", 0, GEO_PRECISION_NONE, 0},
    {"country_code=ZZ;country_name=Unknown Land", "", "", "", "", 0, GEO_PRECISION_NONE, 0},
    {"country_code=A1;country_name=Anonymous Proxy", "", "", "", "", 0, GEO_PRECISION_NONE, 0},
    {"country_code=EU", "EU", "Europe", "", "", 0, GEO_PRECISION_CONTINENT, 50},
    {"country.iso_code=AP", "AP", "Asia/Pacific", "", "", 0, GEO_PRECISION_CONTINENT, 15},
    {"continent.code=SA", "", "", "", "", 0, GEO_PRECISION_CONTINENT, -16},
    {"continent=Africa", "", "", "", "", 0, GEO_PRECISION_CONTINENT, 5},
    {"continent_code=OC", "", "", "", "", 0, GEO_PRECISION_CONTINENT, -30},
    /* codes of three letters, former ones, names: one code for a country */
    {"country=jp", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country=JPN", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country_code=jpn;country_name=Nippon", "JP", "Nippon", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country_code3=JPN", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"cc=JP", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country=Japan", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country_name=JAPAN", "JP", "JAPAN", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country.names.en=Japan", "", "", "", "", 0, GEO_PRECISION_NONE, 0}, /* the dots of rows are one deep */
    {"country.name=Japan", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country=UK", "GB", "United Kingdom", "", "", 0, GEO_PRECISION_COUNTRY, 51.5074},
    {"country=Great Britain", "GB", "Great Britain", "", "", 0, GEO_PRECISION_COUNTRY, 51.5074},
    {"country=Korea, Republic of", "KR", "Korea, Republic of", "", "", 0, GEO_PRECISION_COUNTRY, 37.5665},
    {"country_code=YU", "RS", "Serbia", "", "", 0, GEO_PRECISION_COUNTRY, 44.7866},
    {"country=Europe", "EU", "Europe", "", "", 0, GEO_PRECISION_CONTINENT, 50},
    {"country=Asia", "", "", "", "", 0, GEO_PRECISION_CONTINENT, 28},
    {"country_code=QQ", "QQ", "", "", "", 0, GEO_PRECISION_NONE, 0},
    {"country_code=A1;country_name=Japan", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country_name=Anonymous Proxy;registered_country=JP", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY,
     35.6762},
    {"registered_country=JPN", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    /* keys in any case, words joined in any way */
    {"Country=JP", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"COUNTRY_CODE=JP;ASN=2497", "JP", "Japan", "", "", 2497, GEO_PRECISION_COUNTRY, 35.6762},
    {"countryCode=JP;countryName=Nippon", "JP", "Nippon", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country-code=JP;As Number=2497", "JP", "Japan", "", "", 2497, GEO_PRECISION_COUNTRY, 35.6762},
    {"country.isoCode=JP", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"country_codes=JP;countr=JP;_=JP;=JP", "", "", "", "", 0, GEO_PRECISION_NONE, 0},
    /* a record in the record */
    {"geo.country_code=JP;as.asn=AS2497;as.name=IIJ", "JP", "Japan", "", "IIJ", 2497, GEO_PRECISION_COUNTRY,
     35.6762},
    {"location.country=JP;location.city=Tokyo;location.lat=35.6;location.lng=139.7", "JP", "Japan", "Tokyo",
     "", 0, GEO_PRECISION_CITY, 35.6},
    {"connection.asn=2497;connection.isp=IIJ", "", "", "", "IIJ", 2497, GEO_PRECISION_NONE, 0},
    {"autonomous_system.number=2497;autonomous_system.organization=IIJ", "", "", "", "IIJ", 2497,
     GEO_PRECISION_NONE, 0},
    {"asn=AS 2497 IIJ", "", "", "", "IIJ", 2497, GEO_PRECISION_NONE, 0},
    {"org=AS Net", "", "", "", "AS Net", 0, GEO_PRECISION_NONE, 0},
    {"continent_name=Asia", "", "", "", "", 0, GEO_PRECISION_CONTINENT, 28},
    {"continent.name=Asia", "", "", "", "", 0, GEO_PRECISION_CONTINENT, 28},
    {"continent=Nowhere;country=JP", "JP", "Japan", "", "", 0, GEO_PRECISION_COUNTRY, 35.6762},
    {"nothing=known", "", "", "", "", 0, GEO_PRECISION_NONE, 0},
};

/* Keys before a '.' that are equal stand next to one another and become one map. */
static void put_spelling(struct cdn_buf *out, const char *text)
{
    CDN_AUTOBUF struct cdn_buf below = {0}, pairs = {0};
    struct cdn_str rest = cdn_str(text), outer = {0};
    uint32_t count = 0, inner_count = 0;
    while (rest.p || inner_count) {
        struct cdn_str value = rest.p ? cdn_str_cut(&rest, ';') : (struct cdn_str){0};
        struct cdn_str inner = cdn_str_cut(&value, '='), key = inner.p ? cdn_str_cut(&inner, '.') : inner;
        if (inner_count && !(inner.p && cdn_str_eq(key, outer))) {
            mmdb_put_string(&pairs, outer);
            mmdb_put_map(&pairs, inner_count);
            cdn_buf_add_str(&pairs, cdn_buf_str(&below));
            cdn_buf_clear(&below);
            inner_count = 0;
            count++;
        }
        if (inner.p) {
            outer = key;
            mmdb_put_string(&below, inner);
            mmdb_put_string(&below, value);
            inner_count++;
        } else if (key.p) {
            mmdb_put_string(&pairs, key);
            mmdb_put_string(&pairs, value);
            count++;
        }
    }
    mmdb_put_map(out, count);
    cdn_buf_add_str(out, cdn_buf_str(&pairs));
}

START_TEST(test_spelling)
{
    CDN_AUTOBUF struct cdn_buf record = {0}, file = {0};
    put_spelling(&record, spellings[_i].record);
    make_file(&file, 4, "198.51.0.0/16", cdn_buf_str(&record));
    struct geo_db *db;
    struct geo_record r;
    struct cdn_error err;
    ck_assert_msg(open_bytes(file.p, file.n, &db, &err) == CDN_OK, "%s", err.text);
    ck_assert_int_eq(look_up(db, "198.51.7.8", &r), CDN_OK);
    const struct {
        const char *what;
        struct cdn_str is;
        const char *wanted;
    } texts[] = {{"country", r.country_code, spellings[_i].country},
                 {"name", r.country, spellings[_i].name},
                 {"city", r.city, spellings[_i].city},
                 {"organization", r.organization, spellings[_i].organization}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(texts); i++) {
        ck_assert_msg(cdn_str_eq(texts[i].is, cdn_str(texts[i].wanted)), "%s: %s '" CDN_STR_FMT "'",
                      spellings[_i].record, texts[i].what, CDN_STR_ARG(texts[i].is));
    }
    ck_assert_msg(r.asn == spellings[_i].asn, "%s: asn %u", spellings[_i].record, r.asn);
    ck_assert_msg(r.precision == spellings[_i].precision, "%s: %s", spellings[_i].record,
                  geo_precision_word(r.precision));
    ck_assert_double_eq_tol(r.lat, spellings[_i].lat, 0.0001);
    geo_db_unref(db);
}
END_TEST

/* AF, AS, NA and SA are a continent's code and another continent's country. */
START_TEST(test_continent)
{
    static const struct {
        const char *record, *continent;
    } rows[] = {{"country_code=AF", "AS"},
                {"country_code=AS", "OC"},
                {"country_code=NA", "AF"},
                {"country_code=SA", "AS"},
                {"country_code=EU", "EU"},
                {"country_code=OC", "OC"},
                {"country_code=AN", "NA"}, /* the Netherlands Antilles */
                {"country=Namibia", "AF"},
                {"country_code=JP;continent=EU", "EU"}, /* what a file says counts */
                {"country_code=JP;continent=Nowhere", "AS"},
                {"continent=south america", "SA"},
                {"city=Tokyo", ""}};
    CDN_AUTOBUF struct cdn_buf record = {0}, file = {0};
    put_spelling(&record, rows[_i].record);
    make_file(&file, 4, "198.51.0.0/16", cdn_buf_str(&record));
    struct geo_db *db;
    struct geo_record r;
    struct cdn_error err;
    ck_assert_msg(open_bytes(file.p, file.n, &db, &err) == CDN_OK, "%s", err.text);
    ck_assert_int_eq(look_up(db, "198.51.7.8", &r), CDN_OK);
    ck_assert_msg(cdn_str_eq(r.continent_code, cdn_str(rows[_i].continent)), "%s: '" CDN_STR_FMT "'",
                  rows[_i].record, CDN_STR_ARG(r.continent_code));
    geo_db_unref(db);
}
END_TEST

static bool count_network(void *ctx, const struct geo_net *net)
{
    unsigned *counts = ctx;
    counts[net->entry != GEO_ENTRY_NONE]++;
    return true;
}

/* Countries of the one half, cities of a part, owners of another part: every network is a combination. */
START_TEST(test_fields_of_several_files)
{
    static const struct {
        const char *network, *record;
    } files[] = {{"1.0.0.0/8", "country=JP"},
                 {"1.2.0.0/16", "asn=AS64496;org=Example Net;country=FR"},
                 {"1.2.3.0/24", "city=Osaka;loc=34.7,135.5"},
                 {"9.0.0.0/8", "country=DE"}};
    static const struct {
        const char *address, *country, *city;
        uint32_t asn;
        unsigned prefix_len;
    } answers[] = {{"1.2.3.4", "JP", "Osaka", 64496, 24},
                   {"1.2.4.1", "JP", "", 64496, 22},
                   {"1.3.0.1", "JP", "", 0, 16},
                   {"9.1.1.1", "DE", "", 0, 8}};
    CDN_AUTOBUF struct cdn_buf bytes = {0}, record = {0};
    char *paths[CDN_ARRAY_LEN(files)];
    for (size_t i = 0; i < CDN_ARRAY_LEN(files); i++) {
        cdn_buf_clear(&bytes);
        cdn_buf_clear(&record);
        put_spelling(&record, files[i].record);
        make_file(&bytes, i % 2 ? 4 : 6, files[i].network, cdn_buf_str(&record));
        paths[i] = write_file(bytes.p, bytes.n);
    }
    struct geo_db *db;
    struct cdn_error err;
    ck_assert_msg(geo_db_open((const char *const *)paths, CDN_ARRAY_LEN(files), &db, &err) == CDN_OK, "%s",
                  err.text);
    for (size_t i = 0; i < CDN_ARRAY_LEN(answers); i++) {
        struct geo_record r, again;
        uint32_t entry;
        unsigned len;
        union test_address address = address_of(answers[i].address);
        ck_assert_int_eq(geo_lookup(db, &address.any, &r), CDN_OK);
        ck_assert(cdn_str_eq(r.country_code, cdn_str(answers[i].country)));
        ck_assert(cdn_str_eq(r.city, cdn_str(answers[i].city)));
        ck_assert_uint_eq(r.asn, answers[i].asn);
        ck_assert_uint_eq(r.prefix_len, answers[i].prefix_len);
        ck_assert_int_eq(geo_lookup_entry(db, &address.any, &entry, &len), CDN_OK);
        ck_assert_uint_eq(entry, r.entry);
        ck_assert_int_eq(geo_entry_record(db, AF_INET, entry, &again), CDN_OK);
        ck_assert(cdn_str_eq(again.city, r.city) && again.asn == r.asn && again.entry == entry);
    }
    struct geo_record r;
    ck_assert_int_eq(look_up(db, "77.1.1.1", &r), CDN_NOT_FOUND);
    unsigned counts[2] = {0};
    ck_assert_int_eq(geo_walk(db, AF_INET, count_network, counts, &err), CDN_OK);
    ck_assert_uint_eq(counts[1], 1 + 1 + 8 + 8); /* 9/8, 1.2.3/24, its siblings up to /16, theirs up to /8 */
    geo_db_unref(db);
    for (size_t i = 0; i < CDN_ARRAY_LEN(files); i++) {
        unlink(paths[i]);
        free(paths[i]);
    }
}
END_TEST

/* What happens to a file after it was opened does not matter. */
START_TEST(test_file_shortened_after_opening)
{
    CDN_AUTOBUF struct cdn_buf record = {0}, bytes = {0};
    put_spelling(&record, "country=JP");
    make_file(&bytes, 4, "1.0.0.0/8", cdn_buf_str(&record));
    char *path = write_file(bytes.p, bytes.n);
    struct geo_db *db;
    struct cdn_error err;
    struct geo_record r;
    ck_assert_int_eq(geo_db_open((const char *const[]){path}, 1, &db, &err), CDN_OK);
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(look_up(db, "1.2.3.4", &r), CDN_OK);
    ck_assert(cdn_str_eq(r.country_code, CDN_STR("JP")));
    ck_assert_int_eq(geo_db_open((const char *const[]){path}, 1, &db, &err), CDN_CORRUPT);
    ck_assert_msg(strstr(err.text, "empty"), "%s", err.text);
    ck_assert_int_eq(truncate(path, (off_t)5 << 30), 0); /* no bytes of it on the disk */
    ck_assert_int_eq(geo_db_open((const char *const[]){path}, 1, &db, &err), CDN_IO);
    ck_assert_int_eq(truncate(path, (off_t)3 << 30), 0);
    ck_assert_int_eq(geo_db_open((const char *const[]){path}, 1, &db, &err), CDN_CORRUPT);
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(geo_db_open((const char *const[]){path}, 1, &db, &err), CDN_IO);
    unlink(path);
    geo_db_unref(db);
    free(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas");
    TCase *tc = tcase_create("rows");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, test_spelling, 0, (int)CDN_ARRAY_LEN(spellings));
    tcase_add_loop_test(tc, test_continent, 0, 12);
    tcase_add_test(tc, test_fields_of_several_files);
    tcase_add_test(tc, test_file_shortened_after_opening);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
