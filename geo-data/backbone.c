/* backbone: reads and checks the graph, each row with its line: names known once, borders crossed
 * by border links only, and one piece in all. A wrong row would bend the times of a continent
 * without anybody seeing it. */
#include "geo-data/backbone.h"

#include "common/mem.h"
#include "common/parse.h"
#include "geo-data/geodesy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define FACTOR_MIN 0.2
#define FACTOR_MAX 10.0
#define FIELDS_MAX 5
#define BORDER "border-"

struct backbone_vector backbone_vector(double lat, double lon)
{
    double phi = geo_radians(lat), lambda = geo_radians(lon);
    return (struct backbone_vector){cos(phi) * cos(lambda), cos(phi) * sin(lambda), sin(phi)};
}

double backbone_km(struct backbone_vector a, struct backbone_vector b)
{
    double x = a.x - b.x, y = a.y - b.y, z = a.z - b.z;
    double half_chord = sqrt(x * x + y * y + z * z) / 2;
    return 2 * GEO_EARTH_RADIUS_KM * asin(fmin(half_chord, 1));
}

/* ---- rows ---- */

struct row {
    unsigned line;
    size_t n;
    struct cdn_str fields[FIELDS_MAX];
};

static enum cdn_status flaw(struct cdn_error *err, const struct row *row, const char *what,
                            struct cdn_str value)
{
    return cdn_error_set(err, CDN_INVALID, "backbone, line %u: %s '" CDN_STR_FMT "'", row->line, what,
                         CDN_STR_ARG(value));
}

static bool split(struct cdn_str line, struct row *row)
{
    for (row->n = 0; line.p; row->n++) {
        if (row->n == FIELDS_MAX) {
            return false;
        }
        row->fields[row->n] = cdn_str_cut(&line, ',');
    }
    return row->n == FIELDS_MAX;
}

static bool real_between(struct cdn_str text, double low, double high, double *ret)
{
    return cdn_parse_real(text, ret) && *ret >= low && *ret <= high;
}

static bool find_node(const struct backbone *b, struct cdn_str name, uint16_t *ret)
{
    for (size_t i = 0; i < b->node_count; i++) {
        if (cdn_str_eq(b->nodes[i].name, name)) {
            *ret = (uint16_t)i;
            return true;
        }
    }
    return false;
}

static bool linked(const struct backbone *b, uint16_t from, uint16_t to)
{
    for (size_t i = 0; i < b->link_count; i++) {
        const struct backbone_link *link = &b->links[i];
        if ((link->from == from && link->to == to) || (link->from == to && link->to == from)) {
            return true;
        }
    }
    return false;
}

static uint16_t country_of(const struct backbone *b, struct cdn_str code)
{
    uint16_t last = 0;
    for (size_t i = 0; i < b->node_count && code.n; i++) {
        if (cdn_str_eq(b->nodes[i].country_code, code)) {
            return b->nodes[i].country;
        }
        if (b->nodes[i].country > last) {
            last = b->nodes[i].country;
        }
    }
    return code.n ? (uint16_t)(last + 1) : 0;
}

static enum cdn_status add_node(struct backbone *b, const struct row *row, struct cdn_error *err)
{
    uint16_t other;
    struct backbone_node node = {.name = row->fields[1], .country_code = row->fields[2]};
    node.is_major = cdn_str_eq(row->fields[0], CDN_STR("major"));
    node.is_hub = !cdn_str_eq(row->fields[0], CDN_STR("point"));
    if (b->node_count == BACKBONE_NODES_MAX) {
        return flaw(err, row, "too many nodes at", node.name);
    }
    if (node.name.n == 0 || find_node(b, node.name, &other)) {
        return flaw(err, row, "a name that is empty or there already:", node.name);
    }
    if (node.country_code.n != (node.is_hub ? 2 : 0)) {
        return flaw(err, row, "not the country of a hub (two letters) or point (none):", node.country_code);
    }
    if (!real_between(row->fields[3], -90, 90, &node.lat)) {
        return flaw(err, row, "latitude", row->fields[3]);
    }
    if (!real_between(row->fields[4], -180, 180, &node.lon)) {
        return flaw(err, row, "longitude", row->fields[4]);
    }
    node.at = backbone_vector(node.lat, node.lon);
    node.country = country_of(b, node.country_code);
    b->nodes[b->node_count++] = node;
    return CDN_OK;
}

