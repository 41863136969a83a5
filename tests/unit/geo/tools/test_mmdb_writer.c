/* mmdb_writer: random tables read back through libmaxminddb, against a plain search for the longest prefix */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "geo-data/mmdb_encode.h"
#include "geo-data/tools/mmdb_writer.h"
#include "tests/unit/geo/rows.h"

#include <check.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/banned.h"

#define NETWORKS 300u
#define LOOKUPS 4000u

struct network {
    int family;
    uint8_t address[16];
    unsigned prefix_len;
    uint32_t value;
};

static const struct {
    unsigned ip_version, record_size;
    bool has_ipv4, has_ipv6, has_alias;
} rows[] = {
    {4, 0, true, false, false},  {4, 24, true, false, false}, {4, 28, true, false, false},
    {4, 32, true, false, false}, {6, 0, false, true, false},  {6, 28, true, true, false},
    {6, 32, true, true, false},  {6, 24, true, true, true},
};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static struct network random_network(uint64_t *state, int family)
{
    struct network n = {.family = family, .value = (uint32_t)next_random(state) % 20};
    n.prefix_len = (unsigned)next_random(state) % (family == AF_INET ? 33 : 129);
    for (unsigned i = 0; i < (family == AF_INET ? 4 : 16); i++) { /* few values, so that networks nest */
        n.address[i] = (uint8_t)((next_random(state) & 3) << (next_random(state) & 7));
    }
    if (family == AF_INET6) {
        n.address[0] |= 0x24; /* outside of ::/96 and of the aliases */
    }
    return n;
}

static bool covers(const struct network *n, int family, const uint8_t *address)
{
    if (n->family != family) {
        return false;
    }
    for (unsigned i = 0; i < n->prefix_len; i++) {
        if ((n->address[i / 8] ^ address[i / 8]) & 0x80 >> i % 8) {
            return false;
        }
    }
    return true;
}

/* -1 for nothing; of equal prefixes the later insertion counts */
static int expected(const struct network *networks, int family, const uint8_t *address)
{
    int best = -1;
    unsigned longest = 0;
    for (size_t i = 0; i < NETWORKS; i++) {
        if (covers(&networks[i], family, address) && (best < 0 || networks[i].prefix_len >= longest)) {
            best = (int)networks[i].value;
            longest = networks[i].prefix_len;
        }
    }
    return best;
}

static int looked_up(MMDB_s *mmdb, int family, const uint8_t *address)
{
    union test_address a = {.any = {.sa_family = (sa_family_t)family}};
    if (family == AF_INET) {
        memcpy(&a.ipv4.sin_addr, address, 4);
    } else {
        memcpy(&a.ipv6.sin6_addr, address, 16);
    }
    int code;
    MMDB_lookup_result_s found = MMDB_lookup_sockaddr(mmdb, &a.any, &code);
    ck_assert_int_eq(code, MMDB_SUCCESS);
    if (!found.found_entry) {
        return -1;
    }
    MMDB_entry_data_s data;
    ck_assert_int_eq(MMDB_get_value(&found.entry, &data, "value", NULL), MMDB_SUCCESS);
    ck_assert_uint_eq(data.type, MMDB_DATA_TYPE_UINT32);
    return (int)data.uint32;
}

static uint32_t add_value(struct mmdb_writer *w, uint32_t value)
{
    CDN_AUTOBUF struct cdn_buf record = {0};
    mmdb_put_map(&record, 1);
    mmdb_writer_put_shared(w, &record, CDN_STR("value"));
    mmdb_put_uint32(&record, value);
    return mmdb_writer_add(w, cdn_buf_str(&record));
}

static void check_aliases(MMDB_s *mmdb, const uint8_t *ipv4)
{
    uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff}, six_to_four[16] = {0x20, 0x02, [15] = 9};
    memcpy(mapped + 12, ipv4, 4);
    memcpy(six_to_four + 2, ipv4, 4);
    ck_assert_int_eq(looked_up(mmdb, AF_INET6, mapped), looked_up(mmdb, AF_INET, ipv4));
    ck_assert_int_eq(looked_up(mmdb, AF_INET6, six_to_four), looked_up(mmdb, AF_INET, ipv4));
}

