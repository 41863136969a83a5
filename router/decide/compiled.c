/* compiled: look-ups and scopes; compiled_build.c and compiled_trie.c make what is looked up. The
 * look-up is written for the processor: no call, few branches, loads that do not wait for one
 * another. */
#include "router/decide/compiled.h"

#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "router/decide/compiled_private.h"
#include "router/table/table.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/banned.h"

static uint32_t walk(const struct trie *t, uint32_t value, uint64_t key)
{
    for (; !trie_is_class(t, value); key <<= 8) {
        value = trie_slot(t, &t->u.nodes[value], (unsigned)(key >> 56));
    }
    return value;
}

static __attribute__((noinline)) uint32_t find_without_index(const struct trie *t, uint64_t key)
{
    return walk(t, t->root[key >> (64 - TRIE_ROOT_BITS)], key << TRIE_ROOT_BITS);
}

/* `rest` is the key after what the run's node stands for. */
static __attribute__((noinline)) uint32_t find_deep(const struct trie *t, const uint64_t *leaf, unsigned run,
                                                    uint64_t rest)
{
    unsigned runs = (unsigned)__builtin_popcountll(leaf[0]) + 1;
    const uint32_t *deep = (const uint32_t *)(leaf + trie_leaf_deep_word(runs));
    for (unsigned i = 0; i < run; i++) {
        deep += trie_leaf_value(leaf, i) == TRIE_DEEP;
    }
    return walk(t, *deep, rest);
}

static inline __attribute__((always_inline)) uint32_t find_in_leaf(const struct trie *t, uint32_t at,
                                                                   uint64_t slot, uint64_t rest)
{
    const uint64_t *leaf = t->index.leaves + at;
    unsigned run = trie_leaf_run(leaf, slot);
    uint16_t value = trie_leaf_value(leaf, run);
    return __builtin_expect(value != TRIE_DEEP, 1) ? value : find_deep(t, leaf, run, rest);
}

static inline __attribute__((always_inline)) uint32_t find_ipv4(const struct trie *t, uint32_t key)
{
    const struct trie_index *x = &t->index;
    if (!x->leaves) {
        return find_without_index(t, (uint64_t)key << 32);
    }
    return find_in_leaf(t, x->tops[key >> 14], key >> 8 & 63, (uint64_t)key << 56);
}

static inline __attribute__((always_inline)) uint32_t find_ipv6(const struct trie *t, uint64_t key)
{
    const struct trie_index *x = &t->index;
    if (!x->leaves) {
        return find_without_index(t, key);
    }
    uint32_t top = x->chunks[key >> 48] + (key >> 38 & (TRIE_CHUNK_TOPS - 1));
    return find_in_leaf(t, x->tops[top], key >> 32 & 63, key << 32);
}

static inline __attribute__((always_inline)) uint32_t find(const struct router_compiled *c,
                                                           const struct cdn_addr *a)
{
    if (a->sa.sa_family == AF_INET) {
        return find_ipv4(&c->tries[0], __builtin_bswap32(a->v4.sin_addr.s_addr));
    }
    return find_ipv6(&c->tries[1], trie_key(a));
}

static uint32_t find_plain(const struct router_compiled *c, const struct cdn_addr *a)
{
    return find(c, a);
}

#if defined(__x86_64__)
/* One instruction each for counting and masking, which the oldest processors of the family do not have. */
__attribute__((target("popcnt,bmi,bmi2"))) static uint32_t find_bits(const struct router_compiled *c,
                                                                     const struct cdn_addr *a)
{
    return find(c, a);
}
#endif

static void find_choose(struct router_compiled *c)
{
    c->find = find_plain;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")) {
        c->find = find_bits;
    }
#endif
}

const struct router_class *router_compiled_find(const struct router_compiled *c,
                                                const struct cdn_addr *address)
{
    uint32_t id = c->find(c, address);
    return id == TRIE_CHAIN ? NULL : &c->classes[id];
}

