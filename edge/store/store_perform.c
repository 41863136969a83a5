/* store_perform: what each operation of the queue does, on the writer's thread: to segments and files first,
 * then to the index.
 *
 * In that order a crash between the two leaves a record that no row names, which is not found any more, or a
 * row whose record is gone, which reads as such: never one that speaks of other bytes. Puts that stand
 * together in the queue go into one write. What must come after all that was queued before (a mark, a
 * settlement) goes round the queue once more, since operations that are performed may queue others.
 */
#include "common/clock.h"
#include "common/lock.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/store/store.h"
#include "edge/store/store_index.h"
#include "edge/store/store_private.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/banned.h"

#define APPEND_BYTES ((uint64_t)256 * 1024) /* in one write, about */

static bool disk_full(struct edge_store *s)
{
    return atomic_load_explicit(&s->full_until, memory_order_relaxed) > cdn_clock_mono_ms();
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

struct edge_op *edge_op_perform(struct edge_store *s, struct edge_op *op, bool *ret_keep)
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
