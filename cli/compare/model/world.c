/* world: places and decisions are those of the router and of the geo library; this file only collects
 * them, so that the model and the real run speak of the same clients. */
#include "cli/compare/model/world.h"

#include "cli/base/options.h"
#include "cli/geo/geo.h"
#include "cli/geo/geo_input.h"
#include "common/config/config.h"
#include "common/mem.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "geo-data/geodesy.h"
#include "geo-data/near.h"
#include "geo-data/places.h"
#include "geo-data/special.h"
#include "origin/settings.h"
#include "router/base/edges.h"
#include "router/base/reason.h"
#include "router/choice/select.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

#define DEFAULT_ORIGIN "Frankfurt"
#define SAME_PLACE_DEGREES 0.005 /* half a kilometre */
#define SAME_CITY_KM 150.0       /* the database is no more exact: its clients are taken to be in that city */

static const char *const usual[WORLD_USUAL_CITIES] = {
    "Frankfurt", "London",        "Madrid",       "Stockholm", "Istanbul",  "Cairo",
    "Lagos",     "Nairobi",       "Johannesburg", "Dubai",     "Mumbai",    "Singapore",
    "Jakarta",   "Seoul",         "Tokyo",        "Sydney",    "Auckland",  "New York",
    "Chicago",   "San Francisco", "Mexico City",  "Lima",      "Sao Paulo", "Buenos Aires",
};

static void copy_code(char out[static 3], struct cdn_str code)
{
    out[0] = '\0';
    (void)cdn_str_copy(out, 3, code);
}

static struct world_place place_of(struct cdn_str name, struct cdn_str country, double lat, double lon)
{
    struct world_place place = {.name = cdn_str_dup(name)};
    const struct geo_country *found = geo_country_find(country);
    copy_code(place.country, country);
    copy_code(place.continent, found ? found->continent_code : (struct cdn_str){0});
    geo_rtt_point(lat, lon, &place.point);
    return place;
}

static enum cdn_status find_place(const char *text, struct world_place *ret, struct cdn_error *err)
{
    struct geo_place place;
    enum cdn_status status = geo_place_find(cdn_str(text), &place, err);
    if (status != CDN_OK) {
        return status;
    }
    struct cdn_str country = place.country_code;
    if (!country.n) { /* coordinates: in the country of the nearest city, for grouping */
        country = geo_place_nearest(place.lat, place.lon, NULL)->country_code;
    }
    *ret = place_of(place.name.n ? place.name : cdn_str(text), country, place.lat, place.lon);
    return CDN_OK;
}

/* ---- the CDN ---- */

/* What is read of a cdn.yaml beside the router's part. */
#define WAN_PART(X)                                                                        \
    X(STRING, origin_place, "", 0, 200, NULL, RESTART, "PLACE", "Where the origin stands") \
    X(STRING, router_place, "", 0, 200, NULL, RESTART, "PLACE", "Where the router stands")
CDN_CONFIG_STRUCT(wan_part, WAN_PART);
#define WAN_ROW(...) CDN_CONFIG_ROW_OF(struct wan_part, __VA_ARGS__)
static const struct cdn_config_row wan_rows[] = {WAN_PART(WAN_ROW)};
static const struct cdn_config_program wan_part_program = {.name = "pocketcdn compare",
                                                           .env = "WAN",
                                                           .sections = {"wan"},
                                                           .others_rows = true,
                                                           .rows = wan_rows,
                                                           .row_count = CDN_ARRAY_LEN(wan_rows),
                                                           .settings_size = sizeof(struct wan_part)};

static const char *first_of(const char *a, const char *b)
{
    return a && a[0] ? a : b;
}

