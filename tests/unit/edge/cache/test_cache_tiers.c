/* Who enters and who leaves the two tiers: the bounds hold whatever comes, and nothing is counted twice or
 * left behind. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/object.h"
#include "edge/cache/policy.h"
#include "edge/memory/budget.h"
#include "edge/semantics/cause.h"
#include "edge/store/store.h"
#include "tests/unit/edge/cache_fixture.h"
#include "tests/unit/edge/store_fixture.h"

#include <check.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

#define BODY ((size_t)5000)

static struct edge_cache *cache;

static struct edge_cache_stats stats_now(void)
{
    struct edge_cache_stats stats;
    edge_cache_stats(cache, &stats);
    return stats;
}

static void check_empty(void)
{
    const struct edge_cache_stats stats = stats_now();
    struct edge_budget_stats budget;
    edge_budget_stats(&budget);
    ck_assert_uint_eq(stats.objects, 0);
    ck_assert_uint_eq(stats.entries, 0);
    ck_assert_uint_eq(stats.memory_bytes, 0);
    ck_assert_int_eq(cache->memory_bodies, 0);
    ck_assert_uint_eq(budget.tier, 0);
    ck_assert_uint_eq(budget.on_the_way, 0);
}

/* ---- RAM ---- */

static const char *const policies[] = {"s3fifo", "sieve", "lru", "fifo"};

START_TEST(the_bound_holds)
{
    uint64_t state = 88172645463325252u;
    cache = make_cache(200000, policies[_i]);
    for (unsigned i = 0; i < 1000; i++) {
        struct edge_budget_stats budget;
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        CDN_AUTOFREE char *key = cdn_asprintf("http://h/%u", (unsigned)(state % 300));
        publish(cache, key, "", "Surrogate-Key: a b", (size_t)(state >> 20) % 6000);
        edge_budget_stats(&budget);
        const struct edge_cache_stats stats = stats_now();
        ck_assert(stats.memory_bytes <= stats.memory_capacity && stats.objects == stats.memory_objects &&
                  budget.tier == stats.memory_bytes && budget.on_the_way == 0);
    }
    ck_assert_uint_gt(stats_now().memory_evictions, 100);
    ck_assert_uint_gt(stats_now().memory_bytes, 150000);
    edge_cache_purge_all(cache, false, CACHE_NOW_MS);
    check_empty();
    edge_cache_destroy(cache);
}
END_TEST

static void hit(const char *key)
{
    struct asked a;
    struct edge_entry *e = NULL;
    struct edge_stored stored;
    edge_cache_look(cache, cdn_str(key), &e, ask(&a, ""), CACHE_NOW_MS, &stored);
    ck_assert_ptr_nonnull(stored.hold.object);
    edge_cache_hit(cache, &stored.hold);
    edge_cache_release(cache, &stored.hold);
    edge_rep_unref(stored.newest);
    edge_cache_leave(cache, e);
}

static const struct {
    const char *policy, *hits, *come, *left;
} leavers[] = {
    {"fifo", "", "d", "b c d"},      {"fifo", "aaa", "d", "b c d"}, {"lru", "", "d", "b c d"},
    {"lru", "a", "d", "a c d"},      {"lru", "abc", "d", "b c d"},  {"lru", "ab", "de", "b d e"},
    {"sieve", "", "d", "b c d"},     {"sieve", "a", "d", "a c d"},  {"sieve", "ab", "d", "a b d"},
    {"sieve", "abc", "d", "b c d"},  {"lru", "", "cd", "b c d"},    {"lru", "", "ab", "a b c"},
    {"fifo", "", "defghi", "g h i"},
};

/* What one object of such a key takes. */
static uint64_t cost_of_one(void)
{
    cache = make_cache(100000, "lru");
    publish(cache, "a", "", "", BODY);
    const uint64_t cost = stats_now().memory_bytes;
    edge_cache_destroy(cache);
    return cost;
}

