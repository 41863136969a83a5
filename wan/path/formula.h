/* formula: how long an exchange takes over a path without loss and jitter, in closed form.
 *
 * To the nanosecond what path.c gives for the same bytes, and judged against it; it goes round by round, not
 * segment by segment, and knows no state. `compare --model` predicts with it what the network then shows.
 */
#ifndef CDN_WAN_PATH_FORMULA_H
#define CDN_WAN_PATH_FORMULA_H
#include "wan/path/path.h"

#include <stdbool.h>
#include <stdint.h>

/* Bytes of a usual handshake of TLS 1.3 (RFC 8446 section 2): a ClientHello with a key share, the server's
 * flight with a chain of two ECDSA certificates, the client's Finished before its request. */
#define WAN_TLS_HELLO 517
#define WAN_TLS_SERVER 3000
#define WAN_TLS_FINISHED 80

struct wan_exchange { /* what is sent over one connection, head and body together */
    int64_t bytes_up, bytes_down;
    bool new_connection, tls;       /* tls counts for a new one only */
    int64_t window_up, window_down; /* of a kept one (wan_formula_window); 0: the initial window */
    int64_t server_ns;              /* from the whole request to the answer */
};

struct wan_times {              /* from the beginning */
    int64_t connect_ns, tls_ns; /* of a kept connection 0 */
    int64_t first_byte_ns, total_ns;
};

void wan_formula(const struct wan_path *up, const struct wan_path *down, const struct wan_exchange *exchange,
                 struct wan_times *ret);
/* Rounds of slow start that `bytes` need, from `window` (0: the initial one). */
unsigned wan_formula_rounds(const struct wan_path *path, int64_t window, int64_t bytes);
/* The window after `bytes`, from `window`. Found by sending them in the model. */
int64_t wan_formula_window(const struct wan_path *path, int64_t window, int64_t bytes);

#endif
