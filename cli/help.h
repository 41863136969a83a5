/* help: what `pocketcdn help` prints: texts for people, and what packages are made of. All of it comes from
 * the tables of subcommands, options and settings.
 *
 *     help [COMMAND]             the overview, or one subcommand
 *     help --names               the subcommands, one a line
 *     help --settings            docs/settings.md
 *     help --words               docs/words.md
 *     help --man [PROGRAM]       a man page, of pocketcdn or of a daemon
 *     help --completion SHELL    completion for bash or zsh
 */
#ifndef CDN_CLI_HELP_H
#define CDN_CLI_HELP_H
#include "cli/base/subcommand.h"
#include "common/status.h"
#include "common/str.h"

#include <stdio.h>

void cli_help_overview(FILE *to);
void cli_help_command(const struct cli_command *command);
/* `help` with its arguments (argv[0] is "help" or "--help"); the exit code. */
int cli_help(int argc, char **argv);

/* help_words.c */
void cli_help_words(struct cdn_buf *out);
/* help_shell.c: CDN_NOT_FOUND for another shell than bash and zsh. */
enum cdn_status cli_help_completion(const char *shell, struct cdn_buf *out) CDN_MUST_CHECK;

#endif
