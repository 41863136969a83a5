/* path: when bytes that a sender has now reach the other end of a path, as TCP would carry them.
 *
 * Pure: times come in and go out as values (ns of the monotonic clock), chance from a seed. One `wan_way` is
 * one sender of one connection, so a connection has two. It holds no bytes: the caller reads as many as
 * wan_way_send() takes, keeps them until the times it was told, and writes them at the other end.
 *
 * Modelled (docs/travel.md): the delay of each direction, slow start by rounds from ten segments (RFC 5681,
 * RFC 6928), congestion avoidance after a loss, the window kept over the connection's life and reset after
 * idling (RFC 5681 section 4.1), a line that sends one byte after another (and may be shared by all
 * connections of one traveller), loss and what its repair costs (RFC 5681, RFC 8985), jitter that never puts
 * bytes out of order, and cuts of one direction or both (RFC 6298).
 *
 * A window's worth of bytes at most is under way, so that is all the memory a caller needs. Not thread-safe.
 */
#ifndef CDN_WAN_PATH_PATH_H
#define CDN_WAN_PATH_PATH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAN_MSS 1460 /* bytes of a segment: 1,500 of Ethernet less two heads of 20 */
#define WAN_INITIAL_WINDOW (10 * WAN_MSS)
#define WAN_LARGEST_WINDOW (2690 * WAN_MSS) /* what Linux's receiver offers with 6 MiB of buffer */
#define WAN_NEVER INT64_MAX

struct wan_path {              /* one direction */
    int64_t there_ns, back_ns; /* what a segment needs to get there, and its acknowledgement to come back */
    int64_t bytes_per_s;       /* of the line; 0: no limit */
    int64_t initial_window, largest_window; /* bytes; 0: those above */
    double loss;                            /* share of segments, 0 to 1 */
    int64_t jitter_ns;                      /* mean of what is added to `there_ns` (wan_chance_wait_ns) */
    bool cut, acks_cut;                     /* nothing gets there, or nothing comes back */
};

struct wan_line { /* what the ways that share a bottleneck have put into it; zeroed it is idle */
    int64_t free_ns, rest;
};

#define WAN_BURSTS 24
struct wan_burst { /* segments whose acknowledgements come one after another at the line's rate */
    int64_t base_ns, rest, bytes_per_s;
    int64_t bytes, acked;
};

struct wan_way { /* the congestion window is window.c's, the rest path.c's */
    struct wan_path path;
    struct wan_line *line, own_line;
    uint64_t seed;

    int64_t window, threshold, credit; /* cwnd, ssthresh, what is acknowledged of the next segment */
    int64_t sent, acked;               /* bytes since the beginning */
    int64_t round_end, peak;           /* `sent` when its use was last noted, and that use */
    bool limited;                      /* then the window, not the application, was the limit */
    int64_t lost;                      /* bytes under way that are sent again... */
    int64_t repaired_ns;               /* ...and when they are acknowledged */
    int64_t reduce_ns;                 /* when the sender notices a loss; WAN_NEVER: there is none */
    bool collapse;                     /* it notices by a time-out */
    int64_t acks_from_ns;              /* a cut of the way back held them up until then */
    unsigned first, count;             /* of the ring */
    struct wan_burst bursts[WAN_BURSTS];

    int64_t at_ns;                      /* how far it has come: nothing leaves before */
    int64_t left_ns;                    /* last departure */
    int64_t arrived_ns;                 /* last arrival: nothing overtakes it */
    int64_t wait_ns, wait_until_ns;     /* the jitter of the moment */
    int64_t again_ns, again_timeout_ns; /* a segment was lost again: its second try, what it waits then... */
    int64_t again_until_ns;             /* ...and the try that gets through */
    bool next_lost;
    int64_t cut_ns, healed_ns; /* of the last cut */
    bool tried_in_vain;        /* what waited through it was sent and lost */
};

struct wan_flight { /* bytes that arrive one after another, evenly, the first segment at first_ns */
    size_t bytes;
    int64_t first_ns, last_ns;
};

/* `line` may be shared and must outlive the way; NULL: one of its own. The way must not be moved then. */
void wan_way_init(struct wan_way *way, const struct wan_path *path, struct wan_line *line, uint64_t seed);
/* Another path from now on: what is under way arrives as it was told; but where less is lost now, nothing
 * arrives after `arrived_ns`, which the next try of what was lost again and again has brought forward. */
void wan_way_change(struct wan_way *way, const struct wan_path *path, int64_t now_ns);

/* The sender has `n` bytes lying ready since `since_ns`. Takes as many as leave by `now_ns` in one piece and
 * says when they arrive. 0: none may leave yet. Call it until it gives 0: a caller who comes late loses
 * nothing, as departures are dated by the model, from `since_ns` on. */
size_t wan_way_send(struct wan_way *way, int64_t since_ns, int64_t now_ns, size_t n, struct wan_flight *ret);
/* When the next byte may leave; in the past: now. WAN_NEVER: not before wan_way_change(). */
int64_t wan_way_ready_ns(const struct wan_way *way);
/* When a SYN or SYN-ACK that was first sent at since_ns arrives, and when the end of the stream (FIN) does,
 * after all bytes. WAN_NEVER while the path is cut: ask again, with the same since_ns, after
 * wan_way_change(). */
int64_t wan_way_syn_ns(struct wan_way *way, int64_t since_ns);
int64_t wan_way_end_ns(struct wan_way *way, int64_t since_ns);
/* How many bytes of a flight have arrived by now_ns: whole segments. */
size_t wan_flight_due(const struct wan_flight *flight, int64_t now_ns);

#endif
