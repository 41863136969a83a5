/* mmdb_encode: the fields of an .mmdb data section (MaxMind DB format 2.0), appended to a buffer. */
#ifndef CDN_GEO_DATA_MMDB_ENCODE_H
#define CDN_GEO_DATA_MMDB_ENCODE_H
#include "common/str.h"

#include <stdint.h>

void mmdb_put_map(struct cdn_buf *out, uint32_t pairs);         /* then key, value, key, value, ... */
void mmdb_put_array(struct cdn_buf *out, uint32_t items);       /* then the items */
void mmdb_put_string(struct cdn_buf *out, struct cdn_str text); /* UTF-8, under 16 MB */
void mmdb_put_double(struct cdn_buf *out, double value);
void mmdb_put_float(struct cdn_buf *out, float value);
void mmdb_put_uint16(struct cdn_buf *out, uint16_t value);
void mmdb_put_uint32(struct cdn_buf *out, uint32_t value);
void mmdb_put_uint64(struct cdn_buf *out, uint64_t value);
void mmdb_put_pointer(struct cdn_buf *out, uint32_t offset); /* to a field in the data section */

#endif
