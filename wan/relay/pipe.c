/* pipe: bytes of one flight are one block of memory with the times of its first and last segment. The kernel
 * is asked how much lies ready before anything is read: the path has to know what the sender has, and what
 * may not leave yet must stay where it is. */
#include "wan/relay/pipe.h"

#include "common/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/banned.h"

#define PIECE ((size_t)44 * WAN_MSS) /* bytes of a flight that are read at once */
#define PIECES_A_PULL 16
#define SHARE 8u /* a pipe may have this part of what is left of the budget */
#define VECTORS 32
#define STEP_NS INT64_C(250000) /* a long flight is handed over in steps of this */
#define NS_PER_US 1000

struct wan_pipe_bytes {
    struct wan_pipe_bytes *next;
    struct wan_flight flight;
    size_t at; /* delivered so far */
    char data[];
};

static bool takes_no_time(const struct wan_path *path)
{
    return !path->there_ns && !path->back_ns && !path->bytes_per_s && path->loss <= 0 && !path->jitter_ns &&
           !path->cut && !path->acks_cut;
}

void wan_pipe_init(struct wan_pipe *pipe, struct wan_budget *budget, const struct wan_path *path,
                   struct wan_line *line, uint64_t seed)
{
    *pipe = (struct wan_pipe){.budget = budget, .direct = takes_no_time(path)};
    pipe->last = &pipe->first;
    wan_way_init(&pipe->way, path, line, seed);
}

static void drop_first(struct wan_pipe *pipe)
{
    struct wan_pipe_bytes *b = pipe->first;
    pipe->first = b->next;
    if (!pipe->first) {
        pipe->last = &pipe->first;
    }
    pipe->queued -= b->flight.bytes - b->at;
    pipe->budget->used -= b->flight.bytes + sizeof(*b);
    free(b);
}

void wan_pipe_fini(struct wan_pipe *pipe)
{
    while (pipe->first) {
        drop_first(pipe);
    }
}

void wan_pipe_change(struct wan_pipe *pipe, const struct wan_path *path, int64_t now_ns)
{
    pipe->direct = takes_no_time(path);
    pipe->known = 0; /* looked at anew */
    wan_way_change(&pipe->way, path, now_ns);
    const int64_t last = pipe->way.arrived_ns; /* sooner than was told, perhaps */
    for (struct wan_pipe_bytes *b = pipe->first; b; b = b->next) {
        b->flight.first_ns = b->flight.first_ns < last ? b->flight.first_ns : last;
        b->flight.last_ns = b->flight.last_ns < last ? b->flight.last_ns : last;
    }
    if (pipe->end != WAN_PIPE_OPEN && pipe->end_ns != WAN_NEVER && pipe->end_ns > last) {
        pipe->end_ns = last;
    }
    if (pipe->end != WAN_PIPE_OPEN && pipe->end_ns == WAN_NEVER && !path->cut) {
        pipe->end_ns = wan_way_end_ns(&pipe->way, now_ns);
    }
}

/* ---- what leaves ---- */

static void set_end(struct wan_pipe *pipe, enum wan_pipe_end end, int64_t now_ns)
{
    pipe->end = end;
    pipe->end_ns = pipe->way.path.cut ? WAN_NEVER : wan_way_end_ns(&pipe->way, now_ns);
}

void wan_pipe_reset(struct wan_pipe *pipe, int64_t now_ns)
{
    set_end(pipe, WAN_PIPE_RESET, now_ns);
}

static size_t lies_ready(int fd)
{
    int n = 0;
    return ioctl(fd, FIONREAD, &n) == 0 && n > 0 ? (size_t)n : 0;
}

/* Nothing lies ready: is that the end? */
static enum wan_pull look_for_end(struct wan_pipe *pipe, int fd, int64_t now_ns)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n == 0) {
        set_end(pipe, WAN_PIPE_FIN, now_ns);
        return WAN_PULL_ENDED;
    }
    return n > 0 || errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? WAN_PULL_INPUT
                                                                              : WAN_PULL_BROKEN;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many bytes more may be under way: a segment always, so that nothing stands still for ever. */
static size_t room(const struct wan_pipe *pipe)
{
    const struct wan_budget *b = pipe->budget;
    size_t left = b->limit > b->used ? (b->limit - b->used) / SHARE : 0;
    size_t most = least(left, (size_t)pipe->way.path.largest_window);
    if (!pipe->queued && most < WAN_MSS) {
        return WAN_MSS;
    }
    return most > pipe->queued ? most - pipe->queued : 0;
}

