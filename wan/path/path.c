/* When segments leave and arrive: the line, chance, and cuts. Every departure has a time of the model's, not
 * of the caller's clock, so that a caller who wakes up late does not slow the connection down. */
#include "wan/path/path.h"

#include "wan/path/chance.h"
#include "wan/path/window_private.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

#define JITTER_HOLDS_NS (NS_PER_S / 1000) /* a queue is no other length sooner */
#define SYN_TIMEOUT_NS NS_PER_S           /* RFC 6298 section 2.1 */
#define TRIES 8                           /* of one segment; then it gets through */
#define TIMEOUT_MAX_NS (120 * NS_PER_S)   /* RFC 6298 section 2.5 allows 60 s and more; Linux has 120 */

void wan_way_init(struct wan_way *way, const struct wan_path *path, struct wan_line *line, uint64_t seed)
{
    *way = (struct wan_way){.path = *path,
                            .seed = seed,
                            .window = INT64_MAX,
                            .threshold = INT64_MAX,
                            .reduce_ns = WAN_NEVER,
                            .at_ns = INT64_MIN,
                            .left_ns = INT64_MIN / 2,
                            .acks_from_ns = INT64_MIN,
                            .arrived_ns = INT64_MIN,
                            .wait_until_ns = INT64_MIN,
                            .healed_ns = INT64_MIN,
                            .again_ns = INT64_MIN,
                            .again_until_ns = INT64_MIN,
                            .cut_ns = path->cut || path->acks_cut ? INT64_MIN : WAN_NEVER};
    way->line = line ? line : &way->own_line;
    wan_window_fit(way);
    way->window = way->path.initial_window;
    way->next_lost = wan_chance(&way->seed, path->loss);
}

/* The first try at or after `from_ns` of a sender that began at `began_ns` and waits twice as long each time
 * (RFC 6298 section 5.5). */
static int64_t retry_ns(int64_t began_ns, int64_t timeout_ns, int64_t from_ns)
{
    while (began_ns < from_ns) {
        began_ns += timeout_ns;
        timeout_ns = window_min(2 * timeout_ns, TIMEOUT_MAX_NS);
    }
    return began_ns;
}

/* Tries of one segment were drawn up to the one that gets through. When less is lost from now on, the next
 * one does, and what was held behind it comes with it: not sooner than what left last is repaired at all. */
static void heal_loss(struct wan_way *way, const struct wan_path *path, int64_t now_ns)
{
    const struct wan_path *old = &way->path;
    if (way->again_ns == INT64_MIN || way->arrived_ns <= now_ns) {
        return;
    }
    int64_t repaired = wan_window_timeout_ns(way) +
                       (old->bytes_per_s ? window_max(way->left_ns, way->line->free_ns) : way->left_ns);
    int64_t left = window_max(repaired, retry_ns(way->again_ns, way->again_timeout_ns, now_ns));
    int64_t arrives = left + window_max(old->there_ns, path->there_ns) + way->wait_ns;
    if (arrives < way->arrived_ns) {
        int64_t noticed = arrives + window_max(old->back_ns, path->back_ns);
        way->arrived_ns = arrives;
        way->again_until_ns = left;
        way->repaired_ns = window_min(way->repaired_ns, noticed);
        way->reduce_ns = way->reduce_ns == WAN_NEVER ? WAN_NEVER : window_min(way->reduce_ns, noticed);
    }
}

void wan_way_change(struct wan_way *way, const struct wan_path *path, int64_t now_ns)
{
    struct wan_path old = way->path;
    way->at_ns = window_max(way->at_ns, now_ns);
    while (wan_window_learn(way, now_ns)) {
    }
    if (path->loss < old.loss) {
        heal_loss(way, path, now_ns);
    }
    way->path = *path;
    if (path->bytes_per_s != old.bytes_per_s) {
        way->line->rest = 0;
    }
    if (path->loss != old.loss) {
        way->next_lost = wan_chance(&way->seed, path->loss);
    }
    wan_window_fit(way);
    if ((path->cut || path->acks_cut) && !old.cut && !old.acks_cut) {
        way->cut_ns = now_ns;
    } else if (old.acks_cut && !path->acks_cut && !path->cut && way->sent > way->acked) {
        /* the first segment that is sent again is answered for all that arrived */
        int64_t timeout = wan_window_timeout_ns(way);
        int64_t began = window_max(way->cut_ns, way->left_ns) + timeout;
        way->acks_from_ns = retry_ns(began, 2 * timeout, now_ns) + path->there_ns + path->back_ns;
        wan_window_collapse(way);
    }
    if (old.cut && !path->cut) {
        way->healed_ns = now_ns;
        way->tried_in_vain = true;
    }
}

