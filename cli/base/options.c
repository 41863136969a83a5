/* options: a command line against a table of rows. Not getopt_long(3): here a number below zero is
 * an argument ("-33.9,151.2", "-1h"), no name may be cut short (a new option would change what an
 * old script means), and nothing is kept in globals. */
#include "cli/base/options.h"

#include "common/config/config.h"
#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

char *cli_option_flag(const struct cli_option *row)
{
    char *flag = cdn_strdup(row->field);
    for (char *c = flag; *c; c++) {
        *c = *c == '_' ? '-' : *c;
    }
    return flag;
}

static bool is_name(const struct cli_option *row, struct cdn_str name)
{
    if (strlen(row->field) != name.n) {
        return false;
    }
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] != (row->field[i] == '_' ? '-' : row->field[i])) {
            return false;
        }
    }
    return true;
}

static const struct cli_option *find_long(const struct cli_option *rows, size_t count, struct cdn_str name)
{
    for (size_t i = 0; i < count; i++) {
        if (is_name(&rows[i], name)) {
            return &rows[i];
        }
    }
    return NULL;
}

static const struct cli_option *find_letter(const struct cli_option *rows, size_t count, char letter)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].letter && rows[i].letter == letter) {
            return &rows[i];
        }
    }
    return NULL;
}

/* Stores `value` (NULL for a flag) in the field of the row. */
static enum cdn_status store(const struct cli_option *row, void *options, const char *value,
                             struct cdn_error *err)
{
    char *field = (char *)options + row->offset;
    struct cli_list *list;
    switch (row->type) {
    case CLI_FLAG:
        *(bool *)(void *)field = true;
        break;
    case CLI_TEXT:
        *(const char **)(void *)field = value;
        break;
    case CLI_LIST:
        list = (struct cli_list *)(void *)field;
        if (list->n == CLI_LIST_MAX) {
            return cdn_error_set(err, CDN_USAGE, "'%s' stands more than %d times", row->field, CLI_LIST_MAX);
        }
        list->items[list->n++] = value;
        break;
    }
    return CDN_OK;
}

/* "--form": did you mean --from? */
static enum cdn_status unknown(const struct cli_option *rows, size_t count, const char *arg,
                               struct cdn_str name, struct cdn_error *err)
{
    CDN_AUTOFREE char **flags = cdn_calloc(count + 1, sizeof(*flags));
    for (size_t i = 0; i < count; i++) {
        flags[i] = cli_option_flag(&rows[i]);
    }
    const char *close = cdn_config_closest(name, (const char *const *)flags);
    enum cdn_status status =
        close ? cdn_error_set(err, CDN_USAGE, "unknown option '%s'; did you mean --%s?", arg, close)
              : cdn_error_set(err, CDN_USAGE, "unknown option '%s' (--help lists them)", arg);
    for (size_t i = 0; i < count; i++) {
        free(flags[i]);
    }
    return status;
}

/* One option argument; `*at` moves on when the value is the next argument. */
static enum cdn_status parse_one(const struct cli_option *rows, size_t count, int argc, char **argv, int *at,
                                 void *options, struct cdn_error *err)
{
    const char *arg = argv[*at], *value = NULL;
    bool is_long = arg[1] == '-';
    struct cdn_str name = cdn_str(arg + (is_long ? 2 : 1));
    ptrdiff_t equals = is_long ? cdn_str_find(name, '=') : -1;
    if (equals >= 0) {
        value = name.p + equals + 1;
        name.n = (size_t)equals;
    } else if (!is_long && name.n > 1) {
        value = name.p + 1;
    }
    const struct cli_option *row = is_long ? find_long(rows, count, name) : find_letter(rows, count, arg[1]);
    if (!row) {
        return unknown(rows, count, arg, is_long ? name : (struct cdn_str){0}, err);
    }
    if (row->type == CLI_FLAG && value) {
        return cdn_error_set(err, CDN_USAGE, "'%s' takes no value", arg);
    }
    if (row->type != CLI_FLAG && !value) {
        if (*at + 1 >= argc) {
            return cdn_error_set(err, CDN_USAGE, "'%s' needs a value: %s", arg, row->metavar);
        }
        value = argv[++*at];
    }
    return store(row, options, value, err);
}

enum cdn_status cli_options_parse(const struct cli_option *rows, size_t count, int argc, char **argv,
                                  void *options, struct cli_args *ret_args, struct cdn_error *err)
{
    bool only_positional = false;
    for (int i = 0; i < argc; i++) {
        bool negative = argv[i][0] == '-' && argv[i][1] >= '0' && argv[i][1] <= '9';
        bool option = !only_positional && argv[i][0] == '-' && argv[i][1] && !negative;
        if (option && strcmp(argv[i], "--") == 0) {
            only_positional = true;
            ret_args->before = ret_args->n;
        } else if (option) {
            enum cdn_status status = parse_one(rows, count, argc, argv, &i, options, err);
            if (status != CDN_OK) {
                return status;
            }
        } else {
            ret_args->items[ret_args->n++] = argv[i];
        }
    }
    if (!only_positional) {
        ret_args->before = ret_args->n;
    }
    return CDN_OK;
}

void cli_options_help(const struct cli_option *rows, size_t count, struct cdn_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        CDN_AUTOFREE char *flag = cli_option_flag(&rows[i]);
        CDN_AUTOBUF struct cdn_buf name = {0};
        cdn_buf_add_str(&name, cdn_str(flag));
        if (rows[i].metavar) {
            cdn_buf_printf(&name, " %s", rows[i].metavar);
        }
        if (rows[i].letter) {
            cdn_buf_printf(out, "  -%c, --%-20s %s\n", rows[i].letter, name.p, rows[i].help);
        } else {
            cdn_buf_printf(out, "      --%-20s %s\n", name.p, rows[i].help);
        }
    }
    cdn_buf_printf(out, "  -h, --%-20s %s\n", "help", "This text");
}
