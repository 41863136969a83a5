/* http_server: the daemon of libmicrohttpd as a guest of our loop: its epoll descriptor is watched,
 * its time-out becomes a timer, and it is run once more after anything was resumed. Why it gets no
 * thread of its own: docs/architecture.md. */
#include "common/http/server/http_server.h"

#include "common/http/server/http_listen.h"
#include "common/http/server/http_mhd.h"
#include "common/http/server/http_mhd_text.h"
#include "common/http/server/http_server_private.h"
#include "common/http/server/tls_pair.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"

#include <assert.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)
#define ACCEPT_ROUNDS 512 /* before a drained server stops listening; libmicrohttpd accepts 10 a round */

/* RFC 8996: nothing older than TLS 1.2. An option takes no constant. */
static char tls_priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

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
    run_daemon(CDN_CONTAINER_OF(self, struct http_server, events));
}

static void timer_fired(struct loop_timer *self)
{
    run_daemon(CDN_CONTAINER_OF(self, struct http_server, timer));
}

static void work_due(struct loop_deferred *self)
{
    run_daemon(CDN_CONTAINER_OF(self, struct http_server, work));
}

static void ignore_sigpipe(void)
{
    signal(SIGPIPE, SIG_IGN);
}

static void apply_defaults(struct http_server_config *config)
{
    config->max_connections = config->max_connections ? config->max_connections : HTTP_CONNECTIONS_USUAL;
    config->idle_timeout_s = config->idle_timeout_s ? config->idle_timeout_s : 60;
    config->head_timeout_ms = config->head_timeout_ms ? config->head_timeout_ms : 10000;
    config->body_timeout_ms = config->body_timeout_ms ? config->body_timeout_ms : 30000;
    config->body_rate = config->body_rate ? config->body_rate : 1000;
    config->suspend_limit_s = config->suspend_limit_s ? config->suspend_limit_s : 600;
    config->memory_per_connection = config->memory_per_connection ? config->memory_per_connection : 16 * 1024;
}

/* MHD_OPTION_STRICT_FOR_CLIENT is left at 0: its refusals are all made in http_request.c, and when 0.9.75
 * itself finds Host missing it sends the head of its answer twice. */
