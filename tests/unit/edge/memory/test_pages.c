/* Memory for bodies: blocks never overlap, what is given back is used again, and what stays ready is bounded.
 */
#include "edge/cache/blob.h"
#include "edge/memory/backing.h"
#include "edge/memory/budget.h"
#include "edge/memory/pages.h"

#include <check.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCKS 300u
#define ROUNDS 6000u

struct block {
    unsigned char *data;
    size_t n;
    unsigned char mark;
};

static size_t drawn_size(unsigned *seed)
{
    static const size_t most[] = {16 << 10, 64 << 10, 300 << 10, 3 << 20};
    return EDGE_PAGES_MIN + (size_t)rand_r(seed) % most[rand_r(seed) % 4];
}

static void check_block(const struct block *b)
{
    ck_assert_uint_eq(b->data[0], b->mark);
    ck_assert_uint_eq(b->data[b->n / 2], b->mark);
    ck_assert_uint_eq(b->data[b->n - 1], b->mark);
}

/* Takes, shrinks and gives at random; whoever had another's page would find its mark. */
static void *churn(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    struct block blocks[BLOCKS] = {0};
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct block *b = &blocks[(unsigned)rand_r(&seed) % BLOCKS];
        if (!b->data) {
            b->n = drawn_size(&seed);
            b->data = edge_pages_take(b->n);
            b->mark = (unsigned char)rand_r(&seed);
            b->data[0] = b->data[b->n / 2] = b->data[b->n - 1] = b->mark;
            continue;
        }
        check_block(b);
        const size_t less = b->n / 2;
        if (i % 3 == 0 && edge_pages_shrink(b->data, b->n, less)) {
            b->n = less;
            b->data[b->n / 2] = b->data[b->n - 1] = b->mark;
            continue;
        }
        edge_pages_give(b->data, b->n);
        b->data = NULL;
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (blocks[i].data) {
            check_block(&blocks[i]);
            edge_pages_give(blocks[i].data, blocks[i].n);
        }
    }
    return NULL;
}

START_TEST(blocks_are_ones_own)
{
    struct edge_pages_stats s;
    pthread_t threads[3];
    if (_i) {
        ck_assert(edge_pages_start((size_t)3 << 20));
    }
    for (uintptr_t i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    edge_pages_stop();
    edge_pages_stats(&s);
    ck_assert_uint_eq(s.used, 0);
    ck_assert_uint_le(s.ready, (uint64_t)20 << 20);
}
END_TEST

START_TEST(pages_are_used_again)
{
    struct edge_pages_stats s;
    for (unsigned i = 0; i < 1000; i++) {
        char *data = edge_pages_take(100000);
        memset(data, 1, 100000);
        edge_pages_give(data, 100000);
    }
    edge_pages_stats(&s);
    ck_assert_uint_eq(s.regions, 1);
    ck_assert_uint_eq(s.used, 0);
    ck_assert_uint_ge(s.ready, edge_pages_room(100000));
    ck_assert_uint_le(s.ready, EDGE_BACKING_HUGE); /* what a huge page brings */
}
END_TEST

START_TEST(mappings_are_aligned_and_backed)
{
    const size_t n = EDGE_PAGES_REGION;
    struct edge_backing backing;
    for (unsigned i = 0; i < 3; i++) {
        char *data = edge_backing_map(n, i == 0, &backing);
        ck_assert_ptr_nonnull(data);
        ck_assert_uint_eq((uintptr_t)data % n, 0);
        ck_assert(backing.ready == 0 || (i && backing.ready == EDGE_BACKING_HUGE));
        memset(data, 1, n);
        edge_backing_make_plain(data, n);
        edge_backing_drop(data + EDGE_PAGE, EDGE_PAGE);
        ck_assert_int_eq(data[0], 1);
        ck_assert_int_eq(data[EDGE_PAGE], 0);
        ck_assert_int_eq(data[2 * EDGE_PAGE], 1);
        munmap(data, n);
    }
}
END_TEST

START_TEST(regions_go_when_they_are_empty)
{
    struct edge_pages_stats s;
    void *data[200];
    for (unsigned i = 0; i < 200; i++) {
        data[i] = edge_pages_take((size_t)1 << 20);
    }
    edge_pages_stats(&s);
    ck_assert_uint_eq(s.used, (uint64_t)200 << 20);
    ck_assert_uint_ge(s.regions, 25);
    for (unsigned i = 0; i < 200; i++) {
        edge_pages_give(data[i], (size_t)1 << 20);
    }
    edge_pages_stats(&s);
    ck_assert_uint_eq(s.used, 0);
    ck_assert_uint_le(s.ready, (uint64_t)4 << 20);
    ck_assert_uint_le(s.regions, 3);
}
END_TEST

START_TEST(blobs_keep_their_bytes_in_any_size)
{
    static const size_t sizes[] = {0, 1, 8191, 8192, 8193, 100000, 20000, 5000, 3 << 20, 9000, 8000, 0};
    struct edge_budget_stats before;
    struct edge_budget_stats after;
    edge_budget_stats(&before);
    struct edge_blob *blob = edge_blob_create(0);
    for (size_t i = 1; i < sizeof(sizes) / sizeof(*sizes); i++) {
        blob = edge_blob_resize(blob, sizes[i]);
        const size_t kept = sizes[i - 1] < sizes[i] ? sizes[i - 1] : sizes[i];
        size_t right = 0; /* one assertion a size: each costs a message */
        while (right < kept && blob->data[right] == (char)(right * 7)) {
            right++;
        }
        ck_assert_uint_eq(right, kept);
        for (size_t at = 0; at < sizes[i]; at++) {
            blob->data[at] = (char)(at * 7);
        }
        edge_budget_stats(&after);
        ck_assert_uint_eq(after.on_the_way - before.on_the_way, edge_blob_room(sizes[i]));
    }
    edge_blob_unref(blob);
    edge_budget_stats(&after);
    ck_assert_uint_eq(after.on_the_way, before.on_the_way);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pages");
    TCase *tc = tcase_create("pages");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, blocks_are_ones_own, 0, 2);
    tcase_add_test(tc, pages_are_used_again);
    tcase_add_test(tc, mappings_are_aligned_and_backed);
    tcase_add_test(tc, regions_go_when_they_are_empty);
    tcase_add_test(tc, blobs_keep_their_bytes_in_any_size);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
