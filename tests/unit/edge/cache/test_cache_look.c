/* What of the stored answers a request selects, which the origin is asked about, and what is told beside. */
#include "common/mem.h"
#include "common/str.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/semantics/storable.h"
#include "edge/semantics/vary.h"
#include "tests/unit/edge/cache_fixture.h"
#include "tests/unit/edge/head_of.h"

#include <check.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

#define KEY "http://h/a"
#define MEMORY ((uint64_t)1 << 20)
#define DE "Accept-Language: de"
#define EN "Accept-Language: en"
#define GZIP "Accept-Encoding: gzip"

struct came { /* one stored answer: who asked, what came */
    const char *request, *fields;
};

static const struct {
    const char *what;
    struct came stored[3]; /* the oldest first */
    const char *request;
    const char *etag; /* "-": nothing */
    bool others;
} selections[] = {
    {"nothing", {{0}}, "", "-", false},
    {"one for all", {{"", "ETag: 1"}}, "Accept-Language: fr\nCookie: a=b", "1", false},
    {"the newer replaces", {{"", "ETag: 1"}, {"", "ETag: 2"}}, "", "2", false},
    {"the same", {{DE, "ETag: 1\nVary: Accept-Language"}}, DE, "1", false},
    {"another spelling", {{DE, "ETag: 1\nVary: Accept-Language"}}, "accept-language:  DE;q=1.0", "1", false},
    {"spelled Vary", {{DE, "ETag: 1\nVary: ACCEPT-language , accept-Language"}}, DE, "1", false},
    {"another language", {{DE, "ETag: 1\nVary: Accept-Language"}}, EN, "-", true},
    {"absent is not empty", {{"X-A:", "ETag: 1\nVary: X-A"}}, "", "-", true},
    {"absent is absent", {{"X-B: 1", "ETag: 1\nVary: X-A"}}, "X-B: 2", "1", false},
    {"lines are joined", {{"X-A: 1\nX-A: 2", "ETag: 1\nVary: X-A"}}, "X-A: 1 ,2", "1", false},
    {"their order counts", {{"X-A: 1, 2", "ETag: 1\nVary: X-A"}}, "X-A: 2, 1", "-", true},
    {"both fields", {{"X-A: 1\nX-B: 2", "ETag: 1\nVary: X-B, X-A"}}, "X-B: 2\nX-A: 1", "1", false},
    {"one of two", {{"X-A: 1\nX-B: 2", "ETag: 1\nVary: X-B, X-A"}}, "X-A: 1\nX-B: 3", "-", true},
    {"swapped", {{"X-A: 1\nX-B: 2", "ETag: 1\nVary: X-B, X-A"}}, "X-A: 2\nX-B: 1", "-", true},
    {"of two variants",
     {{DE, "ETag: 1\nVary: Accept-Language"}, {EN, "ETag: 2\nVary: Accept-Language"}},
     DE,
     "1",
     true},
    {"of two that suit the newer",
     {{DE, "ETag: 1\nVary: Accept-Language"}, {DE, "ETag: 2\nVary: X-A"}},
     DE,
     "2",
     false},
    {"and the other way",
     {{DE, "ETag: 2\nVary: X-A"}, {DE, "ETag: 1\nVary: Accept-Language"}},
     DE,
     "1",
     false},
    {"without Vary beside one with",
     {{"", "ETag: 1"}, {DE, "ETag: 2\nVary: Accept-Language"}},
     EN,
     "1",
     true},
    /* a language that another request brought */
    {"the best language is there",
     {{"Accept-Language: de, en;q=0.5", "ETag: 1\nVary: Accept-Language\nContent-Language: de"}},
     "Accept-Language: de, fr;q=0.2",
     "1",
     true},
    {"case of a language",
     {{"Accept-Language: de, en;q=0.5", "ETag: 1\nVary: Accept-Language\nContent-Language: DE-at"}},
     "Accept-Language: de-AT",
     "1",
     true},
    {"only the second best",
     {{"Accept-Language: de, en;q=0.5", "ETag: 1\nVary: Accept-Language\nContent-Language: en"}},
     "Accept-Language: de, en;q=0.4",
     "-",
     true},
    {"two are wanted alike",
     {{"Accept-Language: de", "ETag: 1\nVary: Accept-Language\nContent-Language: de"}},
     "Accept-Language: de, en",
     "-",
     true},
    {"no language said",
     {{DE, "ETag: 1\nVary: Accept-Language"}},
     "Accept-Language: de, fr;q=0.2",
     "-",
     true},
    {"no language asked for", {{DE, "ETag: 1\nVary: Accept-Language\nContent-Language: de"}}, "", "-", true},
    {"the language, but another field",
     {{DE "\nX-A: 1", "ETag: 1\nVary: Accept-Language, X-A\nContent-Language: de"}},
     "Accept-Language: de, fr;q=0.2\nX-A: 2",
     "-",
     true},
    {"what matches exactly goes before",
     {{"Accept-Language: de, fr;q=0.2", "ETag: 1\nVary: Accept-Language\nContent-Language: fr"},
      {DE, "ETag: 2\nVary: Accept-Language\nContent-Language: de"}},
     "Accept-Language: de, fr;q=0.2",
     "1",
     true},
    {"the language, but a coding that is not accepted",
     {{DE "\n" GZIP, "ETag: 1\nVary: Accept-Language\nContent-Language: de\nContent-Encoding: gzip"}},
     "Accept-Language: de, fr;q=0.2",
     "-",
     true},
    /* codings, also where the origin forgot Vary */
    {"coded, accepted", {{GZIP, "ETag: 1\nContent-Encoding: gzip"}}, "Accept-Encoding: br, gzip", "1", false},
    {"coded, not asked for", {{GZIP, "ETag: 1\nContent-Encoding: gzip"}}, "", "-", true},
    {"coded, refused",
     {{GZIP, "ETag: 1\nContent-Encoding: gzip"}},
     "Accept-Encoding: gzip;q=0, br",
     "-",
     true},
    {"coded, anything goes", {{GZIP, "ETag: 1\nContent-Encoding: gzip"}}, "Accept-Encoding: *", "1", false},
    {"its old name", {{GZIP, "ETag: 1\nContent-Encoding: x-gzip"}}, GZIP, "1", false},
    {"coded twice, one is refused", {{GZIP, "ETag: 1\nContent-Encoding: br, gzip"}}, GZIP, "-", true},
    {"identity for all", {{"", "ETag: 1\nContent-Encoding: identity"}}, "", "1", false},
    {"a coding nobody knows", {{"Accept-Encoding: zap", "ETag: 1\nContent-Encoding: zap"}}, GZIP, "-", true},
    {"the same, named",
     {{"Accept-Encoding: zap", "ETag: 1\nContent-Encoding: zap"}},
     "Accept-Encoding: ZAP",
     "1",
     false},
    {"varies with the coding",
     {{GZIP, "ETag: 1\nVary: Accept-Encoding\nContent-Encoding: gzip"},
      {"", "ETag: 2\nVary: Accept-Encoding"}},
     "Accept-Encoding: gzip;q=1",
     "1",
     true},
    {"and none",
     {{GZIP, "ETag: 1\nVary: Accept-Encoding\nContent-Encoding: gzip"},
      {"", "ETag: 2\nVary: Accept-Encoding"}},
     "",
     "2",
     false},
};

