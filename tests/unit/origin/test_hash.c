/* origin/hash, hash_file, root: ETags of content, what is kept over restarts, identities of files. */
#include "common/mem.h"
#include "common/status.h"
#include "origin/base/root.h"
#include "origin/hash.h"
#include "origin/hash_file.h"

#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

static char dir[] = "/tmp/origin-hash-XXXXXX";

static char *in_dir(const char *name)
{
    return cdn_asprintf("%s/%s", dir, name);
}

static void write_file(const char *name, const char *text)
{
    CDN_AUTOFREE char *path = in_dir(name);
    FILE *f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    fclose(f);
}

START_TEST(test_etag)
{
    char a[ORIGIN_ETAG_SIZE], b[ORIGIN_ETAG_SIZE];
    struct origin_hash hash = origin_hash_bytes("abc", 3);
    origin_etag_format(&hash, "", a);
    ck_assert_str_eq(a, "\"06b05ab6733a618578af5f94892f3950\""); /* XXH3's own test vector */
    origin_etag_format(&hash, "gzip", b);
    ck_assert_str_eq(b, "\"06b05ab6733a618578af5f94892f3950-gzip\"");
    hash = (struct origin_hash){1, 2};
    origin_etag_format(&hash, "", a);
    ck_assert_str_eq(a, "\"00000000000000010000000000000002\"");
}
END_TEST

struct seen {
    unsigned count;
    struct origin_file_id id;
    struct origin_hash hash;
};

static void take(void *arg, const struct origin_file_id *id, const struct origin_hash *hash)
{
    struct seen *seen = arg;
    seen->count++;
    seen->id = *id;
    seen->hash = *hash;
}

static struct seen read_records(void)
{
    struct origin_hash_file *file;
    struct seen seen = {0};
    CDN_AUTOFREE char *state = in_dir("state");
    ck_assert_int_eq(origin_hash_file_open(state, &file, NULL), CDN_OK);
    origin_hash_file_read(file, take, &seen);
    origin_hash_file_close(file);
    return seen;
}

static void append_records(unsigned n)
{
    struct origin_hash_file *file;
    CDN_AUTOFREE char *state = in_dir("state");
    ck_assert_int_eq(origin_hash_file_open(state, &file, NULL), CDN_OK);
    for (unsigned i = 0; i < n; i++) {
        origin_hash_file_append(file, &(struct origin_file_id){.ino = i, .size = 5},
                                &(struct origin_hash){i, 7});
    }
    origin_hash_file_close(file);
}

START_TEST(test_file)
{
    CDN_AUTOFREE char *path = in_dir("state/hashes");
    unlink(path);
    ck_assert_uint_eq(read_records().count, 0);
    append_records(3);
    struct seen seen = read_records();
    ck_assert_uint_eq(seen.count, 3);
    ck_assert_uint_eq(seen.id.ino, 2);
    ck_assert_uint_eq(seen.id.size, 5);
    ck_assert_uint_eq(seen.hash.high, 2);
    ck_assert_uint_eq(seen.hash.low, 7);
    ck_assert_int_eq(truncate(path, 3 * 64 - 1), 0); /* torn: the last is gone, and cut off */
    ck_assert_uint_eq(read_records().count, 2);
    append_records(1);
    ck_assert_uint_eq(read_records().count, 3);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(pwrite(fd, "x", 1, 64), 1); /* damaged: it and what follows do not count */
    close(fd);
    ck_assert_uint_eq(read_records().count, 1);
}
END_TEST

START_TEST(test_one_process)
{
    struct origin_hash_file *first, *second = NULL;
    struct cdn_error err;
    CDN_AUTOFREE char *state = in_dir("state");
    ck_assert_int_eq(origin_hash_file_open(state, &first, NULL), CDN_OK);
    ck_assert_int_eq(origin_hash_file_open(state, &second, &err), CDN_CONFLICT);
    ck_assert_ptr_null(second);
    origin_hash_file_close(first);
    ck_assert_int_eq(origin_hash_file_open("/dev/null/x", &second, &err), CDN_IO);
}
END_TEST

