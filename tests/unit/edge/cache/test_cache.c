/* What a publication replaces, which purges a running fetch must not undo, and how long entries live. */
#include "common/mem.h"
#include "common/str.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/object.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "tests/unit/edge/cache_fixture.h"

#include <check.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/banned.h"

#define KEY "http://h/a/b"
#define MEMORY ((uint64_t)1 << 20)
#define DE "Accept-Language: de"
#define EN "Accept-Language: en"
#define VARIES "\nVary: Accept-Language"
#define WHOLE (-1)

static struct edge_cache *cache;

static void set_up(void)
{
    cache = make_cache(MEMORY, "lru");
}

static void tear_down(void)
{
    edge_cache_destroy(cache);
}

/* ---- what a publication replaces ---- */

struct came {
    const char *request, *fields;
    int64_t first; /* of a part of 1000 bytes; WHOLE */
};

static const struct {
    const char *what;
    struct came came[6]; /* in this order */
    const char *left;    /* their numbers, the newest first */
} rows[] = {
    {"once", {{"", "", WHOLE}}, "0"},
    {"the same again", {{"", "", WHOLE}, {"", "", WHOLE}}, "1"},
    {"another variant", {{DE, VARIES, WHOLE}, {EN, VARIES, WHOLE}}, "1 0"},
    {"one variant of two", {{DE, VARIES, WHOLE}, {EN, VARIES, WHOLE}, {DE, VARIES, WHOLE}}, "2 1"},
    {"a variant in another spelling",
     {{"Accept-Language: de;q=1", VARIES, WHOLE}, {"accept-language: DE", "\nVary: accept-language", WHOLE}},
     "1"},
    {"other fields in Vary", {{DE, VARIES, WHOLE}, {DE, "\nVary: X-A", WHOLE}}, "1 0"},
    {"Vary was given up", {{DE, VARIES, WHOLE}, {DE, "", WHOLE}}, "1 0"},
    {"as many as allowed",
     {{"X: 1", "\nVary: X", WHOLE},
      {"X: 2", "\nVary: X", WHOLE},
      {"X: 3", "\nVary: X", WHOLE},
      {"X: 4", "\nVary: X", WHOLE}},
     "3 2 1 0"},
    {"one more: the oldest goes",
     {{"X: 1", "\nVary: X", WHOLE},
      {"X: 2", "\nVary: X", WHOLE},
      {"X: 3", "\nVary: X", WHOLE},
      {"X: 4", "\nVary: X", WHOLE},
      {"X: 5", "\nVary: X", WHOLE}},
     "4 3 2 1"},
    {"the oldest is published again",
     {{"X: 1", "\nVary: X", WHOLE},
      {"X: 2", "\nVary: X", WHOLE},
      {"X: 3", "\nVary: X", WHOLE},
      {"X: 4", "\nVary: X", WHOLE},
      {"X: 1", "\nVary: X", WHOLE}},
     "4 3 2 1"},
    {"parts of one version", {{"", "ETag: \"1\"", 0}, {"", "ETag: \"1\"", 100}}, "1 0"},
    {"the same part", {{"", "ETag: \"1\"", 0}, {"", "ETag: \"1\"", 0}}, "1"},
    {"a part of another version",
     {{"", "ETag: \"1\"", 0}, {"", "ETag: \"1\"", 100}, {"", "ETag: \"2\"", 200}},
     "2"},
    {"parts with weak tags may be of other versions",
     {{"", "ETag: W/\"1\"", 0}, {"", "ETag: W/\"1\"", 100}},
     "1"},
    {"parts without a tag", {{"", "", 0}, {"", "", 100}}, "1"},
    {"parts of several variants",
     {{DE, "ETag: \"1\"" VARIES, 0}, {EN, "ETag: \"2\"" VARIES, 0}, {DE, "ETag: \"1\"" VARIES, 100}},
     "2 1 0"},
    {"parts become the whole",
     {{"", "ETag: \"1\"", 0}, {"", "ETag: \"1\"", 100}, {"", "ETag: \"1\"", WHOLE}},
     "2"},
    {"the whole of another version", {{"", "ETag: \"1\"", 0}, {"", "ETag: \"2\"", WHOLE}}, "1"},
    {"the whole of another variant",
     {{DE, "ETag: \"1\"" VARIES, 0}, {EN, "ETag: \"1\"" VARIES, WHOLE}},
     "1 0"},
    {"a part beside its whole", {{"", "ETag: \"1\"", WHOLE}, {"", "ETag: \"1\"", 0}}, "1 0"},
    {"a part of a newer version than the whole", {{"", "ETag: \"1\"", WHOLE}, {"", "ETag: \"2\"", 0}}, "1"},
    {"parts are not counted as variants",
     {{"X: 1", "\nVary: X", WHOLE},
      {"X: 2", "\nVary: X", WHOLE},
      {"X: 3", "\nVary: X", WHOLE},
      {"X: 4", "ETag: \"4\"\nVary: X", 0},
      {"X: 4", "ETag: \"4\"\nVary: X", 100},
      {"X: 5", "ETag: \"5\"\nVary: X", 0}},
     "5 4 3 2 1 0"},
};