/* Where origin and router stand: as the network between the places takes it. */
static enum cdn_status open_ends(struct world *world, struct cdn_error *err)
{
    struct origin_settings origin = {0};
    struct wan_part wan = {0};
    const char *config = world->config[0] ? world->config : NULL;
    const struct router_edges *edges = world->table->edges;
    const char *beside = !config ? DEFAULT_ORIGIN : edges->count ? edges->at[0].place : DEFAULT_ORIGIN;
    enum cdn_status status = CDN_OK;
    if (config) {
        status = cdn_config_load_item(&origin_program, config, 0, &origin, err);
        if (status == CDN_OK) {
            status = cdn_config_load_item(&wan_part_program, config, 0, &wan, err);
        }
    }
    const char *at = first_of(origin.place, first_of(wan.origin_place, beside));
    if (status == CDN_OK) {
        status = find_place(at, &world->origin, err);
    }
    if (status == CDN_OK) {
        status = find_place(first_of(wan.router_place, at), &world->router, err);
    }
    if (config) {
        cdn_config_free(&origin_program, &origin);
        cdn_config_free(&wan_part_program, &wan);
    }
    return status;
}

enum cdn_status world_open(const char *config, struct world *ret, struct cdn_error *err)
{
    struct cli_list no_databases = {0};
    struct world world = {.config = cdn_strdup(config ? config : "")};
    enum cdn_status status = geo_table_make(config, &no_databases, &world.table, err);
    if (status == CDN_OK && world.table->edges->count == 0) {
        status = cdn_error_set(err, CDN_INVALID, "%s: edges: there is none to compare with",
                               config ? config : "the configuration");
    }
    if (status == CDN_OK) {
        status = open_ends(&world, err);
    }
    if (status != CDN_OK) {
        world_free(&world);
        return status;
    }
    const struct router_edges *edges = world.table->edges;
    world.edges = cdn_calloc(edges->count, sizeof(*world.edges));
    for (size_t i = 0; i < edges->count; i++) {
        geo_rtt_point(edges->at[i].lat, edges->at[i].lon, &world.edges[i]);
    }
    *ret = world;
    return CDN_OK;
}

void world_free(struct world *world)
{
    for (size_t i = 0; i < world->n; i++) {
        free(world->cities[i].at.name);
    }
    free(world->cities);
    free(world->edges);
    free(world->origin.name);
    free(world->router.name);
    free(world->config);
    router_table_unref(world->table);
    *world = (struct world){0};
}

/* ---- clients ---- */

static bool is_same(const struct world_place *a, const struct world_place *b)
{
    return fabs(a->point.lat - b->point.lat) < SAME_PLACE_DEGREES &&
           fabs(a->point.lon - b->point.lon) < SAME_PLACE_DEGREES;
}

/* Takes the place's name. */
static enum cdn_status add_city(struct world *world, struct world_place *take, const struct cdn_addr *address,
                                double weight, struct cdn_error *err)
{
    for (size_t i = 0; i < world->n; i++) {
        if (is_same(&world->cities[i].at, take)) {
            world->cities[i].weight += address ? weight : 0; /* another client of a log */
            free(take->name);
            return CDN_OK;
        }
    }
    if (world->n == WORLD_CITIES_MAX) {
        free(take->name);
        return cdn_error_set(err, CDN_TOO_LARGE, "more than %u places", WORLD_CITIES_MAX);
    }
    world->cities = cdn_realloc(world->cities, world->n + 1, sizeof(*world->cities));
    struct world_city *city = &world->cities[world->n++];
    *city = (struct world_city){.at = *take, .weight = weight};
    if (address) {
        city->address = *address;
    }
    return CDN_OK;
}

enum cdn_status world_add_place(struct world *world, const char *text, double weight, struct cdn_error *err)
{
    struct world_place place;
    enum cdn_status status = find_place(text, &place, err);
    return status != CDN_OK ? status : add_city(world, &place, NULL, weight, err);
}

