/* compiled_trie: from sorted runs to the trie of compiled_private.h, bottom-up: equal neighbours
 * become one run and a block of one class no node at all, so the size follows from what differs and
 * not from the database. */
#include "common/mem.h"
#include "router/decide/compiled.h"
#include "router/decide/compiled_private.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/banned.h"

#define HUGE_PAGE (2u << 20)

struct building {
    const struct trie_run *runs;
    size_t count;
    struct trie_node *nodes;
    uint32_t *values;
    size_t node_count, node_room, value_count, value_room;
};

void *trie_table_alloc(size_t size)
{
    size_t unit = size >= HUGE_PAGE / 2 ? HUGE_PAGE : sizeof(struct trie_node);
    void *p = cdn_aligned_malloc(unit, size);
    if (unit == HUGE_PAGE) {
        madvise(p, size, MADV_HUGEPAGE);
    }
    return p;
}

static uint32_t node_add(struct building *b)
{
    if (b->node_count == b->node_room) {
        b->node_room = b->node_room ? b->node_room * 2 : 1024;
        struct trie_node *nodes = trie_table_alloc(b->node_room * sizeof(*nodes));
        if (b->node_count > 0) {
            memcpy(nodes, b->nodes, b->node_count * sizeof(*nodes));
        }
        free(b->nodes);
        b->nodes = nodes;
    }
    b->nodes[b->node_count] = (struct trie_node){0};
    return (uint32_t)b->node_count++;
}

static void values_add(struct building *b, const uint32_t *values, size_t n)
{
    if (b->value_count + n > b->value_room) {
        b->value_room = (b->value_count + n) * 2;
        b->values = cdn_realloc(b->values, b->value_room, sizeof(*b->values));
    }
    memcpy(b->values + b->value_count, values, n * sizeof(*values));
    b->value_count += n;
}

/* Values of few runs stand in the node. The others' place is known when all nodes are: see assemble. */
static void node_values(struct building *b, struct trie_node *node, uint32_t id, const uint32_t *values,
                        size_t n)
{
    if (n <= TRIE_INLINE) {
        node->base = id * TRIE_NODE_WORDS + (uint32_t)offsetof(struct trie_node, few) / 4 - 1;
        memcpy(node->few, values, n * sizeof(*values));
        return;
    }
    node->base = (uint32_t)b->value_count - 1;
    node->few[0] = UINT32_MAX;
    values_add(b, values, n);
}

/* ---- classes ---- */

static void classes_add(struct building *b, const struct router_compiled *c)
{
    for (size_t i = 0; i < c->class_count; i++) {
        uint32_t id = node_add(b);
        b->nodes[id].row = c->classes[i].row;
    }
}

/* ---- blocks ---- */

/* The run that holds `key`, from run `at` on. */
static size_t run_of(const struct building *b, size_t at, uint64_t key)
{
    while (at + 1 < b->count && b->runs[at + 1].first <= key) {
        at++;
    }
    return at;
}

static uint32_t block_build(struct building *b, unsigned bits, uint64_t first, size_t run);

/* The node for a block of 2^(64 - bits) keys, whose first key is in run number `run`. */
static uint32_t node_build(struct building *b, unsigned bits, uint64_t first, size_t run)
{
    uint32_t id = node_add(b), values[256];
    struct trie_node node = {0};
    size_t n = 0;
    for (unsigned i = 0; i < 256; i++) {
        uint64_t from = first + ((uint64_t)i << (64 - bits - 8));
        run = run_of(b, run, from);
        uint32_t value = block_build(b, bits + 8, from, run);
        if (i % 64 == 0) {
            node.before[i / 64] = (uint8_t)n;
        }
        if (n > 0 && value == values[n - 1]) {
            continue;
        }
        node.starts[i / 64] |= (uint64_t)1 << i % 64;
        values[n++] = value;
        if (n == 1) {
            node.row = b->nodes[value].row;
        } else if (node.row != b->nodes[value].row) {
            node.row = TRIE_NO_ROW;
        }
    }
    node_values(b, &node, id, values, n);
    b->nodes[id] = node;
    return id;
}

static uint32_t block_build(struct building *b, unsigned bits, uint64_t first, size_t run)
{
    uint64_t last = bits == 64 ? first : first + (UINT64_MAX >> bits);
    if (run + 1 == b->count || b->runs[run + 1].first > last) {
        return b->runs[run].class_id;
    }
    return node_build(b, bits, first, run);
}

/* ---- the whole ---- */

/* Gives every slot of each aligned block of one row the length of its prefix: from the widest block down. */
static void root_scope_fill(struct trie *t, unsigned from, unsigned bits)
{
    unsigned n = TRIE_ROOT_SIZE >> bits;
    uint32_t row = trie_row(t, t->root[from]);
    bool same = row != TRIE_NO_ROW;
    for (unsigned i = from + 1; i < from + n && same; i++) {
        same = trie_row(t, t->root[i]) == row;
    }
    if (same || bits == TRIE_ROOT_BITS) {
        memset(t->root_scope + from, same ? (int)bits : 255, n);
        return;
    }
    root_scope_fill(t, from, bits + 1);
    root_scope_fill(t, from + n / 2, bits + 1);
}

/* Nodes and values into one piece of memory. */
static void assemble(struct trie *t, const struct building *b)
{
    size_t words = b->node_count * TRIE_NODE_WORDS;
    size_t size = (words + b->value_count) * sizeof(uint32_t);
    uint32_t *memory = trie_table_alloc(size);
    struct trie_node *nodes = (struct trie_node *)(void *)memory;
    memcpy(nodes, b->nodes, words * sizeof(uint32_t));
    if (b->value_count > 0) {
        memcpy(memory + words, b->values, b->value_count * sizeof(uint32_t));
    }
    for (size_t i = 0; i < b->node_count; i++) {
        if (nodes[i].few[0] == UINT32_MAX) {
            nodes[i].base += (uint32_t)words;
        }
    }
    t->u.nodes = nodes;
    t->bytes = size + TRIE_ROOT_SIZE * (sizeof(*t->root) + sizeof(*t->root_scope));
}

void trie_build(struct trie *trie, const struct router_compiled *compiled, const struct trie_run *runs,
                size_t count)
{
    struct building b = {.runs = runs, .count = count};
    *trie = (struct trie){.runs = count, .class_count = compiled->class_count};
    trie->root = cdn_malloc(TRIE_ROOT_SIZE * sizeof(*trie->root));
    trie->root_scope = cdn_malloc(TRIE_ROOT_SIZE);
    classes_add(&b, compiled);
    size_t run = 0;
    for (unsigned i = 0; i < TRIE_ROOT_SIZE; i++) {
        uint64_t first = (uint64_t)i << (64 - TRIE_ROOT_BITS);
        run = run_of(&b, run, first);
        trie->root[i] = block_build(&b, TRIE_ROOT_BITS, first, run);
    }
    assemble(trie, &b);
    root_scope_fill(trie, 0, 0);
    free(b.nodes);
    free(b.values);
}

void trie_fini(struct trie *trie)
{
    trie_index_fini(&trie->index);
    free(trie->root);
    free(trie->root_scope);
    free(trie->u.nodes);
}
