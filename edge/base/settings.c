/* settings: the rows of settings.h as the table by which common/config reads files, flags and the
 * environment. A setting is added as one row there: parser, --help and docs/settings.md follow
 * from it. */
#include "edge/base/settings.h"

#include <stdbool.h>

#include "common/banned.h"

#define ROW(...) CDN_CONFIG_ROW_OF(struct edge_settings, __VA_ARGS__)
static const struct cdn_config_row rows[] = {EDGE_SETTINGS(ROW)};

const struct cdn_config_program edge_program = {
    .name = "pocketcdn-edge",
    .env = "EDGE",
    .summary = "A caching reverse proxy: RAM and disk cache, one origin fetch for each object.",
    .usage = "pocketcdn-edge --name N --origin URL [--listen HOST:PORT] [options]",
    .sections = {"cdn", "edge", NULL},
    .list = "edges",
    .checks = true,
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(*rows),
    .settings_size = sizeof(struct edge_settings),
};
