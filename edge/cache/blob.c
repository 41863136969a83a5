/* blob: small bodies come from malloc, larger ones from pages of their own (memory/pages.h). What
 * a blob takes is entered in the account here, as it is made, resized and freed, so that no
 * caller can forget it. */
#include "edge/cache/blob.h"

#include "common/mem.h"
#include "edge/memory/budget.h"
#include "edge/memory/pages.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

size_t edge_blob_room(size_t n)
{
    return n < EDGE_PAGES_MIN ? n : edge_pages_room(n);
}

static char *take(size_t n)
{
    return n < EDGE_PAGES_MIN ? cdn_malloc(n) : edge_pages_take(n);
}

static void give(char *data, size_t n)
{
    if (n < EDGE_PAGES_MIN) {
        free(data);
    } else {
        edge_pages_give(data, n);
    }
}

struct edge_blob *edge_blob_create(size_t n)
{
    struct edge_blob *blob = cdn_malloc(sizeof(*blob));
    atomic_init(&blob->refs, 1);
    blob->n = n;
    atomic_init(&blob->coded, NULL);
    blob->data = take(n);
    edge_budget_add(edge_blob_room(n));
    return blob;
}

struct edge_blob *edge_blob_resize(struct edge_blob *blob, size_t n)
{
    const size_t before = blob->n;
    if (before < EDGE_PAGES_MIN && n < EDGE_PAGES_MIN) {
        blob->data = cdn_realloc(blob->data, n, 1);
    } else if (edge_blob_room(n) != edge_blob_room(before) &&
               (n > before || !edge_pages_shrink(blob->data, before, n))) {
        char *data = take(n);
        memcpy(data, blob->data, n < before ? n : before);
        give(blob->data, before);
        blob->data = data;
    }
    edge_budget_add(edge_blob_room(n));
    edge_budget_sub(edge_blob_room(before));
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
        give(blob->data, blob->n);
        edge_budget_sub(edge_blob_room(blob->n));
        free(blob);
    }
}

struct edge_coded *edge_blob_coded(struct edge_blob *blob)
{
    struct edge_coded *there = atomic_load(&blob->coded);
    if (there) {
        return there;
    }
    struct edge_coded *fresh = cdn_calloc(1, sizeof(*fresh));
    if (atomic_compare_exchange_strong(&blob->coded, &there, fresh)) {
        return fresh;
    }
    free(fresh);
    return there;
}

uint64_t edge_blob_bytes(const struct edge_blob *blob)
{
    uint64_t bytes = edge_blob_room(blob->n);
    const struct edge_coded *coded = atomic_load(&blob->coded);
    for (unsigned i = 0; coded && i < EDGE_CODED_COUNT; i++) {
        bytes += coded->blob[i] ? edge_blob_room(coded->blob[i]->n) + sizeof(*coded) : 0;
    }
    return bytes;
}