static struct edge_cache *cache;

static void set_up(void)
{
    cache = make_cache(MEMORY, "lru");
}

static void tear_down(void)
{
    edge_cache_destroy(cache);
}

static void look(const char *request, struct edge_entry **e, struct edge_stored *ret)
{
    struct asked a;
    edge_cache_look(cache, CDN_STR(KEY), e, ask(&a, request), CACHE_NOW_MS, ret);
}

static void drop(struct edge_entry *e, struct edge_stored *stored)
{
    edge_cache_release(cache, &stored->hold);
    edge_rep_unref(stored->newest);
    edge_cache_leave(cache, e);
}

START_TEST(selects)
{
    struct edge_entry *e = NULL;
    struct edge_stored stored;
    for (unsigned i = 0; i < 3 && selections[_i].stored[i].fields; i++) {
        const struct came *s = &selections[_i].stored[i];
        ck_assert(publish(cache, KEY, s->request, s->fields, 10));
    }
    look(selections[_i].request, &e, &stored);
    const struct cdn_str etag =
        stored.hold.object ? edge_head_get(stored.hold.rep->head, EDGE_HEAD_ETAG) : CDN_STR("-");
    ck_assert_msg(cdn_str_eq(etag, cdn_str(selections[_i].etag)), "%s: %.*s", selections[_i].what,
                  (int)etag.n, etag.p);
    ck_assert_msg(stored.others == selections[_i].others, "%s: others", selections[_i].what);
    ck_assert(!stored.asleep);
    if (!stored.hold.object) {
        ck_assert_int_eq(stored.missing, EDGE_CAUSE_COLD);
    }
    drop(e, &stored);
}
END_TEST

