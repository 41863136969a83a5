/* The store in fair weather and foul: round trips, reload, find, update, remove, compaction, sparse files,
 * limits. */
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/store/store.h"
#include "tests/unit/edge/store_fixture.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

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

/* ---- round trips ---- */

static struct edge_store_location put_file(uint64_t number, size_t n, size_t piece)
{
    struct waiter w = WAITER;
    struct edge_store_file *file = NULL;
    CDN_AUTOFREE unsigned char *body = body_of(number, n);
    CDN_AUTOFREE char *meta = cdn_asprintf("meta %lu %zu", number, n);
    ck_assert_int_eq(edge_store_file_create(f.store, &file, NULL), CDN_OK);
    for (size_t at = 0; at < n; at += piece) {
        size_t part = n - at < piece ? n - at : piece;
        ck_assert_int_eq(edge_store_file_write(file, at, body + at, part, NULL), CDN_OK);
    }
    struct edge_store_commit commit = {.key_hash = key_of(number),
                                       .key = CDN_STR("http://h/large"),
                                       .meta = cdn_str(meta),
                                       .body_length = n,
                                       .done = on_stored,
                                       .arg = &w};
    edge_store_file_commit(file, &commit);
    ck_assert_int_eq(await(&w), CDN_OK);
    return w.location;
}

static const size_t sizes[] = {0, 1, 4095, 4096, 65537, EDGE_STORE_PACKED_MAX};
static const size_t large_sizes[] = {0, EDGE_STORE_PACKED_MAX + 1, MIB, 3 * MIB, 3 * MIB + 7};

START_TEST(round_trip)
{
    struct edge_store_location at[CDN_ARRAY_LEN(sizes) + CDN_ARRAY_LEN(large_sizes)];
    size_t n = 0;
    open_store(&f);
    free(load(&f));
    for (size_t i = 0; i < CDN_ARRAY_LEN(sizes); i++, n++) {
        at[n] = put_one(&f, n, sizes[i]);
        ck_assert_int_eq(check_body(&f, &at[n], n, sizes[i]), CDN_OK);
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(large_sizes); i++, n++) {
        at[n] = put_file(n, large_sizes[i], i % 2 ? 65536 : 100000);
        ck_assert_int_eq(check_body(&f, &at[n], n, large_sizes[i]), CDN_OK);
    }
    struct loaded *l = reopen(&f);
    ck_assert_uint_eq(l->count, n);
    ck_assert(l->ordered);
    for (size_t i = 0; i < n; i++) {
        ck_assert_mem_eq(&l->locations[i], &at[i], sizeof(at[i]));
        ck_assert(!l->rebuilt[i]);
        ck_assert_int_eq(check_body(&f, &at[i], i, l->sizes[i]), CDN_OK);
    }
    for (unsigned event = 0; event < EDGE_STORE_EVENT_COUNT; event++) {
        ck_assert_uint_eq(events(&f, (enum edge_store_event)event), 0);
    }
    free(l);
}
END_TEST

START_TEST(ranges_and_descriptors)
{
    struct edge_store_ref *ref = NULL;
    int fd = -1;
    off_t offset = 0;
    unsigned char got[5000];
    f.descriptors = 1;
    open_store(&f);
    struct edge_store_location small = put_one(&f, 1, 10000);
    struct edge_store_location large = put_file(2, 3 * MIB, 65536);
    free(reopen(&f));
    const struct edge_store_location *both[] = {&small, &large};
    for (size_t i = 0; i < 2; i++) {
        CDN_AUTOFREE unsigned char *body = body_of(i + 1, both[i]->body);
        ck_assert_int_eq(edge_store_body(f.store, both[i], 5, 5000, &ref, &fd, &offset), CDN_UNAVAILABLE);
        ck_assert_int_eq(edge_store_try_read(f.store, both[i], 5, got, 5000), CDN_UNAVAILABLE);
        ck_assert_int_eq(read_now(&f, both[i], 5, NULL, 5000), CDN_OK);
        ck_assert_int_eq(edge_store_body(f.store, both[i], 5, 5000, &ref, &fd, &offset), CDN_OK);
        ck_assert_int_eq(pread(fd, got, 5000, offset), 5000);
        ck_assert_mem_eq(got, body + 5, 5000);
        enum cdn_status status = edge_store_try_read(f.store, both[i], both[i]->body - 100, got, 100);
        ck_assert(status == CDN_OK || status == CDN_UNAVAILABLE);
        ck_assert(status != CDN_OK || memcmp(got, body + both[i]->body - 100, 100) == 0);
        ck_assert_int_eq(edge_store_try_read(f.store, both[i], both[i]->body, got, 1), CDN_INVALID);
        edge_store_remove(f.store, both[i]);
        edge_store_flush(f.store);
        ck_assert_int_eq(pread(fd, got, 5000, offset), 5000); /* who reads goes on reading */
        ck_assert_mem_eq(got, body + 5, 5000);
        edge_store_release(f.store, ref);
        ck_assert_int_eq(read_now(&f, both[i], 0, got, 1), CDN_NOT_FOUND);
    }
}
END_TEST

