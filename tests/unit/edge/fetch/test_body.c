/* Bodies on their way, with memory and without: nobody gets other bytes, and the account is even at the end.
 */
#include "common/mem.h"
#include "edge/cache/blob.h"
#include "edge/fetch/body.h"
#include "edge/memory/budget.h"
#include "tests/unit/edge/store_fixture.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#define PIECE 16384u
#define WINDOW 524288u

static unsigned woken;

static void room_again(void *arg)
{
    (void)arg;
    woken++;
}

static char byte_at(uint64_t at)
{
    return (char)(at * 31 + at / 4099);
}

static bool append(struct edge_body *b, uint64_t from, size_t n)
{
    static char piece[PIECE];
    for (size_t i = 0; i < n; i++) {
        piece[i] = byte_at(from + i);
    }
    return edge_body_append(b, piece, n);
}

/* Reads all there is; how many bytes, all of them right. */
static uint64_t drain(struct edge_body *b, struct edge_body_reader *r)
{
    static char into[PIECE];
    uint64_t sum = 0;
    ssize_t got;
    while ((got = edge_body_read(b, r, into, sizeof(into))) > 0) {
        ssize_t right = 0; /* one assertion a piece: each costs a message */
        while (right < got && into[right] == byte_at(r->at - (uint64_t)got + (uint64_t)right)) {
            right++;
        }
        ck_assert_int_eq(right, got);
        sum += (uint64_t)got;
    }
    return sum;
}

static const struct {
    int64_t expected;
    uint64_t length;
    bool taken; /* other bodies have all the memory already */
    bool keep;
    bool in_memory; /* at the end */
} rows[] = {
    {0, 0, false, true, true},
    {-1, 0, true, true, true},
    {300, 300, false, true, true},
    {300, 300, true, true, true}, /* so little always has room */
    {-1, 4000, true, true, true},
    {-1, 5000, true, true, false},
    {16384, 16384, false, true, true},
    {16384, 16384, true, true, false},
    {-1, 200000, false, true, true},
    {-1, 200000, true, true, false},
    {1 << 20, 1 << 20, true, true, false},
    {100000, 100000, false, false, true},
    {1 << 20, 1 << 20, true, false, false},
    {-1, 1 << 20, false, false, false},
};

START_TEST(bytes_are_right_with_and_without_memory)
{
    struct edge_budget_stats before;
    struct edge_budget_stats after;
    edge_budget_set(MIB);
    edge_budget_stats(&before);
    if (rows[_i].taken) {
        edge_budget_add(64 * MIB);
    }
    struct edge_body *b = edge_body_create(rows[_i].expected, MIB, NULL, room_again, NULL);
    struct edge_body_reader r = {0};
    uint64_t read = 0;
    woken = 0;
    if (!rows[_i].keep) {
        edge_body_do_not_keep(b);
    }
    ck_assert(edge_body_join(b, &r, 0));
    for (uint64_t at = 0; at < rows[_i].length;) {
        const size_t n = rows[_i].length - at < PIECE ? (size_t)(rows[_i].length - at) : PIECE;
        if (append(b, at, n)) {
            at += n;
            continue;
        }
        const unsigned was = woken; /* the window is full: reading makes room, and says so */
        read += drain(b, &r);
        ck_assert_uint_eq(woken, was + 1);
    }
    edge_body_finish(b, true);
    read += drain(b, &r);
    ck_assert_uint_eq(read, rows[_i].length);
    struct edge_blob *blob = edge_body_blob(b);
    ck_assert_int_eq(blob != NULL, rows[_i].in_memory);
    ck_assert(!blob || blob->n == rows[_i].length);
    edge_blob_unref(blob);
    edge_body_leave(b, &r);
    edge_body_destroy(b);
    edge_budget_sub(rows[_i].taken ? 64 * MIB : 0);
    edge_budget_stats(&after);
    ck_assert_uint_eq(after.on_the_way, before.on_the_way);
}
END_TEST