/* The only form that the origin has is taken though the request refuses its coding. */
START_TEST(the_only_form_is_for_all)
{
    char etag[64];
    struct edge_rep *rep = rep_for(GZIP, 200, "ETag: 1\nContent-Encoding: gzip");
    struct asked a;
    rep->fresh.despite = edge_vary_despite(rep->head, ask(&a, "Accept-Encoding: gzip;q=0"));
    ck_assert(publish_at(cache, KEY, rep, 10, 0));
    ck_assert_str_eq(selected(cache, KEY, "Accept-Encoding: gzip;q=0", etag), "1");
}
END_TEST

/* The newest is told whoever it is for, for the Vary in use now. */
START_TEST(the_newest_is_told)
{
    struct edge_entry *e = NULL;
    struct edge_stored stored;
    look("", &e, &stored);
    ck_assert_ptr_null(stored.newest);
    drop(e, &stored);
    e = NULL;
    publish(cache, KEY, DE, "ETag: 1\nVary: Accept-Language", 10);
    publish(cache, KEY, EN, "ETag: 2\nVary: Accept-Language", 10);
    look(DE, &e, &stored);
    ck_assert_str_eq(edge_head_get(stored.hold.rep->head, EDGE_HEAD_ETAG).p, "1");
    ck_assert_str_eq(edge_head_get(stored.newest->head, EDGE_HEAD_ETAG).p, "2");
    drop(e, &stored);
}
END_TEST

/* What was found stays as it was, whatever happens to the key. */
START_TEST(what_is_held_stays)
{
    struct edge_entry *e = NULL;
    struct edge_stored stored;
    publish(cache, KEY, "", "ETag: 1", 10);
    look("", &e, &stored);
    publish(cache, KEY, "", "ETag: 2", 20);
    ck_assert_uint_eq(edge_cache_purge_all(cache, false, CACHE_NOW_MS), 1);
    ck_assert_str_eq(edge_head_get(stored.hold.rep->head, EDGE_HEAD_ETAG).p, "1");
    ck_assert_uint_eq(edge_hold_length(&stored.hold), 10);
    ck_assert_uint_eq(stored.hold.ram->blob->n, 10);
    ck_assert_int_eq(stored.hold.ram->blob->data[9], 'x');
    drop(e, &stored);
}
END_TEST

/* ---- the moment ---- */

static struct edge_moment moment_now(struct edge_entry *e)
{
    struct edge_stored stored;
    look("", &e, &stored);
    edge_cache_release(cache, &stored.hold);
    edge_rep_unref(stored.newest);
    return stored.moment;
}

enum change {
    NOTHING,
    PUBLISHED,
    REFRESHED,
    PUBLISHED_ELSEWHERE,
    PURGED,
    PURGED_ELSEWHERE,
    PURGED_TAG,
    NOTED
};

