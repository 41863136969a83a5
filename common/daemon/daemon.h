/* daemon: what the three servers' mains have in common: signals, the admin listener, readiness, draining.
 *
 * A daemon runs its admin server and its control work on the main thread's loop; further threads are its own
 * business, and start after daemon_create, which blocks the signals that the loop reads. SIGTERM/SIGINT drain
 * and end (a second one ends at once); SIGHUP reloads. When all listeners are open one line is logged:
 *     level=info event=ready public=127.0.0.1:43121 admin=127.0.0.1:43122
 * (tests and `pocketcdn up` with port 0 read the addresses there).
 *
 * Admin verbs that are the same everywhere are answered here; others are rows in the daemon's route table:
 * - GET /health: 200 {"status":"ok","load":N} (requests under way), 503 {"status":"failing","why":...}; never
 *   asks for the token
 * - GET /metrics: Prometheus text
 * - GET /status:
 * {"name","program","version","pid","uptime_s","healthy","why","draining","simulate","clock",...}
 * - GET /clock: {"now":"2027-01-01T00:00:00.000Z","offset_ms":0}
 * - POST /clock: {"advance":"30d"} ("-1h" goes back), {"set":"2027-01-01T00:00:00Z"} or {"reset":true};
 *   simulation only
 * - POST /reload: as SIGHUP
 * - POST /faults: simulation only (common/http/server/http_faults.h); what is on is in /status, and how many
 *   requests it changed in /metrics
 *
 * HEAD is GET without the body. Errors are problem documents (RFC 9457).
 *
 * Who may ask: with a token set, everything but GET /health needs `Authorization: Bearer TOKEN` (RFC
 * 6750); off loopback a token is required. Clients of Fastly's API send it as `Fastly-Key: TOKEN`. A web
 * page must not reach the listener through the user's browser: without the token, whatever the method, the
 * Host must name loopback (DNS rebinding), Origin and Sec-Fetch-Site must not name another site, and a
 * change must say that its body is JSON, which a page of another host cannot send unasked. No preflight is
 * ever granted.
 *
 * Locks: none; everything here is called on the daemon's loop thread. */
#ifndef CDN_COMMON_DAEMON_H
#define CDN_COMMON_DAEMON_H
#include "common/http/server/http_faults.h"
#include "common/http/server/http_server.h"
#include "common/loop.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct daemon;

struct daemon_route {
    const char *method; /* "GET" */
    const char *path; /* "/objects"; a trailing "/" matches the rest of the path too ("/edges/"); "*": any */
    /* Answers by http_respond*() or daemon_answer_*(); or suspends, and then either answers before the
     * resume or is called again after it. `body` (borrowed, lives until the request is over) is the
     * parsed JSON or NULL when none was sent. req->app belongs to the daemon: daemon_on_end() keeps a
     * handler's own state. */
    void (*handle)(void *self, struct http_request *req, json_t *body);
};

struct daemon_config {
    const char *program;      /* "pocketcdn-edge" */
    const char *node;         /* name in logs and /status, or NULL */
    const char *admin_listen; /* "127.0.0.1:9088" */
    const char *admin_token;  /* "" or NULL: none; required (CDN_INVALID otherwise) when not on loopback */
    bool simulate;            /* allow POST /clock and /faults */
    unsigned connections;     /* of the admin listener at once; 0: 1024 */
    const struct daemon_route *routes;                /* ended by a row with method NULL */
    void *self;                                       /* for all callbacks */
    void (*metrics)(void *self, struct cdn_buf *out); /* Prometheus text */
    void (*status)(void *self, json_t *into); /* adds to {"name","version","pid","uptime_s","healthy",...} */
    bool (*healthy)(void *self, char why[static 128]); /* NULL: always */
    unsigned (*load)(void *self); /* requests under way, for GET /health; NULL: not told */
    enum cdn_status (*reload)(void *self, struct cdn_error *err); /* NULL: nothing to reload */
    /* Faults of public listeners: hands them to each worker by daemon_disturb(). */
    void (*disturb)(void *self, struct http_fault_set *set);
    /* Or faults of another kind, read by the daemon itself. Both NULL: 404. */
    enum cdn_status (*faults)(void *self, json_t *body, struct cdn_error *err);
    void (*clock_moved)(void *self); /* NULL is fine */
    void (*drain)(void *self);       /* SIGTERM: stop accepting; called once */
    bool (*drained)(void *self);     /* polled; true ends the process; after 30 s it ends anyway */
};

enum cdn_status daemon_create(const struct daemon_config *config, struct daemon **ret,
                              struct cdn_error *err) CDN_MUST_CHECK;
struct loop *daemon_loop(struct daemon *daemon);
void daemon_admin_address(const struct daemon *daemon, struct cdn_addr *ret);
/* Logs `event=ready` and serves until SIGTERM. `public_address` may be NULL. */
void daemon_run(struct daemon *daemon, const struct cdn_addr *public_address);
void daemon_destroy(struct daemon *daemon);
void daemon_stop(struct daemon *daemon); /* as SIGTERM would; loop thread */

/* Whether the request carries the admin token; false when none is set. */
bool daemon_has_token(const struct daemon *daemon, struct http_request *req);

/* Faults to one worker: `server` is where it keeps its server, NULL once that is gone. */
void daemon_disturb(struct http_fault_set *set, struct loop *loop, struct http_server *const *server);

/* For a handler that suspends: over(arg) is called once when the request has ended, answered or not. */
void daemon_on_end(struct http_request *req, void (*over)(void *arg), void *arg);

/* The decoded rest of the path after `prefix` ("/edges/"), owned by the caller; NULL when badly encoded. */
char *daemon_path_rest(const struct http_request *req, const char *prefix);
/* The decoded value of a query parameter of the request, owned by the caller, or NULL when absent or badly
 * encoded. */
char *daemon_query(const struct http_request *req, const char *name);
void daemon_answer_json(struct http_request *req, unsigned status, json_t *take); /* consumes the reference */
void daemon_answer_error(struct http_request *req, const struct cdn_error *err);  /* problem document */

/* Prints "program: text" to stderr and gives the exit code of the error. */
int daemon_fail(const char *program, const struct cdn_error *err);
/* How many descriptors the workers of this process may open together, beyond what it needs itself and for its
 * admin listener: at least 16; UINT64_MAX: no limit. */
uint64_t daemon_descriptors(unsigned workers);
/* Connections that the admin listener takes at once. */
unsigned daemon_admin_connections(const struct daemon *daemon);
/* For a daemon whose workers open, for each client, at most one more descriptor: connections of each worker,
 * of the number that is configured. Few are logged. */
unsigned daemon_client_connections(unsigned configured, unsigned workers);

#endif
