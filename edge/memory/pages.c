/* pages: a bitmap of used and one of ready pages, searched by word. Regions are kept by the
 * longest free run in them, so the search begins where it can succeed. The thread takes pages out
 * of the free ones while it works on them, and so needs no lock for the system call. */
#include "edge/memory/pages.h"

#include "common/lock.h"
#include "common/mem.h"
#include "edge/memory/backing.h"
#include "edge/memory/bits.h"
#include "edge/memory/lock_order.h"

#include <assert.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define HIDE(p, n) __asan_poison_memory_region(p, n)
#define SHOW(p, n) __asan_unpoison_memory_region(p, n)
#else
#define HIDE(p, n) ((void)(p), (void)(n))
#define SHOW(p, n) ((void)(p), (void)(n))
#endif

#include "common/banned.h"

#define PAGES (unsigned)(EDGE_PAGES_REGION / EDGE_PAGE) /* of a region; the first is its header */
#define WORDS (PAGES / 64)
#define CLASSES 12 /* of regions, by the power of two that their longest free run reaches */
#define LOOKS 4    /* regions whose run may be long enough or not */
#define AHEAD (unsigned)(EDGE_BACKING_HUGE / EDGE_PAGE) /* pages made ready at once */
#define POPULATE_UP_TO ((size_t)256 << 10)
#define IDLE_PAGES 128u /* who uses no more has nothing made ready */
#define NICENESS 10

struct region { /* at the start of its memory */
    struct region *next, *previous;
    unsigned longest; /* free run, in pages */
    unsigned used_n;
    bool huge; /* its stretches of AHEAD, but perhaps the first, are backed by one page each */
    uint64_t used[WORDS];
    uint64_t ready[WORDS];
};
_Static_assert(sizeof(struct region) <= EDGE_PAGE, "the header is one page");

static struct {
    struct cdn_lock lock; /* guards all below */
    pthread_cond_t work;
    struct region *first[CLASSES]; /* by `longest` */
    uint64_t used, ready;          /* pages of regions */
    uint64_t alone;                /* bytes mapped alone */
    uint64_t regions, empty;       /* `empty`: regions without a used page */
    uint64_t spare;                /* pages that may stay ready and unused */
    bool runs, stop;
    bool no_ahead; /* the kernel knows no such call, or has no memory */
    pthread_t thread;
} all = {.lock = CDN_LOCK_INIT(EDGE_LOCK_PAGES), .work = PTHREAD_COND_INITIALIZER, .spare = 1024};

/* ---- runs ---- */

/* The next free run at or after *at; its length, 0: none. */
static unsigned next_run(const struct region *r, unsigned *at)
{
    *at = edge_bits_next(r->used, PAGES, *at, false);
    return *at < PAGES ? edge_bits_next(r->used, PAGES, *at, true) - *at : 0;
}

static unsigned longest_run(const struct region *r)
{
    unsigned longest = 0;
    unsigned n;
    for (unsigned at = 1; (n = next_run(r, &at)) != 0; at += n) {
        longest = n > longest ? n : longest;
    }
    return longest;
}

/* ---- regions; under the lock ---- */

static unsigned class_of(unsigned pages) /* 0: none */
{
    return pages ? 32 - (unsigned)__builtin_clz(pages) - 1 : 0;
}

static void list(struct region *r)
{
    struct region **head = &all.first[class_of(r->longest)];
    r->previous = NULL;
    r->next = *head;
    if (r->next) {
        r->next->previous = r;
    }
    *head = r;
}

static void unlist(struct region *r)
{
    *(r->previous ? &r->previous->next : &all.first[class_of(r->longest)]) = r->next;
    if (r->next) {
        r->next->previous = r->previous;
    }
}

static void set_longest(struct region *r, unsigned longest)
{
    if (class_of(longest) == class_of(r->longest)) {
        r->longest = longest;
        return;
    }
    unlist(r);
    r->longest = longest;
    list(r);
}

static struct region *region_of(void *data)
{
    return (struct region *)(void *)((char *)data - ((uintptr_t)data & (uintptr_t)(EDGE_PAGES_REGION - 1)));
}

static char *page_of(struct region *r, unsigned i)
{
    return (char *)r + i * EDGE_PAGE;
}