START_TEST(without_memory_a_window_is_small)
{
    struct edge_budget_stats before;
    struct edge_budget_stats after;
    edge_budget_set(MIB);
    edge_budget_add(64 * MIB);
    edge_budget_stats(&before);
    struct edge_body *b = edge_body_create(MIB, MIB, NULL, room_again, NULL);
    struct edge_body_reader r = {0};
    ck_assert(edge_body_join(b, &r, 0));
    uint64_t at = 0;
    while (append(b, at, PIECE)) {
        at += PIECE;
    }
    edge_budget_stats(&after);
    ck_assert_uint_le(after.on_the_way - before.on_the_way, (uint64_t)64 << 10);
    ck_assert_uint_ge(at, PIECE);
    edge_body_leave(b, &r);
    edge_body_destroy(b);
    edge_budget_sub(64 * MIB);
}
END_TEST

/* Who holds up whom: readers at these places of a window that is full, half a megabyte from byte 0 on. */
static const struct {
    uint64_t length;
    size_t count;
    uint64_t at[4];
    bool keep;
    bool held_up[4]; /* others by this one */
} crowds[] = {
    {WINDOW, 1, {0}, false, {false}}, /* nobody waits for it */
    {WINDOW, 2, {0, WINDOW}, false, {true, false}},
    {WINDOW, 4, {0, WINDOW, WINDOW, WINDOW}, false, {true, false, false, false}},
    {WINDOW, 3, {0, 0, WINDOW}, false, {true, true, false}},
    {WINDOW, 3, {0, WINDOW - PIECE, WINDOW}, false, {true, false, false}}, /* not far enough behind */
    {WINDOW, 3, {WINDOW / 2 - PIECE, WINDOW / 2, WINDOW}, false, {true, false, false}},
    {WINDOW, 2, {WINDOW / 2, WINDOW}, false, {false, false}}, /* the producer was told that there is room */
    {WINDOW, 2, {0, WINDOW - PIECE}, false, {false, false}},  /* nobody has read all there is */
    {WINDOW, 2, {0, 0}, false, {false, false}},
    {WINDOW - PIECE, 2, {0, WINDOW - PIECE}, false, {false, false}}, /* the producer does not wait */
    {WINDOW, 2, {0, WINDOW}, true, {false, false}},                  /* all in memory */
};

START_TEST(those_who_hold_up_others_are_known)
{
    struct edge_body_reader r[4] = {0};
    static char into[PIECE];
    edge_budget_set(64 * MIB);
    struct edge_body *b = edge_body_create(-1, MIB, NULL, room_again, NULL);
    if (!crowds[_i].keep) {
        edge_body_do_not_keep(b);
    }
    for (size_t i = 0; i < crowds[_i].count; i++) {
        ck_assert(edge_body_join(b, &r[i], 0));
    }
    uint64_t at = 0;
    while (at < crowds[_i].length) {
        ck_assert(append(b, at, PIECE));
        at += PIECE;
    }
    if (!crowds[_i].keep && at == WINDOW) {
        ck_assert(!append(b, at, PIECE));
    }
    for (size_t i = 0; i < crowds[_i].count; i++) {
        while (r[i].at < crowds[_i].at[i]) {
            ck_assert_int_gt(edge_body_read(b, &r[i], into, PIECE), 0);
        }
    }
    for (size_t i = 0; i < crowds[_i].count; i++) {
        ck_assert_int_eq(edge_body_is_held_up(b, &r[i]), crowds[_i].held_up[i]);
    }
    edge_body_finish(b, false); /* the end is known: nobody waits for the producer */
    for (size_t i = 0; i < crowds[_i].count; i++) {
        ck_assert(!edge_body_is_held_up(b, &r[i]));
        edge_body_leave(b, &r[i]);
    }
    edge_body_destroy(b);
}
END_TEST

