/* The store after accidents: SIGKILL at any moment, flipped bits, torn and missing files, lost and broken
 * indexes. What reads back is what was stored, always; check_body aborts on a wrong byte. */
#include "common/clock.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/store/store.h"
#include "tests/unit/edge/store_fixture.h"
#include "tests/unit/long.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/banned.h"

static struct fixture f;
static uint32_t random_state;

static void set_up(void)
{
    memset(&f, 0, sizeof(f));
    make_fixture(&f);
    random_state = 4711;
}

static void tear_down(void)
{
    drop_fixture(&f);
}

static uint32_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

static size_t size_of(uint64_t number)
{
    return number % 17 == 0 ? 300000 + number * 100 : (number * 7919) % 40000;
}

/* ---- killed ---- */

static void on_done(void *arg, enum cdn_status status, const struct edge_store_location *l)
{
    (void)status, (void)l;
    free(arg);
}

static void put_large(uint64_t number, const unsigned char *body, size_t n)
{
    struct edge_store_file *file = NULL;
    CDN_AUTOFREE char *meta = cdn_asprintf("meta %lu %zu", number, n);
    if (edge_store_file_create(f.store, &file, NULL) == CDN_OK) {
        if (edge_store_file_write(file, 0, body, n, NULL) != CDN_OK) {
            edge_store_file_abort(file);
            return;
        }
        struct edge_store_commit commit = {.key_hash = key_of(number),
                                           .key = CDN_STR("http://h/large"),
                                           .meta = cdn_str(meta),
                                           .body_length = n};
        edge_store_file_commit(file, &commit);
    }
}

/* The child stores, removes and updates until it is killed. */
static void work_until_killed(unsigned round)
{
    open_store(&f);
    struct loaded *l = load(&f);
    for (uint64_t number = round * 7;; number = (number + 1) % LOADED_MAX) {
        size_t n = size_of(number);
        unsigned char *body = body_of(number, n);
        if (l->locations[number].id) {
            struct edge_store_key key = key_of(number);
            CDN_AUTOFREE char *meta = cdn_asprintf("meta %lu %zu again", number, n);
            edge_store_update(f.store, &key, &l->locations[number], cdn_str(meta));
        }
        if (number % 3 == 0 && l->locations[number].id) {
            edge_store_remove(f.store, &l->locations[number]);
        }
        if (n > EDGE_STORE_PACKED_MAX) {
            put_large(number, body, n);
            free(body);
        } else if (!put_async(&f, number, body, n, on_done, body)) {
            free(body);
        }
    }
}

static unsigned verify_all(struct loaded *l)
{
    unsigned good = 0;
    for (unsigned i = 0; i < LOADED_MAX; i++) {
        if (l->locations[i].id) {
            good += check_body(&f, &l->locations[i], i, l->sizes[i]) == CDN_OK;
        }
    }
    return good;
}

/* The kernel ends this process after so long: no handler, no last words. */
static void die_after(unsigned us)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    struct itimerspec when = {.it_value = {.tv_nsec = us * 1000L}};
    ck_assert_int_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    ck_assert_int_eq(timer_settime(timer, 0, &when, NULL), 0);
}

START_TEST(killed_at_any_moment)
{
    unsigned good = 0;
    f.segment_bytes = MIB;
    const int64_t until = cdn_clock_mono_ms() + (is_long_test() ? 4000 : 1500);
    for (unsigned round = 0; cdn_clock_mono_ms() < until || good <= 100; round++) {
        const unsigned longer =
            round / 32 < 4 ? round / 32 : 4; /* on a busy machine nothing is written at once */
        unsigned life_us = 5000 + draw() % (120000U << (good ? 0 : longer));
        pid_t child = fork();
        if (child == 0) {
            die_after(life_us);
            work_until_killed(round);
        }
        waitpid(child, NULL, 0);
        open_store(&f);
        struct loaded *l = load(&f);
        good += verify_all(l);
        free(l);
        ck_assert_uint_eq(events(&f, EDGE_STORE_CHECKSUM), 0);
        ck_assert_uint_eq(events(&f, EDGE_STORE_QUARANTINED), 0);
        close_store(&f);
    }
}
END_TEST

START_TEST(what_was_committed_survives_a_kill)
{
    pid_t child = fork();
    if (child == 0) {
        open_store(&f);
        free(load(&f));
        for (uint64_t i = 0; i < 200; i++) {
            put_one(&f, i, 1000 + i);
        }
        edge_store_flush(f.store);
        raise(SIGKILL);
    }
    waitpid(child, NULL, 0);
    open_store(&f);
    struct loaded *l = load(&f);
    ck_assert_uint_eq(l->count, 200);
    ck_assert_uint_eq(verify_all(l), 200);
    free(l);
}
END_TEST

/* ---- damaged ---- */

static void fill(void)
{
    open_store(&f);
    free(load(&f));
    for (uint64_t i = 1; i < 80; i++) {
        CDN_AUTOFREE unsigned char *body = body_of(i, size_of(i));
        if (size_of(i) > EDGE_STORE_PACKED_MAX) {
            put_large(i, body, size_of(i));
        } else {
            put_one(&f, i, size_of(i));
        }
    }
    close_store(&f);
}

static off_t size_at(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : -1;
}

