/* http_tunnel: the pumps of an upgraded connection. A turn moves a bounded number of buffers, so that a busy
 * tunnel leaves the thread to others. TLS hides bytes that it has decrypted already from the socket, so those
 * are asked for, too. */
#include "common/http/server/http_tunnel.h"

#include "common/http/syntax/http_message.h"
#include "common/mem.h"
#include "common/status.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/banned.h"

#define BUFFER_BYTES ((size_t)16 * 1024) /* of each direction */
#define ROUNDS 16u                       /* of one direction in a turn, so that others have theirs */
#define NS_PER_MS INT64_C(1000000)

struct http_tunnel {
    struct http_tunnel_owner owner;
    struct loop *loop;
    struct http_request *req;
    struct loop_fd client;
    struct loop_timer idle;
    struct loop_deferred more; /* bytes of the client's, decrypted already, can be taken */
    int64_t moved_ns;
    size_t from;         /* of `down`: what is still to be written */
    size_t head;         /* bytes of it that are the 101's */
    size_t taken;        /* of `up` */
    bool client_ended;   /* it sends nothing more */
    bool server_waiting; /* nothing is to be read of the server */
    struct cdn_buf down, up;
};

static void touch(struct http_tunnel *t)
{
    t->moved_ns = loop_mono_ns(t->loop);
}

/* ---- the end ---- */

void http_tunnel_end(struct http_tunnel *t, bool cut)
{
    const struct http_tunnel_owner owner = t->owner;
    struct http_request *req = t->req;
    loop_fd_remove(t->loop, &t->client);
    loop_timer_stop(t->loop, &t->idle);
    loop_defer_cancel(t->loop, &t->more);
    cdn_buf_free(&t->down);
    cdn_buf_free(&t->up);
    free(t);
    owner.over(owner.arg);
    http_upgrade_end(req, cut);
}

static void idle_fired(struct loop_timer *timer)
{
    struct http_tunnel *t = CDN_CONTAINER_OF(timer, struct http_tunnel, idle);
    const int64_t due_ns = t->moved_ns + t->owner.idle_ms * NS_PER_MS;
    if (due_ns > loop_mono_ns(t->loop)) {
        loop_timer_start_at(t->loop, timer, due_ns);
    } else {
        http_tunnel_end(t, false);
    }
}

/* ---- bytes ---- */

enum step { GO_ON, WAIT, OVER, CUT };

static enum step fill(struct http_tunnel *t)
{
    cdn_buf_clear(&t->down);
    cdn_buf_reserve(&t->down, BUFFER_BYTES);
    t->from = 0;
    const ssize_t n = t->owner.read(t->owner.arg, t->down.p, BUFFER_BYTES);
    if (n > 0) {
        t->down.n = (size_t)n;
        return GO_ON;
    }
    t->server_waiting = true;
    return n == HTTP_STREAM_WAIT ? WAIT : n == HTTP_STREAM_END ? OVER : CUT;
}

static enum step flush(struct http_tunnel *t)
{
    const ssize_t n = http_upgrade_write(t->req, cdn_str_sub(cdn_buf_str(&t->down), t->from));
    if (n < 0) {
        return n == HTTP_UPGRADE_AGAIN ? WAIT : CUT;
    }
    touch(t);
    t->from += (size_t)n;
    const size_t of_head = (size_t)n < t->head ? (size_t)n : t->head;
    t->head -= of_head;
    t->owner.moved(t->owner.arg, 0, (size_t)n - of_head);
    return GO_ON;
}

static enum step pump_down(struct http_tunnel *t)
{
    enum step step = GO_ON;
    t->server_waiting = false;
    for (unsigned i = 0; i < ROUNDS && step == GO_ON; i++) {
        step = t->from == t->down.n ? fill(t) : flush(t);
    }
    return step;
}

static bool has_room(const struct http_tunnel *t)
{
    return !t->client_ended && t->up.n < BUFFER_BYTES;
}

