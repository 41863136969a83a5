/* config_private: what the files of config share.
 *
 *     config.c          one load: flags, file, environment in order of strength
 *     config_flags.c    the command line
 *     config_value.c    text <-> value of one row
 *     config_list.c     the same of lists and maps
 *     config_file.c     bytes of a cdn.yaml -> libyaml's document, within the limits
 *     config_yaml.c     document -> its sections and items
 *     config_section.c  a section -> values
 *     config_node.c     nodes, with a budget
 *     config_tree.c     the sections that are trees
 *     config_text.c     --help, --help-config, --print-config, the reference page
 */
#ifndef CDN_COMMON_CONFIG_PRIVATE_H
#define CDN_COMMON_CONFIG_PRIVATE_H
#include "common/config/config.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

/* Where values go, and where each came from. */
struct config_target {
    const struct cdn_config_program *program;
    void *settings;
    char **from; /* per row: "cdn.yaml:3", "--memory", a variable; NULL: the default */
};

/* A place that a value comes from: `where` opens messages, `origin` is remembered. */
struct config_place {
    const char *where;
    const char *origin;
};

const struct cdn_config_row *config_row_find(const struct cdn_config_program *program, struct cdn_str field);
void config_note_origin(struct config_target *target, const struct cdn_config_row *row, const char *origin);
char *config_flag_name(const char *field);                         /* "max-age", owned */
char *config_env_name(const char *program_env, const char *field); /* "POCKETCDN_EDGE_MAX_AGE", owned */
bool config_is_shared(const char *field);                          /* a row of CDN_SHARED_SETTINGS */

/* config_value.c */
enum cdn_status config_value_set(const struct cdn_config_row *row, void *settings,
                                 const struct config_place *place, struct cdn_str text,
                                 struct cdn_error *err) CDN_MUST_CHECK;
void config_value_clear(const struct cdn_config_row *row, void *settings);
/* Written by offset: each kind of row knows the C type behind it (CDN_CONFIG_TYPES). */
static inline void *config_field(const struct cdn_config_row *row, void *settings)
{
    return (char *)settings + row->offset;
}

static inline const void *config_field_const(const struct cdn_config_row *row, const void *settings)
{
    return (const char *)settings + row->offset;
}
bool config_is_marked(const struct cdn_config_row *row, const char *mark); /* by CDN_CONFIG_CIDRS and such */
bool config_has_control(struct cdn_str text);
/* The value as a message shows it: short, without control characters, never a secret. */
const char *config_shown(const struct cdn_config_row *row, struct cdn_str text, char out[static 84]);
/* `v` is the value in the unit of the bounds; `unit` says what was counted, when not the value itself. */
enum cdn_status config_check_bounds(const struct cdn_config_row *row, const char *where, struct cdn_str text,
                                    double v, const char *unit, struct cdn_error *err) CDN_MUST_CHECK;

/* config_list.c */
enum cdn_status config_list_set(const struct cdn_config_row *row, void *settings,
                                const struct config_place *place, struct cdn_str text,
                                struct cdn_error *err) CDN_MUST_CHECK; /* after those that are there */
void config_list_free(struct cdn_config_list *list);
void config_list_text(const struct cdn_config_row *row, const struct cdn_config_list *list,
                      struct cdn_buf *out);
/* One item of a LIST (`value` empty) or MAP after the others; for
 * a MAP the caller has seen to duplicates. */
enum cdn_status config_list_add(const struct cdn_config_row *row, void *settings,
                                const struct config_place *place, struct cdn_str key, struct cdn_str value,
                                struct cdn_error *err) CDN_MUST_CHECK;
/* One flag's worth: an item of a LIST, `KEY=VALUE` of a MAP (a key that is there already is refused). */
enum cdn_status config_list_add_text(const struct cdn_config_row *row, void *settings,
                                     const struct config_place *place, struct cdn_str text,
                                     struct cdn_error *err) CDN_MUST_CHECK;
/* The number of items against the row's bounds. */
enum cdn_status config_list_check(const struct cdn_config_row *row, const void *settings,
                                  const struct config_place *place, struct cdn_error *err) CDN_MUST_CHECK;
/* "1MiB to 10GiB", or "" without bounds; a CHOICE gives its names. */
void config_bounds_text(const struct cdn_config_row *row, struct cdn_buf *out);
const char *config_looks(enum cdn_config_type type); /* "size such as ..." */

/* config_file.c: on success the caller owns what is in *ret. */
struct yaml_document_s;
enum cdn_status config_document_load(const char *path, struct yaml_document_s *ret,
                                     struct cdn_error *err) CDN_MUST_CHECK;

/* config_yaml.c */
struct config_file;
enum cdn_status config_file_open(const char *path, struct config_file **ret,
                                 struct cdn_error *err) CDN_MUST_CHECK;
void config_file_close(struct config_file *file);
enum cdn_status config_file_sections(struct config_file *file, struct config_target *target,
                                     struct cdn_error *err) CDN_MUST_CHECK;
/* Item by number, or by name when `name` is not NULL. Checks all items' names. CDN_NOT_FOUND when there is
 * none. */
enum cdn_status config_file_item(struct config_file *file, struct config_target *target, size_t number,
                                 const char *name, struct cdn_error *err) CDN_MUST_CHECK;
size_t config_file_item_count(const struct config_file *file, const char *list);

void config_help(const struct cdn_config_program *program, struct cdn_buf *out);
void config_print(const struct config_target *target, struct cdn_buf *out);

#endif
