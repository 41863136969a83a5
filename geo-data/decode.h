/* decode: reading the data section of an .mmdb file (MaxMind DB format 2.0) with every access checked.
 *
 * Offsets count from the start of the section. Every walk has a depth limit and an item budget, so a section
 * with loops of pointers ends with `false` after bounded work.
 */
#ifndef CDN_GEO_DATA_DECODE_H
#define CDN_GEO_DATA_DECODE_H
#include "geo-data/geo.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mmdb_section {
    const uint8_t *p;
    size_t n;
};

struct mmdb_field {
    unsigned type;
    uint32_t size; /* bytes of payload; pairs of a map, items of an array, the value of a boolean */
    size_t body;   /* offset of the payload or of the first item */
    size_t next;   /* offset after the field where it stood (after the pointer, if it was one); for maps and
                      arrays that were no pointer: `body`, and the items have to be skipped */
};

/* Reads the field at `at`, following one pointer. False when it leaves the section or is not a field. */
bool mmdb_field_read(struct mmdb_section section, size_t at, struct mmdb_field *ret_field);
/* The offset after the field, its items included. `budget` counts items down. */
bool mmdb_field_skip(struct mmdb_section section, const struct mmdb_field *field, unsigned depth,
                     uint32_t *budget, size_t *ret_next);
/* Reads everything under the field at `at` and checks it: types, bounds, depth, UTF-8. */
bool mmdb_field_check(struct mmdb_section section, size_t at, unsigned depth, uint32_t *budget);

uint32_t mmdb_big_endian(const uint8_t *p, unsigned bytes); /* up to 4 */
bool mmdb_has_items(unsigned type);                         /* map or array */

/* Fills what is empty of the strings, coordinates (NAN is empty) and numbers of a record from the map at
 * `entry`; nothing derived. */
bool mmdb_record_decode(struct mmdb_section section, size_t entry, struct geo_record *record);

#define MMDB_DEPTH_MAX 512u /* as libmaxminddb has it */
#define MMDB_BUDGET 100000u

#endif
