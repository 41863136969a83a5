/* Purges by key, prefix and everything, hard and soft: who is hit, who is not, and what is left. */
#include "common/mem.h"
#include "common/str.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"
#include "tests/unit/edge/cache_fixture.h"

#include <check.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

#define MEMORY ((uint64_t)1 << 20)
#define KEYS                                                                                           \
    "http://h/ http://h/a http://h/a/ http://h/a/b http://h/a/b?c http://h/ab http://h/b https://h/a " \
    "http://hh/"

static struct edge_cache *cache;

static void set_up(void)
{
    cache = make_cache(MEMORY, "lru");
}

static void tear_down(void)
{
    edge_cache_destroy(cache);
}

static void publish_all(const char *keys)
{
    struct cdn_str rest = cdn_str(keys);
    while (rest.p && rest.n) {
        CDN_AUTOFREE char *key = cdn_str_dup(cdn_str_cut(&rest, ' '));
        publish(cache, key, "", "", 10);
    }
}

static const struct {
    const char *what;
    bool prefix;
    const char *text;
    unsigned count;
    const char *left;
} rows[] = {
    {"a key", false, "http://h/a", 1,
     "http://h/ http://h/a/ http://h/a/b http://h/a/b?c http://h/ab http://h/b https://h/a http://hh/"},
    {"a key that is not there", false, "http://h/a/b?", 0, KEYS},
    {"no key", false, "", 0, KEYS},
    {"the key as prefix", true, "http://h/a", 5, "http://h/ http://h/b https://h/a http://hh/"},
    {"a folder", true, "http://h/a/", 3,
     "http://h/ http://h/a http://h/ab http://h/b https://h/a http://hh/"},
    {"a key with a question", true, "http://h/a/b?", 1,
     "http://h/ http://h/a http://h/a/ http://h/a/b http://h/ab http://h/b https://h/a http://hh/"},
    {"a host", true, "http://h/", 7, "https://h/a http://hh/"},
    {"a host without its slash", true, "http://h", 8, "https://h/a"},
    {"a scheme", true, "https:", 1,
     "http://h/ http://h/a http://h/a/ http://h/a/b http://h/a/b?c http://h/ab http://h/b http://hh/"},
    {"before all", true, "a", 0, KEYS},
    {"behind all", true, "i", 0, KEYS},
    {"longer than any", true, "http://h/a/b?c&d", 0, KEYS},
    {"other letters", true, "HTTP://h/", 0, KEYS},
    {"everything", true, "", 9, ""},
};

static uint64_t purge(bool prefix, const char *text, bool soft, int64_t now_ms)
{
    return prefix ? edge_cache_purge_prefix(cache, cdn_str(text), soft, now_ms)
                  : edge_cache_purge_key(cache, cdn_str(text), soft, now_ms);
}

START_TEST(hard_ones_remove)
{
    struct edge_cache_stats stats;
    publish_all(KEYS);
    ck_assert_msg(purge(rows[_i].prefix, rows[_i].text, false, CACHE_NOW_MS) == rows[_i].count, "%s",
                  rows[_i].what);
    check_stored(cache, KEYS, rows[_i].left, rows[_i].what);
    ck_assert_uint_eq(purge(rows[_i].prefix, rows[_i].text, false, CACHE_NOW_MS), 0);
    edge_cache_stats(cache, &stats);
    ck_assert_uint_eq(stats.objects, 9 - rows[_i].count);
    ck_assert_uint_eq(stats.memory_objects, 9 - rows[_i].count);
}
END_TEST

/* How many of the keys are stale at a time. */
static unsigned stale(int64_t now_ms)
{
    unsigned count = 0;
    struct cdn_str rest = cdn_str(KEYS);
    while (rest.p && rest.n) {
        struct edge_entry *e = edge_cache_enter(cache, cdn_str_cut(&rest, ' '));
        count += edge_freshness_left(&atomic_load(&e->objects->rep)->fresh, now_ms) <= 0;
        edge_cache_leave(cache, e);
    }
    return count;
}

START_TEST(soft_ones_make_stale)
{
    publish_all(KEYS);
    ck_assert_uint_eq(stale(CACHE_NOW_MS + 5000), 0);
    for (unsigned i = 0; i < 2; i++) { /* and again */
        ck_assert_uint_eq(purge(rows[_i].prefix, rows[_i].text, true, CACHE_NOW_MS + 5000), rows[_i].count);
        check_stored(cache, KEYS, KEYS, rows[_i].what);
        ck_assert_msg(stale(CACHE_NOW_MS + 5000) == rows[_i].count, "%s", rows[_i].what);
    }
}
END_TEST

