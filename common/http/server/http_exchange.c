/* The exchange: a request from its first line to its end, and the calls of libmicrohttpd between the two.
 *
 * libmicrohttpd calls note_line() with the request line, then take_call() once for the head (an answer there
 * closes the connection, so it is left for the next call), once per piece of the body, once at the end, and
 * again after each resume; then request_completed(). It must hear 'suspend' only inside those calls and
 * 'resume' exactly once for each: a resume too many leaves a mark that swallows the next suspend. */
#include "common/http/server/http_mhd.h"
#include "common/http/server/http_mhd_text.h"
#include "common/http/server/http_server.h"
#include "common/http/server/http_server_private.h"
#include "common/http/syntax/http_server_check.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

#define NS_PER_S INT64_C(1000000000)
#define SPARE_REQUESTS 512       /* kept for reuse */
#define OVERFLOW_BYTES (1 << 20) /* of a too large chunked body read before the connection is cut */

/* ---- requests: free list, life ---- */

static struct http_request *new_request(struct http_server *server)
{
    struct http_request *req = server->free_requests;
    if (req) {
        server->free_requests = req->_next;
        server->free_count--;
    } else {
        req = cdn_calloc(1, sizeof(*req));
    }
    req->server = server;
    req->_state = HTTP_STATE_LINE;
    req->_begun = false;
    req->_unread = false;
    req->_next = NULL;
    return req;
}

void http_server_free_request(struct http_request *req)
{
    cdn_buf_free(&req->_target);
    cdn_buf_free(&req->text);
    free(req);
}

static void recycle_request(struct http_request *req)
{
    struct http_server *server = req->server;
    if (server->free_count >= SPARE_REQUESTS) {
        http_server_free_request(req);
        return;
    }
    req->_next = server->free_requests;
    server->free_requests = req;
    server->free_count++;
}

/* libmicrohttpd calls this with the target as sent, before it cuts
 * it up: the only place where it can be had. */
void *http_server_note_line(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct http_server *server = cls;
    struct http_request *req = new_request(server);
    size_t n = strlen(uri);
    req->connection = connection;
    cdn_buf_clear(&req->_target);
    cdn_buf_add(&req->_target, uri, n);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_peer *peer = info ? info->socket_context : NULL;
    req->_peer = peer;
    if (peer) {
        peer->busy = true;
        http_peer_begin(peer);
    }
    if (server->in_place) {
        http_mhd_text_end_query(uri);
    }
    return req;
}

size_t http_server_leave_escaped(void *cls, struct MHD_Connection *connection, char *s)
{
    (void)cls;
    (void)connection;
    return strlen(s);
}

static void begin_request(struct http_request *req)
{
    req->secure = req->server->config.tls != NULL;
    req->answered = false;
    req->suspended = false;
    req->has_body = false;
    req->status = 0;
    req->body_received = 0;
    req->started_ns = loop_mono_ns(req->server->loop);
    req->app = NULL;
    req->_stream = NULL;
    req->_late = NULL;
    req->_suspended_ns = 0;
    req->_special = 0;
}

void http_server_forget_suspended(struct http_request *req)
{
    struct http_server *server = req->server;
    *(req->_previous ? &req->_previous->_next : &server->first_suspended) = req->_next;
    *(req->_next ? &req->_next->_previous : &server->last_suspended) = req->_previous;
    req->_suspended_ns = 0;
}

static void finish_request(struct http_request *req, enum http_end end)
{
    struct http_server *server = req->server;
    if (req->_suspended_ns) {
        http_server_forget_suspended(req);
    }
    http_count(&server->open_requests, -1u);
    if (server->config.handler->done) {
        server->config.handler->done(server->config.handler_self, req, end);
    }
    if (req->_stream) {
        http_stream_detach(req->_stream);
    }
    if (req->_late) {
        MHD_destroy_response(req->_late);
    }
}

void http_server_request_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                                   enum MHD_RequestTerminationCode how)
{
    struct http_server *server = cls;
    struct http_request *req = *con_cls;
    if (!req) {
        return;
    }
    *con_cls = NULL;
    if (req->_unread && !server->stopping) {
        http_linger_start(server, connection);
    }
    struct http_peer *peer = req->_peer;
    if (req->_begun) { /* else the head was refused */
        bool complete = (how == MHD_REQUEST_TERMINATED_COMPLETED_OK && req->answered) ||
                        (peer && peer->upgraded); /* which ends by being broken off */
        finish_request(req, complete ? HTTP_END_OK : HTTP_END_ABORTED);
    } else {
        http_disturb_forget(req);
    }
    recycle_request(req);
    if (peer) {
        peer->busy = false;
        peer->request = NULL;
        http_peer_end(peer);
        if (peer->upgraded) {
            return; /* the connection is closed next */
        }
        http_mhd_shrink(connection, &peer->spare);
        http_gate_go_on(peer);
        if (server->draining) {
            http_peer_close(peer);
        }
    }
}

