/* mmdb_encode: the encodings of the format, numbers and sizes in their shortest form. Used to write
 * databases and, in metadata.c, to complete one whose optional keys are missing. */
#include "geo-data/mmdb_encode.h"

#include <assert.h>
#include <maxminddb.h> /* MMDB_DATA_TYPE_... */
#include <string.h>

#include "common/banned.h"

static void put_big_endian(struct cdn_buf *out, uint64_t value, unsigned bytes)
{
    for (unsigned shift = bytes * 8; shift > 0; shift -= 8) {
        cdn_buf_add_char(out, (char)(value >> (shift - 8) & 0xff));
    }
}

/* Control byte, the second type byte of extended types, and the bytes of sizes from 29 on. */
static void put_head(struct cdn_buf *out, unsigned type, uint32_t size)
{
    unsigned extra = size < 29 ? 0 : size < 285 ? 1 : size < 65821 ? 2 : 3;
    static const uint32_t base[] = {0, 29, 285, 65821};
    assert(size < 65821 + (1u << 24));
    unsigned low = extra == 0 ? size : 28 + extra;
    cdn_buf_add_char(out, (char)((type > 7 ? 0 : type << 5) | low));
    if (type > 7) {
        cdn_buf_add_char(out, (char)(type - 7));
    }
    put_big_endian(out, size - base[extra], extra);
}

void mmdb_put_map(struct cdn_buf *out, uint32_t pairs)
{
    put_head(out, MMDB_DATA_TYPE_MAP, pairs);
}

void mmdb_put_array(struct cdn_buf *out, uint32_t items)
{
    put_head(out, MMDB_DATA_TYPE_ARRAY, items);
}

void mmdb_put_string(struct cdn_buf *out, struct cdn_str text)
{
    put_head(out, MMDB_DATA_TYPE_UTF8_STRING, (uint32_t)text.n);
    cdn_buf_add_str(out, text);
}

void mmdb_put_double(struct cdn_buf *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    put_head(out, MMDB_DATA_TYPE_DOUBLE, 8);
    put_big_endian(out, bits, 8);
}

void mmdb_put_float(struct cdn_buf *out, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    put_head(out, MMDB_DATA_TYPE_FLOAT, 4);
    put_big_endian(out, bits, 4);
}

static void put_unsigned(struct cdn_buf *out, unsigned type, uint64_t value)
{
    unsigned bytes = 0;
    while (bytes < 8 && value >> 8 * bytes != 0) {
        bytes++;
    }
    put_head(out, type, bytes);
    put_big_endian(out, value, bytes);
}

void mmdb_put_uint16(struct cdn_buf *out, uint16_t value)
{
    put_unsigned(out, MMDB_DATA_TYPE_UINT16, value);
}

void mmdb_put_uint32(struct cdn_buf *out, uint32_t value)
{
    put_unsigned(out, MMDB_DATA_TYPE_UINT32, value);
}

void mmdb_put_uint64(struct cdn_buf *out, uint64_t value)
{
    put_unsigned(out, MMDB_DATA_TYPE_UINT64, value);
}

void mmdb_put_pointer(struct cdn_buf *out, uint32_t offset)
{
    static const uint32_t base[] = {0, 2048, 526336, 0};
    unsigned form = offset < 2048 ? 0 : offset < 526336 ? 1 : offset < 134744064 ? 2 : 3;
    uint32_t value = offset - base[form];
    unsigned high = form == 3 ? 0 : value >> 8 * (form + 1);
    cdn_buf_add_char(out, (char)(MMDB_DATA_TYPE_POINTER << 5 | form << 3 | high));
    put_big_endian(out, form == 3 ? value : value & ((1u << 8 * (form + 1)) - 1), form + 1);
}
