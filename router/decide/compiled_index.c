/* compiled_index: a trie again, in the form that look-ups are quickest in (compiled_private.h):
 * leaves of 64 slots instead of nodes of 256. Left out when it would be larger than caches are;
 * then the trie alone answers. */
#include "common/mem.h"
#include "router/decide/compiled_private.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

#define CHUNKS_MAX 4096u /* IPv6: 16 MB */
#define SLOTS 64u

struct indexing {
    const struct trie *trie;
    struct trie_index *index;
    size_t leaf_count, leaf_room; /* words */
    size_t chunk_count;
    uint32_t
        *class_chunks; /* IPv6, by class: the chunk that stands for root slots of the class; 0: none yet */
};

/* ---- leaves ---- */

/* Room for a leaf of so many words. One that fits into a cache line does not begin in another one. */
static uint64_t *leaf_add(struct indexing *x, size_t words, uint32_t *ret_at)
{
    size_t in_line = x->leaf_count % 8;
    if (words <= 8 && in_line + words > 8) {
        x->leaf_count += 8 - in_line;
    }
    if (x->leaf_count + words > x->leaf_room) {
        x->leaf_room = 2 * (x->leaf_count + words) + 4096;
        x->index->leaves = cdn_realloc(x->index->leaves, x->leaf_room, sizeof(*x->index->leaves));
    }
    *ret_at = (uint32_t)x->leaf_count;
    x->leaf_count += words;
    uint64_t *leaf = x->index->leaves + *ret_at;
    memset(leaf, 0, words * sizeof(*leaf));
    return leaf;
}

static void class_leaves_add(struct indexing *x)
{
    for (uint32_t i = 0; i < x->trie->class_count; i++) {
        uint32_t at;
        uint16_t class_id = (uint16_t)i;
        memcpy(leaf_add(x, TRIE_CLASS_WORDS, &at) + 1, &class_id, sizeof(class_id));
    }
}

/* A leaf of the slots' values: classes or nodes. */
static uint32_t leaf_make(struct indexing *x, const uint32_t slots[SLOTS])
{
    uint64_t starts = 0;
    uint16_t values[SLOTS];
    uint32_t deep[SLOTS], at;
    unsigned n = 0, deep_n = 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        bool is_class = trie_is_class(x->trie, slots[i]);
        if (i > 0 && is_class && slots[i] == slots[i - 1]) {
            continue;
        }
        starts |= (uint64_t)(i > 0) << i;
        values[n++] = is_class ? (uint16_t)slots[i] : TRIE_DEEP;
        if (!is_class) {
            deep[deep_n++] = slots[i];
        }
    }
    if (n == 1 && deep_n == 0) {
        return values[0] * TRIE_CLASS_WORDS;
    }
    uint64_t *leaf = leaf_add(x, trie_leaf_deep_word(n) + (deep_n + 1) / 2, &at);
    leaf[0] = starts;
    memcpy(leaf + 1, values, n * sizeof(*values));
    memcpy(leaf + trie_leaf_deep_word(n), deep, deep_n * sizeof(*deep));
    return at;
}

/* What stands at slot `i` of a value one level up, which may be a class. */
static uint32_t below(const struct trie *t, uint32_t value, unsigned i)
{
    return trie_is_class(t, value) ? value : trie_slot(t, &t->u.nodes[value], i);
}

/* ---- the levels above ---- */

static void begin(struct indexing *x, struct trie *t)
{
    *x = (struct indexing){.trie = t, .index = &t->index};
    class_leaves_add(x);
}

static void end(struct indexing *x, struct trie *t, size_t tops)
{
    size_t size = x->leaf_count * sizeof(uint64_t);
    uint64_t *leaves = trie_table_alloc(size);
    memcpy(leaves, t->index.leaves, size);
    free(t->index.leaves);
    t->index.leaves = leaves;
    t->bytes += size + tops * sizeof(*t->index.tops);
}

/* The row of all these slots' addresses, or TRIE_NO_ROW. */
static uint32_t row_of_slots(const struct trie *t, const uint32_t slots[SLOTS])
{
    uint32_t row = trie_row(t, slots[0]);
    for (unsigned i = 1; i < SLOTS; i++) {
        if (trie_row(t, slots[i]) != row) {
            return TRIE_NO_ROW;
        }
    }
    return row;
}

