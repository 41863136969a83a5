/* terminal: see the header. The width is asked for each time, since windows change while `up` draws. */
#include "cli/base/terminal.h"

#include "common/parse.h"
#include "common/str.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/banned.h"

#define WIDTH_LEAST 20u /* less is no window that anybody reads in */
#define WIDTH_MOST 10000u

static unsigned width_of(int fd)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size = {0};
    uint64_t width = 0;
    if (!columns || !cdn_parse_u64(cdn_str(columns), &width)) {
        width = ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
    }
    return width >= WIDTH_LEAST && width <= WIDTH_MOST ? (unsigned)width : 0;
}

struct terminal terminal_of(int fd)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    if (!isatty(fd)) {
        return (struct terminal){0};
    }
    bool dumb = !term || !term[0] || strcmp(term, "dumb") == 0;
    return (struct terminal){.width = width_of(fd), .color = !dumb && (!no_color || !no_color[0])};
}

const char *terminal_begin(struct terminal terminal, enum terminal_style style)
{
    static const char *const codes[] = {
        [TERMINAL_PLAIN] = "",
        [TERMINAL_GOOD] = "\033[32m",
        [TERMINAL_WARNING] = "\033[33m",
        [TERMINAL_BAD] = "\033[31m",
    };
    return terminal.color ? codes[style] : "";
}

const char *terminal_end(struct terminal terminal, enum terminal_style style)
{
    return terminal.color && style != TERMINAL_PLAIN ? "\033[0m" : "";
}
