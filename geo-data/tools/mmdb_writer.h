/* mmdb_writer: making .mmdb files.
 *
 * Records are encoded with mmdb_encode.h and added once each (equal bytes are stored once); networks are
 * inserted in any order, and the longest prefix wins. On writing, networks that an enclosing one already
 * answers alike disappear, equal halves are joined, and equal subtrees are stored once: readers do not mind,
 * files get smaller.
 *
 * Life cycle: create, strings and records, insert, finish (as often as wanted), destroy. One thread.
 */
#ifndef CDN_GEO_DATA_MMDB_WRITER_H
#define CDN_GEO_DATA_MMDB_WRITER_H
#include "common/status.h"
#include "common/str.h"

#include <stdint.h>

struct mmdb_writer;

/* 4, or 6: addresses of 128 bits, IPv4 under ::/96. */
struct mmdb_writer *mmdb_writer_create(unsigned ip_version);
void mmdb_writer_destroy(struct mmdb_writer *w);

/* Appends to `record` a pointer to `text`, which is stored once in the file: for keys and repeated values. */
void mmdb_writer_put_shared(struct mmdb_writer *w, struct cdn_buf *record, struct cdn_str text);

/* Stores an encoded map and returns its number for mmdb_writer_insert; equal bytes give the same number. */
uint32_t mmdb_writer_add(struct mmdb_writer *w, struct cdn_str record);

/* Gives a network its record; the same network again replaces it. `address` has 4 bytes for IPv4 (also in a
 * tree of 128 bits, where it goes under ::/96) or 16; bits after the prefix are ignored. */
void mmdb_writer_insert(struct mmdb_writer *w, int family, const uint8_t *address, unsigned prefix_len,
                        uint32_t record);

/* Lets ::ffff:0:0/96 and 2002::/16 lead to the IPv4 networks; what was inserted there is not written.
 * For writers of ip_version 6. */
void mmdb_writer_alias_ipv4(struct mmdb_writer *w);

struct mmdb_metadata {
    const char *database_type;
    const char *description; /* English; NULL for none */
    const char *language;    /* NULL for none */
    uint64_t build_epoch;    /* seconds since 1970 */
    unsigned record_size;    /* 24, 28, 32 bits, or 0: the smallest that fits */
};

/* Appends the whole file to `out`. CDN_TOO_LARGE when the record size is too small for the file, CDN_INVALID
 * when it is none of the format's. */
enum cdn_status mmdb_writer_finish(struct mmdb_writer *w, const struct mmdb_metadata *metadata,
                                   struct cdn_buf *out, struct cdn_error *err) CDN_MUST_CHECK;

#endif
