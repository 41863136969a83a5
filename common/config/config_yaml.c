/* config_yaml: from a YAML document to fields: sections, the item of a list, sequences and maps.
 * Nodes are walked with a budget, because an alias may stand for its node a million times, and
 * every complaint carries the line of the node it is about. */
#include "common/config/config.h"
#include "common/config/config_private.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/banned.h"

#define ITEM_LIMIT 4096u
#define VISIT_LIMIT 100000u /* nodes looked at: an alias costs each time, so aliases cannot multiply work */

struct config_file {
    char *path;
    yaml_document_t doc;
    size_t visits;
    const yaml_node_t *
        *names; /* of the list's items, borrowed from doc; made with the first that is asked for */
};

/* The top level of a cdn.yaml. */
static const struct {
    const char *name;
    yaml_node_type_t type;
} top_level[] = {
    {"cdn", YAML_MAPPING_NODE},    {"origin", YAML_MAPPING_NODE}, {"edge", YAML_MAPPING_NODE},
    {"edges", YAML_SEQUENCE_NODE}, {"router", YAML_MAPPING_NODE}, {"wan", YAML_MAPPING_NODE},
};

static size_t line_of(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

static struct cdn_str text_of(const yaml_node_t *node)
{
    return (struct cdn_str){(const char *)node->data.scalar.value, node->data.scalar.length};
}

/* `section: ` with nothing after it: as if it were not there. */
static bool is_nothing(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (node->data.scalar.length == 0 || cdn_str_eq(text_of(node), CDN_STR("~")) ||
            cdn_str_eq(text_of(node), CDN_STR("null")));
}

static const char *type_name(yaml_node_type_t type)
{
    return type == YAML_MAPPING_NODE ? "a mapping" : type == YAML_SEQUENCE_NODE ? "a list" : "a single value";
}

/* The node behind an index, with its tag checked and the visit counted. */
static enum cdn_status visit(struct config_file *file, int index, const yaml_node_t **ret,
                             struct cdn_error *err)
{
    static const char *const plain_tags[] = {YAML_STR_TAG, YAML_SEQ_TAG, YAML_MAP_TAG};
    const yaml_node_t *node = yaml_document_get_node(&file->doc, index);
    if (++file->visits > VISIT_LIMIT) {
        return cdn_error_set(err, CDN_TOO_LARGE, "%s:%zu: more than %u values (aliases count each time)",
                             file->path, line_of(node), VISIT_LIMIT);
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(plain_tags); i++) {
        if (strcmp((const char *)node->tag, plain_tags[i]) == 0) {
            *ret = node;
            return CDN_OK;
        }
    }
    return cdn_error_set(err, CDN_INVALID, "%s:%zu: the tag %s is not understood", file->path, line_of(node),
                         (const char *)node->tag);
}

static enum cdn_status need_type(struct config_file *file, const yaml_node_t *node, yaml_node_type_t type,
                                 const char *key, struct cdn_error *err)
{
    if (node->type == type) {
        return CDN_OK;
    }
    return cdn_error_set(err, CDN_INVALID, "%s:%zu: %s: must be %s, not %s", file->path, line_of(node), key,
                         type_name(type), is_nothing(node) ? "empty" : type_name(node->type));
}

static enum cdn_status visit_typed(struct config_file *file, int index, yaml_node_type_t type,
                                   const char *key, const yaml_node_t **ret, struct cdn_error *err)
{
    enum cdn_status status = visit(file, index, ret, err);
    return status == CDN_OK ? need_type(file, *ret, type, key, err) : status;
}

static enum cdn_status unknown_key(struct config_file *file, const yaml_node_t *key, const char *section,
                                   const char *const *names, struct cdn_error *err)
{
    const char *close = cdn_config_closest(text_of(key), names);
    return cdn_error_set(err, CDN_INVALID, "%s:%zu: unknown key \"%.64s\"%s%s%s%s%s", file->path,
                         line_of(key), (const char *)key->data.scalar.value, section[0] ? " in " : "",
                         section, close ? "; did you mean \"" : "", close ? close : "", close ? "\"?" : "");
}

static enum cdn_status duplicate(struct config_file *file, const yaml_node_t *key, size_t first,
                                 const char *section, struct cdn_error *err)
{
    return cdn_error_set(err, CDN_INVALID, "%s:%zu: %s%s%.64s: the key is there twice (first in line %zu)",
                         file->path, line_of(key), section, section[0] ? "." : "",
                         (const char *)key->data.scalar.value, first);
}

static int by_key_then_line(const void *a, const void *b)
{
    const yaml_node_t *x = *(const yaml_node_t *const *)a;
    const yaml_node_t *y = *(const yaml_node_t *const *)b;
    struct cdn_str s = text_of(x);
    struct cdn_str t = text_of(y);
    int order = memcmp(s.p, t.p, s.n < t.n ? s.n : t.n);
    order = order ? order : (s.n > t.n) - (s.n < t.n);
    return order ? order : (line_of(x) > line_of(y)) - (line_of(x) < line_of(y));
}

/* The mapping's keys must be scalars and differ. Sorted, since a map may be long. */
static enum cdn_status check_keys(struct config_file *file, const yaml_node_t *map, const char *section,
                                  struct cdn_error *err)
{
    size_t n = (size_t)(map->data.mapping.pairs.top - map->data.mapping.pairs.start);
    CDN_AUTOFREE const yaml_node_t **keys = cdn_calloc(n, sizeof(*keys));
    for (size_t i = 0; i < n; i++) {
        enum cdn_status status =
            visit_typed(file, map->data.mapping.pairs.start[i].key, YAML_SCALAR_NODE, "a key", &keys[i], err);
        if (status != CDN_OK) {
            return status;
        }
    }
    qsort(keys, n, sizeof(*keys), by_key_then_line);
    for (size_t i = 1; i < n; i++) {
        if (cdn_str_eq(text_of(keys[i - 1]), text_of(keys[i]))) {
            return duplicate(file, keys[i], line_of(keys[i - 1]), section, err);
        }
    }
    return CDN_OK;
}

/* A mapping of scalars as "KEY=VALUE,KEY=VALUE". */
static enum cdn_status join_pairs(struct config_file *file, const yaml_node_t *map, const char *name,
                                  struct cdn_buf *out, struct cdn_error *err)
{
    enum cdn_status status = check_keys(file, map, name, err);
    for (yaml_node_pair_t *pair = map->data.mapping.pairs.start;
         status == CDN_OK && pair < map->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&file->doc, pair->key), *value;
        status = visit_typed(file, pair->value, YAML_SCALAR_NODE, name, &value, err);
        if (status == CDN_OK) {
            cdn_buf_printf(out, "%s" CDN_STR_FMT "=" CDN_STR_FMT, out->n ? "," : "",
                           CDN_STR_ARG(text_of(key)), CDN_STR_ARG(text_of(value)));
        }
    }
    return status;
}

