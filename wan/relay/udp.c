/* udp: a session's datagrams wait in a list for each direction, in the order of their times; one timer serves
 * both. What is beyond a limit is dropped, as a router with full queues does, and counted. */
#include "wan/relay/udp.h"

#include "common/clock.h"
#include "common/daemon/metrics.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/mix.h"
#include "common/parse.h"
#include "wan/path/path.h"
#include "wan/relay/metrics.h"
#include "wan/relay/pipe.h"
#include "wan/relay/relay_private.h"
#include "wan/relay/route.h"
#include "wan/relay/settings.h"
#include "wan/relay/world.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define SESSIONS_MAX 1024u
#define WAITING_MAX 64u /* datagrams of one direction of a session */
#define DATAGRAMS_A_TURN 64u
#define IDLE_NS INT64_C(30000000000)
#define NS_PER_S INT64_C(1000000000)

struct datagram {
    struct datagram *next;
    int64_t due_ns;
    size_t n;
    char data[];
};

struct queue {
    struct datagram *first, **last;
    unsigned count;
    int64_t free_ns; /* when the line has sent what is on it */
};

struct port;
struct session {
    struct port *port;
    struct session *next, *previous;
    struct cdn_addr peer;
    struct loop_fd watch; /* connected to the target */
    struct loop_timer timer;
    struct queue up, down;
    int64_t moved_ns;
    uint64_t drawn;
};

struct port {
    struct wan_udp *udp;
    struct port *next;
    const struct wan_link *link;
    struct loop_fd watch;
    struct session *sessions;
};

struct wan_udp {
    struct wan_relay *relay;
    struct port *ports;
    unsigned sessions;
};

struct wan_udp *wan_udp_create(struct wan_relay *relay)
{
    struct wan_udp *udp = cdn_calloc(1, sizeof(*udp));
    udp->relay = relay;
    return udp;
}

static void drop_first(struct wan_relay *relay, struct queue *q)
{
    struct datagram *d = q->first;
    q->first = d->next;
    q->last = q->first ? q->last : &q->first;
    q->count--;
    relay->budget.used -= sizeof(*d) + d->n;
    free(d);
}

static void end_session(struct session *s)
{
    struct wan_relay *relay = s->port->udp->relay;
    while (s->up.first) {
        drop_first(relay, &s->up);
    }
    while (s->down.first) {
        drop_first(relay, &s->down);
    }
    loop_timer_stop(relay->loop, &s->timer);
    loop_fd_remove(relay->loop, &s->watch);
    close(s->watch.fd);
    if (s->previous) {
        s->previous->next = s->next;
    } else {
        s->port->sessions = s->next;
    }
    if (s->next) {
        s->next->previous = s->previous;
    }
    s->port->udp->sessions--;
    free(s);
}

void wan_udp_destroy(struct wan_udp *udp)
{
    if (!udp) {
        return;
    }
    while (udp->ports) {
        struct port *port = udp->ports;
        while (port->sessions) {
            end_session(port->sessions);
        }
        loop_fd_remove(udp->relay->loop, &port->watch);
        close(port->watch.fd);
        udp->ports = port->next;
        free(port);
    }
    free(udp);
}

/* ---- the way ---- */

static double draw(struct session *s)
{
    return cdn_mix_unit(cdn_mix_next(&s->drawn));
}

/* When a datagram arrives; WAN_NEVER: it is lost. */
static int64_t arrival_ns(struct session *s, struct queue *q, const struct wan_path *path, size_t n)
{
    int64_t now_ns = cdn_clock_mono_ns();
    bool lost = draw(s) < path->loss;
    int64_t jitter_ns = (int64_t)(2 * draw(s) * (double)path->jitter_ns);
    if (path->cut || lost) {
        return WAN_NEVER;
    }
    int64_t start_ns = path->bytes_per_s && q->free_ns > now_ns ? q->free_ns : now_ns;
    q->free_ns = start_ns + (path->bytes_per_s ? (int64_t)n * NS_PER_S / path->bytes_per_s : 0);
    return q->free_ns + path->there_ns + jitter_ns;
}

