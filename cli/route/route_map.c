/* The world in a terminal: a braille letter holds 2 by 4 dots, and two dots are as wide as they are high, so
 * the map keeps its proportions. Without Unicode each letter is one dot of another form. */
#include "cli/route/route.h"
#include "common/mem.h"
#include "common/str.h"
#include "common/visible.h"
#include "geo-data/geo.h"
#include "router/base/edges.h"
#include "router/choice/select.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

struct canvas {
    unsigned columns, rows;
    uint8_t *dots; /* of each letter: the braille bits of land */
    char *marks;   /* '\0': none; '+' path, 'o' edge, '#' runner-up, '@' chosen, 'X' client */
};

static bool place(const struct canvas *c, float lat, float lon, unsigned per_column, unsigned per_row,
                  unsigned *ret_x, unsigned *ret_y)
{
    unsigned width = c->columns * per_column, height = c->rows * per_row;
    float x = (lon + 180) / 360 * (float)width;
    float y = (ROUTE_NORTH - lat) / (ROUTE_NORTH - ROUTE_SOUTH) * (float)height;
    if (y < 0 || y >= (float)height) {
        return false;
    }
    *ret_x = (unsigned)fmaxf(x, 0) < width ? (unsigned)fmaxf(x, 0) : width - 1;
    *ret_y = (unsigned)y;
    return true;
}

static void dot(struct canvas *c, const struct route_point *p)
{
    static const uint8_t bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    unsigned x, y;
    if (place(c, p->lat, p->lon, 2, 4, &x, &y)) {
        c->dots[y / 4 * c->columns + x / 2] |= bits[y % 4][x % 2];
    }
}

/* Nearer to the poles than the map goes is drawn at its edge. */
static void mark(struct canvas *c, double lat, double lon, char what)
{
    unsigned x, y;
    float inside = fminf(fmaxf((float)lat, ROUTE_SOUTH + 0.5f), ROUTE_NORTH - 0.5f);
    if (place(c, inside, (float)lon, 1, 1, &x, &y)) {
        c->marks[y * c->columns + x] = what;
    }
}

static void draw(struct canvas *c, const struct route_scene *scene)
{
    const struct router_edges *edges = scene->table->edges;
    const struct router_choice *choice = &scene->decision->choice;
    for (size_t i = 0; i < scene->land_count; i++) {
        dot(c, &scene->land[i]);
    }
    for (size_t i = 0; i < scene->path_count; i++) {
        mark(c, (double)scene->path[i].lat, (double)scene->path[i].lon, '+');
    }
    for (size_t i = 0; i < edges->count; i++) {
        mark(c, edges->at[i].lat, edges->at[i].lon, 'o');
    }
    if (choice->runner_up != ROUTER_NO_EDGE) {
        mark(c, edges->at[choice->runner_up].lat, edges->at[choice->runner_up].lon, '#');
    }
    if (choice->edge != ROUTER_NO_EDGE) {
        mark(c, edges->at[choice->edge].lat, edges->at[choice->edge].lon, '@');
    }
    mark(c, scene->decision->where.record.lat, scene->decision->where.record.lon, 'X');
}

static void put_mark(char what, const struct route_map_style *style, struct cdn_buf *out)
{
    static const struct {
        char mark;
        const char *unicode, *colour;
    } looks[] = {
        {'+', "·", "33"}, {'o', "○", "36"}, {'#', "◎", "36;1"}, {'@', "●", "32;1"}, {'X', "✕", "31;1"}};
    size_t i = 0;
    while (i + 1 < CDN_ARRAY_LEN(looks) && looks[i].mark != what) {
        i++;
    }
    if (style->colour) {
        cdn_buf_printf(out, "\033[%sm", looks[i].colour);
    }
    if (style->unicode) {
        cdn_buf_add_str(out, cdn_str(looks[i].unicode));
    } else {
        cdn_buf_add_char(out, what);
    }
    if (style->colour) {
        cdn_buf_printf(out, "\033[0m");
    }
}

static void put_land(uint8_t dots, const struct route_map_style *style, struct cdn_buf *out)
{
    if (dots == 0) {
        cdn_buf_add_char(out, ' ');
    } else if (style->unicode) { /* U+2800 and the bits */
        cdn_buf_add(out, (char[]){(char)0xe2, (char)(0xa0 | dots >> 6), (char)(0x80 | (dots & 63))}, 3);
    } else {
        cdn_buf_add_char(out, __builtin_popcount(dots) > 3 ? ':' : '.');
    }
}

static void put_row(const struct canvas *c, unsigned y, const struct route_map_style *style,
                    struct cdn_buf *out)
{
    const uint8_t *dots = c->dots + y * c->columns;
    const char *marks = c->marks + y * c->columns;
    unsigned end = c->columns; /* no blanks at the end of a line */
    while (end > 0 && dots[end - 1] == 0 && !marks[end - 1]) {
        end--;
    }
    for (unsigned x = 0; x < end; x++) {
        if (marks[x]) {
            put_mark(marks[x], style, out);
        } else {
            put_land(dots[x], style, out);
        }
    }
    cdn_buf_add_char(out, '\n');
}

static void put_legend(const struct route_scene *scene, const struct route_map_style *style,
                       struct cdn_buf *out)
{
    const struct router_edges *edges = scene->table->edges;
    const struct router_choice *choice = &scene->decision->choice;
    put_mark('X', style, out);
    cdn_buf_printf(out, " client");
    if (choice->edge != ROUTER_NO_EDGE) {
        cdn_buf_printf(out, "   ");
        put_mark('@', style, out);
        cdn_buf_add_char(out, ' ');
        cdn_buf_add_visible(out, cdn_str(edges->at[choice->edge].name));
        cdn_buf_printf(out, "   ");
        put_mark('+', style, out);
        cdn_buf_printf(out, " modelled path");
    }
    if (choice->runner_up != ROUTER_NO_EDGE) {
        cdn_buf_printf(out, "   ");
        put_mark('#', style, out);
        cdn_buf_add_char(out, ' ');
        cdn_buf_add_visible(out, cdn_str(edges->at[choice->runner_up].name));
        cdn_buf_printf(out, ", runner-up");
    }
    cdn_buf_printf(out, "   ");
    put_mark('o', style, out);
    cdn_buf_printf(out, " edges\n");
}

void route_map_print(const struct route_scene *scene, const struct route_map_style *style,
                     struct cdn_buf *out)
{
    struct canvas c = {.columns = style->columns};
    c.rows = (unsigned)((float)c.columns / 2 * (ROUTE_NORTH - ROUTE_SOUTH) / 360 + 0.5f);
    c.dots = cdn_calloc((size_t)c.columns * c.rows, 1);
    c.marks = cdn_calloc((size_t)c.columns * c.rows, 1);
    draw(&c, scene);
    for (unsigned y = 0; y < c.rows; y++) {
        put_row(&c, y, style, out);
    }
    put_legend(scene, style, out);
    free(c.dots);
    free(c.marks);
}