static enum cdn_status read_sequence(struct config_file *file, struct config_target *target,
                                     const struct cdn_config_row *row, const yaml_node_t *node,
                                     const char *name, struct cdn_error *err)
{
    const bool mappings = row->choices && strcmp(row->choices, CDN_CONFIG_MAPPINGS) == 0;
    for (yaml_node_item_t *it = node->data.sequence.items.start; it < node->data.sequence.items.top; it++) {
        const yaml_node_t *item;
        CDN_AUTOBUF struct cdn_buf pairs = {0};
        enum cdn_status status = visit(file, *it, &item, err);
        if (status == CDN_OK && mappings && item->type == YAML_MAPPING_NODE) {
            status = join_pairs(file, item, name, &pairs, err);
        } else if (status == CDN_OK) {
            status = need_type(file, item, YAML_SCALAR_NODE, name, err);
        }
        if (status != CDN_OK) {
            return status;
        }
        CDN_AUTOFREE char *origin = cdn_asprintf("%s:%zu", file->path, line_of(item));
        CDN_AUTOFREE char *where = cdn_asprintf("%s: %s", origin, name);
        struct config_place place = {where, origin};
        struct cdn_str text = item->type == YAML_MAPPING_NODE ? cdn_buf_str(&pairs) : text_of(item);
        status = config_list_add(row, target->settings, &place, text, CDN_STR(""), err);
        if (status != CDN_OK) {
            return status;
        }
    }
    return CDN_OK;
}

/* Joins the items of a sequence; an empty one is refused. */
static enum cdn_status join_items(struct config_file *file, const yaml_node_t *node, const char *name,
                                  struct cdn_buf *out, struct cdn_error *err)
{
    yaml_node_item_t *it = node->data.sequence.items.start;
    if (it == node->data.sequence.items.top) {
        return cdn_error_set(err, CDN_INVALID, "%s:%zu: %s: the list is empty", file->path, line_of(node),
                             name);
    }
    for (; it < node->data.sequence.items.top; it++) {
        const yaml_node_t *item;
        enum cdn_status status = visit_typed(file, *it, YAML_SCALAR_NODE, name, &item, err);
        if (status != CDN_OK) {
            return status;
        }
        cdn_buf_add_str(out, out->n > 0 ? CDN_STR("; ") : CDN_STR(""));
        cdn_buf_add_str(out, text_of(item));
    }
    return CDN_OK;
}

