/* Surrogate keys: how they are spelled in three fields, how many count, whom a purge finds, and what is
 * remembered of purges for the fetches that run meanwhile. */
#include "common/mem.h"
#include "common/str.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "tests/unit/edge/cache_fixture.h"

#include <bsd/sys/tree.h>
#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/banned.h"

#define KEY "http://h/a"
#define MEMORY ((uint64_t)4 << 20)
#define TAGS_MAX 256u

static struct edge_cache *cache;

static void set_up(void)
{
    cache = make_cache(MEMORY, "lru");
}

static void tear_down(void)
{
    edge_cache_destroy(cache);
}

static uint64_t purge(const char *tag)
{
    return edge_cache_purge_tag(cache, cdn_str(tag), false, CACHE_NOW_MS);
}

static const struct {
    const char *fields, *tag;
    bool found;
} spellings[] = {
    {"Surrogate-Key: a", "a", true},
    {"Surrogate-Key: a b c", "b", true},
    {"Surrogate-Key: a b c", "c", true},
    {"Surrogate-Key:   a    b  ", "b", true},
    {"Surrogate-Key: a\tb", "b", true}, /* a tab is a space by then */
    {"Surrogate-Key: a,b, c", "b", true},
    {"Surrogate-Key: a,b, c", "c", true},
    {"Surrogate-Key: ab", "a", false},
    {"Surrogate-Key: ab", "b", false},
    {"Surrogate-Key: a b", "a b", false},
    {"Surrogate-Key: a b", "", false},
    {"Surrogate-Key:", "", false},
    {"Surrogate-Key: , ,", "", false},
    {"Surrogate-Key: Red", "red", false},
    {"surrogate-key: red", "red", true},
    {"Surrogate-Key: a\nSurrogate-Key: b", "a", true},
    {"Surrogate-Key: a\nSurrogate-Key: b", "b", true},
    {"xkey: a b", "b", true},
    {"X-Key: a b", "b", false},
    {"XKEY: a b", "b", true},
    {"Cache-Tag: a,b", "b", true},
    {"Cache-Tag: a , b ,c", "b", true},
    {"Cache-Tag: a , b ,c", "b ", false},
    {"Cache-Tag: red shoes, hats", "red shoes", true},
    {"Cache-Tag: red shoes, hats", "red", false},
    {"Cache-Tag: ,,a,,", "a", true},
    {"Cache-Tag: ,,a,,", "", false},
    {"Surrogate-Key: a\nCache-Tag: b\nxkey: c", "a", true},
    {"Surrogate-Key: a\nCache-Tag: b\nxkey: c", "b", true},
    {"Surrogate-Key: a\nCache-Tag: b\nxkey: c", "c", true},
    {"Surrogate-Key: \xc3\xa9t\xc3\xa9", "\xc3\xa9t\xc3\xa9", true},
    {"Surrogate-Key: a/b:c;d=\"e\"", "a/b:c;d=\"e\"", true},
    {"X-Cache-Tags: a,b c", "b c", true},
    {"X-Cache-Tags: a,b c", "b", false},
    {"X-Magento-Tags: cat_p_1,cat_p", "cat_p", true},
    {"Cache-Groups: \"a\"", "a", false}, /* a name of its own kind */
    {"ETag: a", "a", false},
};

START_TEST(tags_are_found)
{
    publish(cache, KEY, "", spellings[_i].fields, 10);
    ck_assert_msg(purge(spellings[_i].tag) == spellings[_i].found, "'%s' in '%s'", spellings[_i].tag,
                  spellings[_i].fields);
    check_stored(cache, KEY, spellings[_i].found ? "" : KEY, spellings[_i].fields);
    ck_assert_uint_eq(purge(spellings[_i].tag), 0); /* all are gone */
}
END_TEST

