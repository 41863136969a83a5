/* compiled_build: from a table to classes and runs.
 *
 * The database is walked once; overrides and special ranges are walked beside it. Each distinct combination
 * of the three is decided once, by the chain, and becomes a class; combinations with equal outcomes share
 * one.
 */
#include "common/index.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "geo-data/anycast.h"
#include "geo-data/geo.h"
#include "geo-data/special.h"
#include "router/base/among.h"
#include "router/base/edges.h"
#include "router/choice/overrides.h"
#include "router/choice/select.h"
#include "router/decide/compiled.h"
#include "router/decide/compiled_layer.h"
#include "router/decide/compiled_private.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <xxhash.h>

#include "common/banned.h"

struct builder {
    struct router_compiled *compiled;
    const struct router_table *table;
    const _Atomic bool *stop;
    int family;
    struct layer overrides, specials, anycast;
    struct cdn_index combinations;  /* of the family: class, by key */
    struct cdn_index classes, rows; /* classes by what they say; those that brought a new row, by the row */
    uint64_t next;                  /* key after the networks visited so far */
    bool done;                      /* the last key was visited */
    bool stopped;
    uint64_t last_combination;
    uint32_t last_class;
    struct trie_run *runs;
    size_t run_count, run_room;
};

/* ---- classes ---- */

static bool row_equal(const struct router_class *a, const struct router_class *b)
{
    return a->named == b->named && a->rule == b->rule && a->preferred == b->preferred &&
           memcmp(a->sites, b->sites, sizeof(a->sites)) == 0;
}

static bool class_equal(const struct router_class *a, const struct router_class *b)
{
    return a->reach == b->reach && a->reason == b->reason && a->count == b->count && row_equal(a, b);
}

static void class_add(struct router_compiled *c, const struct router_class *class)
{
    if (c->class_count == c->class_room) {
        c->class_room = c->class_room ? c->class_room * 2 : 256;
        c->classes = cdn_realloc(c->classes, c->class_room, sizeof(*c->classes));
    }
    c->classes[c->class_count] = *class;
    c->class_count++;
}

static uint64_t row_hash(const struct router_class *class, uint64_t seed)
{
    return XXH3_64bits_withSeed(class->sites, sizeof(class->sites),
                                seed ^ class->named ^ (uint64_t) class->rule << 16);
}

struct asked {
    const struct router_class *classes, *class;
};

static bool is_same_row(const void *ctx, uint32_t id)
{
    const struct asked *a = ctx;
    return row_equal(&a->classes[id], a->class);
}

static bool is_same_class(const void *ctx, uint32_t id)
{
    const struct asked *a = ctx;
    return class_equal(&a->classes[id], a->class);
}

/* Gives the class the number of its row: that of a class with an equal one, or a new one. */
static void row_find(struct builder *b, struct router_class *class, uint32_t id)
{
    const struct asked asked = {b->compiled->classes, class};
    const uint64_t hash = row_hash(class, 0);
    uint32_t like = cdn_index_find(&b->rows, hash, is_same_row, &asked);
    if (like != CDN_INDEX_NONE) {
        class->row = b->compiled->classes[like].row;
        return;
    }
    class->row = b->compiled->row_count++;
    cdn_index_put(&b->rows, hash, id);
}

static uint32_t class_find(struct builder *b, struct router_class *class)
{
    struct router_compiled *c = b->compiled;
    const struct asked asked = {c->classes, class};
    const uint64_t rest[] = {class->reach, class->reason};
    const uint64_t hash = row_hash(class, XXH3_64bits(rest, sizeof(rest)));
    uint32_t id = cdn_index_find(&b->classes, hash, is_same_class, &asked);
    if (id == CDN_INDEX_NONE) {
        id = (uint32_t)c->class_count;
        row_find(b, class, id);
        class_add(c, class);
        cdn_index_put(&b->classes, hash, id);
    }
    return id;
}

/* How far the choice hangs on the exact place: which sites after each one are not clearly worse. */
static void reach_fill(const struct builder *b, const struct router_where *w,
                       const struct router_candidate *row, struct router_class *class)
{
    for (unsigned i = class->preferred; i < class->count; i++) { /* who prefers an edge is sure */
        unsigned n = 0;
        for (unsigned k = i + 1; k < class->count; k++) {
            n += router_decide_is_unclear(b->table, w, &row[i], &row[k]);
        }
        class->reach |= n << 4 * i;
    }
}

static uint32_t decide(struct builder *b, const struct cdn_addr *sample)
{
    const struct router_table *t = b->table;
    struct router_question question = {.client = *sample, .any_family = true}; /* see quick_of */
    struct router_candidate row[ROUTER_ROW];
    struct router_where w;
    router_resolve(t, &question, NULL, &w);
    struct router_limits limits;
    bool limited = w.override && router_override_limits(w.override);
    struct router_class class = {.named = w.edge, .reason = (uint8_t)w.reason};
    if (limited) {
        class.rule = (uint32_t)router_overrides_index(t->overrides, w.override) + 1;
    }
    router_decide_limits(t, w.override, &question, &limits);
    memset(class.sites, 0xff, sizeof(class.sites));
    class.count = (uint16_t)router_select_rank_within(t->edges, t->policy, w.record.lat, w.record.lon, 0,
                                                      &limits, row, ROUTER_ROW);
    for (size_t i = 0; i < class.count; i++) {
        class.sites[i] = row[i].site;
        class.preferred += row[i].preferred;
    }
    reach_fill(b, &w, row, &class);
    return class_find(b, &class);
}