static enum cdn_status read_map_value(struct config_file *file, const struct cdn_config_row *row, int index,
                                      const char *name, struct cdn_buf *out, struct cdn_error *err)
{
    const yaml_node_t *value;
    bool lists = row->choices && strcmp(row->choices, CDN_CONFIG_VALUES) == 0;
    enum cdn_status status = visit(file, index, &value, err);
    if (status != CDN_OK) {
        return status;
    }
    if (lists && value->type == YAML_SEQUENCE_NODE) {
        return join_items(file, value, name, out, err);
    }
    status = need_type(file, value, YAML_SCALAR_NODE, name, err);
    if (status == CDN_OK) {
        cdn_buf_add_str(out, text_of(value));
    }
    return status;
}

static enum cdn_status read_map(struct config_file *file, struct config_target *target,
                                const struct cdn_config_row *row, const yaml_node_t *node, const char *name,
                                struct cdn_error *err)
{
    enum cdn_status status = check_keys(file, node, name, err);
    yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; status == CDN_OK && pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&file->doc, pair->key);
        CDN_AUTOBUF struct cdn_buf value = {0};
        CDN_AUTOFREE char *origin = cdn_asprintf("%s:%zu", file->path, line_of(key));
        CDN_AUTOFREE char *full = cdn_asprintf("%s.%.64s", name, (const char *)key->data.scalar.value);
        CDN_AUTOFREE char *where = cdn_asprintf("%s: %s", origin, full);
        struct config_place place = {where, origin};
        status = read_map_value(file, row, pair->value, full, &value, err);
        if (status == CDN_OK) {
            status = config_list_add(row, target->settings, &place, text_of(key), cdn_buf_str(&value), err);
        }
    }
    return status;
}

static enum cdn_status read_value(struct config_file *file, struct config_target *target,
                                  const struct cdn_config_row *row, const yaml_node_t *node, const char *name,
                                  struct cdn_error *err)
{
    CDN_AUTOFREE char *origin = cdn_asprintf("%s:%zu", file->path, line_of(node));
    CDN_AUTOFREE char *where = cdn_asprintf("%s: %s", origin, name);
    struct config_place place = {where, origin};
    bool list = row->type == CDN_CONFIG_LIST;
    yaml_node_type_t type = list                          ? YAML_SEQUENCE_NODE
                            : row->type == CDN_CONFIG_MAP ? YAML_MAPPING_NODE
                                                          : YAML_SCALAR_NODE;
    enum cdn_status status = need_type(file, node, type, name, err);
    if (status != CDN_OK) {
        return status;
    }
    if (type == YAML_SCALAR_NODE && is_nothing(node)) {
        return cdn_error_set(err, CDN_INVALID, "%s: has no value (write \"\" for an empty text)", where);
    }
    if (type == YAML_SCALAR_NODE) {
        status = config_value_set(row, target->settings, &place, text_of(node), err);
    } else {
        config_value_clear(row, target->settings);
        status = list ? read_sequence(file, target, row, node, name, err)
                      : read_map(file, target, row, node, name, err);
        if (status == CDN_OK) {
            status = config_list_check(row, target->settings, &place, err);
        }
    }
    if (status == CDN_OK) {
        config_note_origin(target, row, origin);
    }
    return status;
}

/* Keys of the section `cdn` that belong to others. */
static bool is_passed_over(const struct cdn_config_program *program, const char *section, struct cdn_str key)
{
    static const char *const up_keys[] = {
#define X(name) #name,
        CDN_UP_KEYS(X)
#undef X
    };
    if (program->others_rows) {
        return true;
    }
    if (strcmp(section, "cdn") != 0) {
        return false;
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(up_keys); i++) {
        if (cdn_str_eq(key, cdn_str(up_keys[i]))) {
            return true;
        }
    }
    CDN_AUTOFREE char *field = cdn_str_dup(key);
    return config_is_shared(field);
}