void router_compiled_prefetch(const struct router_compiled *c, const struct cdn_addr *address, unsigned step)
{
    const struct trie_index *x = &c->tries[0].index;
    if (address->sa.sa_family != AF_INET || !x->leaves) {
        return;
    }
    uint32_t top = __builtin_bswap32(address->v4.sin_addr.s_addr) >> 14;
    if (step > 0) {
        __builtin_prefetch(x->leaves + x->tops[top]);
        return;
    }
    __builtin_prefetch(x->tops + top);
    __builtin_prefetch(x->scopes + top);
}

struct path { /* from the root to the leaf of an address */
    const struct trie_node *nodes[6];
    unsigned slots[6];
    unsigned depth;
    uint32_t leaf;
};

static void path_find(const struct trie *t, uint64_t key, struct path *ret)
{
    uint32_t value = t->root[key >> (64 - TRIE_ROOT_BITS)];
    ret->depth = 0;
    for (key <<= TRIE_ROOT_BITS; !trie_is_class(t, value); key <<= 8) {
        const struct trie_node *node = &t->u.nodes[value];
        ret->nodes[ret->depth] = node;
        ret->slots[ret->depth] = (unsigned)(key >> 56);
        value = trie_slot(t, node, ret->slots[ret->depth++]);
    }
    ret->leaf = value;
}

/* The slot at which the run of slot `i` begins. */
static unsigned run_begin(const struct trie_node *node, unsigned i)
{
    unsigned word = i / 64;
    uint64_t up_to = node->starts[word] & (~(uint64_t)0 >> (63 - i % 64));
    while (!up_to) {
        up_to = node->starts[--word]; /* a run begins at slot 0 */
    }
    return word * 64 + 63 - (unsigned)__builtin_clzll(up_to);
}

/* The slot after the run of slot `i`; 256: it is the last one. */
static unsigned run_end(const struct trie_node *node, unsigned i)
{
    if (++i == 256) {
        return i;
    }
    unsigned word = i / 64;
    uint64_t from = node->starts[word] & (~(uint64_t)0 << i % 64);
    while (!from && ++word < 4) {
        from = node->starts[word];
    }
    return word == 4 ? 256 : word * 64 + (unsigned)__builtin_ctzll(from);
}

/* How many bits of a slot's number the row depends on: the largest block around it that is of one row. */
static unsigned bits_needed(const struct trie *t, const struct trie_node *node, unsigned slot, uint32_t row)
{
    unsigned begin = run_begin(node, slot), end = run_end(node, slot), bits = 8;
    for (unsigned size = 2; size <= 256; size *= 2, bits--) {
        unsigned first = slot & ~(size - 1);
        while (begin > first && trie_row(t, trie_slot(t, node, begin - 1)) == row) {
            begin = run_begin(node, begin - 1);
        }
        while (end < first + size && trie_row(t, trie_slot(t, node, end)) == row) {
            end = run_end(node, end);
        }
        if (begin > first || end < first + size) {
            break;
        }
    }
    return bits;
}

struct leaf_scope { /* of a slot that has one class, in a leaf of more than one row */
    const struct router_class *classes;
    const uint64_t *leaf;
    uint32_t row;
    unsigned begin, end; /* slots around it that have the row */
    bool deep;           /* one beside them is not of one class */
};

static bool has_row(struct leaf_scope *s, unsigned slot)
{
    uint16_t value = trie_leaf_value(s->leaf, trie_leaf_run(s->leaf, slot));
    s->deep |= value == TRIE_DEEP;
    return value != TRIE_DEEP && s->classes[value].row == s->row;
}

/* As bits_needed, within the cache line that the look-up has read. False: only the trie knows. */
static bool scope_in_leaf(struct leaf_scope *s, unsigned slot, unsigned *ret)
{
    unsigned scope = 24;
    s->begin = trie_leaf_begin(s->leaf, slot);
    s->end = trie_leaf_end(s->leaf, slot);
    for (unsigned size = 2; size < 64; size *= 2, scope--) {
        unsigned first = slot & ~(size - 1);
        while (s->begin > first && has_row(s, s->begin - 1)) {
            s->begin = trie_leaf_begin(s->leaf, s->begin - 1);
        }
        while (s->end < first + size && has_row(s, s->end)) {
            s->end = trie_leaf_end(s->leaf, s->end);
        }
        if (s->begin > first || s->end < first + size) {
            break;
        }
    }
    *ret = scope;
    return !s->deep;
}

