/* child: starts a program in a process group of its own with its output in a log, and has the
 * kernel end it when `up` dies (PR_SET_PDEATHSIG), so that no crash leaves a daemon behind. */
#include "cli/run/child.h"

#include "common/folder.h"
#include "common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/banned.h"

enum cdn_status child_program(const char *name, char **ret_path, struct cdn_error *err)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0) {
        return cdn_error_set(err, CDN_IO, "/proc/self/exe: %s", strerror(errno));
    }
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    CDN_AUTOFREE char *path = cdn_asprintf("%s/%s", self, name);
    if (access(path, X_OK)) {
        return cdn_error_set(err, CDN_IO, "%s: %s", path, strerror(errno));
    }
    *ret_path = CDN_TAKE(path);
    return CDN_OK;
}

static int open_log(const char *path)
{
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > CHILD_LOG_MAX) {
        CDN_AUTOFREE char *old = cdn_asprintf("%s.1", path);
        if (rename(path, old)) {
            return -1;
        }
    }
    return cdn_folder_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND);
}

/* In the child: nothing here may allocate. */
static _Noreturn void become(char *const argv[], int log, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int nothing = open("/dev/null", O_RDONLY);
    if (getppid() == parent && nothing >= 0 && dup2(nothing, 0) == 0 && dup2(log, 1) == 1 &&
        dup2(log, 2) == 2) {
        execv(argv[0], argv);
    }
    _exit(127);
}

enum cdn_status child_start(char *const argv[], const char *log_path, pid_t *ret_pid, struct cdn_error *err)
{
    int log = open_log(log_path);
    if (log < 0) {
        return cdn_folder_error(log_path, errno, err);
    }
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        become(argv, log, parent);
    }
    int why = errno;
    close(log);
    if (pid < 0) {
        return cdn_error_set(err, CDN_IO, "fork for %s: %s", argv[0], strerror(why));
    }
    *ret_pid = pid;
    return CDN_OK;
}

void child_describe_end(int wait_status, char out[static 64])
{
    if (WIFSIGNALED(wait_status)) {
        snprintf(out, 64, "signal %d (%s)", WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
    } else {
        snprintf(out, 64, "exit code %d", WEXITSTATUS(wait_status));
    }
}

void child_log_tail(const char *path, unsigned lines, const char *indent, struct cdn_buf *out)
{
    char text[4096];
    int fd = cdn_folder_open(AT_FDCWD, path, O_RDONLY);
    if (fd < 0) {
        return;
    }
    off_t size = lseek(fd, 0, SEEK_END);
    ssize_t n = pread(fd, text, sizeof(text), size > (off_t)sizeof(text) ? size - (off_t)sizeof(text) : 0);
    close(fd);
    while (n > 0 && text[n - 1] == '\n') {
        n--;
    }
    ssize_t from = n;
    for (unsigned seen = 0; from > 0; from--) {
        if (text[from - 1] == '\n' && ++seen == lines) {
            break;
        }
    }
    struct cdn_str rest = {text + from, n > from ? (size_t)(n - from) : 0};
    while (rest.n) {
        struct cdn_str line = cdn_str_cut(&rest, '\n');
        cdn_buf_printf(out, "%s" CDN_STR_FMT "\n", indent, CDN_STR_ARG(line));
    }
}
