#include "cli/state.h"

#include "common/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

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
    CDN_AUTOFREE char *part = cdn_strdup(path);
    for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = '\0';
        if (mkdir(part, 0700) && errno != EEXIST)
            return cdn_error_set(err, CDN_IO, "state folder %s: %s", part, strerror(errno));
        if (!slash)
            break;
        *slash = '/';
    }
    if (access(path, W_OK | X_OK))
        return cdn_error_set(err, CDN_IO, "state folder %s: %s", path, strerror(errno));
    return CDN_OK;
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
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
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
    int fd = open(name, O_RDONLY | O_CLOEXEC);
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
    return (pid_t)pid;
}

enum cdn_status state_write(const char *path, const json_t *what, struct cdn_error *err)
{
    CDN_AUTOFREE char *name = cdn_asprintf("%s/up.json", path);
    CDN_AUTOFREE char *fresh = cdn_asprintf("%s/up.json.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600); /* tokens stand in it */
    bool written = fd >= 0 && json_dumpfd(what, fd, JSON_INDENT(2)) == 0;
    if (fd >= 0)
        close(fd);
    if (!written || rename(fresh, name))
        return cdn_error_set(err, CDN_IO, "cannot write %s: %s", name, strerror(errno));
    return CDN_OK;
}

enum cdn_status state_read(const char *path, json_t **ret_what, struct cdn_error *err)
{
    if (!state_owner(path))
        return cdn_error_set(err, CDN_NOT_FOUND, "no CDN runs on %s", path);
    CDN_AUTOFREE char *name = cdn_asprintf("%s/up.json", path);
    json_error_t why;
    json_t *what = json_load_file(name, 0, &why);
    if (!what)
        return cdn_error_set(err, CDN_NOT_FOUND, "the CDN on %s is still starting", path);
    *ret_what = what;
    return CDN_OK;
}
