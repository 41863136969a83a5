/* Who waits for whose request to the origin: found by what it asks for, at the right moment. */
#include "common/mem.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/cache/object.h"
#include "edge/fetch/fetch.h"
#include "edge/fetch/fetch_private.h"
#include "tests/unit/edge/cache_fixture.h"
#include "tests/unit/edge/fetch_fixture.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

/* ---- who joins whom, before there is an answer ---- */

struct asking {
    const char *request;
    const char *newest; /* what is stored already, in fields; NULL: nothing */
    struct edge_fetch_scope scope;
    bool sure;
    uint64_t at;
};
#define PART(first, last) .scope = {.ranged = true, .range_first = (first), .range_last = (last)}

static const struct {
    const char *what;
    struct asking first, second;
    bool joins;
} joins[] = {
    {"the same", {.request = ""}, {.request = ""}, true},
    {"other fields, nothing known of Vary", {.request = DE}, {.request = EN}, true},
    {"known not to vary", {.request = DE, .newest = ""}, {.request = EN, .newest = ""}, true},
    {"known to vary, the same",
     {.request = DE, .newest = "Vary: Accept-Language"},
     {.request = "accept-language:  DE;q=1.0"},
     true},
    {"known to vary, another", {.request = DE, .newest = "Vary: Accept-Language"}, {.request = EN}, false},
    {"known to vary, absent", {.request = "", .newest = "Vary: Accept-Language"}, {.request = DE}, false},
    {"only if it is being stored", {.request = ""}, {.request = "", .sure = true}, false},
    {"the first could not be stored before",
     {.request = "", .scope = {.parallel = true}},
     {.request = ""},
     false},
    {"the second alone would be parallel",
     {.request = ""},
     {.request = "", .scope = {.parallel = true}},
     true},
    {"the first is authorized", {.request = "", .scope = {.authorized = true}}, {.request = ""}, false},
    {"both are",
     {.request = "", .scope = {.authorized = true}},
     {.request = "", .scope = {.authorized = true}},
     false},
    {"the second is", {.request = ""}, {.request = "", .scope = {.authorized = true}}, true},
    {"authorized, but something is stored",
     {.request = "", .newest = "", .scope = {.authorized = true}},
     {.request = "", .newest = ""},
     true},
    {"authorized, stored, another variant",
     {.request = DE, .newest = "Vary: Accept-Language", .scope = {.authorized = true}},
     {.request = EN},
     false},
    {"a part for the whole", {.request = "", PART(0, 99)}, {.request = ""}, false},
    {"the whole for a part", {.request = ""}, {.request = "", PART(0, 99), .at = 0}, false},
    {"its first byte", {.request = "", PART(100, 199)}, {.request = "", PART(0, 0), .at = 100}, true},
    {"its last byte", {.request = "", PART(100, 199)}, {.request = "", PART(0, 0), .at = 199}, true},
    {"before it", {.request = "", PART(100, 199)}, {.request = "", PART(0, 0), .at = 99}, false},
    {"behind it", {.request = "", PART(100, 199)}, {.request = "", PART(0, 0), .at = 200}, false},
    {"a part of another variant",
     {.request = DE, .newest = "Vary: Accept-Language", PART(100, 199)},
     {.request = EN, PART(0, 0), .at = 150},
     false},
    {"a part of one that could not be stored",
     {.request = "", .scope = {.ranged = true, .range_first = 0, .range_last = 9, .parallel = true}},
     {.request = "", PART(0, 0), .at = 5},
     false},
};

static bool ask_for(struct waiting *w, unsigned worker, const struct asking *a)
{
    wait_for(w, worker, a->request);
    struct edge_rep *newest = a->newest ? rep_for("", 200, a->newest) : NULL;
    struct edge_fetch_wish wish = wish_of(w);
    wish.newest = newest;
    wish.scope = a->scope;
    wish.sure = a->sure;
    wish.at = a->at;
    const bool made = join_or_make(w, &wish);
    edge_rep_unref(newest);
    ck_assert_ptr_nonnull(w->fetch);
    return made;
}

START_TEST(who_joins_whom)
{
    struct waiting a, b;
    ck_assert(ask_for(&a, 0, &joins[_i].first));
    ck_assert(edge_fetch_is_running(entry));
    const bool made = ask_for(&b, 1, &joins[_i].second);
    ck_assert_msg(made != joins[_i].joins, "%s", joins[_i].what);
    ck_assert((a.fetch == b.fetch) == joins[_i].joins);
    ck_assert_ptr_eq(b.fetch->owner, &workers[made]);
    if (made) {
        forget(&b);
    } else {
        leave(&b);
    }
    ck_assert(edge_fetch_is_running(entry));
    forget(&a);
}
END_TEST

