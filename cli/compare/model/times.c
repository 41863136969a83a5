/* times: a visit played through with the senders of wan/path, one event after another. Since nothing
 * but the paths takes time, what follows from a flight's arrival follows at once, and no queue of
 * events is needed: a function per message, from "sent at" to "arrived at". */
#include "cli/compare/model/times.h"

#include <stdbool.h>
#include <stddef.h>

#include "common/banned.h"

#define FAR_NS (INT64_C(1) << 60) /* later than anything */
#define PIECES 16u                /* of a flight that takes long to arrive, as an edge passes it on */

struct link { /* one connection, as both senders see it */
    struct wan_way up, down;
    bool open;
};

struct arrival {
    int64_t first_ns, last_ns;
};

struct play {
    struct link origin, edge, router, behind;
    uint64_t body;
    enum series_state state;
};

struct times_leg times_leg_of(double rtt_ms, const struct wan_profile *profile)
{
    int64_t half_ns = ((int64_t)(rtt_ms * 1e6) + (profile ? profile->rtt_ns : 0)) / 2;
    struct wan_path path = {.there_ns = half_ns, .back_ns = half_ns};
    struct times_leg leg = {path, path};
    leg.up.bytes_per_s = profile ? profile->up : 0;
    leg.down.bytes_per_s = profile ? profile->down : 0;
    return leg;
}

static void link_init(struct link *link, const struct times_leg *leg)
{
    *link = (struct link){0};
    wan_way_init(&link->up, &leg->up, NULL, 0);
    wan_way_init(&link->down, &leg->down, NULL, 0);
}

/* `n` bytes that lie ready at `at_ns`; `each` (or NULL) is told of every flight. */
static struct arrival carry(struct wan_way *way, int64_t at_ns, uint64_t n,
                            void (*each)(void *ctx, const struct wan_flight *flight), void *ctx)
{
    struct arrival arrival = {0};
    for (bool first = true; n > 0; first = false) {
        struct wan_flight flight = {0};
        size_t taken = wan_way_send(way, at_ns, FAR_NS, n, &flight);
        if (!taken) {
            break; /* a path that is cut; there is none here */
        }
        arrival.first_ns = first ? flight.first_ns : arrival.first_ns;
        arrival.last_ns = flight.last_ns;
        if (each) {
            each(ctx, &flight);
        }
        n -= taken;
    }
    return arrival;
}

/* SYN and its answer; the request goes with the third segment. */
static int64_t connect_at(struct link *link, int64_t at_ns)
{
    if (link->open) {
        return at_ns;
    }
    link->open = true;
    return at_ns + link->up.path.there_ns + link->up.path.back_ns;
}

static int64_t ask(struct link *link, int64_t at_ns)
{
    return carry(&link->up, at_ns, TIMES_REQUEST_BYTES, NULL, NULL).last_ns;
}

struct passing { /* what the edge gets goes on to the client */
    struct wan_way *to;
    struct arrival arrival;
    bool begun;
};

static void pass_piece(struct passing *passing, int64_t at_ns, uint64_t n)
{
    struct arrival arrival = carry(passing->to, at_ns, n, NULL, NULL);
    passing->arrival.first_ns = passing->begun ? passing->arrival.first_ns : arrival.first_ns;
    passing->arrival.last_ns = arrival.last_ns;
    passing->begun = true;
}

static void pass_on(void *ctx, const struct wan_flight *flight)
{
    struct passing *passing = ctx;
    int64_t span = flight->last_ns - flight->first_ns;
    unsigned pieces = span > 0 ? PIECES : 1;
    size_t sent = 0;
    for (unsigned i = 1; i <= pieces; i++) {
        int64_t at_ns = flight->last_ns - span / pieces * (pieces - i);
        size_t due = i == pieces ? flight->bytes : wan_flight_due(flight, at_ns);
        if (due > sent) {
            pass_piece(passing, at_ns, due - sent);
            sent = due;
        }
    }
}

/* The edge answers a request that arrived at `at_ns`. */
static struct arrival answer_of_edge(struct play *play, int64_t at_ns)
{
    uint64_t whole = TIMES_HEAD_BYTES + play->body;
    struct passing passing = {.to = &play->edge.down};
    if (play->state == SERIES_WARM) {
        return carry(&play->edge.down, at_ns, whole, NULL, NULL);
    }
    int64_t asked_ns = ask(&play->behind, at_ns);
    if (play->state == SERIES_REVALIDATED) { /* a 304 has no body */
        int64_t told_ns = carry(&play->behind.down, asked_ns, TIMES_HEAD_BYTES, NULL, NULL).last_ns;
        return carry(&play->edge.down, told_ns, whole, NULL, NULL);
    }
    carry(&play->behind.down, asked_ns, whole, pass_on, &passing);
    return passing.arrival;
}

static void play_request(struct play *play, enum series_way way, int64_t *now_ns, struct times *ret)
{
    int64_t began_ns = *now_ns, at_ns = began_ns;
    struct link *link = way == SERIES_DIRECT ? &play->origin : &play->edge;
    if (way == SERIES_REDIRECT) {
        at_ns = ask(&play->router, connect_at(&play->router, at_ns));
        at_ns = carry(&play->router.down, at_ns, TIMES_REDIRECT_BYTES, NULL, NULL).last_ns;
    }
    int64_t routed_ns = at_ns, connected_ns = connect_at(link, at_ns);
    at_ns = ask(link, connected_ns);
    struct arrival arrival = way == SERIES_DIRECT
                                 ? carry(&link->down, at_ns, TIMES_HEAD_BYTES + play->body, NULL, NULL)
                                 : answer_of_edge(play, at_ns);
    *ret = (struct times){.router_ns = routed_ns - began_ns,
                          .connect_ns = connected_ns - routed_ns,
                          .first_byte_ns = arrival.first_ns - began_ns,
                          .total_ns = arrival.last_ns - began_ns};
    *now_ns = arrival.last_ns;
}

/* `busy`: somebody was just served over the edge's connection to the origin. */
static void play_visit(const struct times_paths *paths, enum visit_kind visit, uint64_t body, bool busy,
                       struct times ret[static 2])
{
    struct play play = {.body = body, .state = series_visit_state(visit)};
    int64_t now_ns = 0;
    link_init(&play.origin, &paths->origin);
    link_init(&play.edge, &paths->edge);
    link_init(&play.router, &paths->router);
    struct times_leg behind = paths->behind;
    behind.down.initial_window = busy ? WAN_LARGEST_WINDOW : 0;
    link_init(&play.behind, &behind);
    play.behind.open = true;
    play_request(&play, series_visit_way(visit), &now_ns, &ret[0]);
    if (!busy) { /* an edge has several connections to its origin: the next request may find an idle one */
        link_init(&play.behind, &behind);
        play.behind.open = true;
    }
    play_request(&play, series_visit_way(visit), &now_ns, &ret[1]);
}

void times_of_visit(const struct times_paths *paths, enum visit_kind visit, uint64_t body_bytes,
                    struct times ret[static 2])
{
    enum series_state state = series_visit_state(visit);
    play_visit(paths, visit, body_bytes, false, ret);
    for (unsigned i = 0; i < 2; i++) {
        ret[i].least_total_ns = ret[i].total_ns;
    }
    if (state == SERIES_COLD || state == SERIES_UNCACHEABLE) {
        struct times busy[2];
        play_visit(paths, visit, body_bytes, true, busy);
        for (unsigned i = 0; i < 2; i++) {
            ret[i].least_total_ns = busy[i].total_ns < ret[i].total_ns ? busy[i].total_ns : ret[i].total_ns;
        }
    }
}
