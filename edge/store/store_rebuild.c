/* A lost or corrupt index is set aside and made anew from the records, which describe themselves. */
#include "common/folder.h"
#include "common/lock.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/store/store.h"
#include "edge/store/store_index.h"
#include "edge/store/store_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/banned.h"

static void quarantine(struct edge_store *s)
{
    if (renameat(s->dir, "index.db", s->dir, "index.db.corrupt") == 0) { /* one is kept: the last */
        edge_store_event(s, EDGE_STORE_QUARANTINED, "%s/index.db set aside as index.db.corrupt", s->path);
    }
    unlinkat(s->dir, "index.db-wal", 0);
    unlinkat(s->dir, "index.db-shm", 0);
}

static bool any_file(struct edge_store *s)
{
    int fd = openat(s->dir, "files", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    bool any = false;
    for (struct dirent *e; list && (e = readdir(list)) != NULL;) {
        any |= e->d_name[0] != '.';
    }
    if (list) {
        closedir(list);
    }
    return any;
}

/* SQLite would follow a link, and make a file that all may read. */
static enum cdn_status own_file(struct edge_store *s, const char *name, int flags, struct cdn_error *err)
{
    struct stat st = {0};
    int fd = cdn_folder_open(s->dir, name, O_RDWR | flags);
    if (fd < 0 && errno == ENOENT) {
        return CDN_OK;
    }
    if (fd < 0) {
        return cdn_error_set(err, CDN_IO, "cache_dir %s/%s: is not a file of ours: %s", s->path, name,
                             strerror(errno));
    }
    if (flags && fstat(fd, &st) == 0) {
        s->look.index_dev = st.st_dev;
        s->look.index_ino = st.st_ino;
    }
    close(fd);
    return CDN_OK;
}

static enum cdn_status open_index(struct edge_store *s, bool *ret_new, struct cdn_error *err)
{
    CDN_AUTOFREE char *path = cdn_asprintf("%s/index.db", s->path);
    enum cdn_status status = own_file(s, "index.db", O_CREAT, err);
    if (status == CDN_OK) {
        status = own_file(s, "index.db-wal", 0, err);
    }
    if (status == CDN_OK) {
        status = own_file(s, "index.db-shm", 0, err);
    }
    return status == CDN_OK ? edge_index_open(path, true, &s->index, ret_new, err) : status;
}

enum cdn_status edge_rebuild_open_index(struct edge_store *s, struct cdn_error *err)
{
    bool new = false;
    enum cdn_status status = open_index(s, &new, err);
    if (status == CDN_CORRUPT) {
        quarantine(s);
        status = open_index(s, &new, err);
    }
    s->rebuild_needed = status == CDN_OK && new && (s->segments_count > 0 || any_file(s));
    return status;
}

static void insert(struct edge_store *s, const struct edge_store_row *row, uint64_t *count)
{
    if (edge_writer_begin(s)) {
        enum cdn_status status = edge_index_insert(s->index, row);
        if (status != CDN_OK) {
            edge_writer_index_failed(s, status, "rebuild");
        }
        *count += status == CDN_OK;
    }
}

static void record_row(struct edge_store *s, int fd, const struct edge_record *r, uint32_t segment,
                       uint64_t at, uint64_t *count)
{
    uint64_t text_n = (uint64_t)r->key_n + r->meta_n;
    CDN_AUTOFREE char *text = cdn_malloc(text_n);
    struct iovec part = {text, text_n};
    if (r->state != EDGE_RECORD_LIVE ||
        edge_read_exactly(fd, &part, 1, (off_t)(at + sizeof(*r)), false) != CDN_OK ||
        XXH3_64bits(text, text_n) != r->text_sum) {
        return;
    }
    struct edge_store_row row = {.key_hash = r->key_hash,
                                 .location = {.id = r->id,
                                              .segment = segment,
                                              .place = (uint32_t)(at / EDGE_RECORD_UNIT),
                                              .text = text_n & EDGE_STORE_TEXT_MAX,
                                              .body = r->body_n & EDGE_STORE_BODY_MAX},
                                 .key = {text, r->key_n},
                                 .meta = {text + r->key_n, r->meta_n},
                                 .rebuilt = true};
    insert(s, &row, count);
}

static void scan_segment(struct edge_store *s, uint32_t number, uint64_t end, uint64_t *count)
{
    struct edge_store_ref *ref = NULL;
    struct edge_record r;
    if (edge_descriptor_get(s, number, true, &ref) != CDN_OK) {
        return;
    }
    for (uint64_t at = 0; edge_segment_next(s, ref->fd, end, &at, &r);) {
        record_row(s, ref->fd, &r, number, at, count);
        at += edge_record_size((uint64_t)r.key_n + r.meta_n, r.body_n);
    }
    edge_descriptor_put(s, ref);
}

static void scan_segments(struct edge_store *s, uint64_t *count)
{
    for (uint32_t number = 1; number <= s->last_segment; number++) {
        cdn_lock_take(&s->lock);
        number = number < s->segments_first ? s->segments_first : number;
        const struct edge_segment *x = edge_segment_get(s, number);
        uint64_t end = x && !x->retire_ms ? x->bytes : 0;
        cdn_lock_drop(&s->lock);
        if (end > 0) {
            scan_segment(s, number, end, count);
        }
    }
}

static void file_row(struct edge_store *s, int dir, const char *name, uint64_t *count)
{
    uint64_t id = 0;
    int fd = cdn_parse_u64(cdn_str(name), &id) ? openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    struct edge_front *f = fd < 0 ? NULL : edge_front_read(s, fd);
    if (f && f->id == id) {
        bool complete = f->n_extents == 0 ||
                        (f->n_extents == 1 && f->extents[0].from == 0 && f->extents[0].to == f->body);
        struct edge_store_row row = {.key_hash = f->key_hash,
                                     .location = {.id = id,
                                                  .text = (f->key_n + f->meta_n) & EDGE_STORE_TEXT_MAX,
                                                  .body = f->body & EDGE_STORE_BODY_MAX},
                                     .key = {f->text, f->key_n},
                                     .meta = {f->text + f->key_n, f->meta_n},
                                     .extents = complete ? NULL : f->extents,
                                     .n_extents = complete ? 0 : f->n_extents,
                                     .rebuilt = true};
        insert(s, &row, count);
    }
    edge_front_destroy(f);
    if (fd >= 0) {
        close(fd);
    }
}

static void scan_files(struct edge_store *s, uint64_t *count)
{
    int fd = openat(s->dir, "files", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; list && (e = readdir(list)) != NULL;) {
        file_row(s, fd, e->d_name, count);
    }
    if (list) {
        closedir(list);
    }
}

void edge_rebuild_close_index(struct edge_store *s)
{
    edge_index_close(s->index);
    s->index = NULL;
    cdn_lock_take(&s->find_lock);
    edge_index_close(s->find_index);
    s->find_index = NULL;
    cdn_lock_drop(&s->find_lock);
    s->index_broken = false;
    s->commit_at = 0;
}

static bool reopen(struct edge_store *s)
{
    struct cdn_error err = {0};
    edge_rebuild_close_index(s);
    quarantine(s);
    if (open_index(s, NULL, &err) != CDN_OK) {
        edge_store_event(s, EDGE_STORE_INDEX_ERROR, "%s", err.text);
        return false;
    }
    return true;
}

void edge_rebuild_run(struct edge_store *s)
{
    uint64_t count = 0;
    if (!s->rebuild_needed && !reopen(s)) { /* else: it is new and empty already */
        return;
    }
    s->rebuild_needed = false;
    scan_segments(s, &count);
    scan_files(s, &count);
    if (s->index && edge_index_in_transaction(s->index) && edge_index_commit(s->index) != CDN_OK) {
        edge_writer_index_failed(s, CDN_IO, "rebuild");
    }
    s->commit_at = 0;
    edge_store_event(s, EDGE_STORE_REBUILT, "index rebuilt from the records: %" PRIu64 " objects", count);
}
