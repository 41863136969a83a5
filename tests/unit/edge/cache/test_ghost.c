/* The memory of keys that are gone, against a plain list that does the same. */
#include "common/mem.h"
#include "edge/cache/ghost.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

#define MODEL_MAX 512u

struct known {
    uint64_t hash;
    struct edge_ghost_entry entry;
};

struct model { /* the oldest first */
    struct known known[MODEL_MAX];
    size_t count, entries;
    uint64_t bytes, limit;
};

static size_t model_find(const struct model *m, uint64_t hash)
{
    size_t i = 0;
    while (i < m->count && m->known[i].hash != hash) {
        i++;
    }
    return i;
}

static void model_drop(struct model *m, size_t at)
{
    m->bytes -= m->known[at].entry.size;
    memmove(&m->known[at], &m->known[at + 1], (m->count - at - 1) * sizeof(m->known[0]));
    m->count--;
}

static void model_limit(struct model *m, size_t entries, uint64_t bytes)
{
    m->entries = entries ? entries : 1;
    m->limit = bytes;
    while (m->count && (m->count > m->entries || m->bytes > bytes)) {
        model_drop(m, 0);
    }
}

static void model_put(struct model *m, uint64_t hash, enum edge_ghost_reason reason, int64_t time_s,
                      uint64_t size)
{
    const size_t at = model_find(m, hash);
    if (at < m->count) {
        m->known[at].entry.reason = reason;
        m->known[at].entry.time_s = time_s;
        m->known[at].entry.note = 0;
        return;
    }
    if (size > m->limit) {
        return;
    }
    while (m->count && (m->count == m->entries || m->bytes + size > m->limit)) {
        model_drop(m, 0);
    }
    m->known[m->count++] = (struct known){hash, {.reason = reason, .time_s = time_s, .size = size}};
    m->bytes += size;
}

static void compare(const struct edge_ghost *g, const struct model *m, uint64_t keys)
{
    ck_assert_uint_eq(edge_ghost_count(g), m->count);
    ck_assert_uint_eq(edge_ghost_bytes(g), m->bytes);
    for (uint64_t hash = 0; hash < keys; hash++) {
        struct edge_ghost_entry got = {0};
        const size_t at = model_find(m, hash);
        const bool found = edge_ghost_find(g, hash, &got);
        const struct edge_ghost_entry *right = &m->known[at].entry;
        const bool same = found == (at < m->count) &&
                          (!found || (got.reason == right->reason && got.time_s == right->time_s &&
                                      got.size == right->size && got.note == right->note));
        if (!same) { /* one assertion a key would cost more than all else */
            ck_abort_msg("key %lu", (unsigned long)hash);
        }
    }
}

static uint64_t draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void step(struct edge_ghost *g, struct model *m, uint64_t keys, uint64_t bits)
{
    const uint64_t hash = (bits >> 8) % keys;
    const size_t at = model_find(m, hash);
    if (bits % 16 < 10) {
        const enum edge_ghost_reason reason =
            (enum edge_ghost_reason)((bits >> 24) % EDGE_GHOST_REASON_COUNT);
        const int64_t time_s = (int64_t)((bits >> 28) & UINT32_MAX);
        const uint64_t size = (bits >> 32) % 1000;
        edge_ghost_put(g, hash, reason, time_s, size);
        model_put(m, hash, reason, time_s, size);
    } else if (bits % 16 < 12) {
        const uint8_t note = (bits >> 24) & EDGE_GHOST_NOTE_MAX;
        edge_ghost_note(g, hash, note);
        if (at < m->count) {
            m->known[at].entry.note = note;
        }
    } else if (bits % 16 < 15) {
        ck_assert(edge_ghost_forget(g, hash) == (at < m->count));
        if (at < m->count) {
            model_drop(m, at);
        }
    } else if ((bits >> 24) % 16 == 0) {
        edge_ghost_clear(g);
        m->count = 0;
        m->bytes = 0;
    }
}

static const struct {
    size_t entries;
    uint64_t bytes, keys;
} sizes[] = {{1, UINT64_MAX, 3},    {0, UINT64_MAX, 3},   {5, UINT64_MAX, 20},
             {64, UINT64_MAX, 100}, {65, UINT64_MAX, 90}, {400, UINT64_MAX, 450},
             {400, 5000, 450},      {400, 0, 50},         {3, 1500, 40}};

