/* up_display: what `up` shows: on a terminal a table that is drawn again in place, elsewhere plain lines. */
#ifndef CDN_CLI_UP_DISPLAY_H
#define CDN_CLI_UP_DISPLAY_H
#include "cli/base/table.h"
#include "cli/run/supervisor.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct up_display {
    bool live;          /* stdout is a terminal */
    size_t drawn_lines; /* of the table, above the cursor */
};

void up_display_say(struct up_display *display, const char *text);
void up_display_nodes(struct up_display *display, const struct supervisor_node *nodes, size_t n);

/* One node as a row: shared with `status`. */
struct up_display_node {
    const char *name, *place, *state, *url;
    const char *error; /* why it gave no report; "" or NULL */
    long pid;          /* 0: none known */
    unsigned restarts;
    bool external;
    const json_t *status; /* the node's own report, or NULL */
};
#define UP_DISPLAY_HEADS "NODE|3PLACE|STATE|1>PID|>REQUESTS|>HITS|2ADDRESS|NOTE"
void up_display_row(struct table *table, const struct up_display_node *node);

#endif
