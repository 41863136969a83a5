/* releases: the database is asked for its version (PRAGMA data_version), which costs no read of its tables,
 * and for its inode, since a folder may be replaced as a whole. */
#include "origin/releases.h"

#include "common/log.h"
#include "common/mem.h"
#include "origin/base/path.h"
#include "origin/base/root.h"
#include "origin/release/blob.h"
#include "origin/release/store.h"
#include "origin/release/table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/banned.h"

struct origin_releases {
    char *folder, *database;
    struct release_store *store;
    struct origin_root *blobs;
    struct release_table *table;
    struct origin_releases_limits limits;
    int64_t version;
    ino_t ino;
    bool is_broken; /* and that was said */
};

/* What is on disk, whole; nothing changes when that fails. */
static enum cdn_status read_table(struct origin_releases *r, struct cdn_error *err)
{
    struct release_table *table;
    int64_t version;
    enum cdn_status status = release_store_version(r->store, &version, err);
    if (status == CDN_OK) {
        status =
            release_store_table(r->store, r->limits.lengths, r->limits.keep, r->limits.keep_ms, &table, err);
    }
    if (status == CDN_OK) {
        release_table_unref(r->table);
        r->table = table;
        r->version = version;
    }
    return status;
}

static enum cdn_status open_blobs(struct origin_releases *r, struct cdn_error *err)
{
    struct release_blobs *made;
    CDN_AUTOFREE char *folder = release_blob_folder(r->folder);
    enum cdn_status status = release_blobs_open(r->folder, &made, err);
    if (status == CDN_OK) {
        release_blobs_close(made);
        status = origin_root_open(folder, &r->blobs, err);
    }
    return status;
}

static void note_inode(struct origin_releases *r)
{
    struct stat st;
    r->ino = stat(r->database, &st) == 0 ? st.st_ino : 0;
}

enum cdn_status origin_releases_open(const char *folder, const struct origin_releases_limits *limits,
                                     struct origin_releases **ret, struct cdn_error *err)
{
    struct origin_releases *r = cdn_calloc(1, sizeof(*r));
    r->folder = cdn_strdup(folder);
    r->database = cdn_asprintf("%s/releases.db", folder);
    r->limits = *limits;
    enum cdn_status status = release_store_open(folder, true, &r->store, err);
    if (status == CDN_OK) {
        note_inode(r);
        status = open_blobs(r, err);
    }
    if (status == CDN_OK) {
        status = read_table(r, err);
    }
    if (status != CDN_OK) {
        origin_releases_close(r);
        return status;
    }
    *ret = r;
    return CDN_OK;
}

void origin_releases_close(struct origin_releases *r)
{
    if (r) {
        release_store_close(r->store);
        origin_root_close(r->blobs);
        release_table_unref(r->table);
        free(r->folder);
        free(r->database);
        free(r);
    }
}

struct origin_root *origin_releases_blobs(const struct origin_releases *r)
{
    return r->blobs;
}

struct release_table *origin_releases_table(const struct origin_releases *r)
{
    return r->table;
}

/* Another database under the same name; or the same, once there is room for others again. */
static enum cdn_status follow(struct origin_releases *r, struct cdn_error *err)
{
    struct stat st;
    struct release_store *store;
    if (stat(r->database, &st) != 0 ||
        (st.st_ino == r->ino && r->store && !release_store_is_alone(r->store))) {
        return CDN_OK; /* in the middle of being replaced: what was served goes on */
    }
    release_store_close(CDN_TAKE(r->store));
    const enum cdn_status status = release_store_open(r->folder, false, &store, err);
    if (status == CDN_OK) {
        r->store = store;
        r->version = -1;
        r->ino = st.st_ino;
        origin_root_follow(r->blobs);
    }
    return status;
}

static enum cdn_status look(struct origin_releases *r, bool anyway, bool *ret_new, struct cdn_error *err)
{
    int64_t version;
    enum cdn_status status = follow(r, err);
    if (status == CDN_OK && !r->store) {
        status = cdn_error_set(err, CDN_NOT_FOUND, "%s is not there", r->database);
    }
    if (status == CDN_OK) {
        status = release_store_version(r->store, &version, err);
    }
    if (status != CDN_OK || (version == r->version && !anyway)) {
        return status;
    }
    const uint64_t before = release_table_current(r->table);
    status = read_table(r, err);
    *ret_new = status == CDN_OK;
    if (*ret_new && release_table_current(r->table) != before) {
        cdn_log(CDN_LOG_INFO, "release", "number=%llu files=%zu",
                (unsigned long long)release_table_current(r->table), release_table_count(r->table));
    }
    return status;
}

bool origin_releases_look(struct origin_releases *r, const struct origin_releases_limits *limits)
{
    struct cdn_error err;
    bool is_new = false;
    const bool anyway = limits && memcmp(limits, &r->limits, sizeof(*limits)) != 0;
    if (limits) {
        r->limits = *limits;
    }
    const bool fails = look(r, anyway, &is_new, &err) != CDN_OK;
    if (fails && !r->is_broken) {
        cdn_log(CDN_LOG_ERROR, "releases_unreadable", "error=%s", err.text);
    }
    r->is_broken = fails;
    return is_new;
}

json_t *origin_releases_json(const struct origin_releases *r)
{
    json_t *lengths = json_array();
    for (unsigned n = 1; n <= ORIGIN_HASH_DIGITS_MAX; n++) {
        if (r->limits.lengths >> (n - 1) & 1) {
            json_array_append_new(lengths, json_integer((json_int_t)n));
        }
    }
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:b}", "folder", r->folder, "current",
                     (json_int_t)release_table_current(r->table), "names",
                     (json_int_t)release_table_count(r->table), "keep_releases", (json_int_t)r->limits.keep,
                     "keep_age_ms", (json_int_t)r->limits.keep_ms, "immutable_digits", lengths, "readable",
                     !r->is_broken);
}
