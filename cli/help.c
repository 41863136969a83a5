/* help: see the header. The man page of `pocketcdn` is written here, a daemon's by common/config/config. */
#include "cli/help.h"

#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/command.h"
#include "common/config/config.h"
#include "common/mem.h"
#include "edge/base/settings.h"
#include "edge/site/rule_settings.h"
#include "origin/settings.h"
#include "router/base/settings.h"
#include "wan/relay/settings.h"

#include <string.h>

#include "common/banned.h"

static const struct cdn_config_program *const daemons[] = {&origin_program, &edge_program, &router_program,
                                                           &wan_program};

void cli_help_overview(FILE *to)
{
    size_t n;
    const struct cli_command *const *commands = cli_command_all(&n);
    fputs("usage: pocketcdn COMMAND [ARGUMENTS]\n\nA whole CDN on one machine: router, edge caches, "
          "origin.\n\n",
          to);
    for (size_t i = 0; i < n; i++) {
        fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    }
    fputs("\n`pocketcdn help COMMAND` explains one. Exit codes: 0 done, 1 the answer is 'no', 2 usage or "
          "invalid\n"
          "input, 3 cannot run.\n",
          to);
}

void cli_help_command(const struct cli_command *command)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_printf(&text, "usage: pocketcdn %s %s\n\n%s.\n\n", command->name, command->usage,
                   command->summary);
    cli_options_help(command->options, command->option_count, &text);
    if (command->more) {
        cdn_buf_printf(&text, "\n%s", command->more);
    }
    fwrite(text.p, 1, text.n, stdout);
}

static int print_names(void)
{
    size_t n;
    const struct cli_command *const *commands = cli_command_all(&n);
    for (size_t i = 0; i < n; i++) {
        puts(commands[i]->name);
    }
    puts("help");
    return 0;
}

/* docs/settings.md */
static int print_settings(void)
{
    static const char *const sections[] = {"`origin`", "`edge`, and each item of `edges` for one edge",
                                           "`router`", "`wan`"};
    CDN_AUTOBUF struct cdn_buf text = {0};
    cdn_buf_printf(
        &text,
        "# Settings\n\nEvery setting is a key of `cdn.yaml`, a flag and an environment variable. A flag wins "
        "over the\nenvironment, the environment over the file. `make docs` writes this page from the tables "
        "of "
        "the\nprograms. The last rows of each table may also stand in the section `cdn`, for all "
        "programs.\n");
    for (size_t i = 0; i < CDN_ARRAY_LEN(daemons); i++) {
        cdn_buf_printf(&text, "\n## %s\n\n%s\n\nSection: %s.\n\n", daemons[i]->name, daemons[i]->summary,
                       sections[i]);
        cdn_config_reference(daemons[i], &text);
    }
    cdn_buf_add_str(&text, CDN_STR("\n## Sites\n\nKeys of a site, under its name in `sites`. With them "
                                   "stands `rules`, a list of path rules\n"
                                   "([docs/sites.md](sites.md)).\n\n"));
    cdn_config_reference(&edge_site_program, &text);
    cdn_buf_add_str(&text,
                    CDN_STR("\n## Path rules\n\nKeys of an item of `rules`, and of a site for all of its "
                            "rules. `key_query: none` may be written\n`key: {query: none}`. All of them "
                            "change at a reload.\n\n"));
    cdn_config_reference(&edge_rule_program, &text);
    fwrite(text.p, 1, text.n, stdout);
    return 0;
}

static int print_words(void)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    cli_help_words(&text);
    fwrite(text.p, 1, text.n, stdout);
    return 0;
}

/* ---- man pages ---- */

static void man_options(const struct cli_command *command, struct cdn_buf *out)
{
    for (size_t i = 0; i < command->option_count; i++) {
        const struct cli_option *row = &command->options[i];
        CDN_AUTOFREE char *flag = cli_option_flag(row);
        cdn_buf_printf(out, ".TP\n");
        if (row->letter) {
            cdn_buf_printf(out, "\\fB\\-%c\\fR, ", row->letter);
        }
        cdn_buf_printf(out, "\\fB\\-\\-%s\\fR%s%s%s\n", flag, row->metavar ? " \\fI" : "",
                       row->metavar ? row->metavar : "", row->metavar ? "\\fR" : "");
        cdn_config_man_text(out, row->help);
        cdn_buf_add_str(out, CDN_STR(".\n"));
    }
}

static void man_command(const struct cli_command *command, struct cdn_buf *out)
{
    cdn_buf_printf(out, ".SS \"pocketcdn %s\"\n", command->name);
    cdn_config_man_text(out, command->summary);
    cdn_buf_printf(out, ".\n.PP\n.nf\npocketcdn %s ", command->name);
    cdn_config_man_text(out, command->usage);
    cdn_buf_add_str(out, CDN_STR("\n.fi\n"));
    man_options(command, out);
    if (command->more) {
        cdn_buf_add_str(out, CDN_STR(".PP\n.nf\n"));
        cdn_config_man_text(out, command->more);
        cdn_buf_add_str(out, CDN_STR(".fi\n"));
    }
}

static void man_of_all(struct cdn_buf *out)
{
    size_t n;
    const struct cli_command *const *commands = cli_command_all(&n);
    cdn_buf_printf(out,
                   ".TH POCKETCDN 1 \"\" \"pocketcdn %s\" \"User Commands\"\n"
                   ".SH NAME\npocketcdn \\- a whole CDN on one machine\n"
                   ".SH SYNOPSIS\n.B pocketcdn\n\\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n.SH COMMANDS\n",
                   CDN_VERSION);
    for (size_t i = 0; i < n; i++) {
        man_command(commands[i], out);
    }
    cdn_buf_add_str(out,
                    CDN_STR(".SH \"EXIT STATUS\"\n0 done, 1 the answer is 'no', 2 usage or invalid input, "
                            "3 cannot run.\n"
                            ".SH \"SEE ALSO\"\n.BR pocketcdn\\-router (8),\n.BR pocketcdn\\-edge (8),\n"
                            ".BR pocketcdn\\-origin (8)\n"));
}

static int print_man(const char *program)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    if (strcmp(program, "pocketcdn") == 0) {
        man_of_all(&text);
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(daemons); i++) {
        if (strcmp(program, daemons[i]->name) == 0) {
            cdn_config_man(daemons[i], &text);
        }
    }
    if (text.n == 0) {
        return cli_command_unknown(program);
    }
    fwrite(text.p, 1, text.n, stdout);
    return 0;
}

static int print_completion(const char *shell)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    if (cli_help_completion(shell, &text)) {
        cli_complain("pocketcdn: completion is there for bash and zsh, not for '%s'\n", shell);
        return cdn_status_exit_code(CDN_USAGE);
    }
    fwrite(text.p, 1, text.n, stdout);
    return 0;
}

int cli_help(int argc, char **argv)
{
    if (argc < 2) {
        cli_help_overview(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--names") == 0) {
        return print_names();
    }
    if (strcmp(argv[1], "--settings") == 0) {
        return print_settings();
    }
    if (strcmp(argv[1], "--words") == 0) {
        return print_words();
    }
    if (strcmp(argv[1], "--man") == 0) {
        return print_man(argc > 2 ? argv[2] : "pocketcdn");
    }
    if (strcmp(argv[1], "--completion") == 0) {
        return print_completion(argc > 2 ? argv[2] : "");
    }
    const struct cli_command *command = cli_command_find(argv[1]);
    if (!command) {
        return cli_command_unknown(argv[1]);
    }
    cli_help_command(command);
    return 0;
}
