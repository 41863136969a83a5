/* lane: one direction of an open connection: when its pipe is read into and written out of, what is waited
 * for in between, and what becomes of the connection when a side's end or a reset shows. Each step may be the
 * connection's last, so those that end it say so, and nobody looks at it again. */
#include "common/clock.h"
#include "common/daemon/metrics.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "wan/path/path.h"
#include "wan/relay/metrics.h"
#include "wan/relay/pipe.h"
#include "wan/relay/relay_private.h"
#include "wan/relay/route.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/banned.h"

static int fd_of(const struct wan_conn *conn, unsigned i)
{
    return conn->side[i].watch.fd;
}

/* One side's connection is gone: what it sent before still arrives, and then its reset; what was under way to
 * it is for nobody. false: the connection is over and freed. */
static bool side_broke(struct wan_conn *conn, unsigned i)
{
    struct wan_lane *from = &conn->lane[i], *to = &conn->lane[!i];
    wan_conn_close_side(conn, i, true);
    cdn_metric_add(&conn->relay->metrics.reset, 1);
    conn->end = conn->end ? conn->end : i ? "reset by target" : "reset by client";
    to->done = true;
    to->reading = false;
    loop_timer_stop(conn->relay->loop, &to->arrive);
    loop_timer_stop(conn->relay->loop, &to->depart);
    wan_pipe_fini(&to->pipe);
    if (fd_of(conn, !i) < 0) {
        wan_conn_end(conn, "reset", true);
        return false;
    }
    from->done = from->reading = from->wants = from->for_room = false;
    loop_timer_stop(conn->relay->loop, &from->depart);
    wan_pipe_reset(&from->pipe, cdn_clock_mono_ns());
    return true;
}

/* Reads what may leave. false: the connection is over and freed. */
static bool pull(struct wan_lane *lane, int64_t now_ns)
{
    struct wan_conn *conn = lane->conn;
    const int fd = fd_of(conn, lane->i), to = fd_of(conn, !lane->i);
    uint64_t before = lane->pipe.delivered + lane->pipe.queued;
    enum wan_pull result = lane->pipe.direct ? wan_pipe_copy(&lane->pipe, fd, &lane->early, to)
                                             : wan_pipe_pull(&lane->pipe, fd, &lane->early, now_ns);
    if (lane->pipe.delivered + lane->pipe.queued != before) {
        conn->moved_ns = now_ns;
    }
    lane->wants = result == WAN_PULL_INPUT;
    lane->for_room = result == WAN_PULL_ROOM;
    lane->reading = result != WAN_PULL_ENDED && result != WAN_PULL_BROKEN;
    int64_t depart_ns = result == WAN_PULL_TIME ? wan_pipe_depart_ns(&lane->pipe) : WAN_NEVER;
    if (lane->wants && !conn->side[lane->i].watched) { /* nobody will say that there is more */
        depart_ns = now_ns;
    }
    if (depart_ns != WAN_NEVER) {
        loop_timer_start_at(conn->relay->loop, &lane->depart, depart_ns);
    }
    return result != WAN_PULL_BROKEN || side_broke(conn, lane->i);
}

/* Hands over what has arrived. false: the connection is over and freed. */
static bool push(struct wan_lane *lane, int64_t now_ns)
{
    struct wan_conn *conn = lane->conn;
    const int to = fd_of(conn, !lane->i);
    if (lane->done) {
        return true;
    }
    uint64_t before = lane->pipe.delivered;
    enum wan_push result = wan_pipe_push(&lane->pipe, to, now_ns);
    lane->full = result == WAN_PUSH_FULL;
    if (lane->pipe.delivered != before) {
        conn->moved_ns = now_ns;
    }
    if (result == WAN_PUSH_TIME || (result == WAN_PUSH_FULL && lane->pipe.end == WAN_PIPE_RESET)) {
        int64_t arrive_ns = result == WAN_PUSH_FULL ? lane->pipe.end_ns : wan_pipe_arrive_ns(&lane->pipe);
        if (arrive_ns != WAN_NEVER) {
            loop_timer_start_at(conn->relay->loop, &lane->arrive, arrive_ns);
        }
    } else {
        loop_timer_stop(conn->relay->loop, &lane->arrive);
    }
    if (result == WAN_PUSH_RESET) {
        wan_conn_end(conn, "reset", true);
        return false;
    }
    if (result == WAN_PUSH_FIN) {
        lane->done = true;
        shutdown(to, SHUT_WR);
        if (conn->lane[!lane->i].done) {
            wan_conn_end(conn, "end", false);
            return false;
        }
    }
    return result != WAN_PUSH_BROKEN || side_broke(conn, !lane->i);
}