START_TEST(the_right_one_leaves)
{
    cache = make_cache(3 * cost_of_one() + 10, leavers[_i].policy);
    CDN_AUTOFREE char *come = cdn_asprintf("abc|%s", leavers[_i].come);
    for (const char *at = come; *at; at++) {
        const char key[2] = {*at, 0};
        for (const char *h = leavers[_i].hits; *at == '|' && *h; h++) {
            const char hit_key[2] = {*h, 0};
            hit(hit_key);
        }
        if (*at != '|') {
            ck_assert_ptr_nonnull(publish(cache, key, "", "", BODY));
        }
    }
    check_stored(cache, "a b c d e f g h i", leavers[_i].left, leavers[_i].policy);
    for (const char *at = come; *at; at++) {
        const char key[2] = {*at, 0};
        if (*at != '|' && !strchr(leavers[_i].left, *at)) {
            ck_assert_int_eq(missing(cache, key), EDGE_CAUSE_EVICTED);
        }
    }
    edge_cache_destroy(cache);
}
END_TEST

static const struct {
    const char *what;
    uint64_t memory, memory_object;
    size_t body;
    bool kept;
} sizes[] = {
    {"as large as allowed", 1 << 20, 1000, 1000, true},
    {"a byte more", 1 << 20, 1000, 1001, false},
    {"nothing at all", 1 << 20, 0, 0, true},
    {"one byte, none allowed", 1 << 20, 0, 1, false},
    {"as large as the tier", 100000, 1 << 20, 100000, false}, /* its head takes room, too */
    {"larger than the tier", 100000, 1 << 20, 200000, false},
    {"most of the tier", 100000, 1 << 20, 80000, true},
};

START_TEST(too_large_ones_stay_out)
{
    cache = make_cache(sizes[_i].memory, "lru");
    publish(cache, "before", "", "", 0);
    cache->config.memory_object = sizes[_i].memory_object;
    ck_assert_msg((publish(cache, "a", "", "", sizes[_i].body) != NULL) == sizes[_i].kept, "%s",
                  sizes[_i].what);
    ck_assert_uint_eq(stats_now().too_large, !sizes[_i].kept);
    check_stored(cache, "before a", sizes[_i].kept ? "before a" : "before", sizes[_i].what);
    edge_cache_destroy(cache);
}
END_TEST

START_TEST(replaced_bodies_are_given_back)
{
    cache = make_cache((uint64_t)1 << 20, "s3fifo");
    publish(cache, "a", "", "ETag: \"1234\"", BODY);
    const uint64_t once = stats_now().memory_bytes;
    for (unsigned i = 0; i < 500; i++) {
        ck_assert_ptr_nonnull(publish(cache, "a", "", "ETag: \"5678\"", BODY));
    }
    ck_assert_uint_eq(stats_now().memory_bytes, once);
    ck_assert_uint_eq(stats_now().memory_evictions, 0);
    edge_cache_purge_all(cache, false, CACHE_NOW_MS);
    check_empty();
    edge_cache_destroy(cache);
}
END_TEST

/* Bodies on their way take from the tier; it gives up what it must, and gets it back. */
START_TEST(the_tier_gives_way)
{
    edge_budget_set(16 * (uint64_t)MIB);
    cache = make_cache(16 * (uint64_t)MIB, "lru");
    for (unsigned i = 0; i < 48; i++) {
        CDN_AUTOFREE char *key = cdn_asprintf("%u", i);
        ck_assert_ptr_nonnull(publish(cache, key, "", "", MIB / 4));
    }
    edge_cache_fit(cache);
    ck_assert_uint_eq(stats_now().objects, 48);
    edge_budget_add(10 * MIB); /* of which two are free */
    edge_cache_fit(cache);
    ck_assert_uint_le(stats_now().memory_bytes, 8 * MIB);
    ck_assert_uint_gt(stats_now().memory_bytes, 7 * MIB);
    check_stored(cache, "0 47", "47", "the oldest go");
    publish(cache, "new", "", "", MIB / 4);
    ck_assert_uint_le(stats_now().memory_bytes, 8 * MIB);
    edge_budget_sub(10 * MIB);
    for (unsigned i = 0; i < 48; i++) {
        CDN_AUTOFREE char *key = cdn_asprintf("%u", i);
        publish(cache, key, "", "", MIB / 4);
    }
    ck_assert_uint_gt(stats_now().memory_bytes, 12 * MIB);
    edge_cache_destroy(cache);
}
END_TEST