/* What was offered while the path was cut leaves at the next try after the cut. */
static int64_t after_cut_ns(const struct wan_way *way, int64_t since_ns, int64_t timeout_ns)
{
    return since_ns < way->healed_ns ? retry_ns(window_max(since_ns, way->cut_ns), timeout_ns, way->healed_ns)
                                     : since_ns;
}

static int64_t jitter_at(struct wan_way *way, int64_t at_ns)
{
    if (way->path.jitter_ns && at_ns >= way->wait_until_ns) {
        way->wait_ns = wan_chance_wait_ns(&way->seed, way->path.jitter_ns);
        way->wait_until_ns = at_ns + JITTER_HOLDS_NS;
    }
    return way->path.jitter_ns ? way->wait_ns : 0;
}

struct place { /* of a segment's first byte in the line */
    int64_t start_ns, rest;
};

/* Times are whole nanoseconds, so acknowledgements of a full line may seem to leave a gap of one. */
static bool line_goes_on(const struct wan_way *way)
{
    return way->path.bytes_per_s && way->left_ns - way->line->free_ns <= 1;
}

static struct place enter_line(struct wan_way *way, int64_t bytes, int64_t *ret_first_ns,
                               int64_t *ret_last_ns)
{
    struct wan_line *line = way->line;
    int64_t rate = way->path.bytes_per_s;
    struct place place = {way->left_ns, 0};
    *ret_first_ns = *ret_last_ns = way->left_ns;
    if (rate) {
        if (line_goes_on(way)) {
            place = (struct place){line->free_ns, line->rest};
        }
        int64_t head = window_min(bytes, WAN_MSS) * NS_PER_S + place.rest,
                all = bytes * NS_PER_S + place.rest;
        *ret_first_ns = place.start_ns + head / rate;
        *ret_last_ns = place.start_ns + all / rate;
        *line = (struct wan_line){.free_ns = *ret_last_ns, .rest = all % rate};
    }
    return place;
}

/* Bytes that get there. Nothing overtakes what left before. */
static void depart(struct wan_way *way, int64_t bytes, bool more, struct wan_flight *flight)
{
    int64_t first, last, delay = way->path.there_ns + jitter_at(way, way->left_ns);
    struct place place = enter_line(way, bytes, &first, &last);
    wan_window_sent(way, bytes, place.start_ns + delay + way->path.back_ns, place.rest, more);
    if (!flight->bytes) {
        flight->first_ns = window_max(first + delay, way->arrived_ns);
    }
    flight->last_ns = way->arrived_ns = window_max(last + delay, way->arrived_ns);
    flight->bytes += (size_t)bytes;
}

/* How long after it would have arrived a lost segment does. With others behind it the sender learns of it
 * from their acknowledgements and sends it again: a round, and one more if that is lost, too (RFC 8985
 * section 4). With none it waits for the probe time-out of two rounds, or, alone, for the retransmission
 * time-out (RFC 8985 section 7.2); what is lost then waits for time-outs that double. */
static int64_t repair_takes_ns(struct wan_way *way, int64_t left_ns, bool followed, bool alone,
                               bool *ret_timeout)
{
    int64_t round = way->path.there_ns + way->path.back_ns, timeout = wan_window_timeout_ns(way);
    int64_t takes = followed ? round : alone ? timeout : window_min(2 * round, timeout);
    const bool first = !followed && left_ns >= way->again_until_ns; /* the timer is the first one's */
    *ret_timeout = !followed && alone;
    for (int i = 0; i < TRIES && wan_chance(&way->seed, way->path.loss); i++) {
        if (i == 0 && first) {
            way->again_ns = left_ns + takes + timeout;
            way->again_timeout_ns = 2 * timeout;
        }
        takes += followed ? round : timeout;
        timeout = window_min(2 * timeout, TIMEOUT_MAX_NS);
        *ret_timeout = *ret_timeout || !followed;
        way->again_until_ns = first ? left_ns + takes : way->again_until_ns;
    }
    return takes;
}

