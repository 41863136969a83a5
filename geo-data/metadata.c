/* metadata: see metadata.h. The metadata is the map after the last marker in the final 128 KiB. */
#include "geo-data/metadata.h"

#include "common/mem.h"
#include "geo-data/decode.h"
#include "geo-data/mmdb_encode.h"

#include <errno.h>
#include <maxminddb.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

#define SEARCHED_BYTES (128 * 1024)

static const char marker[] = "\xab\xcd\xefMaxMind.com";

enum kind { UINT16, UINT32, UINT64, TEXT, TEXTS, NAMED_TEXTS };

static const struct {
    const char *key;
    enum kind kind;
    bool is_optional; /* in the format; libmaxminddb wants all */
} keys[] = {
    {"node_count", UINT32, false},
    {"record_size", UINT16, false},
    {"ip_version", UINT16, false},
    {"database_type", TEXT, false},
    {"languages", TEXTS, true},
    {"binary_format_major_version", UINT16, false},
    {"binary_format_minor_version", UINT16, false},
    {"build_epoch", UINT64, false},
    {"description", NAMED_TEXTS, true},
};

static bool are_texts(struct mmdb_section s, const struct mmdb_field *f, uint64_t items)
{
    size_t at = f->body;
    for (uint64_t i = 0; i < items; i++) {
        struct mmdb_field item;
        if (!mmdb_field_read(s, at, &item) || item.type != MMDB_DATA_TYPE_UTF8_STRING) {
            return false;
        }
        at = item.next;
    }
    return true;
}

static bool is_kind(struct mmdb_section s, const struct mmdb_field *f, enum kind kind)
{
    switch (kind) {
    case UINT16:
    case UINT32:
    case UINT64:
        return f->type == MMDB_DATA_TYPE_UINT16 || f->type == MMDB_DATA_TYPE_UINT32 ||
               f->type == MMDB_DATA_TYPE_UINT64;
    case TEXT:
        return f->type == MMDB_DATA_TYPE_UTF8_STRING;
    case TEXTS:
        return f->type == MMDB_DATA_TYPE_ARRAY && are_texts(s, f, f->size);
    case NAMED_TEXTS:
        return f->type == MMDB_DATA_TYPE_MAP && are_texts(s, f, 2 * (uint64_t)f->size);
    }
    return false;
}

/* The value of a key in a map that mmdb_field_check has passed. */
static bool find_value(struct mmdb_section s, const struct mmdb_field *map, struct cdn_str wanted,
                       struct mmdb_field *ret_value)
{
    size_t at = map->body;
    uint32_t budget = MMDB_BUDGET;
    for (uint32_t i = 0; i < map->size; i++) {
        struct mmdb_field key;
        if (!mmdb_field_read(s, at, &key) || !mmdb_field_read(s, key.next, ret_value)) {
            return false;
        }
        if (cdn_str_eq((struct cdn_str){(const char *)s.p + key.body, key.size}, wanted)) {
            return true;
        }
        if (!mmdb_field_skip(s, ret_value, MMDB_DEPTH_MAX, &budget, &at)) {
            return false;
        }
    }
    return false;
}

static uint64_t as_number(struct mmdb_section s, const struct mmdb_field *f)
{
    uint64_t number = 0;
    for (uint32_t i = 0; i < f->size; i++) {
        number = number << 8 | s.p[f->body + i];
    }
    return number;
}

/* An integer of another size than the format's; the library refuses it. */
static bool is_odd(const struct mmdb_field *f, enum kind kind)
{
    return (kind == UINT16 && f->type != MMDB_DATA_TYPE_UINT16) ||
           (kind == UINT32 && f->type != MMDB_DATA_TYPE_UINT32) ||
           (kind == UINT64 && f->type != MMDB_DATA_TYPE_UINT64);
}

