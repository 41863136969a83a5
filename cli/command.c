/* command: finds the subcommand that was typed, reads its options and runs it. What is said about the
 * subcommands is in help.c. */
#include "cli/command.h"

#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/help.h"
#include "common/config/config.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

static const struct cli_command *const commands[] = {
#define X(name) &cli_command_##name,
    CLI_COMMANDS(X)
#undef X
};

const struct cli_command *const *cli_command_all(size_t *ret_n)
{
    *ret_n = CDN_ARRAY_LEN(commands);
    return commands;
}

const struct cli_command *cli_command_find(const char *name)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

int cli_command_unknown(const char *name)
{
    const char *names[CDN_ARRAY_LEN(commands) + 2] = {"help"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(commands); i++) {
        names[i + 1] = commands[i]->name;
    }
    const char *close = cdn_config_closest(cdn_str(name), names);
    if (close) {
        cli_complain("pocketcdn: no command '%s'; did you mean '%s'?\n", name, close);
    } else {
        cli_complain("pocketcdn: no command '%s' (pocketcdn help lists them)\n", name);
    }
    return cdn_status_exit_code(CDN_USAGE);
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    _Alignas(max_align_t) char options[CLI_OPTIONS_MAX] = {0};
    CDN_AUTOFREE const char **items = cdn_calloc((size_t)argc, sizeof(*items));
    struct cli_args args = {.items = items};
    struct cdn_error err = {0};
    enum cdn_status status =
        cli_options_parse(command->options, command->option_count, argc - 1, argv + 1, options, &args, &err);
    if (status == CDN_OK) {
        status = command->run(options, &args, &err);
    }
    if (status != CDN_OK && err.text[0]) {
        cli_complain("pocketcdn %s: %s\n", command->name, err.text);
    }
    return cdn_status_exit_code(status);
}

int cli_command_run(int argc, char **argv)
{
    if (argc == 0) {
        cli_help_overview(stderr);
        return cdn_status_exit_code(CDN_USAGE);
    }
    if (strcmp(argv[0], "help") == 0 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
        return cli_help(argc, argv);
    }
    if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "version") == 0) {
        puts("pocketcdn " CDN_VERSION "\nIP Geolocation by DB-IP: https://db-ip.com (CC BY 4.0)");
        return 0;
    }
    const struct cli_command *command = cli_command_find(argv[0]);
    if (!command) {
        return cli_command_unknown(argv[0]);
    }
    if (asks_for_help(argc, argv)) {
        cli_help_command(command);
        return 0;
    }
    return run(command, argc, argv);
}
