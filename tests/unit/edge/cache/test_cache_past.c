/* What is remembered of keys: why nothing is there, that it may not be stored, that its refresh failed. */
#include "common/mem.h"
#include "common/str.h"
#include "edge/cache/cache.h"
#include "edge/cache/ghost.h"
#include "edge/cache/object.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/storable.h"
#include "tests/unit/edge/cache_fixture.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/banned.h"

#define KEY "http://h/a"
#define NOW CACHE_NOW_MS

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

static const struct {
    enum edge_ghost_reason reason;
    enum edge_cause cause;
} causes[] = {
    {EDGE_GHOST_EVICTED, EDGE_CAUSE_EVICTED}, {EDGE_GHOST_PURGED, EDGE_CAUSE_PURGED},
    {EDGE_GHOST_EXPIRED, EDGE_CAUSE_EXPIRED}, {EDGE_GHOST_CORRUPT, EDGE_CAUSE_CORRUPT},
    {EDGE_GHOST_UNSTORABLE, EDGE_CAUSE_COLD}, {EDGE_GHOST_FAILING, EDGE_CAUSE_COLD},
};

START_TEST(why_nothing_is_there)
{
    ck_assert_int_eq(missing(cache, KEY), EDGE_CAUSE_COLD);
    edge_cache_remove(cache, publish(cache, KEY, "", "", 10), causes[_i].reason);
    ck_assert_int_eq(missing(cache, KEY), causes[_i].cause);
    ck_assert_int_eq(missing(cache, KEY "/b"), EDGE_CAUSE_COLD);
}
END_TEST

/* While something is stored under the key it is not gone, though one variant went. */
START_TEST(one_variant_of_two_is_not_gone)
{
    struct asked a;
    struct edge_stored stored;
    edge_cache_purge_key(cache, CDN_STR(KEY), false, NOW);
    publish(cache, KEY, "Accept-Language: de", "Vary: Accept-Language", 10);
    edge_cache_remove(cache, publish(cache, KEY, "Accept-Language: en", "Vary: Accept-Language", 10),
                      EDGE_GHOST_EVICTED);
    edge_cache_look(cache, CDN_STR(KEY), &entry, ask(&a, "Accept-Language: en"), NOW, &stored);
    ck_assert(!stored.hold.object && stored.others);
    ck_assert_int_eq(stored.missing, EDGE_CAUSE_COLD);
    edge_rep_unref(stored.newest);
}
END_TEST

START_TEST(what_is_stored_again_is_not_gone)
{
    struct asked a;
    struct edge_stored stored;
    edge_cache_remove(cache, publish(cache, KEY, "", "", 10), EDGE_GHOST_PURGED);
    publish(cache, KEY, "Accept-Language: de", "Vary: Accept-Language", 10);
    edge_cache_look(cache, CDN_STR(KEY), &entry, ask(&a, "Accept-Language: en"), NOW, &stored);
    ck_assert_int_eq(stored.missing, EDGE_CAUSE_COLD);
    edge_rep_unref(stored.newest);
}
END_TEST

/* ---- answers that may not be stored ---- */

static void look(int64_t now_ms, struct edge_stored *ret)
{
    struct asked a;
    edge_cache_look(cache, CDN_STR(KEY), &entry, ask(&a, ""), now_ms, ret);
    edge_cache_release(cache, &ret->hold);
    edge_rep_unref(ret->newest);
}

static const struct {
    int64_t later_ms;
    bool parallel;
} parallels[] = {
    {0, true},
    {1, true},
    {EDGE_PASS_S * 1000 - 1, true},
    {EDGE_PASS_S * 1000, false},
    {INT64_C(100000000), false},
    {-1000, false}, /* the clock was set back */
};

START_TEST(unstorable_for_some_seconds)
{
    struct edge_stored stored;
    struct edge_story story;
    look(NOW, &stored);
    ck_assert(!stored.parallel);
    edge_cache_note_unstorable(cache, entry, EDGE_STORE_PRIVATE, NOW);
    look(NOW + parallels[_i].later_ms, &stored);
    ck_assert(stored.parallel == parallels[_i].parallel);
    ck_assert_int_eq(stored.missing, EDGE_CAUSE_COLD);
    edge_cache_story(cache, CDN_STR(KEY), NOW + parallels[_i].later_ms, &story);
    ck_assert(story.unstorable && story.why == EDGE_STORE_PRIVATE &&
              story.parallel == parallels[_i].parallel);
    edge_story_free(cache, &story);
}
END_TEST

START_TEST(until_one_may_be_stored)
{
    struct edge_stored stored;
    edge_cache_note_unstorable(cache, entry, EDGE_STORE_PRIVATE, NOW);
    edge_cache_note_storable(cache, entry);
    look(NOW, &stored);
    ck_assert(!stored.parallel);
    edge_cache_note_unstorable(cache, entry, EDGE_STORE_PRIVATE, NOW);
    publish(cache, KEY, "", "", 10);
    look(NOW, &stored);
    ck_assert(!stored.parallel);
}
END_TEST