START_TEST(test_random_table)
{
    uint64_t state = (uint64_t)_i + 1;
    struct network networks[NETWORKS];
    struct mmdb_writer *w = mmdb_writer_create(rows[_i].ip_version);
    for (size_t i = 0; i < NETWORKS; i++) {
        int family = rows[_i].has_ipv4 && (!rows[_i].has_ipv6 || i % 2) ? AF_INET : AF_INET6;
        networks[i] = random_network(&state, family);
        mmdb_writer_insert(w, family, networks[i].address, networks[i].prefix_len,
                           add_value(w, networks[i].value));
    }
    if (rows[_i].has_alias) {
        mmdb_writer_alias_ipv4(w);
    }
    CDN_AUTOBUF struct cdn_buf file = {0};
    finish(w, rows[_i].record_size, &file);
    mmdb_writer_destroy(w);
    char *path = write_file(file.p, file.n);
    MMDB_s mmdb;
    ck_assert_int_eq(MMDB_open(path, MMDB_MODE_MMAP, &mmdb), MMDB_SUCCESS);
    ck_assert_uint_eq(mmdb.metadata.ip_version, rows[_i].ip_version);
    ck_assert_uint_eq(mmdb.metadata.record_size, rows[_i].record_size ? rows[_i].record_size : 24);
    for (size_t i = 0; i < LOOKUPS; i++) {
        int family = rows[_i].has_ipv4 && (!rows[_i].has_ipv6 || i % 2) ? AF_INET : AF_INET6;
        struct network at = random_network(&state, family);
        if (i % 4 == 0) { /* close to a network that is there */
            memcpy(at.address, networks[i % NETWORKS].address, 3);
        }
        if (networks[i % NETWORKS].family != family && i % 4 == 0) {
            continue;
        }
        ck_assert_int_eq(looked_up(&mmdb, family, at.address), expected(networks, family, at.address));
        if (rows[_i].has_alias && family == AF_INET) {
            check_aliases(&mmdb, at.address);
        }
    }
    MMDB_close(&mmdb);
    struct geo_db *db;
    struct geo_verify_report report;
    struct cdn_error err;
    ck_assert_msg(geo_db_open((const char *const[]){path}, 1, &db, &err) == CDN_OK, "%s", err.text);
    ck_assert_msg(geo_db_verify(db, 0, &report, &err) == CDN_OK, "%s", err.text);
    ck_assert_uint_le(report.records, 20);
    geo_db_unref(db);
    unlink(path);
    free(path);
}
END_TEST

START_TEST(test_sharing)
{
    struct mmdb_writer *w = mmdb_writer_create(4);
    uint32_t one = add_value(w, 1);
    ck_assert_uint_eq(add_value(w, 1), one);
    ck_assert_uint_ne(add_value(w, 2), one);
    /* the same four networks under 256 prefixes: one subtree */
    for (unsigned i = 0; i < 256; i++) {
        for (unsigned k = 0; k < 4; k++) {
            uint8_t address[4] = {(uint8_t)i, (uint8_t)(k << 6), (uint8_t)(7 * k), 0};
            mmdb_writer_insert(w, AF_INET, address, 24, one);
        }
    }
    CDN_AUTOBUF struct cdn_buf file = {0};
    finish(w, 24, &file);
    mmdb_writer_destroy(w);
    ck_assert_uint_lt(file.n, 1000); /* about 8 + 2 + 4 * 14 nodes of 6 bytes */
}
END_TEST

