/* One stretch of a version, each byte from where it is: what of it is stored, what the origin is asked for
 * the rest, and when an answer that has begun cannot go on. */
#include "common/http/syntax/http_message.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/cache/ghost.h"
#include "edge/memory/budget.h"
#include "edge/request/queue.h"
#include "edge/request/ranger.h"
#include "edge/request/ranger_private.h"
#include "edge/request/txn.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"
#include "tests/unit/common/client_help.h"
#include "tests/unit/common/net_help.h"
#include "tests/unit/edge/edge_fixture.h"
#include "tests/unit/edge/ranger_fixture.h"

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/banned.h"

#define WHOLE 35u /* three slices and a short one */

static void set_up(void)
{
    static const char *const flags[] = {"--disk", "0", "--slice", "10", NULL};
    start_with(flags, WHOLE);
}

static void tear_down(void)
{
    end_request();
    end_edge(true);
}

/* ---- what is there, what is asked for ---- */

static const struct {
    const char *what, *stored;
    uint64_t from, n;
    const char *asked;
} wholes[] = {
    {"one part", "0-9", 0, 10, ""},
    {"the middle of one part", "0-9", 3, 4, ""},
    {"one byte", "10-19", 19, 1, ""},
    {"side by side", "0-9 10-19 20-29", 0, 30, ""},
    {"in another order", "20-29 0-9 10-19", 5, 20, ""},
    {"overlapping", "0-14 10-19", 0, 20, ""},
    {"one within another", "0-19 5-9", 0, 20, ""},
    {"parts that are no slices", "0-2 3-12 13-13 14-34", 0, 35, ""},
    {"all with the short one", "0-9 10-19 20-29 30-34", 0, 35, ""},
    {"a hole", "0-9 20-29", 0, 30, "10-19"},
    {"a hole in a slice: from the missing byte on", "0-12 20-29", 0, 30, "13-19"},
    {"two holes", "0-9 20-22", 0, 30, "10-19 23-29"},
    {"a hole of two slices", "0-9 30-34", 0, 35, "10-19 20-29"},
    {"nothing but another part", "0-9", 20, 5, "20-29"},
    {"the last one is short, and asked for without an end", "20-29", 20, 15, "30-"},
    {"the rest of all", "0-9", 0, 35, "10-19 20-29 30-"},
    {"stale: confirmed as what it covers", "0-9 10-19~", 0, 20, "10-19?"},
    {"stale and no slice", "0-3 4-12~ 13-19", 0, 20, "4-12?"},
    {"stale and short", "0-9 30-34~", 30, 5, "30-34?"},
    {"all of it stale: the 304 is for one part", "0-9~ 10-19~", 0, 20, "0-9? 10-19?"},
};

static void check_whole(unsigned i, size_t max)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    char block[8];
    store_parts(KEY, wholes[i].stored);
    begin_at(wholes[i].from, wholes[i].n);
    read_until(&got, wholes[i].n, max);
    check_bytes(&got, wholes[i].from, wholes[i].n, wholes[i].what);
    ck_assert_msg(edge_ranger_read(txn->ranger, block, sizeof(block)) == HTTP_STREAM_END, "%s",
                  wholes[i].what);
    ck_assert_msg(strcmp(asked(), wholes[i].asked) == 0, "%s: the origin was asked \"%s\"", wholes[i].what,
                  asked());
    ck_assert_uint_eq(txn->sent, wholes[i].n);
}

START_TEST(each_byte_from_where_it_is)
{
    check_whole((unsigned)_i, 4096);
}
END_TEST

START_TEST(a_few_bytes_at_a_time)
{
    check_whole((unsigned)_i, 3);
}
END_TEST

/* What was fetched is stored: the next one finds it. */
START_TEST(slices_stay)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    store_parts(KEY, "0-9");
    for (unsigned i = 0; i < 2; i++) {
        cdn_buf_clear(&got);
        begin_at(0, WHOLE);
        read_until(&got, WHOLE, 4096);
        check_bytes(&got, 0, WHOLE, "all");
        edge_txn_leave_fetch(txn);
        edge_ranger_discard(txn);
    }
    ck_assert_str_eq(asked(), "10-19 20-29 30-");
}
END_TEST

/* An answer that began with something stale goes on with it; one that began with something fresh does not. */
START_TEST(stale_goes_on_stale)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    store_parts(KEY, "0-9~ 10-19~");
    txn->verdict = EDGE_VERDICT_STALE;
    begin_at(0, 20);
    read_until(&got, 20, 4096);
    check_bytes(&got, 0, 20, "stale");
    ck_assert_str_eq(asked(), "");
}
END_TEST

