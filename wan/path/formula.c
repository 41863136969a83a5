/* Round by round: each sends a window, twice the one before, one round trip after it. Where a line is slower
 * than a window a round trip, acknowledgements of the first segments are back before the last have left, and
 * the rest follows at the line's rate. */
#include "wan/path/formula.h"

#include "wan/path/path.h"
#include "wan/path/window_private.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/banned.h"

struct reach { /* when the first segment and the last byte arrive */
    int64_t first_ns, last_ns;
};

/* What path.c makes of the windows given. */
static struct wan_way fitted(const struct wan_path *path)
{
    struct wan_way way;
    wan_way_init(&way, path, NULL, 0);
    return way;
}

static struct reach carry(const struct wan_path *path, int64_t window, int64_t bytes, int64_t start_ns)
{
    struct wan_path p = fitted(path).path;
    int64_t rate = p.bytes_per_s, round = p.there_ns + p.back_ns;
    int64_t segment = rate ? window_min(bytes, WAN_MSS) * NS_PER_S / rate : 0;
    struct reach reach = {.first_ns = start_ns + p.there_ns + segment};
    window = window_min(window ? window : p.initial_window, p.largest_window);
    while (bytes > window) {
        int64_t leaves = rate ? window * NS_PER_S / rate : 0;
        if (rate && round + segment - leaves <= 1) {
            break; /* the line never falls idle again */
        }
        bytes -= window;
        start_ns += round + segment;
        window = window_min(2 * window, p.largest_window);
    }
    reach.last_ns = start_ns + p.there_ns + (rate ? bytes * NS_PER_S / rate : 0);
    return reach;
}

void wan_formula(const struct wan_path *up, const struct wan_path *down, const struct wan_exchange *exchange,
                 struct wan_times *ret)
{
    struct wan_times t = {0};
    int64_t begin = 0, bytes_up = exchange->bytes_up;
    int64_t window_up = exchange->window_up, window_down = exchange->window_down;
    if (exchange->new_connection) {
        begin = t.connect_ns = t.tls_ns = up->there_ns + down->there_ns;
        window_up = window_down = 0;
        if (exchange->tls) {
            int64_t hello = carry(up, 0, WAN_TLS_HELLO, begin).last_ns;
            begin = t.tls_ns = carry(down, 0, WAN_TLS_SERVER, hello).last_ns;
            bytes_up += WAN_TLS_FINISHED;
        }
    }
    int64_t asked = carry(up, window_up, bytes_up, begin).last_ns;
    struct reach answer = carry(down, window_down, exchange->bytes_down, asked + exchange->server_ns);
    t.first_byte_ns = answer.first_ns;
    t.total_ns = answer.last_ns;
    *ret = t;
}

unsigned wan_formula_rounds(const struct wan_path *path, int64_t window, int64_t bytes)
{
    struct wan_path p = fitted(path).path;
    unsigned rounds = 1;
    window = window_min(window ? window : p.initial_window, p.largest_window);
    for (; bytes > window; rounds++) {
        bytes -= window;
        window = window_min(2 * window, p.largest_window);
    }
    return rounds;
}

int64_t wan_formula_window(const struct wan_path *path, int64_t window, int64_t bytes)
{
    struct wan_flight flight;
    struct wan_path p = *path;
    struct wan_way way;
    p.loss = 0;
    p.jitter_ns = 0;
    p.cut = p.acks_cut = false;
    wan_way_init(&way, &p, NULL, 0);
    way.window = window ? window_min(window, way.path.largest_window) : way.window;
    while (bytes > 0 && wan_way_send(&way, 0, WAN_NEVER - 1, (size_t)bytes, &flight)) {
        bytes -= (int64_t)flight.bytes;
    }
    while (wan_window_learn(&way, WAN_NEVER - 1)) {
    }
    return way.window;
}
