/* hello: the handshake of a connection, up to where the target is known: who is it, where does it want to go,
 * may it. No time is charged here: between a client and the edge of this network is nothing but loopback. */
#include "common/daemon/metrics.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "wan/relay/address.h"
#include "wan/relay/client.h"
#include "wan/relay/end.h"
#include "wan/relay/metrics.h"
#include "wan/relay/relay_private.h"
#include "wan/relay/resolve.h"
#include "wan/relay/settings.h"
#include "wan/relay/socks.h"
#include "wan/relay/target.h"
#include "wan/relay/world.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/banned.h"

#define NS_PER_MS INT64_C(1000000)
#define LINGER_NS INT64_C(1000000000)
#define NS_PER_S INT64_C(1000000000)
#define LINES_A_SECOND 100 /* of the log, about refusals */

void wan_conn_hello_begin(struct wan_conn *conn, bool need_user)
{
    conn->state = WAN_CONN_HELLO;
    conn->socks = true;
    conn->hello = cdn_calloc(1, sizeof(*conn->hello));
    conn->hello->socks.need_user = need_user;
    loop_timer_start(conn->relay->loop, &conn->timer, conn->relay->settings->head_timeout * NS_PER_MS);
    wan_conn_update(conn);
}

/* A few bytes into an empty socket: they fit, or the client is gone. */
static void say(const struct wan_conn *conn, const void *bytes, size_t n)
{
    ssize_t sent = send(conn->side[0].watch.fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent;
}

static void say_reply(const struct wan_conn *conn)
{
    const struct wan_socks *socks = &conn->hello->socks;
    if (socks->reply_n) {
        say(conn, socks->reply, socks->reply_n);
    }
}

void wan_conn_answer(struct wan_conn *conn, enum wan_socks_reply reply, const struct cdn_addr *bound)
{
    if (conn->socks) {
        wan_socks_reply(&conn->hello->socks, reply, bound);
        say_reply(conn);
    }
}

static void log_refusal(const struct wan_conn *conn, const char *why, const char *text)
{
    struct wan_relay *relay = conn->relay;
    const int64_t second = loop_mono_ns(relay->loop) / NS_PER_S;
    if (second != relay->log_second) {
        relay->log_second = second;
        relay->log_lines = 0;
    }
    if (relay->log_lines++ >= LINES_A_SECOND) {
        relay->log_left_out++;
        return;
    }
    const char *user = conn->hello ? conn->hello->socks.user : "";
    const char *host = conn->hello ? conn->hello->socks.host : "";
    cdn_log(CDN_LOG_INFO, "refused", "why=%s from=%s to=%s error=%s left_out=%u", why,
            conn->client ? conn->client->end->name : user, host, text, relay->log_left_out);
    relay->log_left_out = 0;
}

/* After the last answer: no more is sent, and what comes is thrown away for a moment, because a socket that
 * is closed with bytes unread resets the connection, and the answer with it. */
void wan_conn_refuse(struct wan_conn *conn, const char *why, const char *text)
{
    log_refusal(conn, why, text);
    conn->end = why;
    conn->state = WAN_CONN_LINGER;
    shutdown(conn->side[0].watch.fd, SHUT_WR);
    loop_timer_start(conn->relay->loop, &conn->timer, LINGER_NS);
    wan_conn_update(conn);
}

static void refuse_handshake(struct wan_conn *conn)
{
    const struct wan_socks *socks = &conn->hello->socks;
    say_reply(conn);
    if (socks->why == WAN_SOCKS_REFUSE_HTTP) {
        static const char *const text =
            "This port speaks SOCKS5, not HTTP. A client is told so by socks5h://PLACE@HOST:PORT as its "
            "proxy, "
            "for example curl -x socks5h://Tokyo@127.0.0.1:1080 http://www.cdn.test/\n";
        CDN_AUTOFREE char *answer = cdn_asprintf("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; "
                                                 "charset=utf-8\r\nContent-Length: %zu\r\nConnection: "
                                                 "close\r\n\r\n%s",
                                                 strlen(text), text);
        say(conn, answer, strlen(answer));
    }
    cdn_metric_add(&conn->relay->metrics.refused_handshake, 1);
    wan_conn_refuse(conn, wan_socks_refusal_word(socks->why), wan_socks_refusal_text(socks->why));
}

/* ---- who ---- */

/* false: refused. */
static bool take_user(struct wan_conn *conn)
{
    struct wan_socks *socks = &conn->hello->socks;
    struct cdn_error why;
    const struct wan_who who = wan_era_who(conn->relay, conn->era);
    if (!conn->client &&
        wan_client_create(&who, socks->user, socks->password, &conn->client, &why) != CDN_OK) {
        wan_socks_judge(socks, false);
        say_reply(conn);
        cdn_metric_add(&conn->relay->metrics.refused_user, 1);
        wan_conn_refuse(conn, "user", why.text);
        return false;
    }
    wan_socks_judge(socks, true);
    say_reply(conn);
    return true;
}

/* ---- where ---- */

static void refuse_target(struct wan_conn *conn, enum wan_socks_reply reply, _Atomic uint64_t *metric,
                          const char *why, const char *text)
{
    wan_conn_answer(conn, reply, NULL);
    cdn_metric_add(metric, 1);
    wan_conn_refuse(conn, why, text);
}

static void on_answer(void *arg, enum cdn_status status, const struct cdn_addr *answer)
{
    struct wan_conn *conn = arg;
    struct wan_metrics *metrics = &conn->relay->metrics;
    struct wan_target target = {0};
    struct cdn_error err;
    conn->question = NULL;
    if (status != CDN_OK) {
        cdn_metric_add(&metrics->questions_failed, 1);
        refuse_target(conn, status == CDN_REFUSED ? WAN_SOCKS_NOT_ALLOWED : WAN_SOCKS_HOST_UNREACHABLE,
                      &metrics->refused_name, "name",
                      status == CDN_NOT_FOUND ? "our DNS has no address of this name"
                      : status == CDN_REFUSED ? "our DNS refuses to answer"
                      : status == CDN_TIMEOUT ? "our DNS does not answer"
                                              : "our DNS cannot be reached; does the router run?");
        return;
    }
    if (wan_target_of_answer(&conn->era->world, answer, conn->hello->socks.port, &target, &err) != CDN_OK) {
        refuse_target(conn, WAN_SOCKS_NOT_ALLOWED, &metrics->refused_target, "target", err.text);
        return;
    }
    wan_conn_go(conn, target.node, &target.address);
}

/* As whom GeoDNS is asked: a node's own address says nothing of its place, so one near it is taken. */
static void place_address(const struct wan_conn *conn, struct cdn_addr *ret)
{
    const struct wan_end *end = conn->client->end;
    if (end->address.sa.sa_family == AF_UNSPEC && end->place[0]) {
        wan_addresses_find(conn->relay->addresses, end->lat, end->lon, ret);
    } else {
        *ret = end->address;
    }
}

static void take_request(struct wan_conn *conn)
{
    struct wan_relay *relay = conn->relay;
    const struct wan_socks *socks = &conn->hello->socks;
    struct wan_target target = {0};
    struct cdn_error err;
    if (wan_target_find(&conn->era->world, cdn_str(socks->host), socks->port, &target, &err) != CDN_OK) {
        refuse_target(conn, WAN_SOCKS_NOT_ALLOWED, &relay->metrics.refused_target, "target", err.text);
        return;
    }
    if (target.node) {
        wan_conn_go(conn, target.node, &target.address);
        return;
    }
    struct cdn_addr asks;
    place_address(conn, &asks);
    conn->state = WAN_CONN_ASK;
    loop_timer_stop(relay->loop, &conn->timer);
    cdn_metric_add(&relay->metrics.questions, 1);
    const struct wan_world *world = &conn->era->world;
    conn->question = wan_resolve(relay->loop, &world->dns, wan_target_question(world, socks->host), &asks,
                                 on_answer, conn);
    wan_conn_update(conn);
}

/* ---- the messages ---- */

/* Takes messages off the buffer; false: more must come, or the handshake is over. */
static bool step(struct wan_conn *conn)
{
    struct wan_hello *hello = conn->hello;
    size_t used;
    enum wan_socks_outcome outcome =
        wan_socks_next(&hello->socks, (struct cdn_str){hello->bytes, hello->n}, &used);
    hello->n -= used;
    memmove(hello->bytes, hello->bytes + used, hello->n);
    switch (outcome) {
    case WAN_SOCKS_MORE:
        return false;
    case WAN_SOCKS_ANSWER:
        say_reply(conn);
        return true;
    case WAN_SOCKS_USER:
        return take_user(conn);
    case WAN_SOCKS_REFUSE:
        refuse_handshake(conn);
        return false;
    case WAN_SOCKS_REQUEST:
        /* what a client sent without waiting for the answer leaves when the connection is open */
        cdn_buf_add(&conn->lane[0].early, hello->bytes, hello->n);
        take_request(conn);
        return false;
    }
    return false;
}

void wan_conn_hello_ready(struct wan_conn *conn)
{
    struct wan_hello *hello = conn->hello;
    ssize_t n =
        recv(conn->side[0].watch.fd, hello->bytes + hello->n, sizeof(hello->bytes) - hello->n, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        wan_conn_break(conn, "left");
        return;
    }
    hello->n += (size_t)n;
    while (step(conn)) {
    }
}
