/* bench-dns-db: the embedded database as gdnsd wants one: a type with "City" in it, nested location.latitude
 * and longitude of type double, country.iso_code, continent.code.
 *
 *     bench-dns-db OUT.mmdb
 */
#include "common/status.h"
#include "common/str.h"
#include "geo-data/geo.h"
#include "geo-data/mmdb_encode.h"
#include "geo-data/tools/mmdb_writer.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/banned.h"

struct copying {
    const struct geo_db *db;
    struct mmdb_writer *writer;
    int family;
};

static void put_text_map(struct copying *c, struct cdn_buf *out, struct cdn_str name, struct cdn_str key,
                         struct cdn_str value)
{
    mmdb_writer_put_shared(c->writer, out, name);
    mmdb_put_map(out, 1);
    mmdb_writer_put_shared(c->writer, out, key);
    mmdb_writer_put_shared(c->writer, out, value);
}

static bool copy_network(void *self, const struct geo_net *net)
{
    struct copying *c = self;
    struct geo_record r;
    if (net->entry == GEO_ENTRY_NONE || geo_entry_record(c->db, c->family, net->entry, &r) != CDN_OK) {
        return true;
    }
    CDN_AUTOBUF struct cdn_buf out = {0};
    mmdb_put_map(&out, 3);
    put_text_map(c, &out, CDN_STR("country"), CDN_STR("iso_code"), r.country_code);
    put_text_map(c, &out, CDN_STR("continent"), CDN_STR("code"), r.continent_code);
    mmdb_writer_put_shared(c->writer, &out, CDN_STR("location"));
    mmdb_put_map(&out, 2);
    mmdb_writer_put_shared(c->writer, &out, CDN_STR("latitude"));
    mmdb_put_double(&out, r.lat);
    mmdb_writer_put_shared(c->writer, &out, CDN_STR("longitude"));
    mmdb_put_double(&out, r.lon);
    mmdb_writer_insert(c->writer, c->family, net->address, net->prefix_len,
                       mmdb_writer_add(c->writer, cdn_buf_str(&out)));
    return true;
}

static enum cdn_status copy(struct mmdb_writer *writer, const char *path, struct cdn_error *err)
{
    struct geo_db *db;
    CDN_AUTOBUF struct cdn_buf file = {0};
    static const struct mmdb_metadata metadata = {
        .database_type = "GeoLite2-City", .description = "benchmark", .language = "en", .build_epoch = 1};
    enum cdn_status status = geo_db_open_embedded(&db, err);
    if (status != CDN_OK) {
        return status;
    }
    struct copying v4 = {db, writer, AF_INET}, v6 = {db, writer, AF_INET6};
    status = geo_walk(db, AF_INET6, copy_network, &v6, err);
    if (status == CDN_OK) {
        status = geo_walk(db, AF_INET, copy_network, &v4, err);
    }
    mmdb_writer_alias_ipv4(writer);
    if (status == CDN_OK) {
        status = mmdb_writer_finish(writer, &metadata, &file, err);
    }
    geo_db_unref(db);
    FILE *out = status == CDN_OK ? fopen(path, "wb") : NULL;
    if (status == CDN_OK && (!out || fwrite(file.p, 1, file.n, out) != file.n)) {
        status = cdn_error_set(err, CDN_IO, "%s cannot be written", path);
    }
    if (out && fclose(out) != 0) {
        status = cdn_error_set(err, CDN_IO, "%s cannot be written", path);
    }
    return status;
}

int main(int argc, char **argv)
{
    struct cdn_error err = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: bench-dns-db OUT.mmdb\n");
        return cdn_status_exit_code(CDN_USAGE);
    }
    struct mmdb_writer *writer = mmdb_writer_create(6);
    enum cdn_status status = copy(writer, argv[1], &err);
    mmdb_writer_destroy(writer);
    if (status != CDN_OK) {
        fprintf(stderr, "bench-dns-db: %s\n", err.text);
    }
    return cdn_status_exit_code(status);
}
