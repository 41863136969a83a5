/* budget: a handful of atomic sums, as bodies come and go on every worker. Several threads may
 * pass a limit in the same moment; the tier then gives way at the next sweep, and the room beyond
 * the setting is there for that. */
#include "edge/memory/budget.h"

#include "common/http/server/http_server.h"
#include "common/mem.h"
#include "edge/memory/pages.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "common/banned.h"

/* Blocks of streams when a quarter of the share is taken, and when all of it is. */
#define BLOCK_LESS ((size_t)16 * 1024)
#define BLOCK_SHORT ((size_t)4096)

#define MIB (UINT64_C(1) << 20)
/* In the rest beyond the setting, and what bodies on their way may always take: */
#define FREE_ON_THE_WAY (2 * MIB)
#define LEAST_ON_THE_WAY (4 * MIB)
#define FREE_OTHERS (MIB / 4)
/* Shares of what is not in the tier. */
#define ALL_MORE (6 * MIB)   /* all of them: three quarters and this */
#define FETCH_MORE (2 * MIB) /* requests to the origin: an eighth and this */
#define FETCH_LEAST 16u      /* requests; or nothing would ever be fetched when connections have it all */
#define INDEX_LESS (8 * MIB) /* the index: half but for this, at least a quarter, */
#define INDEX_MORE MIB       /* and this */
#define CONNECTIONS_LEAST MIB
#define BEHIND (4 * MIB)
#define BEHIND_SHARE 64u
#define MALLOC_FREE (16 * MIB)
#define MALLOC_SHARE 32u /* a part of the tier that malloc keeps between the bodies */

/* libmicrohttpd's pool of a connection, by the setting. */
#define POOL ((size_t)16 * 1024)
#define POOL_LESS ((size_t)8 * 1024)
#define POOL_LEAST ((size_t)4 * 1024)
#define POOL_MEMORY (128 * MIB)
#define POOL_LESS_MEMORY (32 * MIB)

static struct {
    _Atomic uint64_t memory;
    _Atomic uint64_t bodies;     /* all of them */
    _Atomic int64_t tier_bodies; /* of these, in the tier */
    _Atomic uint64_t tier;       /* all that counts there */
    _Atomic int64_t fetches;
    _Atomic int64_t connections;
    _Atomic uint64_t index;
    _Atomic uint64_t kept;     /* by malloc, of the setting */
    _Atomic uint64_t pressure; /* what the process has beyond its limit: the tier gives it up */
} account = {.memory = 256 * MIB};

static uint64_t positive(int64_t n)
{
    return n > 0 ? (uint64_t)n : 0;
}

static uint64_t beyond(uint64_t n, uint64_t free)
{
    return n > free ? n - free : 0;
}

void edge_budget_set(uint64_t memory)
{
    atomic_store(&account.memory, memory);
    atomic_store(&account.kept, beyond(memory, MALLOC_FREE) / MALLOC_SHARE);
}

void edge_budget_add(size_t n)
{
    atomic_fetch_add_explicit(&account.bodies, n, memory_order_relaxed);
}

void edge_budget_sub(size_t n)
{
    atomic_fetch_sub_explicit(&account.bodies, n, memory_order_relaxed);
}

void edge_budget_tier(int64_t bodies, uint64_t used)
{
    atomic_store_explicit(&account.tier_bodies, bodies, memory_order_relaxed);
    atomic_store_explicit(&account.tier, used, memory_order_relaxed);
}

void edge_budget_others(int64_t change)
{
    atomic_fetch_add_explicit(&account.fetches, change, memory_order_relaxed);
}

void edge_budget_connections(int64_t change)
{
    atomic_fetch_add_explicit(&account.connections, change, memory_order_relaxed);
}

void edge_budget_index(uint64_t bytes)
{
    atomic_store_explicit(&account.index, bytes, memory_order_relaxed);
}

void edge_budget_stats(struct edge_budget_stats *ret)
{
    const int64_t bodies = (int64_t)atomic_load_explicit(&account.bodies, memory_order_relaxed);
    const int64_t in_tier = atomic_load_explicit(&account.tier_bodies, memory_order_relaxed);
    *ret = (struct edge_budget_stats){
        .memory = atomic_load_explicit(&account.memory, memory_order_relaxed),
        .tier = atomic_load_explicit(&account.tier, memory_order_relaxed),
        .on_the_way = positive(bodies - in_tier),
        .connections = positive(atomic_load_explicit(&account.connections, memory_order_relaxed)),
        .fetches = positive(atomic_load_explicit(&account.fetches, memory_order_relaxed)),
        .index = atomic_load_explicit(&account.index, memory_order_relaxed)};
}

/* Of many small blocks, with what malloc takes for such. */
static uint64_t others(const struct edge_budget_stats *s)
{
    const uint64_t n = s->connections + s->fetches + s->index;
    return n + n / 4;
}

/* What connections and the index leave for bodies. */
static uint64_t for_bodies(const struct edge_budget_stats *s)
{
    const uint64_t taken = beyond(others(s), FREE_OTHERS);
    const uint64_t least = s->memory / 4;
    return taken + least < s->memory ? s->memory - taken : least;
}

static uint64_t charge(const struct edge_budget_stats *s)
{
    const uint64_t room = for_bodies(s);
    const uint64_t pressure = atomic_load_explicit(&account.pressure, memory_order_relaxed);
    const uint64_t kept = atomic_load_explicit(&account.kept, memory_order_relaxed);
    const uint64_t less = beyond(s->on_the_way, FREE_ON_THE_WAY) + pressure + kept;
    const uint64_t least = s->memory / 8;
    return s->memory - (less + least < room ? room - less : least);
}

