/* The writer thread: takes all queued work at once, appends, and commits the index in batches.
 *
 * After work it naps a moment instead of waiting, so that a burst of puts costs one wake-up, not one each.
 * Puts alone may wait longer, until some megabytes are together: their bodies are in memory, nobody waits for
 * them, and a burst of misses is answered before the processor is spent on storing them. */
#include "common/clock.h"
#include "common/lock.h"
#include "common/status.h"
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

static void work_off(struct edge_store *s, struct edge_op *op)
{
    while (op) {
        bool keep = false; /* it is in the queue again */
        struct edge_op *after = op->next;
        struct edge_op *last = edge_op_perform(s, op, &keep);
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
