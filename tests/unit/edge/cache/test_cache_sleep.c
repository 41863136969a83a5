/* Objects that are only on disk: asleep, woken, purged asleep, and all that over restarts. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/cache/blob.h"
#include "edge/cache/cache.h"
#include "edge/cache/cache_private.h"
#include "edge/cache/object.h"
#include "edge/memory/budget.h"
#include "edge/semantics/freshness.h"
#include "edge/semantics/head.h"
#include "edge/semantics/vary.h"
#include "edge/store/store.h"
#include "tests/unit/edge/head_of.h"
#include "tests/unit/edge/store_fixture.h"

#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

#define OBJECTS (EDGE_RESTING + 200u) /* so the first ones sleep */
#define LIFETIME_S 3600
#define NOW_MS (RESPONSE_S * 1000 + 5000)
#define BODY_N 900u

static struct fixture f;
static struct edge_cache *cache;

static void on_loaded(void *arg, enum cdn_status status, uint64_t objects)
{
    (void)objects;
    answer(arg, status, NULL);
}

static void on_moved(void *self, const struct edge_store_key *key, const struct edge_store_location *from,
                     const struct edge_store_location *to)
{
    (void)self;
    edge_cache_moved(cache, key, from, to);
}

static void start(void)
{
    struct waiter loaded = WAITER;
    f.on_moved = on_moved;
    open_store(&f);
    const struct edge_cache_config config = {.memory = 1, /* holds nothing */
                                             .memory_object = MIB,
                                             .memory_policy = "s3fifo",
                                             .disk_policy = "sieve",
                                             .store = f.store,
                                             .variants = 8};
    ck_assert_int_eq(edge_cache_create(&config, &cache, NULL), CDN_OK);
    edge_cache_load(cache, on_loaded, &loaded);
    ck_assert_int_eq(await(&loaded), CDN_OK);
}

static void stop(void)
{
    edge_store_flush(f.store);
    close_store(&f);
    edge_cache_destroy(cache);
    cache = NULL;
}

static void set_up(void)
{
    memset(&f, 0, sizeof(f));
    make_fixture(&f);
    start();
}

static void tear_down(void)
{
    stop();
    drop_fixture(&f);
}

static struct cdn_str key_text(unsigned number, char into[static 48])
{
    return (struct cdn_str){into, (size_t)snprintf(into, 48, "http://h/%u/%u", number % 10, number)};
}

static struct edge_rep *rep_of(unsigned number, const char *variant)
{
    CDN_AUTOFREE char *fields =
        cdn_asprintf(DATE "ETag: \"%u\"\nSurrogate-Key: all tens-%u\n", number, number / 10);
    const struct edge_freshness fresh = {
        .response_ms = RESPONSE_S * 1000, .lifetime_s = LIFETIME_S, .source = EDGE_LIFETIME_MAX_AGE};
    return edge_rep_create(head_of(200, fields), &fresh, RESPONSE_S * 1000,
                           variant ? CDN_STR("accept-language") : CDN_STR(""),
                           variant ? cdn_str(variant) : CDN_STR(""));
}

static void publish(unsigned number, const char *variant)
{
    char text[48];
    struct edge_hold hold = {0};
    struct edge_blob *blob = edge_blob_create(BODY_N);
    CDN_AUTOFREE unsigned char *body = body_of(number, BODY_N);
    bool kept;
    memcpy(blob->data, body, BODY_N);
    struct edge_entry *e = edge_cache_enter(cache, key_text(number, text));
    const uint64_t purges = edge_cache_purge_number(cache);
    edge_cache_wake(cache, e, NULL, NULL);
    edge_cache_publish(cache, e, purges, rep_of(number, variant), blob, NULL, 0, &hold, &kept);
    ck_assert(kept);
    edge_cache_release(cache, &hold);
    edge_cache_leave(cache, e);
}

static void fill(void)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        publish(i, NULL);
    }
    edge_store_flush(f.store);
}

static bool sleeps(unsigned number)
{
    char text[48];
    edge_cache_lock(cache);
    const struct edge_entry *e = edge_cache_find_locked(cache, key_text(number, text));
    bool asleep = e && edge_cache_asleep_locked(e);
    edge_cache_unlock(cache);
    return asleep;
}

static bool no_field(void *arg, struct cdn_str name, struct cdn_buf *into)
{
    (void)arg, (void)name, (void)into;
    return false;
}

static void woken(void *arg)
{
    answer(arg, CDN_OK, NULL);
}

