/* The purge log, what a purge may ask, and the book of receipts. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "router/purge/purge_book.h"
#include "router/purge/purge_item.h"
#include "router/purge/purge_log.h"

#include <check.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

/* ---- items ---- */

static const struct {
    const char *body;
    const char *item; /* NULL: refused */
} items[] = {
    {"{\"url\":\"/a\"}", "{\"urls\":[\"/a\"]}"},
    {"{\"urls\":[\"/a\",\"/a\",\"/b\"]}", "{\"urls\":[\"/a\",\"/b\"]}"},
    {"{\"url\":\"/a\",\"urls\":[\"/b\"]}", "{\"urls\":[\"/a\",\"/b\"]}"},
    {"{\"prefix\":\"HTTPS://x/\",\"soft\":true}", "{\"prefixes\":[\"HTTPS://x/\"],\"soft\":true}"},
    {"{\"tag\":\"a b\",\"soft\":false}", "{\"tags\":[\"a b\"]}"},
    {"{\"tags\":[\"x\"],\"all\":true}", "{\"all\":true}"},
    {"{\"all\":true,\"soft\":true,\"wait\":\"1s\"}", "{\"all\":true,\"soft\":true}"},
    {"{}", NULL},
    {"[]", NULL},
    {"{\"urls\":[]}", NULL},
    {"{\"all\":false}", NULL},
    {"{\"all\":\"yes\"}", NULL},
    {"{\"url\":null}", NULL},
    {"{\"url\":\"a\"}", NULL},
    {"{\"url\":\"ftp://x/\"}", NULL},
    {"{\"url\":\"/a b\"}", NULL},
    {"{\"url\":\"/100%\"}", NULL},
    {"{\"prefix\":\"/%4\"}", NULL},
    {"{\"urls\":[\"/100%25\"]}", "{\"urls\":[\"/100%25\"]}"},
    {"{\"url\":\"/a\\n\"}", NULL},
    {"{\"tag\":\"\"}", NULL},
    {"{\"tag\":\"a,b\"}", NULL},
    {"{\"tag\":\" a\"}", NULL},
    {"{\"tag\":\"a\\u0001\"}", NULL},
    {"{\"url\":\"/a\",\"more\":1}", NULL},
};

START_TEST(test_item)
{
    static const char *const besides[] = {"wait", NULL};
    json_t *body = json_loads(items[_i].body, 0, NULL), *item = NULL;
    struct cdn_error err = {0};
    ck_assert_ptr_nonnull(body);
    enum cdn_status status = router_purge_item(body, besides, &item, &err);
    json_decref(body);
    if (!items[_i].item) {
        ck_assert_int_eq(status, CDN_INVALID);
        ck_assert_uint_gt(strlen(err.text), 0);
        return;
    }
    ck_assert_msg(status == CDN_OK, "%s", err.text);
    CDN_AUTOFREE char *text = json_dumps(item, JSON_COMPACT);
    json_decref(item);
    ck_assert_str_eq(text, items[_i].item);
}
END_TEST

START_TEST(test_item_limits)
{
    json_t *body = json_object(), *list = json_array(), *item = NULL;
    for (unsigned i = 0; i <= ROUTER_PURGE_ITEMS_MAX; i++) {
        CDN_AUTOFREE char *url = cdn_asprintf("/%u", i);
        json_array_append_new(list, json_string(url));
    }
    json_object_set_new(body, "urls", list);
    ck_assert_int_eq(router_purge_item(body, NULL, &item, NULL), CDN_TOO_LARGE);
    json_array_remove(list, 0);
    ck_assert_int_eq(router_purge_item(body, NULL, &item, NULL), CDN_OK);
    json_decref(item);
    json_decref(body);
}
END_TEST

/* ---- the log ---- */

static char folder[] = "/tmp/purge-log-XXXXXX";
static char *path;

static void make_folder(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    path = cdn_asprintf("%s/deep/purges.db", folder);
}