static enum step take_up(struct http_tunnel *t)
{
    const size_t room = BUFFER_BYTES - t->up.n;
    cdn_buf_reserve(&t->up, room);
    const ssize_t n = http_upgrade_read(t->req, t->up.p + t->up.n, room);
    if (n < 0) {
        return n == HTTP_UPGRADE_AGAIN ? WAIT : CUT;
    }
    if (n == 0) { /* the client has ended its half: to be told to the server, where that can be */
        t->client_ended = true;
        t->owner.sends(t->owner.arg);
        return t->owner.whole ? OVER : WAIT;
    }
    touch(t);
    t->up.n += (size_t)n;
    t->owner.moved(t->owner.arg, (size_t)n, 0);
    t->owner.sends(t->owner.arg);
    return WAIT;
}

/* Once, and then what was decrypted already, of which the socket tells nothing. */
static enum step pump_up(struct http_tunnel *t)
{
    enum step step = WAIT;
    do {
        step = has_room(t) ? take_up(t) : WAIT;
    } while (step == WAIT && has_room(t) && http_upgrade_has_read(t->req));
    return step;
}

/* What the socket is watched for next, or the end. */
static void settle(struct http_tunnel *t, enum step step)
{
    if (step == OVER || step == CUT) {
        http_tunnel_end(t, step == CUT);
        return;
    }
    const uint32_t events =
        (has_room(t) ? (uint32_t)EPOLLIN : 0) | (t->server_waiting ? 0 : (uint32_t)EPOLLOUT);
    loop_fd_change(t->loop, &t->client, events); /* 0: a reset is told all the same */
}

static void client_ready(struct loop_fd *client, uint32_t events)
{
    struct http_tunnel *t = CDN_CONTAINER_OF(client, struct http_tunnel, client);
    if (events & EPOLLERR || (events & EPOLLHUP && !has_room(t))) {
        http_tunnel_end(t, true);
        return;
    }
    const bool comes = events & (EPOLLIN | EPOLLHUP) || http_upgrade_has_read(t->req);
    enum step step = comes ? pump_up(t) : WAIT;
    if (step != OVER && step != CUT && events & EPOLLOUT) {
        step = pump_down(t);
    }
    settle(t, step);
}

void http_tunnel_moved(struct http_tunnel *t)
{
    if (t->server_waiting) {
        settle(t, pump_down(t));
    }
}

static void more_due(struct loop_deferred *more)
{
    struct http_tunnel *t = CDN_CONTAINER_OF(more, struct http_tunnel, more);
    settle(t, pump_up(t));
}

ssize_t http_tunnel_take(struct http_tunnel *t, char *into, size_t max)
{
    const size_t have = t->up.n - t->taken;
    const size_t n = have < max ? have : max;
    if (!have) {
        return t->client_ended ? 0 : HTTP_STREAM_WAIT;
    }
    const bool was_full = !has_room(t);
    memcpy(into, t->up.p + t->taken, n);
    t->taken += n;
    if (t->taken == t->up.n) {
        cdn_buf_clear(&t->up);
        t->taken = 0;
    }
    if (was_full && has_room(t)) {
        settle(t, WAIT);
        if (http_upgrade_has_read(t->req)) { /* not at once: the owner is on the stack */
            loop_defer(t->loop, &t->more);
        }
    }
    return (ssize_t)n;
}

/* ---- the beginning ---- */

struct http_tunnel *http_tunnel_begin(struct loop *loop, struct http_request *req, int fd,
                                      struct cdn_str head, struct cdn_str early,
                                      const struct http_tunnel_owner *owner)
{
    struct http_tunnel *t = cdn_calloc(1, sizeof(*t));
    t->owner = *owner;
    t->loop = loop;
    t->req = req;
    t->client = (struct loop_fd){.fd = fd, .events = EPOLLIN | (uint32_t)EPOLLOUT, .ready = client_ready};
    t->idle.fire = idle_fired;
    t->more.call = more_due;
    touch(t);
    t->head = head.n;
    cdn_buf_add_str(&t->down, head);
    cdn_buf_add_str(&t->up, early);
    int64_t idle_ms = owner->idle_ms;
    if (loop_fd_add(loop, &t->client, NULL) !=
        CDN_OK) { /* ends, not at once: the caller uses the connection */
        idle_ms = 0;
        t->moved_ns = INT64_MIN / 2;
    }
    loop_timer_start(loop, &t->idle, idle_ms * NS_PER_MS);
    if (early.n) {
        owner->moved(owner->arg, early.n, 0);
    }
    owner->sends(owner->arg);
    return t;
}