/* ---- changes ---- */

START_TEST(update_and_remove_survive)
{
    open_store(&f);
    for (uint64_t i = 0; i < 10; i++) {
        put_one(&f, i, 1000);
    }
    struct loaded *l = reopen(&f);
    struct edge_store_key key = key_of(3);
    edge_store_update(f.store, &key, &l->locations[3], CDN_STR("meta 3 1000 updated"));
    edge_store_remove(f.store, &l->locations[4]);
    free(l);
    l = reopen(&f);
    ck_assert_uint_eq(l->count, 9);
    ck_assert_uint_eq(l->locations[4].id, 0);
    free(l);
}
END_TEST

struct found {
    struct waiter w;
    size_t n;
    char meta[64];
};

static void take_found(void *arg, const struct edge_store_row *rows, size_t n)
{
    struct found *x = arg;
    x->n = n;
    if (n > 0) {
        cdn_str_copy(x->meta, sizeof(x->meta), rows[0].meta);
    }
    answer(&x->w, CDN_OK, NULL);
}

START_TEST(find_before_load)
{
    struct found x = {.w = WAITER};
    open_store(&f);
    struct edge_store_location l = put_one(&f, 42, 77);
    struct edge_store_key key = key_of(42);
    edge_store_update(f.store, &key, &l, CDN_STR("newer"));
    close_store(&f);
    open_store(&f);
    edge_store_find(f.store, key.a, key.b, take_found, &x);
    await(&x.w);
    ck_assert_uint_eq(x.n, 1);
    ck_assert_str_eq(x.meta, "newer");
    ck_assert_int_eq(check_body(&f, &l, 42, 77), CDN_OK);
    edge_store_find(f.store, key.a, key.b + 1, take_found, &x);
    await(&x.w);
    ck_assert_uint_eq(x.n, 0);
    edge_store_remove(f.store, &l); /* before the load comes to it */
    ck_assert(edge_store_removed(f.store, l.id));
    struct loaded *rows = load(&f);
    ck_assert_uint_eq(rows->count, 0);
    free(rows);
}
END_TEST

/* ---- space ---- */

#define MANY 600u
static struct edge_store_location places[MANY];
static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER;

static void moved(void *self, const struct edge_store_key *key, const struct edge_store_location *from,
                  const struct edge_store_location *to)
{
    (void)self;
    uint64_t number = ~key->b;
    pthread_mutex_lock(&places_lock);
    ck_assert_uint_eq(from->id, to->id);
    if (places[number].id == from->id) {
        ck_assert_mem_eq(&places[number], from, sizeof(*from));
        places[number] = *to;
    }
    pthread_mutex_unlock(&places_lock);
}

static void put_places(uint64_t round)
{
    for (unsigned i = 0; i < MANY; i++) {
        struct edge_store_location l = put_one(&f, i, 4000 + i + round);
        pthread_mutex_lock(&places_lock);
        places[i] = l;
        pthread_mutex_unlock(&places_lock);
    }
}

static struct edge_store_location place_of(unsigned i)
{
    pthread_mutex_lock(&places_lock);
    struct edge_store_location l = places[i];
    pthread_mutex_unlock(&places_lock);
    return l;
}

START_TEST(compaction_keeps_bytes)
{
    f.segment_bytes = 256 * 1024;
    f.on_moved = moved;
    open_store(&f);
    free(load(&f));
    put_places(0);
    for (unsigned i = 0; i < MANY; i++) {
        if (i % 4 != 0) {
            struct edge_store_location l = place_of(i);
            edge_store_remove(f.store, &l);
        }
    }
    struct edge_store_stats stats;
    do { /* segments are emptied while the writer is otherwise idle */
        edge_store_flush(f.store);
        for (unsigned i = 0; i < MANY; i += 4) {
            struct edge_store_location l = place_of(i);
            ck_assert_int_eq(check_body(&f, &l, i, 4000 + i), CDN_OK);
        }
        edge_store_stats(f.store, &stats);
    } while (stats.segments > 5);
    ck_assert_uint_gt(events(&f, EDGE_STORE_COMPACTED), 3);
    ck_assert_uint_eq(stats.objects, MANY / 4);
    f.on_moved = NULL;
    struct loaded *l = reopen(&f);
    ck_assert_uint_eq(l->count, MANY / 4);
    for (unsigned i = 0; i < MANY; i += 4) {
        ck_assert_int_eq(check_body(&f, &l->locations[i], i, 4000 + i), CDN_OK);
    }
    free(l);
}
END_TEST

