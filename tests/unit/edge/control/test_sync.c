/* The pure parts of the sync with the purge log, and the mark in the store that vouches for it. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/control/sync.h"
#include "edge/store/store.h"

#include <check.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define MIB (UINT64_C(1) << 20)

/* ---- the place ---- */

static const char *const not_places[] = {
    "",
    "abc",
    "abc 1",
    "abc 1 ",
    "abc 1 0000000000000000",
    "ABC 1 0000000000000000",
    "abc -1 0000000000000000",
};

START_TEST(test_place_refused)
{
    struct edge_sync_place place = {.id = 7};
    ck_assert(!edge_sync_place_parse(cdn_str(not_places[_i]), &place));
    ck_assert_uint_eq(place.id, 7);
}
END_TEST

START_TEST(test_place_round_trip)
{
    const struct edge_sync_place place = {"0123456789abcdef0123456789abcdef", UINT64_C(1) << 40};
    struct edge_sync_place again;
    CDN_AUTOBUF struct cdn_buf text = {0};
    edge_sync_place_format(&place, &text);
    ck_assert_uint_le(text.n, EDGE_STORE_MARK_MAX);
    ck_assert(edge_sync_place_parse(cdn_buf_str(&text), &again));
    ck_assert_str_eq(again.log, place.log);
    ck_assert_uint_eq(again.id, place.id);
    for (size_t i = 0; i < text.n; i++) { /* no flipped bit goes unnoticed */
        text.p[i] ^= 1;
        ck_assert(!edge_sync_place_parse(cdn_buf_str(&text), &again));
        text.p[i] ^= 1;
    }
}
END_TEST

/* Nothing but the very text that was written is one. */
static const struct {
    const char *before, *after;
} spoils[] = {{" ", ""}, {"", " "}, {"", "\n"}, {"", " x"}, {"0", ""}, {"", "0"}, {"\n", ""}};

START_TEST(test_place_spoilt)
{
    const struct edge_sync_place place = {"abc", 7};
    struct edge_sync_place again;
    CDN_AUTOBUF struct cdn_buf text = {0};
    edge_sync_place_format(&place, &text);
    ck_assert(edge_sync_place_parse(cdn_buf_str(&text), &again));
    CDN_AUTOFREE char *spoilt = cdn_asprintf("%s%s%s", spoils[_i].before, text.p, spoils[_i].after);
    ck_assert_msg(!edge_sync_place_parse(cdn_str(spoilt), &again), "'%s'", spoilt);
}
END_TEST

static const struct {
    struct edge_sync_place place;
    bool fine;
} places[] = {
    {{"a", 0}, true},
    {{"0123456789abcdef", UINT64_MAX}, true},
    {{"000000000000000000000000000000000000000000000000000000000000000", 1}, true}, /* 63 */
    {{"", 1}, false},
    {{"ABC", 1}, false},
    {{"abg", 1}, false},
    {{"a-b", 1}, false},
    {{"a\nb", 1}, false},
};

/* What is written of an identity that no router has is not read again. */
START_TEST(test_place_identities)
{
    struct edge_sync_place again;
    CDN_AUTOBUF struct cdn_buf text = {0};
    edge_sync_place_format(&places[_i].place, &text);
    ck_assert(edge_sync_place_parse(cdn_buf_str(&text), &again) == places[_i].fine);
    ck_assert(!places[_i].fine ||
              (again.id == places[_i].place.id && strcmp(again.log, places[_i].place.log) == 0));
}
END_TEST

/* ---- pauses ---- */

static const struct {
    unsigned failures;
    double draw;
    int64_t ms;
} pauses[] = {
    {1, 0, 12}, {1, 1, 25}, {2, 0, 25}, {3, 0.5, 75}, {5, 0, 125}, {5, 1, 250}, {1000000, 1, 250},
};

START_TEST(test_pause)
{
    ck_assert_int_eq(edge_sync_pause_ms(pauses[_i].failures, pauses[_i].draw), pauses[_i].ms);
}
END_TEST

/* ---- answers ---- */

