#include "edge/blob.h"

#include "common/mem.h"

#include "common/banned.h"

struct edge_blob *edge_blob_create(size_t n)
{
    struct edge_blob *blob = cdn_malloc(sizeof *blob + n);
    atomic_init(&blob->refs, 1);
    blob->n = n;
    return blob;
}

struct edge_blob *edge_blob_resize(struct edge_blob *blob, size_t n)
{
    blob = cdn_realloc(blob, sizeof *blob + n, 1);
    blob->n = n;
    return blob;
}

struct edge_blob *edge_blob_ref(struct edge_blob *blob)
{
    atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    return blob;
}

void edge_blob_unref(void *p)
{
    struct edge_blob *blob = p;
    if (blob && atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) == 1) {
        free(blob);
    }
}
