/* client_db: the databases that say where clients are, opened when a rule asks for the first time. A
 * reload that finds the same files as they were takes the open ones, since an old set of rules lives until
 * the end and with it what it has opened. */
#ifndef CDN_EDGE_CLIENT_DB_H
#define CDN_EDGE_CLIENT_DB_H
#include "common/config/config.h"
#include "common/status.h"

#include <stdint.h>

struct geo_db;

struct edge_client_db {
    struct geo_db *db; /* counted; NULL: none is needed */
    uint64_t stamp;    /* of the names, and of the files as they were */
};

/* `files` as the setting geo_db; `before` may be NULL. CDN_IO, CDN_CORRUPT and CDN_INVALID name the file. */
enum cdn_status edge_client_db_open(const struct cdn_config_list *files, const struct edge_client_db *before,
                                    struct edge_client_db *ret, struct cdn_error *err) CDN_MUST_CHECK;
void edge_client_db_close(struct edge_client_db *db); /* a zeroed one is fine */

#endif
