/* config: flags, environment and file are read in this order but applied from weak to strong, since
 * the file may be named by a flag and an item of a list is found by a name that any of the three
 * can give. What fails leaves the caller's settings as they were: all is read into a copy first. */
#include "common/config/config.h"

#include "common/config/config_load_private.h"
#include "common/config/config_private.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

char *config_env_name(const char *program_env, const char *field)
{
    const char *own = program_env ? program_env : "";
    char *name = cdn_asprintf("POCKETCDN_%s%s%s", own, own[0] ? "_" : "", field);
    for (char *p = name; *p; p++) {
        *p = (char)toupper((unsigned char)*p);
    }
    return name;
}

bool config_is_shared(const char *field)
{
    static const char *const fields[] = {
#define X(type, field, ...) #field,
        CDN_SHARED_SETTINGS(X)
#undef X
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(fields); i++) {
        if (strcmp(field, fields[i]) == 0) {
            return true;
        }
    }
    return false;
}

const struct cdn_config_row *config_row_find(const struct cdn_config_program *program, struct cdn_str field)
{
    for (size_t i = 0; i < program->row_count; i++) {
        if (cdn_str_eq(cdn_str(program->rows[i].field), field)) {
            return &program->rows[i];
        }
    }
    return NULL;
}

void config_note_origin(struct config_target *target, const struct cdn_config_row *row, const char *origin)
{
    char **from = &target->from[row - target->program->rows];
    free(*from);
    *from = cdn_strdup(origin);
}

enum cdn_status cdn_config_set(const struct cdn_config_row *row, void *settings, const char *where,
                               struct cdn_str text, struct cdn_error *err)
{
    struct config_place place = {where, where};
    return config_value_set(row, settings, &place, text, err);
}

void cdn_config_free(const struct cdn_config_program *program, void *settings)
{
    if (!settings) {
        return;
    }
    for (size_t i = 0; i < program->row_count; i++) {
        config_value_clear(&program->rows[i], settings);
    }
    memset(settings, 0, program->settings_size);
}

enum cdn_status cdn_config_can_reload(const struct cdn_config_program *program, const void *now,
                                      const void *next, struct cdn_error *err)
{
    for (size_t i = 0; i < program->row_count; i++) {
        const struct cdn_config_row *row = &program->rows[i];
        CDN_AUTOFREE char *a = cdn_config_text(row, now);
        CDN_AUTOFREE char *b = cdn_config_text(row, next);
        if (row->when == CDN_CONFIG_RESTART && strcmp(a, b) != 0) {
            return cdn_error_set(err, CDN_CONFLICT, "%s: changing it needs a restart", row->field);
        }
    }
    return CDN_OK;
}

static enum cdn_status target_init(struct config_target *target, const struct cdn_config_program *program,
                                   struct cdn_error *err)
{
    target->program = program;
    target->settings = cdn_calloc(1, program->settings_size);
    target->from = cdn_calloc(program->row_count, sizeof(*target->from));
    for (size_t i = 0; i < program->row_count; i++) {
        const struct cdn_config_row *row = &program->rows[i];
        CDN_AUTOFREE char *where = cdn_asprintf("default of %s", row->field);
        enum cdn_status status = cdn_config_set(row, target->settings, where, cdn_str(row->fallback), err);
        if (status != CDN_OK) {
            return status;
        }
    }
    return CDN_OK;
}

static void target_fini(struct config_target *target)
{
    cdn_config_free(target->program, target->settings);
    free(target->settings);
    for (size_t i = 0; target->from && i < target->program->row_count; i++) {
        free(target->from[i]);
    }
    free(target->from);
}

/* Moves the finished settings into the caller's struct. */
static void target_give(struct config_target *target, void *ret_settings)
{
    memcpy(ret_settings, target->settings, target->program->settings_size);
    memset(target->settings, 0, target->program->settings_size);
}

/* The environment's text for a row: the program's own variable before the common one. An empty one counts as
 * unset. *ret_name is owned by the caller. */
static const char *env_text(const struct cdn_config_program *program, const char *field, char **ret_name)
{
    for (int common = 0; common < 2; common++) {
        char *name = config_env_name(common ? NULL : program->env, field);
        const char *text = getenv(name);
        if (text && text[0]) {
            *ret_name = name;
            return text;
        }
        free(name);
    }
    return NULL;
}

