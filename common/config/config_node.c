/* config_node: the nodes of a YAML document. They are looked at with a budget, because an alias may stand
 * for its node a million times; a complaint names the line of the node that it is about. */
#include "common/config/config.h"
#include "common/config/config_yaml_private.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/banned.h"

static const char *type_name(yaml_node_type_t type)
{
    return type == YAML_MAPPING_NODE ? "a mapping" : type == YAML_SEQUENCE_NODE ? "a list" : "a single value";
}

enum cdn_status config_node_visit(struct config_file *file, int index, const yaml_node_t **ret,
                                  struct cdn_error *err)
{
    static const char *const plain_tags[] = {YAML_STR_TAG, YAML_SEQ_TAG, YAML_MAP_TAG};
    const yaml_node_t *node = yaml_document_get_node(&file->doc, index);
    if (++file->visits > file->visit_limit) {
        return cdn_error_set(err, CDN_TOO_LARGE, "%s:%zu: more than %zu values (aliases count each time)",
                             file->path, config_node_line(node), file->visit_limit);
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(plain_tags); i++) {
        if (strcmp((const char *)node->tag, plain_tags[i]) == 0) {
            *ret = node;
            return CDN_OK;
        }
    }
    return cdn_error_set(err, CDN_INVALID, "%s:%zu: the tag %s is not understood", file->path,
                         config_node_line(node), (const char *)node->tag);
}

enum cdn_status config_node_need(struct config_file *file, const yaml_node_t *node, yaml_node_type_t type,
                                 const char *key, struct cdn_error *err)
{
    if (node->type == type) {
        return CDN_OK;
    }
    return cdn_error_set(err, CDN_INVALID, "%s:%zu: %s: must be %s, not %s", file->path,
                         config_node_line(node), key, type_name(type),
                         config_node_is_nothing(node) ? "empty" : type_name(node->type));
}

enum cdn_status config_node_visit_typed(struct config_file *file, int index, yaml_node_type_t type,
                                        const char *key, const yaml_node_t **ret, struct cdn_error *err)
{
    enum cdn_status status = config_node_visit(file, index, ret, err);
    return status == CDN_OK ? config_node_need(file, *ret, type, key, err) : status;
}

enum cdn_status config_node_unknown(struct config_file *file, const yaml_node_t *key, const char *section,
                                    const char *const *names, struct cdn_error *err)
{
    const char *close = cdn_config_closest(config_node_text(key), names);
    return cdn_error_set(err, CDN_INVALID, "%s:%zu: unknown key \"%.64s\"%s%s%s%s%s", file->path,
                         config_node_line(key), (const char *)key->data.scalar.value,
                         section[0] ? " in " : "", section, close ? "; did you mean \"" : "",
                         close ? close : "", close ? "\"?" : "");
}

static enum cdn_status duplicate(struct config_file *file, const yaml_node_t *key, size_t first,
                                 const char *section, struct cdn_error *err)
{
    return cdn_error_set(err, CDN_INVALID, "%s:%zu: %s%s%.64s: the key is there twice (first in line %zu)",
                         file->path, config_node_line(key), section, section[0] ? "." : "",
                         (const char *)key->data.scalar.value, first);
}

static int by_key_then_line(const void *a, const void *b)
{
    const yaml_node_t *x = *(const yaml_node_t *const *)a;
    const yaml_node_t *y = *(const yaml_node_t *const *)b;
    struct cdn_str s = config_node_text(x);
    struct cdn_str t = config_node_text(y);
    int order = memcmp(s.p, t.p, s.n < t.n ? s.n : t.n);
    order = order ? order : (s.n > t.n) - (s.n < t.n);
    return order ? order
                 : (config_node_line(x) > config_node_line(y)) - (config_node_line(x) < config_node_line(y));
}

enum cdn_status config_node_check_keys(struct config_file *file, const yaml_node_t *map, const char *section,
                                       struct cdn_error *err)
{
    size_t n = (size_t)(map->data.mapping.pairs.top - map->data.mapping.pairs.start);
    CDN_AUTOFREE const yaml_node_t **keys = cdn_calloc(n, sizeof(*keys));
    for (size_t i = 0; i < n; i++) {
        enum cdn_status status = config_node_visit_typed(file, map->data.mapping.pairs.start[i].key,
                                                         YAML_SCALAR_NODE, "a key", &keys[i], err);
        if (status != CDN_OK) {
            return status;
        }
    }
    qsort(keys, n, sizeof(*keys), by_key_then_line);
    for (size_t i = 1; i < n; i++) {
        if (cdn_str_eq(config_node_text(keys[i - 1]), config_node_text(keys[i]))) {
            return duplicate(file, keys[i], config_node_line(keys[i - 1]), section, err);
        }
    }
    return CDN_OK;
}

const yaml_node_t *config_node_child(const struct config_file *file, const yaml_node_t *map, const char *name)
{
    if (!map || map->type != YAML_MAPPING_NODE) {
        return NULL;
    }
    yaml_document_t *doc = (yaml_document_t *)(uintptr_t)&file->doc; /* libyaml's getter knows no const */
    for (yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(doc, pair->key);
        if (key->type == YAML_SCALAR_NODE && cdn_str_eq(config_node_text(key), cdn_str(name))) {
            const yaml_node_t *value = yaml_document_get_node(doc, pair->value);
            return config_node_is_nothing(value) ? NULL : value;
        }
    }
    return NULL;
}
