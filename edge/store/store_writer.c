/* The writer thread: takes all queued work at once, appends, and commits the index in batches.
 *
 * After work it naps a moment instead of waiting, so that a burst of puts costs one wake-up, not one each.
 * Puts alone may wait longer, until some megabytes are together: their bodies are in memory, nobody waits for
 * them, and a burst of misses is answered before the processor is spent on storing them. */
#include "common/clock.h"
#include "common/lock.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/store/store.h"
#include "edge/store/store_index.h"
#include "edge/store/store_private.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/banned.h"

#define NAP_MS 2
#define GATHER_SHARE 8 /* of the queue's bytes */
#define CROWD 1024u    /* objects in the queue that are not kept waiting */
#define IDLE_MS 1000   /* then it looks whether the folder is still there */
#define COMPACT_PAUSE_MS 20
#define APPEND_BYTES ((uint64_t)256 * 1024) /* in one write, about */

static bool disk_full(struct edge_store *s)
{
    return atomic_load_explicit(&s->full_until, memory_order_relaxed) > cdn_clock_mono_ms();
}

/* Under the queue's lock: what waits takes much memory, be it in bodies or in many small objects. */
static bool is_crowded(const struct edge_store *s)
{
    return s->queue.bytes > s->queue_bytes / 2 || s->queue.waiting >= CROWD;
}

/* Under the queue's lock. */
static bool may_gather(const struct edge_store *s)
{
    return !s->queue.others && s->queue.waiting < CROWD && s->queue.bytes <= s->queue_bytes / GATHER_SHARE &&
           !s->queue.hurry && !s->queue.stop;
}

void edge_writer_enqueue(struct edge_store *s, struct edge_op *op, uint64_t bytes)
{
    cdn_lock_take(&s->queue.lock);
    op->next = NULL;
    *s->queue.tail = op;
    s->queue.tail = &op->next;
    s->queue.bytes += bytes;
    s->queue.waiting++;
    s->queue.others |= op->kind != EDGE_OP_PUT;
    if (s->queue.idle || is_crowded(s) || (s->queue.gathering && !may_gather(s))) {
        s->queue.idle = false;
        pthread_cond_signal(&s->queue.work);
    }
    cdn_lock_drop(&s->queue.lock);
}

/* ---- the index ---- */

void edge_writer_index_failed(struct edge_store *s, enum cdn_status status, const char *what)
{
    edge_store_event(s, EDGE_STORE_INDEX_ERROR, "index: %s: %s", what,
                     s->index ? edge_index_failure(s->index) : "not open");
    s->mark_void = true;
    if (status == CDN_CORRUPT) {
        s->index_broken = true;
    }
}

bool edge_writer_begin(struct edge_store *s)
{
    if (!s->index || s->index_broken) {
        return false;
    }
    if (!edge_index_in_transaction(s->index)) {
        enum cdn_status status = edge_index_begin(s->index);
        if (status != CDN_OK) {
            edge_writer_index_failed(s, status, "begin");
            return false;
        }
        s->commit_at = cdn_clock_mono_ms() + s->commit_ms;
    }
    return true;
}

static void measure_index(struct edge_store *s)
{
    struct stat st;
    uint64_t bytes = fstatat(s->dir, "index.db", &st, 0) == 0 ? (uint64_t)st.st_size : 0;
    uint64_t log = fstatat(s->dir, "index.db-wal", &st, 0) == 0 ? (uint64_t)st.st_size : 0;
    atomic_store(&s->index_bytes, bytes + log);
    atomic_store(&s->log_bytes, log);
}

void edge_writer_commit(struct edge_store *s)
{
    if (!s->commit_at) {
        return;
    }
    s->commit_at = 0;
    if (!s->index || !edge_index_in_transaction(s->index)) {
        return;
    }
    enum cdn_status status = edge_index_commit(s->index);
    if (status == CDN_OK) {
        s->commits++;
        measure_index(s);
        return;
    }
    edge_writer_index_failed(s, status, "commit");
    if (edge_index_in_transaction(s->index)) { /* nothing is lost yet: once more later */
        s->commit_at = cdn_clock_mono_ms() + EDGE_FULL_RETRY_MS;
    }
}

static void insert_row(struct edge_store *s, const struct edge_op *op, const struct edge_store_location *l)
{
    struct edge_store_row row = {.key_hash = op->key_hash,
                                 .location = *l,
                                 .key = {op->text, op->key_n},
                                 .meta = {op->text + op->key_n, op->meta_n},
                                 .extents = op->extents,
                                 .n_extents = op->n_extents};
    if (edge_writer_begin(s)) {
        enum cdn_status status = edge_index_insert(s->index, &row);
        if (status != CDN_OK) {
            edge_writer_index_failed(s, status, "insert");
        }
    }
}

