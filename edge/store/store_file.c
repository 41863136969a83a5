/* Objects in a file of their own: written by the engine's thread under a temporary name, committed by the
 * writer. */
#include "common/lock.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/store/store.h"
#include "edge/store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

/* What is known of a block while it is written: the sum of its bytes [0, end), if they came in order. */
struct block {
    uint64_t sum;
    uint32_t end;
    bool broken; /* came out of order: read it back */
};

struct edge_store_file {
    struct edge_store *store;
    int fd;
    uint64_t id;              /* 0: new */
    uint64_t number;          /* of the temporary name */
    struct edge_front *front; /* reopened: as it was */
    struct block *blocks;
    size_t n_blocks;
    XXH3_state_t *hash; /* of block `hashing`, up to its `end` */
    uint64_t hashing;
    bool failed;
    uint64_t written;
    uint64_t disk_before;
};

void edge_file_name(uint64_t id, char out[static 40])
{
    snprintf(out, 40, "files/%" PRIu64, id);
}

static void temporary_name(uint64_t number, char out[static 40])
{
    snprintf(out, 40, "tmp/%" PRIu64, number);
}

static uint64_t disk_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static struct edge_store_file *handle(struct edge_store *s, int fd)
{
    struct edge_store_file *f = cdn_calloc(1, sizeof(*f));
    f->store = s;
    f->fd = fd;
    f->hash = XXH3_createState();
    XXH3_64bits_reset(f->hash);
    return f;
}

enum cdn_status edge_store_file_create(struct edge_store *s, struct edge_store_file **ret,
                                       struct cdn_error *err)
{
    char name[40];
    uint64_t number = atomic_fetch_add(&s->next_id, 1);
    if (!edge_store_has_room(s, EDGE_STORE_PACKED_MAX)) { /* it will be larger yet */
        return cdn_error_set(err, CDN_UNAVAILABLE, "%s: the budget is used up", s->path);
    }
    temporary_name(number, name);
    int fd = openat(s->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        enum cdn_status status = edge_store_write_failed(s, name, errno);
        return cdn_error_set(err, status, "%s/%s: cannot be created", s->path, name);
    }
    *ret = handle(s, fd);
    (*ret)->number = number;
    return CDN_OK;
}

enum cdn_status edge_store_file_reopen(struct edge_store *s, const struct edge_store_location *l,
                                       struct edge_store_file **ret, struct cdn_error *err)
{
    char name[40];
    edge_file_name(l->id, name);
    int fd = l->segment ? -1 : openat(s->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return cdn_error_set(err, l->segment || errno == ENOENT ? CDN_NOT_FOUND : CDN_IO,
                             "%s/%s: cannot be opened", s->path, name);
    }
    struct edge_front *front = edge_front_read(s, fd);
    if (!front || front->id != l->id) {
        edge_front_destroy(front);
        close(fd);
        return cdn_error_set(err, CDN_CORRUPT, "%s/%s: no valid front", s->path, name);
    }
    *ret = handle(s, fd);
    (*ret)->id = l->id;
    (*ret)->front = front;
    (*ret)->disk_before = disk_of(fd);
    return CDN_OK;
}

static void destroy(struct edge_store_file *f)
{
    atomic_fetch_sub(&f->store->temporary, f->written);
    close(f->fd);
    edge_front_destroy(f->front);
    XXH3_freeState(f->hash);
    free(f->blocks);
    free(f);
}

void edge_store_file_abort(struct edge_store_file *f)
{
    char name[40];
    if (!f) {
        return;
    }
    if (!f->id) {
        temporary_name(f->number, name);
        unlinkat(f->store->dir, name, 0);
    }
    destroy(f);
}

static struct block *block_of(struct edge_store_file *f, uint64_t number)
{
    if (number >= f->n_blocks) {
        size_t n = (size_t)number + 16 + f->n_blocks / 2;
        f->blocks = cdn_realloc(f->blocks, n, sizeof(*f->blocks));
        memset(f->blocks + f->n_blocks, 0, (n - f->n_blocks) * sizeof(*f->blocks));
        f->n_blocks = n;
    }
    return &f->blocks[number];
}

