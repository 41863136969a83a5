/* config_tree: nodes of the same document as the flat sections (config_yaml_private.h), with a name each. A
 * mapping inside a mapping of rows is taken for rows with a common beginning, so that what belongs together
 * can be written together and the table stays flat. */
#include "common/config/config_tree.h"

#include "common/config/config.h"
#include "common/config/config_private.h"
#include "common/config/config_yaml_private.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/banned.h"

#define VISIT_LIMIT 5000000u /* 1,000 sites of 20 rules are a tenth of it */

static struct config_file *file_of(const struct cdn_config_at *at)
{
    return (struct config_file *)at->tree;
}

static const yaml_node_t *node_of(const struct cdn_config_at *at)
{
    return (const yaml_node_t *)at->node;
}

static void stand_at(struct cdn_config_at *at, const yaml_node_t *node)
{
    at->node = (const struct cdn_config_node *)node;
}

enum cdn_status cdn_config_tree_open(const char *path, struct cdn_config_tree **ret, struct cdn_error *err)
{
    struct config_file *file;
    enum cdn_status status = config_file_open(path, &file, err);
    if (status == CDN_OK) {
        file->visit_limit = VISIT_LIMIT;
        *ret = (struct cdn_config_tree *)file;
    }
    return status;
}

void cdn_config_tree_close(struct cdn_config_tree *tree)
{
    config_file_close((struct config_file *)tree);
}

const char *cdn_config_tree_path(const struct cdn_config_tree *tree)
{
    return ((const struct config_file *)tree)->path;
}

bool cdn_config_tree_section(struct cdn_config_tree *tree, const char *name, struct cdn_config_at *ret)
{
    struct config_file *file = (struct config_file *)tree;
    const yaml_node_t *node = config_file_section(file, name);
    if (!node) {
        return false;
    }
    *ret = (struct cdn_config_at){.tree = tree, .name = name, .line = config_node_line(node)};
    stand_at(ret, node);
    return true;
}

bool cdn_config_tree_child(const struct cdn_config_at *at, const char *key, struct cdn_config_at *ret)
{
    const yaml_node_t *node = config_node_child(file_of(at), node_of(at), key);
    if (!node) {
        return false;
    }
    *ret = (struct cdn_config_at){.tree = at->tree, .name = key, .line = config_node_line(node)};
    stand_at(ret, node);
    return true;
}

bool cdn_config_tree_text(const struct cdn_config_at *at, struct cdn_str *ret)
{
    const yaml_node_t *node = node_of(at);
    if (node->type != YAML_SCALAR_NODE) {
        return false;
    }
    *ret = config_node_text(node);
    return true;
}