/* In the order of arrival: jitter lets datagrams overtake. */
static void insert(struct queue *q, struct datagram *d)
{
    struct datagram **at = &q->first;
    while (*at && (*at)->due_ns <= d->due_ns) {
        at = &(*at)->next;
    }
    d->next = *at;
    *at = d;
    q->count++;
}

static void set_timer(struct session *s)
{
    int64_t due_ns = s->moved_ns + IDLE_NS;
    const struct queue *queues[] = {&s->up, &s->down};
    for (unsigned i = 0; i < 2; i++) {
        if (queues[i]->first && queues[i]->first->due_ns < due_ns) {
            due_ns = queues[i]->first->due_ns;
        }
    }
    loop_timer_start_at(s->port->udp->relay->loop, &s->timer, due_ns);
}

static void take(struct session *s, bool up, const char *data, size_t n)
{
    struct wan_relay *relay = s->port->udp->relay;
    const struct wan_link *link = s->port->link;
    struct queue *q = up ? &s->up : &s->down;
    struct wan_route route;
    wan_route_find(relay->settings, &relay->faults, link->client, &link->end, link->rtt_ns, &route);
    int64_t due_ns = arrival_ns(s, q, up ? &route.up : &route.down, n);
    s->moved_ns = cdn_clock_mono_ns();
    if (due_ns == WAN_NEVER) {
        cdn_metric_add(&relay->metrics.datagrams_lost, 1);
    } else if (q->count == WAITING_MAX || relay->budget.used + n > relay->budget.limit) {
        cdn_metric_add(&relay->metrics.datagrams_dropped, 1);
    } else {
        struct datagram *d = cdn_malloc(sizeof(*d) + n);
        *d = (struct datagram){.due_ns = due_ns, .n = n};
        memcpy(d->data, data, n);
        relay->budget.used += sizeof(*d) + n;
        insert(q, d);
    }
    set_timer(s);
}

static void deliver(struct session *s, struct queue *q, bool up, int64_t now_ns)
{
    struct wan_relay *relay = s->port->udp->relay;
    while (q->first && q->first->due_ns <= now_ns) {
        struct datagram *d = q->first;
        ssize_t n =
            up ? send(s->watch.fd, d->data, d->n, MSG_NOSIGNAL)
               : sendto(s->port->watch.fd, d->data, d->n, MSG_NOSIGNAL, &s->peer.sa, cdn_addr_len(&s->peer));
        cdn_metric_add(n >= 0 ? &relay->metrics.datagrams : &relay->metrics.datagrams_dropped, 1);
        drop_first(relay, q);
    }
}

static void on_timer(struct loop_timer *timer)
{
    struct session *s = CDN_CONTAINER_OF(timer, struct session, timer);
    int64_t now_ns = cdn_clock_mono_ns();
    deliver(s, &s->up, true, now_ns);
    deliver(s, &s->down, false, now_ns);
    if (!s->up.first && !s->down.first && now_ns - s->moved_ns >= IDLE_NS) {
        end_session(s);
        return;
    }
    set_timer(s);
}

/* ---- sockets ---- */

static void on_target(struct loop_fd *watch, uint32_t events)
{
    struct session *s = CDN_CONTAINER_OF(watch, struct session, watch);
    char *scratch = s->port->udp->relay->budget.scratch;
    (void)events;
    for (unsigned i = 0; i < DATAGRAMS_A_TURN; i++) {
        ssize_t n = recv(watch->fd, scratch, WAN_PIPE_SCRATCH, MSG_DONTWAIT);
        if (n < 0) { /* nothing more, or an ICMP error that the socket has now forgotten */
            return;
        }
        take(s, false, scratch, (size_t)n);
    }
}

static struct session *oldest(struct wan_udp *udp)
{
    struct session *found = NULL;
    for (struct port *port = udp->ports; port; port = port->next) {
        for (struct session *s = port->sessions; s; s = s->next) {
            found = !found || s->moved_ns < found->moved_ns ? s : found;
        }
    }
    return found;
}

