/* lock: flock(2) asked for again and again rather than waited for, since a wait has an end here and the
 * kernel has no time-out for it. The holder's line is for people; nothing is decided by it. */
#include "origin/release/lock.h"

#include "common/clock.h"
#include "common/folder.h"
#include "common/mem.h"
#include "common/visible.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "common/banned.h"

#define LOOK_EVERY_NS 20000000
#define HOLDER_MAX 200

/* "publish by ada, process 4711"; owned by the caller. */
static char *read_holder(int fd)
{
    char text[HOLDER_MAX];
    const ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return n > 0 ? cdn_visible(text) : cdn_strdup("another process");
}

static void write_holder(int fd, const char *what, const char *name)
{
    char text[HOLDER_MAX];
    (void)snprintf(text, sizeof(text), "%s by %s, process %d", what, name, (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, strlen(text), 0) < 0) {
        return; /* a full disk: the lock holds without words */
    }
}

enum cdn_status release_lock_take(const char *folder, const char *what, const char *name, int64_t wait_ms,
                                  void (*waits)(const char *holder), int *ret_fd, struct cdn_error *err)
{
    CDN_AUTOFREE char *path = cdn_asprintf("%s/lock", folder);
    const int64_t end_ms = cdn_clock_mono_ms() + wait_ms;
    const int fd = cdn_folder_open(AT_FDCWD, path, O_RDWR | O_CREAT);
    if (fd < 0) {
        return cdn_folder_error(path, errno, err);
    }
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const int why = errno;
        CDN_AUTOFREE char *holder = read_holder(fd);
        if (why != EWOULDBLOCK || cdn_clock_mono_ms() >= end_ms) {
            close(fd);
            return why == EWOULDBLOCK ? cdn_error_set(err, CDN_CONFLICT, "%s is held by %s", path, holder)
                                      : cdn_error_set(err, CDN_IO, "%s: %s", path, strerror(why));
        }
        if (waits) {
            waits(holder);
            waits = NULL;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EVERY_NS}, NULL);
    }
    write_holder(fd, what, name);
    *ret_fd = fd;
    return CDN_OK;
}
