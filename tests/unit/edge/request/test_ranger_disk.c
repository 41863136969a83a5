/* A stretch whose parts are on disk: read as it is sent, and fetched where the disk has lost it. */
#include "common/mem.h"
#include "common/str.h"
#include "edge/base/worker.h"
#include "edge/cache/cache.h"
#include "edge/cache/ghost.h"
#include "edge/memory/budget.h"
#include "edge/request/txn.h"
#include "edge/store/store.h"
#include "tests/unit/common/net_help.h"
#include "tests/unit/edge/edge_fixture.h"
#include "tests/unit/edge/ranger_fixture.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

#define DISK_SLICE 8192u
#define FILE_MOST ((size_t)1 << 20) /* of a file of the store here */

static char directory[64];

static void start_on_disk(void)
{
    const char *const flags[] = {"--disk", "64MiB",           "--cache-dir", directory, "--slice",
                                 "8192",   "--memory-object", "4096",        NULL};
    start_with(flags, (uint64_t)DISK_SLICE * 3);
}

static void set_up(void)
{
    snprintf(directory, sizeof(directory), "/tmp/pocketcdn-ranger-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    start_on_disk();
}

static void tear_down(void)
{
    end_request();
    end_edge(true);
    CDN_AUTOFREE char *remove = cdn_asprintf("rm -r %s", directory);
    ck_assert_int_eq(system(remove), 0);
}

/* Too large for the RAM tier: there until the writer has it. */
static bool is_on_disk(void *arg)
{
    struct edge_hold hold = {0};
    ck_assert(edge_cache_hold(edge->cache, arg, &hold));
    const bool there = hold.location.id && !hold.ram;
    edge_cache_release(edge->cache, &hold);
    return there;
}

static void store_on_disk(void)
{
    CDN_AUTOFREE char *parts = cdn_asprintf("0-%u %u-%u", DISK_SLICE - 1, DISK_SLICE, 2 * DISK_SLICE - 1);
    store_parts(KEY, parts);
    turn_until(worker->loop, is_on_disk, stored_at(0));
    turn_until(worker->loop, is_on_disk, stored_at(DISK_SLICE));
}

static const size_t blocks[] = {4096, 1000, 1};

START_TEST(from_disk)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    const uint64_t n = blocks[_i] == 1 ? 100 : 2 * DISK_SLICE - 10;
    store_on_disk();
    begin_at(5, n);
    read_until(&got, n, blocks[_i]);
    check_bytes(&got, 5, n, "from disk");
    ck_assert_str_eq(asked(), "");
}
END_TEST

/* Memory is short: it is read in smaller pieces. */
START_TEST(from_disk_with_little_memory)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    store_on_disk();
    edge_budget_add((size_t)1 << 30);
    begin_at(5, 2 * DISK_SLICE - 10);
    read_until(&got, 2 * DISK_SLICE - 10, 4096);
    edge_budget_sub((size_t)1 << 30);
    check_bytes(&got, 5, 2 * DISK_SLICE - 10, "from disk");
    ck_assert_str_eq(asked(), "");
}
END_TEST

/* Other bytes where the first part's lie in the files of this directory and those below. */
static unsigned damage(const char *path)
{
    CDN_AUTOBUF struct cdn_buf body = {0};
    unsigned found = 0;
    add_bytes(0, 0, DISK_SLICE, &body);
    DIR *list = opendir(path);
    for (struct dirent *e; list && (e = readdir(list)) != NULL;) {
        CDN_AUTOFREE char *name = cdn_asprintf("%s/%s", path, e->d_name);
        CDN_AUTOFREE char *bytes = cdn_malloc(FILE_MOST);
        if (e->d_type == DT_DIR && e->d_name[0] != '.') {
            found += damage(name);
        } else if (e->d_type == DT_REG) {
            const int fd = open(name, O_RDWR | O_CLOEXEC);
            const ssize_t n = pread(fd, bytes, FILE_MOST, 0);
            const char *at = n > 0 ? memmem(bytes, (size_t)n, body.p, body.n) : NULL;
            if (at) {
                ck_assert_int_eq(pwrite(fd, "?", 1, at - bytes + 5000), 1);
                found++;
            }
            close(fd);
        }
    }
    if (list) {
        closedir(list);
    }
    return found;
}

static bool is_awake(void *arg)
{
    (void)arg;
    return atomic_load(&edge->loaded_objects) >= 0 && edge_cache_wake(edge->cache, txn->entry, NULL, NULL);
}

/* After a start, when nothing is known to be right yet. */
START_TEST(damaged_on_disk)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    CDN_AUTOFREE char *asks = cdn_asprintf("0-%u", DISK_SLICE - 1);
    store_on_disk();
    end_request();
    end_edge(false);
    ck_assert_uint_eq(damage(directory), 1);
    start_on_disk();
    turn_until(worker->loop, is_awake, NULL);
    begin_at(0, 2 * DISK_SLICE);
    read_until(&got, 2 * DISK_SLICE, 4096);
    check_bytes(&got, 0, 2 * DISK_SLICE, "damaged, and fetched");
    ck_assert_str_eq(asked(), asks);
}
END_TEST

/* Removed from the disk between two of its bytes: the rest of it is fetched. */
START_TEST(evicted_from_disk)
{
    CDN_AUTOBUF struct cdn_buf got = {0};
    CDN_AUTOFREE char *asks = cdn_asprintf("%u-%u", DISK_SLICE, 2 * DISK_SLICE - 1);
    store_on_disk();
    begin_at(0, 2 * DISK_SLICE);
    read_until(&got, 100, 100);
    edge_cache_remove(edge->cache, stored_at(DISK_SLICE), EDGE_GHOST_EVICTED);
    read_until(&got, 2 * DISK_SLICE, 4096);
    check_bytes(&got, 0, 2 * DISK_SLICE, "evicted, and fetched");
    ck_assert_str_eq(asked(), asks);
}
END_TEST

static void add(TCase *tc)
{
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, from_disk, 0, CDN_ARRAY_LEN(blocks));
    tcase_add_test(tc, from_disk_with_little_memory);
    tcase_add_test(tc, damaged_on_disk);
    tcase_add_test(tc, evicted_from_disk);
}

int main(void)
{
    return run_suite("ranger_disk", add);
}
