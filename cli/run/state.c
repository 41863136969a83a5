/* state: the folder of a running CDN, behind a lock that the kernel releases when its holder dies:
 * whether it runs is asked of the lock and not of a file that may be left over. Files are replaced
 * whole by rename. */
#include "cli/run/state.h"

#include "cli/run/state_form.h"
#include "common/folder.h"
#include "common/mem.h"
#include "common/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

#define UP_JSON_MAX (4u << 20) /* PLAN_EDGES_MAX nodes have 100 kB */
#define LOCK_MAX 64

enum cdn_status state_path(const char *text, char **ret_path, struct cdn_error *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (text && text[0] == '/') {
        *ret_path = cdn_strdup(text);
    } else if (text && text[0]) {
        CDN_AUTOFREE char *here = getcwd(NULL, 0);
        if (!here) {
            return cdn_error_set(err, CDN_IO, "the current folder: %s", strerror(errno));
        }
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
    if (status == CDN_NOT_FOUND) {
        return cdn_error_set(err, status, "state folder %s: no CDN runs there", path);
    }
    return status;
}

/* Opens a file of the folder; nobody else may have written what is read there. */
static enum cdn_status open_own(const char *name, int *ret_fd, struct cdn_error *err)
{
    struct stat info;
    int fd = cdn_folder_open(AT_FDCWD, name, O_RDONLY);
    if (fd < 0 && errno == ENOENT) {
        return CDN_NOT_FOUND;
    }
    if (fd < 0) {
        return cdn_folder_error(name, errno, err);
    }
    if (fstat(fd, &info) || info.st_mode & (S_IWGRP | S_IWOTH)) {
        close(fd);
        return cdn_error_set(err, CDN_IO, "%s: others may write to it; chmod go-w it", name);
    }
    *ret_fd = fd;
    return CDN_OK;
}

void state_lock_own(int fd)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n) {
        return; /* the lock itself counts; `down` then says that it found no pid */
    }
}

/* What lies there is of an `up` that has ended. */
static enum cdn_status forget(const char *path, struct cdn_error *err)
{
    CDN_AUTOFREE char *name = cdn_asprintf("%s/up.json", path);
    return unlink(name) && errno != ENOENT ? cdn_folder_error(name, errno, err) : CDN_OK;
}

enum cdn_status state_lock(const char *path, int *ret_fd, struct cdn_error *err)
{
    CDN_AUTOFREE char *name = cdn_asprintf("%s/lock", path);
    int fd = cdn_folder_open(AT_FDCWD, name, O_RDWR | O_CREAT);
    if (fd < 0) {
        return cdn_folder_error(name, errno, err);
    }
    enum cdn_status status;
    pid_t owner = 0;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        status = forget(path, err);
    } else if (errno != EWOULDBLOCK) {
        status = cdn_error_set(err, CDN_IO, "lock %s: %s", name, strerror(errno));
    } else if (!(status = state_owner(path, &owner, err))) {
        status = cdn_error_set(err, CDN_CONFLICT,
                               "a CDN already runs on %s (pid %ld); stop it with `pocketcdn down`, or "
                               "start a second one with --state DIR and --port PORT",
                               path, (long)owner);
    }
    if (status != CDN_OK) {
        close(fd);
        return status;
    }
    state_lock_own(fd);
    *ret_fd = fd;
    return CDN_OK;
}

static enum cdn_status read_owner(const char *name, int fd, pid_t *ret, struct cdn_error *err)
{
    char text[LOCK_MAX + 1] = "";
    uint64_t pid;
    ssize_t n = read(fd, text, LOCK_MAX);
    struct cdn_str rest = {text, n > 0 ? (size_t)n : 0}, line = cdn_str_cut(&rest, '\n');
    if (n <= 0) {
        return cdn_error_set(err, CDN_NOT_FOUND, "%s: the CDN is still starting", name);
    }
    if (!cdn_parse_u64(line, &pid) || pid <= 1 || pid > INT32_MAX) {
        return cdn_error_set(err, CDN_REFUSED, "%s: '" CDN_STR_FMT "' is not the number of a process", name,
                             CDN_STR_ARG(line));
    }
    *ret = (pid_t)pid;
    return CDN_OK;
}

enum cdn_status state_owner(const char *path, pid_t *ret, struct cdn_error *err)
{
    CDN_AUTOFREE char *name = cdn_asprintf("%s/lock", path);
    int fd = -1;
    enum cdn_status status = state_is_ours(path, err);
    if (status == CDN_OK) {
        status = open_own(name, &fd, err);
    }
    if (status == CDN_NOT_FOUND) {
        return cdn_error_set(err, status, "no CDN runs on %s", path);
    }
    if (status != CDN_OK) {
        return status;
    }
    if (flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK) {
        status = read_owner(name, fd, ret, err);
    } else {
        status = cdn_error_set(err, CDN_NOT_FOUND, "no CDN runs on %s", path);
    }
    close(fd);
    return status;
}