START_TEST(test_equal_halves_are_joined)
{
    struct mmdb_writer *w = mmdb_writer_create(4);
    uint32_t one = add_value(w, 1);
    for (unsigned i = 0; i < 256; i++) {
        mmdb_writer_insert(w, AF_INET, (uint8_t[]){10, (uint8_t)i, 0, 0}, 16, one);
    }
    CDN_AUTOBUF struct cdn_buf file = {0};
    finish(w, 0, &file);
    mmdb_writer_destroy(w);
    struct geo_db *db;
    struct cdn_error err;
    ck_assert_int_eq(open_bytes(file.p, file.n, &db, &err), CDN_OK);
    struct geo_record r;
    union test_address a = address_of("10.77.1.2");
    ck_assert_int_eq(geo_lookup(db, &a.any, &r), CDN_OK);
    ck_assert_uint_eq(r.prefix_len, 8);
    geo_db_unref(db);
}
END_TEST

START_TEST(test_record_size_refused)
{
    struct mmdb_writer *w = mmdb_writer_create(4);
    CDN_AUTOBUF struct cdn_buf big = {0}, file = {0};
    cdn_buf_reserve(&big, 1u << 24);
    memset(big.p, 0, 1u << 24);
    big.n = 1u << 24;
    mmdb_writer_insert(w, AF_INET, (uint8_t[4]){1}, 8, mmdb_writer_add(w, cdn_buf_str(&big)));
    struct mmdb_metadata metadata = {.database_type = "test", .record_size = 24};
    struct cdn_error err;
    ck_assert_int_eq(mmdb_writer_finish(w, &metadata, &file, &err), CDN_TOO_LARGE);
    metadata.record_size = 25;
    ck_assert_int_eq(mmdb_writer_finish(w, &metadata, &file, &err), CDN_INVALID);
    ck_assert_uint_eq(file.n, 0);
    mmdb_writer_destroy(w);
}
END_TEST

/* Sizes at the edges of the encodings, through libmaxminddb's own decoder. */
START_TEST(test_string_sizes)
{
    static const size_t sizes[] = {0, 1, 28, 29, 284, 285, 65820, 65821, 70000};
    size_t n = sizes[_i];
    CDN_AUTOFREE char *text = cdn_malloc(n + 1);
    memset(text, 'a', n);
    struct mmdb_writer *w = mmdb_writer_create(4);
    CDN_AUTOBUF struct cdn_buf record = {0}, file = {0};
    mmdb_put_map(&record, 2);
    mmdb_writer_put_shared(w, &record, CDN_STR("text"));
    mmdb_writer_put_shared(w, &record, (struct cdn_str){text, n});
    mmdb_writer_put_shared(w, &record, CDN_STR("after"));
    mmdb_put_uint64(&record, UINT64_MAX - n);
    mmdb_writer_insert(w, AF_INET, (uint8_t[4]){0}, 0, mmdb_writer_add(w, cdn_buf_str(&record)));
    finish(w, 0, &file);
    mmdb_writer_destroy(w);
    char *path = write_file(file.p, file.n);
    MMDB_s mmdb;
    ck_assert_int_eq(MMDB_open(path, MMDB_MODE_MMAP, &mmdb), MMDB_SUCCESS);
    int gai, code;
    MMDB_lookup_result_s found = MMDB_lookup_string(&mmdb, "1.2.3.4", &gai, &code);
    MMDB_entry_data_s data;
    ck_assert_int_eq(MMDB_get_value(&found.entry, &data, "text", NULL), MMDB_SUCCESS);
    ck_assert_uint_eq(data.data_size, n);
    ck_assert_int_eq(MMDB_get_value(&found.entry, &data, "after", NULL), MMDB_SUCCESS);
    ck_assert_uint_eq(data.uint64, UINT64_MAX - n);
    MMDB_close(&mmdb);
    unlink(path);
    free(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mmdb_writer");
    TCase *tc = tcase_create("rows");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, test_random_table, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_loop_test(tc, test_string_sizes, 0, 9);
    tcase_add_test(tc, test_sharing);
    tcase_add_test(tc, test_equal_halves_are_joined);
    tcase_add_test(tc, test_record_size_refused);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