START_TEST(all_is_everything)
{
    publish_all(KEYS);
    ck_assert_uint_eq(edge_cache_purge_all(cache, true, CACHE_NOW_MS), 9);
    ck_assert_uint_eq(edge_cache_purge_all(cache, false, CACHE_NOW_MS), 9);
    check_stored(cache, KEYS, "", "all");
    ck_assert_int_eq(missing(cache, "http://h/a"), EDGE_CAUSE_PURGED);
    ck_assert_int_eq(missing(cache, "http://h/never"), EDGE_CAUSE_COLD);
}
END_TEST

START_TEST(all_variants_and_parts_go)
{
    struct edge_rep *part = rep_for("Accept-Language: fr", 206, "ETag: \"1\"\nVary: Accept-Language");
    part->first = 10;
    part->whole = 100;
    publish(cache, "http://h/a", "Accept-Language: de", "Vary: Accept-Language", 10);
    publish(cache, "http://h/a", "Accept-Language: en", "Vary: Accept-Language", 10);
    publish_at(cache, "http://h/a", part, 10, 0);
    ck_assert_uint_eq(edge_cache_purge_key(cache, CDN_STR("http://h/a"), true, CACHE_NOW_MS), 3);
    ck_assert_uint_eq(edge_cache_purge_key(cache, CDN_STR("http://h/a"), false, CACHE_NOW_MS), 3);
    check_stored(cache, "http://h/a", "", "variants");
}
END_TEST

/* Keys are bytes: what is not ASCII comes last, a NUL first. */
START_TEST(prefixes_are_bytes)
{
    const struct cdn_str keys[] = {CDN_STR("http://h/\xff\xff"), CDN_STR("http://h/\xff"),
                                   CDN_STR("http://h/\x7f"),     CDN_STR("http://h/\0a"),
                                   CDN_STR("http://h/\0"),       CDN_STR("http://h/z")};
    for (unsigned i = 0; i < CDN_ARRAY_LEN(keys); i++) {
        struct edge_hold hold = {0};
        bool kept;
        struct edge_entry *e = edge_cache_enter(cache, keys[i]);
        edge_cache_publish(cache, e, 0, rep_for("", 200, ""), blob_of(1), NULL, 0, &hold, &kept);
        edge_cache_release(cache, &hold);
        edge_cache_leave(cache, e);
    }
    ck_assert_uint_eq(edge_cache_purge_prefix(cache, CDN_STR("http://h/\0"), false, CACHE_NOW_MS), 2);
    ck_assert_uint_eq(edge_cache_purge_prefix(cache, CDN_STR("http://h/\xff"), false, CACHE_NOW_MS), 2);
    ck_assert_uint_eq(edge_cache_purge_prefix(cache, CDN_STR("http://h/"), false, CACHE_NOW_MS), 2);
}
END_TEST

/* The windows of a stale answer count from the purge, once. */
START_TEST(soft_windows_count_from_the_purge)
{
    struct edge_rep *rep = rep_for("", 200, "");
    rep->fresh.swr_s = 30;
    struct edge_object *o = publish_at(cache, "http://h/a", rep, 10, 0);
    edge_cache_purge_key(cache, CDN_STR("http://h/a"), true, CACHE_NOW_MS + 10000);
    const struct edge_freshness *fresh = &atomic_load(&o->rep)->fresh;
    ck_assert_int_eq(edge_freshness_left(fresh, CACHE_NOW_MS + 12000), -2);
    ck_assert_int_eq(fresh->source, EDGE_LIFETIME_PURGED);
    edge_cache_purge_key(cache, CDN_STR("http://h/a"), true, CACHE_NOW_MS + 20000);
    fresh = &atomic_load(&o->rep)->fresh;
    ck_assert_int_eq(edge_freshness_left(fresh, CACHE_NOW_MS + 22000), -12);
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, hard_ones_remove, 0, CDN_ARRAY_LEN(rows));
    tcase_add_loop_test(tc, soft_ones_make_stale, 0, CDN_ARRAY_LEN(rows));
    tcase_add_test(tc, all_is_everything);
    tcase_add_test(tc, all_variants_and_parts_go);
    tcase_add_test(tc, prefixes_are_bytes);
    tcase_add_test(tc, soft_windows_count_from_the_purge);
}

int main(void)
{
    return run_case("cache_purge", add);
}
