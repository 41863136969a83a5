/* Departures and acknowledgements of one sender. Acknowledgements are taken into account lazily, in the order
 * of their times, whenever the sender wants to send: so the result does not depend on when it is asked, and
 * nobody has to wake up for them. */
#include "wan/path/path.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

#define NS_PER_S INT64_C(1000000000)

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void take_path(struct wan_way *way, const struct wan_path *path)
{
    way->path = *path;
    if (!way->path.initial_window) {
        way->path.initial_window = WAN_INITIAL_WINDOW;
    }
    if (!way->path.largest_window) {
        way->path.largest_window = WAN_LARGEST_WINDOW;
    }
}

void wan_way_init(struct wan_way *way, const struct wan_path *path, struct wan_line *line, uint64_t seed)
{
    *way =
        (struct wan_way){.seed = seed, .threshold = INT64_MAX, .at_ns = INT64_MIN, .arrived_ns = INT64_MIN};
    way->line = line ? line : &way->own_line;
    take_path(way, path);
    way->window = way->path.initial_window;
}

void wan_way_change(struct wan_way *way, const struct wan_path *path, int64_t now_ns)
{
    way->at_ns = max64(way->at_ns, now_ns);
    take_path(way, path);
}

/* RFC 5681 section 3.1: a segment more for each acknowledged below the threshold, for each window above it;
 * and only if the window was used (RFC 7661; "limited" and "peak" as Linux does it). */
static void grow(struct wan_way *way, int64_t bytes)
{
    if (way->window < way->threshold) {
        if (way->window < 2 * way->peak) {
            way->window += bytes;
        }
    } else if (way->limited && (way->credit += bytes) >= way->window) {
        way->credit -= way->window;
        way->window += WAN_MSS;
    }
    way->window = min64(way->window, way->path.largest_window);
}

static int64_t next_ack_ns(const struct wan_way *way)
{
    if (!way->count || way->path.acks_cut) {
        return WAN_NEVER;
    }
    const struct wan_burst *b = &way->bursts[way->first];
    int64_t bytes = min64(b->acked + WAN_MSS, b->bytes);
    return b->base_ns + (b->bytes_per_s ? (bytes * NS_PER_S + b->rest) / b->bytes_per_s : 0);
}

static void take_acks_until(struct wan_way *way, int64_t now_ns)
{
    while (next_ack_ns(way) <= now_ns && way->count) {
        struct wan_burst *b = &way->bursts[way->first];
        int64_t bytes = min64(WAN_MSS, b->bytes - b->acked);
        b->acked += bytes;
        way->acked += bytes;
        if (b->acked == b->bytes) {
            way->first = (way->first + 1) % WAN_BURSTS;
            way->count--;
        }
        grow(way, bytes);
    }
}

/* What may leave of `n` bytes: all, or whole segments (RFC 1122 section 4.2.3.4). */
static int64_t room(const struct wan_way *way, int64_t n)
{
    int64_t left = way->window - (way->sent - way->acked);
    return left >= n ? n : left <= 0 ? 0 : left - left % WAN_MSS;
}

static bool same_train(const struct wan_burst *b, int64_t base_ns, int64_t rest, int64_t rate)
{
    if (b->bytes_per_s != rate) {
        return false;
    }
    int64_t spent = rate ? b->bytes * NS_PER_S + b->rest : 0;
    return rate ? b->base_ns + spent / rate == base_ns && spent % rate == rest : b->base_ns == base_ns;
}

/* Remembers what will be acknowledged. A full ring takes it for part of the last burst, acknowledged with its
 * last byte: later than it would be, never earlier. */
static void remember(struct wan_way *way, int64_t bytes, int64_t base_ns, int64_t rest)
{
    int64_t rate = way->path.bytes_per_s;
    struct wan_burst *last = &way->bursts[(way->first + way->count + WAN_BURSTS - 1) % WAN_BURSTS];
    if (way->count && same_train(last, base_ns, rest, rate)) {
        last->bytes += bytes;
    } else if (way->count == WAN_BURSTS) {
        *last = (struct wan_burst){base_ns, rest, rate, last->bytes + bytes, last->acked};
    } else {
        way->bursts[(way->first + way->count++) % WAN_BURSTS] =
            (struct wan_burst){base_ns, rest, rate, bytes, 0};
    }
    way->sent += bytes;
    int64_t used = way->sent - way->acked;
    bool limited = used + WAN_MSS > way->window;
    if (limited || way->acked >= way->round_end || (!way->limited && used > way->peak)) {
        way->limited = limited;
        way->peak = used;
        way->round_end = way->sent;
    }
}