/* Takes note of bytes within one block. */
static void note_part(struct edge_store_file *f, uint64_t number, uint32_t from, const void *data, uint32_t n)
{
    struct block *b = block_of(f, number);
    bool in_order = from == b->end && (f->hashing == number || b->end == 0);
    if (b->broken || !in_order) {
        b->broken = true;
        return;
    }
    if (f->hashing != number || from == 0) {
        if (f->hashing != number && f->hashing < f->n_blocks) {
            f->blocks[f->hashing].sum = XXH3_64bits_digest(f->hash);
        }
        XXH3_64bits_reset(f->hash);
        f->hashing = number;
    }
    XXH3_64bits_update(f->hash, data, n);
    b->end += n;
    if (b->end == EDGE_STORE_BLOCK) {
        b->sum = XXH3_64bits_digest(f->hash);
    }
}

static void note(struct edge_store_file *f, uint64_t offset, const unsigned char *data, size_t n)
{
    while (n > 0) {
        uint32_t from = (uint32_t)(offset % EDGE_STORE_BLOCK);
        size_t room = EDGE_STORE_BLOCK - from;
        size_t part = n < room ? n : room;
        note_part(f, offset / EDGE_STORE_BLOCK, from, data, (uint32_t)part);
        offset += part;
        data += part;
        n -= part;
    }
}

static enum cdn_status may_write(struct edge_store_file *f, uint64_t offset, size_t n, struct cdn_error *err)
{
    struct edge_store *s = f->store;
    if (f->failed) {
        return cdn_error_set(err, CDN_IO, "%s: an earlier write failed", s->path);
    }
    if (offset + n < offset || offset + n > EDGE_STORE_BODY_MAX) {
        return cdn_error_set(err, CDN_TOO_LARGE, "a body that ends at %" PRIu64 " is too large to store",
                             offset + n);
    }
    if (!edge_store_has_room(s, n)) {
        return cdn_error_set(err, CDN_UNAVAILABLE, "%s: the budget is used up", s->path);
    }
    return CDN_OK;
}

enum cdn_status edge_store_file_write(struct edge_store_file *f, uint64_t offset, const void *data, size_t n,
                                      struct cdn_error *err)
{
    struct edge_store *s = f->store;
    const char *p = data;
    enum cdn_status status = may_write(f, offset, n, err);
    if (status != CDN_OK) {
        f->failed = true;
        return status;
    }
    for (size_t done = 0; done < n;) {
        ssize_t k = pwrite(f->fd, p + done, n - done, (off_t)(EDGE_FRONT_BODY + offset + done));
        if (k < 0 && errno == EINTR) {
            continue;
        }
        if (k <= 0) {
            f->failed = true;
            return cdn_error_set(err, edge_store_write_failed(s, "file", k < 0 ? errno : ENOSPC),
                                 "%s: the body could not be written", s->path);
        }
        done += (size_t)k;
    }
    note(f, offset, data, n);
    f->written += n;
    atomic_fetch_add(&s->temporary, n);
    atomic_fetch_add_explicit(&s->written, n, memory_order_relaxed);
    return CDN_OK;
}

int edge_store_file_fd(const struct edge_store_file *f, off_t *ret_base)
{
    *ret_base = EDGE_FRONT_BODY;
    return f->fd;
}

static struct edge_op *op_of(struct edge_store_file *f, const struct edge_store_commit *c)
{
    struct edge_op *op = cdn_malloc(sizeof(*op) + c->key.n + c->meta.n);
    *op = (struct edge_op){.kind = EDGE_OP_COMMIT,
                           .key_hash = c->key_hash,
                           .key_n = c->key.n,
                           .meta_n = c->meta.n,
                           .body_n = c->body_length,
                           .done = c->done,
                           .arg = c->arg,
                           .file = f,
                           .n_extents = c->n_extents};
    if (c->key.n) {
        memcpy(op->text, c->key.p, c->key.n);
    }
    if (c->meta.n) {
        memcpy(op->text + c->key.n, c->meta.p, c->meta.n);
    }
    if (c->n_extents) {
        op->extents = cdn_malloc(c->n_extents * sizeof(*op->extents));
        memcpy(op->extents, c->extents, c->n_extents * sizeof(*op->extents));
    }
    return op;
}

