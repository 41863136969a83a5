#include "cli/up_display.h"

#include <stdio.h>
#include <time.h>

#include "common/banned.h"

static void erase(struct up_display *display)
{
    if (display->drawn_lines)
        printf("\033[%zuA\033[J", display->drawn_lines);
    display->drawn_lines = 0;
}

void up_display_say(struct up_display *display, const char *text)
{
    char clock[16] = "";
    time_t now = time(NULL);
    struct tm day;
    if (localtime_r(&now, &day))
        strftime(clock, sizeof(clock), "%H:%M:%S", &day);
    erase(display);
    printf("%s %s\n", clock, text);
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
                        value) if (strncmp(key, name, strlen(name)) == 0 && strcasestr(key, label)) sum =
        (sum < 0 ? 0 : sum) + (long long)json_number_value(value);
    return sum;
}

void up_display_row(struct table *table, const char *name, const char *place, const char *state, long pid,
                    const json_t *status, const char *url, const char *note)
{
    long long requests = metric(status, "request_total", ""),
              hits = metric(status, "answer_total", "\"HIT\"");
    table_add(table, "%s", name);
    table_add(table, "%s", place);
    table_add(table, "%s", state);
    table_add(table, pid ? "%ld" : "", pid);
    table_add(table, requests < 0 ? "" : "%lld", requests);
    table_add(table, hits < 0 || requests <= 0 ? "" : "%.1f %%", 100.0 * (double)hits / (double)requests);
    table_add(table, "%s", url);
    table_add(table, "%s", note);
}

void up_display_nodes(struct up_display *display, const struct supervisor_node *nodes, size_t n)
{
    if (!display->live)
        return;
    struct table table;
    CDN_AUTOBUF struct cdn_buf text = {0};
    table_init(&table, UP_DISPLAY_HEADS);
    for (size_t i = 0; i < n; i++) {
        char note[40] = "";
        if (nodes[i].restarts)
            snprintf(note, sizeof(note), "restarted %u x", nodes[i].restarts);
        up_display_row(&table, nodes[i].plan->name, nodes[i].plan->place,
                       supervisor_state_word(nodes[i].state), (long)nodes[i].pid, nodes[i].status,
                       nodes[i].plan->url, note);
    }
    table_print(&table, &text);
    table_fini(&table);
    cdn_buf_printf(&text, "Ctrl-C stops all of it.\n");
    erase(display);
    fwrite(text.p, 1, text.n, stdout);
    fflush(stdout);
    display->drawn_lines = n + 2;
}
