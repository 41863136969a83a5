/* command: the subcommands of `pocketcdn`, one file and one row each. Help, dispatch and the tests read the
 * table. */
#ifndef CDN_CLI_COMMAND_H
#define CDN_CLI_COMMAND_H

#include "cli/options.h"

struct cli_command {
    const char *name;
    const char *summary; /* one line */
    const char *usage;   /* behind "usage: pocketcdn NAME "; further lines as they are */
    const char *more;    /* the text below the options: examples, exit codes; may be NULL */
    const struct cli_option *options;
    size_t option_count;
    size_t options_size; /* of the struct that `run` gets, at most CLI_OPTIONS_MAX */
    /* The result gives the exit code. With an empty error text nothing is printed: the answer was 'no'. */
    enum cdn_status (*run)(const void *options, const struct cli_args *args, struct cdn_error *err);
};

#define CLI_OPTIONS_MAX 4096

#define CLI_COMMANDS(X) \
    X(up)               \
    X(down)             \
    X(status)           \
    X(geo)              \
    X(route)            \
    X(get)              \
    X(rtt)              \
    X(why)              \
    X(purge)            \
    X(clock)            \
    X(fault)            \
    X(demo)

#define X(name) extern const struct cli_command cli_command_##name;
CLI_COMMANDS(X)
#undef X

const struct cli_command *const *cli_command_all(size_t *ret_n);
const struct cli_command *cli_command_find(const char *name);
int cli_command_unknown(const char *name); /* says so, with the nearest name; the exit code */
/* Runs argv[0] with its arguments; returns the exit code, errors already printed. */
int cli_command_run(int argc, char **argv);

#endif
