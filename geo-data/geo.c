/* geo: opening, closing and look-up; see geo.h. walk.c visits whole files. */
#include "geo-data/geo.h"

#include "geo-data/database.h"
#include "geo-data/embedded.h"
#include "geo-data/metadata.h"
#include "geo-data/special.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

static const char *const precision_words[][2] = {
#define X(name, word, text) {word, text},
    GEO_PRECISION_TABLE(X)
#undef X
};

const char *geo_precision_word(enum geo_precision precision)
{
    return precision_words[precision][0];
}

const char *geo_precision_text(enum geo_precision precision)
{
    return precision_words[precision][1];
}

/* ---- opening ---- */

static enum cdn_status check_readable(const char *path, struct cdn_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return cdn_error_set(err, CDN_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return cdn_error_set(err, CDN_IO, "%s: not a regular file", path);
    if (access(path, R_OK) != 0)
        return cdn_error_set(err, CDN_IO, "%s: %s", path, strerror(errno));
    return CDN_OK;
}

static enum cdn_status check_metadata(const MMDB_s *mmdb, const char *path, struct cdn_error *err)
{
    const MMDB_metadata_s *m = &mmdb->metadata;
    if (m->node_count == 0 || m->node_count > UINT32_MAX - 16)
        return cdn_error_set(err, CDN_CORRUPT, "%s: node_count %u makes no sense", path, m->node_count);
    if (m->ip_version != 4 && m->ip_version != 6)
        return cdn_error_set(err, CDN_CORRUPT, "%s: ip_version %u is neither 4 nor 6", path, m->ip_version);
    if (m->binary_format_major_version != 2)
        return cdn_error_set(err, CDN_CORRUPT, "%s: format version %u, not 2", path,
                             m->binary_format_major_version);
    if (!m->database_type)
        return cdn_error_set(err, CDN_CORRUPT, "%s: no database_type", path);
    uint64_t tree = (uint64_t)m->node_count * mmdb->full_record_byte_size;
    if (tree + 16 > (uint64_t)mmdb->file_size)
        return cdn_error_set(err, CDN_CORRUPT, "%s: the search tree of %u nodes is longer than the file",
                             path, m->node_count);
    return CDN_OK;
}

struct geo_node geo_file_node(const struct geo_file *file, uint32_t node)
{
    const uint8_t *p = file->mmdb.file_content + (size_t)node * file->mmdb.full_record_byte_size;
    uint32_t left = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
    switch (file->mmdb.metadata.record_size) {
    case 24:
        return (struct geo_node){{left, (uint32_t)p[3] << 16 | (uint32_t)p[4] << 8 | p[5]}};
    case 28:
        return (struct geo_node){{left | (uint32_t)(p[3] >> 4) << 24, (uint32_t)(p[3] & 15) << 24 |
                                                                          (uint32_t)p[4] << 16 |
                                                                          (uint32_t)p[5] << 8 | p[6]}};
    default: /* MMDB_open admits 24, 28 and 32 */
        return (struct geo_node){
            {left << 8 | p[3], (uint32_t)p[4] << 24 | (uint32_t)p[5] << 16 | (uint32_t)p[6] << 8 | p[7]}};
    }
}

bool geo_file_entry(const struct geo_file *file, uint32_t value, uint32_t *ret_entry)
{
    uint64_t offset = (uint64_t)value - file->mmdb.metadata.node_count;
    if (value <= file->mmdb.metadata.node_count || offset < 16 || offset - 16 >= file->data.n)
        return false;
    *ret_entry = (uint32_t)(offset - 16);
    return true;
}

/* Which families a file answers: a tree of 128 bits may have nothing under ::/96, or nothing outside of it.
 */
static void find_families(struct geo_file *file)
{
    if (file->mmdb.metadata.ip_version == 4) {
        file->answers_ipv4 = true;
        return;
    }
    uint32_t value = 0, nodes = file->mmdb.metadata.node_count;
    for (unsigned depth = 0; depth < 96 && value < nodes; depth++) {
        struct geo_node node = geo_file_node(file, value);
        value = node.record[0];
        file->answers_ipv6 = file->answers_ipv6 || node.record[1] != nodes;
    }
    file->answers_ipv4 = value != nodes;
}

/* A few thousand look-ups spread over the tree find most damage in milliseconds. */
static enum cdn_status check_sample(const struct geo_file *file, struct cdn_error *err)
{
    uint32_t nodes = file->mmdb.metadata.node_count;
    uint32_t step = nodes / 4096 + 1;
    for (uint32_t i = 0; i < nodes && nodes - i > step / 2; i += step) {
        struct geo_node node = geo_file_node(file, i);
        for (unsigned side = 0; side < 2; side++) {
            uint32_t value = node.record[side], entry;
            uint32_t budget = MMDB_BUDGET;
            if (value > nodes && (!geo_file_entry(file, value, &entry) ||
                                  !mmdb_field_check(file->data, entry, MMDB_DEPTH_MAX, &budget)))
                return cdn_error_set(err, CDN_CORRUPT, "%s: node %u leads to a record that cannot be read",
                                     file->path, i);
        }
    }
    return CDN_OK;
}

static enum cdn_status file_open(const char *path, const char *shown, struct geo_file *file,
                                 struct cdn_error *err)
{
    enum cdn_status status = check_readable(path, err);
    if (status == CDN_OK)
        status = mmdb_metadata_check(path, shown, err);
    if (status != CDN_OK)
        return status;
    int code = MMDB_open(path, MMDB_MODE_MMAP, &file->mmdb);
    if (code != MMDB_SUCCESS) {
        status = code == MMDB_IO_ERROR || code == MMDB_FILE_OPEN_ERROR ? CDN_IO : CDN_CORRUPT;
        return cdn_error_set(err, status, "%s: %s", shown,
                             status == CDN_IO ? strerror(errno)
                                              : "not a sound MaxMind database (.mmdb) file");
    }
    file->path = cdn_strdup(shown);
    file->data = (struct mmdb_section){file->mmdb.data_section, file->mmdb.data_section_size};
    status = check_metadata(&file->mmdb, shown, err);
    if (status == CDN_OK) {
        find_families(file);
        file->is_cells = strcmp(file->mmdb.metadata.database_type, GEO_WORLD_TYPE) == 0;
        status = check_sample(file, err);
    }
    if (status == CDN_OK)
        return CDN_OK;
    MMDB_close(&file->mmdb);
    free(file->path);
    return status;
}

/* A file made for one family goes before a file of both. */
static const struct geo_file *choose_file(const struct geo_db *db, bool is_ipv6)
{
    const struct geo_file *best = NULL;
    for (size_t i = 0; i < db->file_count; i++) {
        const struct geo_file *file = &db->files[i];
        bool answers = is_ipv6 ? file->answers_ipv6 : file->answers_ipv4;
        bool other = is_ipv6 ? file->answers_ipv4 : file->answers_ipv6;
        if (answers && (!best || !other))
            best = file;
    }
    return best;
}

static enum cdn_status choose_files(struct geo_db *db, struct cdn_error *err)
{
    db->ipv4 = choose_file(db, false);
    db->ipv6 = choose_file(db, true);
    for (size_t i = 0; i < db->file_count; i++)
        if (db->ipv4 != &db->files[i] && db->ipv6 != &db->files[i])
            return cdn_error_set(err, CDN_INVALID, "%s: %s", db->files[i].path,
                                 db->file_count == 1 ? "the database is empty"
                                                     : "answers nothing that the other database does not");
    return CDN_OK;
}

enum cdn_status geo_db_open(const char *const paths[], size_t n, struct geo_db **ret_db,
                            struct cdn_error *err)
{
    struct geo_db *db = cdn_calloc(1, sizeof *db);
    atomic_init(&db->owners, 1);
    if (n < 1 || n > CDN_ARRAY_LEN(db->files)) {
        geo_db_unref(db);
        return cdn_error_set(err, CDN_INVALID, "%zu databases given, 1 or 2 expected", n);
    }
    enum cdn_status status = CDN_OK;
    for (size_t i = 0; i < n && status == CDN_OK; i++) {
        status = file_open(paths[i], paths[i], &db->files[i], err);
        db->file_count += status == CDN_OK;
    }
    if (status == CDN_OK)
        status = choose_files(db, err);
    if (status != CDN_OK) {
        geo_db_unref(db);
        return status;
    }
    *ret_db = db;
    return CDN_OK;
}

/* libmaxminddb only opens paths, so the bytes become a sealed file in memory. */
static int memory_file(struct cdn_str bytes)
{
    int fd = memfd_create("world.mmdb", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    for (size_t done = 0; done < bytes.n;) {
        ssize_t n = write(fd, bytes.p + done, bytes.n - done);
        if (n < 0) {
            close(fd);
            return -1;
        }
        done += (size_t)n;
    }
    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    return fd;
}

enum cdn_status geo_db_open_embedded(struct geo_db **ret_db, struct cdn_error *err)
{
    int fd = memory_file(geo_embedded_world());
    if (fd < 0)
        return cdn_error_set(err, CDN_IO, "embedded database: memfd_create: %s", strerror(errno));
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct geo_db *db = cdn_calloc(1, sizeof *db);
    atomic_init(&db->owners, 1);
    enum cdn_status status = file_open(path, "embedded", &db->files[0], err);
    close(fd);
    if (status == CDN_OK) {
        db->file_count = 1;
        status = choose_files(db, err);
    }
    if (status != CDN_OK) {
        geo_db_unref(db);
        return status;
    }
    *ret_db = db;
    return CDN_OK;
}

struct geo_db *geo_db_ref(struct geo_db *db)
{
    atomic_fetch_add_explicit(&db->owners, 1, memory_order_relaxed);
    return db;
}

void geo_db_unref(struct geo_db *db)
{
    if (!db || atomic_fetch_sub_explicit(&db->owners, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < db->file_count; i++) {
        MMDB_close(&db->files[i].mmdb);
        free(db->files[i].path);
    }
    free(db);
}

/* ---- look-up ---- */

struct place_in_file {
    const struct geo_file *file; /* NULL: none holds the family */
    uint32_t entry;
    unsigned prefix_len;
};

static enum cdn_status find_entry(const struct geo_db *db, const struct sockaddr *address,
                                  struct place_in_file *ret)
{
    *ret = (struct place_in_file){.entry = GEO_ENTRY_NONE};
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    bool is_ipv4 = geo_address_ipv4(address, &ipv4.sin_addr) != 0;
    const struct geo_file *file = is_ipv4 ? db->ipv4 : db->ipv6;
    if (!file || (!is_ipv4 && address->sa_family != AF_INET6))
        return CDN_NOT_FOUND;
    int code = MMDB_SUCCESS;
    MMDB_lookup_result_s found =
        MMDB_lookup_sockaddr(&file->mmdb, is_ipv4 ? (const struct sockaddr *)&ipv4 : address, &code);
    if (code != MMDB_SUCCESS)
        return CDN_CORRUPT;
    ret->file = file;
    ret->prefix_len = found.netmask;
    if (is_ipv4 && file->mmdb.metadata.ip_version == 6)
        ret->prefix_len = ret->prefix_len > 96 ? ret->prefix_len - 96 : 0;
    if (found.found_entry)
        ret->entry = found.entry.offset;
    return found.found_entry ? CDN_OK : CDN_NOT_FOUND;
}

enum cdn_status geo_lookup(const struct geo_db *db, const struct sockaddr *address,
                           struct geo_record *ret_record)
{
    struct place_in_file at;
    *ret_record = (struct geo_record){.entry = GEO_ENTRY_NONE};
    enum cdn_status status = find_entry(db, address, &at);
    if (status == CDN_OK)
        status = geo_file_record(at.file, at.entry, ret_record);
    ret_record->prefix_len = at.prefix_len;
    return status;
}

enum cdn_status geo_lookup_entry(const struct geo_db *db, const struct sockaddr *address, uint32_t *ret_entry,
                                 unsigned *ret_prefix_len)
{
    struct place_in_file at;
    enum cdn_status status = find_entry(db, address, &at);
    *ret_entry = at.entry;
    *ret_prefix_len = at.prefix_len;
    return status;
}

enum cdn_status geo_entry_record(const struct geo_db *db, int family, uint32_t entry,
                                 struct geo_record *ret_record)
{
    const struct geo_file *file = family == AF_INET ? db->ipv4 : db->ipv6;
    *ret_record = (struct geo_record){.entry = GEO_ENTRY_NONE};
    if (!file || entry == GEO_ENTRY_NONE)
        return CDN_NOT_FOUND;
    return geo_file_record(file, entry, ret_record);
}

/* ---- information ---- */

size_t geo_db_file_count(const struct geo_db *db)
{
    return db->file_count;
}

static const char *description(const MMDB_metadata_s *m)
{
    for (size_t i = 0; i < m->description.count; i++)
        if (strcmp(m->description.descriptions[i]->language, "en") == 0)
            return m->description.descriptions[i]->description;
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
    for (size_t k = 0; k < m->languages.count && k < GEO_INFO_LIST_MAX; k++)
        ret_info->languages[ret_info->language_count++] = m->languages.names[k];
}