static void remove_folder(void)
{
    CDN_AUTOFREE char *command = cdn_asprintf("rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
    free(path);
    cdn_str_copy(folder + sizeof(folder) - 7, 7, CDN_STR("XXXXXX"));
}

static struct router_purge_log *open_log(uint64_t keep, int64_t keep_ms)
{
    struct router_purge_limits limits = {keep, keep_ms, 0};
    struct router_purge_log *log = NULL;
    struct cdn_error err = {0};
    ck_assert_msg(router_purge_log_open(path, &limits, &log, &err) == CDN_OK, "%s", err.text);
    return log;
}

static uint64_t append(struct router_purge_log *log, int64_t now_ms, const char *what)
{
    uint64_t id = 0;
    ck_assert_int_eq(router_purge_log_append(log, now_ms, cdn_str(what), &id, NULL), CDN_OK);
    return id;
}

static bool collect(void *arg, uint64_t id, int64_t time_ms, struct cdn_str what)
{
    cdn_buf_printf(arg, "%llu@%lld=" CDN_STR_FMT " ", (unsigned long long)id, (long long)time_ms,
                   CDN_STR_ARG(what));
    return id < 3;
}

static void expect(struct router_purge_log *log, uint64_t after, const char *text)
{
    CDN_AUTOBUF struct cdn_buf all = {0};
    ck_assert_int_eq(router_purge_log_read(log, after, collect, &all, NULL), CDN_OK);
    ck_assert_str_eq(all.p ? all.p : "", text);
}

START_TEST(test_log_is_kept)
{
    struct router_purge_log *log = open_log(100, 1000000);
    ck_assert_uint_eq(router_purge_log_last(log), 0);
    ck_assert_uint_eq(router_purge_log_oldest(log), 1);
    ck_assert(router_purge_log_reaches(log, 0) && !router_purge_log_reaches(log, 1));
    ck_assert_uint_eq(append(log, 10, "a"), 1);
    ck_assert_uint_eq(append(log, 20, "b"), 2);
    char *identity = cdn_strdup(router_purge_log_identity(log));
    struct router_purge_limits limits = {1, 1, 0};
    struct router_purge_log *other = NULL;
    ck_assert_int_eq(router_purge_log_open(path, &limits, &other, NULL), CDN_CONFLICT);
    router_purge_log_close(log);
    log = open_log(100, 1000000);
    ck_assert_str_eq(router_purge_log_identity(log), identity);
    ck_assert_uint_eq(strlen(identity), ROUTER_PURGE_IDENTITY_SIZE - 1);
    ck_assert_uint_eq(append(log, 30, "c"), 3);
    ck_assert_uint_eq(append(log, 40, "d"), 4);
    expect(log, 0, "1@10=a 2@20=b 3@30=c "); /* until the reader has had enough */
    expect(log, 1, "2@20=b 3@30=c ");
    expect(log, 4, "");
    router_purge_log_close(log);
    free(identity);
}
END_TEST

START_TEST(test_log_forgets_by_count)
{
    struct router_purge_log *log = open_log(2, 1000000);
    for (int i = 1; i <= 5; i++) {
        append(log, i, "x");
    }
    ck_assert_uint_eq(router_purge_log_oldest(log), 4);
    ck_assert(!router_purge_log_reaches(log, 2));
    ck_assert(router_purge_log_reaches(log, 3) && router_purge_log_reaches(log, 5));
    router_purge_log_close(log);
    log = open_log(2, 1000000); /* the numbers go on */
    ck_assert_uint_eq(router_purge_log_oldest(log), 4);
    ck_assert_uint_eq(append(log, 6, "x"), 6);
    router_purge_log_close(log);
}
END_TEST

START_TEST(test_log_forgets_by_age_from_the_oldest_on)
{
    struct router_purge_log *log = open_log(10, 100);
    append(log, 1000, "x");
    append(log, 1050, "x");
    append(log, 900, "x"); /* the clock went back: must not leave a gap before the fourth */
    append(log, 1120, "x");
    ck_assert_uint_eq(router_purge_log_oldest(log), 2);
    append(log, 9999, "x");
    ck_assert_uint_eq(router_purge_log_oldest(log), 5);
    router_purge_log_close(log);
}
END_TEST

START_TEST(test_log_corrupt_is_set_aside)
{
    struct router_purge_log *log = open_log(10, 1000);
    append(log, 1, "x");
    char *identity = cdn_strdup(router_purge_log_identity(log));
    router_purge_log_close(log);
    FILE *file = fopen(path, "r+");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs("this is no database, whatever it was before", file), 0);
    fclose(file);
    log = open_log(10, 1000);
    ck_assert_str_ne(router_purge_log_identity(log), identity);
    ck_assert_uint_eq(router_purge_log_last(log), 0);
    router_purge_log_close(log);
    free(identity);
}
END_TEST