static const struct {
    const char *what;
    enum change change;
    bool published, purged; /* which of the numbers differs then */
} moments[] = {
    {"nothing", NOTHING, false, false},
    {"published", PUBLISHED, true, false},
    {"refreshed", REFRESHED, true, false},
    {"published under another key", PUBLISHED_ELSEWHERE, false, false},
    {"purged", PURGED, false, true},
    {"another key purged", PURGED_ELSEWHERE, false, true},
    {"a tag purged that nobody has", PURGED_TAG, false, true},
    {"not storable", NOTED, false, false},
};

static void make(enum change change, struct edge_entry *e)
{
    switch (change) {
    case NOTHING:
        return;
    case PUBLISHED:
        publish(cache, KEY, DE, "ETag: 2\nVary: Accept-Language", 10);
        return;
    case REFRESHED:
        ck_assert(edge_cache_refresh(cache, e->objects, rep_for("", 200, "ETag: 1"),
                                     edge_cache_purge_number(cache)));
        return;
    case PUBLISHED_ELSEWHERE:
        publish(cache, KEY "/b", "", "ETag: 2", 10);
        return;
    case PURGED:
        edge_cache_purge_key(cache, CDN_STR(KEY), true, CACHE_NOW_MS);
        return;
    case PURGED_ELSEWHERE:
        edge_cache_purge_key(cache, CDN_STR(KEY "/c"), false, CACHE_NOW_MS);
        return;
    case PURGED_TAG:
        edge_cache_purge_tag(cache, CDN_STR("none"), false, CACHE_NOW_MS);
        return;
    case NOTED:
        edge_cache_note_unstorable(cache, e, EDGE_STORE_NO_STORE, CACHE_NOW_MS);
        return;
    }
}

START_TEST(moments_tell_changes)
{
    publish(cache, KEY, "", "ETag: 1", 10);
    struct edge_entry *e = edge_cache_enter(cache, CDN_STR(KEY));
    const struct edge_moment before = moment_now(e);
    make(moments[_i].change, e);
    const struct edge_moment after = moment_now(e);
    ck_assert_msg((after.published != before.published) == moments[_i].published, "%s", moments[_i].what);
    ck_assert_msg((after.purge_number > before.purge_number) == moments[_i].purged, "%s", moments[_i].what);
    edge_cache_leave(cache, e);
}
END_TEST

/* ---- parts ---- */

static void publish_part(const char *request, const char *fields, uint64_t first, size_t n)
{
    struct edge_rep *rep = rep_for(request, 206, fields);
    rep->first = first;
    rep->whole = 1000;
    ck_assert(publish_at(cache, KEY, rep, n, edge_cache_purge_number(cache)));
}

static const struct {
    const char *what;
    uint64_t at;
    const char *request;
    const char *like; /* fields of a head to combine with; NULL: any */
    int64_t first;    /* of the part; -1: none */
} part_rows[] = {
    {"before the first", 99, "", NULL, -1},
    {"its first byte", 100, "", NULL, 100},
    {"its last byte", 199, "", NULL, 100},
    {"behind it", 200, "", NULL, -1},
    {"another", 300, "", NULL, 300},
    {"the last byte of all", 999, "", NULL, 900},
    {"beyond", 1000, "", NULL, -1},
    {"any: the newest", UINT64_MAX, "", NULL, 900},
    {"the same version", 150, "", "ETag: \"1\"", 100},
    {"another version", 150, "", "ETag: \"2\"", -1},
    {"a weak tag", 150, "", "ETag: W/\"1\"", -1},
    {"no tag", 150, "", "", -1},
    {"any of the version", UINT64_MAX, "", "ETag: \"1\"", 900},
    {"of a variant", 500, DE, NULL, 500},
    {"of another variant", 500, EN, NULL, -1},
};