static void publish_came(const struct came *c, unsigned number)
{
    CDN_AUTOFREE char *fields = cdn_asprintf("X-Number: %u\n%s", number, c->fields);
    struct edge_rep *rep = rep_for(c->request, c->first == WHOLE ? 200 : 206, fields);
    if (c->first != WHOLE) {
        rep->first = (uint64_t)c->first;
        rep->whole = 1000;
    }
    ck_assert(publish_at(cache, KEY, rep, 10, edge_cache_purge_number(cache)));
}

START_TEST(publications_replace)
{
    CDN_AUTOBUF struct cdn_buf left = {0};
    for (unsigned i = 0; i < 6 && rows[_i].came[i].fields; i++) {
        publish_came(&rows[_i].came[i], i);
    }
    struct edge_entry *e = edge_cache_enter(cache, CDN_STR(KEY));
    for (struct edge_object *o = e->objects; o; o = o->next) {
        struct cdn_str number;
        ck_assert(edge_head_get_named(atomic_load(&o->rep)->head, CDN_STR("X-Number"), &number));
        cdn_buf_printf(&left, "%s%s", left.n ? " " : "", number.p);
    }
    edge_cache_leave(cache, e);
    ck_assert_msg(cdn_str_eq(cdn_buf_str(&left), cdn_str(rows[_i].left)), "%s: %s", rows[_i].what, left.p);
}
END_TEST

/* ---- purges while a fetch runs ---- */

enum by { NONE, BY_KEY, BY_PREFIX, BY_TAG, BY_ALL };

static const struct {
    const char *what;
    enum by by;
    const char *text;
    bool kept; /* what a fetch brings that began before */
} purges[] = {
    {"none", NONE, "", true},
    {"its key", BY_KEY, KEY, false},
    {"another key", BY_KEY, KEY "/c", true},
    {"a key that it begins with", BY_KEY, "http://h/a", true},
    {"its prefix", BY_PREFIX, "http://h/a/", false},
    {"all of it as prefix", BY_PREFIX, KEY, false},
    {"a longer prefix", BY_PREFIX, KEY "/", true},
    {"another prefix", BY_PREFIX, "http://h/b", true},
    {"everything", BY_ALL, "", false},
    {"its tag", BY_TAG, "red", false},
    {"its other tag", BY_TAG, "blue", false},
    {"another tag", BY_TAG, "green", true},
    {"a tag in other letters", BY_TAG, "RED", true},
};

static uint64_t purge(enum by by, const char *text, bool soft)
{
    switch (by) {
    case NONE:
        return 0;
    case BY_KEY:
        return edge_cache_purge_key(cache, cdn_str(text), soft, CACHE_NOW_MS);
    case BY_PREFIX:
        return edge_cache_purge_prefix(cache, cdn_str(text), soft, CACHE_NOW_MS);
    case BY_TAG:
        return edge_cache_purge_tag(cache, cdn_str(text), soft, CACHE_NOW_MS);
    case BY_ALL:
        break;
    }
    return edge_cache_purge_all(cache, soft, CACHE_NOW_MS);
}