enum cdn_status world_add_address(struct world *world, const struct cdn_addr *address, double weight,
                                  struct cdn_error *err)
{
    const struct router_question question = {.client = *address};
    struct router_where where;
    char text[CDN_ADDR_TEXT_SIZE];
    router_resolve(world->table, &question, NULL, &where);
    cdn_addr_format_ip(address, text);
    if (where.reason == ROUTER_REASON_SPECIAL) { /* a router has to send it somewhere; it is nowhere */
        return cdn_error_set(err, CDN_NOT_FOUND, "%s: %s (%s), which is at no place", text,
                             where.special->text, where.special->source);
    }
    if (!where.record.has_coordinates) {
        return cdn_error_set(err, CDN_NOT_FOUND, "%s: the database has no place for it", text);
    }
    double km;
    const struct geo_place *city = geo_place_nearest(where.record.lat, where.record.lon, &km);
    struct cdn_str country = where.record.country_code.n ? where.record.country_code : city->country_code;
    struct world_place place = km <= SAME_CITY_KM
                                   ? place_of(city->name, city->country_code, city->lat, city->lon)
                                   : place_of(city->name, country, where.record.lat, where.record.lon);
    return add_city(world, &place, address, weight, err);
}

static int by_population(const void *a, const void *b)
{
    const struct geo_place *x = *(const struct geo_place *const *)a, *y = *(const struct geo_place *const *)b;
    if (x->population_k != y->population_k) {
        return x->population_k < y->population_k ? 1 : -1;
    }
    return (x > y) - (x < y); /* the file's order */
}

static enum cdn_status add_populous(struct world *world, size_t n, struct cdn_error *err)
{
    size_t count = geo_place_count();
    CDN_AUTOFREE const struct geo_place **sorted = cdn_calloc(count, sizeof(struct geo_place *));
    for (size_t i = 0; i < count; i++) {
        sorted[i] = geo_place_at(i);
    }
    qsort(sorted, count, sizeof(struct geo_place *), by_population);
    for (size_t i = 0; i < count && world->n < n; i++) {
        const struct geo_place *city = sorted[i];
        struct world_place place = place_of(city->name, city->country_code, city->lat, city->lon);
        enum cdn_status status = add_city(world, &place, NULL, 1, err);
        if (status != CDN_OK) {
            return status;
        }
    }
    return world->n >= n
               ? CDN_OK
               : cdn_error_set(err, CDN_USAGE, "--cities: the gazetteer has %zu, not %zu", world->n, n);
}

enum cdn_status world_add_usual(struct world *world, size_t n, struct cdn_error *err)
{
    for (size_t i = 0; i < WORLD_USUAL_CITIES && i < n; i++) {
        enum cdn_status status = world_add_place(world, usual[i], 1, err);
        if (status != CDN_OK) {
            return status;
        }
    }
    return n > WORLD_USUAL_CITIES ? add_populous(world, n, err) : CDN_OK;
}

enum cdn_status world_add_lines(struct world *world, int fd, struct cdn_error *err)
{
    struct geo_reader reader;
    struct cdn_str line;
    enum cdn_status status, added = CDN_OK;
    geo_reader_init(&reader, fd, NULL, NULL);
    while (added == CDN_OK && (status = geo_reader_line(&reader, &line, err)) == CDN_OK) {
        line = cdn_str_trim(line);
        if (line.n && line.p[0] != '#') {
            CDN_AUTOFREE char *text = cdn_str_dup(line);
            added = world_add_place(world, text, 1, err);
        }
    }
    uint64_t at = reader.line;
    geo_reader_fini(&reader);
    if (added == CDN_OK && status == CDN_NOT_FOUND) {
        err->text[0] = '\0';
        return CDN_OK;
    }
    return cdn_error_prefix(err, "standard input, line %llu", (unsigned long long)at);
}

static int by_requests(const void *a, const void *b)
{
    const struct world_city *x = a, *y = b;
    const int by = (x->weight < y->weight) - (x->weight > y->weight);
    return by ? by : strcmp(x->at.name, y->at.name);
}

void world_sort(struct world *world, size_t first)
{
    if (world->n > first) {
        qsort(world->cities + first, world->n - first, sizeof(*world->cities), by_requests);
    }
}

