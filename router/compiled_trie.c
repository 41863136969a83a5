/* compiled_trie: from sorted runs to the trie of compiled_private.h. */
#include "router/compiled_private.h"

#include "common/banned.h"

struct building {
    struct trie *trie;
    const struct router_class *classes;
    const struct trie_run *runs;
    size_t count;
};

uint32_t trie_row(const struct trie *trie, const struct router_class *classes, uint32_t value)
{
    if (value & TRIE_NODE)
        return trie->nodes[value & ~TRIE_NODE].row;
    return value == TRIE_CHAIN ? TRIE_NO_ROW : classes[value].row;
}

static uint32_t node_add(struct trie *t)
{
    if (t->node_count == t->node_room) {
        t->node_room = t->node_room ? t->node_room * 2 : 1024;
        t->nodes = cdn_realloc(t->nodes, t->node_room, sizeof(*t->nodes));
    }
    t->nodes[t->node_count] = (struct trie_node){0};
    return (uint32_t)t->node_count++;
}

static void values_add(struct trie *t, const uint32_t *values, size_t n)
{
    if (t->value_count + n > t->value_room) {
        t->value_room = (t->value_count + n) * 2;
        t->values = cdn_realloc(t->values, t->value_room, sizeof(*t->values));
    }
    memcpy(t->values + t->value_count, values, n * sizeof(*values));
    t->value_count += n;
}

/* The run that holds `key`, from run `at` on. */
static size_t run_of(const struct building *b, size_t at, uint64_t key)
{
    while (at + 1 < b->count && b->runs[at + 1].first <= key)
        at++;
    return at;
}

static uint32_t block_build(const struct building *b, unsigned bits, uint64_t first, size_t run);

/* The node for a block of 2^(64 - bits) keys, whose first key is in run number `run`. */
static uint32_t node_build(const struct building *b, unsigned bits, uint64_t first, size_t run)
{
    struct trie *t = b->trie;
    uint32_t id = node_add(t), values[256];
    struct trie_node node = {0};
    size_t n = 0;
    bool same_row = true;
    for (unsigned i = 0; i < 256; i++) {
        uint64_t from = first + ((uint64_t)i << (64 - bits - 8));
        run = run_of(b, run, from);
        uint32_t value = block_build(b, bits + 8, from, run);
        if (i % 64 == 0)
            node.before[i / 64] = (uint8_t)n;
        if (n > 0 && value == values[n - 1])
            continue;
        node.starts[i / 64] |= (uint64_t)1 << i % 64;
        values[n++] = value;
        same_row = same_row && trie_row(t, b->classes, value) == trie_row(t, b->classes, values[0]);
    }
    node.base = (uint32_t)t->value_count;
    node.row = same_row ? trie_row(t, b->classes, values[0]) : TRIE_NO_ROW;
    values_add(t, values, n);
    t->nodes[id] = node;
    return id | TRIE_NODE;
}

static uint32_t block_build(const struct building *b, unsigned bits, uint64_t first, size_t run)
{
    uint64_t last = bits == 64 ? first : first + (UINT64_MAX >> bits);
    if (run + 1 == b->count || b->runs[run + 1].first > last)
        return b->runs[run].class_id;
    return node_build(b, bits, first, run);
}

/* Gives every slot of each aligned block of one row the length of its prefix: from the widest block down. */
static void root_scope_fill(struct trie *t, const struct router_class *classes, unsigned from, unsigned bits)
{
    unsigned n = TRIE_ROOT_SIZE >> bits;
    uint32_t row = trie_row(t, classes, t->root[from]);
    bool same = row != TRIE_NO_ROW;
    for (unsigned i = from + 1; i < from + n && same; i++)
        same = trie_row(t, classes, t->root[i]) == row;
    if (same || bits == TRIE_ROOT_BITS) {
        memset(t->root_scope + from, same ? (int)bits : 255, n);
        return;
    }
    root_scope_fill(t, classes, from, bits + 1);
    root_scope_fill(t, classes, from + n / 2, bits + 1);
}

static void shrink(struct trie *t)
{
    t->node_room = t->node_count + 1;
    t->nodes = cdn_realloc(t->nodes, t->node_room, sizeof(*t->nodes));
    t->value_room = t->value_count + 1;
    t->values = cdn_realloc(t->values, t->value_room, sizeof(*t->values));
}

void trie_build(struct trie *trie, const struct router_class *classes, const struct trie_run *runs,
                size_t count)
{
    struct building b = {trie, classes, runs, count};
    *trie = (struct trie){.runs = count};
    trie->root = cdn_malloc(TRIE_ROOT_SIZE * sizeof(*trie->root));
    trie->root_scope = cdn_malloc(TRIE_ROOT_SIZE);
    size_t run = 0;
    for (unsigned i = 0; i < TRIE_ROOT_SIZE; i++) {
        uint64_t first = (uint64_t)i << (64 - TRIE_ROOT_BITS);
        run = run_of(&b, run, first);
        trie->root[i] = block_build(&b, TRIE_ROOT_BITS, first, run);
    }
    root_scope_fill(trie, classes, 0, 0);
    shrink(trie);
}

void trie_fini(struct trie *trie)
{
    free(trie->root);
    free(trie->root_scope);
    free(trie->nodes);
    free(trie->values);
}
