#include "cli/state.h"

#include "common/folder.h"
#include "common/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

#define UP_JSON_MAX (64 << 20)

enum cdn_status state_path(const char *text, char **ret_path, struct cdn_error *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (text && text[0] == '/') {
        *ret_path = cdn_strdup(text);
    } else if (text && text[0]) {
        CDN_AUTOFREE char *here = getcwd(NULL, 0);
        if (!here)
            return cdn_error_set(err, CDN_IO, "the current folder: %s", strerror(errno));
        *ret_path = cdn_asprintf("%s/%s", here, text);
    } else if (state && state[0] == '/') {
        *ret_path = cdn_asprintf("%s/pocketcdn", state);
    } else if (home && home[0] == '/') {
        *ret_path = cdn_asprintf("%s/.local/state/pocketcdn", home);
    } else {
        return cdn_error_set(err, CDN_USAGE, "no HOME to keep the state in; name a folder with --state");
    }
    return CDN_OK;
}

enum cdn_status state_make(const char *path, struct cdn_error *err)
{
    return cdn_folder_make("state folder", path, false, err);
}

/* Processes are started, ended and believed by what lies in the folder: nobody else may have put it there. */
static enum cdn_status state_is_ours(const char *path, struct cdn_error *err)
{
    enum cdn_status status = cdn_folder_check("state folder", path, false, err);
    if (status == CDN_NOT_FOUND)
        return cdn_error_set(err, status, "state folder %s: no CDN runs there", path);
    return status;
}

void state_lock_own(int fd)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n)
        return; /* the lock itself counts; `down` then says that it found no pid */
}

enum cdn_status state_lock(const char *path, int *ret_fd, struct cdn_error *err)
{
    CDN_AUTOFREE char *name = cdn_asprintf("%s/lock", path);
    int fd = cdn_folder_open(AT_FDCWD, name, O_RDWR | O_CREAT);
    if (fd < 0)
        return cdn_error_set(err, CDN_IO, "%s: %s", name, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        int why = errno;
        close(fd);
        if (why == EWOULDBLOCK)
            return cdn_error_set(err, CDN_CONFLICT,
                                 "a CDN already runs on %s (pid %ld); stop it with `pocketcdn down`, or "
                                 "start a second one with --state DIR and --port PORT",
                                 path, (long)state_owner(path));
        return cdn_error_set(err, CDN_IO, "lock %s: %s", name, strerror(why));
    }
    state_lock_own(fd);
    *ret_fd = fd;
    return CDN_OK;
}

pid_t state_owner(const char *path)
{
    CDN_AUTOFREE char *name = cdn_asprintf("%s/lock", path);
    int fd = cdn_folder_open(AT_FDCWD, name, O_RDONLY);
    if (fd < 0)
        return 0;
    char text[24] = "";
    uint64_t pid = 0;
    if (flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK && read(fd, text, sizeof(text) - 1) > 0) {
        struct cdn_str line = cdn_str(text);
        if (!cdn_parse_u64(cdn_str_cut(&line, '\n'), &pid))
            pid = 0;
    }
    close(fd);
    return pid > 1 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

bool state_holds_lock(const char *path, pid_t pid)
{
    CDN_AUTOFREE char *name = cdn_asprintf("%s/lock", path);
    CDN_AUTOFREE char *folder = cdn_asprintf("/proc/%ld/fd", (long)pid);
    struct stat lock, own;
    bool holds = false;
    DIR *fds = lstat(name, &lock) == 0 ? opendir(folder) : NULL;
    for (struct dirent *e = fds ? readdir(fds) : NULL; e && !holds; e = readdir(fds))
        holds = fstatat(dirfd(fds), e->d_name, &own, 0) == 0 && own.st_ino == lock.st_ino &&
                own.st_dev == lock.st_dev;
    if (fds)
        closedir(fds);
    return holds;
}

enum cdn_status state_write(const char *path, const json_t *what, struct cdn_error *err)
{
    CDN_AUTOFREE char *name = cdn_asprintf("%s/up.json", path);
    CDN_AUTOFREE char *fresh = cdn_asprintf("%s/up.json.new", path);
    (void)unlink(fresh);                                                    /* of a crash */
    int fd = cdn_folder_open(AT_FDCWD, fresh, O_WRONLY | O_CREAT | O_EXCL); /* tokens stand in it */
    bool written = fd >= 0 && json_dumpfd(what, fd, JSON_INDENT(2)) == 0;
    if (fd >= 0)
        close(fd);
    if (!written || rename(fresh, name))
        return cdn_error_set(err, CDN_IO, "cannot write %s: %s", name, strerror(errno));
    return CDN_OK;
}

enum cdn_status state_read(const char *path, json_t **ret_what, struct cdn_error *err)
{
    enum cdn_status status = state_is_ours(path, err);
    if (status)
        return status;
    if (!state_owner(path))
        return cdn_error_set(err, CDN_NOT_FOUND, "no CDN runs on %s", path);
    CDN_AUTOFREE char *name = cdn_asprintf("%s/up.json", path);
    json_error_t why;
    int fd = cdn_folder_open(AT_FDCWD, name, O_RDONLY);
    struct stat info;
    bool fits = fd >= 0 && fstat(fd, &info) == 0 && info.st_size <= UP_JSON_MAX;
    json_t *what = fits ? json_loadfd(fd, 0, &why) : NULL;
    if (fd >= 0)
        close(fd);
    if (fd >= 0 && (!fits || (!what && info.st_size > 0)))
        return cdn_error_set(err, CDN_CORRUPT, "%s: %s", name, fits ? why.text : "is too large");
    if (!what)
        return cdn_error_set(err, CDN_NOT_FOUND, "the CDN on %s is still starting", path);
    *ret_what = what;
    return CDN_OK;
}
