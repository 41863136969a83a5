/* Locks know their order; who breaks it ends the process in a debug build. */
#include "common/lock.h"
#include "common/mem.h"

#include <check.h>
#include <signal.h>
#include <stdbool.h>

static const struct {
    unsigned rank[3]; /* taken one after the other */
    unsigned count;
    bool allowed;
} rows[] = {
    {{0}, 1, true},        {{31}, 1, true},      {{0, 1}, 2, true},     {{0, 31}, 2, true},
    {{3, 5, 7}, 3, true},  {{1, 0}, 2, false},   {{2, 2}, 2, false}, /* another lock of the same rank */
    {{3, 7, 5}, 3, false}, {{31, 30}, 2, false}, {{4, 6, 4}, 3, false},
};

static void take_all(unsigned row, struct cdn_lock *lock)
{
    for (unsigned i = 0; i < rows[row].count; i++) {
        cdn_lock_init(&lock[i], rows[row].rank[i]);
        cdn_lock_take(&lock[i]);
    }
}

START_TEST(order)
{
    struct cdn_lock lock[3];
    take_all((unsigned)_i, lock);
    ck_assert_msg(rows[_i].allowed, "row %d was let through", _i);
    for (unsigned i = 0; i < rows[_i].count; i++) { /* in any order */
        cdn_lock_drop(&lock[i]);
    }
    cdn_lock_take(&lock[0]); /* nothing is held any more */
    cdn_lock_drop(&lock[0]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lock");
    for (unsigned i = 0; i < CDN_ARRAY_LEN(rows); i++) {
        TCase *tcase = tcase_create("row");
        if (rows[i].allowed) {
            tcase_add_loop_test(tcase, order, (int)i, (int)i + 1);
        } else {
            tcase_add_loop_test_raise_signal(tcase, order, SIGABRT, (int)i, (int)i + 1);
        }
        suite_add_tcase(suite, tcase);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