static const struct {
    const char *body;
    int purges; /* -1: refused, -2: reset */
} answers[] = {
    {"{\"log\":\"ab\",\"last\":0,\"purges\":[]}", 0},
    {"{\"log\":\"ab\",\"last\":9,\"oldest\":1,\"purges\":[{\"id\":3,\"all\":true},{\"id\":9}]}", 2},
    {"{\"log\":\"ab\",\"last\":9,\"reset\":true}", -2},
    {"{\"log\":\"ab\",\"last\":9,\"purges\":[{\"id\":9},{\"id\":3}]}", -1},
    {"{\"log\":\"ab\",\"last\":9,\"purges\":[{\"id\":0}]}", -1},
    {"{\"log\":\"ab\",\"last\":9,\"purges\":[{\"id\":\"1\"}]}", -1},
    {"{\"log\":\"ab\",\"last\":9,\"purges\":[7]}", -1},
    {"{\"log\":\"ab\",\"last\":9}", -1},
    {"{\"log\":\"ab\",\"purges\":[]}", -1},
    {"{\"log\":\"ab\",\"last\":-1,\"purges\":[]}", -1},
    {"{\"log\":\"a b\",\"last\":1,\"purges\":[]}", -1},
    {"{\"log\":\"\",\"last\":1,\"purges\":[]}", -1},
    {"{\"last\":1,\"purges\":[]}", -1},
    {"{\"log\":\"ab\",\"last\":9,\"purges\":[{\"id\":3},{\"id\":3}]}", -1},
    {"{\"log\":\"ab\",\"last\":9,\"purges\":[{\"id\":3.0}]}", -1},
    {"{\"log\":\"ab\",\"last\":9,\"purges\":[{\"id\":-3}]}", -1},
    {"{\"log\":\"ab\",\"last\":9,\"purges\":[{}]}", -1},
    {"{\"log\":\"ab\",\"last\":9,\"purges\":{}}", -1},
    {"{\"log\":\"ab\",\"last\":9,\"purges\":null}", -1},
    {"{\"log\":\"ab\",\"last\":1.5,\"purges\":[]}", -1},
    {"{\"log\":\"ab\",\"last\":\"9\",\"purges\":[]}", -1},
    {"{\"log\":\"ab\",\"last\":9,\"last\":9,\"purges\":[]}", -1}, /* which one? */
    {"{\"log\":7,\"last\":9,\"purges\":[]}", -1},
    {"{\"log\":\"AB\",\"last\":9,\"purges\":[]}", -1},
    {"{\"log\":\"a\\u0000\",\"last\":9,\"purges\":[]}", -1},
    {"{\"log\":\"000000000000000000000000000000000000000000000000000000000000000\",\"last\":9,\"purges\":[]}",
     0},
    {"{\"log\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"last\":9,\"purges\":[]"
     "}",
     -1},
    {"{\"log\":\"ab\",\"last\":9,\"reset\":true,\"purges\":\"any\"}", -2},
    {"{\"log\":\"ab\",\"last\":9,\"reset\":1,\"purges\":[]}", 0}, /* only true is true */
    {"{\"log\":\"ab\",\"last\":9223372036854775807,\"purges\":[{\"id\":9223372036854775807}]}", 1},
    {"{\"log\":\"ab\",\"last\":9223372036854775808,\"purges\":[]}", -1},
    {"{\"log\":\"ab\",\"last\":0,\"purges\":[]} {}", -1},
    {"[]", -1},
    {"", -1},
    {"nonsense", -1},
};

START_TEST(test_answer)
{
    struct edge_sync_answer got = {0};
    struct cdn_error err = {0};
    enum cdn_status status = edge_sync_answer_parse(cdn_str(answers[_i].body), &got, &err);
    if (answers[_i].purges == -1) {
        ck_assert_int_eq(status, CDN_INVALID);
        ck_assert_uint_gt(strlen(err.text), 0);
        return;
    }
    ck_assert_msg(status == CDN_OK, "%s", err.text);
    ck_assert_int_eq(got.reset, answers[_i].purges == -2);
    ck_assert_uint_eq(json_array_size(got.purges), got.reset ? 0 : (size_t)answers[_i].purges);
    json_decref(got.purges);
}
END_TEST

/* ---- the mark ---- */

static char folder[] = "/tmp/edge-sync-XXXXXX";

static struct edge_store *open_at(const char *path)
{
    struct edge_store_settings settings = {.directory = path, .budget = 64 * MIB, .commit_ms = 3600000};
    struct edge_store_hooks hooks = {0};
    struct edge_store *store = NULL;
    struct cdn_error err = {0};
    ck_assert_msg(edge_store_open(&settings, &hooks, &store, &err) == CDN_OK, "%s", err.text);
    return store;
}

START_TEST(test_mark)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    struct edge_store *store = open_at(folder);
    ck_assert_str_eq(edge_store_mark_found(store), "");
    edge_store_mark(store, CDN_STR("first"));
    edge_store_mark(store, CDN_STR("second"));
    edge_store_close(store);
    store = open_at(folder);
    ck_assert_str_eq(edge_store_mark_found(store), "second");
    edge_store_mark(store, CDN_STR("third"));
    ck_assert_str_eq(edge_store_mark_found(store), "second");
    edge_store_close(store);
    store = open_at(folder);
    ck_assert_str_eq(edge_store_mark_found(store), "third");
    edge_store_close(store);
    CDN_AUTOFREE char *command = cdn_asprintf("rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sync");
    TCase *all = tcase_create("all");
    tcase_add_loop_test(all, test_place_refused, 0, (int)CDN_ARRAY_LEN(not_places));
    tcase_add_test(all, test_place_round_trip);
    tcase_add_loop_test(all, test_place_spoilt, 0, (int)CDN_ARRAY_LEN(spoils));
    tcase_add_loop_test(all, test_place_identities, 0, (int)CDN_ARRAY_LEN(places));
    tcase_add_loop_test(all, test_pause, 0, (int)CDN_ARRAY_LEN(pauses));
    tcase_add_loop_test(all, test_answer, 0, (int)CDN_ARRAY_LEN(answers));
    tcase_add_test(all, test_mark);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
