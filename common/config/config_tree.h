/* config_tree: a section of cdn.yaml that is a tree: mappings and lists in one another, down to mappings
 * whose keys are the rows of a table, as the sites and their rules are.
 *
 * The reader walks the tree and calls back for each pair or item; each node has its full name
 * ("sites.shop.rules[2]") for messages, which open with file and line. A mapping of rows is read whole:
 * `key: {query: none}` sets the row `key_query`, and a list may be a single value. The document and its
 * limits are those of config.h. Life cycle: open -> walk -> close; nodes are borrowed.
 */
#ifndef CDN_COMMON_CONFIG_TREE_H
#define CDN_COMMON_CONFIG_TREE_H
#include "common/config/config.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

struct cdn_config_tree;
struct cdn_config_node;

/* Where somebody stands in the tree. */
struct cdn_config_at {
    struct cdn_config_tree *tree;
    const struct cdn_config_node *node;
    const char *name; /* "sites.shop" */
    struct cdn_str key;
    size_t index; /* of a list's item, or of a mapping's pair */
    size_t line;  /* of the key, or of the item */
};

enum cdn_status cdn_config_tree_open(const char *path, struct cdn_config_tree **ret,
                                     struct cdn_error *err) CDN_MUST_CHECK;
void cdn_config_tree_close(struct cdn_config_tree *tree); /* NULL is fine */
const char *cdn_config_tree_path(const struct cdn_config_tree *tree);
/* false: the file does not have it, or nothing is in it. */
bool cdn_config_tree_section(struct cdn_config_tree *tree, const char *name, struct cdn_config_at *ret);
bool cdn_config_tree_child(const struct cdn_config_at *at, const char *key, struct cdn_config_at *ret);

/* The text of a single value; false: it is something else. */
bool cdn_config_tree_text(const struct cdn_config_at *at, struct cdn_str *ret);

typedef enum cdn_status cdn_config_take(void *arg, const struct cdn_config_at *at, struct cdn_error *err);
/* The pairs of a mapping, or the items of a list (each of another kind is refused), in their order. */
enum cdn_status cdn_config_tree_pairs(const struct cdn_config_at *map, cdn_config_take *take, void *arg,
                                      struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status cdn_config_tree_items(const struct cdn_config_at *list, cdn_config_take *take, void *arg,
                                      struct cdn_error *err) CDN_MUST_CHECK;

/* The settings of a table with their defaults. */
void cdn_config_defaults(const struct cdn_config_program *program, void *settings);
/* What a mapping says, over what is in `settings`. Keys in `others` (NULL-ended; NULL: none) are the
 * caller's to read; unknown ones are passed over if the program says so (others_rows). `from`, one for
 * each row, has where its value came from ("cdn.yaml:12"; owned): what is there already from this
 * mapping's own lines is refused as there twice. */
enum cdn_status cdn_config_tree_rows(const struct cdn_config_at *map,
                                     const struct cdn_config_program *program, const char *const *others,
                                     void *settings, char **from, struct cdn_error *err) CDN_MUST_CHECK;
void cdn_config_from_free(const struct cdn_config_program *program, char **from); /* the texts only */

/* "FILE:LINE: NAME: " and the text. */
enum cdn_status cdn_config_tree_wrong(const struct cdn_config_at *at, struct cdn_error *err,
                                      enum cdn_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
