/* geo: opening, closing and look-up; see geo.h. file.c opens one file, walk.c visits
 * whole ones. */
#include "geo-data/geo.h"

#include "common/mem.h"
#include "geo-data/combinations.h"
#include "geo-data/database.h"
#include "geo-data/embedded.h"
#include "geo-data/special.h"

#include <maxminddb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

static const char *const precision_words[] = {
#define X(name, word) word,
    GEO_PRECISION_TABLE(X)
#undef X
};

const char *geo_precision_word(enum geo_precision precision)
{
    return precision_words[precision];
}

/* ---- opening ---- */

/* The files that answer each family, in the order given. */
static void choose_files(struct geo_db *db)
{
    for (size_t i = 0; i < db->file_count; i++) {
        const struct geo_file *file = &db->files[i];
        if (file->answers_ipv4) {
            db->ipv4.files[db->ipv4.count++] = file;
        }
        if (file->answers_ipv6) {
            db->ipv6.files[db->ipv6.count++] = file;
        }
    }
}

static enum cdn_status file_open(const char *path, struct geo_file *file, struct cdn_error *err)
{
    bool is_embedded = strcmp(path, GEO_EMBEDDED) == 0;
    return geo_file_open(is_embedded ? NULL : path, is_embedded ? geo_embedded_world() : CDN_STR(""), file,
                         err);
}

static struct geo_db *db_create(void)
{
    struct geo_db *db = cdn_calloc(1, sizeof(*db));
    atomic_init(&db->owners, 1);
    db->ipv4.combinations = geo_combinations_create();
    db->ipv6.combinations = geo_combinations_create();
    return db;
}

enum cdn_status geo_db_open(const char *const paths[], size_t n, struct geo_db **ret_db,
                            struct cdn_error *err)
{
    if (n < 1 || n > GEO_FILES_MAX) {
        return cdn_error_set(err, CDN_INVALID, "%zu databases given, 1 to %u expected", n, GEO_FILES_MAX);
    }
    struct geo_db *db = db_create();
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < n && status == CDN_OK; i++) {
        status = file_open(paths[i], &db->files[i], err);
        db->file_count += status == CDN_OK;
    }
    if (status != CDN_OK) {
        geo_db_unref(db);
        return status;
    }
    choose_files(db);
    *ret_db = db;
    return CDN_OK;
}

enum cdn_status geo_db_open_embedded(struct geo_db **ret_db, struct cdn_error *err)
{
    return geo_db_open((const char *const[]){GEO_EMBEDDED}, 1, ret_db, err);
}

struct geo_db *geo_db_ref(struct geo_db *db)
{
    atomic_fetch_add_explicit(&db->owners, 1, memory_order_relaxed);
    return db;
}