/* Others, on other threads, may be faster than the one whose request it is. */
START_TEST(nothing_goes_before_the_leader_has_joined)
{
    struct edge_body_reader quick = {0};
    struct edge_body_reader leader = {0};
    edge_budget_set(64 * MIB);
    struct edge_body *b = edge_body_create(-1, MIB, NULL, room_again, NULL);
    edge_body_do_not_keep(b);
    edge_body_await(b, true);
    ck_assert(edge_body_join(b, &quick, 0));
    uint64_t at = 0;
    while (append(b, at, PIECE)) {
        at += PIECE;
    }
    ck_assert_uint_eq(at, WINDOW);
    ck_assert_uint_eq(drain(b, &quick), WINDOW);
    ck_assert(!append(b, at, PIECE));
    ck_assert(edge_body_join(b, &leader, 0));
    woken = 0;
    edge_body_await(b, false);
    ck_assert_uint_eq(woken, 0);
    ck_assert_uint_eq(drain(b, &leader), WINDOW);
    ck_assert_uint_eq(woken, 1);
    ck_assert(append(b, at, PIECE));
    edge_body_leave(b, &quick);
    edge_body_leave(b, &leader);
    edge_body_destroy(b);
}
END_TEST

START_TEST(others_may_join_until_bytes_are_gone)
{
    struct edge_body_reader r[3] = {0};
    edge_budget_set(64 * MIB);
    struct edge_body *b = edge_body_create(-1, MIB, NULL, room_again, NULL);
    edge_body_do_not_keep(b);
    ck_assert(edge_body_join(b, &r[0], 0));
    uint64_t at = 0;
    while (append(b, at, PIECE)) {
        at += PIECE;
    }
    ck_assert_uint_eq(drain(b, &r[0]), WINDOW); /* all read by who is there, and still in the window */
    ck_assert(edge_body_join(b, &r[1], 0));
    ck_assert_uint_eq(drain(b, &r[1]), WINDOW);
    ck_assert(append(b, at, PIECE));
    ck_assert(!edge_body_join(b, &r[2], 0));
    ck_assert(!edge_body_join(b, &r[2], PIECE - 1));
    ck_assert(edge_body_join(b, &r[2], PIECE));
    ck_assert_uint_eq(drain(b, &r[2]), WINDOW);
    for (size_t i = 0; i < CDN_ARRAY_LEN(r); i++) {
        edge_body_leave(b, &r[i]);
    }
    edge_body_destroy(b);
}
END_TEST

START_TEST(the_tier_gets_what_others_leave)
{
    edge_budget_set(32 * MIB);
    edge_budget_tier(0, 0);
    ck_assert_uint_eq(edge_budget_charge(), MIB / 2); /* malloc's part */
    edge_budget_add(10 * MIB);
    ck_assert_uint_eq(edge_budget_charge(), 17 * MIB / 2);
    ck_assert(edge_budget_has(6 * MIB) && !edge_budget_has(6 * MIB + 1));
    ck_assert(!edge_budget_is_over());
    edge_budget_tier(0, 25 * MIB);
    ck_assert(edge_budget_is_over());
    edge_budget_index(10 * MIB);
    ck_assert_uint_eq(edge_budget_charge(), 83 * MIB / 4);
    edge_budget_index(1000 *
                      (uint64_t)MIB); /* an eighth is left in any case, and some megabytes on the way */
    ck_assert_uint_eq(edge_budget_charge(), 28 * MIB);
    ck_assert(!edge_budget_has(1));
    edge_budget_sub(10 * MIB);
    ck_assert(edge_budget_has(4 * MIB));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("body");
    TCase *tc = tcase_create("body");
    tcase_add_loop_test(tc, bytes_are_right_with_and_without_memory, 0, (int)CDN_ARRAY_LEN(rows));
    tcase_add_test(tc, without_memory_a_window_is_small);
    tcase_add_loop_test(tc, those_who_hold_up_others_are_known, 0, (int)CDN_ARRAY_LEN(crowds));
    tcase_add_test(tc, nothing_goes_before_the_leader_has_joined);
    tcase_add_test(tc, others_may_join_until_bytes_are_gone);
    tcase_add_test(tc, the_tier_gets_what_others_leave);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
