/* The store's queue: what is found, purged and settled while writes are under way. */
#include "common/mem.h"
#include "common/status.h"
#include "edge/store/store.h"
#include "tests/unit/edge/store_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

static struct fixture f;

static void set_up(void)
{
    memset(&f, 0, sizeof(f));
    make_fixture(&f);
}

static void tear_down(void)
{
    drop_fixture(&f);
}

static void count_rows(void *arg, const struct edge_store_row *rows, size_t n)
{
    (void)rows;
    ck_assert_uint_eq(n, 0);
    answer(arg, CDN_OK, NULL);
}

/* A find never brings what this process stored: the engine knows it, or has removed it. */
START_TEST(find_leaves_out_what_is_new)
{
    struct waiter w = WAITER;
    open_store(&f);
    put_one(&f, 42, 77);
    edge_store_flush(f.store);
    struct edge_store_key key = key_of(42);
    edge_store_find(f.store, key.a, key.b, count_rows, &w);
    ck_assert_int_eq(await(&w), CDN_OK);
    free(load(&f));
}
END_TEST

static void purge_stored(void *arg, enum cdn_status status, const struct edge_store_location *l)
{
    (void)arg;
    ck_assert_int_eq(status, CDN_OK);
    edge_store_remove(f.store, l); /* as for a body that was purged while it was being written */
}

START_TEST(what_the_last_work_queues_is_done)
{
    CDN_AUTOFREE unsigned char *body = body_of(1, 100);
    open_store(&f);
    free(load(&f));
    ck_assert(put_async(&f, 1, body, 100, purge_stored, NULL));
    struct loaded *l = reopen(&f);
    ck_assert_uint_eq(l->count, 0);
    free(l);
}
END_TEST

static void settled(void *arg)
{
    answer(arg, CDN_OK, NULL);
}

START_TEST(settled_includes_what_answers_queue)
{
    struct waiter w = WAITER;
    struct edge_store_stats stats;
    CDN_AUTOFREE unsigned char *body = body_of(1, 100);
    open_store(&f);
    free(load(&f));
    for (unsigned i = 0; i < 20; i++) {
        ck_assert(put_async(&f, i, body, 100, purge_stored, NULL));
        edge_store_settle(f.store, settled, &w);
        ck_assert_int_eq(await(&w), CDN_OK);
        edge_store_stats(f.store, &stats);
        ck_assert_uint_eq(stats.objects, 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_queue");
    TCase *tc = tcase_create("store_queue");
    tcase_set_timeout(tc, 300);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, find_leaves_out_what_is_new);
    tcase_add_test(tc, what_the_last_work_queues_is_done);
    tcase_add_test(tc, settled_includes_what_answers_queue);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
