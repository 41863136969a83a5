/* tunnel: two pumps, one a direction, each with one bounded buffer: a side is read only when the
 * other took what was read before, so the slower one sets the pace. A turn moves a bounded number
 * of buffers, so that a busy tunnel leaves the worker to others. */
#include "edge/request/tunnel.h"

#include "common/daemon/metrics.h"
#include "common/http/server/http_server.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/metrics.h"
#include "edge/base/settings.h"
#include "edge/base/worker.h"
#include "edge/cache/object.h"
#include "edge/fetch/body.h"
#include "edge/fetch/fetch.h"
#include "edge/request/deliver.h"
#include "edge/request/stall.h"
#include "edge/request/step.h"
#include "edge/request/txn.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/head.h"
#include "edge/site/origin.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/banned.h"

#define BUFFER_BYTES ((size_t)16 * 1024) /* of each direction */
#define ROUNDS 16u                       /* of one direction in a turn, so that others have theirs */
#define NS_PER_MS INT64_C(1000000)
#define KEY_CHARS 24u /* of Sec-WebSocket-Key: 16 bytes in base64 */

struct edge_tunnel {
    struct edge_tunnel *next, *previous; /* of the worker */
    struct edge_txn *txn;
    struct loop_fd client;
    struct loop_timer idle;
    struct loop_deferred more; /* bytes of the client's, decrypted already, can be taken */
    int64_t moved_ns;
    size_t from;         /* of `down`: what is still to be written */
    size_t head;         /* bytes of it that are the 101's */
    bool client_ended;   /* it sends nothing more */
    bool origin_waiting; /* nothing is to be read of the origin */
    struct cdn_buf down;
};

/* ---- asking ---- */

struct keys {
    unsigned lines;
    bool valid;
};

static bool find_key(void *arg, struct cdn_str name, struct cdn_str value)
{
    struct keys *k = arg;
    if (cdn_str_eq_nocase(name, CDN_STR("Sec-WebSocket-Key"))) {
        k->lines++;
        k->valid = value.n == KEY_CHARS && value.p[KEY_CHARS - 1] == '=' && value.p[KEY_CHARS - 2] == '=';
    }
    return true;
}

/* RFC 6455 4.2.1: without one key the origin could only refuse. */
static bool has_key(struct edge_txn *t)
{
    struct keys k = {0};
    http_request_each_field(t->http, find_key, &k);
    return k.lines == 1 && k.valid;
}

static enum edge_step refuse(struct edge_txn *t, unsigned status, const char *why)
{
    cdn_metric_add(&t->worker->metrics.tunnel_refused_total, 1);
    return edge_deliver_error(t, status, why);
}

enum edge_step edge_tunnel_ask(struct edge_txn *t)
{
    struct edge_worker *w = t->worker;
    t->verdict = EDGE_VERDICT_BYPASS;
    if (!w->upgrades) {
        return refuse(t, 501, "this edge opens no WebSocket tunnels");
    }
    if (!has_key(t)) {
        return edge_deliver_error(t, 400,
                                  "a WebSocket handshake has one Sec-WebSocket-Key of 16 bytes in base64");
    }
    if (w->tunnel_count >= w->tunnel_max ||
        atomic_load(&w->edge->tunnel_count) >= w->edge->settings.upgrade_connections) {
        return refuse(t, 503, "as many WebSocket tunnels as this edge allows are open");
    }
    w->tunnel_count++;
    atomic_fetch_add(&w->edge->tunnel_count, 1);
    t->upgrading = true;
    t->upload_done = false; /* what follows the head is the body of sorts */
    return edge_txn_pass(t, EDGE_CAUSE_BYPASS_REQUEST);
}

void edge_tunnel_leave(struct edge_txn *t)
{
    if (t->upgrading) {
        t->worker->tunnel_count--;
        atomic_fetch_sub(&t->worker->edge->tunnel_count, 1);
        t->upgrading = false;
    }
}

/* ---- the end ---- */

static struct edge_tunnel *of_client(struct loop_fd *client)
{
    return CDN_CONTAINER_OF(client, struct edge_tunnel, client);
}

