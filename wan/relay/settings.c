/* settings: the tables of settings.h as common/config reads them. The parts of the other programs' sections
 * are tables of our own, with the same names and defaults, since this program knows the programs at its ends
 * by cdn.yaml only. */
#include "wan/relay/settings.h"

#include "common/mem.h"

#include <stdbool.h>

#include "common/banned.h"

#define ROW(...) CDN_CONFIG_ROW_OF(struct wan_settings, __VA_ARGS__)
static const struct cdn_config_row rows[] = {WAN_SETTINGS(ROW)};

const struct cdn_config_program wan_program = {
    .name = "pocketcdn-wan",
    .env = "WAN",
    .summary =
        "The network between the places of a CDN: relays connections and takes the time that a path has.",
    .usage = "pocketcdn-wan -c cdn.yaml [--listen HOST:PORT] [--admin HOST:PORT] [--state DIR] [--allow "
             "HOST:PORT[=PLACE]]...",
    .sections = {"cdn", "wan"},
    .rows = rows,
    .row_count = CDN_ARRAY_LEN(rows),
    .settings_size = sizeof(struct wan_settings),
};

#define ORIGIN_ROW(...) CDN_CONFIG_ROW_OF(struct wan_origin_part, __VA_ARGS__)
static const struct cdn_config_row origin_rows[] = {WAN_ORIGIN_PART(ORIGIN_ROW)};
#define EDGE_ROW(...) CDN_CONFIG_ROW_OF(struct wan_edge_part, __VA_ARGS__)
static const struct cdn_config_row edge_rows[] = {WAN_EDGE_PART(EDGE_ROW)};
#define ROUTER_ROW(...) CDN_CONFIG_ROW_OF(struct wan_router_part, __VA_ARGS__)
static const struct cdn_config_row router_rows[] = {WAN_ROUTER_PART(ROUTER_ROW)};
#define URL_ROW(...) CDN_CONFIG_ROW_OF(struct wan_url_part, __VA_ARGS__)
static const struct cdn_config_row url_rows[] = {WAN_URL_PART(URL_ROW)};
#define ROOT_ROW(...) CDN_CONFIG_ROW_OF(struct wan_root_part, __VA_ARGS__)
static const struct cdn_config_row root_rows[] = {WAN_ROOT_PART(ROOT_ROW)};

/* A part of others' sections: what it does not know is theirs. */
#define PART(rows_, strukt)                                                           \
    .name = "pocketcdn-wan", .env = "WAN_PART", .others_rows = true, .rows = (rows_), \
    .row_count = CDN_ARRAY_LEN(rows_), .settings_size = sizeof(strukt)

const struct cdn_config_program wan_origin_program = {PART(origin_rows, struct wan_origin_part),
                                                      .sections = {"cdn", "origin"}};
const struct cdn_config_program wan_edge_program = {PART(edge_rows, struct wan_edge_part),
                                                    .sections = {"cdn", "edge"}, .list = "edges"};
const struct cdn_config_program wan_router_program = {PART(router_rows, struct wan_router_part),
                                                      .sections = {"cdn", "router"}};
const struct cdn_config_program wan_url_program = {PART(url_rows, struct wan_url_part),
                                                   .sections = {"edge", "cdn"}};
const struct cdn_config_program wan_root_program = {PART(root_rows, struct wan_root_part),
                                                    .sections = {"cdn", "origin"}};
