/* access_ring: order, wrapping, refusal when full, and one thread on each side. A fault here is a
 * torn line in the access log, or a worker that waits. */
#include "common/mem.h"
#include "edge/log/access_ring.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
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
    ck_assert_uint_ge(item->size, sizeof(*item) + fill);
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

/* The counters run past their end, and past half of it, as they do after so many bytes. */
static const struct {
    size_t start;
    size_t size;
} starts[] = {
    {0, 64},
    {0, 4096},
    {SIZE_MAX - 63, 64}, /* multiples of 8, as all ends of records are */
    {SIZE_MAX - 7, 64},
    {SIZE_MAX - 255, 256},
    {SIZE_MAX - 1023, 256},
    {(SIZE_MAX >> 1) - 7, 256},
    {(SIZE_MAX >> 1) + 1, 128},
    {(size_t)UINT32_MAX - 7, 256},
};

static struct edge_access_ring *ring_at(size_t start, size_t size)
{
    struct edge_access_ring *ring = edge_access_ring_create(size);
    atomic_store(&ring->head, start);
    atomic_store(&ring->tail, start);
    ring->reserved = ring->tail_seen = start;
    return ring;
}

START_TEST(counters_wrap_around)
{
    struct edge_access_ring *ring = ring_at(starts[_i].start, starts[_i].size);
    const size_t most = starts[_i].size / 4 - sizeof(struct item);
    uint32_t in = 0;
    uint32_t out = 0;
    while (out < 1000) {
        while (put(ring, in, (in * 7) % (most + 1))) {
            in++;
        }
        ck_assert_uint_ge(in - out, 2); /* never fewer than fit whatever the places */
        while (in - out > out % 3 && take(ring, out, (out * 7) % (most + 1))) {
            out++;
        }
    }
    while (take(ring, out, (out * 7) % (most + 1))) {
        out++;
    }
    ck_assert_uint_eq(in, out);
    edge_access_ring_destroy(ring);
}
END_TEST

/* What is half full is told by what is there, not by where it stands. */
START_TEST(half_full_wherever_it_stands)
{
    const size_t eighth = starts[_i].size / 8;
    struct edge_access_ring *ring = ring_at(starts[_i].start & ~(eighth - 1), starts[_i].size);
    for (unsigned i = 0; i < 40; i++) {
        for (unsigned k = 1; k <= 5; k++) {
            struct item *item = edge_access_ring_reserve(ring, eighth);
            ck_assert_ptr_nonnull(item);
            ck_assert_int_eq(edge_access_ring_commit(ring, item, eighth), k > 4);
        }
        for (unsigned k = 0; k < 5; k++) {
            ck_assert_ptr_nonnull(edge_access_ring_peek(ring));
            edge_access_ring_pop(ring);
        }
        ck_assert_ptr_null(edge_access_ring_peek(ring));
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
    tcase_add_loop_test(tests, counters_wrap_around, 0, CDN_ARRAY_LEN(starts));
    tcase_add_loop_test(tests, half_full_wherever_it_stands, 0, CDN_ARRAY_LEN(starts));
    tcase_add_test(tests, two_threads);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