START_TEST(a_fetch_does_not_bring_back)
{
    for (unsigned soft = 0; soft < 2; soft++) {
        struct edge_entry *e = edge_cache_enter(cache, CDN_STR(KEY)); /* as a running fetch does */
        const uint64_t began = edge_cache_purge_number(cache);
        purge(purges[_i].by, purges[_i].text, soft != 0);
        const bool kept =
            publish_at(cache, KEY, rep_for("", 200, "Surrogate-Key: red blue"), 10, began) != NULL;
        ck_assert_msg(kept == purges[_i].kept, "%s, soft %u", purges[_i].what, soft);
        if (!kept) {
            ck_assert_int_eq(missing(cache, KEY), EDGE_CAUSE_PURGED);
        }
        ck_assert_ptr_nonnull(publish(cache, KEY, "", "Surrogate-Key: red blue", 10)); /* began after it */
        edge_cache_leave(cache, e);
    }
}
END_TEST

/* What is not kept is held for who waits for it, all the same. */
START_TEST(purged_answers_still_serve)
{
    struct edge_hold hold = {0};
    bool kept = true;
    struct edge_entry *e = edge_cache_enter(cache, CDN_STR(KEY));
    edge_cache_purge_key(cache, CDN_STR(KEY), false, CACHE_NOW_MS);
    edge_cache_publish(cache, e, 0, rep_for("", 200, "ETag: 1"), blob_of(10), NULL, 0, &hold, &kept);
    ck_assert(!kept && hold.object && hold.rep && !hold.ram);
    ck_assert_uint_eq(edge_hold_length(&hold), 10);
    ck_assert_ptr_null(e->objects);
    edge_cache_release(cache, &hold);
    edge_cache_leave(cache, e);
}
END_TEST

/* ---- refresh ---- */

START_TEST(a_confirmation_does_not_undo)
{
    for (unsigned held = 0; held < 2; held++) {
        struct edge_hold hold = {0};
        struct edge_entry *e = edge_cache_enter(cache, CDN_STR(KEY));
        struct edge_object *o = publish(cache, KEY, "", "Surrogate-Key: red blue\nETag: 1", 10);
        ck_assert(edge_cache_hold(cache, o, &hold));
        const uint64_t began = edge_cache_purge_number(cache);
        if (!held) { /* without a user the key does not remember: any purge may have been meant */
            edge_cache_leave(cache, e);
        }
        purge(purges[_i].by, purges[_i].text, true);
        const bool kept = edge_cache_refresh(cache, o, rep_for("", 200, "Surrogate-Key: red blue"), began);
        ck_assert_msg(kept == (purges[_i].kept && (held || purges[_i].by == NONE)), "%s, held %u",
                      purges[_i].what, held);
        ck_assert(edge_freshness_left(&atomic_load(&o->rep)->fresh, CACHE_NOW_MS) ==
                  (purges[_i].kept ? 60 : 0));
        if (held) {
            edge_cache_leave(cache, e);
        }
        edge_cache_release(cache, &hold);
        edge_cache_purge_all(cache, false, CACHE_NOW_MS);
    }
}
END_TEST

/* A 304 may bring other tags: then it is these that a purge must have left alone, too. */
static const struct {
    const char *what, *before, *after, *purged;
    bool kept;
} retags[] = {
    {"neither", "red", "blue", "green", true},
    {"the old tag", "red", "blue", "red", false},
    {"the new tag", "red", "blue", "blue", false},
    {"the first tag it ever has", "", "blue", "blue", false},
    {"one of several", "red", "a b blue", "blue", false},
    {"it loses all", "red", "", "blue", true},
};

