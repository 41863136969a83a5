/* subcommand: what a subcommand of `pocketcdn` is, and the list of all: one file and one row each. Help,
 * dispatch (command.h) and the tests read the table. */
#ifndef CDN_CLI_SUBCOMMAND_H
#define CDN_CLI_SUBCOMMAND_H
#include "cli/base/options.h"
#include "common/status.h"

#include <stddef.h>

struct cli_command {
    const char *name;
    const char *summary; /* one line */
    const char *usage;   /* after "usage: pocketcdn NAME "; further lines as they are */
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
    X(reload)           \
    X(geo)              \
    X(route)            \
    X(get)              \
    X(travel)           \
    X(dns)              \
    X(browse)           \
    X(rtt)              \
    X(compare)          \
    X(why)              \
    X(explain)          \
    X(purge)            \
    X(warm)             \
    X(publish)          \
    X(releases)         \
    X(diff)             \
    X(rollback)         \
    X(gc)               \
    X(verify)           \
    X(clock)            \
    X(fault)            \
    X(demo)

#define X(name) extern const struct cli_command cli_command_##name;
CLI_COMMANDS(X)
#undef X

#endif
