/* database: inside of struct geo_db, for the files of the geo library only. */
#ifndef CDN_GEO_DATA_DATABASE_H
#define CDN_GEO_DATA_DATABASE_H
#include "common/status.h"
#include "common/str.h"
#include "geo-data/decode.h"
#include "geo-data/geo.h"

#include <maxminddb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct geo_file {
    MMDB_s mmdb;
    char *path;
    struct mmdb_section data;
    bool is_cells; /* made by build-world: coordinates are cells */
    bool answers_ipv4, answers_ipv6;
};

struct geo_family { /* the files that answer it, in the order given */
    const struct geo_file *files[GEO_FILES_MAX];
    size_t count;
    struct geo_combinations *combinations; /* used with more than one file */
};

struct geo_db {
    atomic_uint owners;
    size_t file_count;
    struct geo_file files[GEO_FILES_MAX];
    struct geo_family ipv4, ipv6;
};

#define GEO_WORLD_TYPE "pocketcdn-world-cells" /* database_type of world.mmdb */

/* Opens the file at `path`, or the bytes of the embedded one when that is NULL. CDN_IO or CDN_CORRUPT;
 * the sentence names the path. */
enum cdn_status geo_file_open(const char *path, struct cdn_str bytes, struct geo_file *file,
                              struct cdn_error *err);
void geo_file_close(struct geo_file *file);

/* Values of a node's records: below node_count a node, node_count nothing, above it data. `node` <
 * node_count. */
struct geo_node {
    uint32_t record[2];
};
struct geo_node geo_file_node(const struct geo_file *file, uint32_t node);

/* The data offset of a record value above node_count; false when it is outside the data section. */
bool geo_file_entry(const struct geo_file *file, uint32_t value, uint32_t *ret_entry);

/* Decodes the records of n files at their entries (GEO_ENTRY_NONE: none), takes each field from the first
 * one that has it, and derives precision, country and default point. `entry` is left to the caller. */
enum cdn_status geo_files_record(const struct geo_file *const files[], const uint32_t entries[], size_t n,
                                 struct geo_record *ret_record);

#endif