/* The part that the answer begins with was judged already. */
START_TEST(begins_with_what_it_is_given)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    struct edge_hold part = {0};
    store_parts(KEY, "0-9~ 10-19~");
    ck_assert(edge_cache_hold(edge->cache, stored_at(0), &part));
    edge_ranger_begin(txn, part.rep, 5, 10, &part);
    edge_cache_remove(edge->cache, part.object, EDGE_GHOST_PURGED);
    edge_cache_release(edge->cache, &part);
    read_until(&got, 10, 4096);
    check_bytes(&got, 5, 10, "given");
    ck_assert_str_eq(asked(), "10-19?");
}
END_TEST

/* Two requests for the same hole ask once. */
START_TEST(joins_who_asks_already)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    struct edge_txn *first = txn;
    store_parts(KEY, "0-9");
    begin_at(10, 10);
    char block[16];
    ck_assert_int_eq(edge_ranger_read(first->ranger, block, sizeof(block)), HTTP_STREAM_WAIT);
    txn = edge_txn_new(worker, held, &hooks);
    txn->target = first->target;
    txn->entry = edge_cache_enter(edge->cache, CDN_STR(KEY));
    begin_at(12, 5);
    read_until(&got, 5, 4096);
    check_bytes(&got, 12, 5, "the second");
    ck_assert(!txn->leader && first->leader);
    txn->over = true;
    ck_assert(edge_txn_release(txn));
    txn = first;
    cdn_buf_clear(&got);
    read_until(&got, 10, 4096);
    check_bytes(&got, 10, 10, "the first");
    ck_assert_str_eq(asked(), "10-19");
}
END_TEST

/* ---- when it cannot go on ---- */

enum change { OTHER_TAG, WEAK_TAG, NO_TAG, OTHER_LENGTH, WHOLE_INSTEAD, ERROR, UNSTORABLE, DROPPED };

static const struct {
    const char *what;
    enum change change;
    const char *stored, *asked; /* of 0-19 */
} ends[] = {
    {"another version", OTHER_TAG, "0-9", "10-19"},
    {"another version in place of a stale part", OTHER_TAG, "0-9 10-19~", "10-19?"},
    {"the same letters, but weak", WEAK_TAG, "0-9", "10-19"},
    {"no validator any more", NO_TAG, "0-9", "10-19"},
    {"it has grown", OTHER_LENGTH, "0-9", "10-19"},
    {"the whole in place of a range", WHOLE_INSTEAD, "0-9", "10-19"},
    {"an error", ERROR, "0-9", "10-19"},
    {"an error about a stale part", ERROR, "0-9 10-19~", "10-19?"},
    {"it may not be stored", UNSTORABLE, "0-9", "10-19"},
    {"no answer", DROPPED, "0-9", NULL},
};

static void change_site(enum change change)
{
    switch (change) {
    case OTHER_TAG:
        site.version = 1;
        site.tag = "\"2\"";
        return;
    case WEAK_TAG:
        site.tag = "W/\"1\"";
        return;
    case NO_TAG:
        site.tag = NULL;
        return;
    case OTHER_LENGTH:
        site.whole++;
        return;
    case WHOLE_INSTEAD:
        site.ignores_range = true;
        return;
    case ERROR:
        site.status = 500;
        return;
    case UNSTORABLE:
        site.fields = "Cache-Control: no-store\r\n";
        return;
    case DROPPED:
        site.origin.drops = 1000;
        return;
    }
}

/* What was sent stays right: it breaks off where the stored bytes end. */
START_TEST(another_version_ends_it)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    store_parts(KEY, ends[_i].stored);
    change_site(ends[_i].change);
    begin_at(0, 20);
    ck_assert_msg(read_until(&got, 20, 4096) == HTTP_STREAM_FAIL, "%s", ends[_i].what);
    check_bytes(&got, 0, 10, ends[_i].what);
    ck_assert_msg(!ends[_i].asked || strcmp(asked(), ends[_i].asked) == 0, "%s: the origin was asked \"%s\"",
                  ends[_i].what, asked());
}
END_TEST

/* Stored parts of another version are passed over, even where they would fit. */
START_TEST(stored_parts_of_other_versions)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    const struct edge_freshness fresh = fresh_since(0);
    store_parts(KEY, "0-9");
    begin_at(0, 20);
    ck_assert_ptr_nonnull(store_part(KEY, 10, 19, 1, "\"2\"", &fresh)); /* and 0-9 of the first goes */
    ck_assert(read_until(&got, 20, 4096) > 0);                          /* the origin has the first again */
    check_bytes(&got, 0, 20, "as it began");
    ck_assert_str_eq(asked(), "0-9 10-19");
}
END_TEST

/* ---- lost on the way ---- */

