/* folder: trust in a folder is judged from descriptors, never from names: between a look at a path
 * and the use of it somebody else could put another folder in its place. */
#include "common/folder.h"

#include "common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

enum cdn_status cdn_folder_check(const char *what, const char *path, bool follow, struct cdn_error *err)
{
    struct stat info;
    if (follow ? stat(path, &info) : lstat(path, &info)) {
        return cdn_error_set(err, errno == ENOENT ? CDN_NOT_FOUND : CDN_IO, "%s %s: %s", what, path,
                             strerror(errno));
    }
    if (!S_ISDIR(info.st_mode)) {
        return cdn_error_set(err, CDN_INVALID, "%s %s: is %s, not a folder", what, path,
                             S_ISLNK(info.st_mode) ? "a symbolic link" : "a file");
    }
    if (info.st_uid != geteuid()) {
        return cdn_error_set(err, CDN_IO, "%s %s: belongs to another user (%ld)", what, path,
                             (long)info.st_uid);
    }
    if (info.st_mode & (S_IWGRP | S_IWOTH)) {
        return cdn_error_set(err, CDN_IO, "%s %s: others may write to it; chmod go-w it", what, path);
    }
    return CDN_OK;
}

enum cdn_status cdn_folder_make(const char *what, const char *path, bool follow, struct cdn_error *err)
{
    CDN_AUTOFREE char *part = cdn_strdup(path);
    for (char *slash = path[0] ? strchr(part + 1, '/') : NULL;; slash = strchr(slash + 1, '/')) {
        if (slash) {
            *slash = '\0';
        }
        if (mkdir(part, 0700) && errno != EEXIST) {
            return cdn_error_set(err, CDN_IO, "%s %s: %s", what, part, strerror(errno));
        }
        if (!slash) {
            break;
        }
        *slash = '/';
    }
    enum cdn_status status = cdn_folder_check(what, path, follow, err);
    if (status == CDN_OK && access(path, R_OK | W_OK | X_OK)) {
        status = cdn_error_set(err, CDN_IO, "%s %s: %s", what, path, strerror(errno));
    }
    return status;
}

static const char *kind_word(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFLNK:
        return "a symbolic link";
    case S_IFDIR:
        return "a folder";
    case S_IFIFO:
        return "a FIFO";
    case S_IFSOCK:
        return "a socket";
    default:
        return "a device";
    }
}

enum cdn_status cdn_folder_error(const char *path, int why, struct cdn_error *err)
{
    struct stat info;
    bool known = lstat(path, &info) == 0;
    if (known && !S_ISREG(info.st_mode)) {
        return cdn_error_set(err, CDN_IO, "%s: is %s, not a plain file", path, kind_word(info.st_mode));
    }
    if (known && info.st_uid != geteuid()) {
        return cdn_error_set(err, CDN_IO, "%s: belongs to another user (%ld)", path, (long)info.st_uid);
    }
    return cdn_error_set(err, CDN_IO, "%s: %s", path, strerror(why));
}

int cdn_folder_open(int folder, const char *name, int flags)
{
    struct stat info;
    int fd = openat(folder, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd >= 0 && (fstat(fd, &info) || !S_ISREG(info.st_mode) || info.st_uid != geteuid())) {
        close(fd);
        errno = EPERM;
        return -1;
    }
    return fd;
}
