/* geo_raw: a value straight from the database, by its path, with nothing derived: to see what a
 * file really says where our reading of it is in doubt. So it walks with libmaxminddb and not with
 * geo-data. */
#include "cli/base/print.h"
#include "cli/geo/geo.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "common/visible.h"
#include "geo-data/geo.h"

#include <jansson.h>
#include <maxminddb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define PATH_PARTS_MAX 16

struct geo_raw {
    const struct geo_db *db;
    char *path;                            /* cut into parts */
    const char *parts[PATH_PARTS_MAX + 1]; /* NULL-ended, as MMDB_aget_value wants it */
};

static enum cdn_status split_path(struct geo_raw *raw, const char *path, struct cdn_error *err)
{
    size_t n = 0;
    raw->path = cdn_strdup(path);
    for (char *at = raw->path; *at;) {
        at += strspn(at, ". /");
        if (!*at) {
            break;
        }
        if (n == PATH_PARTS_MAX) {
            return cdn_error_set(err, CDN_USAGE, "--raw: '%s' has more than %d parts", path, PATH_PARTS_MAX);
        }
        raw->parts[n++] = at;
        at += strcspn(at, ". /");
        if (*at) {
            *at++ = '\0';
        }
    }
    return CDN_OK;
}

enum cdn_status geo_raw_open(const struct geo_db *db, const char *path, struct geo_raw **ret,
                             struct cdn_error *err)
{
    struct geo_raw *raw = cdn_calloc(1, sizeof(*raw));
    raw->db = db;
    enum cdn_status status = split_path(raw, path, err);
    if (status != CDN_OK) {
        geo_raw_close(raw);
    } else {
        *ret = raw;
    }
    return status;
}

void geo_raw_close(struct geo_raw *raw)
{
    if (raw) {
        free(raw->path);
    }
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
    while (items-- > 0 && *list) {
        json_array_append_new(array, to_json(list));
    }
    return array;
}

/* The value at the head of the list, which moves on after it. */
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
        cdn_buf_add_visible(out, (struct cdn_str){value->utf8_string, value->data_size});
        cdn_buf_add_char(out, '\n');
        return;
    }
    MMDB_entry_s entry = {mmdb, value->offset};
    MMDB_entry_data_list_s *list = NULL;
    if (MMDB_get_entry_data_list(&entry, &list) == MMDB_SUCCESS && list) {
        MMDB_entry_data_list_s *at = list;
        json_t *json = to_json(&at);
        cli_add_json(out, json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
        cdn_buf_add_char(out, '\n');
        json_decref(json);
    }
    MMDB_free_entry_data_list(list);
}

enum cdn_status geo_raw_print(struct geo_raw *raw, const struct cdn_addr *address, struct cdn_buf *out)
{
    for (size_t i = 0; i < geo_db_file_count(raw->db); i++) {
        const MMDB_s *mmdb = geo_db_mmdb(raw->db, i);
        int code;
        MMDB_lookup_result_s found = MMDB_lookup_sockaddr(mmdb, &address->sa, &code);
        if (code != MMDB_SUCCESS || !found.found_entry) {
            continue;
        }
        MMDB_entry_data_s value = {
            .has_data = true, .type = MMDB_DATA_TYPE_MAP, .offset = found.entry.offset};
        if (raw->parts[0] &&
            (MMDB_aget_value(&found.entry, &value, raw->parts) != MMDB_SUCCESS || !value.has_data)) {
            continue;
        }
        put_value(mmdb, &value, out);
        return CDN_OK;
    }
    return CDN_NOT_FOUND;
}
