/* conn: the life of a connection. Opening it costs a round trip, as TCP's handshake does: half of it before
 * the target's kernel is asked, half before the client is answered. Then both directions run for themselves
 * until their ends have arrived; a reset of one side arrives at the other and ends both.
 * What a socket is watched for is worked out in one place (wan_conn_update) from what its lanes wait for. */
#include "common/clock.h"
#include "common/daemon/metrics.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/mix.h"
#include "common/parse.h"
#include "common/proxy_protocol.h"
#include "common/status.h"
#include "wan/path/path.h"
#include "wan/relay/client.h"
#include "wan/relay/end.h"
#include "wan/relay/link.h"
#include "wan/relay/metrics.h"
#include "wan/relay/pipe.h"
#include "wan/relay/relay_private.h"
#include "wan/relay/resolve.h"
#include "wan/relay/route.h"
#include "wan/relay/settings.h"
#include "wan/relay/socks.h"
#include "wan/relay/world.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)
#define UNSENT_MOST (128 * 1024) /* bytes that the kernel keeps for a reader who is slow */
#define MOST_DISCARDED 65536

static void on_side(struct loop_fd *watch, uint32_t events);
static void on_timer(struct loop_timer *timer);

/* ---- life ---- */

static void set_option(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof(value));
}

static void reset_at_close(int fd, bool yes)
{
    const struct linger at_once = {.l_onoff = yes};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

/* Whoever ends this process ends every connection by a reset: the kernel's FIN would make the half that was
 * delivered look whole. Urgent bytes are bytes like others; out of the stream they would hide what is behind
 * them from FIONREAD. */
static void prepare_socket(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_OOBINLINE, 1);
    reset_at_close(fd, true);
}

void wan_conn_close_side(struct wan_conn *conn, unsigned i, bool reset)
{
    struct wan_side *side = &conn->side[i];
    if (side->watch.fd < 0) {
        return;
    }
    if (side->watched) {
        loop_fd_remove(conn->relay->loop, &side->watch);
        side->watched = false;
    }
    reset_at_close(side->watch.fd, reset);
    close(side->watch.fd);
    side->watch.fd = -1;
}

static void log_end(const struct wan_conn *conn)
{
    if (!cdn_log_wants(CDN_LOG_DEBUG)) {
        return;
    }
    char target[CDN_ADDR_TEXT_SIZE] = "";
    if (conn->node || conn->to) {
        cdn_addr_format(&conn->target, target);
    }
    cdn_log(CDN_LOG_DEBUG, "connection",
            "number=%" PRIu64 " from=%s profile=%s to=%s target=%s rtt_ms=%.3f up=%" PRIu64 " down=%" PRIu64
            " ms=%.1f end=%s",
            conn->number, conn->client ? conn->client->end->name : "",
            conn->client ? wan_client_profile_name(conn->client) : "", conn->to ? conn->to->name : "", target,
            (double)(conn->route.up.there_ns + conn->route.down.there_ns) / 1e6, conn->lane[0].pipe.delivered,
            conn->lane[1].pipe.delivered, (double)(cdn_clock_mono_ns() - conn->began_ns) / 1e6,
            conn->end ? conn->end : "");
}

static void free_conn(struct wan_conn *conn)
{
    struct wan_relay *relay = conn->relay;
    log_end(conn);
    cdn_metric_add(&relay->metrics.bytes_up, conn->lane[0].pipe.delivered);
    cdn_metric_add(&relay->metrics.bytes_down, conn->lane[1].pipe.delivered);
    wan_resolve_cancel(conn->question);
    loop_timer_stop(relay->loop, &conn->timer);
    wan_lane_fini(&conn->lane[0]);
    wan_lane_fini(&conn->lane[1]);
    if (conn->previous) {
        conn->previous->next = conn->next;
    } else {
        relay->conns = conn->next;
    }
    if (conn->next) {
        conn->next->previous = conn->previous;
    }
    relay->conn_count--;
    wan_client_unref(conn->client);
    wan_era_unref(conn->era);
    free(conn->hello);
    free(conn);
}

void wan_conn_end(struct wan_conn *conn, const char *why, bool reset)
{
    conn->end = conn->end ? conn->end : why;
    wan_conn_close_side(conn, 0, reset);
    wan_conn_close_side(conn, 1, reset);
    free_conn(conn);
}

void wan_conn_break(struct wan_conn *conn, const char *why)
{
    wan_conn_end(conn, why, true);
}

