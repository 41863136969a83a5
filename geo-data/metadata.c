/* metadata: see metadata.h. The metadata is the map behind the last marker in the final 128 KiB. */
#include "geo-data/metadata.h"

#include "geo-data/decode.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

#define SEARCHED_BYTES (128 * 1024)

enum kind { UNSIGNED, TEXT, TEXTS, NAMED_TEXTS };

static const struct {
    const char *key;
    enum kind kind;
} keys[] = {
    {"node_count", UNSIGNED},
    {"record_size", UNSIGNED},
    {"ip_version", UNSIGNED},
    {"database_type", TEXT},
    {"languages", TEXTS},
    {"binary_format_major_version", UNSIGNED},
    {"binary_format_minor_version", UNSIGNED},
    {"build_epoch", UNSIGNED},
    {"description", NAMED_TEXTS},
};

static bool are_texts(struct mmdb_section s, const struct mmdb_field *f, uint64_t items)
{
    size_t at = f->body;
    for (uint64_t i = 0; i < items; i++) {
        struct mmdb_field item;
        if (!mmdb_field_read(s, at, &item) || item.type != MMDB_DATA_TYPE_UTF8_STRING)
            return false;
        at = item.next;
    }
    return true;
}

static bool is_kind(struct mmdb_section s, const struct mmdb_field *f, enum kind kind)
{
    switch (kind) {
    case UNSIGNED:
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
        if (!mmdb_field_read(s, at, &key) || !mmdb_field_read(s, key.next, ret_value))
            return false;
        if (cdn_str_eq((struct cdn_str){(const char *)s.p + key.body, key.size}, wanted))
            return true;
        if (!mmdb_field_skip(s, ret_value, MMDB_DEPTH_MAX, &budget, &at))
            return false;
    }
    return false;
}

/* The first flaw's key, "" when the whole is no map, NULL when all is well. */
static const char *find_flaw(struct mmdb_section s)
{
    struct mmdb_field map, value;
    uint32_t budget = MMDB_BUDGET;
    if (!mmdb_field_check(s, 0, MMDB_DEPTH_MAX, &budget) || !mmdb_field_read(s, 0, &map) ||
        map.type != MMDB_DATA_TYPE_MAP)
        return "";
    for (size_t i = 0; i < CDN_ARRAY_LEN(keys); i++)
        if (!find_value(s, &map, cdn_str(keys[i].key), &value) || !is_kind(s, &value, keys[i].kind))
            return keys[i].key;
    return NULL;
}

/* Behind the last marker; n is 0 when there is none. */
static struct mmdb_section find_metadata(const uint8_t *p, size_t n)
{
    static const char marker[] = "\xab\xcd\xefMaxMind.com";
    struct mmdb_section found = {p, 0};
    for (const uint8_t *at = p; (at = memmem(at, (size_t)(p + n - at), marker, sizeof marker - 1)) != NULL;) {
        at += sizeof marker - 1;
        found = (struct mmdb_section){at, (size_t)(p + n - at)};
    }
    return found;
}

static ssize_t read_end(const char *path, uint8_t *bytes, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    struct stat st;
    ssize_t n = -1;
    if (fstat(fd, &st) == 0)
        n = pread(fd, bytes, size, st.st_size > (off_t)size ? st.st_size - (off_t)size : 0);
    close(fd);
    return n;
}

enum cdn_status mmdb_metadata_check(const char *path, const char *shown, struct cdn_error *err)
{
    CDN_AUTOFREE uint8_t *bytes = cdn_malloc(SEARCHED_BYTES);
    ssize_t n = read_end(path, bytes, SEARCHED_BYTES);
    if (n < 0)
        return cdn_error_set(err, CDN_IO, "%s: %s", shown, strerror(errno));
    struct mmdb_section metadata = find_metadata(bytes, (size_t)n);
    if (metadata.n == 0)
        return cdn_error_set(err, CDN_CORRUPT, "%s: not a MaxMind database (.mmdb) file, or cut short",
                             shown);
    const char *flaw = find_flaw(metadata);
    if (!flaw)
        return CDN_OK;
    return cdn_error_set(err, CDN_CORRUPT, "%s: the metadata %s%s", shown,
                         flaw[0] ? "has no sound " : "at the end cannot be read", flaw);
}
