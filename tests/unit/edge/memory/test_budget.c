/* The account of memory: who may have how much. When a share is wrong the process outgrows
 * `memory`, or refuses clients with memory to spare. */
#include "common/mem.h"
#include "edge/memory/budget.h"

#include <check.h>
#include <stdint.h>

#include "common/banned.h"

#define MIB ((uint64_t)1 << 20)
#define REST (32 * MIB)
#define IDLE (14 * MIB) /* of the process, programs and libraries included */
#define SPARE (3 * MIB) /* pages kept ready */
#define USUAL_FETCHES 512u

static const uint64_t memories[] = {1 * MIB, 8 * MIB, 32 * MIB, 64 * MIB, 128 * MIB, 256 * MIB, 1024 * MIB};

static uint64_t connections_at(uint64_t memory)
{
    return EDGE_BUDGET_CONNECTION + edge_budget_pool(memory);
}

/* A crowd of connections, then one of requests to the origin: what is let in stays within the rest. */
START_TEST(crowds_are_bounded)
{
    const uint64_t memory = memories[_i];
    const uint64_t each = connections_at(memory) + EDGE_BUDGET_REQUEST;
    uint64_t connections = 0;
    uint64_t fetches = 0;
    edge_budget_set(memory);
    while (!edge_budget_is_full() && connections * each < 4096 * MIB) {
        edge_budget_connections((int64_t)each);
        connections++;
    }
    ck_assert_uint_gt(connections, 64);
    while (edge_budget_fetches() && fetches < 100000) {
        edge_budget_others(EDGE_BUDGET_FETCH);
        fetches++;
    }
    ck_assert_uint_ge(fetches, 16);
    const uint64_t all = connections * each + fetches * EDGE_BUDGET_FETCH;
    ck_assert_uint_le(all + all / 4 + memory / 8 + SPARE + IDLE, memory + REST);
    edge_budget_others(-(int64_t)(fetches * EDGE_BUDGET_FETCH));
    edge_budget_connections(-(int64_t)(connections * each));
    ck_assert(!edge_budget_is_full());
}
END_TEST

/* The index takes its share and leaves connections and requests theirs. */
START_TEST(the_index_leaves_room)
{
    edge_budget_set(memories[_i]);
    edge_budget_index(edge_budget_index_most());
    ck_assert(!edge_budget_is_full());
    ck_assert_uint_ge(edge_budget_fetches(), 16);
    edge_budget_index(0);
}
END_TEST

/* With the usual setting nobody waits who did not wait for a connection to the origin anyway. */
START_TEST(usual_settings_do_not_wait)
{
    edge_budget_set(256 * MIB);
    edge_budget_others((int64_t)EDGE_BUDGET_FETCH * USUAL_FETCHES);
    ck_assert_uint_gt(edge_budget_fetches(), USUAL_FETCHES);
    edge_budget_connections((int64_t)connections_at(256 * MIB) * 8000);
    ck_assert(!edge_budget_is_full());
    edge_budget_connections(-(int64_t)connections_at(256 * MIB) * 8000);
    edge_budget_others(-(int64_t)EDGE_BUDGET_FETCH * USUAL_FETCHES);
}
END_TEST

/* However short memory is, some are let in. */
START_TEST(nobody_is_shut_out)
{
    edge_budget_set(MIB);
    edge_budget_index(1024 * MIB);
    ck_assert(!edge_budget_is_full());
    ck_assert_uint_eq(edge_budget_fetches(), 16);
    edge_budget_others((int64_t)EDGE_BUDGET_FETCH * 15);
    ck_assert_uint_eq(edge_budget_fetches(), 1);
    edge_budget_others(EDGE_BUDGET_FETCH);
    ck_assert_uint_eq(edge_budget_fetches(), 0);
    edge_budget_others(-(int64_t)EDGE_BUDGET_FETCH * 16);
    edge_budget_index(0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("budget");
    TCase *tc = tcase_create("budget");
    tcase_add_loop_test(tc, crowds_are_bounded, 0, (int)CDN_ARRAY_LEN(memories));
    tcase_add_loop_test(tc, the_index_leaves_room, 0, (int)CDN_ARRAY_LEN(memories));
    tcase_add_test(tc, usual_settings_do_not_wait);
    tcase_add_test(tc, nobody_is_shut_out);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