void edge_store_file_commit(struct edge_store_file *f, const struct edge_store_commit *c)
{
    edge_writer_enqueue(f->store, op_of(f, c), 0);
}

/* ---- writer thread ---- */

struct sole {
    uint64_t begin; /* of the block */
    uint64_t covered;
    unsigned stretches;
};

static bool visit_sole(void *arg, uint64_t from, uint64_t to)
{
    struct sole *x = arg;
    x->covered = from == x->begin + x->covered ? to - x->begin : UINT64_MAX / 2;
    x->stretches++;
    return true;
}

/* How many bytes from its begin are there of a block; beyond the block's size: not one stretch from the
 * begin. */
static uint64_t prefix_of(const struct edge_store_extent *extents, size_t n, uint64_t block)
{
    struct sole x = {.begin = block * EDGE_STORE_BLOCK};
    edge_front_stretches(extents, n, block, visit_sole, &x);
    return x.covered;
}

static bool visit_sum(void *arg, uint64_t from, uint64_t to)
{
    const uint64_t pair[] = {from, to};
    *(uint64_t *)arg = XXH3_64bits_withSeed(pair, sizeof(pair), *(uint64_t *)arg);
    return true;
}

static bool same_stretches(const struct edge_front *a, const struct edge_front *b, uint64_t block)
{
    uint64_t sum_a = 0;
    uint64_t sum_b = 0;
    edge_front_stretches(a->extents, a->n_extents, block, visit_sum, &sum_a);
    edge_front_stretches(b->extents, b->n_extents, block, visit_sum, &sum_b);
    return sum_a == sum_b;
}

static enum cdn_status sum_block(struct edge_store_file *f, struct edge_front *front, uint64_t block,
                                 unsigned char *buffer)
{
    const struct edge_front *old = f->front;
    bool had = old && block < old->n_sums;
    if (had && same_stretches(old, front, block)) {
        front->sums[block] = old->sums[block];
        return CDN_OK;
    }
    const struct block *b = !had && block < f->n_blocks ? &f->blocks[block] : NULL;
    if (b && !b->broken && b->end > 0 && prefix_of(front->extents, front->n_extents, block) == b->end) {
        front->sums[block] = b->sum;
        return CDN_OK;
    }
    if (had) { /* what was there must not be blessed anew without a look */
        uint64_t sum = 0;
        enum cdn_status status = edge_front_block(f->fd, old->extents, old->n_extents, block, buffer, &sum);
        if (status != CDN_OK || sum != old->sums[block]) {
            return CDN_CORRUPT;
        }
    }
    return edge_front_block(f->fd, front->extents, front->n_extents, block, buffer, &front->sums[block]);
}

static bool extents_valid(const struct edge_store_extent *e, size_t n, uint64_t body)
{
    for (size_t i = 0; i < n; i++) {
        if (e[i].from >= e[i].to || e[i].to > body || (i > 0 && e[i].from < e[i - 1].to)) {
            return false;
        }
    }
    return true;
}

static struct edge_front *front_of(struct edge_store *s, struct edge_op *op)
{
    struct edge_store_file *f = op->file;
    struct edge_front *front = cdn_calloc(1, sizeof(*front));
    front->generation = f->front ? f->front->generation + 1 : 0;
    front->id = f->id ? f->id : atomic_fetch_add(&s->next_id, 1);
    front->key_hash = op->key_hash;
    front->body = op->body_n;
    front->key_n = op->key_n;
    front->meta_n = op->meta_n;
    front->text = cdn_malloc(op->key_n + op->meta_n);
    memcpy(front->text, op->text, op->key_n + op->meta_n);
    front->n_extents = op->n_extents ? op->n_extents : op->body_n > 0;
    front->extents = cdn_malloc(front->n_extents * sizeof(*front->extents));
    if (op->n_extents) {
        memcpy(front->extents, op->extents, op->n_extents * sizeof(*front->extents));
    } else if (op->body_n > 0) {
        front->extents[0] = (struct edge_store_extent){0, op->body_n};
    }
    front->n_sums = edge_front_blocks(op->body_n);
    front->sums = cdn_calloc(front->n_sums, sizeof(*front->sums));
    return front;
}