START_TEST(does_as_a_list)
{
    static struct model m;
    uint64_t state = 0x9e3779b97f4a7c15u + (uint64_t)_i;
    struct edge_ghost *g = edge_ghost_create(sizes[_i].entries, sizes[_i].bytes);
    m.count = 0;
    m.bytes = 0;
    model_limit(&m, sizes[_i].entries, sizes[_i].bytes);
    for (unsigned i = 0; i < 3000; i++) {
        step(g, &m, sizes[_i].keys, draw(&state));
        if (i % 500 == 499) { /* less room, and again as before */
            const size_t entries = i % 1000 == 999 ? sizes[_i].entries : sizes[_i].entries / 2;
            edge_ghost_limit(g, entries, sizes[_i].bytes);
            model_limit(&m, entries, sizes[_i].bytes);
        }
        if (i % 10 == 0) {
            compare(g, &m, sizes[_i].keys);
        }
    }
    edge_ghost_destroy(g);
}
END_TEST

START_TEST(the_oldest_goes)
{
    struct edge_ghost *g = edge_ghost_create(3, UINT64_MAX);
    for (uint64_t hash = 1; hash <= 3; hash++) {
        edge_ghost_put(g, hash, EDGE_GHOST_EVICTED, 10, 0);
    }
    edge_ghost_put(g, 1, EDGE_GHOST_PURGED, 20, 0); /* keeps its place */
    edge_ghost_put(g, 4, EDGE_GHOST_EVICTED, 30, 0);
    ck_assert(!edge_ghost_find(g, 1, NULL));
    ck_assert(edge_ghost_find(g, 2, NULL) && edge_ghost_find(g, 3, NULL) && edge_ghost_find(g, 4, NULL));
    edge_ghost_destroy(g);
}
END_TEST

static const struct {
    uint64_t limit, size;
    bool known;
} large[] = {
    {100, 100, true},
    {100, 101, false},
    {0, 0, true},
    {0, 1, false},
    {UINT64_MAX, (UINT64_C(1) << 48) - 1, true},
    {UINT64_MAX, UINT64_C(1) << 48, false},
    {UINT64_MAX, UINT64_MAX, false},
};

START_TEST(too_large_ones_are_not_known)
{
    struct edge_ghost *g = edge_ghost_create(8, large[_i].limit);
    edge_ghost_put(g, 1, EDGE_GHOST_EVICTED, 0, 0);
    edge_ghost_put(g, 2, EDGE_GHOST_EVICTED, 0, large[_i].size);
    ck_assert(edge_ghost_find(g, 2, NULL) == large[_i].known);
    ck_assert(edge_ghost_find(g, 1, NULL)); /* nobody had to go for it */
    ck_assert_uint_eq(edge_ghost_bytes(g), large[_i].known ? large[_i].size : 0);
    edge_ghost_destroy(g);
}
END_TEST

START_TEST(a_new_reason_has_no_note)
{
    struct edge_ghost_entry entry;
    struct edge_ghost *g = edge_ghost_create(8, UINT64_MAX);
    edge_ghost_note(g, 7, 5); /* of a key that is not known */
    ck_assert(!edge_ghost_find(g, 7, NULL));
    edge_ghost_put(g, 7, EDGE_GHOST_FAILING, 1, 0);
    edge_ghost_note(g, 7, EDGE_GHOST_NOTE_MAX);
    ck_assert(edge_ghost_find(g, 7, &entry) && entry.note == EDGE_GHOST_NOTE_MAX);
    edge_ghost_put(g, 7, EDGE_GHOST_UNSTORABLE, UINT32_MAX, 9);
    ck_assert(edge_ghost_find(g, 7, &entry) && entry.note == 0);
    ck_assert_int_eq(entry.reason, EDGE_GHOST_UNSTORABLE);
    ck_assert_int_eq(entry.time_s, UINT32_MAX);
    ck_assert_uint_eq(entry.size, 0); /* as it was */
    edge_ghost_destroy(g);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ghost");
    TCase *tc = tcase_create("ghost");
    tcase_add_loop_test(tc, does_as_a_list, 0, CDN_ARRAY_LEN(sizes));
    tcase_add_test(tc, the_oldest_goes);
    tcase_add_loop_test(tc, too_large_ones_are_not_known, 0, CDN_ARRAY_LEN(large));
    tcase_add_test(tc, a_new_reason_has_no_note);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