static const struct {
    const char *key, *fields, *of, *group;
    bool found;
} groups[] = {
    {KEY, "Cache-Groups: \"a\", \"b\"", KEY "/other?x", "b", true},
    {KEY, "Cache-Groups: \"a\"\nCache-Groups: \"b\"", KEY, "b", true},
    {KEY, "Cache-Groups: \"a\\\"b\"", KEY, "a\"b", true},
    {KEY, "Cache-Groups: \"a\"", KEY, "A", false},
    {KEY, "Cache-Groups: \"a\"", "https://h/a", "a", false},
    {KEY, "Cache-Groups: \"a\"", "http://h:8080/a", "a", false},
    {KEY, "Cache-Groups: \"a\"", "http://g.h/a", "a", false},
    {KEY, "Cache-Groups: a", KEY, "a", false},
    {KEY, "Cache-Groups: \"a\", b", KEY, "a", false}, /* invalid as a whole */
    {KEY, "Surrogate-Key: a", KEY, "a", false},
};

START_TEST(groups_are_found)
{
    publish(cache, groups[_i].key, "", groups[_i].fields, 10);
    ck_assert_uint_eq(
        edge_cache_purge_group(cache, cdn_str(groups[_i].of), cdn_str(groups[_i].group), CACHE_NOW_MS),
        groups[_i].found);
}
END_TEST

START_TEST(a_tag_twice_is_once)
{
    publish(cache, KEY, "", "Surrogate-Key: a a b a\nxkey: a\nCache-Tag: a,a", 10);
    publish(cache, KEY "/2", "", "Cache-Tag: a", 10);
    ck_assert_uint_eq(purge("a"), 2);
    ck_assert_uint_eq(purge("b"), 0);
}
END_TEST

/* So many, doubles not counted, over all fields; what is over is left out, not the object. */
START_TEST(tags_of_one_object_are_bounded)
{
    CDN_AUTOBUF struct cdn_buf fields = {0};
    cdn_buf_printf(&fields, "Surrogate-Key:");
    for (unsigned i = 0; i < TAGS_MAX - 1; i++) {
        cdn_buf_printf(&fields, " t%u t%u", i, i / 2);
    }
    cdn_buf_printf(&fields, "\nxkey: last over\nCache-Tag: too-late, t0");
    publish(cache, KEY, "", fields.p, 10);
    ck_assert_uint_eq(purge("over"), 0);
    ck_assert_uint_eq(purge("too-late"), 0);
    ck_assert_uint_eq(purge("last"), 1);
    ck_assert_uint_eq(purge("t0"), 0); /* it went with all its tags */
    publish(cache, KEY, "", fields.p, 10);
    ck_assert_uint_eq(purge("t254"), 1);
}
END_TEST

/* Among many objects and tags, a purge finds its own and nothing else. */
START_TEST(a_purge_finds_its_own)
{
    enum { OBJECTS = 300 };
    struct edge_cache_stats stats;
    char key[32];
    for (unsigned i = 0; i < OBJECTS; i++) {
        CDN_AUTOFREE char *fields = cdn_asprintf("Surrogate-Key: all m%u n%u one-%u", i % 7, i % 10, i);
        snprintf(key, sizeof(key), "http://h/%u", i);
        publish(cache, key, "", fields, 10);
    }
    ck_assert_uint_eq(purge("one-42"), 1);
    ck_assert_uint_eq(purge("m3"), 43);
    ck_assert_uint_eq(purge("n9"), 26); /* of 30 four were in m3 */
    ck_assert_uint_eq(purge("one-10"), 0);
    ck_assert_uint_eq(purge("all"), OBJECTS - 1 - 43 - 26);
    edge_cache_stats(cache, &stats);
    ck_assert(stats.objects == 0 && stats.memory_bytes == 0);
    ck_assert(RB_EMPTY(&cache->tags));
}
END_TEST

/* Variants, and parts, each with tags of their own. */
START_TEST(tags_are_of_objects_not_of_keys)
{
    char etag[64];
    publish(cache, KEY, "Accept-Language: de", "ETag: 1\nVary: Accept-Language\nSurrogate-Key: red", 10);
    publish(cache, KEY, "Accept-Language: en", "ETag: 2\nVary: Accept-Language\nSurrogate-Key: blue", 10);
    ck_assert_uint_eq(purge("red"), 1);
    ck_assert_str_eq(selected(cache, KEY, "Accept-Language: de", etag), "-");
    ck_assert_str_eq(selected(cache, KEY, "Accept-Language: en", etag), "2");
}
END_TEST

