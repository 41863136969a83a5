/* supervisor: keeps the processes of a plan running.
 *
 * The network between the places starts first, when there is one; then origin and edges at once, and the
 * router when they are up, so that its first probes find them well. No stage waits for the one before longer
 * than STAGE_WAIT_MS. A node counts as up when GET /health on its admin listener answers 200. Until all have
 * been up once, a process that ends fails the whole start. After that it is started again: at once-ish at
 * first, then with growing delays (BACKOFF_FIRST_MS doubling to BACKOFF_MAX_MS; a minute of health resets
 * them). Ending: SIGTERM to all, the router first, so that nobody is sent to an edge that is going; what has
 * not ended after STOP_GRACE_MS is killed.
 *
 * One thread, one loop (common/loop): a signalfd for SIGCHLD, SIGINT and SIGTERM, timers for probes and
 * restarts.
 */
#ifndef CDN_CLI_SUPERVISOR_H
#define CDN_CLI_SUPERVISOR_H
#include "common/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SUPERVISOR_STATES(X) \
    X(STARTING, "starting")  \
    X(UP, "up")              \
    X(SICK, "sick")          \
    X(WAITING, "restarting") \
    X(STOPPED, "stopped")
enum supervisor_state {
#define X(name, word) SUPERVISOR_##name,
    SUPERVISOR_STATES(X)
#undef X
};
const char *supervisor_state_word(enum supervisor_state state);

struct supervisor_node { /* what others may see of a node */
    const struct plan_node *plan;
    enum supervisor_state state;
    pid_t pid; /* 0: none */
    unsigned restarts;
    json_t *status; /* the last answer of GET /status, or NULL */
};

struct supervisor_config {
    const struct plan *plan;
    const char *state_dir; /* logs go to DIR/NAME.log, who runs to DIR/up.json */
    bool watch_status;     /* also ask for GET /status each second */
    void *self;
    /* Something worth a line happened, as a sentence without a line end. */
    void (*say)(void *self, const char *text);
    void (*all_up)(void *self, int64_t after_ms); /* once */
    /* each second and after every change */
    void (*tick)(void *self, const struct supervisor_node *nodes, size_t n);
};

/* Runs until SIGINT or SIGTERM (CDN_OK) or until the start has failed; nothing is left running either way. */
enum cdn_status supervisor_run(const struct supervisor_config *config, struct cdn_error *err) CDN_MUST_CHECK;

#endif
