/* pipe: one direction of a connection: bytes are taken from one socket when the path lets them leave, kept
 * while they are under way, and given to the other socket when they arrive.
 *
 * No more is read than leaves at once, so what is under way is at most a window, and a sender who waits for
 * the window waits in his own socket, as he would with a real path. All pipes share a budget: each may have
 * an eighth of what is left of it, so that many who do not read leave room for those who do. The pipe knows
 * when something can happen next; whoever owns the sockets does the waiting.
 */
#ifndef CDN_WAN_RELAY_PIPE_H
#define CDN_WAN_RELAY_PIPE_H
#include "common/daemon/metrics.h"
#include "common/str.h"
#include "wan/path/path.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wan_budget { /* of all pipes */
    size_t limit, used;
    struct cdn_histogram late; /* how much later than their time bytes were handed over */
    char *scratch;             /* WAN_PIPE_SCRATCH bytes, for what need not be kept */
};
#define WAN_PIPE_SCRATCH ((size_t)256 * 1024)

enum wan_pipe_end { WAN_PIPE_OPEN, WAN_PIPE_FIN, WAN_PIPE_RESET };

struct wan_pipe_bytes; /* of one flight */

struct wan_pipe {
    struct wan_way way;
    struct wan_budget *budget;
    struct wan_pipe_bytes *first, **last;
    size_t queued; /* bytes under way, or arrived and not taken */
    size_t known;  /* bytes that lie in the sender's socket since `since_ns` */
    int64_t since_ns;
    enum wan_pipe_end end;
    int64_t end_ns; /* when the end arrives */
    bool direct;    /* no time passes: nothing is kept unless the reader is slow */
    bool held_up;   /* the reader was slow: what comes now is late by his doing */
    uint64_t delivered;
};

/* `line` as in wan_way_init. The pipe must not be moved then. */
void wan_pipe_init(struct wan_pipe *pipe, struct wan_budget *budget, const struct wan_path *path,
                   struct wan_line *line, uint64_t seed);
void wan_pipe_fini(struct wan_pipe *pipe); /* also a zeroed one */
void wan_pipe_change(struct wan_pipe *pipe, const struct wan_path *path, int64_t now_ns);

enum wan_pull {
    WAN_PULL_INPUT, /* wait for more to read */
    WAN_PULL_TIME,  /* wait until wan_pipe_depart_ns() */
    WAN_PULL_ROOM,  /* wait until something has been delivered */
    WAN_PULL_ENDED, /* the sender's end (FIN) was read */
    WAN_PULL_BROKEN /* the sender's connection is reset */
};
/* Looks what lies ready, if nothing is known. Before the clock is read, so that no byte is dated before it
 * was there and arrives too early. */
void wan_pipe_look(struct wan_pipe *pipe, int fd, const struct cdn_buf *early);
/* Reads from `fd` what may leave. `early`: bytes to be read before (borrowed; what is taken is removed). */
enum wan_pull wan_pipe_pull(struct wan_pipe *pipe, int fd, struct cdn_buf *early, int64_t now_ns);
/* The same for a direct pipe, straight on to `to`. */
enum wan_pull wan_pipe_copy(struct wan_pipe *pipe, int fd, struct cdn_buf *early, int to);
int64_t wan_pipe_depart_ns(const struct wan_pipe *pipe);
/* The sender reset his connection. */
void wan_pipe_reset(struct wan_pipe *pipe, int64_t now_ns);

enum wan_push {
    WAN_PUSH_IDLE,   /* nothing is under way */
    WAN_PUSH_TIME,   /* wait until wan_pipe_arrive_ns() */
    WAN_PUSH_FULL,   /* wait until `fd` takes more */
    WAN_PUSH_FIN,    /* all is delivered, and the end is due */
    WAN_PUSH_RESET,  /* a reset is due */
    WAN_PUSH_BROKEN, /* the reader's connection is reset */
};
enum wan_push wan_pipe_push(struct wan_pipe *pipe, int fd, int64_t now_ns);
int64_t wan_pipe_arrive_ns(const struct wan_pipe *pipe); /* WAN_NEVER: nothing is under way */

#endif