static struct region *region_create(void)
{
    struct edge_backing backing;
    struct region *r = edge_backing_map(EDGE_PAGES_REGION, all.regions == 0, &backing);
    if (!r) {
        return NULL;
    }
    r->huge = backing.huge;
    if (backing.ready) {
        all.ready += edge_bits_fill(r->ready, 1, (unsigned)(backing.ready / EDGE_PAGE) - 1, true);
    }
    edge_bits_fill(r->used, 0, 1, true);
    r->longest = PAGES - 1;
    list(r);
    all.regions++;
    all.empty++;
    HIDE(page_of(r, 1), EDGE_PAGES_REGION - EDGE_PAGE);
    return r;
}

/* The whole free run that page `at` is part of. */
static unsigned run_around(const struct region *r, unsigned at)
{
    unsigned from = at;
    while (from > 1 && !edge_bit(r->used, from - 1)) {
        from--;
    }
    return edge_bits_next(r->used, PAGES, at, true) - from;
}

static void mark_used(struct region *r, unsigned at, unsigned n)
{
    const bool was_longest = run_around(r, at) == r->longest;
    all.empty -= r->used_n == 0;
    r->used_n += n;
    all.used += n;
    const unsigned changed = edge_bits_fill(r->used, at, n, true);
    assert(changed == n); /* nobody else has them */
    (void)changed;
    if (was_longest) {
        set_longest(r, longest_run(r));
    }
}

static void mark_free(struct region *r, unsigned at, unsigned n)
{
    const unsigned changed = edge_bits_fill(r->used, at, n, false);
    assert(changed == n);
    (void)changed;
    r->used_n -= n;
    all.used -= n;
    all.empty += r->used_n == 0;
    const unsigned run = run_around(r, at);
    set_longest(r, run > r->longest ? run : r->longest);
}

/* ---- taking; under the lock ---- */

/* Where `n` pages are free, best where all of them are ready; 0: nowhere. */
static unsigned place_in(const struct region *r, unsigned n)
{
    unsigned found = 0;
    unsigned run;
    unsigned looks = LOOKS;
    for (unsigned at = 1; looks && (run = next_run(r, &at)) != 0; at += run) {
        if (run < n) {
            continue;
        }
        if (edge_bits_next(r->ready, PAGES, at, false) >= at + n) {
            return at;
        }
        found = found ? found : at;
        looks--;
    }
    return found;
}

/* A region with a free run of `n` pages; NULL: none is left and none can be made. */
static struct region *region_for(unsigned n)
{
    const unsigned class = class_of(n);
    unsigned looks = LOOKS;
    for (struct region *r = all.first[class]; r && looks; r = r->next, looks--) {
        if (r->longest >= n) {
            return r;
        }
    }
    for (unsigned c = class + 1; c < CLASSES; c++) {
        if (all.first[c]) {
            return all.first[c];
        }
    }
    return region_create();
}

static bool few_are_ready(void)
{
    return all.ready < all.spare / 4 && all.used > IDLE_PAGES;
}

static void call_thread(void)
{
    if (all.runs && (few_are_ready() || all.ready > all.spare)) {
        pthread_cond_signal(&all.work);
    }
}

/* A stretch of a huge page that nothing was taken of yet is backed as a whole by the first write to it. Then
 * *at and *n become that stretch, whose rest is ready. Before the `n` pages at `at` are marked. */
static void widen(struct region *r, unsigned *at, unsigned *n)
{
    const unsigned from = *at / AHEAD * AHEAD;
    const unsigned end = from + AHEAD;
    if (!r->huge || !from || *at + *n > end || edge_bits_next(r->used, PAGES, from, true) < end ||
        edge_bits_next(r->ready, PAGES, from, true) < end) {
        return;
    }
    all.ready += edge_bits_fill(r->ready, from, AHEAD, true);
    *at = from;
    *n = AHEAD;
}

static void *take_alone(size_t n)
{
    void *data = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        return NULL;
    }
    cdn_lock_take(&all.lock);
    all.alone += n;
    cdn_lock_drop(&all.lock);
    return data;
}