static int by_weight(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

size_t world_keep(struct world *world, size_t n)
{
    if (world->n <= n) {
        return 0;
    }
    CDN_AUTOFREE double *weights = cdn_calloc(world->n, sizeof(*weights));
    for (size_t i = 0; i < world->n; i++) {
        weights[i] = world->cities[i].weight;
    }
    qsort(weights, world->n, sizeof(*weights), by_weight);
    const double least = weights[n - 1];
    size_t kept = 0, more = 0, gone = world->n - n;
    for (size_t i = 0; i < n; i++) {
        more += weights[i] > least;
    }
    for (size_t i = 0, equal = 0; i < world->n; i++) {
        struct world_city *city = &world->cities[i];
        bool keep = city->weight > least || (city->weight >= least && more + equal < n);
        equal += keep && !(city->weight > least);
        if (keep) {
            world->cities[kept++] = *city;
        } else {
            free(city->at.name);
        }
    }
    world->n = kept;
    return gone;
}

/* ---- decisions ---- */

/* An address near each place that has none. */
static enum cdn_status find_addresses(struct world *world, struct cdn_error *err)
{
    CDN_AUTOFREE struct geo_near *points = cdn_calloc(world->n, sizeof(*points));
    struct geo_db *db;
    size_t n = 0;
    for (size_t i = 0; i < world->n; i++) {
        const struct world_city *city = &world->cities[i];
        if (city->address.sa.sa_family == 0) {
            points[n++] = (struct geo_near){.lat = city->at.point.lat, .lon = city->at.point.lon};
        }
    }
    if (n == 0 || n > WORLD_ADDRESSES_MAX) {
        return CDN_OK;
    }
    enum cdn_status status = geo_db_open_embedded(&db, err);
    if (status == CDN_OK) {
        status = geo_near_find(db, points, n, err);
        geo_db_unref(db);
    }
    for (size_t i = 0, k = 0; i < world->n && status == CDN_OK; i++) {
        if (world->cities[i].address.sa.sa_family == 0) {
            const struct geo_near *point = &points[k++];
            if (isfinite(point->km)) {
                world->cities[i].address = point->address;
            }
        }
    }
    return status;
}

static void decide(struct world *world, struct world_city *city)
{
    struct router_decision decision = {0};
    const struct router_question question = {.client = city->address};
    if (city->address.sa.sa_family) {
        router_decide(world->table, &question, NULL, &decision);
    } else {
        decision.where = (struct router_where){.reason = ROUTER_REASON_GEO, .edge = ROUTER_NO_EDGE};
        decision.where.record = (struct geo_record){.precision = GEO_PRECISION_CITY,
                                                    .has_coordinates = true,
                                                    .lat = city->at.point.lat,
                                                    .lon = city->at.point.lon};
        router_decide_where(world->table, &question, NULL, &decision);
    }
    city->edge = decision.choice.edge;
    city->origin_ms = geo_rtt_between(&city->at.point, &world->origin.point);
    city->router_ms = geo_rtt_between(&city->at.point, &world->router.point);
    if (city->edge != ROUTER_NO_EDGE) {
        const struct geo_rtt_point *edge = &world->edges[city->edge];
        city->km = geo_distance_km(city->at.point.lat, city->at.point.lon, edge->lat, edge->lon);
        city->edge_ms = geo_rtt_between(&city->at.point, edge);
        city->behind_ms = geo_rtt_between(edge, &world->origin.point);
    }
}

enum cdn_status world_decide(struct world *world, struct cdn_error *err)
{
    enum cdn_status status = find_addresses(world, err);
    for (size_t i = 0; i < world->n && status == CDN_OK; i++) {
        decide(world, &world->cities[i]);
        if (world->cities[i].edge == ROUTER_NO_EDGE) {
            status = cdn_error_set(err, CDN_UNAVAILABLE, "no edge can serve clients in %s",
                                   world->cities[i].at.name);
        }
    }
    return status;
}