START_TEST(budget_is_kept)
{
    struct edge_store_stats stats;
    f.budget = MIB;
    open_store(&f);
    free(load(&f));
    ck_assert_uint_lt(edge_store_capacity(f.store), f.budget);
    unsigned refused = 0;
    for (unsigned i = 0; i < 300; i++) {
        struct waiter w = WAITER;
        CDN_AUTOFREE unsigned char *body = body_of(i, 10000);
        ck_assert(put_async(&f, i, body, 10000, on_stored, &w));
        refused += await(&w) == CDN_UNAVAILABLE;
    }
    edge_store_stats(f.store, &stats);
    ck_assert_uint_gt(refused, 100);
    ck_assert_uint_eq(stats.refused, refused);
    ck_assert_uint_le(stats.disk_bytes, f.budget + 300000); /* the index's log may come on top */
    ck_assert_uint_gt(events(&f, EDGE_STORE_FULL), 0);
    struct edge_store_file *file = NULL;
    ck_assert_int_eq(edge_store_file_create(f.store, &file, NULL), CDN_UNAVAILABLE);
    edge_store_budget_set(f.store, 4 * MIB);
    put_one(&f, 1000, 10000);
    CDN_AUTOFREE unsigned char *body = body_of(1, 3 * MIB);
    ck_assert_int_eq(edge_store_file_create(f.store, &file, NULL), CDN_OK);
    ck_assert_int_eq(edge_store_file_write(file, 0, body, MIB, NULL), CDN_OK);
    ck_assert_int_eq(edge_store_file_write(file, MIB, body, 3 * MIB, NULL), CDN_UNAVAILABLE);
    ck_assert_int_eq(edge_store_file_write(file, MIB, body, 1, NULL), CDN_IO);
    edge_store_file_abort(file);
    edge_store_flush(f.store);
    edge_store_stats(f.store, &stats);
    ck_assert_uint_lt(stats.disk_bytes, 2 * MIB); /* the aborted bytes are given back */
}
END_TEST

/* Three times the budget passes through; random objects leave: nothing is refused, the budget holds, bytes
 * are right. */
START_TEST(steady_state_keeps_the_budget)
{
    struct edge_store_stats stats;
    uint64_t used = 0;
    uint64_t peak = 0;
    unsigned random = 1;
    f.budget = 16 * MIB;
    f.on_moved = moved;
    memset(places, 0, sizeof(places));
    open_store(&f);
    free(load(&f));
    for (unsigned i = 0; i < 1200; i++) {
        uint64_t cost = edge_store_cost(32, 32, 40000 + i);
        while (used + cost > edge_store_capacity(f.store) || place_of(i % MANY).id) {
            random = random * 1103515245u + 12345u;
            unsigned victim = place_of(i % MANY).id ? i % MANY : (random >> 8) % MANY;
            struct edge_store_location l = place_of(victim);
            pthread_mutex_lock(&places_lock);
            places[victim].id = 0;
            pthread_mutex_unlock(&places_lock);
            if (l.id) {
                used -= edge_store_cost(32, 32, l.body);
                edge_store_remove(f.store, &l);
            }
        }
        struct edge_store_location l = put_one(&f, i % MANY, 40000 + i);
        used += cost;
        pthread_mutex_lock(&places_lock);
        places[i % MANY] = l;
        pthread_mutex_unlock(&places_lock);
        edge_store_stats(f.store, &stats);
        peak = stats.disk_bytes > peak ? stats.disk_bytes : peak;
    }
    ck_assert_uint_le(peak, f.budget);
    ck_assert_uint_eq(stats.refused, 0);
    ck_assert_uint_gt(events(&f, EDGE_STORE_COMPACTED), 10);
    edge_store_flush(f.store);
    f.on_moved = NULL;
    struct loaded *l = reopen(&f);
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_uint_eq(l->locations[i].id, places[i].id);
        if (places[i].id) {
            ck_assert_int_eq(check_body(&f, &l->locations[i], i, l->sizes[i]), CDN_OK);
        }
    }
    free(l);
}
END_TEST

/* ---- partial objects ---- */

