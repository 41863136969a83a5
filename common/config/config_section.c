/* config_section: from one mapping of a YAML document to the settings of its keys: single values, lists,
 * maps. What a file says replaces what was there before it, a list as a whole. */
#include "common/config/config.h"
#include "common/config/config_private.h"
#include "common/config/config_yaml_private.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <string.h>
#include <yaml.h>

#include "common/banned.h"

/* A mapping of scalars as "KEY=VALUE,KEY=VALUE". */
static enum cdn_status join_pairs(struct config_file *file, const yaml_node_t *map, const char *name,
                                  struct cdn_buf *out, struct cdn_error *err)
{
    enum cdn_status status = config_node_check_keys(file, map, name, err);
    for (yaml_node_pair_t *pair = map->data.mapping.pairs.start;
         status == CDN_OK && pair < map->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&file->doc, pair->key), *value;
        status = config_node_visit_typed(file, pair->value, YAML_SCALAR_NODE, name, &value, err);
        if (status == CDN_OK) {
            cdn_buf_printf(out, "%s" CDN_STR_FMT "=" CDN_STR_FMT, out->n ? "," : "",
                           CDN_STR_ARG(config_node_text(key)), CDN_STR_ARG(config_node_text(value)));
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
        enum cdn_status status = config_node_visit(file, *it, &item, err);
        if (status == CDN_OK && mappings && item->type == YAML_MAPPING_NODE) {
            status = join_pairs(file, item, name, &pairs, err);
        } else if (status == CDN_OK) {
            status = config_node_need(file, item, YAML_SCALAR_NODE, name, err);
        }
        if (status != CDN_OK) {
            return status;
        }
        CDN_AUTOFREE char *origin = cdn_asprintf("%s:%zu", file->path, config_node_line(item));
        CDN_AUTOFREE char *where = cdn_asprintf("%s: %s", origin, name);
        struct config_place place = {where, origin};
        struct cdn_str text = item->type == YAML_MAPPING_NODE ? cdn_buf_str(&pairs) : config_node_text(item);
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
        return cdn_error_set(err, CDN_INVALID, "%s:%zu: %s: the list is empty", file->path,
                             config_node_line(node), name);
    }
    for (; it < node->data.sequence.items.top; it++) {
        const yaml_node_t *item;
        enum cdn_status status = config_node_visit_typed(file, *it, YAML_SCALAR_NODE, name, &item, err);
        if (status != CDN_OK) {
            return status;
        }
        cdn_buf_add_str(out, out->n > 0 ? CDN_STR("; ") : CDN_STR(""));
        cdn_buf_add_str(out, config_node_text(item));
    }
    return CDN_OK;
}

static enum cdn_status read_map_value(struct config_file *file, const struct cdn_config_row *row, int index,
                                      const char *name, struct cdn_buf *out, struct cdn_error *err)
{
    const yaml_node_t *value;
    bool lists = row->choices && strcmp(row->choices, CDN_CONFIG_VALUES) == 0;
    enum cdn_status status = config_node_visit(file, index, &value, err);
    if (status != CDN_OK) {
        return status;
    }
    if (lists && value->type == YAML_SEQUENCE_NODE) {
        return join_items(file, value, name, out, err);
    }
    status = config_node_need(file, value, YAML_SCALAR_NODE, name, err);
    if (status == CDN_OK) {
        cdn_buf_add_str(out, config_node_text(value));
    }
    return status;
}

static enum cdn_status read_map(struct config_file *file, struct config_target *target,
                                const struct cdn_config_row *row, const yaml_node_t *node, const char *name,
                                struct cdn_error *err)
{
    enum cdn_status status = config_node_check_keys(file, node, name, err);
    yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; status == CDN_OK && pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&file->doc, pair->key);
        CDN_AUTOBUF struct cdn_buf value = {0};
        CDN_AUTOFREE char *origin = cdn_asprintf("%s:%zu", file->path, config_node_line(key));
        CDN_AUTOFREE char *full = cdn_asprintf("%s.%.64s", name, (const char *)key->data.scalar.value);
        CDN_AUTOFREE char *where = cdn_asprintf("%s: %s", origin, full);
        struct config_place place = {where, origin};
        status = read_map_value(file, row, pair->value, full, &value, err);
        if (status == CDN_OK) {
            status = config_list_add(row, target->settings, &place, config_node_text(key),
                                     cdn_buf_str(&value), err);
        }
    }
    return status;
}

