/* Policies: the published miss counts of the trace cdn-D, exactly; a naive model under random operations;
 * pitfalls.
 *
 * In a sanitizer build the golden trace is left out (minutes), the model remains. */
#include "common/mem.h"
#include "common/status.h"
#include "edge/cache/ghost.h"
#include "edge/cache/policy.h"
#include "tests/bench/replay/cdn_trace.h"
#include "tests/bench/replay/policy_replay.h"
#include "tests/unit/long.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// NOLINTNEXTLINE(bugprone-suspicious-include): its static functions are tested
#include "tests/bench/replay/cdn_trace.c" // IWYU pragma: keep
// NOLINTNEXTLINE(bugprone-suspicious-include): its static functions are tested
#include "tests/bench/replay/policy_replay.c" // IWYU pragma: keep

#include "common/banned.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GOLDEN 0
#else
#define GOLDEN 1
#endif

/* The published counts are those of the whole trace, which takes seconds: with CDN_LONG=yes. Otherwise the
 * counts of its first tenth, taken when those of the whole were right. */
enum { PART, WHOLE };

static const struct golden {
    const char *policy;
    uint64_t capacity;
    struct {
        uint64_t misses;
        uint64_t missed_bytes;
    } of[2];
} golden[] = {
    {"lru", 198057575, {{233381, 15164788297}, {2275429, 160387549609}}},
    {"lru", 990287876, {{153595, 9701323842}, {1514606, 99183038595}}},
    {"lru", 1980575753, {{123279, 7721646920}, {1176623, 76076862524}}},
    {"lru", 3961151506, {{99884, 6262163983}, {836720, 53708369734}}},
    {"fifo", 198057575, {{250415, 20175869573}, {2449468, 176910399268}}},
    {"fifo", 990287876, {{168955, 11207543657}, {1679000, 113160178871}}},
    {"fifo", 1980575753, {{136368, 8740873744}, {1330906, 88030480619}}},
    {"fifo", 3961151506, {{107976, 6817275829}, {974278, 63759432072}}},
    {"sieve", 198057575, {{200780, 13365672588}, {1987050, 136055028461}}},
    {"sieve", 990287876, {{138466, 8977140913}, {1281090, 83959408708}}},
    {"sieve", 1980575753, {{116739, 7318638513}, {1012820, 65720639372}}},
    {"sieve", 3961151506, {{99164, 6254986303}, {736802, 47542981914}}},
    {"s3fifo", 198057575, {{183116, 42599297450}, {1805223, 179000941094}}},
    {"s3fifo", 990287876, {{138353, 8719460578}, {1275268, 82362515130}}},
    {"s3fifo", 1980575753, {{118433, 7481981180}, {1000475, 65045644841}}},
    {"s3fifo", 3961151506, {{100790, 6297690312}, {738574, 47068540704}}},
};

static const unsigned char golden_sha256[][32] = {
    {0xef, 0x38, 0xe1, 0x53, 0x7b, 0x9b, 0x19, 0x81, 0xf3, 0x62, 0x9a, 0x32, 0x3c, 0x53, 0x21, 0xab,
     0x40, 0xf5, 0x72, 0xa4, 0x7c, 0x1a, 0xf8, 0x03, 0x31, 0x1a, 0x87, 0xd7, 0xa4, 0x71, 0x7b, 0x19},
    {0xde, 0x7a, 0xf1, 0x2b, 0xf7, 0xc3, 0x56, 0x77, 0xc3, 0xef, 0x05, 0x0b, 0xe6, 0x3f, 0x5f, 0x9d,
     0xac, 0xec, 0x20, 0x2b, 0x10, 0x9a, 0x08, 0xae, 0x89, 0x28, 0xcf, 0x7b, 0xd2, 0x99, 0x11, 0x3b}};