static void *take_shared(unsigned n)
{
    cdn_lock_take(&all.lock);
    struct region *r = region_for(n);
    if (!r) {
        cdn_lock_drop(&all.lock);
        return NULL;
    }
    const unsigned at = place_in(r, n);
    bool fresh = edge_bits_next(r->ready, PAGES, at, false) < at + n;
    unsigned back_at = at;
    unsigned back_n = n;
    if (fresh) {
        widen(r, &back_at, &back_n);
    }
    all.ready -= edge_bits_fill(r->ready, at, n, false);
    mark_used(r, at, n);
    call_thread();
    cdn_lock_drop(&all.lock);
    char *data = page_of(r, at);
    SHOW(data, n * EDGE_PAGE);
    if (fresh && n <= POPULATE_UP_TO / EDGE_PAGE) { /* of more than that nobody knows how soon it comes */
        edge_backing_fill(page_of(r, back_at), back_n * EDGE_PAGE);
    }
    return data;
}

void *edge_pages_take(size_t n)
{
    const size_t room = edge_pages_room(n);
    void *data = room > EDGE_PAGES_SHARED ? take_alone(room) : take_shared((unsigned)(room / EDGE_PAGE));
    if (!data) {
        cdn_out_of_memory();
    }
    return data;
}

/* ---- what the kernel has to do; without the lock ---- */

/* A free run of ready pages, from where most are free to where least are. Under the lock. */
static bool find_ready(struct region **ret, unsigned *ret_at, unsigned *ret_n)
{
    for (unsigned c = CLASSES; c-- > 0;) {
        for (struct region *r = all.first[c]; r; r = r->next) {
            const unsigned at = edge_bits_next(r->ready, PAGES, 0, true);
            if (at < PAGES) {
                *ret = r;
                *ret_at = at;
                *ret_n = edge_bits_next(r->ready, PAGES, at, false) - at;
                return true;
            }
        }
    }
    return false;
}

/* An empty region goes when there is another. Under the lock. */
static struct region *unneeded(struct region *r)
{
    if (r->used_n || all.empty < 2) {
        return NULL;
    }
    all.empty--;
    all.regions--;
    unlist(r);
    return r;
}

/* Gives ready pages back to the kernel, down to half of what may stay. */
static void trim(void)
{
    struct region *r;
    unsigned at;
    unsigned n;
    cdn_lock_take(&all.lock);
    while (all.ready > all.spare / 2 && find_ready(&r, &at, &n)) {
        if (n > all.ready - all.spare / 2) {
            n = (unsigned)(all.ready - all.spare / 2);
        }
        all.ready -= edge_bits_fill(r->ready, at, n, false);
        mark_used(r, at, n);
        const bool parts = r->huge && (at % AHEAD || n % AHEAD);
        r->huge &= !parts;
        cdn_lock_drop(&all.lock);
        if (parts) {
            edge_backing_make_plain(r, EDGE_PAGES_REGION);
        }
        edge_backing_drop(page_of(r, at), n * EDGE_PAGE);
        cdn_lock_take(&all.lock);
        mark_free(r, at, n);
        struct region *over = edge_bits_next(r->ready, PAGES, 0, true) == PAGES ? unneeded(r) : NULL;
        if (over) {
            SHOW(over, EDGE_PAGES_REGION);
            munmap(over, EDGE_PAGES_REGION);
        }
    }
    cdn_lock_drop(&all.lock);
}

/* A stretch of AHEAD, at a multiple of it, that is all unused and not ready; 0: none. Under the lock. */
static unsigned stretch_in(const struct region *r)
{
    const unsigned n = AHEAD;
    for (unsigned at = 0; at < PAGES; at += n) {
        const unsigned from = at ? at : 1;
        if (edge_bits_next(r->used, PAGES, from, true) >= at + n &&
            edge_bits_next(r->ready, PAGES, from, true) >= at + n) {
            return from;
        }
    }
    return 0;
}

static struct region *region_to_make_ready(unsigned *ret_at)
{
    for (unsigned c = CLASSES; c-- > class_of(AHEAD - 1);) {
        for (struct region *r = all.first[c]; r; r = r->next) {
            if ((*ret_at = stretch_in(r)) != 0) {
                return r;
            }
        }
    }
    struct region *r = region_create();
    *ret_at = r && !edge_bit(r->ready, 1) ? 1 : 0;
    return r;
}

