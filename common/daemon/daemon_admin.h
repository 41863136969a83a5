/* daemon_admin: the admin listener's side of a daemon. For daemon.c only. */
#ifndef CDN_COMMON_DAEMON_ADMIN_H
#define CDN_COMMON_DAEMON_ADMIN_H
#include "common/daemon/daemon.h"
#include "common/http/server/http_faults.h"
#include "common/http/server/http_server.h"
#include "common/loop.h"
#include "common/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct daemon {
    struct daemon_config config; /* as given: strings and tables stay the caller's */
    struct loop *loop;
    struct http_server *server;
    struct loop_fd signals;
    struct loop_timer drain_timer;
    int64_t started_ms;     /* monotonic */
    int64_t drain_until_ns; /* monotonic */
    bool draining;
    struct http_faults faults; /* what is on */
};

extern const struct http_handler daemon_admin_handler; /* its self is the struct daemon */

/* daemon_access.c. Whether the request may go on; otherwise it has been answered. */
bool daemon_is_allowed(const struct daemon *daemon, struct http_request *req);
bool daemon_is_reading(const struct http_request *req);
/* A problem document with one more header line. */
void daemon_answer_problem(struct http_request *req, unsigned status, const char *detail, const char *field);

/* daemon_faults.c: POST /faults */
void daemon_set_faults(void *self, struct http_request *req, json_t *body);

enum cdn_status daemon_reload(struct daemon *daemon, struct cdn_error *err) CDN_MUST_CHECK;

#endif
