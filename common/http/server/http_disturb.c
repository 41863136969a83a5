/* Faults carried out (simulation; http_faults.h says which there are).
 *
 * A request is judged when its head is here, before the handler hears of it: so one that is to fail touches
 * neither cache nor origin nor access log. A delay is a suspension at that point. What concerns the answer is
 * noted in the request, and http_respond() then sends another response in place of the handler's: it lends
 * that one's fields and reads its body as libmicrohttpd would, from memory, file or stream, at a pace, up to
 * a point, or with one byte changed.
 *
 * To refuse connections the listener has to go. libmicrohttpd gives it up once and for all; so after the
 * first such fault http_arrival.c accepts. Meanwhile a socket that does not listen keeps the port.
 *
 * Where no faults are on, this costs a request one test of a pointer. */
#include "common/http/server/http_faults.h"
#include "common/http/server/http_listen.h"
#include "common/http/server/http_mhd_response.h"
#include "common/http/server/http_server.h"
#include "common/http/server/http_server_private.h"
#include "common/http/syntax/http_message.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S (1000 * NS_PER_MS)
#define PIECES_A_SECOND 20        /* of a slow answer */
#define BLOCK ((size_t)64 * 1024) /* between reader and socket */
#define UNSIZED_TRUNCATED 1000u   /* bytes of an answer of unknown length */

static _Atomic uint64_t suffered;

uint64_t http_faults_total(void)
{
    return atomic_load_explicit(&suffered, memory_order_relaxed);
}

/* ---- a request ---- */

struct http_delay { /* of a request that its handler has not heard of */
    struct loop_timer timer;
    struct http_request *req;
};

static void stop_delay(struct http_request *req)
{
    struct http_server *server = req->server;
    struct http_delay *delay = req->_delay;
    loop_timer_stop(server->loop, &delay->timer);
    http_count(&server->open_requests, -1u);
    req->_delay = NULL;
    free(delay);
}

static void delay_over(struct loop_timer *timer)
{
    struct http_request *req = CDN_CONTAINER_OF(timer, struct http_delay, timer)->req;
    req->suspended = false;
    http_server_unpark(req);
}

static void start_delay(struct http_request *req, int64_t ms)
{
    struct http_server *server = req->server;
    struct http_delay *delay = cdn_calloc(1, sizeof(*delay));
    delay->req = req;
    delay->timer.fire = delay_over;
    req->_delay = delay;
    req->_state = HTTP_STATE_DELAYED;
    req->suspended = true;
    http_count(&server->open_requests, 1); /* a drain waits for it */
    loop_timer_start(server->loop, &delay->timer, ms * NS_PER_MS);
}

/* An answer in libmicrohttpd's first call closes the connection: right where a body is on its way. */
static bool fail(struct http_request *req)
{
    if (!req->_fault.status) {
        return false;
    }
    req->_state = req->has_body ? HTTP_STATE_REFUSED : HTTP_STATE_FAILING;
    if (req->has_body) {
        http_disturb_fail(req);
    }
    return true;
}

void http_disturb_fail(struct http_request *req)
{
    struct http_server *server = req->server;
    if (server->config.handler->refused) {
        server->config.handler->refused(server->config.handler_self, req->_fault.status);
    }
    http_respond_problem(req, req->_fault.status, "A fault that was asked for.");
}

bool http_disturb_request(struct http_request *req)
{
    struct http_fault_set *set = req->server->faults;
    const struct http_fault_verdict v = http_faults_decide(&set->rules, req->path, &set->counter);
    req->_fault = v;
    if (v.drop || v.status || v.delay_ms || v.truncate || v.corrupt || v.slow) {
        atomic_fetch_add_explicit(&suffered, 1, memory_order_relaxed);
    }
    if (v.drop) {
        req->_state = HTTP_STATE_ABORT;
        return true;
    }
    if (!v.status && (v.truncate || v.corrupt || v.slow) && http_mhd_response_is_known()) {
        req->_special |= HTTP_SPECIAL_FAULT;
    }
    if (v.delay_ms) {
        start_delay(req, v.delay_ms);
        return true;
    }
    return fail(req);
}

bool http_disturb_delayed(struct http_request *req)
{
    stop_delay(req);
    req->_state = HTTP_STATE_HEAD;
    return fail(req);
}

void http_disturb_forget(struct http_request *req)
{
    if (req->_delay) {
        stop_delay(req);
    }
}

/* ---- an answer ---- */

struct disturbed {
    struct loop *loop;
    struct http_request *req; /* which libmicrohttpd forgets first: only while it reads */
    struct MHD_Response *response;
    struct MHD_Response *given; /* the handler's */
    struct loop_timer pace;
    int64_t since_ns;
    uint64_t rate;       /* bytes a second; 0: no limit */
    uint64_t end;        /* where it breaks off; UINT64_MAX: nowhere */
    uint64_t corrupt_at; /* UINT64_MAX: nowhere */
    bool sized;
};

static void pace_over(struct loop_timer *timer)
{
    struct disturbed *d = CDN_CONTAINER_OF(timer, struct disturbed, pace);
    d->req->suspended = false;
    http_server_unpark(d->req);
}

static uint64_t piece(const struct disturbed *d)
{
    return d->rate / PIECES_A_SECOND + 1;
}