static struct wan_conn *new_conn(struct wan_relay *relay, int fd)
{
    struct wan_conn *conn = cdn_calloc(1, sizeof(*conn));
    conn->relay = relay;
    conn->era = wan_era_ref(relay->era);
    conn->number = ++relay->conn_number;
    conn->next = relay->conns;
    if (conn->next) {
        conn->next->previous = conn;
    }
    relay->conns = conn;
    relay->conn_count++;
    conn->timer.fire = on_timer;
    conn->began_ns = cdn_clock_mono_ns();
    conn->fixed_rtt_ns = -1;
    for (unsigned i = 0; i < 2; i++) {
        conn->side[i] =
            (struct wan_side){.conn = conn, .i = i, .watch = {.fd = i ? -1 : fd, .ready = on_side}};
        wan_lane_init(&conn->lane[i], conn, i);
    }
    return conn;
}

static bool watch_side(struct wan_conn *conn, unsigned i, uint32_t events)
{
    struct wan_side *side = &conn->side[i];
    struct cdn_error none;
    side->watch.events = events;
    side->watched = loop_fd_add(conn->relay->loop, &side->watch, &none) == CDN_OK;
    return side->watched;
}

void wan_conn_accept(struct wan_listener *listener, int fd)
{
    struct wan_relay *relay = listener->relay;
    cdn_metric_add(&relay->metrics.accepted, 1);
    struct wan_conn *conn = new_conn(relay, fd);
    prepare_socket(fd);
    if (relay->conn_count > relay->conn_limit || !watch_side(conn, 0, EPOLLIN)) {
        cdn_metric_add(&relay->metrics.refused_limit, 1);
        wan_conn_break(conn, "limit");
        return;
    }
    if (listener->client) {
        conn->client = wan_client_ref(listener->client);
    }
    if (listener->kind == WAN_LISTENER_LINK) {
        const struct wan_link *link = listener->link;
        conn->to = &link->end;
        conn->fixed_rtt_ns = link->rtt_ns;
        wan_conn_go(conn, link->node, &link->target);
    } else {
        wan_conn_hello_begin(conn, !listener->client);
    }
}

/* ---- opening ---- */

/* Of one of its four ways: both directions, and both of the handshake. */
static uint64_t seed_of(const struct wan_conn *conn, unsigned way)
{
    return cdn_mix64(conn->relay->settings->seed + conn->route.seed * 5 + conn->number * 4 + way);
}

static void find_route(struct wan_conn *conn)
{
    wan_route_find(conn->relay->settings, &conn->relay->faults, conn->client, conn->to, conn->fixed_rtt_ns,
                   &conn->route);
}

static bool is_cut(const struct wan_conn *conn)
{
    return conn->route.up.cut || conn->route.down.cut;
}

static int64_t time_limit_ns(const struct wan_conn *conn)
{
    return conn->relay->settings->connect_timeout * NS_PER_MS;
}

/* When a segment of the handshake that first leaves at since_ns is there: late when it is lost, as its sender
 * repeats it. It has a way of its own, since those of the pipes begin when the handshake is over. */
static int64_t handshake_ns(const struct wan_conn *conn, bool up, int64_t since_ns)
{
    const struct wan_path *path = up ? &conn->route.up : &conn->route.down;
    struct wan_way way;
    wan_way_init(&way, path, NULL, seed_of(conn, up ? 2 : 3));
    const int64_t there_ns = wan_way_syn_ns(&way, since_ns);
    return there_ns == WAN_NEVER ? since_ns + path->there_ns : there_ns;
}

/* The first segment leaves; over a cut link it is repeated until somebody gives up. */
static void send_syn(struct wan_conn *conn, int64_t now_ns)
{
    const int64_t most_ns = conn->began_ns + time_limit_ns(conn);
    conn->called_ns = handshake_ns(conn, true, now_ns);
    loop_timer_start_at(conn->relay->loop, &conn->timer,
                        is_cut(conn) || conn->called_ns > most_ns ? most_ns : conn->called_ns);
}

void wan_conn_go(struct wan_conn *conn, const struct wan_node *node, const struct cdn_addr *target)
{
    conn->node = node;
    conn->to = conn->to ? conn->to : &node->end;
    conn->target = *target;
    conn->proxy = node && node->proxy && wan_world_same_address(&node->listen, target);
    conn->state = WAN_CONN_SYN;
    conn->began_ns = cdn_clock_mono_ns();
    find_route(conn);
    send_syn(conn, conn->began_ns);
    wan_conn_update(conn);
}

