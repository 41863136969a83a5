/* settings: the rows of settings.h as the table that common/config reads. Its own file, so that the
 * command can read an origin's settings without its daemon. */
#include "origin/settings.h"

#include "common/mem.h"

#include "common/banned.h"

#define ROW(...) CDN_CONFIG_ROW_OF(struct origin_settings, __VA_ARGS__)
static const struct cdn_config_row rows[] = {ORIGIN_SETTINGS(ROW)};

const struct cdn_config_program origin_program = {
    .name = "pocketcdn-origin",
    .env = "ORIGIN",
    .summary = "Serves a folder or published releases over HTTP, as the origin of a CDN.",
    .usage = "pocketcdn-origin --root DIR | --releases DIR [--listen HOST:PORT] [--admin HOST:PORT] "
             "[--place NAME|LAT,LON]",
    .sections = {"cdn", "origin", NULL},
    .rows = rows,
    .row_count = CDN_ARRAY_LEN(rows),
    .settings_size = sizeof(struct origin_settings),
};
