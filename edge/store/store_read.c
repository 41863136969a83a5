/* store_read: at once when the page cache has the bytes, else by the reader threads, so that no
 * worker waits for a disk. What was verified once is not summed again; until then no byte is
 * handed out before its checksum has been compared. */
#include "common/lock.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/store/store.h"
#include "edge/store/store_private.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/banned.h"

enum job_kind { JOB_READ, JOB_META, JOB_FIND };

struct edge_read_job {
    struct edge_read_job *next;
    enum job_kind kind;
    struct edge_store_location location;
    uint64_t from; /* FIND: key_a */
    uint64_t n;    /* FIND: key_b */
    void *data;
    edge_store_read_fn *done;
    edge_store_meta_fn *meta_done;
    edge_store_rows_fn *rows;
    void *arg;
};

/* The iovec's parts that are still to be filled after `done` bytes. */
static int skip(struct iovec *parts, int n_parts, size_t done)
{
    int first = 0;
    while (first < n_parts && done >= parts[first].iov_len) {
        done -= parts[first++].iov_len;
    }
    if (first < n_parts) {
        parts[first].iov_base = (char *)parts[first].iov_base + done;
        parts[first].iov_len -= done;
    }
    memmove(parts, parts + first, (size_t)(n_parts - first) * sizeof(*parts));
    return n_parts - first;
}

enum cdn_status edge_read_exactly(int fd, const struct iovec *parts, int n_parts, off_t offset, bool nowait)
{
    struct iovec rest[3];
    memcpy(rest, parts, (size_t)n_parts * sizeof(*rest));
    int n = skip(rest, n_parts, 0);
    while (n > 0) {
        ssize_t k = preadv2(fd, rest, n, offset, nowait ? RWF_NOWAIT : 0);
        if (k < 0 && errno == EINTR) {
            continue;
        }
        if (k < 0) {
            return nowait && (errno == EAGAIN || errno == EOPNOTSUPP) ? CDN_UNAVAILABLE : CDN_IO;
        }
        if (k == 0) {
            return nowait ? CDN_UNAVAILABLE : CDN_CORRUPT;
        }
        offset += k;
        n = skip(rest, n, (size_t)k);
    }
    return CDN_OK;
}

static enum cdn_status complain(struct edge_store *s, const struct edge_store_location *l,
                                enum cdn_status status, enum edge_store_event event)
{
    edge_store_event(s, event, "object %" PRIu64 " in %s %" PRIu64 ": %s", l->id,
                     l->segment ? "segment" : "file", l->segment ? (uint64_t)l->segment : l->id,
                     edge_store_event_word(event));
    return status;
}

static enum cdn_status finish_read(struct edge_store *s, const struct edge_store_location *l,
                                   enum cdn_status status)
{
    if (status == CDN_CORRUPT) {
        return complain(s, l, status, EDGE_STORE_TORN);
    }
    return status == CDN_IO ? complain(s, l, status, EDGE_STORE_READ_ERROR) : status;
}

/* ---- packed records ---- */

static enum cdn_status check_record(struct edge_store *s, const struct edge_store_location *l,
                                    const struct edge_record *r, const void *body)
{
    bool valid = edge_record_valid(s, r);
    if (valid && r->id == l->id && r->state == EDGE_RECORD_DEAD) {
        return CDN_NOT_FOUND;
    }
    if (!valid || r->id != l->id || r->state != EDGE_RECORD_LIVE || r->body_n != l->body ||
        (uint64_t)r->key_n + r->meta_n != l->text || XXH3_64bits(body, l->body) != r->body_sum) {
        return complain(s, l, CDN_CORRUPT, EDGE_STORE_CHECKSUM);
    }
    edge_segment_verified_set(s, l, true);
    return CDN_OK;
}