static void flip(const char *path, unsigned times)
{
    int fd = open(path, O_RDWR);
    off_t size = size_at(path);
    for (unsigned i = 0; i < times && size > 0; i++) {
        unsigned char byte;
        off_t at = (off_t)(draw() % (uint64_t)size);
        ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
        byte ^= (unsigned char)(1u << draw() % 8);
        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
}

static void on_all(const char *folder, void (*harm)(const char *path))
{
    CDN_AUTOFREE char *path = cdn_asprintf("%s/%s", f.directory, folder);
    DIR *list = opendir(path);
    for (struct dirent *e; (e = readdir(list)) != NULL;) {
        if (e->d_name[0] != '.') {
            CDN_AUTOFREE char *name = cdn_asprintf("%s/%s", path, e->d_name);
            harm(name);
        }
    }
    closedir(list);
}

static void flip_some(const char *path)
{
    flip(path, 12);
}

static void truncate_some(const char *path)
{
    ck_assert_int_eq(truncate(path, size_at(path) / 2), 0);
}

static void delete_it(const char *path)
{
    unlink(path);
}

/* A load that may fail to find anything, but must end; and then the store must still work. */
static unsigned survive(void)
{
    open_store(&f);
    struct loaded *l = load(&f);
    unsigned good = verify_all(l);
    free(l);
    struct edge_store_location fresh = put_one(&f, 2000, 1234);
    ck_assert_int_eq(check_body(&f, &fresh, 2000, 1234), CDN_OK);
    close_store(&f);
    return good;
}

static const struct accident {
    const char *folder;
    void (*harm)(const char *path);
    unsigned least, most; /* objects of 79 that read back */
} accidents[] = {
    {"segments", flip_some, 50, 78}, {"segments", truncate_some, 10, 70}, {"segments", delete_it, 4, 4},
    {"files", flip_some, 70, 79},    {"files", truncate_some, 75, 75},    {"files", delete_it, 75, 75},
};

START_TEST(damage_is_noticed)
{
    fill();
    on_all(accidents[_i].folder, accidents[_i].harm);
    unsigned good = survive();
    ck_assert_msg(good >= accidents[_i].least && good <= accidents[_i].most, "%u objects read back", good);
}
END_TEST

START_TEST(damaged_index_is_never_believed)
{
    CDN_AUTOFREE char *path = cdn_asprintf("%s/index.db", f.directory);
    for (unsigned round = 0; round < 12; round++) {
        fill();
        flip(path, 1 + round * 4);
        survive();
        empty_directory(f.directory);
    }
}
END_TEST

static void scribble(const char *path)
{
    int fd = open(path, O_WRONLY | O_TRUNC);
    ck_assert_int_eq(write(fd, "this is no database, and long enough to be looked at", 52), 52);
    close(fd);
}

START_TEST(lost_index_is_rebuilt)
{
    CDN_AUTOFREE char *path = cdn_asprintf("%s/index.db", f.directory);
    CDN_AUTOFREE char *aside = cdn_asprintf("%s/index.db.corrupt", f.directory);
    fill();
    open_store(&f);
    struct loaded *l = load(&f);
    edge_store_remove(f.store, &l->locations[5]);
    free(l);
    close_store(&f);
    if (_i == 0) {
        delete_it(path);
    } else {
        scribble(path);
    }
    open_store(&f);
    l = load(&f);
    ck_assert_uint_eq(l->count, 78);
    ck_assert_uint_eq(l->locations[5].id, 0); /* what was removed stays so */
    ck_assert(l->rebuilt[6]);
    ck_assert_uint_eq(verify_all(l), 78);
    ck_assert_uint_eq(events(&f, EDGE_STORE_REBUILT), 1);
    ck_assert_int_eq(access(aside, F_OK) == 0, _i == 1);
    struct edge_store_key key = key_of(6);
    edge_store_update(f.store, &key, &l->locations[6], CDN_STR("meta 6 7514"));
    free(l);
    l = reopen(&f);
    ck_assert_uint_eq(l->count, 78);
    ck_assert(!l->rebuilt[6] && l->rebuilt[7]);
    free(l);
}
END_TEST

/* A body that contains a whole segment, records and all, must not be taken for records. */
START_TEST(body_cannot_pretend_to_be_records)
{
    unsigned char *forged = cdn_malloc(EDGE_STORE_PACKED_MAX);
    CDN_AUTOFREE char *index = cdn_asprintf("%s/index.db", f.directory);
    CDN_AUTOFREE char *segment = cdn_asprintf("%s/segments/1", f.directory);
    open_store(&f);
    free(load(&f));
    put_one(&f, 1, 1000);
    edge_store_flush(f.store);
    int fd = open(segment, O_RDWR);
    ssize_t n = pread(fd, forged, EDGE_STORE_PACKED_MAX, 0);
    ck_assert_int_gt(n, 1000);
    memset(forged + 0, 0x41, 8); /* a forger does not know the secret: any change of the head is noticed */
    ck_assert_int_eq(pwrite(fd, forged, (size_t)n, 8192), n);
    close(fd);
    close_store(&f);
    free(forged);
    delete_it(index);
    open_store(&f);
    struct loaded *l = load(&f);
    ck_assert_uint_eq(l->count, 1);
    ck_assert_uint_eq(l->locations[1].place, 0);
    free(l);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_crash");
    TCase *tc = tcase_create("store_crash");
    tcase_set_timeout(tc, 300);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, killed_at_any_moment);
    tcase_add_test(tc, what_was_committed_survives_a_kill);
    tcase_add_loop_test(tc, damage_is_noticed, 0, CDN_ARRAY_LEN(accidents));
    tcase_add_test(tc, damaged_index_is_never_believed);
    tcase_add_loop_test(tc, lost_index_is_rebuilt, 0, 2);
    tcase_add_test(tc, body_cannot_pretend_to_be_records);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
