/* compiled_private: the trie, for compiled.c and decide_brief.c that read it, compiled_trie.c and
 * compiled_build.c that make it. */
#ifndef CDN_ROUTER_COMPILED_PRIVATE_H
#define CDN_ROUTER_COMPILED_PRIVATE_H
#include "common/parse.h"
#include "common/status.h"
#include "router/table/table.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define TRIE_ROOT_BITS 16u
#define TRIE_ROOT_SIZE (1u << TRIE_ROOT_BITS)
#define TRIE_CHAIN 0u /* class 0: the chain decides */
#define TRIE_NO_ROW UINT32_MAX
#define TRIE_INLINE 5u

/* What a class says while every edge is well and its first two sites have one edge each: the front of a
 * router_brief. Small, so that all of them stay in the nearest cache. */
struct router_quick {
    _Alignas(8) uint8_t reason;
    bool ambiguous, optimistic;
    uint8_t count; /* 0: look at the class */
    uint16_t edges[2];
};
_Static_assert(sizeof(struct router_quick) == 8, "one register");

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

/* The same in the form that look-ups are quickest in: few loads, most of them near, and no branch that
 * depends much on the address, so that the processor works on several look-ups at a time. A *leaf* says the
 * class of 64 slots, /24 of IPv4 or /32 of IPv6: a word with a bit for each slot but the first where a run
 * begins, then the runs' classes, 16 bits each; then, for each run that is not of one class (TRIE_DEEP,
 * always one slot long), 32 bits with the node that knows more. Before all of these stands a leaf for each
 * class, for slots that are of one. */
#define TRIE_TOPS_IPV4 (1u << 18)
#define TRIE_CHUNK_TOPS (1u << 10) /* IPv6: of a root slot */
#define TRIE_CLASS_WORDS 2u        /* of a class' leaf */
#define TRIE_DEEP UINT16_MAX
#define TRIE_SCOPE_BELOW 255
struct trie_index {
    uint32_t *tops;   /* where a leaf begins, in words; of 18 bits of an IPv4 address, 26 of an IPv6 one */
    uint32_t *chunks; /* IPv6, by root slot: its first top. Slots of one class share a chunk */
    uint64_t *leaves; /* NULL: there is no index */
    uint8_t *scopes;  /* IPv4, by top: the scope of all its addresses when they have one row, else
                         TRIE_SCOPE_BELOW */
};

struct trie { /* of one family */
    struct trie_index index;
    uint32_t *root;
    uint8_t *root_scope; /* of a root slot whose addresses all have one row: its scope, else 255 */
    union {
        struct trie_node *nodes;
        const uint32_t *words; /* the same memory: the nodes, then the values of those with many runs */
    } u;
    size_t class_count; /* how many of the nodes are classes */
    size_t bytes, runs;
};

struct router_compiled {
    struct trie tries[2]; /* IPv4, IPv6 */
    struct router_class *classes;
    size_t class_count, class_room;
    uint32_t row_count;
    size_t ipv6_classes;        /* the first of them */
    struct router_quick *quick; /* by class */
    /* The class of an address. */
    uint32_t (*find)(const struct router_compiled *c, const struct cdn_addr *a);
};

/* The first 64 bits of an address; IPv4 stands at the top. */
static inline uint64_t trie_key(const struct cdn_addr *a)
{
    if (a->sa.sa_family == AF_INET) {
        return (uint64_t)__builtin_bswap32(a->v4.sin_addr.s_addr) << 32;
    }
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

/* The run that a slot is in: counts what is left when the slots after it are shifted out. */
static inline unsigned trie_leaf_run(const uint64_t *leaf, uint64_t slot)
{
    return (unsigned)__builtin_popcountll(leaf[0] << (63 - slot));
}

static inline uint16_t trie_leaf_value(const uint64_t *leaf, unsigned run)
{
    uint16_t value;
    memcpy(&value, (const char *)(leaf + 1) + run * sizeof(value), sizeof(value));
    return value;
}

/* The slot at which the run of `slot` begins. */
static inline unsigned trie_leaf_begin(const uint64_t *leaf, unsigned slot)
{
    return 63 - (unsigned)__builtin_clzll((leaf[0] | 1) & (~(uint64_t)0 >> (63 - slot)));
}

/* The slot after the run of `slot`; 64: it is the last one. */
static inline unsigned trie_leaf_end(const uint64_t *leaf, unsigned slot)
{
    uint64_t behind = slot == 63 ? 0 : leaf[0] >> (slot + 1);
    return behind ? slot + 1 + (unsigned)__builtin_ctzll(behind) : 64;
}

/* Where a leaf of `runs` has its nodes. */
static inline size_t trie_leaf_deep_word(unsigned runs)
{
    return 1 + (runs + 3) / 4;
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
/* compiled_index.c: of a trie that is built. */
void trie_index_build(struct trie *trie, int family); /* unless it would be too large */
void trie_index_fini(struct trie_index *index);
/* Aligned to a node; large ones to a huge page, which spares a walk of the page table at each step. */
void *trie_table_alloc(size_t size);
/* The row of everything below a value, or TRIE_NO_ROW. */
static inline uint32_t trie_row(const struct trie *trie, uint32_t value)
{
    return trie->u.nodes[value].row;
}

#endif
