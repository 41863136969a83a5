/* store_folder: the directory of a store: its parts, and the lock that says whose it is.
 *
 * It may be deleted and made anew while the store is open (store_remake.c). Other threads use the old
 * descriptors' numbers all the time, so the new directory and lock are put under the same numbers (dup3)
 * instead of being handed to everybody. What is found is not believed: a part must be a folder of this user.
 */
#include "common/folder.h"
#include "common/mem.h"
#include "common/status.h"
#include "edge/store/store_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

static enum cdn_status make_part(int dir, const char *name, const char *path, struct cdn_error *err)
{
    struct stat st;
    if ((mkdirat(dir, name, 0700) != 0 && errno != EEXIST) ||
        fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        faccessat(dir, name, R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
        return cdn_error_set(err, CDN_IO, "cache_dir %s/%s: %s", path, name, strerror(errno));
    }
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
        return cdn_error_set(err, CDN_IO, "cache_dir %s/%s: is not a folder of ours", path, name);
    }
    return CDN_OK;
}

/* Other threads use the number of an old descriptor all the time: it is given the new file at once. */
static void replace(int *fd, int by)
{
    if (*fd < 0) {
        *fd = by;
        return;
    }
    while (dup3(by, *fd, O_CLOEXEC) < 0 && (errno == EINTR || errno == EBUSY)) {
    }
    close(by);
}

/* The lock file also keeps the store's secret. A new one makes all that is there invalid, which is safe. */
static enum cdn_status read_secret(struct edge_store *s, int fd, struct cdn_error *err)
{
    const ssize_t n = (ssize_t)sizeof(s->secret);
    if (s->lock_fd < 0 && pread(fd, &s->secret, sizeof(s->secret), 0) == n) {
        return CDN_OK;
    }
    if ((s->lock_fd < 0 && getrandom(&s->secret, sizeof(s->secret), 0) != n) ||
        pwrite(fd, &s->secret, sizeof(s->secret), 0) != n) {
        return cdn_error_set(err, CDN_IO, "cache_dir %s: lock cannot be written: %s", s->path,
                             strerror(errno));
    }
    return CDN_OK;
}

static bool same_file(int dir, const char *name, int fd)
{
    struct stat there, open;
    return fd >= 0 && fstatat(dir, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &open) == 0 &&
           there.st_ino == open.st_ino && there.st_dev == open.st_dev;
}

static enum cdn_status take_lock(struct edge_store *s, int dir, struct cdn_error *err)
{
    if (same_file(dir, "lock", s->lock_fd)) {
        return CDN_OK;
    }
    enum cdn_status status = CDN_OK;
    int fd = cdn_folder_open(dir, "lock", O_RDWR | O_CREAT);
    if (fd < 0) {
        return cdn_error_set(err, CDN_IO, "cache_dir %s/lock: cannot be opened: %s", s->path,
                             strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        status = cdn_error_set(err, CDN_CONFLICT, "cache_dir %s: in use by another process", s->path);
    } else {
        status = read_secret(s, fd, err);
    }
    if (status != CDN_OK) {
        close(fd);
        return status;
    }
    replace(&s->lock_fd, fd);
    return CDN_OK;
}

enum cdn_status edge_folder_open(struct edge_store *s, struct cdn_error *err)
{
    static const char *const parts[] = {"segments", "files", "tmp"};
    enum cdn_status status = cdn_folder_make("cache_dir", s->path, true, err);
    if (status != CDN_OK) {
        return status;
    }
    int dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return cdn_error_set(err, CDN_IO, "cache_dir %s: cannot be opened: %s", s->path, strerror(errno));
    }
    for (size_t i = 0; i < CDN_ARRAY_LEN(parts) && status == CDN_OK; i++) {
        status = make_part(dir, parts[i], s->path, err);
    }
    if (status == CDN_OK) {
        status = take_lock(s, dir, err);
    }
    if (status != CDN_OK) {
        close(dir);
        return status;
    }
    replace(&s->dir, dir);
    return CDN_OK;
}

void edge_folder_empty(struct edge_store *s, const char *name)
{
    int fd = openat(s->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; list && (e = readdir(list)) != NULL;) {
        if (e->d_name[0] != '.') {
            unlinkat(fd, e->d_name, 0);
        }
    }
    if (list) {
        closedir(list);
    }
}
