#include "cli/command.h"

#include "edge/settings.h"
#include "origin/settings.h"
#include "router/settings.h"

#include <stdio.h>

#include "common/banned.h"

static const struct cli_command *const commands[] = {
#define X(name) &cli_command_##name,
    CLI_COMMANDS(X)
#undef X
};

const struct cli_command *cli_command_find(const char *name)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static void print_overview(FILE *to)
{
    fputs("usage: pocketcdn COMMAND [ARGUMENTS]\n\nA whole CDN on one machine: router, edge caches, "
          "origin.\n\n",
          to);
    for (size_t i = 0; i < CDN_ARRAY_LEN(commands); i++)
        fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n`pocketcdn help COMMAND` explains one. Exit codes: 0 done, 1 the answer is 'no', 2 usage or "
          "invalid\n"
          "input, 3 cannot run.\n",
          to);
}

static void print_help(const struct cli_command *command)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_printf(&text, "usage: pocketcdn %s %s\n\n%s.\n\n", command->name, command->usage,
                   command->summary);
    cli_options_help(command->options, command->option_count, &text);
    if (command->more)
        cdn_buf_printf(&text, "\n%s", command->more);
    fwrite(text.p, 1, text.n, stdout);
}

static int print_names(void)
{
    for (size_t i = 0; i < CDN_ARRAY_LEN(commands); i++)
        puts(commands[i]->name);
    puts("help");
    return 0;
}

/* docs/settings.md */
static int print_settings(void)
{
    static const struct cdn_config_program *const programs[] = {&origin_program, &edge_program,
                                                                &router_program};
    static const char *const sections[] = {"`origin`", "`edge`, and each item of `edges` for one edge",
                                           "`router`"};
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_printf(
        &text,
        "# Settings\n\nEvery setting is a key of `cdn.yaml`, a flag and an environment variable; a flag wins "
        "over "
        "the environment, the environment\nover the file. `make docs` writes this page from the programs' "
        "own "
        "tables. The last rows of each table may also stand in the\nsection `cdn`, for all programs.\n");
    for (size_t i = 0; i < CDN_ARRAY_LEN(programs); i++) {
        cdn_buf_printf(&text, "\n## %s\n\n%s\n\nSection: %s.\n\n", programs[i]->name, programs[i]->summary,
                       sections[i]);
        cdn_config_reference(programs[i], &text);
    }
    fwrite(text.p, 1, text.n, stdout);
    return 0;
}

static int unknown(const char *name)
{
    const char *names[CDN_ARRAY_LEN(commands) + 2] = {"help"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(commands); i++)
        names[i + 1] = commands[i]->name;
    const char *close = cdn_config_closest(cdn_str(name), names);
    if (close)
        fprintf(stderr, "pocketcdn: no command '%s'; did you mean '%s'?\n", name, close);
    else
        fprintf(stderr, "pocketcdn: no command '%s' (pocketcdn help lists them)\n", name);
    return cdn_status_exit_code(CDN_USAGE);
}

static int help(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--names") == 0)
        return print_names();
    if (strcmp(argv[1], "--settings") == 0)
        return print_settings();
    const struct cli_command *command = cli_command_find(argv[1]);
    if (!command)
        return unknown(argv[1]);
    print_help(command);
    return 0;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
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
    if (!status)
        status = command->run(options, &args, &err);
    if (status && err.text[0])
        fprintf(stderr, "pocketcdn %s: %s\n", command->name, err.text);
    return cdn_status_exit_code(status);
}

int cli_command_run(int argc, char **argv)
{
    if (argc == 0) {
        print_overview(stderr);
        return cdn_status_exit_code(CDN_USAGE);
    }
    if (strcmp(argv[0], "help") == 0 || strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)
        return help(argc, argv);
    if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "version") == 0) {
        puts("pocketcdn " CDN_VERSION "\nIP Geolocation by DB-IP: https://db-ip.com (CC BY 4.0)");
        return 0;
    }
    const struct cli_command *command = cli_command_find(argv[0]);
    if (!command)
        return unknown(argv[0]);
    if (asks_for_help(argc, argv)) {
        print_help(command);
        return 0;
    }
    return run(command, argc, argv);
}