static bool joins_countries(const struct backbone *b, const struct backbone_link *link)
{
    const struct backbone_node *from = &b->nodes[link->from], *to = &b->nodes[link->to];
    return from->is_hub && to->is_hub && from->country != to->country;
}

static enum cdn_status add_link(struct backbone *b, const struct row *row, struct backbone_link link,
                                struct cdn_error *err)
{
    if (b->link_count == BACKBONE_LINKS_MAX) {
        return flaw(err, row, "too many links at", row->fields[1]);
    }
    if (!find_node(b, row->fields[1], &link.from)) {
        return flaw(err, row, "unknown node", row->fields[1]);
    }
    if (!find_node(b, row->fields[2], &link.to) || link.to == link.from) {
        return flaw(err, row, "unknown node, or the same twice:", row->fields[2]);
    }
    if (link.is_border && !joins_countries(b, &link)) {
        return flaw(err, row, "a border link joins hubs of two countries, not", row->fields[2]);
    }
    if (linked(b, link.from, link.to)) {
        return flaw(err, row, "this link is there already, to", row->fields[2]);
    }
    if (!real_between(row->fields[3], FACTOR_MIN, FACTOR_MAX, &link.route)) {
        return flaw(err, row, "route factor", row->fields[3]);
    }
    if (!real_between(row->fields[4], FACTOR_MIN, FACTOR_MAX, &link.fit)) {
        return flaw(err, row, "fitted factor", row->fields[4]);
    }
    link.km = backbone_km(b->nodes[link.from].at, b->nodes[link.to].at);
    b->links[b->link_count++] = link;
    return CDN_OK;
}

static enum cdn_status add_row(struct backbone *b, const struct row *row, struct cdn_error *err)
{
    struct cdn_str kind = row->fields[0];
    if (cdn_str_eq(kind, CDN_STR("major")) || cdn_str_eq(kind, CDN_STR("hub")) ||
        cdn_str_eq(kind, CDN_STR("point"))) {
        return add_node(b, row, err);
    }
    struct backbone_link link = {.is_border = cdn_str_starts(kind, CDN_STR(BORDER))};
    if (link.is_border) {
        kind = (struct cdn_str){kind.p + strlen(BORDER), kind.n - strlen(BORDER)};
    }
    link.is_sea = cdn_str_eq(kind, CDN_STR("sea"));
    if (link.is_sea || cdn_str_eq(kind, CDN_STR("land"))) {
        return add_link(b, row, link, err);
    }
    return flaw(err, row, "unknown kind", row->fields[0]);
}

/* ---- the whole ---- */

static void index_ends(struct backbone *b)
{
    for (size_t i = 0; i < b->link_count; i++) {
        b->nodes[b->links[i].from].end_count++;
        b->nodes[b->links[i].to].end_count++;
    }
    uint32_t at = 0;
    for (size_t i = 0; i < b->node_count; i++) {
        b->nodes[i].first_end = at;
        at += b->nodes[i].end_count;
        b->nodes[i].end_count = 0;
    }
    for (size_t i = 0; i < b->link_count; i++) {
        struct backbone_node *from = &b->nodes[b->links[i].from], *to = &b->nodes[b->links[i].to];
        b->ends[from->first_end + from->end_count++] = (struct backbone_end){b->links[i].to, (uint16_t)i};
        b->ends[to->first_end + to->end_count++] = (struct backbone_end){b->links[i].from, (uint16_t)i};
    }
}

