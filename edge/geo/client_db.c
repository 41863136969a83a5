/* client_db: a stamp of names, inodes, sizes and times tells whether files are as they were; who replaces a
 * database by renaming, as every updater does, changes all of them. */
#include "edge/geo/client_db.h"

#include "common/config/config.h"
#include "common/mix.h"
#include "common/status.h"
#include "geo-data/geo.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/banned.h"

static uint64_t stamp_of(const char *const paths[], size_t n)
{
    uint64_t h = n;
    for (size_t i = 0; i < n; i++) {
        struct stat st = {0};
        for (const char *c = paths[i]; *c; c++) {
            h = cdn_mix64(h ^ (unsigned char)*c);
        }
        if (stat(paths[i], &st) == 0) {
            const uint64_t facts[] = {(uint64_t)st.st_ino, (uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
                                      (uint64_t)st.st_mtim.tv_nsec};
            for (size_t k = 0; k < sizeof(facts) / sizeof(*facts); k++) {
                h = cdn_mix64(h ^ facts[k]);
            }
        }
    }
    return h;
}

enum cdn_status edge_client_db_open(const struct cdn_config_list *files, const struct edge_client_db *before,
                                    struct edge_client_db *ret, struct cdn_error *err)
{
    const char *paths[GEO_FILES_MAX] = {GEO_EMBEDDED};
    size_t n = 0;
    struct edge_client_db db = {0};
    for (; n < files->n && n < GEO_FILES_MAX; n++) {
        paths[n] = files->items[n].key;
    }
    n = n ? n : 1;
    db.stamp = stamp_of(paths, n);
    if (before && before->db && before->stamp == db.stamp) {
        db.db = geo_db_ref(before->db);
    } else if (geo_db_open(paths, n, &db.db, err) != CDN_OK) {
        return cdn_error_prefix(err, "geo_db");
    }
    *ret = db;
    return CDN_OK;
}

void edge_client_db_close(struct edge_client_db *db)
{
    geo_db_unref(db->db);
    *db = (struct edge_client_db){0};
}