/* ---- the operations ---- */

/* One object is stored, or not: its row, and word to who waits. */
static void settle(struct edge_store *s, struct edge_op *op, enum cdn_status status,
                   const struct edge_store_location *l)
{
    if (status == CDN_OK) {
        insert_row(s, op, l);
    } else {
        atomic_fetch_add_explicit(&s->refused, 1, memory_order_relaxed);
    }
    if (op->done) {
        op->done(op->arg, status, status == CDN_OK ? l : NULL);
    }
}

static void count_objects(struct edge_store *s, unsigned n)
{
    cdn_lock_take(&s->lock);
    s->objects += n;
    cdn_lock_drop(&s->lock);
}

static uint64_t put_size(const struct edge_op *op)
{
    return edge_record_size(op->key_n + op->meta_n, op->body_n);
}

/* How many puts from `op` on go into one write: they fit into the current segment (or a new one), and the
 * room for them is there. */
static unsigned together(struct edge_store *s, const struct edge_op *op)
{
    const uint64_t room = edge_segment_room(s);
    const uint64_t limit = put_size(op) <= room ? room : s->segment_bytes;
    uint64_t size = 0;
    unsigned n = 0;
    for (; op && op->kind == EDGE_OP_PUT && n < EDGE_APPEND_MAX; op = op->next) {
        const uint64_t more = size + put_size(op);
        if (n > 0 && (more > limit || more > APPEND_BYTES)) {
            break;
        }
        size = more;
        n++;
    }
    return n == 1 || edge_compact_make_room(s, size) ? n : 1;
}

static enum cdn_status append(struct edge_store *s, struct edge_op *op, struct edge_append *items, unsigned n)
{
    if (disk_full(s)) {
        return CDN_UNAVAILABLE;
    }
    if (n == 1 && !edge_compact_make_room(s, put_size(op))) {
        edge_store_event(s, EDGE_STORE_FULL, "the budget of %" PRIu64 " bytes is used up",
                         atomic_load(&s->budget));
        return CDN_UNAVAILABLE;
    }
    for (unsigned i = 0; i < n; i++, op = op->next) {
        items[i].record = (struct edge_record){.id = atomic_fetch_add(&s->next_id, 1),
                                               .key_hash = op->key_hash,
                                               .key_n = (uint32_t)op->key_n,
                                               .meta_n = (uint32_t)op->meta_n,
                                               .body_n = op->body_n};
        items[i].text = op->text;
        items[i].body = op->body;
    }
    return edge_segment_append(s, items, n);
}

/* Stores `op` and those after it that go along in the same write; the last of them. */
static struct edge_op *put(struct edge_store *s, struct edge_op *op)
{
    struct edge_append items[EDGE_APPEND_MAX];
    const unsigned n = disk_full(s) ? 1 : together(s, op);
    const enum cdn_status status = append(s, op, items, n);
    if (status == CDN_OK) {
        count_objects(s, n);
    }
    for (unsigned i = 0;; op = op->next) {
        settle(s, op, status, &items[i].location);
        if (++i == n) {
            return op;
        }
    }
}

static void commit_file(struct edge_store *s, struct edge_op *op)
{
    struct edge_store_location l = {0};
    const enum cdn_status status = edge_file_commit(s, op, &l);
    if (status == CDN_OK) {
        count_objects(s, 1);
    }
    settle(s, op, status, &l);
}

/* Where an object lies now: compaction may have moved it since the engine looked. */
static void follow(struct edge_store *s, struct edge_store_location *l)
{
    cdn_lock_take(&s->lock);
    const struct edge_segment *segment = edge_segment_get(s, l->segment);
    bool moved = l->segment && (!segment || segment->retire_ms || s->compaction.segment == l->segment);
    cdn_lock_drop(&s->lock);
    uint32_t number = 0;
    uint32_t place = 0;
    if (moved && s->index && edge_index_place(s->index, l->id, &number, &place) == CDN_OK) {
        l->segment = number;
        l->place = place;
    }
}

static void remove_object(struct edge_store *s, struct edge_op *op)
{
    struct edge_store_location *l = &op->location;
    follow(s, l);
    if (l->segment) {
        edge_segment_kill(s, l);
    } else {
        edge_file_remove(s, l);
    }
    cdn_lock_take(&s->lock);
    const bool lost = l->id < atomic_load(&s->alive_from);
    if (!op->uncounted && !lost && (s->loaded || l->id >= s->first_new_id || l->id <= s->load_cursor)) {
        s->objects -= s->objects > 0;
        if (l->segment) {
            edge_segment_count(s, l, false);
        }
    }
    cdn_lock_drop(&s->lock);
    if (edge_writer_begin(s)) {
        enum cdn_status status = edge_index_delete(s->index, l->id);
        if (status != CDN_OK) {
            edge_writer_index_failed(s, status, "delete");
        }
    }
}

