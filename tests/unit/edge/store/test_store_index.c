/* The index of stored objects by itself: a row with an id that is there takes the place of the old one. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/store/store.h"
#include "edge/store/store_index.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/banned.h"

struct found {
    unsigned rows, damaged;
    uint64_t body;
    char meta[16];
};

static void take_row(void *arg, const struct edge_store_row *row)
{
    struct found *f = arg;
    f->rows++;
    f->body = row->location.body;
    cdn_str_copy(f->meta, sizeof(f->meta), row->meta);
}

static void take_damaged(void *arg, uint64_t id)
{
    (void)id;
    ((struct found *)arg)->damaged++;
}

static struct edge_store_row row_of(uint64_t id, uint64_t key, uint64_t body, const char *meta)
{
    return (struct edge_store_row){
        .key_hash = {key, key + 1, key + 2},
        .location = {.id = id, .segment = 1, .place = 2, .text = 8, .body = body & EDGE_STORE_BODY_MAX},
        .key = CDN_STR("http://h/x"),
        .meta = cdn_str(meta),
    };
}

static struct found find(struct edge_index *ix, uint64_t key)
{
    struct found f = {0};
    const struct edge_index_sink sink = {&f, take_row, take_damaged};
    ck_assert_int_eq(edge_index_find(ix, key, key + 1, &sink), CDN_OK);
    return f;
}

START_TEST(the_last_of_an_id_counts)
{
    char folder[] = "/tmp/store-index-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    CDN_AUTOFREE char *path = cdn_asprintf("%s/index.db", folder);
    struct edge_index *ix;
    bool is_new = false;
    ck_assert_int_eq(edge_index_open(path, true, &ix, &is_new, NULL), CDN_OK);
    ck_assert(is_new);
    const struct edge_store_row first = row_of(7, 100, 10, "first");
    const struct edge_store_row other = row_of(8, 200, 20, "other");
    const struct edge_store_row again = row_of(7, 300, 30, "again");
    ck_assert_int_eq(edge_index_begin(ix), CDN_OK);
    ck_assert_int_eq(edge_index_insert(ix, &first), CDN_OK);
    ck_assert_int_eq(edge_index_insert(ix, &other), CDN_OK);
    ck_assert_int_eq(edge_index_insert(ix, &again), CDN_OK);
    ck_assert(edge_index_in_transaction(ix));
    ck_assert_int_eq(edge_index_commit(ix), CDN_OK);
    ck_assert_uint_eq(find(ix, 100).rows, 0);
    struct found f = find(ix, 300);
    ck_assert(f.rows == 1 && f.damaged == 0 && f.body == 30);
    ck_assert_str_eq(f.meta, "again");
    ck_assert_str_eq(find(ix, 200).meta, "other");
    edge_index_close(ix);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_index");
    TCase *all = tcase_create("all");
    tcase_add_test(all, the_last_of_an_id_counts);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