/* As a request does it: without blocking, until all are awake. False: nothing stored. */
static bool look_up(unsigned number, struct edge_hold *ret)
{
    char text[48];
    struct waiter w = WAITER;
    const struct edge_vary_source source = {.get = no_field};
    struct edge_stored stored;
    struct edge_entry *e = NULL;
    while (edge_cache_look(cache, key_text(number, text), &e, &source, 0, &stored), stored.asleep) {
        while (!edge_cache_wake(cache, e, woken, &w)) {
            await(&w);
        }
    }
    *ret = stored.hold;
    edge_rep_unref(stored.newest);
    edge_cache_leave(cache, e);
    return ret->object != NULL;
}

/* What is stored under `number` is right; seconds of freshness left, INT64_MIN: nothing stored. */
static int64_t left(unsigned number)
{
    struct edge_hold hold = {0};
    if (!look_up(number, &hold)) {
        return INT64_MIN;
    }
    CDN_AUTOFREE char *etag = cdn_asprintf("\"%u\"", number);
    ck_assert(cdn_str_eq(edge_head_get(hold.rep->head, EDGE_HEAD_ETAG), cdn_str(etag)));
    ck_assert_int_eq(check_body(&f, &hold.location, number, BODY_N), CDN_OK);
    int64_t left_s = edge_freshness_left(&hold.rep->fresh, NOW_MS);
    edge_cache_release(cache, &hold);
    return left_s;
}

START_TEST(unused_objects_sleep_and_wake)
{
    fill();
    ck_assert(sleeps(0));
    ck_assert(!sleeps(OBJECTS - 1)); /* rests */
    for (unsigned i = 0; i < OBJECTS; i++) {
        ck_assert_int_eq(left(i), LIFETIME_S - 5);
        ck_assert(!sleeps(i));
    }
    ck_assert(sleeps(0)); /* others came after it */
    stop();
    start();
    ck_assert(sleeps(0));
    ck_assert_int_eq(left(0), LIFETIME_S - 5);
}
END_TEST

START_TEST(held_objects_stay_awake)
{
    struct edge_hold hold = {0};
    fill();
    ck_assert(look_up(0, &hold));
    for (unsigned i = 1; i < OBJECTS; i++) {
        left(i);
    }
    ck_assert(!sleeps(0));
    ck_assert_ptr_eq(atomic_load(&hold.object->rep), hold.rep);
    edge_cache_release(cache, &hold);
    for (unsigned i = 1; i < OBJECTS; i++) {
        left(i);
    }
    ck_assert(sleeps(0));
}
END_TEST

/* Soft by key, prefix, tag and all; object 3 sleeps, and is hit each time. */
static uint64_t purge(int how, bool soft)
{
    char text[48];
    switch (how) {
    case 0:
        return edge_cache_purge_key(cache, key_text(3, text), soft, NOW_MS);
    case 1:
        return edge_cache_purge_prefix(cache, CDN_STR("http://h/3/"), soft, NOW_MS);
    case 2:
        return edge_cache_purge_tag(cache, CDN_STR("tens-0"), soft, NOW_MS);
    default:
        return edge_cache_purge_all(cache, soft, NOW_MS);
    }
}

static const struct {
    uint64_t count;
    bool hits_4;
} purges[] = {{1, false}, {(OBJECTS + 6) / 10, false}, {10, true}, {OBJECTS, true}};

START_TEST(soft_purge_reaches_the_sleeping)
{
    fill();
    ck_assert(sleeps(3) && sleeps(4));
    ck_assert_uint_eq(purge(_i, true), purges[_i].count);
    ck_assert(sleeps(3));
    ck_assert_int_eq(left(3), 0);
    ck_assert_int_eq(left(4), purges[_i].hits_4 ? 0 : LIFETIME_S - 5);
    for (int restarts = 0; restarts < 2; restarts++) {
        stop();
        start();
        ck_assert(sleeps(3));
        ck_assert_int_eq(left(3), 0);
    }
}
END_TEST

START_TEST(hard_purge_reaches_the_sleeping)
{
    fill();
    ck_assert(sleeps(3) && sleeps(4));
    ck_assert_uint_eq(purge(_i, false), purges[_i].count);
    ck_assert_int_eq(left(3), INT64_MIN);
    ck_assert_int_eq(left(4), purges[_i].hits_4 ? INT64_MIN : LIFETIME_S - 5);
    stop();
    start();
    ck_assert_int_eq(left(3), INT64_MIN);
}
END_TEST