static struct edge_store_location commit_parts(struct edge_store_file *file,
                                               const struct edge_store_extent *extents, size_t n,
                                               enum cdn_status expected)
{
    struct waiter w = WAITER;
    struct edge_store_commit commit = {.key_hash = key_of(9),
                                       .key = CDN_STR("http://h/film"),
                                       .meta = CDN_STR("meta 9 8000000"),
                                       .body_length = 8000000,
                                       .extents = extents,
                                       .n_extents = n,
                                       .done = on_stored,
                                       .arg = &w};
    edge_store_file_commit(file, &commit);
    ck_assert_int_eq(await(&w), expected);
    return w.location;
}

START_TEST(partial_object_grows)
{
    static const struct edge_store_extent first[] = {{100, 5000}, {3 * MIB, 4 * MIB}};
    static const struct edge_store_extent later[] = {{0, 5000}, {7000, 9000}, {2 * MIB, 4 * MIB}};
    CDN_AUTOFREE unsigned char *body = body_of(9, 8000000);
    CDN_AUTOFREE unsigned char *got = cdn_malloc(2 * MIB);
    struct edge_store_file *file = NULL;
    open_store(&f);
    free(load(&f));
    ck_assert_int_eq(edge_store_file_create(f.store, &file, NULL), CDN_OK);
    for (size_t i = 2; i-- > 0;) {
        ck_assert_int_eq(edge_store_file_write(file, first[i].from, body + first[i].from,
                                               first[i].to - first[i].from, NULL),
                         CDN_OK);
    }
    struct edge_store_location l = commit_parts(file, first, 2, CDN_OK);
    ck_assert_int_eq(read_now(&f, &l, 100, got, 4900), CDN_OK);
    ck_assert_mem_eq(got, body + 100, 4900);
    ck_assert_int_eq(read_now(&f, &l, 99, got, 100), CDN_INVALID);
    ck_assert_int_eq(edge_store_file_reopen(f.store, &l, &file, NULL), CDN_OK);
    ck_assert_int_eq(edge_store_file_write(file, 0, body, 100, NULL), CDN_OK);
    ck_assert_int_eq(edge_store_file_write(file, 7000, body + 7000, 2000, NULL), CDN_OK);
    ck_assert_int_eq(edge_store_file_write(file, 2 * MIB, body + 2 * MIB, MIB, NULL), CDN_OK);
    struct edge_store_location grown = commit_parts(file, later, 3, CDN_OK);
    ck_assert_uint_eq(grown.id, l.id);
    free(reopen(&f));
    ck_assert_int_eq(read_now(&f, &l, 2 * MIB, got, 2 * MIB), CDN_OK);
    ck_assert_mem_eq(got, body + 2 * MIB, 2 * MIB);
    ck_assert_int_eq(read_now(&f, &l, 0, got, 5000), CDN_OK);
    ck_assert_mem_eq(got, body, 5000);
    ck_assert_int_eq(read_now(&f, &l, 5000, got, 1), CDN_INVALID);
    static const struct edge_store_extent wrong[] = {{10, 5}};
    ck_assert_int_eq(edge_store_file_reopen(f.store, &l, &file, NULL), CDN_OK);
    commit_parts(file, wrong, 1, CDN_INVALID);
    ck_assert_int_eq(read_now(&f, &l, 0, got, 5000), CDN_OK); /* as before */
}
END_TEST

/* ---- who may open ---- */

START_TEST(second_process_is_refused)
{
    open_store(&f);
    struct fixture other = f;
    struct cdn_error err;
    ck_assert_int_eq(try_open(&other, &err), CDN_CONFLICT);
    ck_assert_ptr_nonnull(strstr(err.text, f.directory));
}
END_TEST

START_TEST(directory_that_cannot_be)
{
    struct fixture other = {.directory = "/dev/null/cache"};
    struct cdn_error err;
    ck_assert_int_eq(try_open(&other, &err), CDN_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "/dev/null/cache"));
    f.budget = 1000;
    ck_assert_int_eq(try_open(&f, &err), CDN_INVALID);
}
END_TEST

START_TEST(orphans_are_deleted)
{
    open_store(&f);
    put_file(1, 300000, 65536);
    close_store(&f);
    CDN_AUTOFREE char *orphan = cdn_asprintf("%s/files/12345", f.directory);
    CDN_AUTOFREE char *temporary = cdn_asprintf("%s/tmp/12345", f.directory);
    close(open(orphan, O_CREAT | O_WRONLY, 0600));
    close(open(temporary, O_CREAT | O_WRONLY, 0600));
    open_store(&f);
    struct loaded *l = load(&f);
    edge_store_flush(f.store);
    ck_assert_int_ne(access(orphan, F_OK), 0);
    ck_assert_int_ne(access(temporary, F_OK), 0);
    ck_assert_uint_eq(events(&f, EDGE_STORE_ORPHAN), 1);
    ck_assert_int_eq(check_body(&f, &l->locations[1], 1, 300000), CDN_OK);
    free(l);
}
END_TEST