/* The part that is being read is held; one that was to follow is fetched. */
START_TEST(evicted_from_memory)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    store_parts(KEY, "0-9 10-19 20-29");
    begin_at(0, 30);
    read_until(&got, 4, 4);
    edge_cache_remove(edge->cache, stored_at(0), EDGE_GHOST_EVICTED);
    edge_cache_remove(edge->cache, stored_at(10), EDGE_GHOST_EVICTED);
    read_until(&got, 30, 4);
    check_bytes(&got, 0, 30, "evicted");
    ck_assert_str_eq(asked(), "10-19");
}
END_TEST

/* Purged while it was being confirmed: the 304 is about nothing that is stored, and it is looked for
 * again. */
START_TEST(purged_while_it_was_confirmed)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    store_parts(KEY, "0-9 10-19~");
    begin_at(0, 20);
    read_until(&got, 10, 4096);
    char block[16];
    ck_assert_int_eq(edge_ranger_read(txn->ranger, block, sizeof(block)), HTTP_STREAM_WAIT);
    edge_cache_purge_key(edge->cache, CDN_STR(KEY), false, loop_now_ms(worker->loop));
    read_until(&got, 20, 4096);
    check_bytes(&got, 0, 20, "purged");
    ck_assert_str_eq(asked(), "10-19? 10-19");
}
END_TEST

/* ---- its turn ---- */

static int64_t taken; /* of the account, by nobody */

static void take_all_turns(void)
{
    taken = (int64_t)((uint64_t)64 << 20);
    edge_budget_others(taken);
    ck_assert_uint_eq(edge_budget_fetches(), 0);
}

static void give_turns_back(void)
{
    edge_budget_others(-taken);
    taken = 0;
}

START_TEST(waits_for_its_turn)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    store_parts(KEY, "0-9");
    take_all_turns();
    begin_at(0, 20);
    ck_assert_int_eq(read_until(&got, 20, 4096), HTTP_STREAM_WAIT);
    check_bytes(&got, 0, 10, "what is stored needs no turn");
    ck_assert_int_eq(txn->queue.state, EDGE_QUEUE_WAITS);
    edge_queue_serve(worker);
    ck_assert_int_eq(read_until(&got, 20, 4096), HTTP_STREAM_WAIT); /* still */
    ck_assert_str_eq(asked(), "");
    give_turns_back();
    edge_queue_serve(worker);
    ck_assert_int_eq(txn->queue.state, EDGE_QUEUE_ADMITTED);
    read_until(&got, 20, 4096);
    check_bytes(&got, 0, 20, "its turn");
    ck_assert_str_eq(asked(), "10-19");
    ck_assert_uint_eq(worker->queue.admitted, 0);
}
END_TEST

START_TEST(waits_too_long)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    store_parts(KEY, "0-9");
    take_all_turns();
    begin_at(0, 20);
    ck_assert_int_eq(read_until(&got, 20, 4096), HTTP_STREAM_WAIT);
    edge->settings.memory_wait = 0;
    turn_times(worker->loop, 1);
    edge_queue_expire(worker);
    ck_assert_int_eq(read_until(&got, 20, 4096), HTTP_STREAM_FAIL);
    give_turns_back();
    check_bytes(&got, 0, 10, "cut off");
    ck_assert_str_eq(asked(), "");
}
END_TEST

/* Somebody else asks already, or the part was stored meanwhile: that needs no turn. */
START_TEST(needs_no_turn_any_more)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    store_parts(KEY, "0-9");
    take_all_turns();
    begin_at(0, 20);
    ck_assert_int_eq(read_until(&got, 20, 4096), HTTP_STREAM_WAIT);
    store_parts(KEY, "10-19");
    read_until(&got, 20, 4096);
    give_turns_back();
    check_bytes(&got, 0, 20, "stored meanwhile");
    ck_assert_str_eq(asked(), "");
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, each_byte_from_where_it_is, 0, CDN_ARRAY_LEN(wholes));
    tcase_add_loop_test(tc, a_few_bytes_at_a_time, 0, CDN_ARRAY_LEN(wholes));
    tcase_add_test(tc, slices_stay);
    tcase_add_test(tc, stale_goes_on_stale);
    tcase_add_test(tc, begins_with_what_it_is_given);
    tcase_add_test(tc, joins_who_asks_already);
    tcase_add_loop_test(tc, another_version_ends_it, 0, CDN_ARRAY_LEN(ends));
    tcase_add_test(tc, stored_parts_of_other_versions);
    tcase_add_test(tc, evicted_from_memory);
    tcase_add_test(tc, purged_while_it_was_confirmed);
    tcase_add_test(tc, waits_for_its_turn);
    tcase_add_test(tc, waits_too_long);
    tcase_add_test(tc, needs_no_turn_any_more);
}

int main(void)
{
    return run_suite("ranger", add);
}