/* ---- suspension ---- */

void http_server_park(struct http_request *req)
{
    struct http_server *server = req->server;
    MHD_suspend_connection(req->connection);
    req->_suspended_ns = loop_mono_ns(server->loop);
    req->_next = NULL;
    req->_previous = server->last_suspended;
    *(server->last_suspended ? &server->last_suspended->_next : &server->first_suspended) = req;
    server->last_suspended = req;
    if (!server->limit.heap_index) {
        loop_timer_start(server->loop, &server->limit, server->config.suspend_limit_s * NS_PER_S);
    }
}

void http_server_unpark(struct http_request *req)
{
    if (!req->_suspended_ns) {
        return;
    }
    http_server_forget_suspended(req);
    MHD_resume_connection(req->connection);
    loop_defer(req->server->loop, &req->server->work);
}

void http_request_suspend(struct http_request *req)
{
    assert(!req->answered);
    req->suspended = true; /* libmicrohttpd learns of it when the handler returns */
}

void http_request_resume(struct http_request *req)
{
    if (req->suspended && !req->answered) { /* answered with an upgrade it stays suspended */
        req->suspended = false;
        req->_again = true;
        http_server_unpark(req);
    }
}

/* libmicrohttpd does not notice that the client of a suspended connection has gone. */
void http_server_break_suspended(struct http_request *req)
{
    if (req->answered && req->_stream) {
        http_stream_break(req->_stream);
    } else {
        http_abort(req);
    }
}

void http_server_check_limit(struct loop_timer *timer)
{
    struct http_server *server = CDN_CONTAINER_OF(timer, struct http_server, limit);
    int64_t limit = server->config.suspend_limit_s * NS_PER_S;
    int64_t now = loop_mono_ns(server->loop);
    while (server->first_suspended && server->first_suspended->_suspended_ns + limit <= now) {
        http_server_break_suspended(server->first_suspended);
    }
    if (server->first_suspended) {
        loop_timer_start_at(server->loop, timer, server->first_suspended->_suspended_ns + limit);
    }
}

/* ---- the handler ---- */

/* What libmicrohttpd is told after a callback of ours. */
static enum MHD_Result leave(struct http_request *req)
{
    if (req->_state == HTTP_STATE_ABORT) {
        return MHD_NO;
    }
    if (req->suspended) {
        http_server_park(req);
    }
    return MHD_YES;
}

static bool is_beyond_limit(const struct http_request *req)
{
    const struct http_peer *peer = req->_peer;
    return peer && (peer->extra || peer->displaced) && http_server_is_full(req->server) &&
           !cdn_str_eq(req->path, CDN_STR("/health"));
}

static enum MHD_Result give_head(struct http_request *req)
{
    struct http_server *server = req->server;
    http_count(&server->open_requests, 1);
    req->_begun = true;
    if (server->config.handler->head) {
        server->config.handler->head(server->config.handler_self, req);
    }
    if (req->suspended) {
        req->_state = HTTP_STATE_HEAD_AGAIN;
    }
    return leave(req);
}

static enum MHD_Result take_head(struct http_request *req, const char *method, const char *url,
                                 const char *version)
{
    struct http_server *server = req->server;
    begin_request(req);
    req->_state = HTTP_STATE_HEAD;
    if (req->_peer) {
        ((struct http_peer *)req->_peer)->request = req;
    }
    enum http_refusal refusal = http_request_read(req, method, url, version);
    if (!refusal && is_beyond_limit(req)) {
        refusal = HTTP_REFUSE_NO_CONNECTION;
    }
    if (refusal) {
        http_note_refusal(server, req->connection, refusal);
        /* an answer in libmicrohttpd's first call closes the connection, which is what is wanted here */
        req->_state = HTTP_STATE_REFUSED;
        static const char *const later[] = {"Cache-Control: no-store", "Retry-After: 1", NULL};
        static const char *const never[] = {"Cache-Control: no-store", NULL};
        const unsigned status = http_refusal_status(refusal);
        http_respond_problem_with(req, status, http_refusal_detail(refusal), status == 503 ? later : never);
        return leave(req);
    }
    if (server->faults && http_disturb_request(req)) {
        return leave(req);
    }
    return give_head(req);
}