/* ---- no room, no descriptors ---- */

START_TEST(file_size_limit_stops_storing)
{
    struct rlimit old;
    struct waiter w = WAITER;
    CDN_AUTOFREE unsigned char *body = body_of(1, 200000);
    open_store(&f);
    free(load(&f));
    struct edge_store_location before = put_one(&f, 1, 200000);
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){300000, old.rlim_max});
    ck_assert(put_async(&f, 2, body, 200000, on_stored, &w));
    ck_assert_int_eq(await(&w), CDN_UNAVAILABLE);
    ck_assert_uint_eq(events(&f, EDGE_STORE_FULL), 1);
    ck_assert(!put_async(&f, 3, body, 1000, on_stored, &w)); /* for a moment nothing is tried */
    setrlimit(RLIMIT_FSIZE, &old);
    ck_assert_int_eq(check_body(&f, &before, 1, 200000), CDN_OK);
    struct loaded *l = reopen(&f);
    ck_assert_uint_eq(l->count, 1);
    put_one(&f, 4, 200000);
    free(l);
}
END_TEST

START_TEST(full_disk)
{
    CDN_AUTOFREE char *parent = cdn_strdup(f.directory);
    if (mount("none", f.directory, "tmpfs", 0, "mode=0700,size=3m") != 0) {
        return; /* not allowed here; the file size limit above tests the same path */
    }
    open_store(&f);
    free(load(&f));
    unsigned stored = 0;
    CDN_AUTOFREE struct waiter *w = cdn_calloc(1, sizeof(*w));
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->come, NULL);
    for (unsigned i = 0; i < 40; i++) {
        CDN_AUTOFREE unsigned char *body = body_of(i, 200000);
        if (put_async(&f, i, body, 200000, on_stored, w)) {
            stored += await(w) == CDN_OK;
        }
    }
    ck_assert_uint_gt(stored, 3);
    ck_assert_uint_lt(stored, 16);
    ck_assert_uint_ge(events(&f, EDGE_STORE_FULL), 1);
    struct loaded *l = reopen(&f);
    for (unsigned i = 0; i < 40; i++) {
        if (l->locations[i].id) {
            ck_assert_int_eq(check_body(&f, &l->locations[i], i, 200000), CDN_OK);
        }
    }
    free(l);
    close_store(&f);
    ck_assert_int_eq(umount(parent), 0);
}
END_TEST

START_TEST(out_of_descriptors)
{
    struct rlimit old;
    unsigned char byte;
    open_store(&f);
    free(load(&f));
    struct edge_store_location small = put_one(&f, 1, 5000);
    struct edge_store_location large = put_file(2, 300000, 65536);
    getrlimit(RLIMIT_NOFILE, &old);
    int next = dup(0);
    close(next);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)next, old.rlim_max}), 0);
    ck_assert_int_eq(read_now(&f, &large, 0, &byte, 1), CDN_OK); /* the idle segment made room */
    struct edge_store_ref *ref = NULL;
    int fd;
    off_t offset;
    ck_assert_int_eq(edge_store_body(f.store, &large, 0, 1, &ref, &fd, &offset), CDN_OK);
    ck_assert_int_eq(read_now(&f, &small, 0, &byte, 1), CDN_IO);
    ck_assert_uint_ge(events(&f, EDGE_STORE_DESCRIPTORS), 1);
    setrlimit(RLIMIT_NOFILE, &old);
    edge_store_release(f.store, ref);
    ck_assert_int_eq(check_body(&f, &small, 1, 5000), CDN_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *tc = tcase_create("store");
    tcase_set_timeout(tc, 300);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, round_trip);
    tcase_add_test(tc, ranges_and_descriptors);
    tcase_add_test(tc, update_and_remove_survive);
    tcase_add_test(tc, find_before_load);
    tcase_add_test(tc, compaction_keeps_bytes);
    tcase_add_test(tc, budget_is_kept);
    tcase_add_test(tc, steady_state_keeps_the_budget);
    tcase_add_test(tc, partial_object_grows);
    tcase_add_test(tc, second_process_is_refused);
    tcase_add_test(tc, directory_that_cannot_be);
    tcase_add_test(tc, orphans_are_deleted);
    tcase_add_test(tc, file_size_limit_stops_storing);
    tcase_add_test(tc, full_disk);
    tcase_add_test(tc, out_of_descriptors);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