static struct cdn_addr address_of(const struct builder *b, uint64_t key)
{
    struct cdn_addr a = {0};
    a.sa.sa_family = (sa_family_t)b->family;
    uint64_t bytes = __builtin_bswap64(key);
    if (b->family == AF_INET) {
        memcpy(&a.v4.sin_addr, &bytes, 4);
    } else {
        memcpy(&a.v6.sin6_addr, &bytes, 8);
    }
    return a;
}

/* The class of the networks that have this combination, of which `key` begins one. */
static uint32_t class_of(struct builder *b, uint64_t key, uint32_t override, uint32_t special, bool anycast,
                         uint32_t entry)
{
    if (override == LAYER_MIXED || special == LAYER_MIXED || entry == LAYER_MIXED) {
        return TRIE_CHAIN;
    }
    if (special != LAYER_NONE && geo_special_at(special)->embedded_at >= 0) {
        return TRIE_CHAIN;
    }
    uint64_t combination = (uint64_t)anycast << 63 | (uint64_t)(override + 1) << 40 |
                           (uint64_t)((special + 1) & 0xff) << 32 | entry;
    if (combination == b->last_combination) {
        return b->last_class;
    }
    uint32_t class_id = cdn_index_find(&b->combinations, combination, NULL, NULL);
    if (class_id == CDN_INDEX_NONE) {
        struct cdn_addr sample = address_of(b, key);
        class_id = decide(b, &sample);
        cdn_index_put(&b->combinations, combination, class_id);
    }
    b->last_combination = combination;
    b->last_class = class_id;
    return class_id;
}

/* ---- runs ---- */

static void run_add(struct builder *b, uint64_t first, uint32_t class_id)
{
    if (b->run_count > 0 && b->runs[b->run_count - 1].class_id == class_id) {
        return;
    }
    if (b->run_count == b->run_room) {
        b->run_room = b->run_room ? b->run_room * 2 : 4096;
        b->runs = cdn_realloc(b->runs, b->run_room, sizeof(*b->runs));
    }
    b->runs[b->run_count++] = (struct trie_run){first, class_id};
}

/* Every piece of first..last over which override and special range stay the same. */
static void cover(struct builder *b, uint64_t first, uint64_t last, uint32_t entry)
{
    for (uint64_t key = first;;) {
        uint64_t piece_last = last;
        uint32_t override = layer_at(&b->overrides, key, &piece_last);
        uint32_t special = layer_at(&b->specials, key, &piece_last);
        bool anycast = layer_at(&b->anycast, key, &piece_last) != LAYER_NONE;
        run_add(b, key, class_of(b, key, override, special, anycast, entry));
        if (piece_last == last) {
            break;
        }
        key = piece_last + 1;
    }
    b->next = last + 1;
    b->done = last == UINT64_MAX;
}

/* entry UINT32_MAX (nothing known) is never LAYER_MIXED; offsets in a file stay below both. */
static bool visit(void *ctx, const struct geo_net *net)
{
    struct builder *b = ctx;
    uint64_t key;
    memcpy(&key, net->address, sizeof(key));
    key = __builtin_bswap64(key);
    b->stopped = b->stop && atomic_load_explicit(b->stop, memory_order_relaxed);
    if (b->done || b->stopped || b->run_count > TRIE_RUNS_MAX) {
        return false;
    }
    struct layer_net covered = layer_net_make(key, net->prefix_len, net->entry);
    if (covered.first >= b->next) { /* else a further network inside of a /64 */
        cover(b, covered.first, covered.last, covered.value);
    }
    return true;
}

/* ---- families ---- */

static void overrides_layer(struct builder *b)
{
    size_t count = router_overrides_count_of(b->table->overrides, ROUTER_OVERRIDE_NETWORK), n = 0;
    CDN_AUTOFREE struct layer_net *nets = cdn_malloc((count + 1) * sizeof(*nets));
    for (size_t i = 0; i < count; i++) {
        const struct cdn_cidr *network = &router_overrides_at(b->table->overrides, i)->network;
        if (network->addr.sa.sa_family == b->family) {
            nets[n++] = layer_net_make(trie_key(&network->addr), network->prefix, (uint32_t)i);
        }
    }
    layer_build(&b->overrides, nets, n);
}

static void specials_layer(struct builder *b)
{
    size_t count = geo_special_count(), n = 0;
    CDN_AUTOFREE struct layer_net *nets = cdn_malloc((count + 1) * sizeof(*nets));
    for (size_t i = 0; i < count; i++) {
        const struct geo_special *special = geo_special_at(i);
        uint64_t key;
        memcpy(&key, special->address, sizeof(key));
        if (special->family == b->family) {
            nets[n++] = layer_net_make(__builtin_bswap64(key), special->prefix_len, (uint32_t)i);
        }
    }
    layer_build(&b->specials, nets, n);
}