/* ---- compressed forms ---- */

START_TEST(coded_forms_count)
{
    struct edge_hold hold = {0};
    const uint64_t cost = cost_of_one();
    cache = make_cache(3 * cost + 10, "lru");
    publish(cache, "a", "", "", BODY);
    publish(cache, "b", "", "", BODY);
    ck_assert(edge_cache_hold(cache, publish(cache, "c", "", "", BODY), &hold));
    edge_cache_add_coded(cache, hold.ram, EDGE_CODED_GZIP, NULL); /* no smaller */
    ck_assert_uint_eq(stats_now().memory_bytes, 3 * cost);
    edge_cache_add_coded(cache, hold.ram, EDGE_CODED_BR, blob_of(3000));
    check_stored(cache, "a b c", "b c", "made room");
    ck_assert_uint_gt(stats_now().memory_bytes, 2 * cost + 3000);
    ck_assert_uint_le(stats_now().memory_bytes, stats_now().memory_capacity);
    struct edge_coded *coded = edge_blob_coded(hold.ram->blob);
    ck_assert_uint_eq(atomic_load(&coded->state[EDGE_CODED_GZIP]), EDGE_CODED_DONE);
    ck_assert_uint_eq(atomic_load(&coded->state[EDGE_CODED_BR]), EDGE_CODED_DONE);
    edge_cache_purge_all(cache, false, CACHE_NOW_MS);
    ck_assert_uint_eq(stats_now().memory_bytes, 0);
    edge_cache_release(cache, &hold);
    check_empty();
    edge_cache_destroy(cache);
}
END_TEST

/* One that is ready when its body has left the tier is of no more use, and is not counted. */
START_TEST(late_coded_forms_do_not_count)
{
    struct edge_hold hold = {0};
    cache = make_cache((uint64_t)1 << 20, "lru");
    ck_assert(edge_cache_hold(cache, publish(cache, "a", "", "", BODY), &hold));
    edge_cache_purge_all(cache, false, CACHE_NOW_MS);
    edge_cache_add_coded(cache, hold.ram, EDGE_CODED_BR, blob_of(3000));
    ck_assert_uint_eq(stats_now().memory_bytes, 0);
    edge_cache_release(cache, &hold);
    check_empty();
    edge_cache_destroy(cache);
}
END_TEST

/* ---- disk ---- */

static struct fixture f;

static void on_loaded(void *arg, enum cdn_status status, uint64_t objects)
{
    (void)objects;
    answer(arg, status, NULL);
}

static void saved(void *arg)
{
    answer(arg, CDN_OK, NULL);
}

static void start(uint64_t memory)
{
    struct waiter loaded = WAITER;
    memset(&f, 0, sizeof(f));
    make_fixture(&f);
    open_store(&f);
    const struct edge_cache_config config = {.memory = memory,
                                             .memory_object = MIB,
                                             .memory_policy = "lru",
                                             .disk_policy = "sieve",
                                             .store = f.store,
                                             .variants = 4};
    ck_assert_int_eq(edge_cache_create(&config, &cache, NULL), CDN_OK);
    edge_cache_load(cache, on_loaded, &loaded);
    ck_assert_int_eq(await(&loaded), CDN_OK);
}

static void stop(void)
{
    close_store(&f);
    edge_cache_destroy(cache);
    drop_fixture(&f);
}

static void await_saved(struct edge_object *o)
{
    struct waiter w = WAITER;
    struct edge_save_waiter waiter = {.done = saved, .arg = &w};
    if (edge_cache_await_save(cache, o, &waiter)) {
        await(&w);
    }
}

/* Published, and its hold after the writer has answered. */
static void save(const char *key, struct edge_hold *ret)
{
    struct edge_object *o = publish(cache, key, "", "", BODY);
    ck_assert_ptr_nonnull(o);
    await_saved(o);
    ck_assert(edge_cache_hold(cache, o, ret));
}

