/* config_yaml: a cdn.yaml as a whole: what may stand at its top, its sections, and the items of a list, of
 * which one is found by its number or its name. The names are checked once for all items. */
#include "common/config/config.h"
#include "common/config/config_private.h"
#include "common/config/config_yaml_private.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "common/banned.h"

#define ITEM_LIMIT 4096u
#define VISIT_LIMIT 100000u

/* The top level of a cdn.yaml. */
static const struct {
    const char *name;
    yaml_node_type_t type;
} top_level[] = {
    {"cdn", YAML_MAPPING_NODE},    {"origin", YAML_MAPPING_NODE}, {"edge", YAML_MAPPING_NODE},
    {"edges", YAML_SEQUENCE_NODE}, {"router", YAML_MAPPING_NODE}, {"wan", YAML_MAPPING_NODE},
    {"sites", YAML_MAPPING_NODE},
};

static const yaml_node_t *root_of(const struct config_file *file)
{
    yaml_document_t *doc = (yaml_document_t *)(uintptr_t)&file->doc;
    const yaml_node_t *root = yaml_document_get_root_node(doc);
    return root && !config_node_is_nothing(root) ? root : NULL;
}

const yaml_node_t *config_file_section(const struct config_file *file, const char *name)
{
    return config_node_child(file, root_of(file), name);
}

static enum cdn_status check_top_level(struct config_file *file, struct cdn_error *err)
{
    const char *names[CDN_ARRAY_LEN(top_level) + 1] = {NULL};
    const yaml_node_t *root = root_of(file);
    if (!root) {
        return CDN_OK;
    }
    enum cdn_status status = config_node_need(file, root, YAML_MAPPING_NODE, "the file", err);
    if (status == CDN_OK) {
        status = config_node_check_keys(file, root, "", err);
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
        while (names[i] && !cdn_str_eq(config_node_text(key), cdn_str(names[i]))) {
            i++;
        }
        if (!names[i]) {
            return config_node_unknown(file, key, "", names, err);
        }
        status = config_node_visit(file, pair->value, &value, err);
        if (status == CDN_OK && !config_node_is_nothing(value)) {
            status = config_node_need(file, value, top_level[i].type, names[i], err);
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
    file->visit_limit = VISIT_LIMIT;
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
        const yaml_node_t *map = config_node_child(file, root_of(file), sections[i]);
        enum cdn_status status = map ? config_section_read(file, target, map, sections[i], err) : CDN_OK;
        if (status != CDN_OK) {
            return status;
        }
    }
    return CDN_OK;
}

size_t config_file_item_count(const struct config_file *file, const char *list)
{
    const yaml_node_t *node = list ? config_node_child(file, root_of(file), list) : NULL;
    return node ? (size_t)(node->data.sequence.items.top - node->data.sequence.items.start) : 0;
}

/* Every item of the list is a mapping with a `name` of its own: *ret_names (owned array, borrowed nodes). */
static enum cdn_status item_names(struct config_file *file, const yaml_node_t *list, const char *list_name,
                                  size_t n, const yaml_node_t **ret_names, struct cdn_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const yaml_node_t *item;
        enum cdn_status status = config_node_visit_typed(file, list->data.sequence.items.start[i],
                                                         YAML_MAPPING_NODE, list_name, &item, err);
        if (status != CDN_OK) {
            return status;
        }
        const yaml_node_t *name = config_node_child(file, item, "name");
        if (!name || name->type != YAML_SCALAR_NODE || name->data.scalar.length == 0) {
            return cdn_error_set(err, CDN_INVALID, "%s:%zu: %s: an item without `name`", file->path,
                                 config_node_line(item), list_name);
        }
        ret_names[i] = name;
        for (size_t k = 0; k < i; k++) {
            if (cdn_str_eq(config_node_text(ret_names[k]), config_node_text(name))) {
                return cdn_error_set(err, CDN_INVALID,
                                     "%s:%zu: %s: the name \"%.64s\" is there twice (first in line %zu)",
                                     file->path, config_node_line(name), list_name,
                                     (const char *)name->data.scalar.value, config_node_line(ret_names[k]));
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
    const yaml_node_t *list = config_node_child(file, root_of(file), list_name);
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
        if (cdn_str_eq(config_node_text(names[i]), cdn_str(name))) {
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
    return config_section_read(file, target, item, section, err);
}

size_t cdn_config_line(const char *path, const char *section, size_t item, const char *key)
{
    struct config_file *file;
    struct cdn_error none;
    if (config_file_open(path, &file, &none) != CDN_OK) {
        return 0;
    }
    const yaml_node_t *node = config_node_child(file, root_of(file), section);
    if (node && item != SIZE_MAX) {
        bool there = node->type == YAML_SEQUENCE_NODE && item < config_file_item_count(file, section);
        node = there ? yaml_document_get_node(&file->doc, node->data.sequence.items.start[item]) : NULL;
    }
    const yaml_node_t *value = config_node_child(file, node, key);
    size_t line = value ? config_node_line(value) : node ? config_node_line(node) : 0;
    config_file_close(file);
    return line;
}