static void end(struct edge_tunnel *u, bool cut)
{
    struct edge_txn *t = u->txn;
    struct edge_worker *w = t->worker;
    loop_fd_remove(w->loop, &u->client);
    loop_timer_stop(w->loop, &u->idle);
    loop_defer_cancel(w->loop, &u->more);
    *(u->previous ? &u->previous->next : &w->tunnels) = u->next;
    if (u->next) {
        u->next->previous = u->previous;
    }
    cdn_metric_add(&w->metrics.tunnels, -UINT64_C(1));
    t->tunnel = NULL;
    cdn_buf_free(&u->down);
    free(u);
    edge_txn_leave_fetch(t);
    http_upgrade_end(t->http, cut);
}

void edge_tunnels_end(struct edge_worker *w)
{
    while (w->tunnels) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the one that was freed is not in the list any more
        end(w->tunnels, false);
    }
}

static int64_t idle_ns(const struct edge_tunnel *u)
{
    return u->txn->worker->edge->settings.upgrade_idle * NS_PER_MS;
}

static void idle_fired(struct loop_timer *timer)
{
    struct edge_tunnel *u = CDN_CONTAINER_OF(timer, struct edge_tunnel, idle);
    struct loop *loop = u->txn->worker->loop;
    if (u->moved_ns + idle_ns(u) > loop_mono_ns(loop)) {
        loop_timer_start_at(loop, timer, u->moved_ns + idle_ns(u));
    } else {
        end(u, false);
    }
}

/* ---- bytes ---- */

enum step { GO_ON, WAIT, OVER, CUT };

static void touch(struct edge_tunnel *u)
{
    u->moved_ns = loop_mono_ns(u->txn->worker->loop);
}

static enum step fill(struct edge_tunnel *u)
{
    struct edge_txn *t = u->txn;
    cdn_buf_clear(&u->down);
    cdn_buf_reserve(&u->down, BUFFER_BYTES);
    u->from = 0;
    const ssize_t n = edge_body_read(t->fetch->body, &t->reader, u->down.p, BUFFER_BYTES);
    if (n > 0) {
        u->down.n = (size_t)n;
        return GO_ON;
    }
    u->origin_waiting = true;
    return n == EDGE_BODY_NOTHING ? WAIT : n == EDGE_BODY_END ? OVER : CUT;
}

static enum step flush(struct edge_tunnel *u)
{
    const struct cdn_str rest = {u->down.p + u->from, u->down.n - u->from};
    const ssize_t n = http_upgrade_write(u->txn->http, rest);
    if (n < 0) {
        return n == HTTP_UPGRADE_AGAIN ? WAIT : CUT;
    }
    touch(u);
    u->from += (size_t)n;
    const size_t of_head = (size_t)n < u->head ? (size_t)n : u->head;
    const uint64_t moved = (uint64_t)n - of_head;
    u->head -= of_head;
    u->txn->sent += moved;
    cdn_metric_add(&u->txn->worker->metrics.tunnel_down_bytes_total, moved);
    return GO_ON;
}

static enum step pump_down(struct edge_tunnel *u)
{
    enum step step = GO_ON;
    u->origin_waiting = false;
    for (unsigned i = 0; i < ROUNDS && step == GO_ON; i++) {
        step = u->from == u->down.n ? fill(u) : flush(u);
    }
    return step;
}

static bool has_room(const struct edge_tunnel *u)
{
    return !u->client_ended && u->txn->upload.n < BUFFER_BYTES;
}

/* The client has ended its half: to be told to the origin, where that can be. */
static enum step end_up(struct edge_tunnel *u)
{
    struct edge_txn *t = u->txn;
    u->client_ended = true;
    t->upload_done = true;
    edge_fetch_body_ready(t->fetch);
    return t->fetch->origin->secure ? OVER : WAIT;
}

static enum step take_up(struct edge_tunnel *u)
{
    struct edge_txn *t = u->txn;
    const size_t room = BUFFER_BYTES - t->upload.n;
    cdn_buf_reserve(&t->upload, room);
    const ssize_t n = http_upgrade_read(t->http, t->upload.p + t->upload.n, room);
    if (n < 0) {
        return n == HTTP_UPGRADE_AGAIN ? WAIT : CUT;
    }
    if (n == 0) {
        return end_up(u);
    }
    touch(u);
    t->upload.n += (size_t)n;
    cdn_metric_add(&t->worker->metrics.tunnel_up_bytes_total, (uint64_t)n);
    edge_fetch_body_ready(t->fetch);
    return WAIT;
}

