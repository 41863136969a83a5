/* window: the congestion window of a sender, what is under way in it, and the acknowledgements that open it
 * again. path.c says when segments leave and arrive.
 */
#ifndef CDN_WAN_PATH_WINDOW_PRIVATE_H
#define CDN_WAN_PATH_WINDOW_PRIVATE_H
#include "wan/path/path.h"

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_S INT64_C(1000000000)

static inline int64_t window_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t window_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Linux's retransmission time-out on a steady path: the round trip and 200 ms. */
int64_t wan_window_timeout_ns(const struct wan_way *way);
/* What the path allows, after it changed. */
void wan_window_fit(struct wan_way *way);
/* Takes into account one thing that the sender has learned by now_ns, the earliest. False: there is none. */
bool wan_window_learn(struct wan_way *way, int64_t now_ns);
/* When it learns the next. */
int64_t wan_window_next_ns(const struct wan_way *way);
/* What may leave of `n` bytes now. */
int64_t wan_window_room(const struct wan_way *way, int64_t n);
/* `bytes` have left, and their acknowledgements begin at base_ns; `more`: the sender has others, for which
 * there is no room. */
void wan_window_sent(struct wan_way *way, int64_t bytes, int64_t base_ns, int64_t rest, bool more);
/* `bytes` have left and are lost: noticed and sent again at notice_ns, acknowledged at repaired_ns. */
void wan_window_lost(struct wan_way *way, int64_t bytes, int64_t notice_ns, int64_t repaired_ns,
                     bool by_timeout);
/* The retransmission time-out struck: back to one segment (RFC 5681 section 3.1). */
void wan_window_collapse(struct wan_way *way);
void wan_window_restart(struct wan_way *way, int64_t now_ns);

#endif