static enum cdn_status apply_env(struct config_load *load, struct cdn_error *err)
{
    const struct cdn_config_program *program = load->target.program;
    for (size_t i = 0; i < program->row_count; i++) {
        CDN_AUTOFREE char *name = NULL;
        const char *text = env_text(program, program->rows[i].field, &name);
        if (!text) {
            continue;
        }
        enum cdn_status status =
            cdn_config_set(&program->rows[i], load->target.settings, name, cdn_str(text), err);
        if (status != CDN_OK) {
            return status;
        }
        config_note_origin(&load->target, &program->rows[i], name);
    }
    return CDN_OK;
}

/* The name by which a program of many finds its item: flag, environment, section; NULL when none says one. */
static const char *own_name(const struct config_load *load, char **ret_variable)
{
    const struct cdn_config_row *row = config_row_find(load->target.program, CDN_STR("name"));
    if (!row) {
        return NULL;
    }
    const char *text = config_flags_text(load, row);
    if (text) {
        return text;
    }
    text = env_text(load->target.program, "name", ret_variable);
    if (text || !load->target.from[row - load->target.program->rows]) {
        return text;
    }
    return *(char *const *)((const char *)load->target.settings + row->offset);
}

static enum cdn_status apply_item(struct config_load *load, struct config_file *file, struct cdn_error *err)
{
    const char *list = load->target.program->list;
    size_t n = config_file_item_count(file, list);
    CDN_AUTOFREE char *variable = NULL;
    if (n == 0) {
        return CDN_OK;
    }
    const char *name = own_name(load, &variable);
    if (!name && n > 1) {
        return cdn_error_set(err, CDN_INVALID, "%s: %s: %zu items; --name says which one is meant",
                             load->path, list, n);
    }
    CDN_AUTOFREE char *copy = name ? cdn_strdup(name) : NULL; /* reading the item may replace it */
    enum cdn_status status = config_file_item(file, &load->target, 0, copy, err);
    if (status == CDN_NOT_FOUND && err) {
        err->status = CDN_INVALID; /* not the answer 'no', but a mistake in the set-up */
    }
    return status == CDN_NOT_FOUND ? CDN_INVALID : status;
}

static enum cdn_status apply_file(struct config_load *load, struct cdn_error *err)
{
    struct config_file *file;
    if (!load->path) {
        load->path = getenv("POCKETCDN_CONFIG");
    }
    if (!load->path || !load->path[0]) {
        return CDN_OK;
    }
    enum cdn_status status = config_file_open(load->path, &file, err);
    if (status != CDN_OK) {
        return status;
    }
    status = config_file_sections(file, &load->target, err);
    if (status == CDN_OK) {
        status = apply_item(load, file, err);
    }
    config_file_close(file);
    return status;
}

static enum cdn_status apply_all(struct config_load *load, struct cdn_error *err)
{
    enum cdn_status status = apply_file(load, err);
    if (status == CDN_OK) {
        status = apply_env(load, err);
    }
    return status == CDN_OK ? config_flags_apply(load, err) : status;
}

static enum cdn_status print_answer(const struct config_load *load, struct cdn_error *err)
{
    const struct cdn_config_program *program = load->target.program;
    CDN_AUTOBUF struct cdn_buf out = {0};
    if (load->answer == FLAG_HELP) {
        config_help(program, &out);
    } else if (load->answer == FLAG_VERSION) {
        cdn_buf_printf(&out, "%s %s\n", program->name, CDN_VERSION);
    } else if (load->answer == FLAG_HELP_CONFIG) {
        cdn_config_yaml(program, &out);
    } else {
        config_print(&load->target, &out);
    }
    bool written = fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0;
    if (!written && errno != EPIPE) { /* `--help | head` has seen enough */
        return cdn_error_set(err, CDN_IO, "cannot write to the standard output");
    }
    return CDN_OK;
}