static struct session *new_session(struct port *port, const struct cdn_addr *peer)
{
    struct wan_udp *udp = port->udp;
    const struct cdn_addr *target = &port->link->target;
    struct cdn_error none;
    if (udp->sessions == SESSIONS_MAX) {
        end_session(oldest(udp));
    }
    int fd = socket(target->sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return NULL;
    }
    struct session *s = cdn_calloc(1, sizeof(*s));
    *s = (struct session){.port = port,
                          .next = port->sessions,
                          .peer = *peer,
                          .watch = {.fd = fd, .events = EPOLLIN, .ready = on_target},
                          .timer = {.fire = on_timer},
                          .drawn = udp->relay->settings->seed + cdn_mix64(++udp->relay->conn_number)};
    s->up.last = &s->up.first;
    s->down.last = &s->down.first;
    if (connect(fd, &target->sa, cdn_addr_len(target)) != 0 ||
        loop_fd_add(udp->relay->loop, &s->watch, &none) != CDN_OK) {
        close(fd);
        free(s);
        return NULL;
    }
    if (s->next) {
        s->next->previous = s;
    }
    port->sessions = s;
    udp->sessions++;
    return s;
}

static struct session *session_of(struct port *port, const struct cdn_addr *peer)
{
    for (struct session *s = port->sessions; s; s = s->next) {
        if (wan_world_same_address(&s->peer, peer)) {
            return s;
        }
    }
    return new_session(port, peer);
}

static void on_client(struct loop_fd *watch, uint32_t events)
{
    struct port *port = CDN_CONTAINER_OF(watch, struct port, watch);
    char *scratch = port->udp->relay->budget.scratch;
    (void)events;
    for (unsigned i = 0; i < DATAGRAMS_A_TURN; i++) {
        struct cdn_addr peer;
        socklen_t size = sizeof(peer);
        ssize_t n = recvfrom(watch->fd, scratch, WAN_PIPE_SCRATCH, MSG_DONTWAIT, &peer.sa, &size);
        if (n < 0) {
            return;
        }
        struct session *s = session_of(port, &peer);
        if (s) {
            take(s, true, scratch, (size_t)n);
        } else {
            cdn_metric_add(&port->udp->relay->metrics.datagrams_dropped, 1);
        }
    }
}

enum cdn_status wan_udp_open(struct wan_udp *udp, const struct wan_link *link, struct cdn_error *err)
{
    char text[CDN_ADDR_TEXT_SIZE];
    int fd = socket(link->listen.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct port *port = cdn_calloc(1, sizeof(*port));
    *port = (struct port){.udp = udp,
                          .next = udp->ports,
                          .link = link,
                          .watch = {.fd = fd, .events = EPOLLIN, .ready = on_client}};
    enum cdn_status status = CDN_OK;
    if (fd < 0 || bind(fd, &link->listen.sa, cdn_addr_len(&link->listen)) != 0) {
        int problem = errno;
        cdn_addr_format(&link->listen, text);
        status =
            cdn_error_set(err, problem == EADDRINUSE ? CDN_CONFLICT : CDN_IO, "cannot listen on %s (UDP): %s",
                          text, problem == EADDRINUSE ? "the address is in use" : strerror(problem));
    } else {
        status = loop_fd_add(udp->relay->loop, &port->watch, err);
    }
    if (status != CDN_OK) {
        if (fd >= 0) {
            close(fd);
        }
        free(port);
        return status;
    }
    udp->ports = port;
    return CDN_OK;
}

void wan_udp_move(struct wan_udp *udp, const struct wan_link *from, const struct wan_link *to)
{
    for (struct port *port = udp->ports; port; port = port->next) {
        const struct wan_link *next = &to[port->link - from];
        const bool elsewhere = !wan_world_same_address(&next->target, &port->link->target);
        port->link = next;
        while (elsewhere && port->sessions) { /* their sockets lead to the old one */
            end_session(port->sessions);
        }
    }
}