START_TEST(refreshed_objects_wake_as_they_were_last)
{
    struct edge_hold hold = {0};
    fill();
    ck_assert(look_up(5, &hold));
    struct edge_freshness fresh = hold.rep->fresh;
    fresh.lifetime_s = 2 * LIFETIME_S;
    const uint64_t number = edge_cache_purge_number(cache);
    ck_assert(edge_cache_refresh(cache, hold.object,
                                 edge_rep_with(hold.rep, NULL, &fresh, hold.rep->stored_ms), number));
    edge_cache_release(cache, &hold);
    for (unsigned i = 6; i < OBJECTS; i++) {
        left(i);
    }
    ck_assert(sleeps(5));
    ck_assert_int_eq(left(5), 2 * LIFETIME_S - 5);
    stop();
    start();
    ck_assert(sleeps(5));
    ck_assert_int_eq(left(5), 2 * LIFETIME_S - 5);
}
END_TEST

START_TEST(lost_bytes_are_a_miss)
{
    fill();
    ck_assert(sleeps(7));
    CDN_AUTOFREE char *segment = cdn_asprintf("%s/segments/1", f.directory);
    int fd = open(segment, O_RDWR);
    CDN_AUTOFREE char *rubbish = cdn_calloc(1, (size_t)64 * 1024);
    ck_assert_int_eq(pwrite(fd, rubbish, (size_t)64 * 1024, 0), 64 * 1024);
    close(fd);
    ck_assert_int_eq(left(7), INT64_MIN);
    ck_assert_uint_gt(events(&f, EDGE_STORE_CHECKSUM), 0);
}
END_TEST

START_TEST(variants_are_told_apart_at_a_start)
{
    char text[48];
    publish(1, "de");
    publish(1, "en");
    publish(1, "de"); /* takes the place of the first */
    fill();           /* among them 1 without Vary, beside these */
    stop();
    start();
    edge_cache_lock(cache);
    struct edge_entry *e = edge_cache_enter_locked(cache, key_text(1, text));
    unsigned count = 0;
    for (const struct edge_object *o = e->objects; o; o = o->next) {
        count++;
    }
    edge_cache_leave_locked(cache, e);
    edge_cache_unlock(cache);
    ck_assert_uint_eq(count, 3);
}
END_TEST

START_TEST(listing_tells_of_the_sleeping)
{
    fill();
    json_t *list = edge_cache_list(cache, CDN_STR("http://h/3/"), CDN_STR(""), 5, NOW_MS);
    ck_assert_uint_eq(json_array_size(list), 5);
    for (size_t i = 0; i < 5; i++) {
        const json_t *o = json_array_get(list, i);
        ck_assert_int_eq(json_integer_value(json_object_get(o, "status")), 200);
        ck_assert_int_eq(json_integer_value(json_object_get(o, "ttl_s")), LIFETIME_S - 5);
    }
    json_decref(list);
}
END_TEST

/* Small objects by the thousand: the index has its share of memory, however much room the disk has. */
START_TEST(the_index_has_an_end)
{
    edge_budget_set(MIB);
    const unsigned most = (unsigned)(edge_budget_index_most() / EDGE_BUDGET_INDEX) + 1;
    struct edge_cache_stats stats;
    for (unsigned i = 0; i < most + 500; i++) {
        publish(i, NULL);
    }
    edge_store_flush(f.store);
    edge_cache_stats(cache, &stats);
    ck_assert_uint_le(stats.objects, most);
    ck_assert_uint_gt(stats.objects, most / 2);
    ck_assert_uint_ge(stats.disk_evictions, 499);
    stop();
    start(); /* nor does it grow over a restart */
    edge_cache_stats(cache, &stats);
    ck_assert_uint_le(stats.objects, most);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_sleep");
    TCase *tc = tcase_create("cache_sleep");
    tcase_set_timeout(tc, 300);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, unused_objects_sleep_and_wake);
    tcase_add_test(tc, held_objects_stay_awake);
    tcase_add_loop_test(tc, soft_purge_reaches_the_sleeping, 0, CDN_ARRAY_LEN(purges));
    tcase_add_loop_test(tc, hard_purge_reaches_the_sleeping, 0, CDN_ARRAY_LEN(purges));
    tcase_add_test(tc, refreshed_objects_wake_as_they_were_last);
    tcase_add_test(tc, lost_bytes_are_a_miss);
    tcase_add_test(tc, variants_are_told_apart_at_a_start);
    tcase_add_test(tc, listing_tells_of_the_sleeping);
    tcase_add_test(tc, the_index_has_an_end);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
