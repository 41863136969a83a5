#include "common/http_server_private.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/banned.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define SPARE_REQUESTS 4096      /* kept for reuse */
#define OVERFLOW_BYTES (1 << 20) /* of a too large chunked body read before the connection is cut */
#define ACCEPT_ROUNDS 512 /* before a drained server stops listening; libmicrohttpd accepts 10 a round */

/* ---- requests: free list, life ---- */

static struct http_request *new_request(struct http_server *server)
{
    struct http_request *req = server->free_requests;
    if (req) {
        server->free_requests = req->_next;
        server->free_count--;
    } else {
        req = cdn_calloc(1, sizeof *req);
    }
    req->server = server;
    req->_state = HTTP_STATE_LINE;
    req->_begun = false;
    req->_next = NULL;
    return req;
}

static void free_request(struct http_request *req)
{
    cdn_buf_free(&req->_target);
    free(req);
}

static void recycle_request(struct http_request *req)
{
    struct http_server *server = req->server;
    if (server->free_count >= SPARE_REQUESTS) {
        free_request(req);
        return;
    }
    req->_next = server->free_requests;
    server->free_requests = req;
    server->free_count++;
}

/* libmicrohttpd calls this with the target as sent, before it cuts it up: the only place where it can be had.
 */
static void *note_line(void *cls, const char *uri, struct MHD_Connection *connection)
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
    }
    /* An empty query keeps libmicrohttpd from splitting it into arguments that nobody asks for: some 60 bytes
     * of the connection's pool each, so that a long query would be refused. The bytes are its read buffer. */
    const char *query = memchr(uri, '?', n);
    if (query) {
        ((char *)(uintptr_t)query)[1] = '\0';
    }
    return req;
}

static size_t leave_escaped(void *cls, struct MHD_Connection *connection, char *s)
{
    (void)cls;
    (void)connection;
    return strlen(s);
}

static void begin_request(struct http_request *req)
{
    req->secure = req->server->config.tls_certificate != NULL;
    req->answered = false;
    req->suspended = false;
    req->body_received = 0;
    req->started_ns = loop_mono_ns(req->server->loop);
    req->app = NULL;
    req->_stream = NULL;
    req->_late = NULL;
    req->_suspended_ns = 0;
}

static void unlink_suspended(struct http_request *req)
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
        unlink_suspended(req);
    }
    server->open_requests--;
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

static void shut_idle(struct http_peer *peer)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(peer->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info) {
        shutdown(info->connect_fd, SHUT_RD); /* libmicrohttpd reads the end and closes */
    }
}

