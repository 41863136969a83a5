/* Folders that are trusted: whose, who may write, what is a link. */
#include "common/folder.h"
#include "common/mem.h"
#include "common/status.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    mode_t mode;
    enum cdn_status status;
} modes[] = {
    {0700, CDN_OK}, {0755, CDN_OK}, {0750, CDN_OK},  {02755, CDN_OK}, {0770, CDN_IO},
    {0775, CDN_IO}, {0777, CDN_IO}, {01777, CDN_IO}, {0702, CDN_IO},
};

START_TEST(who_may_write)
{
    char dir[] = "/tmp/pocketcdn-folder-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (size_t i = 0; i < CDN_ARRAY_LEN(modes); i++) {
        struct cdn_error err = {0};
        ck_assert_int_eq(chmod(dir, modes[i].mode), 0);
        ck_assert_msg(cdn_folder_check("it", dir, true, &err) == modes[i].status, "%o", modes[i].mode);
        ck_assert_msg(cdn_folder_make("it", dir, false, &err) == modes[i].status, "%o", modes[i].mode);
        ck_assert(modes[i].status == CDN_OK || strstr(err.text, "others may write"));
    }
    rmdir(dir);
}
END_TEST

START_TEST(of_another_user)
{
    struct cdn_error err = {0};
    char dir[] = "/tmp/pocketcdn-folder-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(dir, 4711, 4711), 0);
        ck_assert_int_eq(cdn_folder_check("it", dir, true, &err), CDN_IO);
        ck_assert_ptr_nonnull(strstr(err.text, "another user (4711)"));
    } else {
        ck_assert_int_eq(cdn_folder_check("it", "/usr", true, &err), CDN_IO);
    }
    rmdir(dir);
}
END_TEST

START_TEST(links_and_files)
{
    char dir[] = "/tmp/pocketcdn-folder-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    CDN_AUTOFREE char *deep = cdn_asprintf("%s/a/b", dir);
    CDN_AUTOFREE char *above = cdn_asprintf("%s/a", dir);
    CDN_AUTOFREE char *link = cdn_asprintf("%s/link", dir);
    CDN_AUTOFREE char *inside = cdn_asprintf("%s/a/b/link", dir);
    struct stat st;
    ck_assert_int_eq(cdn_folder_check("it", deep, false, NULL), CDN_NOT_FOUND);
    ck_assert_int_eq(cdn_folder_make("it", deep, false, NULL), CDN_OK);
    ck_assert_int_eq(stat(above, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    ck_assert_int_eq(symlink(deep, link), 0);
    ck_assert_int_eq(cdn_folder_check("it", link, true, NULL), CDN_OK);
    ck_assert_int_eq(cdn_folder_check("it", link, false, NULL), CDN_INVALID);
    ck_assert_int_eq(symlink("/dev/null", inside), 0);
    int folder = open(deep, O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(cdn_folder_open(folder, "link", O_RDWR | O_CREAT), -1);
    ck_assert_int_eq(errno, ELOOP);
    int fd = cdn_folder_open(folder, "file", O_RDWR | O_CREAT);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    close(fd);
    unlinkat(folder, "file", 0);
    ck_assert_int_eq(mkfifoat(folder, "pipe", 0600), 0);
    ck_assert_int_eq(cdn_folder_open(folder, "pipe", O_RDWR), -1);
    unlinkat(folder, "pipe", 0);
    unlinkat(folder, "link", 0);
    close(folder);
    unlink(link);
    rmdir(deep);
    rmdir(above);
    rmdir(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("folder");
    TCase *tc = tcase_create("folder");
    tcase_add_test(tc, who_may_write);
    tcase_add_test(tc, of_another_user);
    tcase_add_test(tc, links_and_files);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