/* Backs the next stretch; false: it cannot be done. A new region may come with its first stretch ready. That
 * one is left alone: pages that are ready while they are marked used would be given back by trim(), and then
 * be free twice. */
static bool make_ready(void)
{
    unsigned at;
    cdn_lock_take(&all.lock);
    struct region *r = region_to_make_ready(&at);
    const unsigned end = (at / AHEAD + 1) * AHEAD;
    if (r && at) {
        mark_used(r, at, end - at);
    }
    cdn_lock_drop(&all.lock);
    if (!r || !at) {
        return r != NULL;
    }
    const bool done = edge_backing_fill(page_of(r, at), (end - at) * EDGE_PAGE);
    cdn_lock_take(&all.lock);
    all.ready += done ? edge_bits_fill(r->ready, at, end - at, true) : 0;
    mark_free(r, at, end - at);
    cdn_lock_drop(&all.lock);
    return done;
}

/* ---- giving back ---- */

static void give_shared(char *data, unsigned n)
{
    struct region *r = region_of(data);
    HIDE(data, n * EDGE_PAGE);
    cdn_lock_take(&all.lock);
    const unsigned at = (unsigned)((size_t)(data - (char *)r) / EDGE_PAGE);
    edge_bits_fill(r->ready, at, n, true); /* or nearly: what was never written to costs a fault later */
    all.ready += n;
    mark_free(r, at, n);
    call_thread();
    const bool behind = all.ready > 4 * all.spare || (!all.runs && all.ready > all.spare);
    cdn_lock_drop(&all.lock);
    if (behind) {
        trim();
    }
}

void edge_pages_give(void *data, size_t n)
{
    const size_t room = edge_pages_room(n);
    if (room <= EDGE_PAGES_SHARED) {
        give_shared(data, (unsigned)(room / EDGE_PAGE));
        return;
    }
    munmap(data, room);
    cdn_lock_take(&all.lock);
    all.alone -= room;
    cdn_lock_drop(&all.lock);
}

bool edge_pages_shrink(void *data, size_t from, size_t n)
{
    const size_t room = edge_pages_room(n);
    if (edge_pages_room(from) > EDGE_PAGES_SHARED || n < EDGE_PAGES_MIN) {
        return false;
    }
    if (room < edge_pages_room(from)) {
        give_shared((char *)data + room, (unsigned)((edge_pages_room(from) - room) / EDGE_PAGE));
    }
    return true;
}

/* ---- the thread ---- */

static void *work(void *arg)
{
    (void)arg;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS); /* of this thread alone, on Linux */
    cdn_lock_take(&all.lock);
    while (!all.stop) {
        const bool few = few_are_ready() && !all.no_ahead;
        if (!few && all.ready <= all.spare) {
            cdn_lock_wait(&all.lock, &all.work);
            continue;
        }
        cdn_lock_drop(&all.lock);
        const bool done = few && make_ready();
        if (!few) {
            trim();
        }
        cdn_lock_take(&all.lock);
        all.no_ahead = few && !done;
    }
    cdn_lock_drop(&all.lock);
    return NULL;
}

bool edge_pages_start(size_t spare)
{
    cdn_lock_take(&all.lock);
    all.spare = spare / EDGE_PAGE;
    all.stop = false;
    all.runs = pthread_create(&all.thread, NULL, work, NULL) == 0;
    const bool runs = all.runs;
    cdn_lock_drop(&all.lock);
    if (runs) {
        pthread_setname_np(all.thread, "pages");
    }
    return runs;
}

void edge_pages_stop(void)
{
    cdn_lock_take(&all.lock);
    const bool runs = all.runs;
    all.stop = true;
    all.runs = false;
    pthread_cond_signal(&all.work);
    cdn_lock_drop(&all.lock);
    if (runs) {
        pthread_join(all.thread, NULL);
    }
}

void edge_pages_stats(struct edge_pages_stats *ret)
{
    cdn_lock_take(&all.lock);
    *ret = (struct edge_pages_stats){
        .used = all.used * EDGE_PAGE + all.alone, .ready = all.ready * EDGE_PAGE, .regions = all.regions};
    cdn_lock_drop(&all.lock);
}