static struct MHD_Daemon *start_daemon(struct http_server *server)
{
    const struct http_server_config *config = &server->config;
    const struct cdn_tls_pair *tls = config->tls ? cdn_tls_set_at(config->tls, 0) : NULL;
    struct MHD_OptionItem tls_options[] = {/* it wants one; http_peer.c gives each session its own */
                                           {MHD_OPTION_HTTPS_MEM_CERT, 0, tls ? tls->certificate : NULL},
                                           {MHD_OPTION_HTTPS_MEM_KEY, 0, tls ? tls->key : NULL},
                                           {MHD_OPTION_HTTPS_PRIORITIES, 0, tls_priorities},
                                           {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem listen[] = {{MHD_OPTION_LISTEN_SOCKET, server->listener.fd, NULL},
                                      {MHD_OPTION_END, 0, NULL}};
    const bool ours = config->proxy_protocol != HTTP_PROXY_PROTOCOL_NO; /* http_arrival.c listens */
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (tls ? (unsigned)MHD_USE_TLS : 0u) |
            (ours ? (unsigned)MHD_USE_NO_LISTEN_SOCKET : 0u),
        0, NULL, NULL, http_server_take_call, server, MHD_OPTION_ARRAY, ours ? none : listen,
        MHD_OPTION_CONNECTION_LIMIT, config->max_connections + http_server_spare(config->max_connections),
        MHD_OPTION_CONNECTION_TIMEOUT, config->idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        config->memory_per_connection, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_URI_LOG_CALLBACK,
        http_server_note_line, server, MHD_OPTION_UNESCAPE_CALLBACK, http_server_leave_escaped, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, http_server_request_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        http_peer_changed, server, MHD_OPTION_ARRAY, tls ? tls_options : none, MHD_OPTION_END);
}

static enum cdn_status attach(struct http_server *server, struct cdn_error *err)
{
    socklen_t n = sizeof(server->address);
    getsockname(server->listener.fd, &server->address.sa, &n);
    server->daemon = start_daemon(server);
    if (!server->daemon) {
        return cdn_error_set(err, CDN_IO, "cannot start the HTTP server");
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    server->events = (struct loop_fd){.fd = info->epoll_fd, .events = EPOLLIN, .ready = events_ready};
    enum cdn_status status = loop_fd_add(server->loop, &server->events, err);
    if (status == CDN_OK && server->config.proxy_protocol != HTTP_PROXY_PROTOCOL_NO) {
        status = http_arrivals_start(server, err);
    }
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
    enum cdn_status status =
        http_listen(&config->listen, config->share_port, config->port_is_claimed, &listener, err);
    if (status != CDN_OK) {
        return status;
    }
    struct http_server *server = cdn_calloc(1, sizeof(*server));
    server->loop = loop;
    server->config = *config;
    cdn_tls_set_ref(server->config.tls);
    server->listener = listener;
    server->timer.fire = timer_fired;
    server->limit.fire = http_server_check_limit;
    server->work.call = work_due;
    server->deadlines.fire = http_peer_look;
    server->in_place = http_mhd_text_requests();
    server->gated = server->in_place && http_mhd_is_known();
    apply_defaults(&server->config);
    server->config.upgrades &= server->gated;
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

unsigned http_server_open_requests(const struct http_server *server)
{
    return atomic_load_explicit(&server->open_requests, memory_order_relaxed);
}

unsigned http_server_open_connections(const struct http_server *server)
{
    return atomic_load_explicit(&server->open_peers, memory_order_relaxed) +
           atomic_load_explicit(&server->arrivals.count, memory_order_relaxed);
}

bool http_server_is_full(const struct http_server *server)
{
    const struct http_server_config *config = &server->config;
    return http_server_open_connections(server) > config->max_connections ||
           (config->is_full && config->is_full(config->handler_self));
}

#define SPARE 64u
#define SPARE_PART 4u /* of a small limit */

unsigned http_server_spare(unsigned max_connections)
{
    const unsigned part = max_connections / SPARE_PART + 1;
    return part < SPARE ? part : SPARE;
}

unsigned http_server_limit_within(uint64_t descriptors)
{
    if (descriptors >= UINT32_MAX) {
        return UINT32_MAX - SPARE;
    }
    if (descriptors >= SPARE * (SPARE_PART + 1)) {
        return (unsigned)descriptors - SPARE;
    }
    return descriptors > 2 ? ((unsigned)descriptors - 1) * SPARE_PART / (SPARE_PART + 1) : 1;
}

void http_server_set_tls(struct http_server *server, struct cdn_tls_set *tls)
{
    assert(server->config.tls && tls);
    cdn_tls_set_unref(server->config.tls);
    server->config.tls = cdn_tls_set_ref(tls);
}

static void stop_listening(struct http_server *server)
{
    if (server->arrivals.ours) {
        return; /* done by http_arrival.c */
    }
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
    if (server->arrivals.ours) {
        http_arrivals_drain(server);
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
            http_peer_close(peer);
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
    if (server->arrivals.ours) {
        http_arrivals_end(server);
    }
    http_fault_set_unref(server->faults);
    server->faults = NULL;
    if (server->daemon) {
        while (server->first_suspended) {
            http_server_break_suspended(server->first_suspended);
        }
        http_upgrades_end(server);
        MHD_run(server->daemon); /* libmicrohttpd must not stop with suspended connections */
        stop_listening(server);
        loop_fd_remove(server->loop, &server->events);
        MHD_stop_daemon(server->daemon);
    }
    http_linger_end_all(server);
    loop_timer_stop(server->loop, &server->timer);
    loop_timer_stop(server->loop, &server->limit);
    loop_timer_stop(server->loop, &server->deadlines);
    loop_defer_cancel(server->loop, &server->work);
    if (server->listener.claim_fd >= 0) {
        close(server->listener.claim_fd);
    }
    while (server->free_requests) {
        struct http_request *req = server->free_requests;
        server->free_requests = req->_next;
        http_server_free_request(req);
    }
    cdn_tls_set_unref(server->config.tls);
    free(server);
}