/* A body that RAM does not want is there until the disk has it, and not a moment longer. */
START_TEST(saved_from_memory_that_has_no_room)
{
    struct edge_hold hold = {0};
    bool kept;
    start(1);
    struct edge_entry *e = edge_cache_enter(cache, CDN_STR("a"));
    edge_cache_publish(cache, e, 0, rep_for("", 200, ""), blob_of(BODY), NULL, 0, &hold, &kept);
    ck_assert(kept && hold.ram);
    edge_cache_leave(cache, e);
    edge_cache_release(cache, &hold);
    save("a", &hold);
    ck_assert(!hold.ram && hold.location.id != 0);
    ck_assert_uint_eq(hold.location.body, BODY);
    ck_assert_uint_eq(stats_now().memory_bytes, 0);
    ck_assert_uint_eq(stats_now().disk_objects, 1);
    edge_cache_release(cache, &hold);
    stop();
}
END_TEST

/* Out of the policy, but the only copy there is. */
START_TEST(evicted_while_it_is_saved)
{
    struct edge_hold hold = {0};
    const uint64_t cost = cost_of_one();
    cache = make_cache(2 * cost + 10, "lru");
    struct edge_object *o = publish(cache, "a", "", "", BODY);
    edge_object_set(o, EDGE_OBJECT_SAVING, true); /* as when the writer has it */
    publish(cache, "b", "", "", BODY);
    publish(cache, "c", "", "", BODY);
    check_stored(cache, "a b c", "a b c", "all");
    ck_assert_uint_eq(stats_now().memory_bytes, 2 * cost);
    ck_assert(edge_cache_hold(cache, o, &hold));
    ck_assert(hold.ram && !edge_policy_has(&hold.ram->item));
    edge_object_set(o, EDGE_OBJECT_SAVING, false);
    edge_cache_release(cache, &hold);
    edge_cache_purge_all(cache, false, CACHE_NOW_MS);
    check_empty();
    edge_cache_destroy(cache);
}
END_TEST

START_TEST(what_leaves_memory_is_still_on_disk)
{
    struct edge_hold hold = {0};
    const uint64_t cost = cost_of_one();
    start(2 * cost + 10);
    for (const char *at = "abc"; *at; at++) {
        const char key[2] = {*at, 0};
        save(key, &hold);
        edge_cache_release(cache, &hold);
    }
    check_stored(cache, "a b c", "a b c", "all");
    ck_assert_uint_eq(stats_now().disk_objects, 3);
    ck_assert_uint_le(stats_now().memory_bytes, 2 * cost + 10);
    edge_cache_purge_key(cache, CDN_STR("a"), false, CACHE_NOW_MS);
    ck_assert_uint_eq(stats_now().disk_objects, 2);
    ck_assert_int_eq(missing(cache, "a"), EDGE_CAUSE_PURGED);
    stop();
}
END_TEST

START_TEST(a_body_read_from_disk_is_offered)
{
    struct edge_hold hold = {0};
    start(1);
    save("a", &hold);
    edge_policy_capacity_set(cache->memory, MIB);
    struct edge_blob *blob = blob_of(BODY);
    edge_cache_offer_ram(cache, hold.object, blob);
    const uint64_t once = stats_now().memory_bytes;
    ck_assert_uint_gt(once, BODY);
    edge_cache_offer_ram(cache, hold.object, blob); /* another worker read it, too */
    ck_assert_uint_eq(stats_now().memory_bytes, once);
    edge_cache_purge_all(cache, false, CACHE_NOW_MS);
    edge_cache_offer_ram(cache, hold.object, blob); /* too late */
    ck_assert_uint_eq(stats_now().memory_bytes, 0);
    edge_blob_unref(blob);
    edge_cache_release(cache, &hold);
    edge_store_flush(f.store); /* the writer lets go of the body, too */
    check_empty();
    stop();
}
END_TEST