/* Reads the whole record, the body straight to `data` when all of it is wanted. */
static enum cdn_status read_unverified(struct edge_store *s, const struct edge_store_location *l, int fd,
                                       uint64_t from, void *data, size_t n, bool nowait)
{
    struct edge_record r;
    bool whole = data && from == 0 && n == l->body;
    CDN_AUTOFREE char *text = cdn_malloc(l->text);
    CDN_AUTOFREE char *spare = whole ? NULL : cdn_malloc(l->body);
    char *body = whole ? data : spare;
    struct iovec parts[] = {{&r, sizeof(r)}, {text, l->text}, {body, l->body}};
    enum cdn_status status =
        finish_read(s, l, edge_read_exactly(fd, parts, 3, edge_record_offset(l), nowait));
    if (status == CDN_OK) {
        status = check_record(s, l, &r, body);
    }
    if (status == CDN_OK && data && !whole && n > 0) {
        memcpy(data, body + from, n);
    }
    return status;
}

static enum cdn_status packed_meta(struct edge_store *s, const struct edge_store_location *l, int fd,
                                   bool nowait, struct cdn_buf *into)
{
    struct edge_record r;
    CDN_AUTOFREE char *text = cdn_malloc(l->text);
    struct iovec parts[] = {{&r, sizeof(r)}, {text, l->text}};
    enum cdn_status status =
        finish_read(s, l, edge_read_exactly(fd, parts, 2, edge_record_offset(l), nowait));
    if (status != CDN_OK) {
        return status;
    }
    bool valid = edge_record_valid(s, &r);
    if (valid && r.id == l->id && r.state == EDGE_RECORD_DEAD) {
        return CDN_NOT_FOUND;
    }
    if (!valid || r.id != l->id || r.state != EDGE_RECORD_LIVE || (uint64_t)r.key_n + r.meta_n != l->text ||
        XXH3_64bits(text, l->text) != r.text_sum) {
        return complain(s, l, CDN_CORRUPT, EDGE_STORE_CHECKSUM);
    }
    cdn_buf_add(into, text + r.key_n, r.meta_n);
    return CDN_OK;
}

static enum cdn_status read_packed(struct edge_store *s, const struct edge_store_location *l, int fd,
                                   uint64_t from, void *data, size_t n, bool nowait)
{
    if (l->body > EDGE_STORE_PACKED_MAX) {
        return complain(s, l, CDN_CORRUPT, EDGE_STORE_CHECKSUM);
    }
    if (!edge_segment_verified(s, l)) {
        return read_unverified(s, l, fd, from, data, n, nowait);
    }
    struct iovec part = {data, n};
    return data
               ? finish_read(s, l, edge_read_exactly(fd, &part, 1, edge_record_body(l) + (off_t)from, nowait))
               : CDN_OK;
}

/* ---- files of their own ---- */

static bool blocks_verified(struct edge_store *s, const struct edge_store_ref *ref, uint64_t from, uint64_t n)
{
    bool all = true;
    cdn_lock_take(&s->lock);
    for (uint64_t b = from / EDGE_STORE_BLOCK; n > 0 && b <= (from + n - 1) / EDGE_STORE_BLOCK && all; b++) {
        all = ref->verified[b] != 0;
    }
    cdn_lock_drop(&s->lock);
    return all;
}

static enum cdn_status verify_block(struct edge_store *s, const struct edge_store_location *l,
                                    struct edge_store_ref *ref, uint64_t block, unsigned char *buffer)
{
    uint64_t sum = 0;
    const struct edge_front *f = ref->front;
    enum cdn_status status =
        finish_read(s, l, edge_front_block(ref->fd, f->extents, f->n_extents, block, buffer, &sum));
    if (status == CDN_OK && sum != f->sums[block]) {
        return complain(s, l, CDN_CORRUPT, EDGE_STORE_CHECKSUM);
    }
    if (status == CDN_OK) {
        cdn_lock_take(&s->lock);
        ref->verified[block] = 1;
        cdn_lock_drop(&s->lock);
    }
    return status;
}

/* Block by block: what was verified is handed out from the very bytes that were summed. */
static enum cdn_status read_blocks(struct edge_store *s, const struct edge_store_location *l,
                                   struct edge_store_ref *ref, uint64_t from, char *data, uint64_t n)
{
    CDN_AUTOFREE unsigned char *buffer = cdn_malloc(EDGE_STORE_BLOCK);
    enum cdn_status status = CDN_OK;
    while (n > 0 && status == CDN_OK) {
        uint64_t at = from % EDGE_STORE_BLOCK;
        uint64_t part = EDGE_STORE_BLOCK - at < n ? EDGE_STORE_BLOCK - at : n;
        status = verify_block(s, l, ref, from / EDGE_STORE_BLOCK, buffer);
        if (status == CDN_OK && data) {
            memcpy(data, buffer + at, part);
            data += part;
        }
        from += part;
        n -= part;
    }
    return status;
}