static void update_lost(struct edge_store *s, const struct edge_op *op)
{
    if (s->hooks.on_update_lost) {
        s->hooks.on_update_lost(s->hooks.self, &op->key_hash, &op->location);
    }
}

static void update_object(struct edge_store *s, const struct edge_op *op, struct cdn_str meta)
{
    enum cdn_status status = CDN_UNAVAILABLE;
    if (edge_writer_begin(s)) {
        status = edge_index_update(s->index, op->location.id, meta);
        if (status != CDN_OK) {
            edge_writer_index_failed(s, status, "update");
        }
    }
    if (status != CDN_OK) {
        update_lost(s, op);
    }
}

struct newest { /* a row's meta */
    struct cdn_buf meta;
    bool there, rebuilt;
};

static void take_meta(void *arg, const struct edge_store_row *row)
{
    struct newest *n = arg;
    cdn_buf_add_str(&n->meta, row->meta);
    n->rebuilt = row->rebuilt;
    n->there = true;
}

static void damaged_meta(void *arg, uint64_t id)
{
    (void)arg, (void)id;
}

/* Uncommitted changes are seen: this is the connection that made them. */
static enum cdn_status newest_meta(struct edge_store *s, uint64_t id, struct newest *ret)
{
    const struct edge_index_sink sink = {ret, take_meta, damaged_meta};
    if (!s->index || s->index_broken) {
        return CDN_UNAVAILABLE;
    }
    enum cdn_status status = edge_index_get(s->index, id, &sink);
    if (status != CDN_OK) {
        edge_writer_index_failed(s, status, "get");
    }
    return status == CDN_OK && !ret->there ? CDN_NOT_FOUND : status;
}

static void edit_object(struct edge_store *s, const struct edge_op *op)
{
    struct newest n = {0};
    if (newest_meta(s, op->location.id, &n) == CDN_OK) {
        op->edit(n.meta.p, n.meta.n, op->edit_arg);
        update_object(s, op, cdn_buf_str(&n.meta));
    } else {
        update_lost(s, op);
    }
    cdn_buf_free(&n.meta);
}

static void tell_meta(struct edge_store *s, const struct edge_op *op)
{
    struct newest n = {0};
    enum cdn_status status = newest_meta(s, op->location.id, &n);
    op->meta_done(op->arg, status, cdn_buf_str(&n.meta), n.rebuilt);
    cdn_buf_free(&n.meta);
}

/* True the first time: it went to the end of the queue once more, after what its first round brings. */
static bool goes_round(struct edge_store *s, struct edge_op *op)
{
    if (op->again) {
        return false;
    }
    op->again = true;
    edge_writer_enqueue(s, op, 0);
    return true;
}

static void keep_mark(struct edge_store *s, struct edge_op *op)
{
    free(s->mark);
    s->mark = cdn_str_dup((struct cdn_str){op->text, op->meta_n});
    if (!s->mark_void && edge_writer_begin(s)) {
        enum cdn_status status = edge_index_set_mark(s->index, (struct cdn_str){op->text, op->meta_n});
        if (status != CDN_OK) {
            edge_writer_index_failed(s, status, "mark");
        }
    }
}

static void rebuild(struct edge_store *s)
{
    edge_rebuild_run(s);
    cdn_lock_take(&s->queue.lock);
    s->queue.rebuild_done = true;
    pthread_cond_broadcast(&s->queue.done);
    cdn_lock_drop(&s->queue.lock);
}

/* Does `op` (and those that go along with it); the last one done. */
static struct edge_op *perform(struct edge_store *s, struct edge_op *op, bool *ret_keep)
{
    switch (op->kind) {
    case EDGE_OP_PUT:
        return put(s, op);
    case EDGE_OP_COMMIT:
        commit_file(s, op);
        break;
    case EDGE_OP_REMOVE:
        remove_object(s, op);
        break;
    case EDGE_OP_UPDATE:
        update_object(s, op, (struct cdn_str){op->text, op->meta_n});
        break;
    case EDGE_OP_EDIT:
        edit_object(s, op);
        break;
    case EDGE_OP_META:
        tell_meta(s, op);
        break;
    case EDGE_OP_MARK:
        *ret_keep = goes_round(s, op);
        if (!*ret_keep) {
            keep_mark(s, op);
        }
        break;
    case EDGE_OP_SETTLE:
        *ret_keep = goes_round(s, op);
        if (!*ret_keep) {
            edge_writer_commit(s);
            op->settled(op->arg);
        }
        break;
    case EDGE_OP_REBUILD:
        rebuild(s);
        break;
    }
    return op;
}