START_TEST(selects_parts)
{
    struct asked a;
    struct edge_hold hold = {0};
    publish_part(DE, "ETag: \"1\"\nVary: Accept-Language", 500, 100);
    publish_part("", "ETag: \"1\"", 100, 100);
    publish_part("", "ETag: \"1\"", 300, 100);
    publish_part("", "ETag: \"1\"", 900, 100);
    struct edge_entry *e = edge_cache_enter(cache, CDN_STR(KEY));
    struct edge_head *like = part_rows[_i].like ? head_of(206, part_rows[_i].like) : NULL;
    const bool found =
        edge_cache_select_part(cache, e, ask(&a, part_rows[_i].request), part_rows[_i].at, like, &hold, NULL);
    ck_assert_msg((found ? (int64_t)hold.rep->first : -1) == part_rows[_i].first, "%s", part_rows[_i].what);
    edge_cache_release(cache, &hold);
    edge_head_destroy(like);
    edge_cache_leave(cache, e);
}
END_TEST

/* A part is no answer, and no other variant either. */
START_TEST(parts_are_not_the_whole)
{
    char etag[64];
    struct asked a;
    struct edge_entry *e = NULL;
    struct edge_stored stored;
    struct edge_hold hold = {0};
    publish_part("", "ETag: \"1\"", 0, 500);
    look("", &e, &stored);
    ck_assert(!stored.hold.object && !stored.others);
    ck_assert(stored.newest && stored.newest->whole == 1000);
    drop(e, &stored);
    publish_part("Accept-Language: de, en", "ETag: \"2\"\nVary: Accept-Language\nContent-Language: de", 0, 9);
    publish(cache, KEY, EN, "ETag: \"3\"\nVary: Accept-Language", 10);
    ck_assert_str_eq(selected(cache, KEY, DE, etag), "-"); /* not by its language either */
    publish(cache, KEY, "", "ETag: \"1\"", 1000);          /* with the whole there, its parts go */
    ck_assert_str_eq(selected(cache, KEY, "", etag), "\"1\"");
    e = edge_cache_enter(cache, CDN_STR(KEY));
    ck_assert(!edge_cache_select_part(cache, e, ask(&a, ""), UINT64_MAX, NULL, &hold, NULL));
    edge_cache_leave(cache, e);
}
END_TEST

/* ---- candidates ---- */

static const struct {
    const char *what;
    struct came stored[3];
    const char *request;
    unsigned max;
    const char *etags; /* in order */
} candidate_rows[] = {
    {"nothing", {{0}}, "", 8, ""},
    {"the selected first",
     {{DE, "ETag: 1\nVary: Accept-Language"}, {EN, "ETag: 2\nVary: Accept-Language"}},
     DE,
     8,
     "1 2"},
    {"the selected, without a tag",
     {{"", "Last-Modified: "
           "Tue, 14 Nov 2023 22:13:20 GMT"}},
     "",
     8,
     "?"},
    {"others without a tag do not count", {{DE, "Vary: Accept-Language"}}, EN, 8, ""},
    {"none is selected, newest first",
     {{DE, "ETag: 1\nVary: Accept-Language"}, {EN, "ETag: 2\nVary: Accept-Language"}},
     "",
     8,
     "2 1"},
    {"as many as wanted",
     {{DE, "ETag: 1\nVary: Accept-Language"},
      {EN, "ETag: 2\nVary: Accept-Language"},
      {"Accept-Language: fr", "ETag: 3\nVary: Accept-Language"}},
     DE,
     2,
     "1 3"},
    {"a coding that is not accepted",
     {{GZIP "\n" DE, "ETag: 1\nVary: Accept-Language\nContent-Encoding: gzip"}},
     EN,
     8,
     ""},
    {"negotiated by another Accept-Encoding",
     {{GZIP, "ETag: 1\nVary: Accept-Encoding\nContent-Encoding: gzip"}},
     "Accept-Encoding: gzip, br",
     8,
     ""},
    {"the same Accept-Encoding, another language",
     {{GZIP "\n" DE, "ETag: 1\nVary: Accept-Encoding, Accept-Language\nContent-Encoding: gzip"}},
     GZIP "\n" EN,
     8,
     "1"},
};