/* How many bytes may go now. */
static uint64_t allowed(const struct disturbed *d, uint64_t at)
{
    if (!d->rate) {
        return UINT64_MAX;
    }
    const int64_t now = loop_mono_ns(d->loop);
    const double earned = (double)(now - d->since_ns) / (double)NS_PER_S * (double)d->rate;
    const uint64_t total = (uint64_t)earned + piece(d);
    return total > at ? total - at : 0;
}

static ssize_t wait_for_pace(struct disturbed *d, uint64_t at)
{
    struct http_request *req = d->req;
    const double due = (double)(at + piece(d)) / (double)d->rate * (double)NS_PER_S;
    loop_timer_start_at(d->loop, &d->pace, d->since_ns + (int64_t)due);
    req->suspended = true;
    http_server_park(req);
    return 0;
}

static ssize_t break_off(const struct disturbed *d)
{
    if (d->req->http10 && !d->sized) { /* else it looks whole */
        http_reset_socket(http_socket_of(d->req->connection));
    }
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static ssize_t read_disturbed(void *cls, uint64_t at, char *into, size_t max)
{
    struct disturbed *d = cls;
    if (d->req->server->stopping || d->req->_state == HTTP_STATE_ABORT || at >= d->end) {
        return break_off(d);
    }
    const uint64_t may = allowed(d, at);
    if (!may) {
        return wait_for_pace(d, at);
    }
    const uint64_t left = d->end - at < may ? d->end - at : may;
    const ssize_t n = http_mhd_response_read(d->given, at, into, left < max ? (size_t)left : max);
    if (n > 0 && d->corrupt_at >= at && d->corrupt_at < at + (uint64_t)n) {
        into[d->corrupt_at - at] ^= 1;
    }
    return n == MHD_CONTENT_READER_END_OF_STREAM && d->end != UINT64_MAX ? break_off(d) : n;
}

static void free_disturbed(void *cls)
{
    struct disturbed *d = cls;
    loop_timer_stop(d->loop, &d->pace);
    http_mhd_response_take_back(d->response);
    MHD_destroy_response(d->given);
    free(d);
}

static bool has_body(const struct http_request *req, unsigned status)
{
    return req->method != HTTP_HEAD && status >= 200 && status != MHD_HTTP_NO_CONTENT &&
           status != MHD_HTTP_NOT_MODIFIED;
}

struct MHD_Response *http_disturb_response(struct http_request *req, unsigned status,
                                           struct MHD_Response *given)
{
    const struct http_fault_verdict *v = &req->_fault;
    const uint64_t size = http_mhd_response_size(given);
    if (!(req->_special & HTTP_SPECIAL_FAULT) || !has_body(req, status) || size == 0) {
        return NULL;
    }
    struct disturbed *d = cdn_calloc(1, sizeof(*d));
    d->loop = req->server->loop;
    d->req = req;
    d->sized = size != MHD_SIZE_UNKNOWN;
    d->since_ns = loop_mono_ns(req->server->loop);
    d->pace.fire = pace_over;
    d->rate = v->slow;
    d->end = !v->truncate ? UINT64_MAX : d->sized ? size / 2 : UNSIZED_TRUNCATED;
    d->corrupt_at = !v->corrupt ? UINT64_MAX : v->draw % (d->sized ? size : UNSIZED_TRUNCATED);
    const size_t block = d->sized && size < BLOCK ? (size_t)size + 1 : BLOCK;
    d->response = MHD_create_response_from_callback(size, block, read_disturbed, d, free_disturbed);
    if (!d->response) {
        abort(); /* out of memory, as everywhere */
    }
    d->given = given;
    http_mhd_response_share(given);
    http_mhd_response_lend(given, d->response);
    return d->response;
}

/* ---- the listener ---- */

/* A socket that has the port and does not listen: connections are refused, and nobody takes it meanwhile. */
static void stop_listening(struct http_server *server)
{
    if (server->arrivals.ours) {
        http_arrivals_end(server);
    } else {
        const MHD_socket fd = MHD_quiesce_daemon(server->daemon);
        if (fd != MHD_INVALID_SOCKET) {
            close(fd);
        }
        server->arrivals.ours = true;
    }
    server->deaf = true;
    server->listener.fd = http_listen_reserve(&server->address, server->config.share_port);
}

static void listen_again(struct http_server *server)
{
    struct cdn_error err;
    server->deaf = false;
    if (server->listener.fd < 0) {
        server->listener.fd = http_listen_reserve(&server->address, server->config.share_port);
    }
    if (http_listen_reserved(server->listener.fd, &err) != CDN_OK ||
        http_arrivals_start(server, &err) != CDN_OK) {
        cdn_log(CDN_LOG_ERROR, "faults", "error=\"cannot listen again: %s\"", err.text);
    }
}

static void cut_all(struct http_server *server)
{
    for (struct http_peer *peer = server->peers, *next; peer; peer = next) {
        next = peer->next;
        http_peer_cut(peer);
    }
}

void http_server_disturb(struct http_server *server, struct http_fault_set *set)
{
    const bool active = set && set->rules.active;
    const bool deaf = active && (set->rules.refuse || set->rules.down);
    http_fault_set_unref(server->faults);
    server->faults = active ? http_fault_set_ref(set) : NULL;
    if (server->draining) {
        return;
    }
    if (deaf && !server->deaf) {
        stop_listening(server);
    } else if (!deaf && server->deaf) {
        listen_again(server);
    }
    if (active && set->rules.down) {
        cut_all(server);
    }
}
