/* command: finds a subcommand by its name and runs it. */
#ifndef CDN_CLI_COMMAND_H
#define CDN_CLI_COMMAND_H
#include <stddef.h>

const struct cli_command *const *cli_command_all(size_t *ret_n);
const struct cli_command *cli_command_find(const char *name);
int cli_command_unknown(const char *name); /* says so, with the nearest name; the exit code */
/* Runs argv[0] with its arguments; returns the exit code, errors already printed. */
int cli_command_run(int argc, char **argv);

#endif