/* One mapping of settings; `section` names it in messages ("edge", "edges[fra]"). */
static enum cdn_status read_section(struct config_file *file, struct config_target *target,
                                    const yaml_node_t *map, const char *section, struct cdn_error *err)
{
    const struct cdn_config_program *program = target->program;
    CDN_AUTOFREE const char **names = cdn_calloc(program->row_count + 1, sizeof(*names));
    for (size_t i = 0; i < program->row_count; i++) {
        names[i] = program->rows[i].field;
    }
    enum cdn_status status = check_keys(file, map, section, err);
    yaml_node_pair_t *pair = map->data.mapping.pairs.start;
    for (; status == CDN_OK && pair < map->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&file->doc, pair->key);
        const yaml_node_t *value;
        const struct cdn_config_row *row = config_row_find(program, text_of(key));
        CDN_AUTOFREE char *name = cdn_asprintf("%s.%.64s", section, (const char *)key->data.scalar.value);
        if (!row && is_passed_over(program, section, text_of(key))) {
            continue;
        }
        if (!row) {
            return unknown_key(file, key, section, names, err);
        }
        status = visit(file, pair->value, &value, err);
        if (status == CDN_OK) {
            status = read_value(file, target, row, value, name, err);
        }
    }
    return status;
}

/* The value of a key of a mapping (NULL: not there, or nothing after it). */
static const yaml_node_t *child(const struct config_file *file, const yaml_node_t *map, const char *name)
{
    if (!map || map->type != YAML_MAPPING_NODE) {
        return NULL;
    }
    yaml_document_t *doc = (yaml_document_t *)(uintptr_t)&file->doc; /* libyaml's getter knows no const */
    for (yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(doc, pair->key);
        if (key->type == YAML_SCALAR_NODE && cdn_str_eq(text_of(key), cdn_str(name))) {
            const yaml_node_t *value = yaml_document_get_node(doc, pair->value);
            return is_nothing(value) ? NULL : value;
        }
    }
    return NULL;
}

static const yaml_node_t *root_of(const struct config_file *file)
{
    yaml_document_t *doc = (yaml_document_t *)(uintptr_t)&file->doc;
    const yaml_node_t *root = yaml_document_get_root_node(doc);
    return root && !is_nothing(root) ? root : NULL;
}

static enum cdn_status check_top_level(struct config_file *file, struct cdn_error *err)
{
    const char *names[CDN_ARRAY_LEN(top_level) + 1] = {NULL};
    const yaml_node_t *root = root_of(file);
    if (!root) {
        return CDN_OK;
    }
    enum cdn_status status = need_type(file, root, YAML_MAPPING_NODE, "the file", err);
    if (status == CDN_OK) {
        status = check_keys(file, root, "", err);
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(top_level); i++) {
        names[i] = top_level[i].name;
    }
    if (status != CDN_OK) {
        return status;
    }
    for (yaml_node_pair_t *pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top;
         pair++) {
        const yaml_node_t *key = yaml_document_get_node(&file->doc, pair->key);
        const yaml_node_t *value;
        size_t i = 0;
        while (names[i] && !cdn_str_eq(text_of(key), cdn_str(names[i]))) {
            i++;
        }
        if (!names[i]) {
            return unknown_key(file, key, "", names, err);
        }
        status = visit(file, pair->value, &value, err);
        if (status == CDN_OK && !is_nothing(value)) {
            status = need_type(file, value, top_level[i].type, names[i], err);
        }
        if (status != CDN_OK) {
            return status;
        }
    }
    return CDN_OK;
}

enum cdn_status config_file_open(const char *path, struct config_file **ret, struct cdn_error *err)
{
    struct config_file *file = cdn_calloc(1, sizeof(*file));
    file->path = cdn_strdup(path);
    enum cdn_status status = config_document_load(path, &file->doc, err);
    if (status != CDN_OK) {
        free(file->path);
        free(file);
        return status;
    }
    status = check_top_level(file, err);
    if (status != CDN_OK) {
        config_file_close(file);
        return status;
    }
    *ret = file;
    return CDN_OK;
}

void config_file_close(struct config_file *file)
{
    if (file) {
        yaml_document_delete(&file->doc);
        free(file->names);
        free(file->path);
        free(file);
    }
}

enum cdn_status config_file_sections(struct config_file *file, struct config_target *target,
                                     struct cdn_error *err)
{
    const char *const *sections = target->program->sections;
    for (size_t i = 0; i < CDN_ARRAY_LEN(target->program->sections) && sections[i]; i++) {
        const yaml_node_t *map = child(file, root_of(file), sections[i]);
        enum cdn_status status = map ? read_section(file, target, map, sections[i], err) : CDN_OK;
        if (status != CDN_OK) {
            return status;
        }
    }
    return CDN_OK;
}