enum cdn_status cdn_config_tree_pairs(const struct cdn_config_at *map, cdn_config_take *take, void *arg,
                                      struct cdn_error *err)
{
    struct config_file *file = file_of(map);
    const yaml_node_t *node = node_of(map);
    enum cdn_status status = config_node_need(file, node, YAML_MAPPING_NODE, map->name, err);
    if (status == CDN_OK) {
        status = config_node_check_keys(file, node, map->name, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    const yaml_node_pair_t *first = node->data.mapping.pairs.start;
    for (const yaml_node_pair_t *pair = first; status == CDN_OK && pair < node->data.mapping.pairs.top;
         pair++) {
        const yaml_node_t *key = yaml_document_get_node(&file->doc, pair->key), *value;
        status = config_node_visit(file, pair->value, &value, err);
        if (status != CDN_OK) {
            return status;
        }
        CDN_AUTOFREE char *name = cdn_asprintf("%s.%.64s", map->name, (const char *)key->data.scalar.value);
        struct cdn_config_at at = {.tree = map->tree,
                                   .name = name,
                                   .key = config_node_text(key),
                                   .index = (size_t)(pair - first),
                                   .line = config_node_line(key)};
        stand_at(&at, value);
        status = take(arg, &at, err);
    }
    return status;
}

enum cdn_status cdn_config_tree_items(const struct cdn_config_at *list, cdn_config_take *take, void *arg,
                                      struct cdn_error *err)
{
    struct config_file *file = file_of(list);
    const yaml_node_t *node = node_of(list);
    enum cdn_status status = config_node_need(file, node, YAML_SEQUENCE_NODE, list->name, err);
    if (status != CDN_OK) {
        return status;
    }
    const yaml_node_item_t *first = node->data.sequence.items.start;
    for (const yaml_node_item_t *it = first; status == CDN_OK && it < node->data.sequence.items.top; it++) {
        const yaml_node_t *item;
        status = config_node_visit(file, *it, &item, err);
        if (status != CDN_OK) {
            return status;
        }
        CDN_AUTOFREE char *name = cdn_asprintf("%s[%zu]", list->name, (size_t)(it - first) + 1);
        struct cdn_config_at at = {
            .tree = list->tree, .name = name, .index = (size_t)(it - first), .line = config_node_line(item)};
        stand_at(&at, item);
        status = take(arg, &at, err);
    }
    return status;
}

void cdn_config_defaults(const struct cdn_config_program *program, void *settings)
{
    for (size_t i = 0; i < program->row_count; i++) {
        const struct cdn_config_row *row = &program->rows[i];
        const enum cdn_status status =
            cdn_config_set(row, settings, row->field, cdn_str(row->fallback), NULL);
        assert(status == CDN_OK); /* a test reads every table's defaults */
        (void)status;
    }
}

void cdn_config_from_free(const struct cdn_config_program *program, char **from)
{
    for (size_t i = 0; i < program->row_count; i++) {
        free(from[i]);
        from[i] = NULL;
    }
}

/* ---- a mapping of rows ---- */

struct reading {
    struct config_target target;
    const char *const *others;
    char **before; /* what `from` had: another mapping's */
};

static bool is_other(const struct reading *r, struct cdn_str key)
{
    for (size_t i = 0; r->others && r->others[i]; i++) {
        if (cdn_str_eq(key, cdn_str(r->others[i]))) {
            return true;
        }
    }
    return false;
}

static bool begins_rows(const struct reading *r, struct cdn_str prefix)
{
    for (size_t i = 0; i < r->target.program->row_count; i++) {
        if (cdn_str_starts(cdn_str(r->target.program->rows[i].field), prefix)) {
            return true;
        }
    }
    return false;
}

static enum cdn_status set_row(struct reading *r, const struct cdn_config_at *at,
                               const struct cdn_config_row *row, struct cdn_error *err)
{
    struct config_file *file = file_of(at);
    const size_t i = (size_t)(row - r->target.program->rows);
    if (r->target.from[i] && r->target.from[i] != r->before[i]) {
        return cdn_error_set(err, CDN_INVALID, "%s:%zu: %s: it is there twice (first in %s)", file->path,
                             at->line, at->name, r->target.from[i]);
    }
    r->before[i] = NULL; /* config_section_value frees it */
    return config_section_value(file, &r->target, row, node_of(at), at->name, err);
}

static enum cdn_status read_rows(struct reading *r, const struct cdn_config_at *map, const char *prefix,
                                 struct cdn_error *err);

struct nested {
    struct reading *reading;
    const char *prefix;
    const char *map;
};

static enum cdn_status unknown(struct nested *n, const struct cdn_config_at *at, struct cdn_error *err)
{
    const struct cdn_config_program *program = n->reading->target.program;
    CDN_AUTOFREE const char **names = cdn_calloc(program->row_count + 1, sizeof(*names));
    const size_t skip = strlen(n->prefix);
    size_t count = 0;
    for (size_t i = 0; i < program->row_count; i++) {
        if (cdn_str_starts(cdn_str(program->rows[i].field), cdn_str(n->prefix))) {
            names[count++] = program->rows[i].field + skip;
        }
    }
    const char *close = cdn_config_closest(at->key, names);
    return cdn_error_set(err, CDN_INVALID, "%s:%zu: unknown key \"%.*s\" in %s%s%s%s", file_of(at)->path,
                         at->line, (int)(at->key.n < 64 ? at->key.n : 64), at->key.p, n->map,
                         close ? "; did you mean \"" : "", close ? close : "", close ? "\"?" : "");
}

static enum cdn_status take_pair(void *arg, const struct cdn_config_at *at, struct cdn_error *err)
{
    struct nested *n = arg;
    CDN_AUTOFREE char *field = cdn_asprintf("%s" CDN_STR_FMT, n->prefix, CDN_STR_ARG(at->key));
    CDN_AUTOFREE char *deeper = cdn_asprintf("%s_", field);
    const struct cdn_config_row *row = config_row_find(n->reading->target.program, cdn_str(field));
    const bool is_map = node_of(at)->type == YAML_MAPPING_NODE;
    if (!n->prefix[0] && is_other(n->reading, at->key)) {
        return CDN_OK;
    }
    if (is_map && !row && node_of(at)->data.mapping.pairs.start == node_of(at)->data.mapping.pairs.top &&
        begins_rows(n->reading, cdn_str(deeper))) {
        return cdn_config_tree_wrong(at, err, CDN_INVALID, "nothing is in it");
    }
    if (is_map && !(row && row->type == CDN_CONFIG_MAP) && begins_rows(n->reading, cdn_str(deeper))) {
        return read_rows(n->reading, at, deeper, err);
    }
    if (!row && begins_rows(n->reading, cdn_str(deeper))) {
        return config_node_need(file_of(at), node_of(at), YAML_MAPPING_NODE, at->name, err);
    }
    if (!row && !n->prefix[0] && n->reading->target.program->others_rows) {
        return CDN_OK;
    }
    return row ? set_row(n->reading, at, row, err) : unknown(n, at, err);
}

static enum cdn_status read_rows(struct reading *r, const struct cdn_config_at *map, const char *prefix,
                                 struct cdn_error *err)
{
    struct nested n = {r, prefix, map->name};
    return cdn_config_tree_pairs(map, take_pair, &n, err);
}

enum cdn_status cdn_config_tree_rows(const struct cdn_config_at *map,
                                     const struct cdn_config_program *program, const char *const *others,
                                     void *settings, char **from, struct cdn_error *err)
{
    CDN_AUTOFREE char **before = cdn_calloc(program->row_count, sizeof(*before));
    memcpy(before, from, program->row_count * sizeof(*before));
    struct reading r = {.target = {.program = program, .settings = settings, .from = from},
                        .others = others,
                        .before = before};
    return read_rows(&r, map, "", err);
}

enum cdn_status cdn_config_tree_wrong(const struct cdn_config_at *at, struct cdn_error *err,
                                      enum cdn_status status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return cdn_error_set(err, status, "%s:%zu: %s: %s", file_of(at)->path, at->line, at->name, text);
}
