/* config_flags: the command line. Each row has a flag, a yes/no one also its --no-; getopt_long(3) cuts the
 * words, and a flag that nobody knows is answered with the one that it is nearest to. */
#include "common/config/config.h"
#include "common/config/config_load_private.h"
#include "common/config/config_private.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define FIRST_FLAG 256 /* getopt's numbers: above every character */

static const struct option common_options[] = {
    [FLAG_CONFIG] = {"config", required_argument, NULL, 0},
    [FLAG_HELP] = {"help", no_argument, NULL, 0},
    [FLAG_VERSION] = {"version", no_argument, NULL, 0},
    [FLAG_HELP_CONFIG] = {"help-config", no_argument, NULL, 0},
    [FLAG_PRINT_CONFIG] = {"print-config", no_argument, NULL, 0},
    [FLAG_CHECK] = {"check", no_argument, NULL, 0},
};

char *config_flag_name(const char *field)
{
    char *name = cdn_strdup(field);
    for (char *p = name; *p; p++) {
        *p = *p == '_' ? '-' : *p;
    }
    return name;
}

static void add_option(struct config_load *load, char *name, int has_arg, enum config_flag_kind kind,
                       const struct cdn_config_row *row)
{
    load->options[load->flag_count] =
        (struct option){.name = name, .has_arg = has_arg, .val = FIRST_FLAG + (int)load->flag_count};
    load->flags[load->flag_count++] = (struct config_flag){kind, row};
}

static void build_options(struct config_load *load)
{
    const struct cdn_config_program *program = load->target.program;
    size_t most = CDN_ARRAY_LEN(common_options) + 2 * program->row_count;
    load->options = cdn_calloc(most + 1, sizeof(*load->options));
    load->flags = cdn_calloc(most, sizeof(*load->flags));
    for (size_t i = 0; i < CDN_ARRAY_LEN(common_options); i++) {
        if (i != FLAG_CHECK || program->checks) {
            add_option(load, cdn_strdup(common_options[i].name), common_options[i].has_arg,
                       (enum config_flag_kind)i, NULL);
        }
    }
    for (size_t i = 0; i < program->row_count; i++) {
        const struct cdn_config_row *row = &program->rows[i];
        CDN_AUTOFREE char *name = config_flag_name(row->field);
        bool is_bool = row->type == CDN_CONFIG_BOOL;
        add_option(load, cdn_strdup(name), is_bool ? optional_argument : required_argument, FLAG_ROW, row);
        if (is_bool) {
            add_option(load, cdn_asprintf("no-%s", name), no_argument, FLAG_NO_ROW, row);
        }
    }
}

static enum cdn_status bad_flag(const struct config_load *load, int code, char **argv, struct cdn_error *err)
{
    const char *word = argv[optind - 1];
    if (optopt >= FIRST_FLAG || code == ':') {
        return cdn_error_set(err, CDN_USAGE, "%.64s: %s", word,
                             code == ':' ? "needs a value" : "takes no value");
    }
    if (optopt) {
        return cdn_error_set(err, CDN_USAGE, "unknown option \"-%c\" (--help lists all)", optopt);
    }
    CDN_AUTOFREE const char **names = cdn_calloc(load->flag_count + 1, sizeof(*names));
    for (size_t i = 0; i < load->flag_count; i++) {
        names[i] = load->options[i].name;
    }
    struct cdn_str rest = cdn_str(word + strspn(word, "-"));
    const char *close = cdn_config_closest(cdn_str_cut(&rest, '='), names);
    return cdn_error_set(err, CDN_USAGE, "unknown option \"%.64s\"%s%s%s (--help lists all)", word,
                         close ? "; did you mean \"--" : "", close ? close : "", close ? "\"?" : "");
}

enum cdn_status config_flags_read(struct config_load *load, int argc, char **argv, struct cdn_error *err)
{
    int code;
    build_options(load);
    load->given = cdn_calloc((size_t)argc + 1, sizeof(*load->given));
    optind = 0; /* glibc: start anew */
    opterr = 0;
    while ((code = getopt_long(argc, argv, ":c:h", load->options, NULL)) != -1) {
        code = code == 'c' ? FIRST_FLAG + FLAG_CONFIG : code == 'h' ? FIRST_FLAG + FLAG_HELP : code;
        if (code < FIRST_FLAG) {
            return bad_flag(load, code, argv, err);
        }
        const struct config_flag *flag = &load->flags[code - FIRST_FLAG];
        if (flag->kind == FLAG_CONFIG) {
            load->path = optarg;
        } else if (flag->kind < FLAG_ROW) {
            load->answer = flag->kind;
            if (flag->kind != FLAG_PRINT_CONFIG && flag->kind != FLAG_CHECK) {
                return CDN_OK; /* --help answers whatever comes after it */
            }
        } else {
            load->given[load->given_count++] = (struct config_given){flag, optarg};
        }
    }
    return CDN_OK;
}

static bool is_given_before(const struct config_load *load, size_t before, const struct cdn_config_row *row)
{
    for (size_t i = 0; i < before; i++) {
        if (load->given[i].flag->row == row) {
            return true;
        }
    }
    return false;
}

static enum cdn_status apply_flag(struct config_load *load, size_t number, struct cdn_error *err)
{
    const struct config_given *given = &load->given[number];
    const struct cdn_config_row *row = given->flag->row;
    CDN_AUTOFREE char *name = config_flag_name(row->field);
    CDN_AUTOFREE char *where = cdn_asprintf("--%s", name);
    struct config_place place = {where, where};
    config_note_origin(&load->target, row, where);
    if (row->type != CDN_CONFIG_LIST && row->type != CDN_CONFIG_MAP) {
        const char *text = given->flag->kind == FLAG_NO_ROW ? "no" : given->text ? given->text : "yes";
        return config_value_set(row, load->target.settings, &place, cdn_str(text), err);
    }
    if (!is_given_before(load, number, row)) { /* the first flag replaces what is weaker */
        config_value_clear(row, load->target.settings);
    }
    enum cdn_status status =
        config_list_add_text(row, load->target.settings, &place, cdn_str(given->text), err);
    return status == CDN_OK ? config_list_check(row, load->target.settings, &place, err) : status;
}

enum cdn_status config_flags_apply(struct config_load *load, struct cdn_error *err)
{
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; status == CDN_OK && i < load->given_count; i++) {
        status = apply_flag(load, i, err);
    }
    return status;
}

const char *config_flags_text(const struct config_load *load, const struct cdn_config_row *row)
{
    for (size_t i = load->given_count; i-- > 0;) {
        if (load->given[i].flag->row == row) {
            return load->given[i].text;
        }
    }
    return NULL;
}

void config_flags_free(struct config_load *load)
{
    for (size_t i = 0; i < load->flag_count; i++) {
        free((char *)(uintptr_t)load->options[i].name);
    }
    free(load->options);
    free(load->flags);
    free(load->given);
}