static void reach(const struct backbone *b, uint16_t start, bool *seen)
{
    CDN_AUTOFREE uint16_t *open = cdn_calloc(b->node_count, sizeof(*open));
    size_t n = 1;
    open[0] = start;
    seen[start] = true;
    while (n > 0) {
        const struct backbone_node *node = &b->nodes[open[--n]];
        for (uint32_t i = 0; i < node->end_count; i++) {
            uint16_t other = b->ends[node->first_end + i].node;
            if (!seen[other]) {
                open[n++] = other;
            }
            seen[other] = true;
        }
    }
}

static enum cdn_status check_whole(const struct backbone *b, struct cdn_error *err)
{
    bool has_hub = false;
    if (b->node_count == 0) {
        return cdn_error_set(err, CDN_INVALID, "backbone: no node");
    }
    CDN_AUTOFREE bool *seen = cdn_calloc(b->node_count, sizeof(*seen));
    reach(b, 0, seen);
    for (size_t i = 0; i < b->node_count; i++) {
        has_hub = has_hub || b->nodes[i].is_hub;
        if (!seen[i]) {
            return cdn_error_set(err, CDN_INVALID,
                                 "backbone: no way from '" CDN_STR_FMT "' to '" CDN_STR_FMT "'",
                                 CDN_STR_ARG(b->nodes[0].name), CDN_STR_ARG(b->nodes[i].name));
        }
    }
    return has_hub ? CDN_OK : cdn_error_set(err, CDN_INVALID, "backbone: no hub");
}

static enum cdn_status read_rows(struct backbone *b, struct cdn_str text, struct cdn_error *err)
{
    enum cdn_status status = CDN_OK;
    struct row row = {0};
    while (text.p && status == CDN_OK) {
        struct cdn_str line = cdn_str_trim(cdn_str_cut(&text, '\n'));
        row.line++;
        if (line.n == 0 || line.p[0] == '#') {
            continue;
        }
        status = split(line, &row) ? add_row(b, &row, err) : flaw(err, &row, "not five fields:", line);
    }
    return status;
}

enum cdn_status backbone_parse(struct cdn_str text, struct backbone **ret, struct cdn_error *err)
{
    struct backbone *b = cdn_calloc(1, sizeof(*b));
    b->nodes = cdn_calloc(BACKBONE_NODES_MAX, sizeof(*b->nodes));
    b->links = cdn_calloc(BACKBONE_LINKS_MAX, sizeof(*b->links));
    enum cdn_status status = read_rows(b, text, err);
    if (status == CDN_OK) {
        b->ends = cdn_calloc(2 * b->link_count + 1, sizeof(*b->ends));
        index_ends(b);
        status = check_whole(b, err);
    }
    if (status != CDN_OK) {
        backbone_destroy(b);
    } else {
        *ret = b;
    }
    return status;
}

void backbone_destroy(struct backbone *backbone)
{
    if (!backbone) {
        return;
    }
    free(backbone->nodes);
    free(backbone->links);
    free(backbone->ends);
    free(backbone);
}

void backbone_print(const struct backbone *backbone, struct cdn_buf *out)
{
    for (size_t i = 0; i < backbone->node_count; i++) {
        const struct backbone_node *node = &backbone->nodes[i];
        cdn_buf_printf(out, "%s," CDN_STR_FMT "," CDN_STR_FMT ",%.10g,%.10g\n",
                       node->is_major ? "major"
                       : node->is_hub ? "hub"
                                      : "point",
                       CDN_STR_ARG(node->name), CDN_STR_ARG(node->country_code), node->lat, node->lon);
    }
    for (size_t i = 0; i < backbone->link_count; i++) {
        const struct backbone_link *link = &backbone->links[i];
        cdn_buf_printf(out, "%s%s," CDN_STR_FMT "," CDN_STR_FMT ",%.10g,%.3g\n",
                       link->is_border ? BORDER : "", link->is_sea ? "sea" : "land",
                       CDN_STR_ARG(backbone->nodes[link->from].name),
                       CDN_STR_ARG(backbone->nodes[link->to].name), link->route, link->fit);
    }
}
