/* config_yaml_private: what the files that read cdn.yaml share: config_yaml.c (the file), config_section.c
 * (the values of one section) and config_node.c (the nodes of the document); nobody else includes it. */
#ifndef CDN_COMMON_CONFIG_YAML_PRIVATE_H
#define CDN_COMMON_CONFIG_YAML_PRIVATE_H
#include "common/config/config.h"
#include "common/config/config_private.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

struct config_file {
    char *path;
    yaml_document_t doc;
    /* nodes looked at: an alias costs each time, so aliases cannot multiply work */
    size_t visits, visit_limit;
    /* of the list's items, borrowed from doc; made with the first that is asked for */
    const yaml_node_t **names;
};

static inline size_t config_node_line(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

static inline struct cdn_str config_node_text(const yaml_node_t *node)
{
    return (struct cdn_str){(const char *)node->data.scalar.value, node->data.scalar.length};
}

/* `section: ` with nothing after it: as if it were not there. */
static inline bool config_node_is_nothing(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (node->data.scalar.length == 0 || cdn_str_eq(config_node_text(node), CDN_STR("~")) ||
            cdn_str_eq(config_node_text(node), CDN_STR("null")));
}

/* The node behind an index, with its tag checked and the visit counted. */
enum cdn_status config_node_visit(struct config_file *file, int index, const yaml_node_t **ret,
                                  struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status config_node_need(struct config_file *file, const yaml_node_t *node, yaml_node_type_t type,
                                 const char *key, struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status config_node_visit_typed(struct config_file *file, int index, yaml_node_type_t type,
                                        const char *key, const yaml_node_t **ret,
                                        struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status config_node_unknown(struct config_file *file, const yaml_node_t *key, const char *section,
                                    const char *const *names, struct cdn_error *err);
/* The mapping's keys must be scalars and differ. Sorted, since a map may be long. */
enum cdn_status config_node_check_keys(struct config_file *file, const yaml_node_t *map, const char *section,
                                       struct cdn_error *err) CDN_MUST_CHECK;
/* The value of a key of a mapping (NULL: not there, or nothing after it). */
const yaml_node_t *config_node_child(const struct config_file *file, const yaml_node_t *map,
                                     const char *name);
/* A section at the top of the file; NULL: not there. */
const yaml_node_t *config_file_section(const struct config_file *file, const char *name);
/* One setting; a list may be a single value. */
enum cdn_status config_section_value(struct config_file *file, struct config_target *target,
                                     const struct cdn_config_row *row, const yaml_node_t *node,
                                     const char *name, struct cdn_error *err) CDN_MUST_CHECK;
/* One mapping of settings; `section` names it in messages ("edge", "edges[fra]"). */
enum cdn_status config_section_read(struct config_file *file, struct config_target *target,
                                    const yaml_node_t *map, const char *section,
                                    struct cdn_error *err) CDN_MUST_CHECK;

#endif