START_TEST(confirmed_with_other_tags)
{
    struct edge_hold hold = {0};
    CDN_AUTOFREE char *before = cdn_asprintf("Surrogate-Key: %s", retags[_i].before);
    CDN_AUTOFREE char *after = cdn_asprintf("Cache-Tag: %s", retags[_i].after);
    for (char *at = after + strlen("Cache-Tag: "); *at; at++) {
        *at = *at == ' ' ? ',' : *at;
    }
    struct edge_entry *e = edge_cache_enter(cache, CDN_STR(KEY));
    ck_assert(edge_cache_hold(cache, publish(cache, KEY, "", before, 10), &hold));
    const uint64_t began = edge_cache_purge_number(cache);
    edge_cache_purge_tag(cache, cdn_str(retags[_i].purged), true, CACHE_NOW_MS);
    ck_assert_msg(edge_cache_refresh(cache, hold.object, rep_for("", 200, after), began) == retags[_i].kept,
                  "%s", retags[_i].what);
    if (retags[_i].kept) { /* from now on found by the new ones only */
        ck_assert_uint_eq(edge_cache_purge_tag(cache, cdn_str(retags[_i].before), false, CACHE_NOW_MS), 0);
        ck_assert_uint_eq(edge_cache_purge_tag(cache, CDN_STR("blue"), false, CACHE_NOW_MS),
                          *retags[_i].after != 0);
    }
    edge_cache_release(cache, &hold);
    edge_cache_leave(cache, e);
}
END_TEST

START_TEST(refresh_of_what_is_gone)
{
    struct edge_hold hold = {0};
    struct edge_entry *e = edge_cache_enter(cache, CDN_STR(KEY));
    ck_assert(edge_cache_hold(cache, publish(cache, KEY, "", "ETag: 1", 10), &hold));
    publish(cache, KEY, "", "ETag: 2", 10); /* another answer came meanwhile */
    const uint64_t changes = edge_cache_changes(cache);
    ck_assert(!edge_cache_refresh(cache, hold.object, rep_for("", 200, "ETag: 1"), 0));
    ck_assert_uint_eq(edge_cache_changes(cache), changes);
    ck_assert_str_eq(edge_head_get(atomic_load(&e->objects->rep)->head, EDGE_HEAD_ETAG).p, "2");
    edge_cache_release(cache, &hold);
    edge_cache_leave(cache, e);
}
END_TEST

/* Heads that grow with their confirmations stay within the bound. */
START_TEST(refreshes_keep_the_bound)
{
    CDN_AUTOFREE char *padding = cdn_calloc(1, 4001);
    memset(padding, 'p', 4000);
    CDN_AUTOFREE char *large = cdn_asprintf("X-Padding: %s", padding);
    struct edge_object *o[100];
    struct edge_hold hold[100] = {0};
    struct edge_cache_stats stats;
    edge_cache_destroy(cache);
    cache = make_cache(100 * 1000, "lru");
    for (unsigned i = 0; i < 100; i++) {
        CDN_AUTOFREE char *key = cdn_asprintf(KEY "%u", i);
        o[i] = publish(cache, key, "", "", 100);
        ck_assert(edge_cache_hold(cache, o[i], &hold[i]));
    }
    for (unsigned i = 0; i < 100; i++) {
        (void)edge_cache_refresh(cache, o[i], rep_for("", 200, large), 0);
        edge_cache_stats(cache, &stats);
        ck_assert_uint_le(stats.memory_bytes, stats.memory_capacity);
    }
    ck_assert_uint_gt(stats.memory_evictions, 0);
    ck_assert_uint_gt(stats.memory_objects, 0);
    for (unsigned i = 0; i < 100; i++) {
        edge_cache_release(cache, &hold[i]);
    }
}
END_TEST

/* ---- what hot tables look at ---- */

static const struct {
    const char *what;
    enum by by;
    bool soft, changes;
} changing[] = {
    {"nothing", NONE, false, false},      {"a hard purge", BY_KEY, false, true},
    {"a soft purge", BY_KEY, true, true}, {"by tag", BY_TAG, false, true},
    {"by tag, soft", BY_TAG, true, true}, {"all", BY_ALL, false, true},
};

START_TEST(changes_are_counted)
{
    publish(cache, KEY, "", "Surrogate-Key: red", 10);
    const uint64_t before = edge_cache_changes(cache);
    purge(changing[_i].by, changing[_i].by == BY_TAG ? "red" : KEY, changing[_i].soft);
    ck_assert_msg((edge_cache_changes(cache) != before) == changing[_i].changes, "%s", changing[_i].what);
}
END_TEST