static bool scope_from_index(const struct router_compiled *c, const struct cdn_addr *address, unsigned *ret)
{
    const struct trie_index *x = &c->tries[0].index;
    if (address->sa.sa_family != AF_INET || !x->leaves) {
        return false;
    }
    uint32_t key = __builtin_bswap32(address->v4.sin_addr.s_addr);
    unsigned slot = key >> 8 & 63, scope = x->scopes[key >> 14];
    struct leaf_scope s = {.classes = c->classes, .leaf = x->leaves + x->tops[key >> 14]};
    uint16_t value = trie_leaf_value(s.leaf, trie_leaf_run(s.leaf, slot));
    if (value == TRIE_CHAIN || value == TRIE_DEEP) {
        return false;
    }
    s.row = c->classes[value].row;
    *ret = scope;
    return scope != TRIE_SCOPE_BELOW || scope_in_leaf(&s, slot, ret);
}

unsigned router_compiled_scope(const struct router_compiled *c, const struct cdn_addr *address)
{
    unsigned known;
    if (scope_from_index(c, address, &known)) {
        return known;
    }
    const struct trie *t = trie_of(c, address->sa.sa_family);
    uint64_t key = trie_key(address);
    struct path path;
    path_find(t, key, &path);
    if (path.leaf == TRIE_CHAIN) {
        return address->sa.sa_family == AF_INET ? 32 : 128;
    }
    uint32_t row = c->classes[path.leaf].row;
    for (unsigned d = path.depth; d > 0; d--) {
        unsigned bits = bits_needed(t, path.nodes[d - 1], path.slots[d - 1], row);
        if (bits > 0) {
            return TRIE_ROOT_BITS + 8 * (d - 1) + bits;
        }
    }
    return t->root_scope[key >> (64 - TRIE_ROOT_BITS)];
}

void router_compiled_info(const struct router_compiled *c, struct router_compiled_info *ret)
{
    *ret = (struct router_compiled_info){
        .classes = c->class_count,
        .rows = c->row_count,
        .bytes = sizeof(*c) + c->class_room * sizeof(*c->classes) + c->class_count * sizeof(*c->quick),
    };
    for (size_t i = 0; i < CDN_ARRAY_LEN(c->tries); i++) {
        ret->networks[i] = c->tries[i].runs;
        ret->bytes += c->tries[i].bytes;
    }
}

enum cdn_status router_compiled_create(const struct router_table *table, const _Atomic bool *stop,
                                       struct router_compiled **ret, struct cdn_error *err)
{
    struct router_compiled *c = cdn_calloc(1, sizeof(*c));
    find_choose(c);
    enum cdn_status status = compiled_build(c, table, stop, err);
    if (status == CDN_OK) {
        *ret = c;
    } else {
        router_compiled_destroy(c);
    }
    return status;
}

void router_compiled_destroy(struct router_compiled *compiled)
{
    if (!compiled) {
        return;
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(compiled->tries); i++) {
        trie_fini(&compiled->tries[i]);
    }
    free(compiled->classes);
    free(compiled->quick);
    free(compiled);
}

enum cdn_status router_compiled_build(struct router_table *table, const _Atomic bool *stop,
                                      struct cdn_error *err)
{
    struct router_compiled *compiled, *none = NULL;
    if (atomic_load(&table->compiled)) {
        return CDN_OK;
    }
    enum cdn_status status = router_compiled_create(table, stop, &compiled, err);
    atomic_store(&table->compiled_destroy, router_compiled_destroy);
    if (status == CDN_OK && !atomic_compare_exchange_strong(&table->compiled, &none, compiled)) {
        router_compiled_destroy(compiled); /* another thread was faster */
    }
    return status;
}