static size_t take_early(struct cdn_buf *early, char *into, size_t n)
{
    size_t taken = least(early->n, n);
    if (taken) {
        memcpy(into, early->p, taken);
        memmove(early->p, early->p + taken, early->n - taken);
        early->n -= taken;
        if (!early->n) {
            cdn_buf_free(early);
        }
    }
    return taken;
}

static void append(struct wan_pipe *pipe, struct wan_pipe_bytes *bytes)
{
    bytes->next = NULL;
    *pipe->last = bytes;
    pipe->last = &bytes->next;
    pipe->queued += bytes->flight.bytes;
    pipe->budget->used += bytes->flight.bytes + sizeof(*bytes);
}

/* Reads the flight that was taken by the way. */
static bool take_flight(struct wan_pipe *pipe, int fd, struct cdn_buf *early, const struct wan_flight *flight)
{
    struct wan_pipe_bytes *bytes = cdn_malloc(sizeof(*bytes) + flight->bytes);
    *bytes = (struct wan_pipe_bytes){.flight = *flight};
    size_t n = take_early(early, bytes->data, flight->bytes);
    while (n < flight->bytes) {
        ssize_t got = recv(fd, bytes->data + n, flight->bytes - n, MSG_DONTWAIT);
        if (got <= 0) { /* it was there: the connection broke meanwhile */
            break;
        }
        n += (size_t)got;
    }
    pipe->known -= flight->bytes;
    if (n < flight->bytes) {
        free(bytes);
        return false;
    }
    append(pipe, bytes);
    return true;
}

void wan_pipe_look(struct wan_pipe *pipe, int fd, const struct cdn_buf *early)
{
    if (!pipe->known) {
        pipe->known = early->n + lies_ready(fd);
        pipe->since_ns = WAN_NEVER;
    }
}

enum wan_pull wan_pipe_pull(struct wan_pipe *pipe, int fd, struct cdn_buf *early, int64_t now_ns)
{
    for (unsigned i = 0; i < PIECES_A_PULL; i++) {
        struct wan_flight flight;
        wan_pipe_look(pipe, fd, early);
        if (pipe->since_ns == WAN_NEVER) {
            pipe->since_ns = now_ns;
        }
        if (!pipe->known) {
            return look_for_end(pipe, fd, now_ns);
        }
        size_t most = room(pipe), n = least(least(pipe->known, most), PIECE);
        if (n < least(pipe->known, WAN_MSS)) {
            pipe->known = 0; /* it is the reader who makes them wait: not before he has read do they leave */
            return WAN_PULL_ROOM;
        }
        n = n < pipe->known ? n - n % WAN_MSS : n;
        if (!wan_way_send(&pipe->way, pipe->since_ns, now_ns, n, &flight)) {
            pipe->known = early->n + lies_ready(fd); /* what came meanwhile waits for the same window */
            return WAN_PULL_TIME;
        }
        if (!take_flight(pipe, fd, early, &flight)) {
            return WAN_PULL_BROKEN;
        }
        if (!pipe->known) { /* whether there is more will be told */
            break;
        }
    }
    return WAN_PULL_INPUT;
}

int64_t wan_pipe_depart_ns(const struct wan_pipe *pipe)
{
    return wan_way_ready_ns(&pipe->way);
}

/* What a slow reader leaves of bytes that take no time. */
static void keep(struct wan_pipe *pipe, const char *data, size_t n)
{
    struct wan_pipe_bytes *bytes = cdn_malloc(sizeof(*bytes) + n);
    *bytes = (struct wan_pipe_bytes){.flight = {.bytes = n, .first_ns = INT64_MIN, .last_ns = INT64_MIN}};
    memcpy(bytes->data, data, n);
    append(pipe, bytes);
}

enum wan_pull wan_pipe_copy(struct wan_pipe *pipe, int fd, struct cdn_buf *early, int to)
{
    if (early->n) {
        keep(pipe, early->p, early->n);
        cdn_buf_free(early);
    }
    if (pipe->first) { /* in their order, so these first */
        return WAN_PULL_ROOM;
    }
    ssize_t got = recv(fd, pipe->budget->scratch, least(WAN_PIPE_SCRATCH, room(pipe)), MSG_DONTWAIT);
    if (got == 0) {
        set_end(pipe, WAN_PIPE_FIN, INT64_MIN);
        return WAN_PULL_ENDED;
    }
    if (got < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? WAN_PULL_INPUT : WAN_PULL_BROKEN;
    }
    ssize_t sent = send(to, pipe->budget->scratch, (size_t)got, MSG_NOSIGNAL | MSG_DONTWAIT);
    sent = sent < 0 ? 0 : sent; /* what is wrong shows when the rest is pushed */
    pipe->delivered += (uint64_t)sent;
    if (sent < got) {
        keep(pipe, pipe->budget->scratch + sent, (size_t)(got - sent));
    }
    return WAN_PULL_INPUT;
}

