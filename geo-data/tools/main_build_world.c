/* build-world: makes world.mmdb from the two full files (see prune.h for the method, README.md for the
 * figures).
 *
 *   build-world IPV4.mmdb IPV6.mmdb OUT.mmdb [cell-degrees cap-km lambda-ipv4 lambda-ipv6]
 */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/database.h"
#include "geo-data/geo.h"
#include "geo-data/tools/mmdb_writer.h"
#include "geo-data/tools/prune.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define DESCRIPTION \
    "Pruned from DB-IP City Lite. IP Geolocation by DB-IP, https://db-ip.com, CC BY 4.0. Places are cells."

/* Chosen so that the file stays under 1.6 MB; README.md says what else was tried. */
static const struct prune_settings defaults = {
    .cell_degrees = 1.25, .cap_km = 1000, .lambda_ipv4 = 4.7e5, .lambda_ipv6 = 1.3e5};

static bool read_settings(char *const *texts, struct prune_settings *settings)
{
    double *const members[] = {&settings->cell_degrees, &settings->cap_km, &settings->lambda_ipv4,
                               &settings->lambda_ipv6};
    for (size_t i = 0; i < CDN_ARRAY_LEN(members); i++) {
        char *end;
        *members[i] = strtod(texts[i], &end);
        if (*end != '\0' || !(*members[i] > 0 && *members[i] < 1e12)) {
            fprintf(stderr, "build-world: '%s' is not a positive number\n", texts[i]);
            return false;
        }
    }
    return true;
}

static enum cdn_status save(const char *path, struct cdn_str bytes, struct cdn_error *err)
{
    CDN_AUTOFREE char *part = cdn_asprintf("%s.part", path);
    FILE *file = fopen(part, "wb");
    if (!file) {
        return cdn_error_set(err, CDN_IO, "%s: %s", part, strerror(errno));
    }
    bool written = fwrite(bytes.p, 1, bytes.n, file) == bytes.n;
    if (fclose(file) != 0 || !written || rename(part, path) != 0) {
        return cdn_error_set(err, CDN_IO, "%s: %s", path, strerror(errno));
    }
    return CDN_OK;
}

static enum cdn_status build(char *const *paths, const struct prune_settings *settings, struct cdn_error *err)
{
    struct geo_db *db;
    enum cdn_status status = geo_db_open((const char *const[]){paths[0], paths[1]}, 2, &db, err);
    if (status != CDN_OK) {
        return status;
    }
    struct mmdb_writer *writer = mmdb_writer_create(6);
    struct geo_info source;
    geo_db_info(db, 0, &source);
    status = prune(db, settings, writer, err);
    CDN_AUTOBUF struct cdn_buf file = {0};
    if (status == CDN_OK) {
        mmdb_writer_alias_ipv4(writer);
        const struct mmdb_metadata metadata = {.database_type = GEO_WORLD_TYPE,
                                               .description = DESCRIPTION,
                                               .language = "en",
                                               .build_epoch = source.build_epoch,
                                               .record_size = 24};
        status = mmdb_writer_finish(writer, &metadata, &file, err);
    }
    if (status == CDN_OK) {
        status = save(paths[2], cdn_buf_str(&file), err);
    }
    if (status == CDN_OK) {
        printf("%s: %zu bytes\n", paths[2], file.n);
    }
    mmdb_writer_destroy(writer);
    geo_db_unref(db);
    return status;
}

int main(int argc, char **argv)
{
    struct prune_settings settings = defaults;
    if ((argc != 4 && argc != 8) || (argc == 8 && !read_settings(argv + 4, &settings))) {
        fprintf(stderr, "usage: build-world IPV4.mmdb IPV6.mmdb OUT.mmdb "
                        "[cell-degrees cap-km lambda-ipv4 lambda-ipv6]\n");
        return cdn_status_exit_code(CDN_USAGE);
    }
    struct cdn_error err;
    enum cdn_status status = build(argv + 1, &settings, &err);
    if (status != CDN_OK) {
        fprintf(stderr, "build-world: %s\n", err.text);
    }
    return cdn_status_exit_code(status);
}