static enum cdn_status check_front(struct edge_store *s, const struct edge_store_location *l,
                                   const struct edge_store_ref *ref, uint64_t from, uint64_t n)
{
    const struct edge_front *f = ref->front;
    if (f->id != l->id || f->body < l->body) {
        return complain(s, l, CDN_CORRUPT, EDGE_STORE_CHECKSUM);
    }
    return edge_front_has(f, from, from + n) ? CDN_OK : CDN_INVALID;
}

static enum cdn_status read_file(struct edge_store *s, const struct edge_store_location *l,
                                 struct edge_store_ref *ref, uint64_t from, void *data, size_t n, bool nowait)
{
    enum cdn_status status = check_front(s, l, ref, from, n);
    if (status != CDN_OK) {
        return status;
    }
    if (!blocks_verified(s, ref, from, n)) {
        return nowait ? CDN_UNAVAILABLE : read_blocks(s, l, ref, from, data, n);
    }
    struct iovec part = {data, n};
    off_t offset = (off_t)(EDGE_FRONT_BODY + from);
    return data ? finish_read(s, l, edge_read_exactly(ref->fd, &part, 1, offset, nowait)) : CDN_OK;
}

/* ---- both ---- */

static bool gone(struct edge_store *s, const struct edge_store_location *l)
{
    cdn_lock_take(&s->lock);
    bool none = l->id == 0 || (l->segment && !edge_segment_get(s, l->segment));
    cdn_lock_drop(&s->lock);
    return none;
}

static enum cdn_status read_range(struct edge_store *s, const struct edge_store_location *l, uint64_t from,
                                  void *data, size_t n, bool nowait)
{
    struct edge_store_ref *ref = NULL;
    if (gone(s, l)) {
        return CDN_NOT_FOUND;
    }
    if (from > l->body || n > l->body - from) {
        return CDN_INVALID;
    }
    enum cdn_status status = edge_descriptor_get(s, edge_descriptor_key(l), !nowait, &ref);
    if (status == CDN_OK) {
        status = l->segment ? read_packed(s, l, ref->fd, from, data, n, nowait)
                            : read_file(s, l, ref, from, data, n, nowait);
        edge_descriptor_put(s, ref);
    }
    return status;
}

enum cdn_status edge_store_meta(struct edge_store *s, const struct edge_store_location *l, bool wait,
                                struct cdn_buf *into)
{
    struct edge_store_ref *ref = NULL;
    if (gone(s, l)) {
        return CDN_NOT_FOUND;
    }
    enum cdn_status status = edge_descriptor_get(s, edge_descriptor_key(l), wait, &ref);
    if (status != CDN_OK) {
        return status;
    }
    if (l->segment) {
        status = packed_meta(s, l, ref->fd, !wait, into);
    } else if (ref->front->id == l->id) { /* its checksum was verified when the file was opened */
        cdn_buf_add(into, ref->front->text + ref->front->key_n, ref->front->meta_n);
    } else {
        status = complain(s, l, CDN_CORRUPT, EDGE_STORE_CHECKSUM);
    }
    edge_descriptor_put(s, ref);
    return status;
}

enum cdn_status edge_store_try_read(struct edge_store *s, const struct edge_store_location *l, uint64_t from,
                                    void *data, size_t n)
{
    return read_range(s, l, from, data, n, true);
}

enum cdn_status edge_store_body(struct edge_store *s, const struct edge_store_location *l, uint64_t from,
                                uint64_t n, struct edge_store_ref **ret, int *ret_fd, off_t *ret_offset)
{
    struct edge_store_ref *ref = NULL;
    if (gone(s, l)) {
        return CDN_NOT_FOUND;
    }
    if (from > l->body || n > l->body - from) {
        return CDN_INVALID;
    }
    enum cdn_status status = edge_descriptor_get(s, edge_descriptor_key(l), false, &ref);
    if (status != CDN_OK) {
        return status;
    }
    if (!l->segment) {
        status = check_front(s, l, ref, from, n);
    }
    if (status == CDN_OK && !(l->segment ? edge_segment_verified(s, l) : blocks_verified(s, ref, from, n))) {
        status = CDN_UNAVAILABLE;
    }
    if (status != CDN_OK) {
        edge_descriptor_put(s, ref);
        return status;
    }
    *ret = ref;
    *ret_fd = ref->fd;
    *ret_offset = (l->segment ? edge_record_body(l) : (off_t)EDGE_FRONT_BODY) + (off_t)from;
    return CDN_OK;
}