static const struct {
    const char *name;
    bool opens;
} names[] = {
    {"a.txt", true},
    {"sub/b.txt", true},
    {"sub/../a.txt", true},
    {"", true},
    {"inside", true},
    {"nothing", false},
    {"../etc/passwd", false},
    {"/etc/passwd", false},
    {"outside", false},
    {"outside-dir/etc/passwd", false},
    {"sub/../../etc/passwd", false},
};

START_TEST(test_root)
{
    struct origin_root *root;
    struct stat st;
    ck_assert_int_eq(origin_root_open(dir, &root, NULL), CDN_OK);
    int fd = origin_root_file(root, names[_i].name, &st);
    ck_assert_msg((fd >= 0) == names[_i].opens, "%s", names[_i].name);
    if (fd >= 0) {
        close(fd);
    }
    origin_root_close(root);
}
END_TEST

START_TEST(test_identity)
{
    struct origin_root *root;
    struct stat st;
    struct origin_file_id id;
    ck_assert_int_eq(origin_root_open(dir, &root, NULL), CDN_OK);
    int fd = origin_root_file(root, "a.txt", &st);
    origin_file_id_of(&st, &id);
    ck_assert(origin_root_is_same(root, "a.txt", &id));
    ck_assert(origin_root_is_same(root, "inside", &id)); /* a link to it */
    ck_assert(!origin_root_is_same(root, "sub/b.txt", &id));
    ck_assert(!origin_root_is_same(root, "nothing", &id));
    ck_assert_int_eq(fchmod(fd, 0600), 0);
    ck_assert(origin_file_id_holds(fd, &id));
    write_file("a.txt", "longer than before");
    ck_assert(!origin_file_id_holds(fd, &id));
    ck_assert(!origin_root_is_same(root, "a.txt", &id));
    int64_t changed_ms = id.changed_ns / 1000000;
    ck_assert(!origin_file_id_is_settled(&id, changed_ms + 1000));
    ck_assert(origin_file_id_is_settled(&id, changed_ms + 2000));
    ck_assert(origin_root_exists(root, "a.txt") && !origin_root_exists(root, "nothing"));
    close(fd);
    origin_root_close(root);
}
END_TEST

START_TEST(test_bad_root)
{
    struct origin_root *root = NULL;
    struct cdn_error err;
    ck_assert_int_eq(origin_root_open("/does/not/exist", &root, &err), CDN_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "/does/not/exist"));
    ck_assert_int_eq(origin_root_open("/etc/passwd", &root, &err), CDN_IO);
    ck_assert_ptr_null(root);
}
END_TEST

static void make_dir(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    CDN_AUTOFREE char *sub = in_dir("sub"), *inside = in_dir("inside"), *outside = in_dir("outside"),
                      *outside_dir = in_dir("outside-dir");
    ck_assert_int_eq(mkdir(sub, 0700), 0);
    write_file("a.txt", "a");
    write_file("sub/b.txt", "b");
    ck_assert_int_eq(symlink("a.txt", inside), 0);
    ck_assert_int_eq(symlink("/etc/passwd", outside), 0);
    ck_assert_int_eq(symlink("../..", outside_dir), 0);
}

static void remove_dir(void)
{
    static const char *const all[] = {"state/hashes", "state",  "sub/b.txt", "sub",
                                      "a.txt",        "inside", "outside",   "outside-dir"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(all); i++) {
        CDN_AUTOFREE char *path = in_dir(all[i]);
        (void)remove(path);
    }
    (void)remove(dir);
}

int main(void)
{
    Suite *suite = suite_create("origin/hash");
    TCase *tests = tcase_create("all");
    tcase_add_unchecked_fixture(tests, make_dir, remove_dir);
    tcase_add_test(tests, test_etag);
    tcase_add_test(tests, test_file);
    tcase_add_test(tests, test_one_process);
    tcase_add_loop_test(tests, test_root, 0, (int)CDN_ARRAY_LEN(names));
    tcase_add_test(tests, test_identity);
    tcase_add_test(tests, test_bad_root);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