static void look(struct wan_lane *lane)
{
    if (lane->reading && !lane->pipe.direct) {
        wan_pipe_look(&lane->pipe, fd_of(lane->conn, lane->i), &lane->early);
    }
}

/* Both steps of a lane, and of the other one when this one's reader broke. */
void wan_lane_run(struct wan_lane *lane, bool may_read)
{
    struct wan_conn *conn = lane->conn;
    struct wan_lane *other = &conn->lane[!lane->i];
    if (may_read) {
        look(lane);
    }
    int64_t now_ns = cdn_clock_mono_ns();
    if (lane->reading && may_read && !pull(lane, now_ns)) {
        return;
    }
    if (!push(lane, now_ns)) {
        return;
    }
    /* Something may have been delivered. What is still under way says when there is room; when nothing is,
     * its reader took the last of it just now, and nobody else would look again. */
    while (lane->reading && lane->for_room) {
        look(lane);
        now_ns = cdn_clock_mono_ns();
        if (!pull(lane, now_ns) || !push(lane, now_ns)) {
            return;
        }
        if (lane->pipe.first) {
            break;
        }
    }
    if (other->pipe.end == WAN_PIPE_RESET && !push(other, now_ns)) {
        return;
    }
    wan_conn_update(conn);
}

static void on_depart(struct loop_timer *timer)
{
    struct wan_lane *lane = CDN_CONTAINER_OF(timer, struct wan_lane, depart);
    if (lane->pipe.end == WAN_PIPE_OPEN) {
        lane->reading = true; /* the target's first time */
    }
    wan_lane_run(lane, true);
}

static void on_arrive(struct loop_timer *timer)
{
    wan_lane_run(CDN_CONTAINER_OF(timer, struct wan_lane, arrive), false);
}

void wan_lane_ready(struct wan_side *side, uint32_t events)
{
    struct wan_conn *conn = side->conn;
    struct wan_lane *from = &conn->lane[side->i], *to = &conn->lane[!side->i];
    if (events & EPOLLERR && wan_conn_error_of(side->watch.fd) != 0) {
        /* what it sent before, and the path had taken, still arrives */
        if ((!from->reading || pull(from, cdn_clock_mono_ns())) && side_broke(conn, side->i)) {
            wan_lane_run(from, false);
        }
        return;
    }
    if (events & EPOLLHUP && !(events & EPOLLIN)) {
        /* both ends are known to the kernel, which would say so again and again: timers do the rest */
        loop_fd_remove(conn->relay->loop, &side->watch);
        side->watched = false;
    }
    if (events & EPOLLOUT && to->full) {
        wan_lane_run(to, false);
        return; /* the connection may be over; what is to be read is told again */
    }
    if (events & (EPOLLIN | EPOLLHUP) && from->reading && from->wants) {
        wan_lane_run(from, true);
    }
}

void wan_lane_init(struct wan_lane *lane, struct wan_conn *conn, unsigned i)
{
    *lane =
        (struct wan_lane){.conn = conn, .i = i, .depart = {.fire = on_depart}, .arrive = {.fire = on_arrive}};
}

void wan_lane_fini(struct wan_lane *lane)
{
    loop_timer_stop(lane->conn->relay->loop, &lane->depart);
    loop_timer_stop(lane->conn->relay->loop, &lane->arrive);
    wan_pipe_fini(&lane->pipe);
    cdn_buf_free(&lane->early);
}

/* What follows happens in a moment: this connection may be over by then. */
void wan_lane_path_changed(struct wan_lane *lane, int64_t now_ns)
{
    struct wan_conn *conn = lane->conn;
    wan_pipe_change(&lane->pipe, lane->i ? &conn->route.down : &conn->route.up, now_ns);
    if (lane->reading && !lane->wants && !lane->for_room) {
        loop_timer_start_at(conn->relay->loop, &lane->depart, now_ns);
    }
    if ((lane->pipe.first || lane->pipe.end != WAN_PIPE_OPEN) && !lane->done) {
        loop_timer_start_at(conn->relay->loop, &lane->arrive, now_ns);
    }
}
