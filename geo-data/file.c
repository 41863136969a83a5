/* file: one .mmdb file, opened.
 *
 * A file is copied into memory of our own, and what is looked up is the copy: a file that is shortened,
 * rewritten or deleted afterwards changes nothing (a mapping of it would raise SIGBUS). libmaxminddb opens
 * paths only, so the copy is a sealed file in memory (memfd_create(2)), which it maps.
 */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "geo-data/database.h"
#include "geo-data/decode.h"
#include "geo-data/geo.h"
#include "geo-data/metadata.h"

#include <errno.h>
#include <fcntl.h>
#include <maxminddb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

#define SIZE_MAX_BYTES (off_t) UINT32_MAX /* libmaxminddb counts the bytes of the data section in 32 bits */

/* ---- the copy ---- */

static enum cdn_status changed(const char *path, struct cdn_error *err)
{
    return cdn_error_set(err, CDN_IO, "%s: changed while it was read; put a database in place by renaming it",
                         path);
}

/* O_NONBLOCK: a FIFO is refused, not waited for. */
static enum cdn_status source_open(const char *path, int *ret_fd, struct stat *ret_st, struct cdn_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return cdn_error_set(err, CDN_IO, "%s: %s", path,
                             errno == ENXIO ? "not a regular file" : strerror(errno));
    }
    enum cdn_status status = CDN_OK;
    if (fstat(fd, ret_st) != 0) {
        status = cdn_error_set(err, CDN_IO, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(ret_st->st_mode)) {
        status = cdn_error_set(err, CDN_IO, "%s: not a regular file", path);
    } else if (ret_st->st_size == 0) {
        status = cdn_error_set(err, CDN_CORRUPT, "%s: the file is empty", path);
    } else if (ret_st->st_size > SIZE_MAX_BYTES) {
        status = cdn_error_set(err, CDN_IO, "%s: %lld bytes, at most %lld can be read", path,
                               (long long)ret_st->st_size, (long long)SIZE_MAX_BYTES);
    }
    if (status != CDN_OK) {
        close(fd);
    } else {
        *ret_fd = fd;
    }
    return status;
}

static enum cdn_status memory_error(const char *shown, struct cdn_error *err)
{
    return cdn_error_set(err, CDN_IO, "%s: memory for it: %s", shown, strerror(errno));
}

static bool write_all(int fd, struct cdn_str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        bytes = cdn_str_sub(bytes, n > 0 ? (size_t)n : 0);
    }
    return true;
}

static enum cdn_status copy_bytes(int from, int to, const struct stat *before, const char *path,
                                  struct cdn_error *err)
{
    struct stat now;
    for (off_t left = before->st_size; left > 0;) {
        ssize_t n = sendfile(to, from, NULL, (size_t)left);
        if (n == 0) {
            return changed(path, err);
        }
        if (n < 0 && errno != EINTR) {
            return cdn_error_set(err, CDN_IO, "%s: %s", path, strerror(errno));
        }
        left -= n > 0 ? n : 0;
    }
    if (fstat(from, &now) != 0 || now.st_size != before->st_size ||
        now.st_mtim.tv_sec != before->st_mtim.tv_sec || now.st_mtim.tv_nsec != before->st_mtim.tv_nsec) {
        return changed(path, err);
    }
    return CDN_OK;
}

/* The metadata is looked at before the copy too, so that no gigabytes of something else are copied. */
static enum cdn_status copy_file(const char *path, int to, struct cdn_error *err)
{
    int from = -1;
    struct stat st;
    enum cdn_status status = source_open(path, &from, &st, err);
    if (status != CDN_OK) {
        return status;
    }
    status = mmdb_metadata_check(from, path, NULL, err);
    if (status == CDN_OK) {
        status = copy_bytes(from, to, &st, path, err);
    }
    close(from);
    return status;
}

