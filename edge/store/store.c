/* store: opening, closing, the queue's entrance and space. Callers only queue work here; the
 * files are store_segment.c's, store_file.c's and store_index.c's, the order of writing is
 * store_writer.c's. */
#include "edge/store/store.h"

#include "common/clock.h"
#include "common/lock.h"
#include "common/mem.h"
#include "edge/memory/lock_order.h"
#include "edge/store/store_index.h"
#include "edge/store/store_private.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/banned.h"

#define BUDGET_MIN (UINT64_C(1) << 20)
#define SEGMENT_MIN (UINT64_C(256) << 10)
#define SEGMENT_MAX (UINT64_C(64) << 20)
#define QUEUE_BYTES (UINT64_C(64) << 20)
#define COMMIT_MS 250
#define GATHER_MS 100
#define INDEX_MARGIN (UINT64_C(1) << 20)
#define INDEX_LOG (UINT64_C(2) << 20) /* what SQLite's log may take */
#define DESCRIPTORS 256u

const char *edge_store_event_word(enum edge_store_event event)
{
    static const char *const words[] = {
#define X(name, word, text) word,
        EDGE_STORE_EVENT_TABLE(X)
#undef X
    };
    return words[event];
}

void edge_store_event(struct edge_store *s, enum edge_store_event event, const char *fmt, ...)
{
    char text[256];
    va_list args;
    if (!s->hooks.on_event) {
        return;
    }
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    s->hooks.on_event(s->hooks.self, event, text);
}

enum cdn_status edge_store_write_failed(struct edge_store *s, const char *what, int error)
{
    if (error == ENOENT) { /* the folder was deleted: the writer looks, and tells once */
        atomic_store(&s->look_now, true);
        return CDN_UNAVAILABLE;
    }
    bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    int64_t now = cdn_clock_mono_ms();
    if (full) {
        int64_t before = atomic_exchange(&s->full_until, now + EDGE_FULL_RETRY_MS);
        if (before > now) {
            return CDN_UNAVAILABLE; /* was said a moment ago */
        }
    }
    bool out = error == EMFILE || error == ENFILE;
    edge_store_event(s,
                     full  ? EDGE_STORE_FULL
                     : out ? EDGE_STORE_DESCRIPTORS
                           : EDGE_STORE_WRITE_ERROR,
                     "%s: %s", what, strerror(error));
    return full ? CDN_UNAVAILABLE : CDN_IO;
}

uint64_t edge_store_disk_bytes(struct edge_store *s)
{
    cdn_lock_take(&s->lock);
    uint64_t bytes = s->segments_bytes + s->files_bytes;
    cdn_lock_drop(&s->lock);
    return bytes + atomic_load(&s->index_bytes) + atomic_load(&s->temporary);
}

/* The index grows before it is measured (at each commit), and removals make its log grow too: room is left
 * for both. */
bool edge_store_has_room(struct edge_store *s, uint64_t bytes)
{
    const uint64_t budget = atomic_load(&s->budget);
    const uint64_t margin = budget / 32 < INDEX_MARGIN ? budget / 32 : INDEX_MARGIN;
    const uint64_t log_most = budget / 16 < INDEX_LOG ? budget / 16 : INDEX_LOG;
    const uint64_t log = atomic_load(&s->log_bytes);
    return edge_store_disk_bytes(s) + bytes + margin + (log < log_most ? log_most - log : 0) <= budget;
}

