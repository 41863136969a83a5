/* The congestion window of one sender. Acknowledgements are taken into account lazily, in the order of their
 * times, whenever the sender wants to send: so the result does not depend on when it is asked, and nobody has
 * to wake up for them. */
#include "wan/path/path.h"
#include "wan/path/window_private.h"

#include <stdbool.h>
#include <stdint.h>

#include "common/banned.h"

#define QUEUE_NS (NS_PER_S / 4) /* what a line's buffer holds */

int64_t wan_window_timeout_ns(const struct wan_way *way)
{
    return way->path.there_ns + way->path.back_ns + NS_PER_S / 5;
}

/* A window beyond what fills the line and its buffer would be lost there; here it does not grow so far. */
void wan_window_fit(struct wan_way *way)
{
    struct wan_path *p = &way->path;
    int64_t first = p->initial_window ? p->initial_window : WAN_INITIAL_WINDOW;
    int64_t most = p->largest_window ? p->largest_window : WAN_LARGEST_WINDOW;
    if (p->bytes_per_s) {
        double full = (double)p->bytes_per_s * (double)(p->there_ns + p->back_ns + QUEUE_NS) / NS_PER_S;
        most = full < (double)most ? window_max((int64_t)full, window_min(first, most)) : most;
    }
    p->largest_window = window_max(most - most % WAN_MSS, WAN_MSS);
    p->initial_window = window_min(window_max(first - first % WAN_MSS, WAN_MSS), p->largest_window);
    way->window = window_min(way->window, p->largest_window);
}

/* RFC 5681 section 3.1: a segment more for each acknowledged below the threshold, for each window above it;
 * and only if the window was used (RFC 7661 section 4.4): as Linux has it, up to twice what was under way
 * below the threshold, and above it while the window was the limit. */
static void grow(struct wan_way *way, int64_t bytes)
{
    if (way->lost && way->reduce_ns == WAN_NEVER) {
        return; /* recovering; until it notices the loss, a sender goes on */
    }
    if (way->window < way->threshold) {
        if (way->window < 2 * way->peak) {
            way->window = window_min(way->window + bytes, way->threshold);
        }
    } else if (way->limited && (way->credit += bytes) >= way->window) {
        way->credit -= way->window;
        way->window += WAN_MSS;
    }
    way->window = window_min(way->window, way->path.largest_window);
}

static int64_t next_ack_ns(const struct wan_way *way)
{
    if (!way->count || way->path.acks_cut) {
        return WAN_NEVER;
    }
    const struct wan_burst *b = &way->bursts[way->first];
    int64_t bytes = window_min(b->acked + WAN_MSS, b->bytes);
    int64_t ns = b->base_ns + (b->bytes_per_s ? (bytes * NS_PER_S + b->rest) / b->bytes_per_s : 0);
    return window_max(ns, way->acks_from_ns);
}

static int64_t repair_ns(const struct wan_way *way)
{
    return way->lost && !way->path.acks_cut ? window_max(way->repaired_ns, way->acks_from_ns) : WAN_NEVER;
}

int64_t wan_window_next_ns(const struct wan_way *way)
{
    return window_min(next_ack_ns(way), repair_ns(way));
}

static void take_ack(struct wan_way *way)
{
    struct wan_burst *b = &way->bursts[way->first];
    int64_t bytes = window_min(WAN_MSS, b->bytes - b->acked);
    b->acked += bytes;
    way->acked += bytes;
    if (b->acked == b->bytes) {
        way->first = (way->first + 1) % WAN_BURSTS;
        way->count--;
    }
    grow(way, bytes);
}

void wan_window_collapse(struct wan_way *way)
{
    way->threshold = window_max(way->window / 2 / WAN_MSS * WAN_MSS, 2 * WAN_MSS);
    way->window = WAN_MSS;
    way->credit = 0;
}

