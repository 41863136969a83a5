/* report_map: the world in degrees, three units each. The ways are those of the latency model, hub by hub,
 * since that is what the times are made of; a way over the date line goes on at the other side. */
#include "cli/compare/model/comparison.h"
#include "cli/compare/model/series.h"
#include "cli/compare/model/world.h"
#include "cli/compare/report/html.h"
#include "cli/compare/report/report_private.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/str.h"
#include "geo-data/embedded.h"
#include "geo-data/latency.h"
#include "router/base/edges.h"
#include "router/table/table.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/banned.h"

#define UNITS 3.0
#define NORTH 84.0
#define SOUTH (-57.0)
#define WAYS_MAX 200u /* beyond that the map is all lines */

static double x_of(double lon)
{
    return (lon + 180) * UNITS;
}

static double y_of(double lat)
{
    return (NORTH - fmin(fmax(lat, SOUTH), NORTH)) * UNITS;
}

static void put_ring(struct cdn_str line, struct cdn_buf *out)
{
    for (bool first = true; line.p; first = false) {
        struct cdn_str pair = cdn_str_cut(&line, ' '), lon = cdn_str_cut(&pair, ',');
        double x, y;
        if (pair.p && cdn_parse_real(lon, &x) && cdn_parse_real(pair, &y)) {
            cdn_buf_printf(out, "%c%.0f %.0f", first ? 'M' : 'L', x_of(x), y_of(y));
        }
    }
    cdn_buf_add_char(out, 'z');
}

static void put_land(struct cdn_buf *out)
{
    struct cdn_str rest = geo_embedded_land();
    cdn_buf_printf(out, "<rect class=\"sea\" width=\"%.0f\" height=\"%.0f\"/>\n<path class=\"land\" d=\"",
                   360 * UNITS, (NORTH - SOUTH) * UNITS);
    while (rest.p) {
        struct cdn_str line = cdn_str_cut(&rest, '\n');
        if (line.n && line.p[0] != '#') {
            put_ring(line, out);
        }
    }
    cdn_buf_add_str(out, CDN_STR("\"/>\n"));
}

static void put_way(const struct geo_rtt_point *from, const struct geo_rtt_point *to, struct cdn_buf *out)
{
    CDN_AUTOFREE struct geo_rtt_path *path = cdn_malloc(sizeof(*path));
    double last = from->lon;
    geo_rtt_path(from->lat, from->lon, to->lat, to->lon, path);
    cdn_buf_printf(out, "M%.1f %.1f", x_of(from->lon), y_of(from->lat));
    for (size_t i = 0; i < path->leg_count; i++) {
        const struct geo_rtt_leg *leg = &path->legs[i];
        bool jump = fabs(leg->lon - last) > 180; /* half of it on either side */
        if (jump) {
            double beyond = leg->lon + (leg->lon < last ? 360 : -360);
            cdn_buf_printf(out, "L%.1f %.1f", x_of(beyond), y_of(leg->lat));
        }
        cdn_buf_printf(out, "%c%.1f %.1f", jump ? 'M' : 'L', x_of(leg->lon), y_of(leg->lat));
        last = leg->lon;
    }
}

static void put_client(const struct comparison *c, size_t i, struct cdn_buf *out)
{
    const unsigned direct = series_of(VISIT_DIRECT, false), warm = series_of(VISIT_DNS_WARM, false);
    const struct world_city *city = &c->world.cities[i];
    double x = x_of(city->at.point.lon), y = y_of(city->at.point.lat);
    CDN_AUTOBUF struct cdn_buf text = {0};
    html_text(&text, city->at.name);
    cdn_buf_printf(&text, ": edge ");
    html_text(&text, world_edge_name(&c->world, city->edge));
    cdn_buf_printf(&text, ", %.0f km, %.1f ms; straight %.0f ms, warm CDN %.0f ms", city->km,
                   (double)city->edge_ms, comparison_typical_ms(c, i, direct),
                   comparison_typical_ms(c, i, warm));
    cdn_buf_printf(
        out,
        "<g tabindex=\"0\" role=\"img\" aria-label=\"%s\"><title>%s</title><circle class=\"client %s\" "
        "cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/></g>\n",
        text.p, text.p, comparison_worth_word(comparison_worth(c, i, warm)), x, y);
}

static void put_edge(const struct router_edge *edge, struct cdn_buf *out)
{
    double x = x_of(edge->lon), y = y_of(edge->lat);
    cdn_buf_printf(out, "<g><title>edge ");
    html_text(out, edge->name);
    cdn_buf_printf(out, ", ");
    html_text(out, edge->place);
    cdn_buf_printf(out,
                   "</title><path class=\"edge\" d=\"M%.1f %.1fl9 15h-18z\"/><text x=\"%.1f\" y=\"%.1f\" "
                   "text-anchor=\"middle\">",
                   x, y - 10, x, y + 18);
    html_text(out, edge->name);
    cdn_buf_add_str(out, CDN_STR("</text></g>\n"));
}

void report_map(const struct comparison *c, struct cdn_buf *out)
{
    const struct router_edges *edges = c->world.table->edges;
    const struct geo_rtt_point *origin = &c->world.origin.point;
    html_section(
        out, "map", "Clients, edges and the ways between them",
        "Dots are clients: green where a warm CDN helps, grey where it changes nothing, red where it "
        "hurts. Triangles are edges, the ring is the origin. Lines are the cables that the model takes.");
    cdn_buf_printf(out, "<figure><svg viewBox=\"0 0 %.0f %.0f\" role=\"group\" aria-label=\"World map\">\n",
                   360 * UNITS, (NORTH - SOUTH) * UNITS);
    put_land(out);
    cdn_buf_add_str(out, CDN_STR("<path class=\"way\" d=\""));
    for (size_t i = 0; i < c->world.n && i < WAYS_MAX; i++) {
        put_way(&c->world.cities[i].at.point, &c->world.edges[c->world.cities[i].edge], out);
    }
    cdn_buf_printf(out, "\"/>\n<circle class=\"origin\" cx=\"%.1f\" cy=\"%.1f\" r=\"10\"><title>origin, ",
                   x_of(origin->lon), y_of(origin->lat));
    html_text(out, c->world.origin.name);
    cdn_buf_add_str(out, CDN_STR("</title></circle>\n"));
    for (size_t i = 0; i < edges->count; i++) {
        put_edge(&edges->at[i], out);
    }
    for (size_t i = 0; i < c->world.n; i++) {
        put_client(c, i, out);
    }
    cdn_buf_add_str(out, CDN_STR("</svg></figure>\n</section>\n"));
}
