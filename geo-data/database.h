/* database: inside of struct geo_db, for the files of the geo library only. */
#ifndef CDN_GEO_DATA_DATABASE_H
#define CDN_GEO_DATA_DATABASE_H

#include "geo-data/decode.h"

#include <maxminddb.h>
#include <stdatomic.h>

struct geo_file {
    MMDB_s mmdb;
    char *path;
    struct mmdb_section data;
    bool is_cells; /* made by build-world: coordinates are cells */
    bool answers_ipv4, answers_ipv6;
};

struct geo_db {
    atomic_uint owners;
    size_t file_count;
    struct geo_file files[2];
    const struct geo_file *ipv4, *ipv6; /* the file for each family, or NULL */
};

#define GEO_WORLD_TYPE "pocketcdn-world-cells" /* database_type of world.mmdb */

/* Values of a node's records: below node_count a node, node_count nothing, above it data. `node` <
 * node_count. */
struct geo_node {
    uint32_t record[2];
};
struct geo_node geo_file_node(const struct geo_file *file, uint32_t node);

/* The data offset of a record value above node_count; false when it is outside the data section. */
bool geo_file_entry(const struct geo_file *file, uint32_t value, uint32_t *ret_entry);

/* Decodes the record at `entry` and derives precision, country and default point. */
enum cdn_status geo_file_record(const struct geo_file *file, uint32_t entry, struct geo_record *ret_record);

#endif