START_TEST(golden_counts_of_cdn_d)
{
    unsigned char sha256[32];
    const size_t which = is_long_test() ? WHOLE : PART;
    const uint32_t n = which == WHOLE ? CDN_TRACE_REQUESTS : CDN_TRACE_REQUESTS / 10;
    struct replay_request *requests = cdn_calloc(n, sizeof(*requests));
    cdn_trace_make(requests, n);
    cdn_trace_sha256(requests, n, sha256);
    ck_assert_mem_eq(sha256, golden_sha256[which], sizeof(sha256));
    for (size_t g = 0; g < CDN_ARRAY_LEN(golden); g++) {
        struct replay *r = NULL;
        ck_assert_int_eq(replay_create(golden[g].policy, golden[g].capacity, &r, NULL), CDN_OK);
        for (uint32_t i = 0; i < n; i++) {
            replay_ask(r, requests[i]);
        }
        const struct replay_result *got = replay_result(r);
        ck_assert_msg(got->misses == golden[g].of[which].misses &&
                          got->missed_bytes == golden[g].of[which].missed_bytes,
                      "%s at %lu: %lu / %lu", golden[g].policy, golden[g].capacity, got->misses,
                      got->missed_bytes);
        replay_destroy(r);
    }
    free(requests);
}
END_TEST

/* ---- a naive model: arrays, oldest first, written from the published sentences ---- */

#define KEYS 60

struct thing {
    unsigned key;
    uint64_t size;
    unsigned hits;
};

struct list {
    struct thing at[KEYS];
    size_t n;
};

struct model {
    const char *name;
    uint64_t capacity, small_share, main_share, ghost_share;
    struct list main, small, ghost;
    size_t hand; /* index in main; n: at the oldest */
};

static uint64_t bytes_of(const struct list *l)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < l->n; i++) {
        sum += l->at[i].size;
    }
    return sum;
}

static size_t index_of(const struct list *l, unsigned key)
{
    size_t i = 0;
    while (i < l->n && l->at[i].key != key) {
        i++;
    }
    return i;
}

static struct thing take_at(struct list *l, size_t i)
{
    struct thing t = l->at[i];
    memmove(l->at + i, l->at + i + 1, (l->n - i - 1) * sizeof(t));
    l->n--;
    return t;
}

static void model_remove(struct model *m, unsigned key)
{
    size_t i = index_of(&m->main, key);
    if (i < m->main.n) {
        take_at(&m->main, i);
        m->hand = m->hand > i ? m->hand - 1 : m->hand; /* at i: the next towards the newest slides here */
        m->hand = m->hand > m->main.n ? m->main.n : m->hand;
    }
    i = index_of(&m->small, key);
    if (i < m->small.n) {
        take_at(&m->small, i);
    }
    i = index_of(&m->ghost, key);
    if (i < m->ghost.n) {
        take_at(&m->ghost, i);
    }
}

static void model_ghost(struct model *m, struct thing t)
{
    if (index_of(&m->ghost, t.key) < m->ghost.n || t.size > m->ghost_share) {
        return;
    }
    while (bytes_of(&m->ghost) + t.size > m->ghost_share) {
        take_at(&m->ghost, 0);
    }
    m->ghost.at[m->ghost.n++] = t;
}

static unsigned model_evict_s3(struct model *m)
{
    for (;;) {
        if (bytes_of(&m->main) > m->main_share || m->small.n == 0) {
            for (;;) {
                struct thing t = take_at(&m->main, 0);
                if (t.hits == 0) {
                    return t.key;
                }
                t.hits = (t.hits > 3 ? 3 : t.hits) - 1;
                m->main.at[m->main.n++] = t;
            }
        }
        while (m->small.n > 0) {
            struct thing t = take_at(&m->small, 0);
            if (t.hits < 2) {
                model_ghost(m, t);
                return t.key;
            }
            t.hits = 0;
            m->main.at[m->main.n++] = t;
        }
    }
}

static unsigned model_evict_sieve(struct model *m)
{
    for (;;) {
        if (m->hand >= m->main.n) {
            m->hand = 0;
        }
        struct thing *t = &m->main.at[m->hand];
        if (t->hits == 0) {
            return take_at(&m->main, m->hand).key; /* the next slides under the hand */
        }
        t->hits = 0;
        m->hand++;
    }
}

