/* store_load: after the start, all rows to the engine, single keys before their turn; what no row names is
 * deleted. What is removed meanwhile is remembered in a set of ids, so that no row delivers it. */
#include "common/lock.h"
#include "common/mem.h"
#include "common/mix.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/store/store.h"
#include "edge/store/store_index.h"
#include "edge/store/store_private.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/banned.h"

#define BATCH 256u

struct file {
    uint64_t id;
    uint64_t disk;
    bool named; /* by a row */
};

struct batch {
    struct edge_store *store;
    edge_store_rows_fn *rows;
    void *arg;
    struct edge_store_row list[BATCH];
    size_t n;
    bool counting;      /* loader: rows are counted and checked against the files */
    struct file *files; /* sorted by id */
    size_t n_files;
};

/* ---- removed ids ---- */

static uint64_t *removed_slot(uint64_t *set, size_t room, uint64_t id)
{
    size_t i = (size_t)(id * CDN_MIX_STEP >> 20) & (room - 1);
    while (set[i] && set[i] != id) {
        i = (i + 1) & (room - 1);
    }
    return &set[i];
}

static bool removed_has(const struct edge_store *s, uint64_t id)
{
    return s->removed_room > 0 && *removed_slot(s->removed, s->removed_room, id) == id;
}

void edge_load_removed(struct edge_store *s, uint64_t id)
{
    if (!(s->loading || s->finding) || id >= s->first_new_id || removed_has(s, id)) {
        return;
    }
    if (s->removed_n * 2 >= s->removed_room) {
        size_t room = s->removed_room ? s->removed_room * 2 : 64;
        uint64_t *set = cdn_calloc(room, sizeof(*set));
        for (size_t i = 0; i < s->removed_room; i++) {
            if (s->removed[i]) {
                *removed_slot(set, room, s->removed[i]) = s->removed[i];
            }
        }
        free(s->removed);
        s->removed = set;
        s->removed_room = room;
    }
    *removed_slot(s->removed, s->removed_room, id) = id;
    s->removed_n++;
}

/* Under lock. */
static void forget_removed(struct edge_store *s)
{
    if (!s->loading && !s->finding) {
        free(CDN_TAKE(s->removed));
        s->removed_n = s->removed_room = 0;
    }
}

bool edge_store_removed(struct edge_store *s, uint64_t id)
{
    cdn_lock_take(&s->lock);
    bool removed = removed_has(s, id);
    cdn_lock_drop(&s->lock);
    return removed;
}

/* ---- batches ---- */

static void deliver(struct batch *b)
{
    if (b->n > 0 && !atomic_load(&b->store->closing)) {
        b->rows(b->arg, b->list, b->n);
    }
    for (size_t i = 0; i < b->n; i++) {
        free((void *)(uintptr_t)b->list[i].extents);
    }
    b->n = 0;
}

/* One allocation a row: extents first, for their alignment, then key and meta. */
static void keep(struct batch *b, const struct edge_store_row *row)
{
    size_t extents_n = row->n_extents * sizeof(*row->extents);
    char *block = cdn_malloc(extents_n + row->key.n + row->meta.n);
    struct edge_store_row *copy = &b->list[b->n++];
    *copy = *row;
    if (extents_n) {
        memcpy(block, row->extents, extents_n);
    }
    memcpy(block + extents_n, row->key.p, row->key.n);
    memcpy(block + extents_n + row->key.n, row->meta.p, row->meta.n);
    copy->extents = (const struct edge_store_extent *)(const void *)block;
    copy->key.p = block + extents_n;
    copy->meta.p = block + extents_n + row->key.n;
    if (b->n == BATCH) {
        deliver(b);
    }
}

static void drop(struct edge_store *s, const struct edge_store_location *l)
{
    struct edge_op *op = cdn_calloc(1, sizeof(*op));
    op->kind = EDGE_OP_REMOVE;
    op->location = *l;
    op->uncounted = true;
    edge_writer_enqueue(s, op, 0);
}