START_TEST(other_reasons_stay)
{
    edge_cache_remove(cache, publish(cache, KEY, "", "", 10), EDGE_GHOST_PURGED);
    edge_cache_note_storable(cache, entry);
    ck_assert_int_eq(missing(cache, KEY), EDGE_CAUSE_PURGED);
    edge_cache_refresh_answered(cache, entry);
    ck_assert_int_eq(missing(cache, KEY), EDGE_CAUSE_PURGED);
}
END_TEST

/* ---- refreshes that fail ---- */

static const struct {
    unsigned failures;
    int64_t pause_s;
    bool always_failing; /* also after the pause */
} pauses[] = {{1, 2, false}, {2, 4, false}, {3, 8, true},  {4, 16, true},
              {5, 32, true}, {6, 64, true}, {7, 64, true}, {300, 64, true}};

START_TEST(pauses_double)
{
    struct edge_stored stored;
    const int64_t pause_ms = pauses[_i].pause_s * 1000;
    publish(cache, KEY, "", "", 10);
    for (unsigned i = 0; i < pauses[_i].failures; i++) {
        edge_cache_refresh_failed(cache, entry, NOW);
    }
    ck_assert(!edge_cache_may_refresh(cache, entry, NOW));
    ck_assert(!edge_cache_may_refresh(cache, entry, NOW + pause_ms));
    ck_assert(edge_cache_may_refresh(cache, entry, NOW + pause_ms + 1000));
    ck_assert(edge_cache_may_refresh(cache, entry, NOW - 1000)); /* the clock was set back */
    look(NOW + pause_ms, &stored);
    ck_assert(stored.failing && !stored.may_refresh);
    look(NOW + pause_ms + 1000, &stored);
    ck_assert(stored.failing == pauses[_i].always_failing && stored.may_refresh);
    edge_cache_refresh_answered(cache, entry);
    look(NOW, &stored);
    ck_assert(!stored.failing && stored.may_refresh);
    edge_cache_refresh_failed(cache, entry, NOW); /* from the beginning */
    ck_assert(edge_cache_may_refresh(cache, entry, NOW + 3000));
}
END_TEST

/* The pause is at least as long as said, wherever in a second it began. */
START_TEST(a_pause_is_not_short)
{
    publish(cache, KEY, "", "", 10);
    edge_cache_refresh_failed(cache, entry, NOW + 999);
    ck_assert(!edge_cache_may_refresh(cache, entry, NOW + 2998));
    ck_assert(edge_cache_may_refresh(cache, entry, NOW + 3000));
}
END_TEST

START_TEST(nothing_stored_is_not_refreshed)
{
    struct edge_stored stored;
    edge_cache_refresh_failed(cache, entry, NOW);
    look(NOW, &stored);
    ck_assert(!stored.failing && stored.may_refresh);
    publish(cache, KEY, "", "", 10);
    edge_cache_refresh_failed(cache, entry, NOW);
    publish(cache, KEY, "", "", 10); /* a new answer: the origin is well */
    ck_assert(edge_cache_may_refresh(cache, entry, NOW));
}
END_TEST

START_TEST(keys_are_remembered_by_themselves)
{
    struct edge_entry *other = edge_cache_enter(cache, CDN_STR(KEY "/b"));
    publish(cache, KEY, "", "", 10);
    publish(cache, KEY "/b", "", "", 10);
    edge_cache_refresh_failed(cache, entry, NOW);
    ck_assert(edge_cache_may_refresh(cache, other, NOW));
    edge_cache_refresh_failed(cache, other, NOW);
    edge_cache_refresh_answered(cache, other);
    ck_assert(!edge_cache_may_refresh(cache, entry, NOW));
    edge_cache_leave(cache, other);
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, why_nothing_is_there, 0, CDN_ARRAY_LEN(causes));
    tcase_add_test(tc, one_variant_of_two_is_not_gone);
    tcase_add_test(tc, what_is_stored_again_is_not_gone);
    tcase_add_loop_test(tc, unstorable_for_some_seconds, 0, CDN_ARRAY_LEN(parallels));
    tcase_add_test(tc, until_one_may_be_stored);
    tcase_add_test(tc, other_reasons_stay);
    tcase_add_loop_test(tc, pauses_double, 0, CDN_ARRAY_LEN(pauses));
    tcase_add_test(tc, a_pause_is_not_short);
    tcase_add_test(tc, nothing_stored_is_not_refreshed);
    tcase_add_test(tc, keys_are_remembered_by_themselves);
}

int main(void)
{
    return run_case("cache_past", add);
}
