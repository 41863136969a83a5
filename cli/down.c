/* down: `pocketcdn down`: ends the process that holds the state folder's lock, by a descriptor of
 * it (pidfd) and only after the lock has proved that it is ours: a pid alone may be somebody else's
 * by now. */
#include "cli/base/options.h"
#include "cli/base/print.h"
#include "cli/base/subcommand.h"
#include "cli/run/state.h"
#include "common/mem.h"
#include "common/status.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <syscall.h>
#include <unistd.h>

#include "common/banned.h"

#define LIMIT_MS 30000

#define DOWN_OPTIONS(X) X(TEXT, state, 0, "DIR", "State folder of the CDN to stop")
CLI_OPTIONS_STRUCT(down_options, DOWN_OPTIONS);

/* Ends the process and waits until it has gone. */
static enum cdn_status end_process(const char *path, pid_t pid, struct cdn_error *err)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0 && errno == ESRCH) {
        return CDN_OK;
    }
    if (fd < 0) {
        return cdn_error_set(err, CDN_IO, "process %ld: %s", (long)pid, strerror(errno));
    }
    /* The descriptor names the process, whoever gets its number later; the lock proves that it is ours. */
    if (!state_holds_lock(path, pid)) {
        close(fd);
        return cdn_error_set(err, CDN_REFUSED, "%s/lock names process %ld, which does not hold it: not ended",
                             path, (long)pid);
    }
    if (syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0)) {
        int why = errno;
        close(fd);
        return why == ESRCH ? CDN_OK
                            : cdn_error_set(err, CDN_IO, "process %ld: %s", (long)pid, strerror(why));
    }
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    int n = poll(&wait, 1, LIMIT_MS);
    close(fd);
    return n > 0 ? CDN_OK
                 : cdn_error_set(err, CDN_TIMEOUT, "process %ld has not ended within %d s", (long)pid,
                                 LIMIT_MS / 1000);
}

static enum cdn_status run(const void *opaque, const struct cli_args *args, struct cdn_error *err)
{
    const struct down_options *options = opaque;
    CDN_AUTOFREE char *path = NULL;
    if (args->n) {
        return cdn_error_set(err, CDN_USAGE, "takes no argument, but got '%s'", args->items[0]);
    }
    enum cdn_status status = state_path(options->state, &path, err);
    if (status != CDN_OK) {
        return status;
    }
    pid_t pid;
    status = state_owner(path, &pid, err);
    if (status == CDN_OK) {
        status = end_process(path, pid, err);
    }
    if (status == CDN_OK) {
        cli_print("stopped the CDN on %s\n", path);
    }
    return status;
}

#define ROW(...) CLI_OPTION_ROW(struct down_options, __VA_ARGS__)
static const struct cli_option rows[] = {DOWN_OPTIONS(ROW)};

const struct cli_command cli_command_down = {
    .name = "down",
    .summary = "Stop a CDN that `up` started, and wait until it has ended",
    .usage = "[--state DIR]",
    .more =
        "Ends the process that holds DIR/lock, and no other. Exit codes: 1 no CDN runs there, or the lock "
        "names\n"
        "another process; 3 the folder or the lock is not yours alone, or the CDN has not ended within 30 "
        "s.\n"
        "What the edges have cached stays in the state folder, and is used again by the next `up`.\n",
    .options = rows,
    .option_count = CDN_ARRAY_LEN(rows),
    .options_size = sizeof(struct down_options),
    .run = run,
};