static void request_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                              enum MHD_RequestTerminationCode how)
{
    (void)connection;
    struct http_server *server = cls;
    struct http_request *req = *con_cls;
    if (!req) {
        return;
    }
    *con_cls = NULL;
    struct http_peer *peer = req->_peer;
    if (req->_begun) { /* else the head was refused */
        bool complete = how == MHD_REQUEST_TERMINATED_COMPLETED_OK && req->answered;
        finish_request(req, complete ? HTTP_END_OK : HTTP_END_ABORTED);
    }
    recycle_request(req);
    if (peer) {
        peer->busy = false;
        if (server->draining) {
            shut_idle(peer);
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
    unlink_suspended(req);
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
    if (req->suspended) {
        req->suspended = false;
        http_server_unpark(req);
    }
}

/* libmicrohttpd does not notice that the client of a suspended connection has gone. */
static void break_suspended(struct http_request *req)
{
    if (req->answered && req->_stream) {
        http_stream_break(req->_stream);
    } else {
        http_abort(req);
    }
}

static void check_limit(struct loop_timer *timer)
{
    struct http_server *server = (struct http_server *)((char *)timer - offsetof(struct http_server, limit));
    int64_t limit = server->config.suspend_limit_s * NS_PER_S;
    int64_t now = loop_mono_ns(server->loop);
    while (server->first_suspended && server->first_suspended->_suspended_ns + limit <= now) {
        break_suspended(server->first_suspended);
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

static enum MHD_Result take_head(struct http_request *req, const char *method, const char *url,
                                 const char *version)
{
    struct http_server *server = req->server;
    begin_request(req);
    req->_state = HTTP_STATE_HEAD;
    enum http_refusal refusal = http_request_read(req, method, url, version);
    if (refusal) {
        /* an answer in libmicrohttpd's first call closes the connection, which is what is wanted here */
        req->_state = HTTP_STATE_REFUSED;
        http_respond_problem(req, http_refusal_status(refusal), http_refusal_detail(refusal));
        return leave(req);
    }
    server->open_requests++;
    req->_begun = true;
    if (server->config.handler->head) {
        server->config.handler->head(server->config.handler_self, req);
    }
    if (req->suspended) {
        req->_state = HTTP_STATE_HEAD_AGAIN;
    }
    return leave(req);
}

/* Throws the rest away so that the client, which is still sending, gets to read the 413; but not for ever. */
static enum MHD_Result take_overflow(struct http_request *req, size_t *n)
{
    req->body_received += *n;
    *n = 0;
    if (req->body_received - req->server->config.max_body <= OVERFLOW_BYTES) {
        return MHD_YES;
    }
    http_write_raw(
        req, CDN_STR("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
    return MHD_NO;
}

static enum MHD_Result take_body(struct http_request *req, const char *data, size_t *n)
{
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
    size_t taken = *n;
    if (config->handler->body && !req->answered) {
        taken = config->handler->body(config->handler_self, req, data, *n);
        assert(taken <= *n);
        if (taken < *n && !req->answered) {
            req->suspended = true;
        }
    }
    req->body_received += taken;
    *n = req->answered ? 0 : *n - taken;
    return leave(req);
}

static enum MHD_Result take_end(struct http_request *req)
{
    if (req->_state == HTTP_STATE_TOO_LARGE) {
        http_respond_problem(req, http_refusal_status(HTTP_REFUSE_BODY_TOO_LARGE),
                             http_refusal_detail(HTTP_REFUSE_BODY_TOO_LARGE));
        return leave(req);
    }
    if (req->_late) { /* answered while the body was arriving */
        return MHD_queue_response(req->connection, req->_late_status, req->_late);
    }
    req->_state = HTTP_STATE_READY;
    if (!req->answered) {
        req->server->config.handler->ready(req->server->config.handler_self, req);
    }
    if (!req->answered && !req->suspended && req->_state != HTTP_STATE_ABORT) {
        http_respond_problem(req, 500, "the handler gave no answer");
    }
    return leave(req);
}

static enum MHD_Result take_call(void *cls, struct MHD_Connection *connection, const char *url,
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
        req->_state = HTTP_STATE_HEAD;
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

/* ---- connections ---- */

static void drop_credentials(struct http_credentials *c)
{
    if (c && --c->refs == 0) {
        gnutls_certificate_free_credentials(c->cert);
        free(c);
    }
}

static void open_peer(struct http_server *server, struct MHD_Connection *connection, void **context)
{
    struct http_peer *peer = cdn_calloc(1, sizeof *peer);
    peer->server = server;
    peer->connection = connection;
    peer->next = server->peers;
    if (peer->next) {
        peer->next->previous = peer;
    }
    server->peers = peer;
    server->open_peers++;
    *context = peer;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (server->credentials && info && info->tls_session) {
        peer->credentials = server->credentials;
        peer->credentials->refs++;
        gnutls_credentials_set(info->tls_session, GNUTLS_CRD_CERTIFICATE, peer->credentials->cert);
    }
}

static void close_peer(struct http_server *server, struct http_peer *peer)
{
    *(peer->previous ? &peer->previous->next : &server->peers) = peer->next;
    if (peer->next) {
        peer->next->previous = peer->previous;
    }
    server->open_peers--;
    drop_credentials(peer->credentials);
    free(peer);
}

static void peer_changed(void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        open_peer(cls, connection, context);
    } else if (*context) {
        close_peer(cls, *context);
        *context = NULL;
    }
}

/* ---- the daemon on the loop ---- */

static void run_daemon(struct http_server *server)
{
    server->running = true;
    MHD_run(server->daemon);
    server->running = false;
    MHD_UNSIGNED_LONG_LONG ms;
    if (MHD_get_timeout(server->daemon, &ms) == MHD_YES) {
        /* 0: work is left over; done in the next turn, so that others have theirs. An early timer does no
         * harm. */
        int64_t due = loop_mono_ns(server->loop) + (int64_t)ms * NS_PER_MS;
        if (!server->timer.heap_index || due < server->timer.due_ns) {
            loop_timer_start_at(server->loop, &server->timer, due);
        }
    }
}

static void events_ready(struct loop_fd *self, uint32_t events)
{
    (void)events;
    run_daemon((struct http_server *)((char *)self - offsetof(struct http_server, events)));
}

static void timer_fired(struct loop_timer *self)
{
    run_daemon((struct http_server *)((char *)self - offsetof(struct http_server, timer)));
}

static void work_due(struct loop_deferred *self)
{
    run_daemon((struct http_server *)((char *)self - offsetof(struct http_server, work)));
}

static void ignore_sigpipe(void)
{
    signal(SIGPIPE, SIG_IGN);
}

static void apply_defaults(struct http_server_config *config)
{
    config->max_connections = config->max_connections ? config->max_connections : 15000;
    config->idle_timeout_s = config->idle_timeout_s ? config->idle_timeout_s : 60;
    config->suspend_limit_s = config->suspend_limit_s ? config->suspend_limit_s : 600;
    config->memory_per_connection = config->memory_per_connection ? config->memory_per_connection : 16 * 1024;
}

static struct MHD_Daemon *start_daemon(struct http_server *server)
{
    const struct http_server_config *config = &server->config;
    bool tls = config->tls_certificate != NULL;
    struct MHD_OptionItem tls_options[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)config->tls_certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)config->tls_key},
        {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (tls ? (unsigned)MHD_USE_TLS : 0u), 0, NULL, NULL,
        take_call, server, MHD_OPTION_LISTEN_SOCKET, server->listener.fd, MHD_OPTION_CONNECTION_LIMIT,
        config->max_connections, MHD_OPTION_CONNECTION_TIMEOUT, config->idle_timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, config->memory_per_connection, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_URI_LOG_CALLBACK, note_line, server,
        MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL, MHD_OPTION_NOTIFY_COMPLETED, request_completed,
        server, MHD_OPTION_NOTIFY_CONNECTION, peer_changed, server, MHD_OPTION_ARRAY,
        tls ? tls_options : none, MHD_OPTION_END);
}

static enum cdn_status read_credentials(const char *cert_pem, const char *key_pem,
                                        struct http_credentials **ret, struct cdn_error *err)
{
    gnutls_datum_t cert = {(unsigned char *)(uintptr_t)cert_pem, (unsigned)strlen(cert_pem)};
    gnutls_datum_t key = {(unsigned char *)(uintptr_t)key_pem, (unsigned)strlen(key_pem)};
    struct http_credentials *c = cdn_calloc(1, sizeof *c);
    c->refs = 1;
    int problem = gnutls_certificate_allocate_credentials(&c->cert);
    if (problem >= 0) {
        problem = gnutls_certificate_set_x509_key_mem(c->cert, &cert, &key, GNUTLS_X509_FMT_PEM);
    }
    if (problem < 0) {
        drop_credentials(c);
        return cdn_error_set(err, CDN_INVALID, "cannot use the TLS certificate and key: %s",
                             gnutls_strerror(problem));
    }
    *ret = c;
    return CDN_OK;
}

static enum cdn_status check_certificate(const struct http_server_config *config, struct cdn_error *err)
{
    if (!config->tls_certificate) {
        return CDN_OK;
    }
    if (!config->tls_key) {
        return cdn_error_set(err, CDN_INVALID, "a TLS certificate needs a key");
    }
    struct http_credentials *c;
    enum cdn_status status = read_credentials(config->tls_certificate, config->tls_key, &c, err);
    if (status == CDN_OK) {
        drop_credentials(c);
    }
    return status;
}

static enum cdn_status attach(struct http_server *server, struct cdn_error *err)
{
    socklen_t n = sizeof server->address;
    getsockname(server->listener.fd, &server->address.sa, &n);
    server->daemon = start_daemon(server);
    if (!server->daemon) {
        return cdn_error_set(err, CDN_IO, "cannot start the HTTP server");
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    server->events = (struct loop_fd){.fd = info->epoll_fd, .events = EPOLLIN, .ready = events_ready};
    enum cdn_status status = loop_fd_add(server->loop, &server->events, err);
    if (status == CDN_OK) {
        loop_defer(server->loop,
                   &server->work); /* the listening socket enters the epoll set in the first run */
    }
    return status;
}

enum cdn_status http_server_start(struct loop *loop, const struct http_server_config *config,
                                  struct http_server **ret, struct cdn_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, ignore_sigpipe);
    struct http_listener listener;
    enum cdn_status status = check_certificate(config, err);
    if (status == CDN_OK) {
        status = http_listen(&config->listen, config->share_port, config->port_is_claimed, &listener, err);
    }
    if (status != CDN_OK) {
        return status;
    }
    struct http_server *server = cdn_calloc(1, sizeof *server);
    server->loop = loop;
    server->config = *config;
    server->listener = listener;
    server->timer.fire = timer_fired;
    server->limit.fire = check_limit;
    server->work.call = work_due;
    apply_defaults(&server->config);
    http_field_slots_fill(server->field_slots);
    status = attach(server, err);
    if (status != CDN_OK) {
        http_server_stop(server);
        return status;
    }
    *ret = server;
    return CDN_OK;
}

void http_server_address(const struct http_server *server, struct cdn_addr *ret)
{
    *ret = server->address;
}

struct loop *http_server_loop(const struct http_server *server)
{
    return server->loop;
}

unsigned http_server_open_requests(const struct http_server *server)
{
    return server->open_requests;
}

unsigned http_server_open_connections(const struct http_server *server)
{
    return server->open_peers;
}

enum cdn_status http_server_set_certificate(struct http_server *server, const char *cert_pem,
                                            const char *key_pem, struct cdn_error *err)
{
    if (!server->config.tls_certificate) {
        return cdn_error_set(err, CDN_INVALID, "this listener does not speak TLS");
    }
    struct http_credentials *fresh;
    enum cdn_status status = read_credentials(cert_pem, key_pem, &fresh, err);
    if (status == CDN_OK) {
        drop_credentials(server->credentials);
        server->credentials = fresh;
    }
    return status;
}

static void stop_listening(struct http_server *server)
{
    MHD_socket fd = server->draining ? MHD_INVALID_SOCKET : MHD_quiesce_daemon(server->daemon);
    if (fd != MHD_INVALID_SOCKET) {
        close(fd);
    }
}

void http_server_drain(struct http_server *server)
{
    assert(!server->running);
    if (server->draining) {
        return;
    }
    /* connections that wait to be accepted would be reset */
    for (unsigned round = 0, before = UINT32_MAX; round < ACCEPT_ROUNDS && before != server->open_peers;
         round++) {
        before = server->open_peers;
        run_daemon(server);
    }
    stop_listening(server);
    server->draining = true;
    for (struct http_peer *peer = server->peers; peer; peer = peer->next) {
        if (!peer->busy) {
            shut_idle(peer);
        }
    }
}

void http_server_stop(struct http_server *server)
{
    if (!server) {
        return;
    }
    assert(!server->running);
    server->stopping = true;
    if (server->daemon) {
        while (server->first_suspended) {
            break_suspended(server->first_suspended);
        }
        MHD_run(server->daemon); /* libmicrohttpd must not stop with suspended connections */
        stop_listening(server);
        loop_fd_remove(server->loop, &server->events);
        MHD_stop_daemon(server->daemon);
    }
    loop_timer_stop(server->loop, &server->timer);
    loop_timer_stop(server->loop, &server->limit);
    loop_defer_cancel(server->loop, &server->work);
    if (server->listener.claim_fd >= 0) {
        close(server->listener.claim_fd);
    }
    while (server->free_requests) {
        struct http_request *req = server->free_requests;
        server->free_requests = req->_next;
        free_request(req);
    }
    drop_credentials(server->credentials);
    free(server);
}
