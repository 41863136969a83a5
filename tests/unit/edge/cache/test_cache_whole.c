/* Origins that answer a range with the whole: how long that is known, and how much is read and thrown
 * away. */
#include "common/mem.h"
#include "common/str.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/ghost.h"
#include "tests/unit/edge/cache_fixture.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/banned.h"

#define KEY "http://h/a"
#define NOW CACHE_NOW_MS
#define UNIT (EDGE_SKIP_MAX / EDGE_GHOST_NOTE_MAX) /* less is not counted */
#define ALL (UNIT * EDGE_GHOST_NOTE_MAX)

static struct edge_cache *cache;
static struct edge_entry *entry;

static void set_up(void)
{
    cache = make_cache((uint64_t)1 << 20, "lru");
    entry = edge_cache_enter(cache, CDN_STR(KEY));
}

static void tear_down(void)
{
    edge_cache_leave(cache, entry);
    edge_cache_destroy(cache);
}

static enum edge_whole whole_at(int64_t now_ms)
{
    edge_cache_lock(cache);
    const enum edge_whole whole = edge_cache_whole_locked(cache, entry, now_ms);
    edge_cache_unlock(cache);
    return whole;
}

static const struct {
    int64_t later_ms;
    bool known;
} ages[] = {{0, true},
            {EDGE_WHOLE_S * 1000 - 1, true},
            {EDGE_WHOLE_S * 1000, false},
            {-1000, false},
            {INT64_C(1) << 40, false}};

START_TEST(known_for_a_while)
{
    ck_assert_int_eq(whole_at(NOW), EDGE_WHOLE_UNKNOWN);
    for (unsigned keepable = 0; keepable < 2; keepable++) {
        const enum edge_whole known = keepable ? EDGE_WHOLE_KEEPABLE : EDGE_WHOLE_NOT_KEEPABLE;
        edge_cache_note_whole(cache, entry, keepable != 0, NOW);
        ck_assert_int_eq(whole_at(NOW + ages[_i].later_ms), ages[_i].known ? known : EDGE_WHOLE_UNKNOWN);
    }
    edge_cache_note_ranged(cache, entry);
    ck_assert_int_eq(whole_at(NOW), EDGE_WHOLE_UNKNOWN);
}
END_TEST

START_TEST(said_again_it_begins_anew)
{
    edge_cache_note_whole(cache, entry, true, NOW);
    edge_cache_note_whole(cache, entry, true, NOW + 500000);
    ck_assert_int_eq(whole_at(NOW + 1000000), EDGE_WHOLE_KEEPABLE);
}
END_TEST

static bool skip(uint64_t bytes, int64_t now_ms)
{
    return edge_cache_may_skip(cache, CDN_STR(KEY), bytes, now_ms);
}

static const struct {
    const char *what;
    uint64_t bytes[4];
    bool may[4];
} skips[] = {
    {"nothing", {0, ALL, 0}, {true, true, true}},
    {"too little to count", {UNIT - 1, ALL, UNIT - 1}, {true, true, true}},
    {"all at once", {ALL, UNIT}, {true, false}},
    {"as the limit says", {EDGE_SKIP_MAX, UNIT}, {true, false}},
    {"more than all", {ALL + UNIT, ALL}, {false, true}},
    {"a refused one costs nothing", {ALL - UNIT, 2 * UNIT, UNIT, UNIT}, {true, false, true, false}},
    {"by halves", {ALL / 2, ALL / 2, UNIT, UNIT}, {true, true, true, false}},
    {"far too much", {UINT64_MAX, UINT64_MAX / 2, UNIT}, {false, false, true}},
};

START_TEST(so_much_is_thrown_away)
{
    for (unsigned i = 0; i < 4; i++) {
        if (i && !skips[_i].bytes[i]) {
            break;
        }
        ck_assert_msg(skip(skips[_i].bytes[i], NOW) == skips[_i].may[i], "%s: %u", skips[_i].what, i);
    }
}
END_TEST

/* What was thrown away counts for its time, whatever is learnt of the key meanwhile. */
START_TEST(what_was_skipped_counts_for_its_time)
{
    ck_assert(skip(ALL, NOW));
    edge_cache_note_whole(cache, entry, false, NOW + 1000);
    ck_assert_int_eq(whole_at(NOW + 1000), EDGE_WHOLE_NOT_KEEPABLE);
    ck_assert(!skip(UNIT, NOW + 1000));
    ck_assert(!skip(UNIT, NOW + EDGE_WHOLE_S * 1000 - 1));
    ck_assert(skip(ALL, NOW + EDGE_WHOLE_S * 1000));
    ck_assert(!skip(UNIT, NOW + EDGE_WHOLE_S * 1000));
    ck_assert(edge_cache_may_skip(cache, CDN_STR(KEY "/b"), ALL, NOW)); /* another key */
}
END_TEST

START_TEST(skipping_says_what_the_origin_does)
{
    ck_assert(skip(UNIT, NOW));
    ck_assert_int_eq(whole_at(NOW), EDGE_WHOLE_NOT_KEEPABLE);
    edge_cache_note_whole(cache, entry, true, NOW);
    ck_assert(skip(UNIT, NOW));
    ck_assert_int_eq(whole_at(NOW), EDGE_WHOLE_KEEPABLE);
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, known_for_a_while, 0, CDN_ARRAY_LEN(ages));
    tcase_add_test(tc, said_again_it_begins_anew);
    tcase_add_loop_test(tc, so_much_is_thrown_away, 0, CDN_ARRAY_LEN(skips));
    tcase_add_test(tc, what_was_skipped_counts_for_its_time);
    tcase_add_test(tc, skipping_says_what_the_origin_does);
}

int main(void)
{
    return run_case("cache_whole", add);
}