static unsigned model_evict(struct model *m)
{
    if (strcmp(m->name, "s3fifo") == 0) {
        return model_evict_s3(m);
    }
    return strcmp(m->name, "sieve") == 0 ? model_evict_sieve(m) : take_at(&m->main, 0).key;
}

static bool model_hit(struct model *m, unsigned key)
{
    size_t i = index_of(&m->small, key);
    if (i < m->small.n) {
        m->small.at[i].hits++;
        return true;
    }
    i = index_of(&m->main, key);
    if (i == m->main.n) {
        return false;
    }
    m->main.at[i].hits++;
    if (strcmp(m->name, "lru") == 0) {
        struct thing t = take_at(&m->main, i);
        m->main.at[m->main.n++] = t;
    }
    return true;
}

static void model_insert(struct model *m, unsigned key, uint64_t size, bool returned)
{
    struct thing t = {key, size, 0};
    bool s3 = strcmp(m->name, "s3fifo") == 0;
    if (s3 && !returned) {
        if (size < m->small_share) {
            m->small.at[m->small.n++] = t;
        }
        return;
    }
    bool at_end = m->hand == m->main.n; /* keep "at the oldest" apart from "at the newest" */
    m->main.at[m->main.n++] = t;
    m->hand = at_end ? m->main.n : m->hand;
}

/* ---- both side by side ---- */

struct known {
    struct edge_policy_item item; /* first: an item is its object */
    uint64_t hash;
};

static uint64_t known_hash(const struct edge_policy_item *item)
{
    return ((const struct known *)(const void *)item)->hash;
}

struct pair {
    struct edge_policy *policy;
    struct known items[KEYS];
    struct model model;
    unsigned steps; /* of one bounded call; 0: unbounded */
};

static uint64_t key_hash(unsigned key)
{
    return (key + 1) * UINT64_C(0x123456789abcdef1);
}

static unsigned evict_one(struct pair *p)
{
    struct edge_policy_item *victim = NULL;
    for (unsigned turns = 0; !victim; turns++) {
        unsigned steps = p->steps;
        victim = edge_policy_evict_next(p->policy, p->steps ? &steps : NULL);
        ck_assert(victim || (p->steps && steps == 0));
        ck_assert_uint_lt(turns, 10000);
    }
    return (unsigned)((struct known *)(void *)victim - p->items);
}

static void make_room(struct pair *p, uint64_t size)
{
    while (edge_policy_short(p->policy, size)) {
        ck_assert_uint_eq(evict_one(p), model_evict(&p->model));
    }
}

static void request(struct pair *p, unsigned key, uint64_t size)
{
    struct edge_policy_item *item = &p->items[key].item;
    ck_assert_int_eq(edge_policy_has(item), model_hit(&p->model, key));
    if (edge_policy_has(item)) {
        if (edge_policy_hit(item)) {
            edge_policy_touch(p->policy, item);
        }
        return;
    }
    size_t ghost = index_of(&p->model.ghost, key);
    bool returned = ghost < p->model.ghost.n;
    ck_assert_int_eq(edge_policy_ghost_has(p->policy, key_hash(key)), returned);
    if (returned) {
        take_at(&p->model.ghost, ghost);
    }
    bool s3 = strcmp(p->model.name, "s3fifo") == 0;
    bool fits = size <= (s3 ? p->model.small_share : p->model.capacity);
    enum edge_policy_admission admission = edge_policy_admit(p->policy, key_hash(key), size);
    ck_assert_int_eq(admission, !fits      ? EDGE_POLICY_REFUSED
                                : returned ? EDGE_POLICY_RETURNED
                                           : EDGE_POLICY_NEW);
    if (fits) {
        make_room(p, size);
        edge_policy_insert(p->policy, item, size, admission);
        model_insert(&p->model, key, size, returned);
    }
}

