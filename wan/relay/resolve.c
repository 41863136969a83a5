/* resolve: one question is a small machine: UDP, perhaps again, perhaps TCP; every way ends in finish(), by
 * an answer or by the timer. */
#include "wan/relay/resolve.h"

#include "common/mem.h"
#include "common/secret.h"
#include "common/str.h"
#include "wan/relay/dns_message.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/banned.h"

#define TRIES 3
#define TRY_NS INT64_C(1000000000)
#define TCP_NS INT64_C(3000000000)
#define PREFIX 2u /* bytes of the length in front of a message over TCP (RFC 1035 section 4.2.2) */

struct wan_question {
    struct loop *loop;
    struct loop_fd watch; /* fd -1: none */
    struct loop_timer timer;
    struct loop_deferred failed; /* what went wrong before wan_resolve() returned */
    struct cdn_addr server, client;
    char *name;
    void (*done)(void *arg, enum cdn_status status, const struct cdn_addr *answer);
    void *arg;
    uint16_t id;
    enum wan_dns_type type;
    unsigned tries;
    bool tcp;
    size_t sent, query_n;
    struct cdn_buf in;
    uint8_t query[PREFIX + WAN_DNS_QUERY_MAX];
};

static void close_socket(struct wan_question *q)
{
    if (q->watch.fd >= 0) {
        loop_fd_remove(q->loop, &q->watch);
        close(q->watch.fd);
        q->watch.fd = -1;
    }
}

void wan_resolve_cancel(struct wan_question *q)
{
    if (!q) {
        return;
    }
    close_socket(q);
    loop_timer_stop(q->loop, &q->timer);
    loop_defer_cancel(q->loop, &q->failed);
    cdn_buf_free(&q->in);
    free(q->name);
    free(q);
}

static void finish(struct wan_question *q, enum cdn_status status, const struct cdn_addr *answer)
{
    struct cdn_addr address = answer ? *answer : (struct cdn_addr){0};
    void (*done)(void *, enum cdn_status, const struct cdn_addr *) = q->done;
    void *arg = q->arg;
    wan_resolve_cancel(q);
    done(arg, status, &address);
}

static void report_failure(struct loop_deferred *d)
{
    finish(CDN_CONTAINER_OF(d, struct wan_question, failed), CDN_NETWORK, NULL);
}

static void on_udp(struct loop_fd *watch, uint32_t events);
static void on_tcp(struct loop_fd *watch, uint32_t events);

