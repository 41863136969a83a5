/* route_svg: the scene as SVG of fixed size, written by hand: a handful of elements with all texts
 * escaped need no library, and the file has no script and no outside reference. */
#include "cli/route/route.h"
#include "common/parse.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "router/base/edges.h"
#include "router/base/reason.h"
#include "router/choice/select.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

#define UNITS_PER_DEGREE 4.0

static double x_of(double lon)
{
    return (lon + 180) * UNITS_PER_DEGREE;
}

static double y_of(double lat)
{
    return fmin(fmax((double)ROUTE_NORTH - lat, 0), (double)(ROUTE_NORTH - ROUTE_SOUTH)) * UNITS_PER_DEGREE;
}

static void put_text(const char *text, struct cdn_buf *out)
{
    for (; *text; text++) {
        const char *entity = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : NULL;
        if (entity) {
            cdn_buf_add_str(out, cdn_str(entity));
        } else if ((unsigned char)*text >= ' ') {
            cdn_buf_add_char(out, *text);
        }
    }
}

static void put_land(const struct route_scene *scene, struct cdn_buf *out)
{
    cdn_buf_printf(out, "<path class=\"land\" d=\"");
    for (size_t i = 0; i < scene->land_count; i++) {
        const struct route_point *p = &scene->land[i];
        if (p->lat < ROUTE_NORTH && p->lat > ROUTE_SOUTH) {
            cdn_buf_printf(out, "M%.0f %.0fh4v4h-4z", x_of((double)p->lon - 0.5), y_of((double)p->lat + 0.5));
        }
    }
    cdn_buf_printf(out, "\"/>\n");
}

/* A path over the date line goes on at the other side. */
static void put_path(const struct route_scene *scene, struct cdn_buf *out)
{
    if (scene->path_count == 0) {
        return;
    }
    cdn_buf_printf(out, "<path class=\"way\" d=\"");
    for (size_t i = 0; i < scene->path_count; i++) {
        const struct route_point *p = &scene->path[i];
        bool jump = i == 0 || fabsf(p->lon - scene->path[i - 1].lon) > 180;
        cdn_buf_printf(out, "%c%.1f %.1f", jump ? 'M' : 'L', x_of((double)p->lon), y_of((double)p->lat));
    }
    cdn_buf_printf(out, "\"/>\n");
}

static void put_edge(const struct route_scene *scene, uint16_t i, struct cdn_buf *out)
{
    const struct router_edge *edge = &scene->table->edges->at[i];
    const struct router_choice *choice = &scene->decision->choice;
    const char *class = i == choice->edge ? "chosen" : i == choice->runner_up ? "next" : "edge";
    double x = x_of(edge->lon), y = y_of(edge->lat);
    cdn_buf_printf(out, "<g class=\"%s\"><title>%s, ", class, edge->name);
    put_text(edge->place, out);
    cdn_buf_printf(out,
                   "</title><circle cx=\"%.1f\" cy=\"%.1f\" r=\"6\"/>"
                   "<text x=\"%.1f\" y=\"%.1f\">%s</text></g>\n",
                   x, y, x + 9, y + 4, edge->name);
}

static void put_caption(const struct route_scene *scene, struct cdn_buf *out)
{
    const struct router_decision *d = scene->decision;
    char ip[CDN_ADDR_TEXT_SIZE];
    cdn_addr_format_ip(&d->where.address, ip);
    cdn_buf_printf(out, "<text class=\"caption\" x=\"12\" y=\"%.0f\">%s", y_of((double)ROUTE_SOUTH) + 26, ip);
    if (d->choice.edge != ROUTER_NO_EDGE) {
        cdn_buf_printf(out, " to %s: %.0f km, %.1f ms modelled (%s%s)",
                       scene->table->edges->at[d->choice.edge].name, (double)d->choice.at.km,
                       (double)d->choice.at.rtt_ms, router_reason_word(d->reason),
                       d->ambiguous ? ", ambiguous" : "");
    }
    cdn_buf_printf(out, "</text>\n");
}

void route_svg_print(const struct route_scene *scene, struct cdn_buf *out)
{
    const struct geo_record *client = &scene->decision->where.record;
    double height = y_of((double)ROUTE_SOUTH) + 40, x = x_of(client->lon), y = y_of(client->lat);
    cdn_buf_printf(out,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1440 %.0f\" role=\"img\">\n"
                   "<style>svg{background:#fff;font:13px sans-serif}.land{fill:#c9d2c4}.way{fill:none;"
                   "stroke:#d9822b;stroke-width:2}.edge{fill:#4a7ba6}.next{fill:#1c4f7c}.chosen{fill:#1d8348}"
                   ".client{stroke:#b03a2e;stroke-width:3}.caption{font-size:16px}</style>\n",
                   height);
    put_land(scene, out);
    put_path(scene, out);
    for (size_t i = 0; i < scene->table->edges->count; i++) {
        put_edge(scene, (uint16_t)i, out);
    }
    cdn_buf_printf(
        out, "<g class=\"client\"><title>client</title><path d=\"M%.1f %.1fl12 12m0 -12l-12 12\"/></g>\n",
        x - 6, y - 6);
    put_caption(scene, out);
    cdn_buf_printf(out, "</svg>\n");
}
