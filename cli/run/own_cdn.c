/* own_cdn: starts `pocketcdn up --port 0` as a child and reads its state folder like any other command:
 * there is one way only to start a CDN. */
#include "cli/run/own_cdn.h"

#include "cli/run/child.h"
#include "cli/run/state.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/str.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "common/banned.h"

#define UP_LIMIT_MS 60000
#define UP_POLL_NS 10000000L
/* Settings of the programs that `up` has no word for. */
#define ALLOW "POCKETCDN_WAN_ALLOW"
#define MAX_AGE "POCKETCDN_ORIGIN_MAX_AGE"

enum cdn_status own_cdn_begin(const char *command, struct own_cdn *ret, struct cdn_error *err)
{
    const char *tmp = getenv("TMPDIR");
    CDN_AUTOFREE char *folder =
        cdn_asprintf("%s/pocketcdn-%s-XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp", command);
    if (!mkdtemp(folder)) {
        return cdn_error_set(err, CDN_IO, "%s: %s", folder, strerror(errno));
    }
    *ret = (struct own_cdn){.root = cdn_asprintf("%s/root", folder),
                            .state = cdn_asprintf("%s/state", folder),
                            .log = cdn_asprintf("%s/up.log", folder)};
    ret->folder = CDN_TAKE(folder);
    if (mkdir(ret->root, 0700)) {
        return cdn_error_set(err, CDN_IO, "%s: %s", ret->root, strerror(errno));
    }
    return CDN_OK;
}

/* True when `up` has said that all is up. */
static bool is_ready(struct own_cdn *cdn)
{
    struct cdn_error none;
    json_t *is;
    if (state_read(cdn->state, &is, &none) != CDN_OK) {
        return false;
    }
    if (json_is_true(json_object_get(is, "ready"))) {
        cdn->is = is;
        return true;
    }
    json_decref(is);
    return false;
}

static enum cdn_status wait_until_up(struct own_cdn *cdn, const volatile int *interrupted,
                                     struct cdn_error *err)
{
    const struct timespec pause = {.tv_nsec = UP_POLL_NS};
    for (int64_t began = cdn_clock_mono_ms(); !is_ready(cdn); nanosleep(&pause, NULL)) {
        if (*interrupted) {
            return cdn_error_set(err, CDN_UNAVAILABLE, "interrupted");
        }
        if (waitpid(cdn->up, NULL, WNOHANG) != 0) {
            CDN_AUTOBUF struct cdn_buf tail = {0};
            cdn->up = 0;
            child_log_tail(cdn->log, 4, "", &tail);
            return cdn_error_set(err, CDN_UNAVAILABLE, "the CDN did not start: %s",
                                 tail.n ? tail.p : "no output");
        }
        if (cdn_clock_mono_ms() - began > UP_LIMIT_MS) {
            return cdn_error_set(err, CDN_TIMEOUT, "the CDN was not up within %d s", UP_LIMIT_MS / 1000);
        }
    }
    return CDN_OK;
}

enum cdn_status own_cdn_start(struct own_cdn *cdn, const struct own_cdn_wish *wish,
                              const volatile int *interrupted, struct cdn_error *err)
{
    const char *argv[16] = {NULL, "up", "--state", cdn->state};
    size_t n = 4;
    CDN_AUTOFREE char *self = NULL;
    const char *const pairs[][2] = {{"-c", wish->config},
                                    {"--root", wish->root},
                                    {"--origin", wish->origin},
                                    {"--port", wish->config ? NULL : "0"}};
    enum cdn_status status = child_program("pocketcdn", &self, err);
    if (status != CDN_OK) {
        return status;
    }
    argv[0] = self;
    for (size_t i = 0; i < CDN_ARRAY_LEN(pairs); i++) {
        if (pairs[i][1]) {
            argv[n++] = pairs[i][0];
            argv[n++] = pairs[i][1];
        }
    }
    if (wish->wan) {
        argv[n++] = "--wan";
    }
    char *copy[CDN_ARRAY_LEN(argv)] = {0};
    for (size_t i = 0; i < n; i++) {
        copy[i] = cdn_strdup(argv[i]);
    }
    const char *const settings[][2] = {{ALLOW, wish->allow}, {MAX_AGE, wish->max_age}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(settings); i++) {
        if (settings[i][1]) {
            setenv(settings[i][0], settings[i][1], 1);
        }
    }
    status = child_start(copy, cdn->log, &cdn->up, err);
    for (size_t i = 0; i < CDN_ARRAY_LEN(settings); i++) {
        if (settings[i][1]) {
            unsetenv(settings[i][0]);
        }
    }
    for (size_t i = 0; i < n; i++) {
        free(copy[i]);
    }
    return status != CDN_OK ? status : wait_until_up(cdn, interrupted, err);
}

/* Ends `up`, which ends all others, and waits for it. */
bool own_cdn_stop(struct own_cdn *cdn)
{
    int wait_status = 0;
    if (!cdn->up) {
        return true;
    }
    kill(cdn->up, SIGTERM);
    while (waitpid(cdn->up, &wait_status, 0) < 0 && errno == EINTR) {
        continue;
    }
    cdn->up = 0;
    return WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

bool own_cdn_end(struct own_cdn *cdn)
{
    own_cdn_stop(cdn);
    bool removed = !cdn->folder || nftw(cdn->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0;
    json_decref(cdn->is);
    free(cdn->folder);
    free(cdn->root);
    free(cdn->state);
    free(cdn->log);
    *cdn = (struct own_cdn){0};
    return removed;
}