static void work_off(struct edge_store *s, struct edge_op *op)
{
    while (op) {
        bool keep = false; /* it is in the queue again */
        struct edge_op *after = op->next;
        struct edge_op *last = perform(s, op, &keep);
        struct edge_op *end = keep ? after : last->next;
        uint64_t bytes = 0;
        while (op != end && !keep) {
            struct edge_op *next = op->next;
            bytes += op->kind == EDGE_OP_PUT ? op->body_n : 0;
            free(op->extents);
            free(op);
            op = next;
        }
        cdn_lock_take(&s->queue.lock);
        s->queue.bytes -= bytes;
        const bool crowded = is_crowded(s);
        cdn_lock_drop(&s->queue.lock);
        op = end;
        if (op && !crowded) {
            sched_yield(); /* whoever answers requests goes first */
        }
    }
}

/* ---- the thread ---- */

/* Under the queue's lock, with work in the queue. */
static void gather(struct edge_store *s)
{
    struct timespec until;
    edge_store_after(&until, s->gather_ms);
    s->queue.gathering = true;
    while (may_gather(s) && cdn_lock_wait_until(&s->queue.lock, &s->queue.work, &until) == 0) {
    }
    s->queue.gathering = false;
}

/* Waits up to `ms` (only for a hurried signal when napping) and takes all there is. */
static struct edge_op *take(struct edge_store *s, int64_t ms, bool nap, uint64_t *ret_flush, bool *ret_stop)
{
    struct timespec until;
    edge_store_after(&until, ms);
    cdn_lock_take(&s->queue.lock);
    while ((nap || !s->queue.head) && !s->queue.hurry && !s->queue.stop) {
        s->queue.idle = !nap;
        if (cdn_lock_wait_until(&s->queue.lock, &s->queue.work, &until) != 0 || is_crowded(s)) {
            break;
        }
    }
    s->queue.idle = false;
    if (s->queue.head) {
        gather(s);
    }
    s->queue.hurry = false;
    s->queue.others = false;
    s->queue.waiting = 0;
    struct edge_op *head = s->queue.head;
    s->queue.head = NULL;
    s->queue.tail = &s->queue.head;
    *ret_flush = s->queue.flush_wanted;
    *ret_stop = s->queue.stop && !head; /* what the last work queues is work too */
    cdn_lock_drop(&s->queue.lock);
    return head;
}

static void flushed(struct edge_store *s, uint64_t flush)
{
    cdn_lock_take(&s->queue.lock);
    if (s->queue.flush_done < flush) {
        s->queue.flush_done = flush;
        pthread_cond_broadcast(&s->queue.done);
    }
    cdn_lock_drop(&s->queue.lock);
}

static int64_t patience(const struct edge_store *s, bool more)
{
    int64_t ms = more ? COMPACT_PAUSE_MS : IDLE_MS;
    if (s->commit_at) {
        int64_t left = s->commit_at - cdn_clock_mono_ms();
        ms = left < ms ? left : ms;
    }
    return ms > 0 ? ms : 0;
}

static void *writer_main(void *arg)
{
    struct edge_store *s = arg;
    bool nap = false;
    bool more = false;
    for (bool stop = false; !stop;) {
        uint64_t flush = 0;
        struct edge_op *ops = take(s, nap ? NAP_MS : patience(s, more), nap, &flush, &stop);
        nap = ops != NULL;
        edge_remake_look(s);
        work_off(s, ops);
        bool wanted = flush != s->queue.flush_done; /* only this thread changes flush_done */
        if (wanted || stop || (s->commit_at && s->commit_at <= cdn_clock_mono_ms())) {
            edge_writer_commit(s);
        }
        if (s->index_broken) {
            edge_rebuild_run(s);
        }
        flushed(s, flush);
        more = edge_compact_step(s);
    }
    return NULL;
}

enum cdn_status edge_writer_start(struct edge_store *s, struct cdn_error *err)
{
    int error = pthread_create(&s->writer, NULL, writer_main, s);
    if (error) {
        s->writer = 0;
        return cdn_error_set(err, CDN_INTERNAL, "store: no thread to write: %s", strerror(error));
    }
    return CDN_OK;
}

void edge_writer_flush(struct edge_store *s)
{
    cdn_lock_take(&s->queue.lock);
    uint64_t mine = ++s->queue.flush_wanted;
    s->queue.hurry = true;
    pthread_cond_signal(&s->queue.work);
    while (s->queue.flush_done < mine) {
        cdn_lock_wait(&s->queue.lock, &s->queue.done);
    }
    cdn_lock_drop(&s->queue.lock);
}