static void change_size(struct pair *p, unsigned key, uint64_t size)
{
    struct list *lists[] = {&p->model.main, &p->model.small};
    edge_policy_resize(p->policy, &p->items[key].item, size);
    for (size_t l = 0; l < 2; l++) {
        size_t i = index_of(lists[l], key);
        if (i < lists[l]->n) {
            lists[l]->at[i].size = size;
        }
    }
    make_room(p, 0);
}

static void purge(struct pair *p, unsigned key)
{
    edge_policy_remove(p->policy, &p->items[key].item);
    edge_policy_forget(p->policy, key_hash(key));
    model_remove(&p->model, key);
}

static void check_same(const struct pair *p)
{
    ck_assert_uint_eq(edge_policy_used(p->policy), bytes_of(&p->model.main) + bytes_of(&p->model.small));
    ck_assert_uint_eq(edge_policy_count(p->policy), p->model.main.n + p->model.small.n);
}

static void set_capacity(struct pair *p, uint64_t capacity)
{
    struct model *m = &p->model;
    m->capacity = capacity;
    m->small_share = capacity / 10;
    m->main_share = capacity - m->small_share;
    m->ghost_share = capacity / 10 * 9;
    while (bytes_of(&m->ghost) > m->ghost_share) {
        take_at(&m->ghost, 0);
    }
    edge_policy_capacity_set(p->policy, capacity);
    make_room(p, 0);
}

static uint32_t xorshift(uint32_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return *x;
}

static void run_differential(const char *name, uint32_t random, unsigned steps)
{
    struct pair p = {.model = {.name = name}, .steps = steps};
    ck_assert_int_eq(edge_policy_create(name, 1000, known_hash, &p.policy, NULL), CDN_OK);
    for (unsigned key = 0; key < KEYS; key++) {
        p.items[key].hash = key_hash(key);
    }
    set_capacity(&p, 1000);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned key = xorshift(&random) % (xorshift(&random) % KEYS + 1);
        unsigned what = xorshift(&random) % 100;
        if (what < 92) {
            request(&p, key, 1 + xorshift(&random) % 101);
        } else if (what < 95) {
            purge(&p, key);
        } else if (what < 99) {
            change_size(&p, key, 1 + xorshift(&random) % 90);
        } else {
            set_capacity(&p, 500 + 10 * (xorshift(&random) % 100));
        }
        check_same(&p);
    }
    edge_policy_destroy(p.policy);
}

static const char *const names[] = {"s3fifo", "sieve", "lru", "fifo"};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SEEDS = 3 }; /* the plain build judges the counts; here only memory is in question */
#else
enum { SEEDS = 20 };
#endif

START_TEST(same_as_the_model)
{
    for (uint32_t random = 1; random <= SEEDS; random++) {
        run_differential(names[_i], random * 7919, random % 3);
    }
}
END_TEST

START_TEST(one_insertion_evicts_many_in_steps)
{
    static struct known items[1000];
    struct edge_policy *p = NULL;
    memset(items, 0, sizeof(items));
    ck_assert_int_eq(edge_policy_create(names[_i], 1000, known_hash, &p, NULL), CDN_OK);
    for (unsigned i = 0; i < 1000; i++) {
        items[i].hash = i + 1;
        ck_assert(edge_policy_insert(p, &items[i].item, 1, edge_policy_admit(p, i + 1, 1)));
        edge_policy_hit(&items[i].item);
        edge_policy_hit(&items[i].item);
    }
    unsigned calls = 0;
    unsigned gone = 0;
    while (edge_policy_short(p, 90)) {
        unsigned steps = 10;
        while (edge_policy_short(p, 90) && edge_policy_evict_next(p, &steps)) {
            gone++;
        }
        ck_assert_uint_lt(++calls, 1000);
    }
    ck_assert_uint_eq(gone, 90);
    ck_assert_uint_eq(edge_policy_used(p), 910);
    edge_policy_destroy(p);
}
END_TEST