void geo_db_unref(struct geo_db *db)
{
    if (!db || atomic_fetch_sub_explicit(&db->owners, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < db->file_count; i++) {
        geo_file_close(&db->files[i]);
    }
    geo_combinations_destroy(db->ipv4.combinations);
    geo_combinations_destroy(db->ipv6.combinations);
    free(db);
}

/* ---- look-up ---- */

/* What the files of a family say: for each its entry or GEO_ENTRY_NONE. */
struct found {
    const struct geo_family *family; /* NULL: the address is of no family */
    uint32_t entries[GEO_FILES_MAX];
    unsigned prefix_len; /* of the network that the answers hold for */
};

static enum cdn_status file_find(const struct geo_file *file, const struct sockaddr *address,
                                 uint32_t *ret_entry, unsigned *prefix_len)
{
    int code = MMDB_SUCCESS;
    MMDB_lookup_result_s found = MMDB_lookup_sockaddr(&file->mmdb, address, &code);
    *ret_entry = GEO_ENTRY_NONE;
    if (code != MMDB_SUCCESS) {
        return CDN_CORRUPT;
    }
    unsigned len = found.netmask;
    if (address->sa_family == AF_INET && file->mmdb.metadata.ip_version == 6) {
        len = len > 96 ? len - 96 : 0;
    }
    if (len > *prefix_len) {
        *prefix_len = len;
    }
    if (!found.found_entry) {
        return CDN_NOT_FOUND;
    }
    *ret_entry = found.entry.offset;
    return CDN_OK;
}

static enum cdn_status find_entries(const struct geo_db *db, const struct sockaddr *address,
                                    struct found *ret)
{
    ret->family = NULL;
    ret->prefix_len = 0;
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    bool is_ipv4 = geo_address_ipv4(address, &ipv4.sin_addr) != 0;
    if (!is_ipv4 && address->sa_family != AF_INET6) {
        return CDN_NOT_FOUND;
    }
    ret->family = is_ipv4 ? &db->ipv4 : &db->ipv6;
    const struct sockaddr *asked = is_ipv4 ? (const struct sockaddr *)&ipv4 : address;
    enum cdn_status all = CDN_NOT_FOUND;
    for (size_t i = 0; i < ret->family->count; i++) {
        enum cdn_status one = file_find(ret->family->files[i], asked, &ret->entries[i], &ret->prefix_len);
        if (all != CDN_OK && one != CDN_NOT_FOUND) {
            all = one;
        }
    }
    return all;
}

static uint32_t entry_of(const struct found *found)
{
    return found->family->count == 1
               ? found->entries[0]
               : geo_combinations_number(found->family->combinations, found->entries, found->family->count);
}

enum cdn_status geo_lookup(const struct geo_db *db, const struct sockaddr *address,
                           struct geo_record *ret_record)
{
    struct found found;
    *ret_record = (struct geo_record){.entry = GEO_ENTRY_NONE};
    enum cdn_status status = find_entries(db, address, &found);
    if (status == CDN_OK) {
        status = geo_files_record(found.family->files, found.entries, found.family->count, ret_record);
    }
    if (status == CDN_OK) {
        ret_record->entry = entry_of(&found);
    }
    ret_record->prefix_len = found.prefix_len;
    return status;
}

enum cdn_status geo_lookup_entry(const struct geo_db *db, const struct sockaddr *address, uint32_t *ret_entry,
                                 unsigned *ret_prefix_len)
{
    struct found found;
    enum cdn_status status = find_entries(db, address, &found);
    *ret_entry = status == CDN_OK ? entry_of(&found) : GEO_ENTRY_NONE;
    *ret_prefix_len = found.prefix_len;
    return status;
}

enum cdn_status geo_entry_record(const struct geo_db *db, int family_number, uint32_t entry,
                                 struct geo_record *ret_record)
{
    const struct geo_family *family = family_number == AF_INET ? &db->ipv4 : &db->ipv6;
    uint32_t entries[GEO_FILES_MAX] = {entry};
    *ret_record = (struct geo_record){.entry = GEO_ENTRY_NONE};
    if (family->count == 0 || entry == GEO_ENTRY_NONE) {
        return CDN_NOT_FOUND;
    }
    if (family->count > 1) {
        geo_combinations_get(family->combinations, entry, entries, family->count);
    }
    enum cdn_status status = geo_files_record(family->files, entries, family->count, ret_record);
    ret_record->entry = status == CDN_OK ? entry : GEO_ENTRY_NONE;
    return status;
}

/* ---- information ---- */

size_t geo_db_file_count(const struct geo_db *db)
{
    return db->file_count;
}

static const char *description(const MMDB_metadata_s *m)
{
    for (size_t i = 0; i < m->description.count; i++) {
        if (strcmp(m->description.descriptions[i]->language, "en") == 0) {
            return m->description.descriptions[i]->description;
        }
    }
    return m->description.count ? m->description.descriptions[0]->description : "";
}

void geo_db_info(const struct geo_db *db, size_t i, struct geo_info *ret_info)
{
    const struct geo_file *file = &db->files[i];
    const MMDB_metadata_s *m = &file->mmdb.metadata;
    *ret_info = (struct geo_info){
        .path = file->path,
        .type = m->database_type,
        .build_epoch = m->build_epoch,
        .file_size = (uint64_t)file->mmdb.file_size,
        .node_count = m->node_count,
        .record_size = m->record_size,
        .ip_version = m->ip_version,
        .answers_ipv4 = file->answers_ipv4,
        .answers_ipv6 = file->answers_ipv6,
        .description = description(m),
    };
    for (size_t k = 0; k < m->languages.count && k < GEO_INFO_LIST_MAX; k++) {
        ret_info->languages[ret_info->language_count++] = m->languages.names[k];
    }
}

const struct MMDB_s *geo_db_mmdb(const struct geo_db *db, size_t i)
{
    return &db->files[i].mmdb;
}