static void put_value(struct mmdb_section s, const struct mmdb_field *value, enum kind kind,
                      struct cdn_buf *out)
{
    struct mmdb_field item;
    size_t at = value->body;
    switch (kind) {
    case UINT16:
        mmdb_put_uint16(out, (uint16_t)as_number(s, value));
        break;
    case UINT32:
        mmdb_put_uint32(out, (uint32_t)as_number(s, value));
        break;
    case UINT64:
        mmdb_put_uint64(out, as_number(s, value));
        break;
    case TEXT:
        mmdb_put_string(out, (struct cdn_str){(const char *)s.p + value->body, value->size});
        break;
    case TEXTS:
    case NAMED_TEXTS:
        (kind == TEXTS ? mmdb_put_array : mmdb_put_map)(out, value->size);
        for (uint64_t i = 0; i < (kind == TEXTS ? 1 : 2) * (uint64_t)value->size; i++, at = item.next) {
            if (mmdb_field_read(s, at, &item)) {
                put_value(s, &item, TEXT, out);
            }
        }
        break;
    }
}

struct reading {
    struct cdn_buf *complete; /* the same metadata with every key, after a marker; NULL: not wanted */
    const char *flaw;         /* the first one's key, "" when the whole is no map, NULL when all is well */
    bool is_complete;
};

static void read_key(struct mmdb_section s, const struct mmdb_field *map, size_t i, struct reading *r)
{
    struct mmdb_field value;
    bool is_there = find_value(s, map, cdn_str(keys[i].key), &value);
    if ((is_there && !is_kind(s, &value, keys[i].kind)) || (!is_there && !keys[i].is_optional)) {
        r->flaw = keys[i].key;
        return;
    }
    r->is_complete = r->is_complete && is_there && !is_odd(&value, keys[i].kind);
    if (!r->complete) {
        return;
    }
    mmdb_put_string(r->complete, cdn_str(keys[i].key));
    if (is_there) {
        put_value(s, &value, keys[i].kind, r->complete);
    } else if (keys[i].kind == TEXTS) {
        mmdb_put_array(r->complete, 0);
    } else {
        mmdb_put_map(r->complete, 0);
    }
}

static void read_all(struct mmdb_section s, struct reading *r)
{
    struct mmdb_field map;
    uint32_t budget = MMDB_BUDGET;
    r->is_complete = true;
    r->flaw = "";
    if (!mmdb_field_check(s, 0, MMDB_DEPTH_MAX, &budget) || !mmdb_field_read(s, 0, &map) ||
        map.type != MMDB_DATA_TYPE_MAP) {
        return;
    }
    r->flaw = NULL;
    if (r->complete) {
        cdn_buf_add(r->complete, marker, sizeof(marker) - 1);
        mmdb_put_map(r->complete, CDN_ARRAY_LEN(keys));
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(keys) && !r->flaw; i++) {
        read_key(s, &map, i, r);
    }
    if (r->complete && (r->flaw || r->is_complete)) {
        cdn_buf_clear(r->complete);
    }
}

/* Behind the last marker; n is 0 when there is none. */
static struct mmdb_section find_metadata(const uint8_t *p, size_t n)
{
    struct mmdb_section found = {p, 0};
    for (const uint8_t *at = p;
         (at = memmem(at, (size_t)(p + n - at), marker, sizeof(marker) - 1)) != NULL;) {
        at += sizeof(marker) - 1;
        found = (struct mmdb_section){at, (size_t)(p + n - at)};
    }
    return found;
}

static ssize_t read_end(int fd, uint8_t *bytes, size_t size)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return -1;
    }
    return pread(fd, bytes, size, st.st_size > (off_t)size ? st.st_size - (off_t)size : 0);
}

enum cdn_status mmdb_metadata_check(int fd, const char *shown, struct cdn_buf *ret_appendix,
                                    struct cdn_error *err)
{
    CDN_AUTOFREE uint8_t *bytes = cdn_malloc(SEARCHED_BYTES);
    struct reading reading = {.complete = ret_appendix};
    ssize_t n = read_end(fd, bytes, SEARCHED_BYTES);
    if (n < 0) {
        return cdn_error_set(err, CDN_IO, "%s: %s", shown, strerror(errno));
    }
    struct mmdb_section metadata = find_metadata(bytes, (size_t)n);
    if (metadata.n == 0) {
        return cdn_error_set(err, CDN_CORRUPT, "%s: not a MaxMind database (.mmdb) file, or cut short",
                             shown);
    }
    read_all(metadata, &reading);
    if (!reading.flaw) {
        return CDN_OK;
    }
    return cdn_error_set(err, CDN_CORRUPT, "%s: the metadata %s%s", shown,
                         reading.flaw[0] ? "has no sound " : "at the end cannot be read", reading.flaw);
}
