/* help_shell: completion scripts for bash and zsh, from the tables of subcommands and options: they complete
 * the subcommand, its options, and file names. */
#include "cli/base/options.h"
#include "cli/base/subcommand.h"
#include "cli/command.h"
#include "cli/help.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <stdbool.h>
#include <string.h>

#include "common/banned.h"

/* "--from --output -o", of one subcommand. */
static void add_flags(const struct cli_command *command, struct cdn_buf *out)
{
    for (size_t i = 0; i < command->option_count; i++) {
        CDN_AUTOFREE char *flag = cli_option_flag(&command->options[i]);
        cdn_buf_printf(out, "--%s ", flag);
    }
    cdn_buf_add_str(out, CDN_STR("--help"));
}

static void bash(struct cdn_buf *out)
{
    size_t n;
    const struct cli_command *const *commands = cli_command_all(&n);
    cdn_buf_add_str(out, CDN_STR("# bash completion for pocketcdn\n_pocketcdn()\n{\n"
                                 "    local word=${COMP_WORDS[COMP_CWORD]} words\n"
                                 "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words=\"help"));
    for (size_t i = 0; i < n; i++) {
        cdn_buf_printf(out, " %s", commands[i]->name);
    }
    cdn_buf_add_str(out, CDN_STR("\"\n    else\n        case ${COMP_WORDS[1]} in\n"));
    for (size_t i = 0; i < n; i++) {
        cdn_buf_printf(out, "        %s) words=\"", commands[i]->name);
        add_flags(commands[i], out);
        cdn_buf_add_str(out, CDN_STR("\" ;;\n"));
    }
    cdn_buf_add_str(out,
                    CDN_STR("        esac\n    fi\n    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n"
                            "complete -o default -F _pocketcdn pocketcdn\n"));
}

/* Within '...' and after '[' or ':' of zsh's own syntax. */
static void add_zsh_text(struct cdn_buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'') {
            cdn_buf_add_str(out, CDN_STR("'\\''"));
        } else if (strchr("[]:\\", *text)) {
            cdn_buf_printf(out, "\\%c", *text);
        } else {
            cdn_buf_add_char(out, *text);
        }
    }
}

static void zsh_option(const struct cli_option *row, struct cdn_buf *out)
{
    CDN_AUTOFREE char *flag = cli_option_flag(row);
    cdn_buf_printf(out, " \\\n        '%s--%s%s[", row->type == CLI_LIST ? "*" : "", flag,
                   row->metavar ? "=" : "");
    add_zsh_text(out, row->help);
    cdn_buf_add_char(out, ']');
    if (row->metavar) {
        cdn_buf_add_char(out, ':');
        add_zsh_text(out, row->metavar);
        bool path = strstr(row->metavar, "FILE") || strstr(row->metavar, "DIR");
        cdn_buf_add_str(out, path ? CDN_STR(":_files") : CDN_STR(": "));
    }
    cdn_buf_add_char(out, '\'');
}

static void zsh(struct cdn_buf *out)
{
    size_t n;
    const struct cli_command *const *commands = cli_command_all(&n);
    cdn_buf_add_str(out, CDN_STR("#compdef pocketcdn\nlocal -a commands\ncommands=(\n"));
    for (size_t i = 0; i < n; i++) {
        cdn_buf_printf(out, "    '%s:", commands[i]->name);
        add_zsh_text(out, commands[i]->summary);
        cdn_buf_add_str(out, CDN_STR("'\n"));
    }
    cdn_buf_add_str(out,
                    CDN_STR(")\nif (( CURRENT == 2 )); then\n    _describe command commands\n    return\nfi\n"
                            "case $words[2] in\n"));
    for (size_t i = 0; i < n; i++) {
        cdn_buf_printf(out, "%s)\n    _arguments", commands[i]->name);
        for (size_t k = 0; k < commands[i]->option_count; k++) {
            zsh_option(&commands[i]->options[k], out);
        }
        cdn_buf_add_str(out, CDN_STR(" \\\n        '*:argument:_files'\n    ;;\n"));
    }
    cdn_buf_add_str(out, CDN_STR("esac\n"));
}

enum cdn_status cli_help_completion(const char *shell, struct cdn_buf *out)
{
    if (strcmp(shell, "bash") == 0) {
        bash(out);
        return CDN_OK;
    }
    if (strcmp(shell, "zsh") == 0) {
        zsh(out);
        return CDN_OK;
    }
    return CDN_NOT_FOUND;
}