/* Once, and then what was decrypted already, of which the socket tells nothing. */
static enum step pump_up(struct edge_tunnel *u)
{
    enum step step = WAIT;
    do {
        step = has_room(u) ? take_up(u) : WAIT;
    } while (step == WAIT && has_room(u) && http_upgrade_has_read(u->txn->http));
    return step;
}

/* What the socket is watched for next, or the end. */
static void settle(struct edge_tunnel *u, enum step step)
{
    if (step == OVER || step == CUT) {
        end(u, step == CUT);
        return;
    }
    u->txn->upload_full = !has_room(u) && !u->client_ended;
    const uint32_t events =
        (has_room(u) ? (uint32_t)EPOLLIN : 0) | (u->origin_waiting ? 0 : (uint32_t)EPOLLOUT);
    loop_fd_change(u->txn->worker->loop, &u->client, events); /* 0: a reset is told all the same */
}

static void client_ready(struct loop_fd *client, uint32_t events)
{
    struct edge_tunnel *u = of_client(client);
    if (events & EPOLLERR || (events & EPOLLHUP && !has_room(u))) {
        end(u, true);
        return;
    }
    const bool comes = events & (EPOLLIN | EPOLLHUP) || http_upgrade_has_read(u->txn->http);
    enum step step = comes ? pump_up(u) : WAIT;
    if (step != OVER && step != CUT && events & EPOLLOUT) {
        step = pump_down(u);
    }
    settle(u, step);
}

void edge_tunnel_moved(struct edge_tunnel *u)
{
    if (u->origin_waiting) {
        settle(u, pump_down(u));
    }
}

static void more_due(struct loop_deferred *more)
{
    struct edge_tunnel *u = CDN_CONTAINER_OF(more, struct edge_tunnel, more);
    settle(u, pump_up(u));
}

void edge_tunnel_room(struct edge_tunnel *u)
{
    settle(u, WAIT);
    if (http_upgrade_has_read(u->txn->http)) { /* not at once: the fetch is on the stack */
        loop_defer(u->txn->worker->loop, &u->more);
    }
}

/* ---- the beginning ---- */

static void begin(void *arg, int fd, struct cdn_str head, struct cdn_str early)
{
    struct edge_txn *t = arg;
    struct edge_worker *w = t->worker;
    struct edge_tunnel *u = cdn_calloc(1, sizeof(*u));
    u->txn = t;
    u->client = (struct loop_fd){.fd = fd, .events = EPOLLIN | (uint32_t)EPOLLOUT, .ready = client_ready};
    u->idle.fire = idle_fired;
    u->more.call = more_due;
    u->next = w->tunnels;
    if (u->next) {
        u->next->previous = u;
    }
    w->tunnels = u;
    t->tunnel = u;
    touch(u);
    cdn_metric_add(&w->metrics.tunnels, 1);
    cdn_metric_add(&w->metrics.tunnel_total, 1);
    cdn_metric_add(&w->metrics.tunnel_up_bytes_total, early.n);
    u->head = head.n;
    cdn_buf_add_str(&u->down, head);
    cdn_buf_add_str(&t->upload, early);
    edge_fetch_body_ready(t->fetch);
    if (loop_fd_add(w->loop, &u->client, NULL) == CDN_OK) {
        loop_timer_start(w->loop, &u->idle, idle_ns(u));
    } else { /* not at once: the caller still uses the connection */
        loop_timer_start(w->loop, &u->idle, 0);
        u->moved_ns = 0;
    }
}

enum edge_step edge_tunnel_answer(struct edge_txn *t)
{
    struct edge_fetch *f = t->fetch;
    if (edge_head_status(f->rep->head) != 101) {
        t->upload_done = true; /* as an ordinary request without a body */
        edge_fetch_body_ready(f);
        return EDGE_STEP_STREAM;
    }
    if (!edge_stall_join(t, 0)) {
        return edge_deliver_error(t, 502, "the beginning of what the origin sent is gone");
    }
    struct MHD_Response *response = http_response_upgrade(t->http, begin, t);
    edge_deliver_respond(t, response, 101, edge_fetch_told(f, true), NULL, 0);
    MHD_destroy_response(response);
    return EDGE_STEP_DONE;
}