void edge_store_release(struct edge_store *s, struct edge_store_ref *ref)
{
    if (ref) {
        edge_descriptor_put(s, ref);
    }
}

/* ---- threads ---- */

static void enqueue(struct edge_store *s, struct edge_read_job job)
{
    struct edge_read_job *copy = cdn_malloc(sizeof(*copy));
    *copy = job;
    cdn_lock_take(&s->readers.lock);
    *s->readers.tail = copy;
    s->readers.tail = &copy->next;
    pthread_cond_signal(&s->readers.work);
    cdn_lock_drop(&s->readers.lock);
}

void edge_store_read(struct edge_store *s, const struct edge_store_location *l, uint64_t from, void *data,
                     size_t n, edge_store_read_fn *done, void *arg)
{
    enqueue(
        s,
        (struct edge_read_job){
            .kind = JOB_READ, .location = *l, .from = from, .n = n, .data = data, .done = done, .arg = arg});
}

void edge_store_read_meta(struct edge_store *s, const struct edge_store_location *l, edge_store_meta_fn *done,
                          void *arg)
{
    enqueue(s, (struct edge_read_job){.kind = JOB_META, .location = *l, .meta_done = done, .arg = arg});
}

static void read_meta(struct edge_store *s, const struct edge_read_job *job)
{
    CDN_AUTOBUF struct cdn_buf meta = {0};
    enum cdn_status status = edge_store_meta(s, &job->location, true, &meta);
    job->meta_done(job->arg, status, cdn_buf_str(&meta), false);
}

void edge_store_find(struct edge_store *s, uint64_t key_a, uint64_t key_b, edge_store_rows_fn *rows,
                     void *arg)
{
    enqueue(s, (struct edge_read_job){.kind = JOB_FIND, .from = key_a, .n = key_b, .rows = rows, .arg = arg});
}

static struct edge_read_job *next_job(struct edge_store *s)
{
    cdn_lock_take(&s->readers.lock);
    while (!s->readers.head && !s->readers.stop) {
        cdn_lock_wait(&s->readers.lock, &s->readers.work);
    }
    struct edge_read_job *job = s->readers.head;
    if (job) {
        s->readers.head = job->next;
        if (!s->readers.head) {
            s->readers.tail = &s->readers.head;
        }
    }
    cdn_lock_drop(&s->readers.lock);
    return job;
}

static void *reader_main(void *arg)
{
    struct edge_store *s = arg;
    for (struct edge_read_job *job; (job = next_job(s)) != NULL; free(job)) {
        if (job->kind == JOB_FIND) {
            edge_load_find(s, job->from, job->n, job->rows, job->arg);
        } else if (job->kind == JOB_META) {
            read_meta(s, job);
        } else {
            job->done(job->arg, read_range(s, &job->location, job->from, job->data, job->n, false));
        }
    }
    return NULL;
}

enum cdn_status edge_read_threads_start(struct edge_store *s, struct cdn_error *err)
{
    for (size_t i = 0; i < EDGE_STORE_READERS; i++) {
        int error = pthread_create(&s->readers.threads[i], NULL, reader_main, s);
        if (error) {
            s->readers.threads[i] = 0;
            return cdn_error_set(err, CDN_INTERNAL, "store: no thread to read: %s", strerror(error));
        }
    }
    return CDN_OK;
}

void edge_read_threads_stop(struct edge_store *s)
{
    cdn_lock_take(&s->readers.lock);
    s->readers.stop = true;
    pthread_cond_broadcast(&s->readers.work);
    cdn_lock_drop(&s->readers.lock);
    for (size_t i = 0; i < EDGE_STORE_READERS; i++) {
        if (s->readers.threads[i]) {
            pthread_join(s->readers.threads[i], NULL);
        }
    }
}