/* Throws the rest away so that the client, which is still sending, gets to read the 413; but not for ever. */
static enum MHD_Result take_overflow(struct http_request *req, size_t *n)
{
    req->body_received += *n;
    *n = 0;
    if (req->body_received - req->server->config.max_body <= OVERFLOW_BYTES) {
        return MHD_YES;
    }
    http_refuse_connection(req->server, req->connection, HTTP_REFUSE_BODY_TOO_LARGE);
    return MHD_NO;
}

static size_t offer_body(struct http_request *req, const char *data, size_t n)
{
    const struct http_handler *handler = req->server->config.handler;
    if (!handler->body || req->answered) {
        return n;
    }
    size_t taken = handler->body(req->server->config.handler_self, req, data, n);
    assert(taken <= n);
    return taken;
}

static enum MHD_Result take_body(struct http_request *req, const char *data, size_t *n)
{
    struct http_peer *peer = req->_peer;
    if (peer && peer->ended) { /* its end was told while we did not read, and is not told again */
        http_peer_close(peer);
    }
    const struct http_server_config *config = &req->server->config;
    if (req->_state == HTTP_STATE_HEAD) {
        req->_state = HTTP_STATE_BODY;
    }
    if (req->_state == HTTP_STATE_BODY && *n > config->max_body - req->body_received) {
        req->_state = HTTP_STATE_TOO_LARGE;
    }
    if (req->_state == HTTP_STATE_TOO_LARGE) {
        return take_overflow(req, n);
    }
    size_t taken = 0;
    do {
        req->_again = false;
        taken += offer_body(req, data + taken, *n - taken);
    } while (taken < *n && req->_again && !req->answered);
    req->suspended |= taken < *n && !req->answered && req->_state != HTTP_STATE_ABORT;
    req->body_received += taken;
    *n = req->answered ? 0 : *n - taken;
    return leave(req);
}

static enum MHD_Result take_end(struct http_request *req)
{
    if (req->_state == HTTP_STATE_TOO_LARGE) {
        http_note_refusal(req->server, req->connection, HTTP_REFUSE_BODY_TOO_LARGE);
        http_respond_problem(req, http_refusal_status(HTTP_REFUSE_BODY_TOO_LARGE),
                             http_refusal_detail(HTTP_REFUSE_BODY_TOO_LARGE));
        return leave(req);
    }
    if (req->_late) { /* answered while the body was arriving */
        return MHD_queue_response(req->connection, req->_late_status, req->_late);
    }
    req->_state = HTTP_STATE_READY;
    do {
        req->_again = false;
        req->server->config.handler->ready(req->server->config.handler_self, req);
    } while (req->_again && !req->answered && !req->suspended && req->_state != HTTP_STATE_ABORT);
    if (!req->answered && !req->suspended && req->_state != HTTP_STATE_ABORT) {
        http_respond_problem(req, 500, "the handler gave no answer");
    }
    return leave(req);
}

/* Still libmicrohttpd's first call: an answer here suppresses its 100 Continue and closes the connection,
 * whose body stays unread. */
static enum MHD_Result take_head_again(struct http_request *req)
{
    const struct http_handler *handler = req->server->config.handler;
    if (handler->held) {
        handler->held(req->server->config.handler_self, req);
    }
    if (!req->suspended && !req->answered && req->_state == HTTP_STATE_HEAD_AGAIN) {
        req->_state = HTTP_STATE_HEAD;
    }
    return leave(req);
}

enum MHD_Result http_server_take_call(void *cls, struct MHD_Connection *connection, const char *url,
                                      const char *method, const char *version, const char *data, size_t *n,
                                      void **con_cls)
{
    (void)connection;
    struct http_server *server = cls;
    struct http_request *req = *con_cls;
    if (server->stopping || !req) {
        return MHD_NO;
    }
    switch ((enum http_request_state)req->_state) {
    case HTTP_STATE_LINE:
        return take_head(req, method, url, version);
    case HTTP_STATE_HEAD_AGAIN:
        return take_head_again(req);
    case HTTP_STATE_DELAYED:
        return http_disturb_delayed(req) ? leave(req) : give_head(req);
    case HTTP_STATE_FAILING:
        http_disturb_fail(req);
        return MHD_YES;
    case HTTP_STATE_ABORT:
        return MHD_NO;
    case HTTP_STATE_REFUSED:
        *n = 0;
        return MHD_YES;
    case HTTP_STATE_HEAD:
    case HTTP_STATE_BODY:
    case HTTP_STATE_READY:
    case HTTP_STATE_TOO_LARGE:
        break;
    }
    return *n ? take_body(req, data, n) : take_end(req);
}