/* Which of them an address is in makes no difference: its place is uncertain. */
static void anycast_layer(struct builder *b)
{
    size_t count = geo_anycast_count(), n = 0;
    CDN_AUTOFREE struct layer_net *nets = cdn_malloc((count + 1) * sizeof(*nets));
    for (size_t i = 0; i < count; i++) {
        const struct geo_anycast *anycast = geo_anycast_at(i);
        uint64_t key;
        memcpy(&key, anycast->address, sizeof(key));
        if (anycast->family == b->family) {
            nets[n++] = layer_net_make(__builtin_bswap64(key), anycast->prefix_len, (uint32_t)i);
        }
    }
    layer_build(&b->anycast, nets, n);
}

static enum cdn_status family_walk(struct builder *b, struct cdn_error *err)
{
    enum cdn_status status = geo_walk(b->table->db, b->family, visit, b, err);
    if (status != CDN_OK) {
        return status;
    }
    if (b->stopped) {
        return cdn_error_set(err, CDN_UNAVAILABLE, "stopped");
    }
    if (b->run_count > TRIE_RUNS_MAX) {
        return cdn_error_set(err, CDN_TOO_LARGE, "the database has more than %u networks with other answers",
                             TRIE_RUNS_MAX);
    }
    if (!b->done) { /* no file holds the family */
        cover(b, b->next, UINT64_MAX, GEO_ENTRY_NONE);
    }
    return CDN_OK;
}

static enum cdn_status family_build(struct router_compiled *c, const struct router_table *table, int family,
                                    const _Atomic bool *stop, struct cdn_error *err)
{
    struct builder b = {
        .compiled = c, .table = table, .stop = stop, .family = family, .last_combination = UINT64_MAX};
    overrides_layer(&b);
    specials_layer(&b);
    anycast_layer(&b);
    enum cdn_status status = family_walk(&b, err);
    if (status == CDN_OK) {
        trie_build(&c->tries[family != AF_INET], c, b.runs, b.run_count);
    }
    if (status == CDN_OK) {
        trie_index_build(&c->tries[family != AF_INET], family);
    }
    layer_fini(&b.overrides);
    layer_fini(&b.specials);
    layer_fini(&b.anycast);
    cdn_index_free(&b.combinations);
    cdn_index_free(&b.classes);
    cdn_index_free(&b.rows);
    free(b.runs);
    return status;
}

/* The front of the row for a client of the family that the class is of. Left to the class itself where an
 * edge is named, or a place has several. */
static struct router_quick quick_of(const struct router_class *class, const struct router_table *table,
                                    int family)
{
    const struct router_edges *edges = table->edges;
    const struct router_question question = {.client.sa.sa_family = (sa_family_t)family};
    struct router_quick q = {.edges = {ROUTER_NO_EDGE, ROUTER_NO_EDGE}};
    const struct router_quick none = q;
    struct router_limits limits;
    unsigned at[2] = {0, 0};
    router_decide_limits(table, router_class_override(table, class), &question, &limits);
    q.reason = (uint8_t)router_decide_reason_ranked(table, limits.by_override, class->reason);
    for (unsigned k = 0; k < class->count && q.count < CDN_ARRAY_LEN(q.edges); k++) {
        const struct router_site *site = &edges->sites[class->sites[k]];
        uint16_t edge = edges->members[site->first];
        if (class->named != ROUTER_NO_EDGE || site->count > 1) {
            return none;
        }
        if (!router_among_has(router_limits_among(&limits, k < class->preferred), edge)) {
            continue;
        }
        at[q.count] = k;
        q.edges[q.count++] = edge;
    }
    if (q.count < 2 && class->count == ROUTER_ROW) {
        return none; /* there may be more after the row */
    }
    q.ambiguous = q.count == 2 && at[1] - at[0] <= (class->reach >> 4 * at[0] & 15);
    return q;
}

static void quick_fill(struct router_compiled *c, const struct router_table *table)
{
    c->quick = cdn_calloc(c->class_count, sizeof(*c->quick));
    for (size_t i = 0; i < c->class_count; i++) {
        c->quick[i] = quick_of(&c->classes[i], table, i < c->ipv6_classes ? AF_INET : AF_INET6);
    }
}

enum cdn_status compiled_build(struct router_compiled *compiled, const struct router_table *table,
                               const _Atomic bool *stop, struct cdn_error *err)
{
    struct router_class chain = {.row = TRIE_NO_ROW, .named = ROUTER_NO_EDGE};
    class_add(compiled, &chain);
    enum cdn_status status = family_build(compiled, table, AF_INET, stop, err);
    compiled->ipv6_classes = compiled->class_count;
    if (status == CDN_OK) {
        status = family_build(compiled, table, AF_INET6, stop, err);
    }
    if (status == CDN_OK) {
        quick_fill(compiled, table);
    }
    return status;
}