START_TEST(replacing_and_refreshing_are_changes)
{
    struct edge_object *o = publish(cache, KEY, "", "", 10);
    uint64_t before = edge_cache_changes(cache);
    ck_assert(edge_cache_refresh(cache, o, rep_for("", 200, ""), 0));
    ck_assert_uint_ne(edge_cache_changes(cache), before);
    before = edge_cache_changes(cache);
    publish(cache, KEY, "", "", 10);
    ck_assert_uint_ne(edge_cache_changes(cache), before);
}
END_TEST

/* ---- entries ---- */

/* An entry lives while it has objects or users; nothing is left behind. */
START_TEST(entries_go_with_their_last_user)
{
    struct edge_hold hold = {0};
    struct edge_cache_stats stats;
    struct edge_entry *e = edge_cache_enter(cache, CDN_STR(KEY));
    ck_assert_ptr_eq(edge_cache_enter(cache, CDN_STR(KEY)), e);
    ck_assert_ptr_eq(edge_cache_ref(cache, e), e);
    edge_cache_leave(cache, e);
    edge_cache_leave(cache, e);
    edge_cache_stats(cache, &stats);
    ck_assert_uint_eq(stats.entries, 1);
    ck_assert(edge_cache_hold(cache, publish(cache, KEY, "", "", 10), &hold));
    edge_cache_leave(cache, e);
    ck_assert(!edge_cache_entry_used(e)); /* its object keeps it */
    edge_cache_purge_key(cache, CDN_STR(KEY), false, CACHE_NOW_MS);
    ck_assert(edge_cache_entry_used(e)); /* by the object that went, and is held */
    edge_cache_stats(cache, &stats);
    ck_assert(stats.entries == 1 && stats.objects == 0);
    edge_cache_release(cache, &hold);
    edge_cache_stats(cache, &stats);
    ck_assert_uint_eq(stats.entries, 0);
}
END_TEST

/* Across the growth of the table, keys that differ in their ends, in case, in a NUL. */
START_TEST(many_keys_are_told_apart)
{
    enum { KEYS = 5000 };
    static struct edge_entry *entry[KEYS];
    struct edge_cache_stats stats;
    char text[32];
    for (unsigned i = 0; i < KEYS; i++) {
        const size_t n = (size_t)snprintf(text, sizeof(text), "http://h/%c%u", i % 2 ? 'a' : 'A', i / 2);
        text[n] = i % 3 ? '\0' : '/';
        entry[i] = edge_cache_enter(cache, (struct cdn_str){text, n + 1});
    }
    edge_cache_stats(cache, &stats);
    ck_assert_uint_eq(stats.entries, KEYS);
    for (unsigned i = 0; i < KEYS; i++) {
        const size_t n = (size_t)snprintf(text, sizeof(text), "http://h/%c%u", i % 2 ? 'a' : 'A', i / 2);
        text[n] = i % 3 ? '\0' : '/';
        ck_assert_ptr_eq(edge_cache_enter(cache, (struct cdn_str){text, n + 1}), entry[i]);
        edge_cache_leave(cache, entry[i]);
        edge_cache_leave(cache, entry[i]);
    }
    edge_cache_stats(cache, &stats);
    ck_assert_uint_eq(stats.entries, 0);
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, publications_replace, 0, CDN_ARRAY_LEN(rows));
    tcase_add_loop_test(tc, a_fetch_does_not_bring_back, 0, CDN_ARRAY_LEN(purges));
    tcase_add_test(tc, purged_answers_still_serve);
    tcase_add_loop_test(tc, a_confirmation_does_not_undo, 0, CDN_ARRAY_LEN(purges));
    tcase_add_loop_test(tc, confirmed_with_other_tags, 0, CDN_ARRAY_LEN(retags));
    tcase_add_test(tc, refresh_of_what_is_gone);
    tcase_add_test(tc, refreshes_keep_the_bound);
    tcase_add_loop_test(tc, changes_are_counted, 0, CDN_ARRAY_LEN(changing));
    tcase_add_test(tc, replacing_and_refreshing_are_changes);
    tcase_add_test(tc, entries_go_with_their_last_user);
    tcase_add_test(tc, many_keys_are_told_apart);
}

int main(void)
{
    return run_case("cache", add);
}
