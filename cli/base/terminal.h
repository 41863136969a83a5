/* terminal: what a stream leads to: how many columns it has, and whether colours may be used there.
 *
 * A pipe or a file has neither: what goes there is for programs. NO_COLOR (no-color.org) and TERM=dumb switch
 * colours off; COLUMNS wins over what the terminal says of itself.
 */
#ifndef CDN_CLI_TERMINAL_H
#define CDN_CLI_TERMINAL_H
#include <stdbool.h>

struct terminal {
    unsigned width; /* columns; 0: no limit */
    bool color;
};

enum terminal_style { TERMINAL_PLAIN, TERMINAL_GOOD, TERMINAL_WARNING, TERMINAL_BAD };

struct terminal terminal_of(int fd);

/* The escape sequences around a styled text; "" for TERMINAL_PLAIN or without colours. */
const char *terminal_begin(struct terminal terminal, enum terminal_style style);
const char *terminal_end(struct terminal terminal, enum terminal_style style);

#endif
