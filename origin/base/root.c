/* root: opens files by openat2(2) below one descriptor. The kernel resolves and refuses in one
 * step, so there is no moment between check and use; where it lacks the call the program says so at
 * start. */
#include "origin/base/root.h"

#include "common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <syscall.h>
#include <unistd.h>

#include "common/banned.h"

#define SETTLED_AFTER_MS 1500
#define RACE_RETRIES 8 /* EAGAIN: something on the way was renamed meanwhile */

struct origin_root {
    char *path; /* as the settings give it: links on it are followed anew by origin_root_follow */
    int fd;     /* its number never changes; what it stands for does */
    _Atomic uint64_t dev, ino;
};

static int open_beneath(int root, const char *name, uint64_t flags)
{
    struct open_how how = {.flags = flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    for (int i = 0;; i++) {
        long fd = syscall(SYS_openat2, root, name, &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || i == RACE_RETRIES) {
            return (int)fd;
        }
    }
}

static void note_identity(struct origin_root *root, int fd)
{
    struct stat st;
    if (fstat(fd, &st) == 0) {
        atomic_store_explicit(&root->dev, st.st_dev, memory_order_relaxed);
        atomic_store_explicit(&root->ino, st.st_ino, memory_order_relaxed);
    }
}

enum cdn_status origin_root_open(const char *dir, struct origin_root **ret, struct cdn_error *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return cdn_error_set(err, CDN_IO, "root: cannot open folder %s: %s", dir, strerror(errno));
    }
    int probe = open_beneath(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (probe < 0) {
        int error = errno;
        close(fd);
        return cdn_error_set(err, CDN_IO, "root: cannot search folder %s (openat2): %s", dir,
                             strerror(error));
    }
    close(probe);
    struct origin_root *root = cdn_calloc(1, sizeof(*root));
    root->path = cdn_strdup(dir);
    root->fd = fd;
    note_identity(root, fd);
    *ret = root;
    return CDN_OK;
}

void origin_root_follow(struct origin_root *root)
{
    struct stat st;
    if (stat(root->path, &st) != 0 || (st.st_ino == atomic_load_explicit(&root->ino, memory_order_relaxed) &&
                                       st.st_dev == atomic_load_explicit(&root->dev, memory_order_relaxed))) {
        return; /* in the middle of a deploy the link may be missing: what was served goes on */
    }
    int fd = open(root->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    (void)!dup3(fd, root->fd, O_CLOEXEC); /* atomic: other threads see the old folder or the new one */
    note_identity(root, fd);
    close(fd);
}

void origin_root_close(struct origin_root *root)
{
    if (root) {
        close(root->fd);
        free(root->path);
        free(root);
    }
}

int origin_root_file(const struct origin_root *root, const char *name, struct stat *ret)
{
    /* O_NONBLOCK: a FIFO below the root must not hold the thread */
    int fd = open_beneath(root->fd, name[0] ? name : ".", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && fstat(fd, ret) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

void origin_file_id_of(const struct stat *st, struct origin_file_id *ret)
{
    *ret = (struct origin_file_id){
        .dev = st->st_dev,
        .ino = st->st_ino,
        .size = (uint64_t)st->st_size,
        .modified_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
        .changed_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec,
    };
}

bool origin_file_id_eq(const struct origin_file_id *a, const struct origin_file_id *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}
_Static_assert(sizeof(struct origin_file_id) == 5 * 8, "compared and hashed as bytes: no padding");

bool origin_file_id_holds(int fd, const struct origin_file_id *id)
{
    struct stat st;
    struct origin_file_id now;
    if (fstat(fd, &st) != 0) {
        return false;
    }
    origin_file_id_of(&st, &now);
    now.changed_ns = id->changed_ns;
    return origin_file_id_eq(&now, id);
}

bool origin_root_is_same(const struct origin_root *root, const char *name, const struct origin_file_id *id)
{
    struct stat st;
    struct origin_file_id now;
    if (fstatat(root->fd, name, &st, 0) != 0) {
        return false;
    }
    origin_file_id_of(&st, &now);
    return origin_file_id_eq(&now, id);
}

bool origin_root_exists(const struct origin_root *root, const char *name)
{
    struct stat st;
    return fstatat(root->fd, name, &st, 0) == 0;
}

bool origin_file_id_is_settled(const struct origin_file_id *id, int64_t real_now_ms)
{
    return real_now_ms - id->changed_ns / 1000000 > SETTLED_AFTER_MS;
}