/* The one of several that fits, wherever it stands. */
START_TEST(the_one_that_fits)
{
    struct waiting w[4], last;
    for (unsigned i = 0; i < 4; i++) {
        const struct asking part = {.request = "", PART(i * 100, i * 100 + 99), .at = i * 100};
        ck_assert(ask_for(&w[i], 0, &part));
    }
    for (unsigned i = 0; i < 4; i++) {
        const struct asking part = {.request = "", PART(0, 0), .at = i * 100 + 50};
        ck_assert(!ask_for(&last, 1, &part));
        ck_assert_ptr_eq(last.fetch, w[i].fetch);
        leave(&last);
    }
    const unsigned order[] = {2, 0, 3, 1}; /* out of the middle, from both ends */
    for (unsigned i = 0; i < 4; i++) {
        forget(&w[order[i]]);
        ck_assert(edge_fetch_is_running(entry) == (i < 3));
    }
}
END_TEST

/* ---- at the right moment ---- */

/* Something was published after the look: the fetch to wait for may be over, and its answer there. */
START_TEST(published_since_the_look)
{
    struct waiting a, b;
    bool made;
    wait_for(&a, 0, "");
    const struct edge_fetch_wish early = wish_of(&a);
    publish(edge.cache, KEY, DE, "Vary: Accept-Language", 10);
    ck_assert(!join_or_make(&a, &early));
    ck_assert_ptr_null(a.fetch);
    ck_assert_ptr_null(edge_fetch_join_or_make(&workers[0], entry, &early, NULL, &made));
    ck_assert(!made && !edge_fetch_is_running(entry));
    const struct edge_fetch_wish again = wish_of(&a);
    ck_assert(join_or_make(&a, &again));
    wait_for(&b, 1, "");
    ck_assert(!join_or_make(&b, &early)); /* one is running: it is the one to wait for */
    ck_assert_ptr_eq(b.fetch, a.fetch);
    leave(&b);
    forget(&a);
}
END_TEST

/* A purge is no reason to look again: what it hit was not there, and the fetch begins after it or not. */
START_TEST(purged_since_the_look)
{
    struct waiting a;
    wait_for(&a, 0, "");
    const struct edge_fetch_wish early = wish_of(&a);
    edge_cache_purge_all(edge.cache, false, CACHE_NOW_MS);
    ck_assert(join_or_make(&a, &early));
    ck_assert_uint_eq(a.fetch->purge_number, early.moment.purge_number);
    ck_assert_uint_lt(a.fetch->purge_number, edge_cache_purge_number(edge.cache));
    forget(&a);
}
END_TEST

START_TEST(nobody_waits_for_a_refresh)
{
    struct waiting a, b;
    bool made;
    wait_for(&a, 0, "");
    const struct edge_fetch_wish wish = wish_of(&a);
    struct edge_fetch *f = edge_fetch_join_or_make(&workers[0], entry, &wish, NULL, &made);
    ck_assert(f && made);
    ck_assert_ptr_null(edge_fetch_join_or_make(&workers[1], entry, &wish, NULL, &made)); /* is under way */
    ck_assert(!made);
    wait_for(&b, 1, "");
    ck_assert(!join_or_make(&b, &wish)); /* who wants to wait may */
    ck_assert_ptr_eq(b.fetch, f);
    leave(&b);
    edge_fetch_unlist(f);
    edge_fetch_unref(f);
}
END_TEST

START_TEST(alone_is_not_found)
{
    struct waiting a, b;
    wait_for(&a, 0, "");
    a.fetch = edge_fetch_make_alone(&workers[0], edge_cache_ref(edge.cache, entry), 0, &a.waiter);
    ck_assert(!edge_fetch_is_running(entry));
    wait_for(&b, 1, "");
    const struct edge_fetch_wish wish = wish_of(&b);
    ck_assert(join_or_make(&b, &wish));
    forget(&b);
    forget(&a);
}
END_TEST

static void add(TCase *tc)
{
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, who_joins_whom, 0, CDN_ARRAY_LEN(joins));
    tcase_add_test(tc, the_one_that_fits);
    tcase_add_test(tc, published_since_the_look);
    tcase_add_test(tc, purged_since_the_look);
    tcase_add_test(tc, nobody_waits_for_a_refresh);
    tcase_add_test(tc, alone_is_not_found);
}

int main(void)
{
    return run_case("fetch", add);
}