/* One segment that does not get there at first; what leaves after it is held until it has. */
static void depart_lost(struct wan_way *way, int64_t bytes, bool followed, struct wan_flight *ret)
{
    bool timeout;
    int64_t first, last, delay = way->path.there_ns + jitter_at(way, way->left_ns);
    enter_line(way, bytes, &first, &last);
    int64_t takes = repair_takes_ns(way, last, followed, way->sent == way->acked, &timeout);
    int64_t arrives = window_max(last + delay + takes, way->arrived_ns);
    int64_t notice = followed ? last + delay + way->path.back_ns : last + takes;
    wan_window_lost(way, bytes, notice, arrives + way->path.back_ns, timeout);
    way->arrived_ns = arrives;
    *ret = (struct wan_flight){(size_t)bytes, arrives, arrives};
}

/* Draws for the segments of `bytes`: how many leave before the next that is lost. */
static int64_t before_loss(struct wan_way *way, int64_t bytes)
{
    if (way->path.loss <= 0) {
        return bytes;
    }
    int64_t clear = 0;
    while (clear < bytes && !way->next_lost) {
        clear = window_min(clear + WAN_MSS, bytes);
        way->next_lost = wan_chance(&way->seed, way->path.loss);
    }
    return clear;
}

/* Whether what leaves at `at_ns` follows the flight without a gap, so that one line says when both arrive. */
static bool goes_on(const struct wan_way *way, const struct wan_flight *flight, int64_t at_ns)
{
    bool same = way->path.bytes_per_s ? at_ns - way->line->free_ns <= 1 : at_ns == way->left_ns;
    return !flight->bytes || (same && (!way->path.jitter_ns || at_ns < way->wait_until_ns));
}

/* Takes what leaves at `at_ns`; false: the flight ends before it. */
static bool take(struct wan_way *way, int64_t at_ns, int64_t room, int64_t n, struct wan_flight *flight)
{
    if (!goes_on(way, flight, at_ns)) {
        return false;
    }
    int64_t clear = before_loss(way, room);
    if (!clear && flight->bytes) {
        return false;
    }
    way->left_ns = at_ns;
    if (clear) {
        depart(way, clear, room < n, flight);
        return clear == room;
    }
    room = window_min(room, WAN_MSS);
    way->next_lost = wan_chance(&way->seed, way->path.loss);
    depart_lost(way, room, room < n, flight);
    return false;
}

size_t wan_way_send(struct wan_way *way, int64_t since_ns, int64_t now_ns, size_t n, struct wan_flight *ret)
{
    struct wan_flight flight = {0};
    assert(since_ns <= now_ns);
    if (!n || way->path.cut) {
        return 0;
    }
    int64_t at = window_max(since_ns, way->at_ns);
    if (since_ns < way->healed_ns) {
        at = window_max(at, after_cut_ns(way, since_ns, wan_window_timeout_ns(way)));
        if (way->tried_in_vain) {
            wan_window_collapse(way);
        }
    }
    way->tried_in_vain = false;
    if (at <= now_ns) {
        /* what is offered anew comes after the acknowledgements of that moment; what waits, between them */
        int64_t before = since_ns >= way->at_ns ? at : at - 1;
        way->at_ns = at;
        while (wan_window_learn(way, before)) {
        }
        wan_window_restart(way, at);
    }
    while (flight.bytes < n && at <= now_ns) {
        int64_t left = (int64_t)(n - flight.bytes), room = wan_window_room(way, left);
        if (!room) {
            at = window_max(at, wan_window_next_ns(way));
            if (at <= now_ns) {
                way->at_ns = at;
                wan_window_learn(way, at);
            }
        } else if (!take(way, at, room, left, &flight)) {
            break;
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
    return wan_window_room(way, WAN_MSS) ? way->at_ns : wan_window_next_ns(way);
}

int64_t wan_way_syn_ns(struct wan_way *way, int64_t since_ns)
{
    if (way->path.cut) {
        return WAN_NEVER;
    }
    int64_t at = after_cut_ns(way, since_ns, SYN_TIMEOUT_NS), timeout = SYN_TIMEOUT_NS;
    for (int i = 0; i < TRIES && wan_chance(&way->seed, way->path.loss); i++) {
        at += timeout;
        timeout *= 2;
    }
    return at + way->path.there_ns + jitter_at(way, at);
}

int64_t wan_way_end_ns(struct wan_way *way, int64_t since_ns)
{
    bool timeout;
    if (way->path.cut) {
        return WAN_NEVER;
    }
    int64_t at = after_cut_ns(way, since_ns, wan_window_timeout_ns(way));
    int64_t arrives = at + way->path.there_ns + jitter_at(way, at);
    if (way->next_lost) {
        way->next_lost = false;
        arrives += repair_takes_ns(way, at, false, way->sent == way->acked, &timeout);
    }
    return way->arrived_ns = window_max(way->arrived_ns, arrives);
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
