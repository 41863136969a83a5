/* The front of a file of its own: two slots, written in turn, so that a crash leaves the other one whole.
 * A slot: head, key, meta, extents, checksums of the blocks; all sums seeded with the store's secret. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/store/store.h"
#include "edge/store/store_private.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/banned.h"

#define FRONT_MAGIC 0x31464350u /* "PCF1" */

struct head {
    uint32_t magic;
    uint32_t generation;
    uint64_t id;
    struct edge_store_key key_hash;
    uint64_t body;
    uint32_t key_n, meta_n;
    uint32_t n_extents, n_sums;
    uint64_t payload_sum;
    uint64_t sum;
};
_Static_assert(sizeof(struct head) == 80, "no padding");

static uint64_t head_sum(const struct edge_store *s, struct head h)
{
    h.sum = 0;
    return XXH3_64bits_withSeed(&h, sizeof(h), s->secret);
}

static size_t payload_size(const struct head *h)
{
    return (size_t)h->key_n + h->meta_n + h->n_extents * sizeof(struct edge_store_extent) +
           h->n_sums * sizeof(uint64_t);
}

size_t edge_front_blocks(uint64_t body)
{
    return (size_t)((body + EDGE_STORE_BLOCK - 1) / EDGE_STORE_BLOCK);
}

void edge_front_destroy(struct edge_front *front)
{
    if (front) {
        free(front->text);
        free(front->extents);
        free(front->sums);
        free(front);
    }
}

static bool head_valid(const struct edge_store *s, const struct head *h)
{
    return h->magic == FRONT_MAGIC && h->sum == head_sum(s, *h) &&
           payload_size(h) <= EDGE_FRONT_SLOT - sizeof(*h) && h->n_sums == edge_front_blocks(h->body);
}

static void *copy(const char **from, size_t n)
{
    void *p = cdn_malloc(n);
    memcpy(p, *from, n);
    *from += n;
    return p;
}

static struct edge_front *decode(const struct head *h, const char *payload)
{
    struct edge_front *f = cdn_calloc(1, sizeof(*f));
    f->generation = h->generation;
    f->id = h->id;
    f->key_hash = h->key_hash;
    f->body = h->body;
    f->key_n = h->key_n;
    f->meta_n = h->meta_n;
    f->text = copy(&payload, f->key_n + f->meta_n);
    f->n_extents = h->n_extents;
    f->extents = copy(&payload, f->n_extents * sizeof(*f->extents));
    f->n_sums = h->n_sums;
    f->sums = copy(&payload, f->n_sums * sizeof(*f->sums));
    return f;
}

static struct edge_front *read_slot(const struct edge_store *s, int fd, unsigned slot)
{
    struct head h;
    off_t at = (off_t)slot * (off_t)EDGE_FRONT_SLOT;
    if (pread(fd, &h, sizeof(h), at) != (ssize_t)sizeof(h) || !head_valid(s, &h)) {
        return NULL;
    }
    size_t n = payload_size(&h);
    CDN_AUTOFREE char *payload = cdn_malloc(n);
    if (pread(fd, payload, n, at + (off_t)sizeof(h)) != (ssize_t)n ||
        XXH3_64bits_withSeed(payload, n, s->secret) != h.payload_sum) {
        return NULL;
    }
    return decode(&h, payload);
}

struct edge_front *edge_front_read(const struct edge_store *s, int fd)
{
    struct edge_front *even = read_slot(s, fd, 0);
    struct edge_front *odd = read_slot(s, fd, 1);
    if (even && odd) {
        const bool even_is_newer = even->generation > odd->generation;
        edge_front_destroy(even_is_newer ? odd : even);
        return even_is_newer ? even : odd;
    }
    return even ? even : odd;
}

enum cdn_status edge_front_write(const struct edge_store *s, int fd, const struct edge_front *f)
{
    struct head h = {.magic = FRONT_MAGIC,
                     .generation = f->generation,
                     .id = f->id,
                     .key_hash = f->key_hash,
                     .body = f->body,
                     .key_n = (uint32_t)f->key_n,
                     .meta_n = (uint32_t)f->meta_n,
                     .n_extents = (uint32_t)f->n_extents,
                     .n_sums = (uint32_t)f->n_sums};
    size_t n = payload_size(&h);
    if (n > EDGE_FRONT_SLOT - sizeof(h)) {
        return CDN_TOO_LARGE;
    }
    CDN_AUTOBUF struct cdn_buf b = {0};
    cdn_buf_add(&b, &h, sizeof(h));
    cdn_buf_add(&b, f->text, f->key_n + f->meta_n);
    cdn_buf_add(&b, f->extents, f->n_extents * sizeof(*f->extents));
    cdn_buf_add(&b, f->sums, f->n_sums * sizeof(*f->sums));
    h.payload_sum = XXH3_64bits_withSeed(b.p + sizeof(h), n, s->secret);
    h.sum = head_sum(s, h);
    memcpy(b.p, &h, sizeof(h));
    ssize_t written = pwrite(fd, b.p, b.n, (off_t)(f->generation & 1) * (off_t)EDGE_FRONT_SLOT);
    if (written >= 0 && (size_t)written != b.n) {
        errno = ENOSPC;
    }
    return written == (ssize_t)b.n ? CDN_OK : CDN_IO;
}

bool edge_front_stretches(const struct edge_store_extent *extents, size_t n, uint64_t block,
                          edge_stretch_fn *visit, void *arg)
{
    uint64_t begin = block * EDGE_STORE_BLOCK;
    uint64_t end = begin + EDGE_STORE_BLOCK;
    size_t low = 0;
    for (size_t high = n; low < high;) { /* the first that ends after the begin of the block */
        size_t middle = (low + high) / 2;
        if (extents[middle].to <= begin) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < n && extents[low].from < end; low++) {
        uint64_t from = extents[low].from > begin ? extents[low].from : begin;
        uint64_t to = extents[low].to < end ? extents[low].to : end;
        if (from < to && !visit(arg, from, to)) {
            return false;
        }
    }
    return true;
}

struct block_reading {
    int fd;
    uint64_t begin;
    unsigned char *buffer;
    XXH3_state_t *hash;
    enum cdn_status status;
};

static bool read_stretch(void *arg, uint64_t from, uint64_t to)
{
    struct block_reading *r = arg;
    struct iovec part = {r->buffer + (from - r->begin), (size_t)(to - from)};
    r->status = edge_read_exactly(r->fd, &part, 1, (off_t)(EDGE_FRONT_BODY + from), false);
    if (r->status == CDN_OK) {
        XXH3_64bits_update(r->hash, part.iov_base, part.iov_len);
    }
    return r->status == CDN_OK;
}

enum cdn_status edge_front_block(int fd, const struct edge_store_extent *extents, size_t n, uint64_t block,
                                 unsigned char *buffer, uint64_t *ret_sum)
{
    struct block_reading r = {fd, block * EDGE_STORE_BLOCK, buffer, XXH3_createState(), CDN_OK};
    XXH3_64bits_reset(r.hash);
    edge_front_stretches(extents, n, block, read_stretch, &r);
    if (r.status == CDN_OK) {
        *ret_sum = XXH3_64bits_digest(r.hash);
    }
    XXH3_freeState(r.hash);
    return r.status;
}

bool edge_front_has(const struct edge_front *f, uint64_t from, uint64_t to)
{
    size_t i = 0;
    while (i < f->n_extents && f->extents[i].to <= from) {
        i++;
    }
    for (; from < to && i < f->n_extents && f->extents[i].from <= from; i++) {
        from = f->extents[i].to; /* neighbours may touch */
    }
    return from >= to;
}
