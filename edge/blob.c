#include "edge/blob.h"

#include "common/mem.h"

#include <stdint.h>
#include <sys/mman.h>

#include "common/banned.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; older kernels refuse it, which does no harm */
#endif

/* Bodies of these sizes come whole and soon: one call instead of a page fault for every 4 KiB. */
#define POPULATE_FROM ((size_t)8 * 1024)
#define POPULATE_UP_TO ((size_t)256 * 1024)

static void populate(char *data, size_t n)
{
    const uintptr_t page = 4096;
    const uintptr_t from = (uintptr_t)data & ~(page - 1);
    const uintptr_t to = ((uintptr_t)data + n + page - 1) & ~(page - 1);
    if (n >= POPULATE_FROM && n <= POPULATE_UP_TO) {
        madvise((void *)from, to - from, MADV_POPULATE_WRITE); /* the neighbours' ends are written anyway */
    }
}

struct edge_blob *edge_blob_create(size_t n)
{
    struct edge_blob *blob = cdn_malloc(sizeof *blob);
    atomic_init(&blob->refs, 1);
    blob->n = n;
    atomic_init(&blob->coded, NULL);
    blob->data = cdn_malloc(n);
    populate(blob->data, n);
    return blob;
}

struct edge_blob *edge_blob_resize(struct edge_blob *blob, size_t n)
{
    blob->data = cdn_realloc(blob->data, n, 1);
    blob->n = n;
    return blob;
}

struct edge_blob *edge_blob_ref(struct edge_blob *blob)
{
    atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    return blob;
}

static void free_coded(struct edge_coded *coded)
{
    for (unsigned i = 0; coded && i < EDGE_CODED_COUNT; i++) {
        edge_blob_unref(coded->blob[i]); /* which has no further forms */
    }
    free(coded);
}

void edge_blob_unref(void *p)
{
    struct edge_blob *blob = p;
    if (blob && atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) == 1) {
        free_coded(atomic_load(&blob->coded));
        free(blob->data);
        free(blob);
    }
}

struct edge_coded *edge_blob_coded(struct edge_blob *blob)
{
    struct edge_coded *there = atomic_load(&blob->coded);
    if (there) {
        return there;
    }
    struct edge_coded *fresh = cdn_calloc(1, sizeof *fresh);
    if (atomic_compare_exchange_strong(&blob->coded, &there, fresh)) {
        return fresh;
    }
    free(fresh);
    return there;
}

uint64_t edge_blob_bytes(const struct edge_blob *blob)
{
    uint64_t bytes = blob->n;
    const struct edge_coded *coded = atomic_load(&blob->coded);
    for (unsigned i = 0; coded && i < EDGE_CODED_COUNT; i++) {
        bytes += coded->blob[i] ? coded->blob[i]->n + sizeof *coded : 0;
    }
    return bytes;
}