bool state_holds_lock(const char *path, pid_t pid)
{
    CDN_AUTOFREE char *name = cdn_asprintf("%s/lock", path);
    CDN_AUTOFREE char *folder = cdn_asprintf("/proc/%ld/fd", (long)pid);
    struct stat lock, own;
    bool holds = false;
    DIR *fds = lstat(name, &lock) == 0 ? opendir(folder) : NULL;
    for (struct dirent *e = fds ? readdir(fds) : NULL; e && !holds; e = readdir(fds)) {
        holds = fstatat(dirfd(fds), e->d_name, &own, 0) == 0 && own.st_ino == lock.st_ino &&
                own.st_dev == lock.st_dev;
    }
    if (fds) {
        closedir(fds);
    }
    return holds;
}

enum cdn_status state_replace(const char *path, const char *name, struct cdn_str text, struct cdn_error *err)
{
    CDN_AUTOFREE char *to = cdn_asprintf("%s/%s", path, name);
    CDN_AUTOFREE char *fresh = cdn_asprintf("%s.new", to);
    (void)unlink(fresh);                                                    /* of a crash */
    int fd = cdn_folder_open(AT_FDCWD, fresh, O_WRONLY | O_CREAT | O_EXCL); /* tokens may stand in it */
    if (fd < 0) {
        return cdn_folder_error(fresh, errno, err);
    }
    bool written = true;
    for (ssize_t n; text.n && written; text = cdn_str_sub(text, written ? (size_t)n : 0)) {
        written = (n = write(fd, text.p, text.n)) > 0;
    }
    if (close(fd) || !written) {
        return cdn_error_set(err, CDN_IO, "cannot write %s: %s", fresh, strerror(errno));
    }
    return rename(fresh, to) ? cdn_folder_error(to, errno, err) : CDN_OK;
}

enum cdn_status state_write(const char *path, const json_t *what, struct cdn_error *err)
{
    CDN_AUTOFREE char *text = json_dumps(what, JSON_INDENT(2));
    return state_replace(path, "up.json", cdn_str(text), err);
}

static enum cdn_status read_json(const char *name, int fd, json_t **ret, struct cdn_error *err)
{
    CDN_AUTOBUF struct cdn_buf text = {0};
    char piece[16384];
    json_error_t why;
    ssize_t n;
    while (text.n <= UP_JSON_MAX && (n = read(fd, piece, sizeof(piece))) > 0) {
        cdn_buf_add(&text, piece, (size_t)n);
    }
    if (text.n > UP_JSON_MAX) {
        return cdn_error_set(err, CDN_CORRUPT, "%s: has more than %u bytes", name, UP_JSON_MAX);
    }
    if (text.n == 0) {
        return cdn_error_set(err, CDN_CORRUPT, "%s: is empty", name);
    }
    *ret = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    return *ret ? CDN_OK : cdn_error_set(err, CDN_CORRUPT, "%s:%d: %s", name, why.line, why.text);
}

static bool is_child(pid_t pid, pid_t parent)
{
    CDN_AUTOFREE char *name = cdn_asprintf("/proc/%ld/stat", (long)pid);
    char text[512];
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0) {
        close(fd);
    }
    if (n <= 0) {
        return true; /* it has ended just now: nobody else's */
    }
    text[n] = '\0';
    const char *name_end = strrchr(text, ')'); /* "PID (NAME) STATE PARENT ..." */
    return !name_end || strlen(name_end) < 4 || strtol(name_end + 3, NULL, 10) == parent;
}

/* The pids are those of the `up` that holds the lock and of its children. In another name space of processes
 * than that `up`'s numbers mean something else: nothing is said then. */
static enum cdn_status check_processes(const json_t *what, const char *path, pid_t owner,
                                       struct cdn_error *err)
{
    const json_t *node;
    size_t i;
    json_int_t pid = json_integer_value(json_object_get(what, "pid"));
    if (pid != owner) {
        return cdn_error_set(err, CDN_CORRUPT,
                             "%s/up.json: pid: %lld is not the process that %s/lock names (%ld)", path,
                             (long long)pid, path, (long)owner);
    }
    if (!state_holds_lock(path, owner)) {
        return CDN_OK;
    }
    json_array_foreach(json_object_get(what, "nodes"), i, node)
    {
        pid = json_integer_value(json_object_get(node, "pid"));
        if (pid && !is_child((pid_t)pid, owner)) {
            return cdn_error_set(err, CDN_CORRUPT,
                                 "%s/up.json: nodes[%zu]: pid: %lld is not a process of this CDN", path, i,
                                 (long long)pid);
        }
    }
    return CDN_OK;
}

enum cdn_status state_read(const char *path, json_t **ret_what, struct cdn_error *err)
{
    CDN_AUTOFREE char *name = cdn_asprintf("%s/up.json", path);
    json_t *what = NULL;
    pid_t owner;
    int fd = -1;
    enum cdn_status status = state_owner(path, &owner, err);
    if (status != CDN_OK) {
        return status;
    }
    status = open_own(name, &fd, err);
    if (status == CDN_NOT_FOUND) {
        return cdn_error_set(err, status, "the CDN on %s is still starting", path);
    }
    if (status != CDN_OK) {
        return status;
    }
    status = read_json(name, fd, &what, err);
    close(fd);
    if (status == CDN_OK) {
        status = state_form_check(what, name, err);
    }
    if (status == CDN_OK) {
        status = check_processes(what, path, owner, err);
    }
    if (status != CDN_OK) {
        json_decref(what);
    } else {
        *ret_what = what;
    }
    return status;
}