START_TEST(tags_go_with_what_carries_them)
{
    publish(cache, KEY, "", "Surrogate-Key: red", 10);
    publish(cache, KEY, "", "Surrogate-Key: blue", 10); /* in its place */
    ck_assert_uint_eq(purge("red"), 0);
    ck_assert_uint_eq(edge_cache_purge_tag(cache, CDN_STR("blue"), true, CACHE_NOW_MS), 1);
    ck_assert_uint_eq(edge_cache_purge_tag(cache, CDN_STR("blue"), true, CACHE_NOW_MS), 1); /* it is there */
    edge_cache_purge_key(cache, CDN_STR(KEY), false, CACHE_NOW_MS);
    ck_assert_uint_eq(purge("blue"), 0);
}
END_TEST

/* ---- the memory of purges ---- */

static const struct {
    const char *what;
    unsigned before, after; /* purges of other tags before the fetch began, and after the one of its tag */
    bool purged, kept;
} memories[] = {
    {"none", 0, 0, false, true},
    {"its own", 0, 0, true, false},
    {"its own before it began", 0, 0, false, true},
    {"others only", 5, 5, false, true},
    {"its own among others", 5, 5, true, false},
    {"all places but one taken by others", 0, EDGE_TAG_PURGES - 1, false, true},
    {"its own is the oldest known", 0, EDGE_TAG_PURGES - 1, true, false},
    {"its own is forgotten", 0, EDGE_TAG_PURGES, true, false},
    {"so many that one may be forgotten", 0, EDGE_TAG_PURGES, false, false},
    {"that many, but before", EDGE_TAG_PURGES + 5, 3, false, true},
    {"the places go round", EDGE_TAG_PURGES - 2, 5, true, false},
    {"many times round", 3 * EDGE_TAG_PURGES - 2, 5, false, true},
};

static void purge_others(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ck_assert_uint_eq(purge("another"), 0);
    }
}

START_TEST(purges_are_remembered)
{
    struct edge_entry *e = edge_cache_enter(cache, CDN_STR(KEY));
    purge("red");
    purge_others(memories[_i].before);
    const uint64_t began = edge_cache_purge_number(cache);
    if (memories[_i].purged) {
        purge("red");
    }
    purge_others(memories[_i].after);
    const bool kept = publish_at(cache, KEY, rep_for("", 200, "Surrogate-Key: blue red"), 10, began) != NULL;
    ck_assert_msg(kept == memories[_i].kept, "%s", memories[_i].what);
    edge_cache_leave(cache, e);
}
END_TEST

/* Other kinds of purges between do not make a purge by tag older or younger. */
START_TEST(numbers_are_shared)
{
    struct edge_entry *e = edge_cache_enter(cache, CDN_STR(KEY));
    purge("red");
    edge_cache_purge_key(cache, CDN_STR(KEY "/2"), false, CACHE_NOW_MS);
    const uint64_t began = edge_cache_purge_number(cache);
    ck_assert_ptr_nonnull(publish_at(cache, KEY, rep_for("", 200, "Surrogate-Key: red"), 10, began));
    edge_cache_purge_key(cache, CDN_STR(KEY "/2"), false, CACHE_NOW_MS);
    ck_assert_ptr_nonnull(publish_at(cache, KEY, rep_for("", 200, "Surrogate-Key: red"), 10, began));
    ck_assert_ptr_null(publish_at(cache, KEY, rep_for("", 200, "Surrogate-Key: red"), 10, began - 2));
    ck_assert_ptr_nonnull(publish_at(cache, KEY, rep_for("", 200, "Surrogate-Key: red"), 10, began - 1));
    edge_cache_leave(cache, e);
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, tags_are_found, 0, CDN_ARRAY_LEN(spellings));
    tcase_add_loop_test(tc, groups_are_found, 0, CDN_ARRAY_LEN(groups));
    tcase_add_test(tc, a_tag_twice_is_once);
    tcase_add_test(tc, tags_of_one_object_are_bounded);
    tcase_add_test(tc, a_purge_finds_its_own);
    tcase_add_test(tc, tags_are_of_objects_not_of_keys);
    tcase_add_test(tc, tags_go_with_what_carries_them);
    tcase_add_loop_test(tc, purges_are_remembered, 0, CDN_ARRAY_LEN(memories));
    tcase_add_test(tc, numbers_are_shared);
}

int main(void)
{
    return run_case("cache_tags", add);
}
