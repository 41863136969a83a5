/* geo: which place an address is at, from one or more MaxMind database files (.mmdb).
 *
 * Any schema is read: MaxMind's nested one (country.iso_code, location.latitude, city.names.en, ...), the
 * flat one of the ip-location-db packages (country_code, latitude, city, state1, ...) and the plain strings
 * of others (country "US", lat "37.4", loc "35.6,139.7"); README.md lists the keys. Numbers may be float,
 * double, integers or text. A file may hold IPv4, IPv6 or both. Of several files each field comes from the
 * first that has it, in the order given: a city file and an ASN file, or one file for each family.
 *
 * The tree is walked by libmaxminddb; the record is read in one pass by decode.h, bounded in bytes, depth and
 * items, so that a damaged file can give a wrong answer or CDN_CORRUPT, but neither a crash nor a loop. Files
 * are copied into memory when they are opened (their size in memory each), so what happens to them afterwards
 * does not matter.
 *
 * Life cycle: geo_db_open or geo_db_open_embedded, geo_db_ref for each further owner, geo_db_unref for all.
 * An open database never changes, so any number of threads may look up at once without a lock. Strings in a
 * record are borrowed from the copy: they live as long as the database.
 */
#ifndef CDN_GEO_DATA_GEO_H
#define CDN_GEO_DATA_GEO_H
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct geo_db;
struct MMDB_s;

/* How much a record's coordinates say, coarse to fine. */
#define GEO_PRECISION_TABLE(X) /* name, word */                                                     \
    X(NONE, "none")            /* no coordinates */                                                 \
    X(CONTINENT, "continent")  /* the continent's usual point */                                    \
    X(COUNTRY, "country")      /* its usual point: the largest city, or the file's default point */ \
    X(REGION, "region")        /* a subdivision of the country, no city */                          \
    X(CELL, "cell")            /* the middle of a map cell's addresses (the embedded database) */   \
    X(CITY, "city")            /* a city */

enum geo_precision {
#define X(name, word) GEO_PRECISION_##name,
    GEO_PRECISION_TABLE(X)
#undef X
        GEO_PRECISION_COUNT
};
const char *geo_precision_word(enum geo_precision precision); /* "city" */

struct geo_record {
    enum geo_precision precision;
    bool has_coordinates;
    bool default_point;          /* the coordinates stand for a whole country: data, not a place */
    double lat, lon;             /* degrees, north and east positive; 0 without has_coordinates */
    unsigned accuracy_radius_km; /* 0 when the file says none */
    unsigned prefix_len;         /* of the matched (or unanswered) network, in the address' own family */
    uint32_t entry;              /* stands for the record: equal entries of a family are equal records */
    struct cdn_str country_code; /* "DE"; empty strings where the file says nothing */
    struct cdn_str country;      /* English name, from the built-in table when the file has none */
    struct cdn_str registered_country_code;
    struct cdn_str continent_code; /* "EU" */
    struct cdn_str subdivision;
    struct cdn_str subdivision_code;
    struct cdn_str city;
    struct cdn_str postcode;
    struct cdn_str time_zone;
    uint32_t asn; /* autonomous system of the network, 0 when the file says none */
    struct cdn_str organization;
};

#define GEO_FILES_MAX 10u
#define GEO_EMBEDDED "embedded" /* in place of a path: the database inside the program */
/* Opens n files (1 to GEO_FILES_MAX), of which one may be GEO_EMBEDDED. CDN_IO when a file cannot be read,
 * is none, has over 4 GiB or changes meanwhile, CDN_CORRUPT when it is not a sound .mmdb file, CDN_INVALID
 * when n is wrong. The sentence names the path. Metadata and a sample of the records are checked;
 * geo_db_verify checks all. */
enum cdn_status geo_db_open(const char *const paths[], size_t n, struct geo_db **ret_db,
                            struct cdn_error *err) CDN_MUST_CHECK;
/* The database inside the program (world.mmdb; precision `cell`). */
enum cdn_status geo_db_open_embedded(struct geo_db **ret_db, struct cdn_error *err) CDN_MUST_CHECK;
struct geo_db *geo_db_ref(struct geo_db *db);
void geo_db_unref(struct geo_db *db); /* closes with the last owner; NULL is fine */

/* CDN_OK, CDN_NOT_FOUND (no record, or a family that no file holds; only prefix_len is set) or CDN_CORRUPT
 * (the record cannot be read). IPv4-mapped IPv6 addresses are looked up as IPv4. `ret_record` is always
 * written. */
enum cdn_status geo_lookup(const struct geo_db *db, const struct sockaddr *address,
                           struct geo_record *ret_record);

/* The same without reading the record: where it stands, or GEO_ENTRY_NONE. */
enum cdn_status geo_lookup_entry(const struct geo_db *db, const struct sockaddr *address, uint32_t *ret_entry,
                                 unsigned *ret_prefix_len);

/* The record behind an `entry` of geo_walk or geo_lookup_entry, as
 * geo_lookup would give it (prefix_len 0). */
enum cdn_status geo_entry_record(const struct geo_db *db, int family, uint32_t entry,
                                 struct geo_record *ret_record);

#define GEO_ENTRY_NONE UINT32_MAX
struct geo_net {
    uint8_t address[16]; /* network order; the first 4 bytes for IPv4, the rest 0 */
    unsigned prefix_len;
    uint32_t entry; /* GEO_ENTRY_NONE where the file says nothing */
};
/* Visits every network of one family (AF_INET, AF_INET6) in address order, without gaps; none when no file
 * holds the family. A file of both families has IPv4 also inside IPv6 (::/96 and aliases), and it is visited
 * there. Stops early when `visit` returns false. CDN_CORRUPT when the tree is deeper than an address or has
 * more than 100 million networks. */
enum cdn_status geo_walk(const struct geo_db *db, int family,
                         bool (*visit)(void *ctx, const struct geo_net *net), void *ctx,
                         struct cdn_error *err) CDN_MUST_CHECK;

#define GEO_INFO_LIST_MAX 16
struct geo_info {     /* of one file; strings borrowed */
    const char *path; /* "embedded" for the built-in file */
    const char *type;
    uint64_t build_epoch; /* seconds since 1970 */
    uint64_t file_size;   /* bytes */
    uint32_t node_count;
    unsigned record_size; /* bits */
    unsigned ip_version;  /* 4 or 6 */
    bool answers_ipv4, answers_ipv6;
    const char *description; /* English if there, else the first, else "" */
    size_t language_count;   /* cut at GEO_INFO_LIST_MAX */
    const char *languages[GEO_INFO_LIST_MAX];
};
/* For libmaxminddb's own functions; lives as long as the database. */
const struct MMDB_s *geo_db_mmdb(const struct geo_db *db, size_t i);
size_t geo_db_file_count(const struct geo_db *db);
void geo_db_info(const struct geo_db *db, size_t i, struct geo_info *ret_info); /* i < file_count */

struct geo_verify_report {
    uint64_t nodes;          /* reachable */
    uint64_t records;        /* distinct */
    uint64_t records_placed; /* of these, with coordinates */
    uint64_t data_bytes;     /* of the data section */
};
/* Walks one file's whole tree (no loops, no deeper than an address) and decodes every record with bounds and
 * depth checked. Some seconds for the largest files. */
enum cdn_status geo_db_verify(const struct geo_db *db, size_t i, struct geo_verify_report *ret_report,
                              struct cdn_error *err) CDN_MUST_CHECK;

#endif