static bool open_socket(struct wan_question *q, int type)
{
    struct cdn_error none;
    close_socket(q);
    q->tcp = type == SOCK_STREAM;
    int fd = socket(q->server.sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    q->watch =
        (struct loop_fd){.fd = fd, .events = q->tcp ? EPOLLOUT : EPOLLIN, .ready = q->tcp ? on_tcp : on_udp};
    if ((connect(fd, &q->server.sa, cdn_addr_len(&q->server)) == 0 || errno == EINPROGRESS) &&
        loop_fd_add(q->loop, &q->watch, &none) == CDN_OK) {
        return true;
    }
    close(fd);
    q->watch.fd = -1;
    return false;
}

static void prepare(struct wan_question *q, enum wan_dns_type type)
{
    q->type = type;
    q->tries = 0;
    q->sent = 0;
    q->id = (uint16_t)cdn_secret64();
    q->query_n = wan_dns_query(q->id, q->name, type, &q->client, q->query + PREFIX);
    q->query[0] = (uint8_t)(q->query_n >> 8);
    q->query[1] = (uint8_t)q->query_n;
    cdn_buf_clear(&q->in);
}

static bool ask(struct wan_question *q)
{
    q->tries++;
    loop_timer_start(q->loop, &q->timer, TRY_NS);
    return open_socket(q, SOCK_DGRAM) &&
           send(q->watch.fd, q->query + PREFIX, q->query_n, MSG_NOSIGNAL) == (ssize_t)q->query_n;
}

/* A message is there; false: wait on. */
static bool take(struct wan_question *q, uint8_t *message, size_t n)
{
    static const enum cdn_status statuses[] = {
        [WAN_DNS_ADDRESS] = CDN_OK, [WAN_DNS_NONE] = CDN_NOT_FOUND, [WAN_DNS_ERROR] = CDN_REFUSED};
    struct cdn_addr address = {0};
    enum wan_dns_outcome outcome = wan_dns_answer(message, n, q->id, q->name, q->type, &address);
    if (outcome == WAN_DNS_FOREIGN) {
        return false;
    }
    if (outcome == WAN_DNS_TRUNCATED && !q->tcp) {
        loop_timer_start(q->loop, &q->timer, TCP_NS);
        if (!open_socket(q, SOCK_STREAM)) {
            finish(q, CDN_NETWORK, NULL);
        }
        return true;
    }
    if (outcome == WAN_DNS_NONE && q->type == WAN_DNS_A) { /* an edge may have an IPv6 address alone */
        prepare(q, WAN_DNS_AAAA);
        if (!ask(q)) {
            finish(q, CDN_NETWORK, NULL);
        }
        return true;
    }
    finish(q, outcome == WAN_DNS_TRUNCATED ? CDN_REFUSED : statuses[outcome], &address);
    return true;
}

static void on_udp(struct loop_fd *watch, uint32_t events)
{
    struct wan_question *q = CDN_CONTAINER_OF(watch, struct wan_question, watch);
    uint8_t message[WAN_DNS_ANSWER_MAX];
    (void)events;
    for (;;) {
        ssize_t n = recv(watch->fd, message, sizeof(message), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        }
        if (n < 0) { /* nobody listens there */
            finish(q, CDN_NETWORK, NULL);
            return;
        }
        if (take(q, message, (size_t)n)) {
            return;
        }
    }
}

/* false: the connection is of no use. */
static bool go_on_tcp(struct wan_question *q, bool *ret_over)
{
    if (q->sent < PREFIX + q->query_n) {
        ssize_t n = send(q->watch.fd, q->query + q->sent, PREFIX + q->query_n - q->sent, MSG_NOSIGNAL);
        if (n < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK;
        }
        q->sent += (size_t)n;
        loop_fd_change(q->loop, &q->watch, q->sent == PREFIX + q->query_n ? EPOLLIN : EPOLLOUT);
        return true;
    }
    cdn_buf_reserve(&q->in, WAN_DNS_ANSWER_MAX);
    ssize_t n = recv(q->watch.fd, q->in.p + q->in.n, WAN_DNS_ANSWER_MAX, 0);
    if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }
    q->in.n += (size_t)n;
    size_t length = q->in.n < PREFIX ? 0 : (size_t)(uint8_t)q->in.p[0] << 8 | (uint8_t)q->in.p[1];
    if (q->in.n >= PREFIX && q->in.n >= PREFIX + length) {
        *ret_over = take(q, (uint8_t *)q->in.p + PREFIX, length);
        return *ret_over;
    }
    return length <= WAN_DNS_ANSWER_MAX;
}

static void on_tcp(struct loop_fd *watch, uint32_t events)
{
    struct wan_question *q = CDN_CONTAINER_OF(watch, struct wan_question, watch);
    bool over = false;
    (void)events;
    if (!go_on_tcp(q, &over) && !over) {
        finish(q, CDN_NETWORK, NULL);
    }
}

static void on_timer(struct loop_timer *timer)
{
    struct wan_question *q = CDN_CONTAINER_OF(timer, struct wan_question, timer);
    if (q->tcp || q->tries == TRIES) {
        finish(q, CDN_TIMEOUT, NULL);
    } else if (!ask(q)) {
        finish(q, CDN_NETWORK, NULL);
    }
}

struct wan_question *wan_resolve(
    struct loop *loop, const struct cdn_addr *server, const char *name, const struct cdn_addr *client,
    void (*done)(void *arg, enum cdn_status status, const struct cdn_addr *answer), void *arg)
{
    struct wan_question *q = cdn_calloc(1, sizeof(*q));
    q->loop = loop;
    q->watch.fd = -1;
    q->timer.fire = on_timer;
    q->failed.call = report_failure;
    q->server = *server;
    q->client = *client;
    q->name = cdn_strdup(name);
    q->done = done;
    q->arg = arg;
    prepare(q, WAN_DNS_A);
    if (!q->query_n || !ask(q)) {
        loop_defer(loop, &q->failed);
    }
    return q;
}