/* Gives each aligned block of tops of one row the length of its prefix: from the widest block down. */
static void scopes_fill(uint8_t *scopes, const uint32_t *rows, size_t n, unsigned bits)
{
    bool same = rows[0] != TRIE_NO_ROW;
    for (size_t i = 1; i < n && same; i++) {
        same = rows[i] == rows[0];
    }
    if (same || n == 1) {
        memset(scopes, same ? (int)bits : TRIE_SCOPE_BELOW, n);
        return;
    }
    scopes_fill(scopes, rows, n / 2, bits + 1);
    scopes_fill(scopes + n / 2, rows + n / 2, n / 2, bits + 1);
}

static void index_ipv4(struct trie *t)
{
    struct indexing x;
    CDN_AUTOFREE uint32_t *rows = cdn_malloc(TRIE_TOPS_IPV4 * sizeof(*rows));
    begin(&x, t);
    t->index.tops = trie_table_alloc(TRIE_TOPS_IPV4 * sizeof(*t->index.tops));
    t->index.scopes = cdn_malloc(TRIE_TOPS_IPV4);
    for (size_t i = 0; i < TRIE_TOPS_IPV4; i++) {
        uint32_t slots[SLOTS];
        for (unsigned k = 0; k < SLOTS; k++) {
            slots[k] = below(t, t->root[i / 4], (unsigned)(i % 4 * SLOTS + k));
        }
        t->index.tops[i] = leaf_make(&x, slots);
        rows[i] = row_of_slots(t, slots);
    }
    scopes_fill(t->index.scopes, rows, TRIE_TOPS_IPV4, 0);
    t->bytes += TRIE_TOPS_IPV4;
    end(&x, t, TRIE_TOPS_IPV4);
}

static void chunk_fill(struct indexing *x, uint32_t *tops, uint32_t root)
{
    const struct trie *t = x->trie;
    for (unsigned i = 0; i < TRIE_CHUNK_TOPS; i++) {
        uint32_t slots[SLOTS], value = below(t, root, i / 4);
        for (unsigned k = 0; k < SLOTS; k++) {
            slots[k] = below(t, value, i % 4 * SLOTS + k);
        }
        tops[i] = leaf_make(x, slots);
    }
}

static uint32_t chunk_of(struct indexing *x, uint32_t root)
{
    bool is_class = trie_is_class(x->trie, root);
    if (is_class && x->class_chunks[root]) {
        return x->class_chunks[root] - 1;
    }
    if (x->chunk_count == CHUNKS_MAX) {
        return UINT32_MAX;
    }
    uint32_t first = (uint32_t)(x->chunk_count++ * TRIE_CHUNK_TOPS);
    chunk_fill(x, x->index->tops + first, root);
    if (is_class) {
        x->class_chunks[root] = first + 1;
    }
    return first;
}

static void index_ipv6(struct trie *t)
{
    struct indexing x;
    bool fits = true;
    begin(&x, t);
    x.class_chunks = cdn_calloc(t->class_count, sizeof(*x.class_chunks));
    t->index.tops = trie_table_alloc(CHUNKS_MAX * TRIE_CHUNK_TOPS * sizeof(*t->index.tops));
    t->index.chunks = cdn_calloc(TRIE_ROOT_SIZE, sizeof(*t->index.chunks));
    for (size_t i = 0; i < TRIE_ROOT_SIZE && fits; i++) {
        t->index.chunks[i] = chunk_of(&x, t->root[i]);
        fits = t->index.chunks[i] != UINT32_MAX;
    }
    free(x.class_chunks);
    end(&x, t, x.chunk_count * TRIE_CHUNK_TOPS);
    if (!fits) {
        trie_index_fini(&t->index);
    }
}

void trie_index_build(struct trie *trie, int family)
{
    if (trie->class_count <= TRIE_DEEP) {
        (family == AF_INET ? index_ipv4 : index_ipv6)(trie);
    }
}

void trie_index_fini(struct trie_index *index)
{
    free(index->tops);
    free(index->chunks);
    free(index->leaves);
    free(index->scopes);
    *index = (struct trie_index){0};
}