START_TEST(candidates)
{
    struct asked a;
    struct edge_entry *e = NULL;
    struct edge_stored stored;
    struct edge_hold hold[8];
    CDN_AUTOBUF struct cdn_buf got = {0};
    for (unsigned i = 0; i < 3 && candidate_rows[_i].stored[i].fields; i++) {
        const struct came *s = &candidate_rows[_i].stored[i];
        ck_assert(publish(cache, KEY, s->request, s->fields, 10));
    }
    look(candidate_rows[_i].request, &e, &stored);
    const unsigned count = edge_cache_candidates(cache, e, &stored.hold, ask(&a, candidate_rows[_i].request),
                                                 hold, candidate_rows[_i].max);
    for (unsigned i = 0; i < count; i++) {
        const struct cdn_str etag = edge_head_get(hold[i].rep->head, EDGE_HEAD_ETAG);
        cdn_buf_printf(&got, "%s%s", i ? " " : "", etag.p ? etag.p : "?");
        edge_cache_release(cache, &hold[i]);
    }
    ck_assert_msg(cdn_str_eq(cdn_buf_str(&got), cdn_str(candidate_rows[_i].etags)), "%s: %s",
                  candidate_rows[_i].what, got.p ? got.p : "");
    drop(e, &stored);
}
END_TEST

/* A part is never confirmed in place of the whole. */
START_TEST(parts_are_no_candidates)
{
    struct asked a;
    struct edge_hold hold[8];
    const struct edge_hold nothing = {0};
    publish_part(DE, "ETag: \"1\"\nVary: Accept-Language", 0, 100);
    struct edge_entry *e = edge_cache_enter(cache, CDN_STR(KEY));
    ck_assert_uint_eq(edge_cache_candidates(cache, e, &nothing, ask(&a, EN), hold, 8), 0);
    edge_cache_leave(cache, e);
}
END_TEST

/* All that /why tells of a key. */
START_TEST(stories)
{
    struct edge_story story;
    edge_cache_story(cache, CDN_STR(KEY), CACHE_NOW_MS, &story);
    ck_assert_uint_eq(story.count, 0);
    ck_assert(story.missing == EDGE_CAUSE_COLD && !story.unstorable && story.whole == EDGE_WHOLE_UNKNOWN);
    edge_cache_note_unstorable(cache, story.entry, EDGE_STORE_NO_STORE, CACHE_NOW_MS);
    edge_cache_note_whole(cache, story.entry, false, CACHE_NOW_MS);
    edge_story_free(cache, &story);
    edge_cache_story(cache, CDN_STR(KEY), CACHE_NOW_MS + EDGE_PASS_S * 1000, &story);
    ck_assert(story.unstorable && story.why == EDGE_STORE_NO_STORE && !story.parallel);
    ck_assert_int_eq(story.whole, EDGE_WHOLE_NOT_KEEPABLE);
    edge_story_free(cache, &story);
    publish(cache, KEY, DE, "ETag: 1\nVary: Accept-Language", 10);
    publish(cache, KEY, EN, "ETag: 2\nVary: Accept-Language", 10);
    edge_cache_story(cache, CDN_STR(KEY), CACHE_NOW_MS, &story);
    ck_assert_uint_eq(story.count, 2);
    ck_assert_uint_eq(json_array_size(story.about), 2);
    ck_assert_str_eq(edge_head_get(story.rep[0]->head, EDGE_HEAD_ETAG).p, "2");
    ck_assert(!story.unstorable); /* it was stored since */
    edge_story_free(cache, &story);
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, selects, 0, CDN_ARRAY_LEN(selections));
    tcase_add_test(tc, the_only_form_is_for_all);
    tcase_add_test(tc, the_newest_is_told);
    tcase_add_test(tc, what_is_held_stays);
    tcase_add_loop_test(tc, moments_tell_changes, 0, CDN_ARRAY_LEN(moments));
    tcase_add_loop_test(tc, selects_parts, 0, CDN_ARRAY_LEN(part_rows));
    tcase_add_test(tc, parts_are_not_the_whole);
    tcase_add_loop_test(tc, candidates, 0, CDN_ARRAY_LEN(candidate_rows));
    tcase_add_test(tc, parts_are_no_candidates);
    tcase_add_test(tc, stories);
}

int main(void)
{
    return run_case("cache_look", add);
}
