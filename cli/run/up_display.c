/* up_display: on a terminal the table is drawn over itself, elsewhere each change is a line: a log
 * file full of cursor movements helps nobody. The same words in both. */
#include "cli/run/up_display.h"

#include "cli/base/note.h"
#include "cli/base/print.h"
#include "cli/base/terminal.h"
#include "cli/run/plan.h"
#include "common/mem.h"
#include "common/str.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/banned.h"

/* From the first column on: the terminal may have echoed a ^C where the cursor stands. */
static void erase(struct up_display *display)
{
    if (!display->live) {
        return;
    }
    putchar('\r');
    if (display->drawn_lines) {
        printf("\033[%zuA", display->drawn_lines);
    }
    fputs("\033[J", stdout);
    display->drawn_lines = 0;
}

void up_display_say(struct up_display *display, const char *text)
{
    char clock[16] = "";
    time_t now = time(NULL);
    struct tm day;
    if (localtime_r(&now, &day)) {
        strftime(clock, sizeof(clock), "%H:%M:%S", &day);
    }
    erase(display);
    cli_print("%s %s\n", clock, text);
    fflush(stdout);
}

/* The sum of the metrics of a node's report whose name begins with `name` and which have `label` in it; -1:
 * none. */
static long long metric(const json_t *status, const char *name, const char *label)
{
    long long sum = -1;
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(status, "metrics"), key,
                        value) if (strncmp(key, name, strlen(name)) == 0 && strcasestr(key, label))
    {
        sum = (sum < 0 ? 0 : sum) + (long long)json_number_value(value);
    }
    return sum;
}

/* Of "URL: much text (connection_refused)" the last word: the address stands beside it. */
static const char *short_error(const char *error)
{
    const char *bracket = strrchr(error, '(');
    return bracket && error[strlen(error) - 1] == ')' ? bracket : error;
}

static enum terminal_style state_style(const char *state)
{
    static const struct {
        const char *state;
        enum terminal_style style;
    } styles[] = {{"up", TERMINAL_GOOD}, {"down", TERMINAL_BAD}, {"sick", TERMINAL_BAD}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(styles); i++) {
        if (strcmp(state, styles[i].state) == 0) {
            return styles[i].style;
        }
    }
    return TERMINAL_WARNING;
}

void up_display_row(struct table *table, const struct up_display_node *node)
{
    long long requests = metric(node->status, "request_total", ""),
              hits = metric(node->status, "answer_total", "\"HIT\"");
    CDN_AUTOBUF struct cdn_buf note = {0};
    cdn_buf_printf(&note, "%s", node->external ? "not ours" : "");
    if (node->error && node->error[0]) {
        cdn_buf_printf(&note, "%s%s", note.n ? "; " : "", short_error(node->error));
    }
    note_node(node->status, node->restarts, &note);
    table_add(table, "%s", node->name);
    table_add(table, "%s", node->place);
    table_add(table, "%s", node->state);
    table_style(table, state_style(node->state));
    table_add(table, node->pid ? "%ld" : "", node->pid);
    table_add(table, requests < 0 ? "" : "%lld", requests);
    table_add(table, hits < 0 || requests <= 0 ? "" : "%.1f %%", 100.0 * (double)hits / (double)requests);
    table_add(table, "%s", node->url);
    table_add(table, "%s", note.n ? note.p : "");
    table_style(table, TERMINAL_WARNING);
}

void up_display_nodes(struct up_display *display, const struct supervisor_node *nodes, size_t n)
{
    if (!display->live) {
        return;
    }
    struct table table;
    CDN_AUTOBUF struct cdn_buf text = {0};
    table_init(&table, UP_DISPLAY_HEADS);
    for (size_t i = 0; i < n; i++) {
        const struct supervisor_node *node = &nodes[i];
        up_display_row(&table, &(struct up_display_node){.name = node->plan->name,
                                                         .place = node->plan->place,
                                                         .state = supervisor_state_word(node->state),
                                                         .url = node->plan->url,
                                                         .pid = (long)node->pid,
                                                         .restarts = node->restarts,
                                                         .external = node->plan->external,
                                                         .status = node->status});
    }
    table_print_to(&table, terminal_of(STDOUT_FILENO), &text);
    table_fini(&table);
    cdn_buf_printf(&text, "Ctrl-C stops all of it.\n");
    erase(display);
    printf("\033[?7l%s\033[?7h", text.p); /* cut at the margin, not wrapped: erase counts lines */
    fflush(stdout);
    for (size_t i = 0; i < text.n; i++) {
        display->drawn_lines += text.p[i] == '\n';
    }
}