START_TEST(test_log_in_memory)
{
    struct router_purge_limits limits = {10, 1000, 0};
    struct router_purge_log *log = NULL;
    ck_assert_int_eq(router_purge_log_open(NULL, &limits, &log, NULL), CDN_OK);
    ck_assert_uint_eq(append(log, 1, "x"), 1);
    router_purge_log_close(log);
}
END_TEST

/* ---- the book ---- */

START_TEST(test_book)
{
    struct router_book *book = router_book_create(2);
    double ms;
    size_t fra = router_book_edge(book, CDN_STR("fra"));
    router_book_purge(book, 1, 1000000);
    ck_assert(!router_book_has(book, fra, 1, &ms) && ms < 0);
    router_book_acknowledge(book, fra, 1, 3500000);
    ck_assert(router_book_has(book, fra, 1, &ms) && ms > 2.49 && ms < 2.51);
    size_t nrt = router_book_edge(book, CDN_STR("nrt"));
    ck_assert_uint_eq(router_book_edge(book, CDN_STR("fra")), fra);
    ck_assert_uint_eq(router_book_edge(book, CDN_STR("syd")), ROUTER_BOOK_NO_EDGE);
    ck_assert_uint_eq(router_book_edge(book, CDN_STR("")), ROUTER_BOOK_NO_EDGE);
    ck_assert(!router_book_has(book, nrt, 1, &ms));
    router_book_acknowledge(book, nrt, 1, 9000000);
    ck_assert(router_book_has(book, nrt, 1, &ms) && ms > 7.9);
    router_book_acknowledge(book, fra, 0, 9000000); /* began anew: takes nothing back */
    ck_assert_uint_eq(router_book_upto(book, fra), 0);
    router_book_acknowledge(book, fra, 1, 99000000);
    ck_assert(router_book_has(book, fra, 1, &ms) && ms < 2.51);
    router_book_acknowledge(book, fra, 100000, 99000000); /* purges of before this process */
    ck_assert(router_book_has(book, fra, 5000, &ms) && ms < 0);
    router_book_destroy(book);
}
END_TEST

/* Large purges go before there are many: the log stays under its
 * bytes, and says that it does not reach back. */
START_TEST(test_the_bytes_are_bounded)
{
    struct router_purge_limits limits = {100000, INT64_C(1) << 40, 10000};
    struct router_purge_log *log;
    CDN_AUTOBUF struct cdn_buf what = {0};
    uint64_t id = 0;
    ck_assert_int_eq(router_purge_log_open(NULL, &limits, &log, NULL), CDN_OK);
    for (int i = 0; i < 936; i++) {
        cdn_buf_add_char(&what, 'x');
    }
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(router_purge_log_append(log, 1000, cdn_buf_str(&what), &id, NULL), CDN_OK);
        ck_assert_uint_le((id - router_purge_log_oldest(log) + 1) * 1000, 10000);
    }
    ck_assert_uint_eq(id, 100);
    ck_assert_uint_ge(id - router_purge_log_oldest(log) + 1, 9);
    ck_assert(!router_purge_log_reaches(log, 50) && router_purge_log_reaches(log, 95));
    for (int i = 0; i < 20000; i++) {
        cdn_buf_add_char(&what, 'x');
    }
    ck_assert_int_eq(router_purge_log_append(log, 1000, cdn_buf_str(&what), &id, NULL), CDN_OK);
    ck_assert_uint_eq(router_purge_log_oldest(log), id); /* the newest stays, however large */
    router_purge_log_close(log);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("purge_log");
    TCase *pure = tcase_create("pure"), *files = tcase_create("files");
    tcase_add_loop_test(pure, test_item, 0, (int)CDN_ARRAY_LEN(items));
    tcase_add_test(pure, test_item_limits);
    tcase_add_test(pure, test_the_bytes_are_bounded);
    tcase_add_test(pure, test_book);
    tcase_add_test(pure, test_log_in_memory);
    tcase_add_checked_fixture(files, make_folder, remove_folder);
    tcase_add_test(files, test_log_is_kept);
    tcase_add_test(files, test_log_forgets_by_count);
    tcase_add_test(files, test_log_forgets_by_age_from_the_oldest_on);
    tcase_add_test(files, test_log_corrupt_is_set_aside);
    suite_add_tcase(suite, pure);
    suite_add_tcase(suite, files);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