/* So much the tier may be behind in giving way. */
static uint64_t behind(const struct edge_budget_stats *s)
{
    return BEHIND + s->memory / BEHIND_SHARE;
}

static bool has(const struct edge_budget_stats *s, size_t n, unsigned parts)
{
    const uint64_t half = for_bodies(s) / 2;
    if (s->on_the_way + n <= LEAST_ON_THE_WAY / parts) {
        return true;
    }
    return s->on_the_way + n <= half / parts && s->tier + charge(s) + n <= s->memory + behind(s);
}

bool edge_budget_has(size_t n)
{
    struct edge_budget_stats s;
    edge_budget_stats(&s);
    return has(&s, n, 1);
}

size_t edge_budget_block(int64_t length)
{
    struct edge_budget_stats s;
    edge_budget_stats(&s);
    size_t block = has(&s, HTTP_STREAM_BLOCK, 4) ? HTTP_STREAM_BLOCK
                   : has(&s, BLOCK_LESS, 1)      ? BLOCK_LESS
                                                 : BLOCK_SHORT;
    block = length >= 0 && (uint64_t)length < block ? (size_t)length + 1 : block;
    edge_budget_add(block);
    return block;
}

/* ---- shares ---- */

/* What all but the tier may still take, the `pressure` taken off. */
static uint64_t room_beside_tier(const struct edge_budget_stats *s)
{
    const uint64_t taken = others(s) + beyond(s->on_the_way, FREE_ON_THE_WAY) +
                           atomic_load_explicit(&account.pressure, memory_order_relaxed);
    return beyond(s->memory / 4 * 3 + ALL_MORE, taken);
}

static uint64_t fetch_share(const struct edge_budget_stats *s)
{
    return s->memory / 8 + FETCH_MORE;
}

bool edge_budget_is_full(void)
{
    struct edge_budget_stats s;
    edge_budget_stats(&s);
    const uint64_t kept = beyond(fetch_share(&s) / 4, s.fetches); /* what fetches may count on */
    return room_beside_tier(&s) <= kept && s.connections > CONNECTIONS_LEAST;
}

unsigned edge_budget_fetches(void)
{
    struct edge_budget_stats s;
    edge_budget_stats(&s);
    const uint64_t share = beyond(fetch_share(&s), s.fetches);
    const uint64_t room = room_beside_tier(&s);
    const uint64_t fit = (share < room ? share : room) / EDGE_BUDGET_FETCH;
    const uint64_t have = s.fetches / EDGE_BUDGET_FETCH;
    const uint64_t least = have < FETCH_LEAST ? FETCH_LEAST - have : 0;
    return (unsigned)(fit > least ? fit : least);
}

uint64_t edge_budget_index_most(void)
{
    const uint64_t memory = atomic_load_explicit(&account.memory, memory_order_relaxed);
    const uint64_t half = beyond(memory / 2, INDEX_LESS);
    return (half > memory / 4 ? half : memory / 4) + INDEX_MORE;
}

/* Larger heads get memory of their own while they are there. */
size_t edge_budget_pool(uint64_t memory)
{
    return memory >= POOL_MEMORY ? POOL : memory >= POOL_LESS_MEMORY ? POOL_LESS : POOL_LEAST;
}

uint64_t edge_budget_charge(void)
{
    struct edge_budget_stats s;
    edge_budget_stats(&s);
    return charge(&s);
}

bool edge_budget_is_over(void)
{
    struct edge_budget_stats s;
    edge_budget_stats(&s);
    return s.tier + charge(&s) > s.memory;
}

/* ---- what malloc keeps ---- */

#define TRIM_SLACK (8 * MIB) /* a program's own, and what comes back soon */
#define TRIM_NS INT64_C(200000000)
#define TRIM_PAUSE_MAX 16u
#define REST_AIM (16 * MIB) /* anonymous memory beyond the setting at which the tier begins to give way */
#define TRIM_GAIN MIB

/* Anonymous memory of the process; 0: unknown. */
static uint64_t resident(void)
{
    unsigned long size;
    unsigned long resident;
    unsigned long shared;
    FILE *f = fopen("/proc/self/statm", "re");
    const bool known = f && fscanf(f, "%lu %lu %lu", &size, &resident, &shared) == 3;
    if (f) {
        fclose(f);
    }
    return known && resident > shared ? (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t accounted(void)
{
    struct edge_budget_stats s;
    struct edge_pages_stats pages;
    edge_budget_stats(&s);
    edge_pages_stats(&pages);
    return s.tier + s.on_the_way + others(&s) + pages.ready;
}

/* Memory that no account sees (what malloc and libraries keep) comes out of the tier, so that the process
 * stays within the setting and REST_AIM. */
static void note_pressure(uint64_t now)
{
    const uint64_t aim = atomic_load_explicit(&account.memory, memory_order_relaxed) + REST_AIM;
    atomic_store_explicit(&account.pressure, beyond(now, aim), memory_order_relaxed);
}

void edge_budget_trim(struct edge_trim *t, int64_t now_ns)
{
    if (now_ns < t->next_ns) {
        return;
    }
    t->next_ns = now_ns + TRIM_NS;
    const uint64_t now = resident();
    note_pressure(now);
    if (t->rest) {
        t->rest--;
        return;
    }
    if (t->before) { /* it was tried at the last look: less often, when it brought nothing */
        const bool gained = now + TRIM_GAIN < t->before;
        t->pause = gained || !t->pause ? 1 : t->pause < TRIM_PAUSE_MAX ? t->pause * 2 : t->pause;
        t->before = 0;
        t->rest = t->pause;
        return;
    }
    if (now > accounted() + TRIM_SLACK) {
        cdn_mem_trim();
        t->before = now;
    } else {
        t->pause = 0;
    }
}