static void refuse_connect(struct wan_conn *conn, enum wan_socks_reply reply, const char *text)
{
    cdn_metric_add(&conn->relay->metrics.refused_connect, 1);
    if (!conn->socks) {
        wan_conn_break(conn, "connect"); /* a relay has no other words */
        return;
    }
    wan_conn_answer(conn, reply, NULL);
    wan_conn_refuse(conn, "connect", text);
}

/* The target's kernel has answered, `error` being 0 for yes; the client hears of it when it gets there. */
static void connected(struct wan_conn *conn, int error)
{
    conn->took_ns = cdn_clock_mono_ns() - conn->took_ns;
    conn->failed = error != 0;
    conn->state = WAN_CONN_ACK;
    conn->open_ns = handshake_ns(conn, false, conn->called_ns + conn->took_ns);
    if (conn->failed) {
        wan_conn_close_side(conn, 1, false);
    }
    loop_timer_start_at(conn->relay->loop, &conn->timer, conn->open_ns);
    wan_conn_update(conn);
}

static void call_target(struct wan_conn *conn)
{
    int fd = socket(conn->target.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    conn->state = WAN_CONN_CONNECT;
    conn->took_ns = cdn_clock_mono_ns();
    loop_timer_start(conn->relay->loop, &conn->timer, time_limit_ns(conn));
    if (fd < 0) {
        connected(conn, errno);
        return;
    }
    conn->side[1].watch.fd = fd;
    prepare_socket(fd);
    int result = connect(fd, &conn->target.sa, cdn_addr_len(&conn->target)) == 0 ? 0 : errno;
    if (!watch_side(conn, 1, result == EINPROGRESS ? EPOLLOUT : 0) || result != EINPROGRESS) {
        connected(conn, conn->side[1].watched ? result : EIO);
    }
}

/* As whom the target sees the client: his place's address; of a node its own listener's. */
static void send_proxy_header(const struct wan_conn *conn)
{
    char header[PROXY_WRITE_MAX];
    const struct wan_node *as = wan_world_node_of(&conn->era->world, conn->client->end);
    struct cdn_addr source = as ? as->listen : conn->client->end->address;
    if (!as && source.sa.sa_family != AF_UNSPEC) {
        cdn_addr_set_port(&source, (unsigned)(1024 + conn->number % 64000));
    }
    size_t n = proxy_header_write(source.sa.sa_family == AF_UNSPEC ? NULL : &source, &conn->target, header);
    ssize_t sent = send(conn->side[1].watch.fd, header, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent; /* into an empty socket; what is wrong with it shows soon enough */
}

static void init_pipes(struct wan_conn *conn)
{
    struct wan_relay *relay = conn->relay;
    const bool shares = conn->client->shares;
    const struct wan_path *paths[2] = {&conn->route.up, &conn->route.down};
    struct wan_line *lines[2] = {&conn->client->up, &conn->client->down};
    for (unsigned i = 0; i < 2; i++) {
        wan_pipe_init(&conn->lane[i].pipe, &relay->budget, paths[i], shares ? lines[i] : NULL,
                      seed_of(conn, i));
    }
    conn->piped = true;
}

/* The client hears that the target accepted: from now on he may send. What the target sends first leaves when
 * it has heard the third segment of the handshake, half a round trip later. */
static void open_conn(struct wan_conn *conn)
{
    struct cdn_addr bound = {0};
    socklen_t n = sizeof(bound);
    getsockname(conn->side[1].watch.fd, &bound.sa, &n);
    wan_conn_answer(conn, WAN_SOCKS_OK, &bound);
    free(conn->hello);
    conn->hello = NULL;
    conn->socks = false;
    conn->state = WAN_CONN_OPEN;
    conn->moved_ns = conn->open_ns;
    cdn_metric_add(&conn->relay->metrics.opened, 1);
    if (conn->proxy) {
        send_proxy_header(conn);
    }
    find_route(conn);
    init_pipes(conn);
    for (unsigned i = 0; i < 2; i++) {
        if (!conn->lane[i].pipe.direct) {
            set_option(conn->side[i].watch.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_MOST);
        }
    }
    conn->lane[0].reading = true;
    loop_timer_start_at(conn->relay->loop, &conn->lane[1].depart, conn->open_ns + conn->route.up.there_ns);
    loop_timer_start(conn->relay->loop, &conn->timer, conn->relay->settings->idle_timeout * NS_PER_MS);
    wan_lane_run(&conn->lane[0], true);
}

static void check_idle(struct wan_conn *conn)
{
    int64_t due_ns = conn->moved_ns + conn->relay->settings->idle_timeout * NS_PER_MS;
    if (due_ns <= cdn_clock_mono_ns()) {
        cdn_metric_add(&conn->relay->metrics.timed_out, 1);
        wan_conn_break(conn, "idle");
        return;
    }
    loop_timer_start_at(conn->relay->loop, &conn->timer, due_ns);
}

static void on_timer(struct loop_timer *timer)
{
    struct wan_conn *conn = CDN_CONTAINER_OF(timer, struct wan_conn, timer);
    switch (conn->state) {
    case WAN_CONN_HELLO:
        cdn_metric_add(&conn->relay->metrics.refused_handshake, 1);
        wan_conn_refuse(conn, "slow", "the handshake took too long");
        break;
    case WAN_CONN_SYN:
        if (is_cut(conn) || conn->called_ns > cdn_clock_mono_ns()) {
            refuse_connect(conn, WAN_SOCKS_HOST_UNREACHABLE,
                           is_cut(conn) ? "the link is cut" : "the link loses too much");
        } else {
            call_target(conn);
        }
        break;
    case WAN_CONN_CONNECT:
        refuse_connect(conn, WAN_SOCKS_TTL, "the target does not accept");
        break;
    case WAN_CONN_ACK:
        if (conn->failed) {
            refuse_connect(conn, WAN_SOCKS_REFUSED, "the target refuses connections; does it run?");
        } else {
            open_conn(conn);
        }
        break;
    case WAN_CONN_OPEN:
        check_idle(conn);
        break;
    case WAN_CONN_ASK:
    case WAN_CONN_LINGER:
        wan_conn_end(conn, "refused", false);
        break;
    }
}

/* ---- sockets ---- */

void wan_conn_update(struct wan_conn *conn)
{
    for (unsigned i = 0; i < 2; i++) {
        struct wan_side *side = &conn->side[i];
        uint32_t events = 0;
        if (conn->state == WAN_CONN_OPEN) {
            events = (conn->lane[i].reading && conn->lane[i].wants ? EPOLLIN : 0) |
                     (conn->lane[!i].full ? EPOLLOUT : 0);
        } else if (i == 0) {
            events = conn->state == WAN_CONN_HELLO || conn->state == WAN_CONN_LINGER ? EPOLLIN : 0;
        } else {
            events = conn->state == WAN_CONN_CONNECT ? EPOLLOUT : 0;
        }
        if (side->watched) {
            loop_fd_change(conn->relay->loop, &side->watch, events);
        }
    }
}

int wan_conn_error_of(int fd)
{
    int error = 0;
    socklen_t n = sizeof(error);
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 ? error : errno;
}

static void discard(struct wan_conn *conn)
{
    char bytes[4096];
    for (size_t n = 0; n < MOST_DISCARDED; n += sizeof(bytes)) {
        ssize_t got = recv(conn->side[0].watch.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        }
        if (got <= 0) {
            wan_conn_end(conn, "refused", false);
            return;
        }
    }
}

static void on_side(struct loop_fd *watch, uint32_t events)
{
    struct wan_side *side = CDN_CONTAINER_OF(watch, struct wan_side, watch);
    struct wan_conn *conn = side->conn;
    if (conn->state == WAN_CONN_OPEN) {
        wan_lane_ready(side, events);
    } else if (side->i == 1) {
        if (conn->state == WAN_CONN_CONNECT) {
            connected(conn, wan_conn_error_of(watch->fd));
        } else { /* it accepted and reset before the client knew */
            conn->failed = true;
            wan_conn_close_side(conn, 1, true);
        }
    } else if (conn->state == WAN_CONN_LINGER) {
        discard(conn);
    } else if (events & (EPOLLERR | EPOLLHUP)) {
        wan_conn_break(conn, "left");
    } else if (conn->state == WAN_CONN_HELLO) {
        wan_conn_hello_ready(conn);
    }
}

/* ---- faults ---- */

void wan_conn_paths_changed(struct wan_conn *conn)
{
    int64_t now_ns = cdn_clock_mono_ns();
    if (conn->state == WAN_CONN_HELLO || conn->state == WAN_CONN_ASK || conn->state == WAN_CONN_LINGER) {
        return;
    }
    bool was_cut = is_cut(conn);
    find_route(conn);
    if (conn->state == WAN_CONN_SYN && was_cut != is_cut(conn)) {
        send_syn(conn, now_ns);
    }
    if (conn->state != WAN_CONN_OPEN) {
        return;
    }
    wan_lane_path_changed(&conn->lane[0], now_ns);
    wan_lane_path_changed(&conn->lane[1], now_ns);
}
