/* options: the command line of a subcommand from one table of rows, as common/config/config does for the
 * daemons' settings.
 *
 *     #define DOWN_OPTIONS(X) \
 *         X(TEXT, state, 0, "DIR", "State folder") \
 *         X(FLAG, quiet, 'q', NULL, "Say nothing")
 *     CLI_OPTIONS_STRUCT(down_options, DOWN_OPTIONS);
 *     #define ROW(...) CLI_OPTION_ROW(struct down_options, __VA_ARGS__)
 *     static const struct cli_option rows[] = {DOWN_OPTIONS(ROW)};
 *
 * The field `all_edges` is the flag `--all-edges`. Values are borrowed from argv. `--` ends the options;
 * options and positional arguments may be mixed; a lone `-` is positional, and so is a number below zero
 * ("-1h", "-33.9,151.2").
 */
#ifndef CDN_CLI_OPTIONS_H
#define CDN_CLI_OPTIONS_H
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

#define CLI_LIST_MAX 64

struct cli_list {
    size_t n;
    const char *items[CLI_LIST_MAX];
};

typedef bool cli_type_FLAG; /* only the tables use these names */
typedef const char *cli_type_TEXT;
typedef struct cli_list cli_type_LIST;

enum cli_option_type { CLI_FLAG, CLI_TEXT, CLI_LIST };

struct cli_option {
    const char *field;
    enum cli_option_type type;
    size_t offset;
    char letter; /* 0: none */
    const char *metavar;
    const char *help;
};

#define CLI_OPTION_FIELD(type, field, letter, metavar, help) cli_type_##type field;
#define CLI_OPTIONS_STRUCT(tag, TABLE) \
    struct tag {                       \
        TABLE(CLI_OPTION_FIELD)        \
    }
#define CLI_OPTION_ROW(strukt, type_, field_, letter_, metavar_, help_) \
    {#field_, CLI_##type_, offsetof(strukt, field_), letter_, metavar_, help_},

struct cli_args { /* positional arguments, borrowed */
    size_t n;
    size_t before; /* of them stand before `--`; all, when there is none */
    const char **items;
};

/* Fills the zeroed struct `options` and `ret_args` (room for argc items). CDN_USAGE names the argument. */
enum cdn_status cli_options_parse(const struct cli_option *rows, size_t count, int argc, char **argv,
                                  void *options, struct cli_args *ret_args,
                                  struct cdn_error *err) CDN_MUST_CHECK;

/* "all-edges" of the field all_edges; owned by the caller. */
char *cli_option_flag(const struct cli_option *row);

/* The rows as lines of a help text. */
void cli_options_help(const struct cli_option *rows, size_t count, struct cdn_buf *out);

#endif