int64_t edge_store_after(struct timespec *ret, int64_t ms)
{
    int64_t at = cdn_clock_mono_ns() + ms * 1000000;
    *ret = (struct timespec){.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
    return at;
}

/* ---- open ---- */

/* Ids go on from the clock, so that one given to an object whose
 * row was lost in a crash is not given again. */
static enum cdn_status choose_first_id(struct edge_store *s, struct cdn_error *err)
{
    uint64_t max = 0;
    uint64_t now = (uint64_t)cdn_clock_real_ms() * 1000;
    enum cdn_status status = edge_index_max_id(s->index, &max);
    if (status != CDN_OK && status != CDN_CORRUPT) {
        return cdn_error_set(err, status, "%s/index.db: %s", s->path, edge_index_failure(s->index));
    }
    s->first_new_id = (max > now && max < UINT64_MAX / 4 ? max : now) + 1;
    atomic_store(&s->next_id, s->first_new_id);
    return CDN_OK;
}

static struct edge_store *make(const struct edge_store_settings *x, const struct edge_store_hooks *hooks)
{
    struct edge_store *s = cdn_calloc(1, sizeof(*s));
    uint64_t segment = x->budget / 64 < SEGMENT_MIN ? SEGMENT_MIN : x->budget / 64;
    pthread_condattr_t monotonic;
    s->dir = s->lock_fd = -1;
    s->path = cdn_strdup(x->directory);
    s->hooks = hooks ? *hooks : (struct edge_store_hooks){0};
    s->segment_bytes = x->segment_bytes ? x->segment_bytes : segment > SEGMENT_MAX ? SEGMENT_MAX : segment;
    s->queue_bytes = x->queue_bytes ? x->queue_bytes : QUEUE_BYTES;
    /* of the process: its page caches, up to the 2 MiB of each, grow only below this */
    sqlite3_soft_heap_limit64((sqlite3_int64)(s->queue_bytes / 4));
    s->commit_ms = x->commit_ms ? x->commit_ms : COMMIT_MS;
    s->gather_ms = x->gather_ms ? x->gather_ms : GATHER_MS;
    s->descriptors_max = x->descriptors ? x->descriptors : DESCRIPTORS;
    s->loading = true;
    s->queue.tail = &s->queue.head;
    s->readers.tail = &s->readers.head;
    atomic_store(&s->budget, x->budget);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    cdn_lock_init(&s->lock, EDGE_LOCK_STORE);
    cdn_lock_init(&s->queue.lock, EDGE_LOCK_QUEUE);
    cdn_lock_init(&s->readers.lock, EDGE_LOCK_READERS);
    cdn_lock_init(&s->find_lock, EDGE_LOCK_FIND);
    pthread_cond_init(&s->queue.work, &monotonic);
    pthread_cond_init(&s->queue.done, &monotonic);
    pthread_cond_init(&s->readers.work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return s;
}

static enum cdn_status start(struct edge_store *s, struct cdn_error *err)
{
    enum cdn_status status = edge_folder_open(s, err);
    if (status == CDN_OK) {
        edge_folder_empty(s, "tmp");
        status = edge_segments_open(s, err);
    }
    if (status == CDN_OK) {
        status = edge_rebuild_open_index(s, err);
    }
    if (status == CDN_OK) {
        status = choose_first_id(s, err);
    }
    if (status == CDN_OK) {
        s->mark_found = s->index ? edge_index_mark(s->index) : cdn_strdup("");
        s->mark = cdn_strdup(s->mark_found);
        status = edge_writer_start(s, err);
    }
    return status == CDN_OK ? edge_read_threads_start(s, err) : status;
}

enum cdn_status edge_store_open(const struct edge_store_settings *settings,
                                const struct edge_store_hooks *hooks, struct edge_store **ret,
                                struct cdn_error *err)
{
    if (settings->budget < BUDGET_MIN) {
        return cdn_error_set(err, CDN_INVALID, "disk budget of %" PRIu64 " bytes: at least 1 MiB is needed",
                             settings->budget);
    }
    struct edge_store *s = make(settings, hooks);
    enum cdn_status status = start(s, err);
    if (status != CDN_OK) {
        edge_store_close(s);
        return status;
    }
    *ret = s;
    return CDN_OK;
}

/* ---- close ---- */

static void stop_writer(struct edge_store *s)
{
    if (s->writer) {
        edge_writer_flush(s);
        cdn_lock_take(&s->queue.lock);
        s->queue.stop = true;
        pthread_cond_signal(&s->queue.work);
        cdn_lock_drop(&s->queue.lock);
        pthread_join(s->writer, NULL);
    }
}

void edge_store_close(struct edge_store *s)
{
    if (!s) {
        return;
    }
    atomic_store(&s->closing, true);
    edge_load_stop(s);
    edge_read_threads_stop(s);
    stop_writer(s);
    edge_index_close(s->find_index);
    edge_index_close(s->index);
    edge_descriptors_close(s);
    edge_segments_close(s);
    free(s->removed);
    if (s->lock_fd >= 0) {
        close(s->lock_fd);
    }
    if (s->dir >= 0) {
        close(s->dir);
    }
    cdn_lock_destroy(&s->lock);
    cdn_lock_destroy(&s->queue.lock);
    cdn_lock_destroy(&s->readers.lock);
    cdn_lock_destroy(&s->find_lock);
    pthread_cond_destroy(&s->queue.work);
    pthread_cond_destroy(&s->queue.done);
    pthread_cond_destroy(&s->readers.work);
    free(s->mark_found);
    free(s->mark);
    free(s->path);
    free(s);
}

void edge_store_flush(struct edge_store *s)
{
    edge_writer_flush(s);
}

/* ---- what is queued for the writer ---- */

static void copy_text(struct edge_op *op, struct cdn_str key, struct cdn_str meta)
{
    op->key_n = key.n;
    op->meta_n = meta.n;
    if (key.n) {
        memcpy(op->text, key.p, key.n);
    }
    if (meta.n) {
        memcpy(op->text + key.n, meta.p, meta.n);
    }
}

static bool welcome(struct edge_store *s, const struct edge_store_put *put)
{
    if (put->body_length > EDGE_STORE_PACKED_MAX || put->key.n + put->meta.n > EDGE_STORE_TEXT_MAX ||
        atomic_load_explicit(&s->full_until, memory_order_relaxed) > cdn_clock_mono_ms()) {
        return false;
    }
    cdn_lock_take(&s->queue.lock);
    bool room = s->queue.bytes + put->body_length <= s->queue_bytes;
    cdn_lock_drop(&s->queue.lock);
    return room;
}

bool edge_store_put(struct edge_store *s, const struct edge_store_put *put)
{
    if (!welcome(s, put)) {
        atomic_fetch_add_explicit(&s->refused, 1, memory_order_relaxed);
        return false;
    }
    struct edge_op *op = cdn_malloc(sizeof(*op) + put->key.n + put->meta.n);
    *op = (struct edge_op){.kind = EDGE_OP_PUT,
                           .key_hash = put->key_hash,
                           .body = put->body,
                           .body_n = put->body_length,
                           .done = put->done,
                           .arg = put->arg};
    copy_text(op, put->key, put->meta);
    edge_writer_enqueue(s, op, put->body_length);
    return true;
}

void edge_store_remove(struct edge_store *s, const struct edge_store_location *location)
{
    struct edge_op *op = cdn_calloc(1, sizeof(*op));
    op->kind = EDGE_OP_REMOVE;
    op->location = *location;
    cdn_lock_take(&s->lock);
    edge_load_removed(s, location->id);
    cdn_lock_drop(&s->lock);
    edge_writer_enqueue(s, op, 0);
}

void edge_store_update(struct edge_store *s, const struct edge_store_key *key_hash,
                       const struct edge_store_location *location, struct cdn_str meta)
{
    struct edge_op *op = cdn_malloc(sizeof(*op) + meta.n);
    *op = (struct edge_op){.kind = EDGE_OP_UPDATE, .key_hash = *key_hash, .location = *location};
    copy_text(op, (struct cdn_str){0}, meta);
    edge_writer_enqueue(s, op, 0);
}

void edge_store_edit(struct edge_store *s, const struct edge_store_key *key_hash,
                     const struct edge_store_location *location, edge_store_edit_fn *edit, int64_t arg)
{
    struct edge_op *op = cdn_malloc(sizeof(*op));
    *op = (struct edge_op){
        .kind = EDGE_OP_EDIT, .key_hash = *key_hash, .location = *location, .edit = edit, .edit_arg = arg};
    edge_writer_enqueue(s, op, 0);
}

void edge_store_newest_meta(struct edge_store *s, const struct edge_store_location *location,
                            edge_store_meta_fn *done, void *arg)
{
    struct edge_op *op = cdn_malloc(sizeof(*op));
    *op = (struct edge_op){.kind = EDGE_OP_META, .location = *location, .meta_done = done, .arg = arg};
    edge_writer_enqueue(s, op, 0);
}

void edge_store_mark(struct edge_store *s, struct cdn_str text)
{
    assert(text.n <= EDGE_STORE_MARK_MAX);
    struct edge_op *op = cdn_malloc(sizeof(*op) + text.n);
    *op = (struct edge_op){.kind = EDGE_OP_MARK};
    copy_text(op, (struct cdn_str){0}, text);
    edge_writer_enqueue(s, op, 0);
}

void edge_store_settle(struct edge_store *s, void (*settled)(void *arg), void *arg)
{
    struct edge_op *op = cdn_malloc(sizeof(*op));
    *op = (struct edge_op){.kind = EDGE_OP_SETTLE, .settled = settled, .arg = arg};
    edge_writer_enqueue(s, op, 0);
}

const char *edge_store_mark_found(const struct edge_store *s)
{
    return s->mark_found;
}

/* ---- space ---- */

uint64_t edge_store_cost(size_t key_length, size_t meta_length, uint64_t body_length)
{
    uint64_t text = key_length + meta_length;
    uint64_t row = EDGE_ROW_COST + text + text / 8;
    if (body_length <= EDGE_STORE_PACKED_MAX) {
        return edge_record_size(text, body_length) + row;
    }
    return ((body_length + 4095) & ~UINT64_C(4095)) +
           ((text + 4096 + edge_front_blocks(body_length) * 8) & ~UINT64_C(4095)) + row;
}

uint64_t edge_store_capacity(const struct edge_store *s)
{
    uint64_t budget = atomic_load(&s->budget);
    uint64_t slack = budget / 6 + 4 * s->segment_bytes + INDEX_LOG;
    return slack < budget / 2 ? budget - slack : budget / 2;
}

void edge_store_budget_set(struct edge_store *s, uint64_t budget)
{
    atomic_store(&s->budget, budget < BUDGET_MIN ? BUDGET_MIN : budget);
}

void edge_store_stats(struct edge_store *s, struct edge_store_stats *ret)
{
    struct edge_store_stats x = {.disk_bytes = edge_store_disk_bytes(s),
                                 .written_bytes = atomic_load(&s->written),
                                 .refused = atomic_load(&s->refused),
                                 .full = atomic_load(&s->full_until) > cdn_clock_mono_ms()};
    cdn_lock_take(&s->lock);
    x.live_bytes = s->live_bytes;
    x.segments = s->segments_count;
    x.files = s->files;
    x.objects = s->objects;
    x.loading = s->loading;
    cdn_lock_drop(&s->lock);
    cdn_lock_take(&s->queue.lock);
    x.queued_bytes = s->queue.bytes;
    cdn_lock_drop(&s->queue.lock);
    *ret = x;
}