static struct file *file_of(const struct batch *b, uint64_t id)
{
    size_t low = 0;
    for (size_t high = b->n_files; low < high;) {
        size_t middle = (low + high) / 2;
        if (b->files[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < b->n_files && b->files[low].id == id ? &b->files[low] : NULL;
}

/* Counts a row in its segment; false: there are no such bytes. Under lock. */
static bool count(struct batch *b, const struct edge_store_location *l)
{
    struct edge_store *s = b->store;
    if (!l->segment) {
        struct file *f = file_of(b, l->id);
        if (f) {
            f->named = true;
            s->objects++;
        }
        return f != NULL;
    }
    const struct edge_segment *x = edge_segment_get(s, l->segment);
    if (!x || (uint64_t)edge_record_offset(l) + edge_record_size(l->text, l->body) > x->bytes) {
        return false;
    }
    edge_segment_count(s, l, true);
    s->objects++;
    return true;
}

static void take_row(void *arg, const struct edge_store_row *row)
{
    struct batch *b = arg;
    struct edge_store *s = b->store;
    bool there = true;
    if (row->location.id >= s->first_new_id) { /* found: the engine knows it, or has removed it */
        return;
    }
    cdn_lock_take(&s->lock);
    bool removed = removed_has(s, row->location.id);
    if (b->counting && !removed) {
        there = count(b, &row->location);
    }
    s->load_cursor = b->counting && there ? row->location.id : s->load_cursor;
    cdn_lock_drop(&s->lock);
    if (!there) {
        edge_store_event(s, EDGE_STORE_TORN, "object %" PRIu64 ": its bytes are missing", row->location.id);
        drop(s, &row->location);
    } else if (!removed && !atomic_load(&s->closing)) {
        keep(b, row);
    }
}

static void damaged_row(void *arg, uint64_t id)
{
    struct batch *b = arg;
    edge_store_event(b->store, EDGE_STORE_INDEX_ROW, "row %" PRIu64 ": wrong checksum", id);
    drop(b->store, &(struct edge_store_location){.id = id});
}

/* ---- files ---- */

static int by_id(const void *a, const void *b)
{
    const struct file *x = a;
    const struct file *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void list_files(struct batch *b)
{
    size_t room = 0;
    int fd = openat(b->store->dir, "files", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; list && (e = readdir(list)) != NULL;) {
        struct stat st;
        uint64_t id = 0;
        if (!cdn_parse_u64(cdn_str(e->d_name), &id) || id >= b->store->first_new_id ||
            fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        if (b->n_files == room) {
            room = room ? room * 2 : 64;
            b->files = cdn_realloc(b->files, room, sizeof(*b->files));
        }
        b->files[b->n_files++] = (struct file){.id = id, .disk = (uint64_t)st.st_blocks * 512};
    }
    if (list) {
        closedir(list);
    }
    if (b->n_files) {
        qsort(b->files, b->n_files, sizeof(*b->files), by_id);
    }
    cdn_lock_take(&b->store->lock);
    for (size_t i = 0; i < b->n_files; i++) {
        b->store->files_bytes += b->files[i].disk;
        b->store->live_bytes += b->files[i].disk;
    }
    b->store->files += b->n_files;
    cdn_lock_drop(&b->store->lock);
}

static void delete_orphans(struct batch *b)
{
    for (size_t i = 0; i < b->n_files; i++) {
        cdn_lock_take(&b->store->lock);
        bool removed = removed_has(b->store, b->files[i].id);
        cdn_lock_drop(&b->store->lock);
        if (!b->files[i].named && !removed) {
            edge_store_event(b->store, EDGE_STORE_ORPHAN, "file %" PRIu64 " has no row", b->files[i].id);
            drop(b->store, &(struct edge_store_location){.id = b->files[i].id});
        }
    }
}

/* ---- the loader ---- */

static enum cdn_status scan(struct edge_store *s, struct batch *b, uint64_t after)
{
    struct edge_index *index = NULL;
    struct cdn_error err;
    CDN_AUTOFREE char *path = cdn_asprintf("%s/index.db", s->path);
    struct edge_index_sink sink = {b, take_row, damaged_row};
    enum cdn_status status = edge_index_open(path, false, &index, NULL, &err);
    if (status == CDN_OK) {
        status = edge_index_scan(index, after, s->first_new_id, &sink);
        edge_index_close(index);
    }
    return status;
}

static void ask_rebuild(struct edge_store *s)
{
    struct edge_op *op = cdn_calloc(1, sizeof(*op));
    op->kind = EDGE_OP_REBUILD;
    edge_writer_enqueue(s, op, 0);
    cdn_lock_take(&s->queue.lock);
    while (!s->queue.rebuild_done) {
        cdn_lock_wait(&s->queue.lock, &s->queue.done);
    }
    cdn_lock_drop(&s->queue.lock);
}

static enum cdn_status load_all(struct edge_store *s, struct batch *b)
{
    enum cdn_status status = s->rebuild_needed ? CDN_CORRUPT : scan(s, b, 0);
    if (status == CDN_CORRUPT) {
        uint64_t after = s->load_cursor; /* only this thread moves it */
        ask_rebuild(s);
        status = scan(s, b, after);
    }
    deliver(b);
    return status;
}

static void *loader_main(void *arg)
{
    struct edge_store *s = arg;
    CDN_AUTOFREE struct batch *b = cdn_calloc(1, sizeof(*b));
    *b = (struct batch){.store = s, .rows = s->load_rows, .arg = s->load_arg, .counting = true};
    list_files(b);
    enum cdn_status status = load_all(s, b);
    if (status == CDN_OK) {
        delete_orphans(b);
    }
    cdn_lock_take(&s->lock);
    s->loaded = status == CDN_OK;
    s->loading = false;
    forget_removed(s);
    cdn_lock_drop(&s->lock);
    free(b->files);
    s->load_end(s->load_arg, status);
    return NULL;
}

void edge_store_load(struct edge_store *s, edge_store_rows_fn *rows, edge_store_end_fn *end, void *arg)
{
    s->load_rows = rows;
    s->load_end = end;
    s->load_arg = arg;
    s->loader_started = pthread_create(&s->loader, NULL, loader_main, s) == 0;
    if (!s->loader_started) {
        end(arg, CDN_INTERNAL);
    }
}

void edge_load_stop(struct edge_store *s)
{
    if (s->loader_started) {
        pthread_join(s->loader, NULL);
    }
}

static enum cdn_status find_rows(struct edge_store *s, uint64_t key_a, uint64_t key_b, struct batch *b)
{
    CDN_AUTOFREE char *path = cdn_asprintf("%s/index.db", s->path);
    struct edge_index_sink sink = {b, take_row, damaged_row};
    enum cdn_status status = CDN_OK;
    cdn_lock_take(&s->find_lock);
    if (!s->find_index) {
        status = edge_index_open(path, false, &s->find_index, NULL, NULL);
    }
    if (status == CDN_OK) {
        status = edge_index_find(s->find_index, key_a, key_b, &sink);
    }
    cdn_lock_drop(&s->find_lock);
    return status;
}

void edge_load_find(struct edge_store *s, uint64_t key_a, uint64_t key_b, edge_store_rows_fn *rows, void *arg)
{
    CDN_AUTOFREE struct batch *b = cdn_calloc(1, sizeof(*b));
    b->store = s;
    b->rows = rows;
    b->arg = arg;
    cdn_lock_take(&s->lock);
    s->finding++;
    cdn_lock_drop(&s->lock);
    enum cdn_status status = find_rows(s, key_a, key_b, b);
    if (status != CDN_OK) {
        edge_store_event(s, EDGE_STORE_INDEX_ERROR, "index: find: %s", cdn_status_text(status));
    }
    rows(arg, b->list, b->n);
    cdn_lock_take(&s->lock);
    s->finding--;
    forget_removed(s);
    cdn_lock_drop(&s->lock);
    for (size_t i = 0; i < b->n; i++) {
        free((void *)(uintptr_t)b->list[i].extents);
    }
}
