/* rows: what the geo tests share: addresses from text, small databases, files that vanish. */
#ifndef CDN_TESTS_UNIT_GEO_ROWS_H
#define CDN_TESTS_UNIT_GEO_ROWS_H
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "geo-data/tools/mmdb_writer.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

union test_address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

static inline union test_address address_of(const char *text)
{
    union test_address a = {.ipv6 = {.sin6_family = AF_INET6}};
    if (inet_pton(AF_INET6, text, &a.ipv6.sin6_addr) == 1) {
        return a;
    }
    a = (union test_address){.ipv4 = {.sin_family = AF_INET}};
    ck_assert_msg(inet_pton(AF_INET, text, &a.ipv4.sin_addr) == 1, "%s", text);
    return a;
}

static inline void insert_text(struct mmdb_writer *w, const char *network, uint32_t record)
{
    char text[64];
    struct cdn_str length = cdn_str(network);
    cdn_str_copy(text, sizeof(text), cdn_str_cut(&length, '/'));
    union test_address a = address_of(text);
    const void *bytes =
        a.any.sa_family == AF_INET ? (const void *)&a.ipv4.sin_addr : (const void *)&a.ipv6.sin6_addr;
    mmdb_writer_insert(w, a.any.sa_family, bytes, (unsigned)strtoul(length.p, NULL, 10), record);
}

/* Writes the bytes to a fresh file; the path is the caller's to unlink and free. */
static inline char *write_file(const void *bytes, size_t n)
{
    char *path = cdn_strdup("/tmp/geo-test-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
    close(fd);
    return path;
}

/* Opens the bytes of a database; the file is gone afterwards. */
static inline enum cdn_status open_bytes(const void *bytes, size_t n, struct geo_db **ret_db,
                                         struct cdn_error *err)
{
    char *path = write_file(bytes, n);
    enum cdn_status status = geo_db_open((const char *const[]){path}, 1, ret_db, err);
    unlink(path);
    free(path);
    return status;
}

static inline void finish(struct mmdb_writer *w, unsigned record_size, struct cdn_buf *out)
{
    const struct mmdb_metadata metadata = {
        .database_type = "test", .description = "of the tests", .build_epoch = 7, .record_size = record_size};
    struct cdn_error err;
    ck_assert_msg(mmdb_writer_finish(w, &metadata, out, &err) == CDN_OK, "%s", err.text);
}

/* A file of one network. */
static inline void make_file(struct cdn_buf *out, unsigned ip_version, const char *network,
                             struct cdn_str record)
{
    struct mmdb_writer *w = mmdb_writer_create(ip_version);
    insert_text(w, network, mmdb_writer_add(w, record));
    finish(w, 0, out);
    mmdb_writer_destroy(w);
}

static inline enum cdn_status look_up(const struct geo_db *db, const char *text,
                                      struct geo_record *ret_record)
{
    union test_address address = address_of(text);
    return geo_lookup(db, &address.any, ret_record);
}

#endif