START_TEST(too_large_is_said)
{
    struct edge_policy *p = NULL;
    ck_assert_int_eq(edge_policy_create("s3fifo", 1000, known_hash, &p, NULL), CDN_OK);
    ck_assert_uint_eq(edge_policy_size_max(p), 100);
    ck_assert_int_eq(edge_policy_admit(p, 1, 101), EDGE_POLICY_REFUSED);
    struct edge_policy_item item = {0}; /* exactly the small queue: welcome at the door, yet not stored */
    ck_assert(!edge_policy_insert(p, &item, 100, edge_policy_admit(p, 1, 100)));
    ck_assert(!edge_policy_has(&item));
    edge_policy_destroy(p);
}
END_TEST

START_TEST(unknown_name)
{
    struct edge_policy *p = NULL;
    struct cdn_error err;
    ck_assert_int_eq(edge_policy_create("clock-pro", 1, known_hash, &p, &err), CDN_INVALID);
    ck_assert(strstr(err.text, "clock-pro") && strstr(err.text, "s3fifo"));
    ck_assert_ptr_null(p);
}
END_TEST

START_TEST(hit_writes_only_what_changes)
{
    struct edge_policy *p = NULL;
    struct edge_policy_item item = {0};
    ck_assert_int_eq(edge_policy_create("sieve", 100, known_hash, &p, NULL), CDN_OK);
    edge_policy_insert(p, &item, 1, EDGE_POLICY_NEW);
    ck_assert(!edge_policy_hit(&item));
    struct edge_policy_item before = item;
    ck_assert(!edge_policy_hit(&item));
    ck_assert_mem_eq(&before, &item, sizeof(item));
    edge_policy_destroy(p);
}
END_TEST

START_TEST(ghost_remembers_why)
{
    struct edge_ghost_entry e;
    struct edge_ghost *g = edge_ghost_create(1000, UINT64_MAX);
    for (uint64_t i = 0; i < 5000; i++) {
        edge_ghost_put(g, i * 77777, i % 2 ? EDGE_GHOST_PURGED : EDGE_GHOST_EVICTED, (int64_t)i, i);
        if (i % 3 == 0) {
            ck_assert(edge_ghost_forget(g, i * 77777));
        }
    }
    ck_assert_uint_eq(edge_ghost_count(g), 1000);
    ck_assert(!edge_ghost_find(g, 0, &e));
    ck_assert(!edge_ghost_find(g, 4998 * 77777, &e)); /* forgotten */
    ck_assert(edge_ghost_find(g, 4999 * 77777, &e));
    ck_assert_int_eq(e.reason, EDGE_GHOST_PURGED);
    ck_assert_int_eq(e.time_s, 4999);
    edge_ghost_put(g, 4999 * 77777, EDGE_GHOST_EXPIRED, 6000, 1);
    ck_assert(edge_ghost_find(g, 4999 * 77777, &e) && e.reason == EDGE_GHOST_EXPIRED && e.size == 4999);
    edge_ghost_limit(g, 1000, 10000);
    ck_assert_uint_le(edge_ghost_bytes(g), 10000);
    edge_ghost_clear(g);
    ck_assert_uint_eq(edge_ghost_count(g), 0);
    ck_assert_uint_eq(edge_ghost_bytes(g), 0);
    edge_ghost_destroy(g);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy");
    TCase *tc = tcase_create("policy");
    tcase_set_timeout(tc, 300);
    if (GOLDEN) {
        tcase_add_test(tc, golden_counts_of_cdn_d);
    }
    tcase_add_loop_test(tc, same_as_the_model, 0, 4);
    tcase_add_loop_test(tc, one_insertion_evicts_many_in_steps, 1, 4);
    tcase_add_test(tc, too_large_is_said);
    tcase_add_test(tc, unknown_name);
    tcase_add_test(tc, hit_writes_only_what_changes);
    tcase_add_test(tc, ghost_remembers_why);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
