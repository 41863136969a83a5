/* config_man: a daemon's man page, from the same rows as its --help: what a flag does is written
 * once, and so neither text can fall behind the other. */
#include "common/config/config.h"
#include "common/config/config_private.h"
#include "common/mem.h"
#include "common/str.h"

#include <stdbool.h>
#include <stddef.h>

#include "common/banned.h"

void cdn_config_man_text(struct cdn_buf *out, const char *text)
{
    bool at_start = true;
    for (; *text; text++) {
        if (at_start && (*text == '.' || *text == '\'')) { /* roff takes such a line for a request */
            cdn_buf_add_str(out, CDN_STR("\\&"));
        }
        at_start = *text == '\n';
        if (*text == '\\') {
            cdn_buf_add_str(out, CDN_STR("\\e"));
        } else if (*text == '-') {
            cdn_buf_add_str(out, CDN_STR("\\-"));
        } else {
            cdn_buf_add_char(out, *text);
        }
    }
}

static void add_row(const struct cdn_config_program *program, const struct cdn_config_row *row,
                    struct cdn_buf *out)
{
    CDN_AUTOFREE char *flag = config_flag_name(row->field);
    CDN_AUTOFREE char *env = config_env_name(program->env, row->field);
    bool is_bool = row->type == CDN_CONFIG_BOOL;
    cdn_buf_printf(out, ".TP\n\\fB\\-\\-%s%s\\fR", is_bool ? "[no\\-]" : "", flag);
    if (!is_bool) {
        cdn_buf_printf(out, " \\fI%s\\fR", row->metavar);
    }
    cdn_buf_add_char(out, '\n');
    cdn_config_man_text(out, row->help);
    cdn_buf_printf(out, ".\nKey %s, variable %s", row->field, env);
    if (row->fallback[0]) {
        cdn_buf_add_str(out, CDN_STR("; default "));
        cdn_config_man_text(out, row->fallback);
    }
    cdn_buf_add_str(out, CDN_STR(".\n"));
}

void cdn_config_man(const struct cdn_config_program *program, struct cdn_buf *out)
{
    cdn_buf_printf(out, ".TH %s 8 \"\" \"pocketcdn %s\" \"System Administration\"\n.SH NAME\n", program->name,
                   CDN_VERSION);
    cdn_config_man_text(out, program->name);
    cdn_buf_add_str(out, CDN_STR(" \\- "));
    cdn_config_man_text(out, program->summary);
    cdn_buf_add_str(out, CDN_STR("\n.SH SYNOPSIS\n.nf\n"));
    cdn_config_man_text(out, program->usage);
    cdn_buf_add_str(out,
                    CDN_STR("\n.fi\n.SH SETTINGS\nA flag wins over the environment, the environment over the "
                            "file.\n.TP\n\\fB\\-c\\fR, \\fB\\-\\-config\\fR \\fIFILE\\fR\n"
                            "Read settings from this cdn.yaml.\n"));
    if (program->checks) {
        cdn_buf_add_str(out, CDN_STR(".TP\n\\fB\\-\\-check\\fR\nCheck the settings and the files that they "
                                     "name, and end.\n"));
    }
    for (size_t i = 0; i < program->row_count; i++) {
        add_row(program, &program->rows[i], out);
    }
    cdn_buf_add_str(
        out, CDN_STR(".SH SIGNALS\nSIGTERM and SIGINT: requests in flight are finished, new ones are not "
                     "taken. SIGHUP: the\nfile is read again, checked whole, and then in force.\n"
                     ".SH \"SEE ALSO\"\n.BR pocketcdn (1)\n"));
}
