/* print: everything a command writes passes through these few functions, so one place makes foreign
 * bytes harmless. JSON is escaped by the library's rules on top. */
#include "cli/base/print.h"

#include "common/mem.h"
#include "common/visible.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

CDN_PRINTF(2, 0) static void print(FILE *to, const char *fmt, va_list args)
{
    CDN_AUTOFREE char *text = NULL;
    CDN_AUTOBUF struct cdn_buf shown = {0};
    size_t end = strlen(fmt);
    int n = vasprintf(&text, fmt, args);
    if (n < 0) {
        text = NULL;
        return;
    }
    bool line = end > 0 && fmt[end - 1] == '\n';
    cdn_buf_add_visible(&shown, (struct cdn_str){text, (size_t)n - line});
    if (line) {
        cdn_buf_add_char(&shown, '\n');
    }
    fwrite(shown.n ? shown.p : "", 1, shown.n, to);
}

void cli_print(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    print(stdout, fmt, args);
    va_end(args);
}

void cli_complain(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    print(stderr, fmt, args);
    va_end(args);
}

void cli_print_styled(enum terminal_style style, const char *text)
{
    struct terminal terminal = terminal_of(STDOUT_FILENO);
    fputs(terminal_begin(terminal, style), stdout);
    cli_print("%s", text);
    fputs(terminal_end(terminal, style), stdout);
}

void cli_add_json(struct cdn_buf *out, const json_t *value, size_t flags)
{
    CDN_AUTOFREE char *text = json_dumps(value, flags);
    cdn_buf_add_visible_json(out, cdn_str(text ? text : "null"));
}

void cli_print_json(json_t *take, size_t flags)
{
    CDN_AUTOBUF struct cdn_buf out = {0};
    cli_add_json(&out, take, flags);
    cdn_buf_add_char(&out, '\n');
    fwrite(out.p, 1, out.n, stdout);
    json_decref(take);
}

char *cli_quoted(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@%=";
    CDN_AUTOBUF struct cdn_buf out = {0};
    if (text[0] && text[strspn(text, plain)] == '\0') {
        return cdn_strdup(text);
    }
    cdn_buf_add_char(&out, '\'');
    for (const char *p = text; *p; p++) {
        if (*p == '\'') {
            cdn_buf_add_str(&out, CDN_STR("'\\''"));
        } else {
            cdn_buf_add_char(&out, *p);
        }
    }
    cdn_buf_add_char(&out, '\'');
    return cdn_buf_take(&out);
}
