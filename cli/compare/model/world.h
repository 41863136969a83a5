/* world: who is where in a comparison: clients, edges, origin and router, and which edge each client is
 * sent to, by the router's own code.
 *
 * A client is a place, or an address out of a log, with a weight: the requests that it stands for. Of a place
 * an address near it is looked up, as the network between the places does, and the router's decision on that
 * address counts. (Of very many places that would take too long; they are decided by their coordinates.)
 */
#ifndef CDN_CLI_COMPARE_WORLD_H
#define CDN_CLI_COMPARE_WORLD_H
#include "common/parse.h"
#include "common/status.h"
#include "geo-data/latency.h"
#include "router/base/edges.h"
#include "router/table/table.h"

#include <stddef.h>
#include <stdint.h>

#define WORLD_CITIES_MAX 2000u
#define WORLD_ASKED_MAX 64u      /* real requests: that many at once */
#define WORLD_ADDRESSES_MAX 100u /* cities of which an address is looked up */

struct world_place {
    char *name;        /* "Tokyo"; of a log the nearest city */
    char country[3];   /* "JP", or "" */
    char continent[3]; /* "AS", or "" */
    struct geo_rtt_point point;
};

struct world_city {
    struct world_place at;
    struct cdn_addr address;             /* of the client; family 0: not looked up */
    double weight;                       /* 1 unless out of a log */
    uint16_t edge;                       /* of the router's table; ROUTER_NO_EDGE: there is none */
    double km;                           /* to the edge, great circle */
    float edge_ms, origin_ms, router_ms; /* modelled RTT, without the last mile */
    float behind_ms;                     /* of the edge to the origin */
};

struct world {
    struct router_table *table;
    char *config; /* path of the cdn.yaml, "" for the built-in edges */
    struct world_place origin, router;
    struct geo_rtt_point *edges; /* by number in the table */
    struct world_city *cities;
    size_t n;
    uint64_t lines, skipped; /* of a log: read, and without an address that has a place */
};

/* `config` NULL: the built-in edges, the origin in Frankfurt. */
enum cdn_status world_open(const char *config, struct world *ret, struct cdn_error *err) CDN_MUST_CHECK;
void world_free(struct world *world); /* may be zeroed */

/* Adds cities; the same place twice is once. CDN_NOT_FOUND names the closest spellings. */
enum cdn_status world_add_place(struct world *world, const char *text, double weight,
                                struct cdn_error *err) CDN_MUST_CHECK;
enum cdn_status world_add_address(struct world *world, const struct cdn_addr *address, double weight,
                                  struct cdn_error *err) CDN_MUST_CHECK;
/* 24 cities over all continents where people are, and more of the gazetteer's most populous up to `n`. */
#define WORLD_USUAL_CITIES 24u
enum cdn_status world_add_usual(struct world *world, size_t n, struct cdn_error *err) CDN_MUST_CHECK;
/* Those from `first` on by weight, most first; by name where that is the same. */
void world_sort(struct world *world, size_t first);
/* Leaves the `n` cities with most weight, in their order; returns how many went. */
size_t world_keep(struct world *world, size_t n);
/* A place a line; '#' lines and empty ones do not count. */
enum cdn_status world_add_lines(struct world *world, int fd, struct cdn_error *err) CDN_MUST_CHECK;

/* Sends everybody to an edge and fills in the times of the paths; to be called once all are added. */
enum cdn_status world_decide(struct world *world, struct cdn_error *err) CDN_MUST_CHECK;

static inline const char *world_edge_name(const struct world *world, uint16_t edge)
{
    return edge == UINT16_MAX ? "" : world->table->edges->at[edge].name;
}

#endif