static enum cdn_status sum_all(struct edge_store_file *f, struct edge_front *front)
{
    CDN_AUTOFREE unsigned char *buffer = cdn_malloc(EDGE_STORE_BLOCK);
    enum cdn_status status = CDN_OK;
    if (f->hashing < f->n_blocks && f->blocks[f->hashing].end < EDGE_STORE_BLOCK) {
        f->blocks[f->hashing].sum = XXH3_64bits_digest(f->hash);
    }
    for (uint64_t i = 0; i < front->n_sums && status == CDN_OK; i++) {
        status = sum_block(f, front, i, buffer);
    }
    return status;
}

static enum cdn_status publish(struct edge_store *s, struct edge_store_file *f,
                               const struct edge_front *front)
{
    char from[40];
    char to[40];
    temporary_name(f->number, from);
    edge_file_name(front->id, to);
    if (ftruncate(f->fd, (off_t)(EDGE_FRONT_BODY + front->body)) != 0 ||
        edge_front_write(s, f->fd, front) != CDN_OK || (!f->id && renameat(s->dir, from, s->dir, to) != 0)) {
        return edge_store_write_failed(s, to, errno);
    }
    uint64_t disk = disk_of(f->fd);
    cdn_lock_take(&s->lock);
    s->files_bytes += disk - f->disk_before;
    s->live_bytes += disk - f->disk_before;
    s->files += !f->id;
    cdn_lock_drop(&s->lock);
    return CDN_OK;
}

static bool within_limits(const struct edge_op *op, const struct edge_store_file *f)
{
    uint64_t front = op->key_n + op->meta_n + op->n_extents * sizeof(struct edge_store_extent) +
                     edge_front_blocks(op->body_n) * sizeof(uint64_t);
    return op->key_n + op->meta_n <= EDGE_STORE_TEXT_MAX && front < EDGE_FRONT_SLOT - 256 &&
           op->body_n <= EDGE_STORE_BODY_MAX && extents_valid(op->extents, op->n_extents, op->body_n) &&
           (!f->front || f->front->body <= op->body_n);
}

enum cdn_status edge_file_commit(struct edge_store *s, struct edge_op *op, struct edge_store_location *ret)
{
    struct edge_store_file *f = op->file;
    const bool lost = f->id && f->id < atomic_load(&s->alive_from);
    if (f->failed || lost || !within_limits(op, f)) {
        edge_store_file_abort(f);
        return CDN_INVALID;
    }
    struct edge_front *front = front_of(s, op);
    enum cdn_status status = sum_all(f, front);
    if (status == CDN_OK) {
        status = publish(s, f, front);
    }
    if (status == CDN_OK) {
        *ret = (struct edge_store_location){.id = front->id,
                                            .text = (op->key_n + op->meta_n) & EDGE_STORE_TEXT_MAX,
                                            .body = op->body_n & EDGE_STORE_BODY_MAX};
        edge_descriptor_drop(s, front->id | EDGE_DESCRIPTOR_FILE); /* who opens it next sees the new front */
        destroy(f);
    } else {
        edge_store_file_abort(f);
    }
    edge_front_destroy(front);
    return status;
}

void edge_file_remove(struct edge_store *s, const struct edge_store_location *l)
{
    char name[40];
    struct stat st;
    edge_file_name(l->id, name);
    if (fstatat(s->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && unlinkat(s->dir, name, 0) == 0) {
        uint64_t disk = (uint64_t)st.st_blocks * 512;
        cdn_lock_take(&s->lock);
        s->files_bytes -= disk < s->files_bytes ? disk : s->files_bytes;
        s->live_bytes -= disk < s->live_bytes ? disk : s->live_bytes;
        s->files -= s->files > 0;
        cdn_lock_drop(&s->lock);
    }
    edge_descriptor_drop(s, l->id | EDGE_DESCRIPTOR_FILE);
}