size_t config_file_item_count(const struct config_file *file, const char *list)
{
    const yaml_node_t *node = list ? child(file, root_of(file), list) : NULL;
    return node ? (size_t)(node->data.sequence.items.top - node->data.sequence.items.start) : 0;
}

/* Every item of the list is a mapping with a `name` of its own: *ret_names (owned array, borrowed nodes). */
static enum cdn_status item_names(struct config_file *file, const yaml_node_t *list, const char *list_name,
                                  size_t n, const yaml_node_t **ret_names, struct cdn_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const yaml_node_t *item;
        enum cdn_status status =
            visit_typed(file, list->data.sequence.items.start[i], YAML_MAPPING_NODE, list_name, &item, err);
        if (status != CDN_OK) {
            return status;
        }
        const yaml_node_t *name = child(file, item, "name");
        if (!name || name->type != YAML_SCALAR_NODE || name->data.scalar.length == 0) {
            return cdn_error_set(err, CDN_INVALID, "%s:%zu: %s: an item without `name`", file->path,
                                 line_of(item), list_name);
        }
        ret_names[i] = name;
        for (size_t k = 0; k < i; k++) {
            if (cdn_str_eq(text_of(ret_names[k]), text_of(name))) {
                return cdn_error_set(err, CDN_INVALID,
                                     "%s:%zu: %s: the name \"%.64s\" is there twice (first in line %zu)",
                                     file->path, line_of(name), list_name,
                                     (const char *)name->data.scalar.value, line_of(ret_names[k]));
            }
        }
    }
    return CDN_OK;
}

static enum cdn_status no_such_item(struct config_file *file, const char *list, const char *name,
                                    const yaml_node_t *const *names, size_t n, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf all = {0};
    for (size_t i = 0; i < n && all.n < 200; i++) {
        cdn_buf_printf(&all, "%s%.64s", i ? ", " : "", (const char *)names[i]->data.scalar.value);
    }
    if (!name) {
        return cdn_error_set(err, CDN_NOT_FOUND, "%s: %s: there are %zu items only", file->path, list, n);
    }
    return cdn_error_set(err, CDN_NOT_FOUND, "%s: %s: no item is named \"%.64s\" (there are: %s)", file->path,
                         list, name, all.n ? all.p : "none");
}

enum cdn_status config_file_item(struct config_file *file, struct config_target *target, size_t number,
                                 const char *name, struct cdn_error *err)
{
    const char *list_name = target->program->list;
    const yaml_node_t *list = child(file, root_of(file), list_name);
    size_t n = config_file_item_count(file, list_name);
    if (n > ITEM_LIMIT) {
        return cdn_error_set(err, CDN_TOO_LARGE, "%s: %s: more than %u items", file->path, list_name,
                             ITEM_LIMIT);
    }
    if (list && !file->names) {
        CDN_AUTOFREE const yaml_node_t **found = cdn_calloc(n, sizeof(*found));
        enum cdn_status status = item_names(file, list, list_name, n, found, err);
        if (status != CDN_OK) {
            return status;
        }
        file->names = CDN_TAKE(found);
    }
    const yaml_node_t *const *names = file->names;
    for (size_t i = 0; name && i < n; i++) {
        if (cdn_str_eq(text_of(names[i]), cdn_str(name))) {
            number = i;
            name = NULL;
        }
    }
    if (name || !list || number >= n) {
        return no_such_item(file, list_name, name, names, n, err);
    }
    const yaml_node_t *item = yaml_document_get_node(&file->doc, list->data.sequence.items.start[number]);
    CDN_AUTOFREE char *section =
        cdn_asprintf("%s[%.64s]", list_name, (const char *)names[number]->data.scalar.value);
    return read_section(file, target, item, section, err);
}

size_t cdn_config_line(const char *path, const char *section, size_t item, const char *key)
{
    struct config_file *file;
    struct cdn_error none;
    if (config_file_open(path, &file, &none) != CDN_OK) {
        return 0;
    }
    const yaml_node_t *node = child(file, root_of(file), section);
    if (node && item != SIZE_MAX) {
        bool there = node->type == YAML_SEQUENCE_NODE && item < config_file_item_count(file, section);
        node = there ? yaml_document_get_node(&file->doc, node->data.sequence.items.start[item]) : NULL;
    }
    const yaml_node_t *value = child(file, node, key);
    size_t line = value ? line_of(value) : node ? line_of(node) : 0;
    config_file_close(file);
    return line;
}
