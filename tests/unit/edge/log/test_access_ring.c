/* access_ring: order, wrapping, refusal when full, and one thread on each side. */
#include "edge/log/access_ring.h"

#include "common/mem.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

struct item {
    uint32_t size;
    uint32_t number;
    unsigned char fill[];
};

static bool put(struct edge_access_ring *ring, uint32_t number, size_t fill)
{
    const size_t n = sizeof(struct item) + fill;
    struct item *item = edge_access_ring_reserve(ring, n);
    if (!item) {
        return false;
    }
    item->number = number;
    memset(item->fill, (int)(number & 0xff), fill);
    edge_access_ring_commit(ring, item, n);
    return true;
}

static bool take(struct edge_access_ring *ring, uint32_t number, size_t fill)
{
    const struct item *item = edge_access_ring_peek(ring);
    if (!item) {
        return false;
    }
    ck_assert_uint_eq(item->number, number);
    ck_assert_uint_ge(item->size, sizeof *item + fill);
    size_t same = 0;
    while (same < fill && item->fill[same] == (number & 0xff)) {
        same++;
    }
    ck_assert_uint_eq(same, fill);
    edge_access_ring_pop(ring);
    return true;
}

START_TEST(empty_gives_nothing)
{
    struct edge_access_ring *ring = edge_access_ring_create(64);
    ck_assert_ptr_null(edge_access_ring_peek(ring));
    ck_assert(put(ring, 1, 0));
    ck_assert(take(ring, 1, 0));
    ck_assert_ptr_null(edge_access_ring_peek(ring));
    edge_access_ring_destroy(ring);
}
END_TEST

START_TEST(sizes_of_all_kinds_wrap)
{
    struct edge_access_ring *ring = edge_access_ring_create(256);
    for (uint32_t i = 0; i < 5000; i++) {
        ck_assert(put(ring, i, i % 57));
        ck_assert(put(ring, i + 1, (i * 7) % 57));
        ck_assert(take(ring, i, i % 57));
        ck_assert(take(ring, i + 1, (i * 7) % 57));
    }
    edge_access_ring_destroy(ring);
}
END_TEST

START_TEST(full_is_refused_and_loses_nothing)
{
    struct edge_access_ring *ring = edge_access_ring_create(256);
    uint32_t in = 0;
    while (put(ring, in, 20)) {
        in++;
    }
    ck_assert_uint_eq(in, 8); /* 28 bytes take 32 */
    ck_assert(take(ring, 0, 20));
    ck_assert(put(ring, in++, 20));
    ck_assert(!put(ring, in, 20));
    for (uint32_t out = 1; out < in; out++) {
        ck_assert(take(ring, out, 20));
    }
    ck_assert_ptr_null(edge_access_ring_peek(ring));
    edge_access_ring_destroy(ring);
}
END_TEST

START_TEST(commit_tells_when_it_is_half_full)
{
    struct edge_access_ring *ring = edge_access_ring_create(256);
    for (uint32_t i = 0; i < 8; i++) {
        struct item *item = edge_access_ring_reserve(ring, 32);
        ck_assert_int_eq(edge_access_ring_commit(ring, item, 32), i >= 4);
    }
    edge_access_ring_destroy(ring);
}
END_TEST

#define COUNT 20000u

static void *produce(void *arg)
{
    struct edge_access_ring *ring = arg;
    for (uint32_t i = 0; i < COUNT;) {
        if (put(ring, i, i % 101)) {
            i++;
        } else {
            sched_yield();
        }
    }
    return NULL;
}

START_TEST(two_threads)
{
    struct edge_access_ring *ring = edge_access_ring_create(1024);
    pthread_t producer;
    ck_assert_int_eq(pthread_create(&producer, NULL, produce, ring), 0);
    for (uint32_t i = 0; i < COUNT;) {
        if (take(ring, i, i % 101)) {
            i++;
        } else {
            sched_yield();
        }
    }
    pthread_join(producer, NULL);
    ck_assert_ptr_null(edge_access_ring_peek(ring));
    edge_access_ring_destroy(ring);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("access_ring");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, empty_gives_nothing);
    tcase_add_test(tests, sizes_of_all_kinds_wrap);
    tcase_add_test(tests, full_is_refused_and_loses_nothing);
    tcase_add_test(tests, commit_tells_when_it_is_half_full);
    tcase_add_test(tests, two_threads);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
