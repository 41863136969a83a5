#include "cli/geo.h"

#include "geo-data/embedded.h"

#include <errno.h>
#include <jansson.h>
#include <maxminddb.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/banned.h"

#define PATH_PARTS_MAX 16

struct geo_raw {
    MMDB_s files[2];
    size_t file_count;
    char *path;                            /* cut into parts */
    const char *parts[PATH_PARTS_MAX + 1]; /* NULL-ended, as MMDB_aget_value wants it */
};

/* libmaxminddb opens paths only: the built-in file gets one through a memory file. */
static enum cdn_status open_embedded(MMDB_s *mmdb, struct cdn_error *err)
{
    struct cdn_str world = geo_embedded_world();
    int fd = memfd_create("world.mmdb", MFD_CLOEXEC);
    CDN_AUTOFREE char *path = cdn_asprintf("/proc/self/fd/%d", fd);
    bool written = fd >= 0 && write(fd, world.p, world.n) == (ssize_t)world.n;
    int code = written ? MMDB_open(path, MMDB_MODE_MMAP, mmdb) : MMDB_IO_ERROR;
    if (fd >= 0)
        close(fd);
    return code == MMDB_SUCCESS
               ? CDN_OK
               : cdn_error_set(err, CDN_IO, "the built-in database: %s", MMDB_strerror(code));
}

static enum cdn_status split_path(struct geo_raw *raw, const char *path, struct cdn_error *err)
{
    size_t n = 0;
    raw->path = cdn_strdup(path);
    for (char *at = raw->path; *at;) {
        at += strspn(at, ". /");
        if (!*at)
            break;
        if (n == PATH_PARTS_MAX)
            return cdn_error_set(err, CDN_USAGE, "--raw: '%s' has more than %d parts", path, PATH_PARTS_MAX);
        raw->parts[n++] = at;
        at += strcspn(at, ". /");
        if (*at)
            *at++ = '\0';
    }
    return CDN_OK;
}

enum cdn_status geo_raw_open(const struct geo_options *options, struct geo_raw **ret, struct cdn_error *err)
{
    struct geo_raw *raw = cdn_calloc(1, sizeof(*raw));
    enum cdn_status status = split_path(raw, options->raw, err);
    for (size_t i = 0; !status && i < options->db.n && i < CDN_ARRAY_LEN(raw->files); i++) {
        int code = MMDB_open(options->db.items[i], MMDB_MODE_MMAP, &raw->files[raw->file_count]);
        if (code == MMDB_SUCCESS)
            raw->file_count++;
        else
            status = cdn_error_set(err, CDN_IO, "%s: %s", options->db.items[i], MMDB_strerror(code));
    }
    if (!status && raw->file_count == 0 && !(status = open_embedded(&raw->files[0], err)))
        raw->file_count = 1;
    if (status)
        geo_raw_close(raw);
    else
        *ret = raw;
    return status;
}

void geo_raw_close(struct geo_raw *raw)
{
    for (size_t i = 0; raw && i < raw->file_count; i++)
        MMDB_close(&raw->files[i]);
    if (raw)
        free(raw->path);
    free(raw);
}

static json_t *to_json(MMDB_entry_data_list_s **list);

static json_t *map_json(MMDB_entry_data_list_s **list, uint32_t pairs)
{
    json_t *map = json_object();
    while (pairs-- > 0 && *list) {
        CDN_AUTOFREE char *key = cdn_strndup((*list)->entry_data.utf8_string, (*list)->entry_data.data_size);
        *list = (*list)->next;
        json_object_set_new(map, key, *list ? to_json(list) : json_null());
    }
    return map;
}

static json_t *array_json(MMDB_entry_data_list_s **list, uint32_t items)
{
    json_t *array = json_array();
    while (items-- > 0 && *list)
        json_array_append_new(array, to_json(list));
    return array;
}

/* The value at the head of the list, which moves on behind it. */
static json_t *to_json(MMDB_entry_data_list_s **list)
{
    const MMDB_entry_data_s *value = &(*list)->entry_data;
    *list = (*list)->next;
    json_t *text;
    switch (value->type) {
    case MMDB_DATA_TYPE_MAP:
        return map_json(list, value->data_size);
    case MMDB_DATA_TYPE_ARRAY:
        return array_json(list, value->data_size);
    case MMDB_DATA_TYPE_UTF8_STRING:
        text = json_stringn(value->utf8_string, value->data_size);
        return text ? text : json_null();
    case MMDB_DATA_TYPE_DOUBLE:
        return json_real(value->double_value);
    case MMDB_DATA_TYPE_FLOAT:
        return json_real((double)value->float_value);
    case MMDB_DATA_TYPE_UINT16:
        return json_integer(value->uint16);
    case MMDB_DATA_TYPE_UINT32:
        return json_integer(value->uint32);
    case MMDB_DATA_TYPE_INT32:
        return json_integer(value->int32);
    case MMDB_DATA_TYPE_UINT64:
        return json_integer((json_int_t)value->uint64);
    case MMDB_DATA_TYPE_BOOLEAN:
        return json_boolean(value->boolean);
    default:
        return json_null();
    }
}

static void put_value(const MMDB_s *mmdb, MMDB_entry_data_s *value, struct cdn_buf *out)
{
    if (value->type == MMDB_DATA_TYPE_UTF8_STRING) {
        cdn_buf_add(out, value->utf8_string, value->data_size);
        cdn_buf_add_char(out, '\n');
        return;
    }
    MMDB_entry_s entry = {mmdb, value->offset};
    MMDB_entry_data_list_s *list = NULL;
    if (MMDB_get_entry_data_list(&entry, &list) == MMDB_SUCCESS && list) {
        MMDB_entry_data_list_s *at = list;
        json_t *json = to_json(&at);
        CDN_AUTOFREE char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
        cdn_buf_printf(out, "%s\n", text ? text : "null");
        json_decref(json);
    }
    MMDB_free_entry_data_list(list);
}

enum cdn_status geo_raw_print(struct geo_raw *raw, const struct cdn_addr *address, struct cdn_buf *out)
{
    for (size_t i = 0; i < raw->file_count; i++) {
        const MMDB_s *mmdb = &raw->files[i];
        int code;
        MMDB_lookup_result_s found = MMDB_lookup_sockaddr(mmdb, &address->sa, &code);
        if (code != MMDB_SUCCESS || !found.found_entry)
            continue;
        MMDB_entry_data_s value = {
            .has_data = true, .type = MMDB_DATA_TYPE_MAP, .offset = found.entry.offset};
        if (raw->parts[0] &&
            (MMDB_aget_value(&found.entry, &value, raw->parts) != MMDB_SUCCESS || !value.has_data))
            continue;
        put_value(mmdb, &value, out);
        return CDN_OK;
    }
    return CDN_NOT_FOUND;
}