/* Puts `bytes` on the line at way->at_ns. False: they do not go on with `flight` without a gap. */
static bool depart(struct wan_way *way, int64_t bytes, struct wan_flight *flight)
{
    struct wan_line *line = way->line;
    int64_t rate = way->path.bytes_per_s, start = max64(way->at_ns, rate ? line->free_ns : INT64_MIN);
    int64_t rest = rate && start == line->free_ns ? line->rest : 0;
    int64_t spent = rate ? bytes * NS_PER_S + rest : 0, head = min64(bytes, WAN_MSS);
    int64_t first = start + way->path.there_ns + (rate ? (head * NS_PER_S + rest) / rate : 0);
    int64_t last = start + way->path.there_ns + (rate ? spent / rate : 0);
    if (flight->bytes && (rate ? start != line->free_ns : last != flight->last_ns)) {
        return false;
    }
    if (rate) {
        *line = (struct wan_line){.free_ns = start + spent / rate, .rest = spent % rate};
    }
    remember(way, bytes, start + way->path.there_ns + way->path.back_ns, rest);
    way->arrived_ns = max64(way->arrived_ns, last);
    flight->first_ns = flight->bytes ? flight->first_ns : max64(first, way->arrived_ns - (last - first));
    flight->last_ns = way->arrived_ns;
    flight->bytes += (size_t)bytes;
    return true;
}

/* A sender that was silent for longer than a retransmission time-out begins anew (RFC 5681 section 4.1). The
 * time-out is Linux's for a steady path: the round trip and 200 ms. */
static void restart_after_idle(struct wan_way *way, int64_t now_ns)
{
    int64_t timeout = way->path.there_ns + way->path.back_ns + NS_PER_S / 5;
    if (way->sent == way->acked && way->sent && now_ns - way->at_ns > timeout) {
        way->window = min64(way->window, way->path.initial_window);
    }
}

size_t wan_way_send(struct wan_way *way, int64_t since_ns, int64_t now_ns, size_t n, struct wan_flight *ret)
{
    struct wan_flight flight = {0};
    assert(since_ns <= now_ns);
    if (n && !way->path.cut) {
        int64_t at = max64(since_ns, way->at_ns);
        take_acks_until(way, at);
        restart_after_idle(way, at);
        while (flight.bytes < n && at <= now_ns) {
            int64_t bytes = room(way, (int64_t)(n - flight.bytes));
            if (!bytes) {
                at = max64(at, next_ack_ns(way));
                if (at <= now_ns) {
                    take_acks_until(way, at);
                }
                continue;
            }
            way->at_ns = at;
            if (!depart(way, bytes, &flight)) {
                break;
            }
        }
    }
    if (flight.bytes) {
        *ret = flight;
    }
    return flight.bytes;
}

int64_t wan_way_ready_ns(const struct wan_way *way)
{
    if (way->path.cut) {
        return WAN_NEVER;
    }
    return room(way, WAN_MSS) ? way->at_ns : next_ack_ns(way);
}

int64_t wan_way_end_ns(struct wan_way *way, int64_t now_ns)
{
    return way->arrived_ns = max64(way->arrived_ns, now_ns + way->path.there_ns);
}

size_t wan_flight_due(const struct wan_flight *flight, int64_t now_ns)
{
    if (now_ns >= flight->last_ns) {
        return flight->bytes;
    }
    if (now_ns < flight->first_ns) {
        return 0;
    }
    int64_t rest = (int64_t)flight->bytes - WAN_MSS, span = flight->last_ns - flight->first_ns;
    int64_t due = (int64_t)((double)rest * ((double)(now_ns - flight->first_ns) / (double)span));
    return WAN_MSS + (size_t)(due - due % WAN_MSS);
}