static enum cdn_status run_load(struct config_load *load, int argc, char **argv, bool takes_rest,
                                struct cdn_error *err)
{
    enum cdn_status status = target_init(&load->target, load->target.program, err);
    if (status != CDN_OK) {
        return status;
    }
    status = config_flags_read(load, argc, argv, err);
    const bool plain_answer =
        load->answer != FLAG_ROW && load->answer != FLAG_CHECK && load->answer != FLAG_PRINT_CONFIG;
    if (status != CDN_OK || plain_answer) {
        return status == CDN_OK ? print_answer(load, err) : status;
    }
    if (!takes_rest && optind < argc) {
        return cdn_error_set(err, CDN_USAGE, "unexpected argument \"%.64s\" (--help says what is expected)",
                             argv[optind]);
    }
    status = apply_all(load, err);
    return status == CDN_OK && load->answer == FLAG_PRINT_CONFIG ? print_answer(load, err) : status;
}

static void load_fini(struct config_load *load)
{
    config_flags_free(load);
    target_fini(&load->target);
}

enum cdn_status cdn_config_load(const struct cdn_config_program *program, int argc, char **argv,
                                void *ret_settings, enum cdn_config_outcome *ret_outcome, char ***ret_rest,
                                size_t *ret_rest_count, struct cdn_error *err)
{
    struct config_load load = {.target.program = program, .answer = FLAG_ROW};
    enum cdn_status status = run_load(&load, argc, argv, ret_rest != NULL, err);
    if (status == CDN_OK) {
        const bool check = load.answer == FLAG_CHECK;
        const bool run = load.answer == FLAG_ROW || check;
        *ret_outcome = check ? CDN_CONFIG_CHECK : run ? CDN_CONFIG_RUN : CDN_CONFIG_DONE;
        if (run) {
            target_give(&load.target, ret_settings);
        }
        if (ret_rest) {
            size_t n = run ? (size_t)(argc - optind) : 0;
            *ret_rest = cdn_calloc(n + 1, sizeof(**ret_rest));
            memcpy(*ret_rest, argv + argc - n, n * sizeof(**ret_rest));
            *ret_rest_count = n;
        }
    }
    load_fini(&load);
    return status;
}

char *cdn_config_path(const struct cdn_config_program *program, int argc, char **argv)
{
    struct config_load load = {.target.program = program, .answer = FLAG_ROW};
    struct cdn_error none;
    char *path = NULL;
    if (config_flags_read(&load, argc, argv, &none) == CDN_OK) {
        const char *named = load.path ? load.path : getenv("POCKETCDN_CONFIG");
        path = named && named[0] ? cdn_strdup(named) : NULL;
    }
    config_flags_free(&load);
    return path;
}

/* One item and the sections above it, from nothing. */
static enum cdn_status read_item(const struct cdn_config_program *program, struct config_file *file,
                                 size_t item, void *ret_settings, struct cdn_error *err)
{
    struct config_target target = {.program = program};
    enum cdn_status status = target_init(&target, program, err);
    if (status == CDN_OK && file) {
        status = config_file_sections(file, &target, err);
    }
    if (status == CDN_OK && file && program->list) {
        status = config_file_item(file, &target, item, NULL, err);
    }
    if (status == CDN_OK) {
        target_give(&target, ret_settings);
    }
    target_fini(&target);
    return status;
}

enum cdn_status cdn_config_load_item(const struct cdn_config_program *program, const char *path, size_t item,
                                     void *ret_settings, struct cdn_error *err)
{
    struct config_file *file = NULL;
    if (!path && program->list && item > 0) {
        return cdn_error_set(err, CDN_NOT_FOUND, "no configuration file");
    }
    enum cdn_status status = path ? config_file_open(path, &file, err) : CDN_OK;
    if (status == CDN_OK) {
        status = read_item(program, file, item, ret_settings, err);
    }
    config_file_close(file);
    return status;
}

enum cdn_status cdn_config_load_items(const struct cdn_config_program *program, const char *path,
                                      void (*take)(void *arg, const void *settings), void *arg,
                                      struct cdn_error *err)
{
    struct config_file *file = NULL;
    enum cdn_status status = config_file_open(path, &file, err);
    const size_t n = status == CDN_OK ? config_file_item_count(file, program->list) : 0;
    for (size_t i = 0; i < n && status == CDN_OK; i++) {
        CDN_AUTOFREE void *settings = cdn_calloc(1, program->settings_size);
        status = read_item(program, file, i, settings, err);
        if (status == CDN_OK) {
            take(arg, settings);
        }
    }
    config_file_close(file);
    return status;
}