/* A nearly full disk takes what is asked for the second time; one half full takes all, and learns. */
START_TEST(a_full_disk_wants_to_be_asked_twice)
{
    struct edge_hold hold = {0};
    start(1);
    save("a", &hold);
    edge_cache_release(cache, &hold);
    const uint64_t cost = stats_now().disk_bytes;
    edge_policy_capacity_set(cache->disk, 6 * cost);
    for (const char *at = "bcdef"; *at; at++) { /* "a", "b" and "c" came while there was room */
        const char key[2] = {*at, 0};
        save(key, &hold);
        edge_cache_release(cache, &hold);
    }
    ck_assert_uint_eq(stats_now().disk_objects, 6);
    ck_assert_ptr_null(publish(cache, "g", "", "", BODY));
    ck_assert_int_eq(missing(cache, "g"), EDGE_CAUSE_EVICTED);
    ck_assert_uint_eq(stats_now().not_admitted, 1);
    check_stored(cache, "a b c d e f", "a b c d e f", "nobody had to go");
    save("g", &hold);
    edge_cache_release(cache, &hold);
    ck_assert_uint_eq(stats_now().not_admitted, 1);
    ck_assert_uint_eq(stats_now().disk_objects, 6);
    ck_assert_uint_eq(stats_now().disk_evictions, 1);
    stop();
}
END_TEST

/* Whatever the writer is doing just now: a purged body does not come back, and nothing is left behind. */
START_TEST(purged_while_it_is_saved)
{
    start(1);
    for (unsigned i = 0; i < 20; i++) {
        struct edge_hold hold = {0};
        struct edge_object *o = publish(cache, "a", "", "", BODY);
        ck_assert(edge_cache_hold(cache, o, &hold));
        ck_assert_uint_eq(edge_cache_purge_key(cache, CDN_STR("a"), false, CACHE_NOW_MS), 1);
        await_saved(o);
        ck_assert_uint_eq(o->location.id, 0);
        edge_cache_release(cache, &hold);
    }
    ck_assert_uint_eq(stats_now().disk_objects, 0);
    edge_store_flush(f.store);
    check_empty();
    stop();
}
END_TEST

/* ---- writes that began before a purge ---- */

static const struct {
    const char *what;
    uint64_t turn;    /* now */
    unsigned open[2]; /* writes of even and of odd turns */
    uint64_t asked;
    bool settled;
    uint64_t then;
} turns[] = {
    {"no writes", 4, {0, 0}, 4, true, 5},
    {"one of this turn", 4, {1, 0}, 4, false, 5},
    {"one of the turn before", 4, {0, 1}, 4, false, 4},
    {"of both", 4, {1, 1}, 4, false, 4},
    {"it was done before", 5, {0, 3}, 4, true, 5},
    {"the one before is not done", 5, {1, 0}, 4, false, 5},
    {"long ago", 9, {1, 1}, 4, true, 9},
    {"an odd turn", 5, {0, 0}, 5, true, 6},
    {"an odd turn, one open", 5, {0, 1}, 5, false, 6},
};

START_TEST(turns_settle)
{
    cache = make_cache(1000, "lru");
    cache->save_turn = turns[_i].turn;
    cache->saves_open[0] = turns[_i].open[0];
    cache->saves_open[1] = turns[_i].open[1];
    ck_assert_msg(edge_cache_saves_settled(cache, turns[_i].asked) == turns[_i].settled, "%s",
                  turns[_i].what);
    ck_assert_msg(edge_cache_save_turn(cache) == turns[_i].then, "%s", turns[_i].what);
    edge_cache_destroy(cache);
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_loop_test(tc, the_bound_holds, 0, CDN_ARRAY_LEN(policies));
    tcase_add_loop_test(tc, the_right_one_leaves, 0, CDN_ARRAY_LEN(leavers));
    tcase_add_loop_test(tc, too_large_ones_stay_out, 0, CDN_ARRAY_LEN(sizes));
    tcase_add_test(tc, replaced_bodies_are_given_back);
    tcase_add_test(tc, the_tier_gives_way);
    tcase_add_test(tc, coded_forms_count);
    tcase_add_test(tc, late_coded_forms_do_not_count);
    tcase_add_test(tc, saved_from_memory_that_has_no_room);
    tcase_add_test(tc, evicted_while_it_is_saved);
    tcase_add_test(tc, what_leaves_memory_is_still_on_disk);
    tcase_add_test(tc, a_body_read_from_disk_is_offered);
    tcase_add_test(tc, a_full_disk_wants_to_be_asked_twice);
    tcase_add_test(tc, purged_while_it_is_saved);
    tcase_add_loop_test(tc, turns_settle, 0, CDN_ARRAY_LEN(turns));
}

int main(void)
{
    return run_case("cache_tiers", add);
}
