/* The folder of a running CDN: who holds it, what is believed of it, and what is refused. */
#include "cli/run/state.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"

#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

static char folder[] = "/tmp/pocketcdn-state-XXXXXX";
static struct cdn_error err;

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static char *in_folder(const char *name)
{
    return cdn_asprintf("%s/%s", folder, name);
}

static void tear_down(void)
{
    static const char *const names[] = {"lock", "up.json", "up.json.new", "other", "link"};
    for (size_t i = 0; i < CDN_ARRAY_LEN(names); i++) {
        CDN_AUTOFREE char *path = in_folder(names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    CDN_AUTOFREE char *path = in_folder(name);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

/* ---- where ---- */

static const struct {
    const char *text, *xdg, *home, *path; /* path NULL: refused */
} places[] = {
    {"/a/b", "/x", "/h", "/a/b"},
    {NULL, "/x", "/h", "/x/pocketcdn"},
    {"", "/x", "/h", "/x/pocketcdn"},
    {NULL, NULL, "/h", "/h/.local/state/pocketcdn"},
    {NULL, "", "/h", "/h/.local/state/pocketcdn"},
    {NULL, "relative", "/h", "/h/.local/state/pocketcdn"}, /* not absolute: ignored, as the standard says */
    {NULL, NULL, NULL, NULL},
    {NULL, NULL, "", NULL},
    {NULL, NULL, "relative", NULL},
    {"/a", NULL, NULL, "/a"},
};

static void set_or_unset(const char *name, const char *value)
{
    ck_assert_int_eq(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

START_TEST(where_it_is)
{
    char *path = NULL;
    set_or_unset("XDG_STATE_HOME", places[_i].xdg);
    set_or_unset("HOME", places[_i].home);
    ck_assert_int_eq(state_path(places[_i].text, &path, &err), places[_i].path ? CDN_OK : CDN_USAGE);
    ck_assert(!places[_i].path || strcmp(path, places[_i].path) == 0);
    free(path);
}
END_TEST

START_TEST(a_relative_one_is_from_here)
{
    char *path;
    CDN_AUTOFREE char *here = getcwd(NULL, 0);
    CDN_AUTOFREE char *expected = cdn_asprintf("%s/s/t", here);
    ck_assert_int_eq(state_path("s/t", &path, &err), CDN_OK);
    ck_assert_str_eq(path, expected);
    free(path);
}
END_TEST

/* ---- the lock ---- */

START_TEST(one_at_a_time)
{
    int fd, second;
    pid_t owner = 0;
    ck_assert_int_eq(state_owner(folder, &owner, &err), CDN_NOT_FOUND);
    ck_assert_int_eq(state_lock(folder, &fd, &err), CDN_OK);
    ck_assert_int_eq(state_owner(folder, &owner, &err), CDN_OK);
    ck_assert_int_eq(owner, getpid());
    ck_assert(state_holds_lock(folder, getpid()));
    ck_assert(!state_holds_lock(folder, getppid()));
    ck_assert_int_eq(state_lock(folder, &second, &err), CDN_CONFLICT);
    CDN_AUTOFREE char *said = cdn_asprintf("(pid %ld)", (long)getpid());
    ck_assert_msg(strstr(err.text, said) && strstr(err.text, folder), "%s", err.text);
    close(fd); /* as a crash does: the file stays, and says nothing any more */
    ck_assert_int_eq(state_owner(folder, &owner, &err), CDN_NOT_FOUND);
    ck_assert(!state_holds_lock(folder, getpid()));
    ck_assert_int_eq(state_lock(folder, &fd, &err), CDN_OK);
    close(fd);
}
END_TEST

/* Who takes the lock forgets what an earlier one wrote. */
START_TEST(what_was_left_is_forgotten)
{
    int fd;
    CDN_AUTOFREE char *path = in_folder("up.json");
    write_file("up.json", "{}", 0600);
    ck_assert_int_eq(state_lock(folder, &fd, &err), CDN_OK);
    ck_assert_int_ne(access(path, F_OK), 0);
    close(fd);
}
END_TEST

static const struct {
    const char *text;
    enum cdn_status status;
    pid_t owner;
} locks[] = {
    {"4711\n", CDN_OK, 4711},
    {"4711", CDN_OK, 4711},
    {"4711\nmore\n", CDN_OK, 4711},
    {"2\n", CDN_OK, 2},
    {"2147483647\n", CDN_OK, 2147483647},
    {"", CDN_NOT_FOUND, 0}, /* it has only just begun */
    {"\n", CDN_REFUSED, 0},
    {"0\n", CDN_REFUSED, 0}, /* kill(0) is the own group, */
    {"1\n", CDN_REFUSED, 0},
    {"-1\n", CDN_REFUSED, 0}, /* and -1 is everybody */
    {"2147483648\n", CDN_REFUSED, 0},
    {"99999999999999999999\n", CDN_REFUSED, 0},
    {"12x\n", CDN_REFUSED, 0},
    {" 12\n", CDN_REFUSED, 0},
    {"0x12\n", CDN_REFUSED, 0},
};

START_TEST(pids_in_the_lock)
{
    int fd;
    pid_t owner = 0;
    ck_assert_int_eq(state_lock(folder, &fd, &err), CDN_OK);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(pwrite(fd, locks[_i].text, strlen(locks[_i].text), 0), (ssize_t)strlen(locks[_i].text));
    ck_assert_int_eq(state_owner(folder, &owner, &err), locks[_i].status);
    ck_assert_int_eq(owner, locks[_i].owner);
    close(fd);
}
END_TEST

/* ---- files ---- */

START_TEST(files_are_replaced_whole)
{
    char text[64] = "";
    struct stat info;
    CDN_AUTOFREE char *path = in_folder("other");
    write_file("other", "what was there before, and longer", 0644);
    write_file("other.new", "of a crash", 0644);
    ck_assert_int_eq(state_replace(folder, "other", CDN_STR("new"), &err), CDN_OK);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(read(fd, text, sizeof(text) - 1), 3);
    ck_assert_str_eq(text, "new");
    ck_assert_int_eq(fstat(fd, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0600); /* tokens may stand in it */
    close(fd);
    CDN_AUTOFREE char *left = in_folder("other.new");
    ck_assert_int_ne(access(left, F_OK), 0);
}
END_TEST

/* What a link points at is never written. */
START_TEST(links_are_replaced_not_followed)
{
    char text[8] = "";
    CDN_AUTOFREE char *other = in_folder("other");
    CDN_AUTOFREE char *link = in_folder("link");
    CDN_AUTOFREE char *fresh = in_folder("link.new");
    write_file("other", "mine", 0600);
    ck_assert_int_eq(symlink(other, link), 0);
    ck_assert_int_eq(symlink(other, fresh), 0);
    ck_assert_int_eq(state_replace(folder, "link", CDN_STR("new"), &err), CDN_OK);
    int fd = open(other, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(read(fd, text, sizeof(text) - 1), 4);
    close(fd);
}
END_TEST

#define NODE(pid) \
    "{\"kind\":\"edge\",\"name\":\"fra\",\"url\":\"http://h\",\"admin\":\"http://h\",\"pid\":" pid "}"
#define UP(pid, node) \
    "{\"pid\":" pid ",\"router\":\"http://h\",\"router_admin\":\"http://h\",\"nodes\":[" node "]}"

static const struct {
    const char *json; /* %ld: the own pid; NULL: no file */
    mode_t mode;
    enum cdn_status status;
    const char *error;
} files[] = {
    {UP("%ld", NODE("0")), 0600, CDN_OK, NULL},
    {UP("%ld", NODE("0")), 0644, CDN_OK, NULL},
    {UP("%ld", NODE("0")), 0620, CDN_IO, "others may write to it"},
    {UP("%ld", NODE("0")), 0602, CDN_IO, "others may write to it"},
    {NULL, 0, CDN_NOT_FOUND, "is still starting"},
    {"", 0600, CDN_CORRUPT, "up.json: is empty"},
    {"{", 0600, CDN_CORRUPT, "up.json:1: "},
    {"{\n\n\"pid\": }", 0600, CDN_CORRUPT, "up.json:3: "},
    {"{\"pid\":1,\"pid\":2}", 0600, CDN_CORRUPT, "up.json:1: "},
    {"{}", 0600, CDN_CORRUPT, "up.json: pid: is missing"},
    {UP("4711", NODE("0")), 0600, CDN_CORRUPT, "pid: 4711 is not the process that"},
    {UP("%ld", NODE("1")), 0600, CDN_CORRUPT, "nodes[0]: pid: 1 is not a process of this CDN"},
};

START_TEST(what_is_believed)
{
    int fd;
    json_t *what = NULL;
    ck_assert_int_eq(state_lock(folder, &fd, &err), CDN_OK);
    CDN_AUTOFREE char *pid = cdn_asprintf("%ld", (long)getpid());
    const char *at = files[_i].json ? strstr(files[_i].json, "%ld") : NULL;
    CDN_AUTOFREE char *text =
        at ? cdn_asprintf("%.*s%s%s", (int)(at - files[_i].json), files[_i].json, pid, at + 3)
           : cdn_strdup(files[_i].json ? files[_i].json : "");
    if (files[_i].json) {
        write_file("up.json", text, files[_i].mode);
    }
    ck_assert_msg(state_read(folder, &what, &err) == files[_i].status, "%s: %s", text, err.text);
    ck_assert_msg(!files[_i].error || strstr(err.text, files[_i].error), "%s: %s", text, err.text);
    ck_assert((what != NULL) == (files[_i].status == CDN_OK));
    json_decref(what);
    close(fd);
}
END_TEST

START_TEST(written_and_read)
{
    int fd;
    json_t *again;
    json_t *what = json_pack("{s:i,s:s,s:s,s:[{s:s,s:s,s:s,s:s,s:s}]}", "pid", (int)getpid(), "router",
                             "http://h", "router_admin", "http://h", "nodes", "kind", "edge", "name", "fra",
                             "url", "http://h", "admin", "http://h", "token", "t \"\\ \xc3\xa9");
    ck_assert_int_eq(state_lock(folder, &fd, &err), CDN_OK);
    ck_assert_int_eq(state_write(folder, what, &err), CDN_OK);
    ck_assert_msg(state_read(folder, &again, &err) == CDN_OK, "%s", err.text);
    ck_assert(json_equal(what, again));
    json_decref(what);
    json_decref(again);
    close(fd);
    ck_assert_int_eq(state_read(folder, &again, &err), CDN_NOT_FOUND); /* nobody holds it any more */
}
END_TEST

/* Nothing in a folder that others may write to is believed. */
START_TEST(folders_of_others)
{
    pid_t owner;
    ck_assert_int_eq(chmod(folder, 0770), 0);
    ck_assert_int_ne(state_make(folder, &err), CDN_OK);
    ck_assert_int_eq(state_owner(folder, &owner, &err), CDN_IO);
    ck_assert_int_eq(chmod(folder, 0700), 0);
    ck_assert_int_eq(state_make(folder, &err), CDN_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state");
    TCase *all = tcase_create("all");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, where_it_is, 0, (int)CDN_ARRAY_LEN(places));
    tcase_add_test(all, a_relative_one_is_from_here);
    tcase_add_test(all, one_at_a_time);
    tcase_add_test(all, what_was_left_is_forgotten);
    tcase_add_loop_test(all, pids_in_the_lock, 0, (int)CDN_ARRAY_LEN(locks));
    tcase_add_test(all, files_are_replaced_whole);
    tcase_add_test(all, links_are_replaced_not_followed);
    tcase_add_loop_test(all, what_is_believed, 0, (int)CDN_ARRAY_LEN(files));
    tcase_add_test(all, written_and_read);
    tcase_add_test(all, folders_of_others);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