/* ---- what arrives ---- */

/* The bytes that are due, as vectors. */
static int gather(const struct wan_pipe *pipe, int64_t now_ns, struct iovec vectors[static VECTORS])
{
    int n = 0;
    for (struct wan_pipe_bytes *b = pipe->first; b && n < VECTORS; b = b->next) {
        size_t due = wan_flight_due(&b->flight, now_ns);
        if (due <= b->at) {
            break;
        }
        vectors[n++] = (struct iovec){b->data + b->at, due - b->at};
        if (due < b->flight.bytes) {
            break;
        }
    }
    return n;
}

static void delivered(struct wan_pipe *pipe, size_t n, bool was_held_up, int64_t now_ns)
{
    pipe->delivered += n;
    while (n) {
        struct wan_pipe_bytes *b = pipe->first;
        size_t part = least(n, b->flight.bytes - b->at);
        b->at += part;
        pipe->queued -= part;
        n -= part;
        if (b->at == b->flight.bytes) {
            if (!was_held_up && b->flight.last_ns != INT64_MIN) {
                int64_t late_ns = now_ns - b->flight.last_ns;
                cdn_histogram_add(&pipe->budget->late, (uint64_t)(late_ns > 0 ? late_ns / NS_PER_US : 0));
            }
            drop_first(pipe);
        }
    }
}

/* Hands over what is due. false: the reader's connection is reset. */
static bool hand_over(struct wan_pipe *pipe, int fd, int64_t now_ns)
{
    const bool was_held_up = pipe->held_up;
    pipe->held_up = false;
    for (;;) {
        struct iovec vectors[VECTORS];
        struct msghdr message = {.msg_iov = vectors, .msg_iovlen = (size_t)gather(pipe, now_ns, vectors)};
        if (!message.msg_iovlen) {
            return true;
        }
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            pipe->held_up = errno == EAGAIN || errno == EWOULDBLOCK;
            return pipe->held_up;
        }
        delivered(pipe, (size_t)n, was_held_up, now_ns);
    }
}

enum wan_push wan_pipe_push(struct wan_pipe *pipe, int fd, int64_t now_ns)
{
    if (!hand_over(pipe, fd, now_ns)) {
        return WAN_PUSH_BROKEN;
    }
    if (pipe->end == WAN_PIPE_RESET && now_ns >= pipe->end_ns) {
        return WAN_PUSH_RESET; /* after what was sent before it, as far as the reader took that */
    }
    if (pipe->held_up) {
        return WAN_PUSH_FULL;
    }
    if (!pipe->first && pipe->end == WAN_PIPE_FIN && now_ns >= pipe->end_ns) {
        return WAN_PUSH_FIN;
    }
    return pipe->first || pipe->end != WAN_PIPE_OPEN ? WAN_PUSH_TIME : WAN_PUSH_IDLE;
}

/* When so much more of a flight has arrived that it is worth a call. */
static int64_t next_of(const struct wan_pipe_bytes *b)
{
    const struct wan_flight *f = &b->flight;
    int64_t span = f->last_ns - f->first_ns;
    if (b->at == 0 || span <= STEP_NS || f->bytes <= WAN_MSS) {
        return b->at == 0 ? f->first_ns : f->last_ns;
    }
    double a_ns = (double)(f->bytes - WAN_MSS) / (double)span;
    size_t step = (size_t)(a_ns * (double)STEP_NS);
    size_t wanted = b->at + (step < WAN_MSS ? WAN_MSS : step);
    return wanted >= f->bytes ? f->last_ns : f->first_ns + (int64_t)((double)(wanted - WAN_MSS) / a_ns) + 1;
}

int64_t wan_pipe_arrive_ns(const struct wan_pipe *pipe)
{
    int64_t next = pipe->first ? next_of(pipe->first) : WAN_NEVER;
    bool end_counts = pipe->end == WAN_PIPE_RESET || (pipe->end == WAN_PIPE_FIN && !pipe->first);
    return end_counts && pipe->end_ns < next ? pipe->end_ns : next;
}
