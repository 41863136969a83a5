/* compiled_private: the trie, for compiled.c and decide_brief.c that read it, compiled_trie.c and
 * compiled_build.c that make it. */
#ifndef CDN_ROUTER_COMPILED_PRIVATE_H
#define CDN_ROUTER_COMPILED_PRIVATE_H

#include "router/compiled.h"

#define TRIE_ROOT_BITS 16u
#define TRIE_ROOT_SIZE (1u << TRIE_ROOT_BITS)
#define TRIE_CHAIN 0u /* class 0: the chain decides */
#define TRIE_NO_ROW UINT32_MAX
#define TRIE_INLINE 5u

/* What a class says while every edge is well and its first two sites have one edge each. Small, so that all
 * of them stay in the nearest cache. */
struct router_quick {
    uint16_t pops[2];
    uint8_t count;  /* of pops; 0: look at the class */
    uint8_t reason; /* enum router_reason, of the decision */
    bool ambiguous;
};

/* A value is the index of a node; the first nodes are the classes, which have no slots. */
struct trie_node {                   /* one cache line */
    _Alignas(64) uint64_t starts[4]; /* bit i: a run of equal slots begins at slot i; bit 0 is always set */
    uint8_t before[4];               /* bits set in the words before */
    uint32_t base;             /* word of the trie before the first run's value; few ones stand in `few` */
    uint32_t row;              /* of all addresses below, or TRIE_NO_ROW when they differ */
    uint32_t few[TRIE_INLINE]; /* the values of a node with few runs */
};
#define TRIE_NODE_WORDS 16u
_Static_assert(sizeof(struct trie_node) == 4 * TRIE_NODE_WORDS, "a node fills a cache line");

struct trie { /* of one family */
    uint32_t *root;
    uint8_t *root_scope; /* of a root slot whose addresses all have one row: its scope, else 255 */
    union {
        struct trie_node *nodes;
        const uint32_t *words; /* the same memory: the nodes, then the values of those with many runs */
    } u;
    size_t class_count; /* so many of the nodes are classes */
    size_t bytes, runs;
};

struct router_compiled {
    struct trie tries[2]; /* IPv4, IPv6 */
    struct router_class *classes;
    size_t class_count, class_room;
    uint32_t row_count;
    struct router_quick *quick; /* by class */
    /* The class of an address. */
    uint32_t (*find)(const struct router_compiled *c, const struct cdn_addr *a);
};

/* The first 64 bits of an address; IPv4 stands at the top. */
static inline uint64_t trie_key(const struct cdn_addr *a)
{
    if (a->sa.sa_family == AF_INET)
        return (uint64_t)__builtin_bswap32(a->v4.sin_addr.s_addr) << 32;
    uint64_t key;
    memcpy(&key, a->v6.sin6_addr.s6_addr, sizeof(key));
    return __builtin_bswap64(key);
}

static inline const struct trie *trie_of(const struct router_compiled *c, int family)
{
    return &c->tries[family != AF_INET];
}

static inline uint32_t trie_slot(const struct trie *t, const struct trie_node *node, unsigned i)
{
    unsigned word = i / 64;
    uint64_t up_to = node->starts[word] & (((uint64_t)2 << i % 64) - 1);
    return t->u.words[node->base + node->before[word] + (unsigned)__builtin_popcountll(up_to)];
}

static inline bool trie_is_class(const struct trie *t, uint32_t value)
{
    return value < t->class_count;
}

/* compiled_build.c: fills tries and classes. */
enum cdn_status compiled_build(struct router_compiled *compiled, const struct router_table *table,
                               const _Atomic bool *stop, struct cdn_error *err) CDN_MUST_CHECK;

#define TRIE_RUNS_MAX (16u << 20)
struct trie_run {
    uint64_t first; /* key at which it begins; it lasts until the next one's */
    uint32_t class_id;
};
/* Makes a trie of sorted runs, the first of which begins at key 0. */
void trie_build(struct trie *trie, const struct router_compiled *compiled, const struct trie_run *runs,
                size_t count);
void trie_fini(struct trie *trie);
/* The row of everything below a value, or TRIE_NO_ROW. */
static inline uint32_t trie_row(const struct trie *trie, uint32_t value)
{
    return trie->u.nodes[value].row;
}

#endif