/* RFC 5681 section 3.2: half of what is under way. */
static void reduce(struct wan_way *way)
{
    if (way->collapse) {
        wan_window_collapse(way);
    } else {
        int64_t half = way->window / 2 / WAN_MSS * WAN_MSS;
        way->window = way->threshold = window_max(half, 2 * WAN_MSS);
        way->credit = 0;
    }
    way->reduce_ns = WAN_NEVER;
    way->collapse = false;
}

bool wan_window_learn(struct wan_way *way, int64_t now_ns)
{
    int64_t next = window_min(wan_window_next_ns(way), way->reduce_ns);
    if (next > now_ns || next == WAN_NEVER) {
        return false;
    }
    if (next == way->reduce_ns) {
        reduce(way);
    } else if (next == repair_ns(way)) {
        way->acked += way->lost;
        way->lost = 0;
    } else {
        take_ack(way);
    }
    return true;
}

/* All, or whole segments (RFC 1122 section 4.2.3.4). */
int64_t wan_window_room(const struct wan_way *way, int64_t n)
{
    int64_t left = way->window - (way->sent - way->acked);
    return left >= n ? n : left <= 0 ? 0 : left - left % WAN_MSS;
}

static bool same_train(const struct wan_burst *b, int64_t base_ns, int64_t rest, int64_t rate)
{
    if (b->bytes_per_s != rate || !rate) {
        return b->bytes_per_s == rate && b->base_ns == base_ns;
    }
    int64_t spent = b->bytes * NS_PER_S + b->rest;
    return b->base_ns + spent / rate == base_ns && spent % rate == rest;
}

/* How far the window is used: the most in a round, anew with each round and whenever it is full. */
static void note_use(struct wan_way *way, bool full)
{
    int64_t used = way->sent - way->acked;
    if (full || way->acked >= way->round_end || (!way->limited && used > way->peak)) {
        way->limited = full;
        way->peak = used;
        way->round_end = way->sent;
    }
}

/* A full ring takes the bytes for the end of the last burst, which is then acknowledged a little late. */
void wan_window_sent(struct wan_way *way, int64_t bytes, int64_t base_ns, int64_t rest, bool more)
{
    int64_t rate = way->path.bytes_per_s;
    struct wan_burst *last = &way->bursts[(way->first + way->count + WAN_BURSTS - 1) % WAN_BURSTS];
    if (way->count && same_train(last, base_ns, rest, rate)) {
        last->bytes += bytes;
    } else if (way->count == WAN_BURSTS) {
        base_ns -= rate ? last->bytes * NS_PER_S / rate : 0;
        *last = (struct wan_burst){base_ns, rest, rate, last->bytes + bytes, last->acked};
    } else {
        way->bursts[(way->first + way->count++) % WAN_BURSTS] =
            (struct wan_burst){base_ns, rest, rate, bytes, 0};
    }
    way->sent += bytes;
    note_use(way, more);
}

/* One window is reduced once, however much of it is lost (RFC 6675 section 5). */
void wan_window_lost(struct wan_way *way, int64_t bytes, int64_t notice_ns, int64_t repaired_ns,
                     bool by_timeout)
{
    way->sent += bytes;
    way->repaired_ns = way->lost ? window_max(way->repaired_ns, repaired_ns) : repaired_ns;
    way->lost += bytes;
    note_use(way, way->limited);
    way->reduce_ns = window_min(way->reduce_ns, notice_ns);
    way->collapse = way->collapse || by_timeout;
}

/* A sender that was silent for longer than a retransmission time-out begins anew (RFC 5681 section 4.1). What
 * its last bytes waited in the line is no silence: its time-out has grown by that. */
void wan_window_restart(struct wan_way *way, int64_t now_ns)
{
    if (way->sent && way->sent == way->acked &&
        now_ns - (way->arrived_ns - way->path.there_ns) > wan_window_timeout_ns(way)) {
        way->window = window_min(way->window, way->path.initial_window);
        way->credit = 0;
    }
}