/* A single value in place of a list, where that is allowed: the list of it. */
static enum cdn_status read_single(struct config_target *target, const struct cdn_config_row *row,
                                   const yaml_node_t *node, const struct config_place *place,
                                   struct cdn_error *err)
{
    config_value_clear(row, target->settings);
    enum cdn_status status =
        config_list_add(row, target->settings, place, config_node_text(node), CDN_STR(""), err);
    return status == CDN_OK ? config_list_check(row, target->settings, place, err) : status;
}

static enum cdn_status read_value(struct config_file *file, struct config_target *target,
                                  const struct cdn_config_row *row, const yaml_node_t *node, const char *name,
                                  bool single, struct cdn_error *err)
{
    CDN_AUTOFREE char *origin = cdn_asprintf("%s:%zu", file->path, config_node_line(node));
    CDN_AUTOFREE char *where = cdn_asprintf("%s: %s", origin, name);
    struct config_place place = {where, origin};
    const bool one = config_is_marked(row, CDN_CONFIG_ONE) && node->type == YAML_SCALAR_NODE;
    bool list = row->type == CDN_CONFIG_LIST;
    yaml_node_type_t type = one                           ? YAML_SCALAR_NODE
                            : list                        ? YAML_SEQUENCE_NODE
                            : row->type == CDN_CONFIG_MAP ? YAML_MAPPING_NODE
                                                          : YAML_SCALAR_NODE;
    single = single && list && !one && node->type == YAML_SCALAR_NODE && !config_node_is_nothing(node);
    enum cdn_status status = single ? CDN_OK : config_node_need(file, node, type, name, err);
    if (status != CDN_OK) {
        return status;
    }
    if (type == YAML_SCALAR_NODE && config_node_is_nothing(node)) {
        return cdn_error_set(err, CDN_INVALID, "%s: has no value (write \"\" for an empty text)", where);
    }
    if (one) {
        config_value_clear(row, target->settings);
        if (config_node_text(node).n > 0) { /* "": none, as of a text */
            status = config_list_add(row, target->settings, &place, config_node_text(node), CDN_STR(""), err);
        }
    } else if (single) {
        status = read_single(target, row, node, &place, err);
    } else if (type == YAML_SCALAR_NODE) {
        status = config_value_set(row, target->settings, &place, config_node_text(node), err);
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

enum cdn_status config_section_value(struct config_file *file, struct config_target *target,
                                     const struct cdn_config_row *row, const yaml_node_t *node,
                                     const char *name, struct cdn_error *err)
{
    return read_value(file, target, row, node, name, true, err);
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

enum cdn_status config_section_read(struct config_file *file, struct config_target *target,
                                    const yaml_node_t *map, const char *section, struct cdn_error *err)
{
    const struct cdn_config_program *program = target->program;
    CDN_AUTOFREE const char **names = cdn_calloc(program->row_count + 1, sizeof(*names));
    for (size_t i = 0; i < program->row_count; i++) {
        names[i] = program->rows[i].field;
    }
    enum cdn_status status = config_node_check_keys(file, map, section, err);
    yaml_node_pair_t *pair = map->data.mapping.pairs.start;
    for (; status == CDN_OK && pair < map->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&file->doc, pair->key);
        const yaml_node_t *value;
        const struct cdn_config_row *row = config_row_find(program, config_node_text(key));
        CDN_AUTOFREE char *name = cdn_asprintf("%s.%.64s", section, (const char *)key->data.scalar.value);
        if (!row && is_passed_over(program, section, config_node_text(key))) {
            continue;
        }
        if (!row) {
            return config_node_unknown(file, key, section, names, err);
        }
        status = config_node_visit(file, pair->value, &value, err);
        if (status == CDN_OK) {
            status = read_value(file, target, row, value, name, false, err);
        }
    }
    return status;
}
