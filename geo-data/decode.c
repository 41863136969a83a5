/* decode: fields of the data section, one at a time, where they stand, each read within the
 * section's bounds; decode_record.c makes records of them. So a look-up reads only the fields that
 * are wanted and allocates nothing. */
#include "geo-data/decode.h"

#include <maxminddb.h>

#include "common/banned.h"

uint32_t mmdb_big_endian(const uint8_t *p, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value = value << 8 | p[i];
    }
    return value;
}

/* The control byte's size, with its extra bytes (29: +1, 30: +2, 31: +3). Moves *at past them. */
static bool read_size(struct mmdb_section s, size_t *at, uint32_t *size)
{
    static const uint32_t base[] = {29, 285, 65821};
    if (*size < 29) {
        return true;
    }
    unsigned extra = *size - 28;
    if (s.n - *at < extra) {
        return false;
    }
    *size = base[extra - 1] + mmdb_big_endian(s.p + *at, extra);
    *at += extra;
    return true;
}

static bool read_pointer(struct mmdb_section s, size_t *at, unsigned bits, size_t *ret_target)
{
    static const uint32_t base[] = {0, 2048, 526336, 0};
    unsigned form = bits >> 3 & 3;
    unsigned bytes = form + 1;
    if (s.n - *at < bytes) {
        return false;
    }
    uint32_t value = mmdb_big_endian(s.p + *at, bytes);
    if (form < 3) {
        value += (bits & 7) << (8 * bytes);
    }
    *at += bytes;
    *ret_target = (size_t)value + base[form];
    return true;
}

static bool payload_size_fits(unsigned type, uint32_t size)
{
    switch (type) {
    case MMDB_DATA_TYPE_DOUBLE:
        return size == 8;
    case MMDB_DATA_TYPE_FLOAT:
        return size == 4;
    case MMDB_DATA_TYPE_UINT16:
        return size <= 2;
    case MMDB_DATA_TYPE_UINT32:
    case MMDB_DATA_TYPE_INT32:
        return size <= 4;
    case MMDB_DATA_TYPE_UINT64:
        return size <= 8;
    case MMDB_DATA_TYPE_UINT128:
        return size <= 16;
    case MMDB_DATA_TYPE_BOOLEAN:
        return size <= 1;
    case MMDB_DATA_TYPE_UTF8_STRING:
    case MMDB_DATA_TYPE_BYTES:
    case MMDB_DATA_TYPE_MAP:
    case MMDB_DATA_TYPE_ARRAY:
        return true;
    default:
        return false;
    }
}

bool mmdb_has_items(unsigned type)
{
    return type == MMDB_DATA_TYPE_MAP || type == MMDB_DATA_TYPE_ARRAY;
}

/* A field that is no pointer; `at` is after its control byte. */
static bool read_plain(struct mmdb_section s, size_t at, uint8_t control, struct mmdb_field *f)
{
    f->type = control >> 5;
    f->size = control & 31;
    if (f->type == MMDB_DATA_TYPE_EXTENDED) {
        if (at >= s.n || s.p[at] > 8) {
            return false;
        }
        f->type = s.p[at++] + 7u;
    }
    if (!read_size(s, &at, &f->size) || !payload_size_fits(f->type, f->size)) {
        return false;
    }
    f->body = f->next = at;
    if (mmdb_has_items(f->type)) {
        return f->size <= s.n - at; /* an item takes a byte at least */
    }
    if (f->type == MMDB_DATA_TYPE_BOOLEAN) {
        return true;
    }
    f->next = at + f->size;
    return f->size <= s.n - at;
}

bool mmdb_field_read(struct mmdb_section s, size_t at, struct mmdb_field *ret_field)
{
    if (at >= s.n) {
        return false;
    }
    uint8_t control = s.p[at++];
    if (control >> 5 != MMDB_DATA_TYPE_POINTER) {
        return read_plain(s, at, control, ret_field);
    }
    size_t target;
    if (!read_pointer(s, &at, control & 31, &target) || target >= s.n ||
        s.p[target] >> 5 == MMDB_DATA_TYPE_POINTER || !read_plain(s, target + 1, s.p[target], ret_field)) {
        return false;
    }
    ret_field->next = at;
    return true;
}

/* Were the items of a map or array after the field itself, or
 * elsewhere? Only the former have to be skipped. */
static bool is_inline(const struct mmdb_field *f)
{
    return f->next == f->body;
}

bool mmdb_field_skip(struct mmdb_section s, const struct mmdb_field *f, unsigned depth, uint32_t *budget,
                     size_t *ret_next)
{
    size_t at = f->next;
    if (!mmdb_has_items(f->type) || !is_inline(f)) {
        *ret_next = at;
        return true;
    }
    uint64_t items = f->type == MMDB_DATA_TYPE_MAP ? 2 * (uint64_t)f->size : f->size;
    for (; items > 0; items--) {
        struct mmdb_field item;
        if (depth == 0 || *budget == 0 || !mmdb_field_read(s, at, &item)) {
            return false;
        }
        (*budget)--;
        if (!mmdb_field_skip(s, &item, depth - 1, budget, &at)) {
            return false;
        }
    }
    *ret_next = at;
    return true;
}

static bool is_utf8(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        unsigned more = p[i] < 0x80                   ? 0
                        : p[i] >= 0xc2 && p[i] < 0xe0 ? 1
                        : p[i] >= 0xe0 && p[i] < 0xf0 ? 2
                                                      : 3;
        if (p[i] > 0xf4 || (p[i] >= 0x80 && p[i] < 0xc2) || n - i <= more) {
            return false;
        }
        for (unsigned k = 1; k <= more; k++) {
            if (p[i + k] >> 6 != 2) {
                return false;
            }
        }
        i += more + 1;
    }
    return true;
}

/* Checks `f` and all below it; *ret_next is where the next sibling stands. */
static bool check_field(struct mmdb_section s, const struct mmdb_field *f, unsigned depth, uint32_t *budget,
                        size_t *ret_next)
{
    *ret_next = f->next;
    if (f->type == MMDB_DATA_TYPE_UTF8_STRING) {
        return is_utf8(s.p + f->body, f->size);
    }
    if (!mmdb_has_items(f->type)) {
        return true;
    }
    bool is_map = f->type == MMDB_DATA_TYPE_MAP;
    size_t at = f->body;
    uint64_t items = is_map ? 2 * (uint64_t)f->size : f->size;
    for (uint64_t i = 0; i < items; i++) {
        struct mmdb_field item;
        if (depth == 0 || *budget == 0 || !mmdb_field_read(s, at, &item)) {
            return false;
        }
        (*budget)--;
        if (is_map && i % 2 == 0 && item.type != MMDB_DATA_TYPE_UTF8_STRING) {
            return false;
        }
        if (!check_field(s, &item, depth - 1, budget, &at)) {
            return false;
        }
    }
    if (is_inline(f)) {
        *ret_next = at;
    }
    return true;
}

bool mmdb_field_check(struct mmdb_section s, size_t at, unsigned depth, uint32_t *budget)
{
    struct mmdb_field f;
    size_t next;
    return mmdb_field_read(s, at, &f) && check_field(s, &f, depth, budget, &next);
}
