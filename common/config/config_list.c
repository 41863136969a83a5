/* config_list: lists and maps of settings: their items one by one, or all in one text with commas, which a
 * backslash takes the meaning of; and back. */
#include "common/config/config.h"
#include "common/config/config_private.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

enum cdn_status config_list_add(const struct cdn_config_row *row, void *settings,
                                const struct config_place *place, struct cdn_str key, struct cdn_str value,
                                struct cdn_error *err)
{
    struct cdn_config_list *list = config_field(row, settings);
    struct cdn_cidr ignored;
    char text[84];
    if (config_has_control(key) || config_has_control(value)) {
        return cdn_error_set(err, CDN_INVALID, "%s: \"%s\" has a control character in it", place->where,
                             config_shown(row, config_has_control(key) ? key : value, text));
    }
    if (key.n == 0) {
        return cdn_error_set(err, CDN_INVALID, "%s: an item is empty", place->where);
    }
    if (config_is_marked(row, CDN_CONFIG_CIDRS) && !cdn_parse_cidr(key, &ignored)) {
        return cdn_error_set(err, CDN_INVALID,
                             "%s: \"%s\" is not a network such as 10.0.0.0/8 or 2001:db8::/32", place->where,
                             config_shown(row, key, text));
    }
    if ((list->n & (list->n - 1)) == 0) { /* room doubles at each power of two */
        list->items = cdn_realloc(list->items, list->n ? 2 * list->n : 1, sizeof(*list->items));
    }
    list->items[list->n++] = (struct cdn_config_entry){
        .key = cdn_str_dup(key), .value = cdn_str_dup(value), .origin = cdn_strdup(place->origin)};
    return CDN_OK;
}

const char **cdn_config_items(const struct cdn_config_list *list)
{
    const char **items = cdn_calloc(list->n + 1, sizeof(*items));
    for (size_t i = 0; i < list->n; i++) {
        items[i] = list->items[i].key;
    }
    return items;
}

static const struct cdn_config_entry *find_entry(const struct cdn_config_list *list, struct cdn_str key)
{
    for (size_t i = 0; i < list->n; i++) {
        if (cdn_str_eq(cdn_str(list->items[i].key), key)) {
            return &list->items[i];
        }
    }
    return NULL;
}

const char *cdn_config_map_get(const struct cdn_config_list *map, struct cdn_str key)
{
    const struct cdn_config_entry *entry = find_entry(map, key);
    return entry ? entry->value : NULL;
}

static enum cdn_status add_pair(const struct cdn_config_row *row, void *settings,
                                const struct config_place *place, struct cdn_str key, struct cdn_str value,
                                struct cdn_error *err)
{
    const struct cdn_config_entry *old = find_entry(config_field(row, settings), key);
    if (old) {
        char text[84];
        return cdn_error_set(err, CDN_INVALID, "%s: \"%s\" is there twice (first: %s)", place->where,
                             config_shown(row, key, text), old->origin);
    }
    return config_list_add(row, settings, place, key, value, err);
}

static enum cdn_status no_equals_sign(const struct cdn_config_row *row, const struct config_place *place,
                                      struct cdn_str text, struct cdn_error *err)
{
    char value[84];
    return cdn_error_set(err, CDN_INVALID, "%s: \"%s\" is not %s", place->where,
                         config_shown(row, text, value),
                         row->metavar && strchr(row->metavar, '=') ? row->metavar : "KEY=VALUE");
}

enum cdn_status config_list_add_text(const struct cdn_config_row *row, void *settings,
                                     const struct config_place *place, struct cdn_str text,
                                     struct cdn_error *err)
{
    if (row->type == CDN_CONFIG_LIST) {
        return config_list_add(row, settings, place, text, CDN_STR(""), err);
    }
    struct cdn_str rest = text;
    struct cdn_str key = cdn_str_cut(&rest, '=');
    return rest.p ? add_pair(row, settings, place, key, rest, err) : no_equals_sign(row, place, text, err);
}

/* Cuts one item off a comma-separated text into `key` and `value`; blanks around them go, a backslash takes
 * the next character literally. Returns whether there was an unescaped '='. */
static bool cut_item(struct cdn_str *rest, bool is_map, struct cdn_buf *key, struct cdn_buf *value)
{
    struct cdn_buf *into = key;
    size_t keep = 0; /* length without trailing blanks */
    size_t i = 0;
    for (; i < rest->n && rest->p[i] != ','; i++) {
        char c = rest->p[i];
        if (is_map && c == '=' && into == key) {
            key->n = keep;
            into = value;
            keep = 0;
            continue;
        }
        bool escaped = c == '\\' && i + 1 < rest->n;
        c = escaped ? rest->p[++i] : c;
        bool blank = !escaped && (c == ' ' || c == '\t');
        if (!blank || into->n) {
            cdn_buf_add_char(into, c);
            keep = blank ? keep : into->n;
        }
    }
    into->n = keep;
    *rest = i < rest->n ? cdn_str_sub(*rest, i + 1) : (struct cdn_str){NULL, 0};
    return into == value;
}

enum cdn_status config_list_set(const struct cdn_config_row *row, void *settings,
                                const struct config_place *place, struct cdn_str text, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf key = {0};
    CDN_AUTOBUF struct cdn_buf value = {0};
    bool is_map = row->type == CDN_CONFIG_MAP;
    enum cdn_status status = CDN_OK;
    struct cdn_str rest = cdn_str_trim(text);
    if (rest.n == 0) {
        rest.p = NULL;
    }
    while (status == CDN_OK && rest.p) {
        cdn_buf_clear(&key);
        cdn_buf_clear(&value);
        bool pair = cut_item(&rest, is_map, &key, &value);
        if (is_map && !pair) {
            return no_equals_sign(row, place, cdn_buf_str(&key), err);
        }
        status = is_map ? add_pair(row, settings, place, cdn_buf_str(&key), cdn_buf_str(&value), err)
                        : config_list_add(row, settings, place, cdn_buf_str(&key), CDN_STR(""), err);
    }
    return status == CDN_OK ? config_list_check(row, settings, place, err) : status;
}

enum cdn_status config_list_check(const struct cdn_config_row *row, const void *settings,
                                  const struct config_place *place, struct cdn_error *err)
{
    const struct cdn_config_list *list = config_field_const(row, settings);
    return config_check_bounds(row, place->where, CDN_STR(""), (double)list->n, "items", err);
}

void config_list_free(struct cdn_config_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].key);
        free(list->items[i].value);
        free(list->items[i].origin);
    }
    free(list->items);
    *list = (struct cdn_config_list){0};
}

/* The reverse of cut_item. */
static void add_escaped(struct cdn_buf *out, struct cdn_str s, bool is_key)
{
    for (size_t i = 0; i < s.n; i++) {
        bool edge = i == 0 || i + 1 == s.n;
        if (s.p[i] == ',' || s.p[i] == '\\' || (is_key && s.p[i] == '=') || (edge && s.p[i] == ' ')) {
            cdn_buf_add_char(out, '\\');
        }
        cdn_buf_add_char(out, s.p[i]);
    }
}

void config_list_text(const struct cdn_config_row *row, const struct cdn_config_list *list,
                      struct cdn_buf *out)
{
    for (size_t i = 0; i < list->n; i++) {
        if (i) {
            cdn_buf_add_char(out, ',');
        }
        add_escaped(out, cdn_str(list->items[i].key), row->type == CDN_CONFIG_MAP);
        if (row->type == CDN_CONFIG_MAP) {
            cdn_buf_add_char(out, '=');
            add_escaped(out, cdn_str(list->items[i].value), false);
        }
    }
}