/* Fills the file in memory: from `path`, or from `bytes` when it is NULL. */
static enum cdn_status memory_fill(int fd, const char *path, struct cdn_str bytes, const char *shown,
                                   struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf appendix = {0};
    enum cdn_status status = CDN_OK;
    if (path) {
        status = copy_file(path, fd, err);
    } else if (!write_all(fd, bytes)) {
        status = memory_error(shown, err);
    }
    if (status == CDN_OK) {
        status = mmdb_metadata_check(fd, shown, &appendix, err);
    }
    if (status == CDN_OK && (lseek(fd, 0, SEEK_END) < 0 || !write_all(fd, cdn_buf_str(&appendix)))) {
        status = memory_error(shown, err);
    }
    if (status == CDN_OK) {
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    }
    return status;
}

static enum cdn_status memory_open(int fd, const char *shown, MMDB_s *mmdb, struct cdn_error *err)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int code = MMDB_open(path, MMDB_MODE_MMAP, mmdb);
    if (code == MMDB_SUCCESS) {
        return CDN_OK;
    }
    enum cdn_status status = code == MMDB_IO_ERROR || code == MMDB_FILE_OPEN_ERROR ? CDN_IO : CDN_CORRUPT;
    return cdn_error_set(err, status, "%s: %s", shown,
                         status == CDN_IO ? strerror(errno) : "not a sound MaxMind database (.mmdb) file");
}

/* ---- checks ---- */

static enum cdn_status check_metadata(const MMDB_s *mmdb, const char *path, struct cdn_error *err)
{
    const MMDB_metadata_s *m = &mmdb->metadata;
    if (m->node_count == 0 || m->node_count > UINT32_MAX - 16) {
        return cdn_error_set(err, CDN_CORRUPT, "%s: node_count %u makes no sense", path, m->node_count);
    }
    if (m->ip_version != 4 && m->ip_version != 6) {
        return cdn_error_set(err, CDN_CORRUPT, "%s: ip_version %u is neither 4 nor 6", path, m->ip_version);
    }
    if (m->binary_format_major_version != 2) {
        return cdn_error_set(err, CDN_CORRUPT, "%s: format version %u, not 2", path,
                             m->binary_format_major_version);
    }
    if (!m->database_type) {
        return cdn_error_set(err, CDN_CORRUPT, "%s: no database_type", path);
    }
    uint64_t tree = (uint64_t)m->node_count * mmdb->full_record_byte_size;
    if (tree + 16 > (uint64_t)mmdb->file_size) {
        return cdn_error_set(err, CDN_CORRUPT, "%s: the search tree of %u nodes is longer than the file",
                             path, m->node_count);
    }
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
    if (value <= file->mmdb.metadata.node_count || offset < 16 || offset - 16 >= file->data.n) {
        return false;
    }
    *ret_entry = (uint32_t)(offset - 16);
    return true;
}

/* Which families a file answers: a tree of 128 bits may have
 * nothing under ::/96, or nothing outside of it. */
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
                                  !mmdb_field_check(file->data, entry, MMDB_DEPTH_MAX, &budget))) {
                return cdn_error_set(err, CDN_CORRUPT, "%s: node %u leads to a record that cannot be read",
                                     file->path, i);
            }
        }
    }
    return CDN_OK;
}

enum cdn_status geo_file_open(const char *path, struct cdn_str bytes, struct geo_file *file,
                              struct cdn_error *err)
{
    const char *shown = path ? path : GEO_EMBEDDED;
    int fd = memfd_create("database.mmdb", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return memory_error(shown, err);
    }
    enum cdn_status status = memory_fill(fd, path, bytes, shown, err);
    if (status == CDN_OK) {
        status = memory_open(fd, shown, &file->mmdb, err);
    }
    close(fd);
    if (status != CDN_OK) {
        return status;
    }
    file->path = cdn_strdup(shown);
    file->data = (struct mmdb_section){file->mmdb.data_section, file->mmdb.data_section_size};
    status = check_metadata(&file->mmdb, shown, err);
    if (status == CDN_OK) {
        find_families(file);
        file->is_cells = strcmp(file->mmdb.metadata.database_type, GEO_WORLD_TYPE) == 0;
        status = check_sample(file, err);
    }
    if (status != CDN_OK) {
        geo_file_close(file);
    }
    return status;
}

void geo_file_close(struct geo_file *file)
{
    MMDB_close(&file->mmdb);
    free(file->path);
}
