/* times: how long the visits take on given paths, by the model of wan/path: nothing is sent. Servers are
 * taken to need no time at all, so these are times of the paths alone; what the processors need is measured
 * (cli/compare/run), never modelled.
 *
 * Pure, and the same to the bit for the same paths. An edge passes on what it fetches piece by piece as it
 * arrives, so the windows of both its connections count. The edge's connection to the origin is a kept one
 * (edges keep them): with the window of a connection that idled, `total_ns`, or with that of one on which
 * somebody was served just before, `least_total_ns`; the truth of a run lies between.
 */
#ifndef CDN_CLI_COMPARE_TIMES_H
#define CDN_CLI_COMPARE_TIMES_H
#include "cli/compare/model/series.h"
#include "wan/path/path.h"
#include "wan/path/profile.h"

#include <stdint.h>

#define TIMES_REQUEST_BYTES 150u  /* of a request, about */
#define TIMES_HEAD_BYTES 500u     /* of the head of an answer */
#define TIMES_REDIRECT_BYTES 350u /* of a redirect, whole */

struct times_leg { /* both directions of one connection's path */
    struct wan_path up, down;
};
/* RTT in ms; without loss and jitter. `profile`: the last mile of a client; NULL: between servers. */
struct times_leg times_leg_of(double rtt_ms, const struct wan_profile *profile);

struct times_paths {
    struct times_leg origin; /* client and origin */
    struct times_leg edge;   /* client and edge */
    struct times_leg router; /* client and router */
    struct times_leg behind; /* edge and origin */
};

struct times {
    int64_t router_ns;      /* until the redirect is here; 0 without one */
    int64_t connect_ns;     /* of the connection to edge or origin; 0 on a kept one */
    int64_t first_byte_ns;  /* from the beginning of all to the first byte of the answer */
    int64_t total_ns;       /* to its last byte */
    int64_t least_total_ns; /* see above; equal to total_ns where the origin is not asked for a body */
};

/* Both requests of a visit: ret[0] new, ret[1] kept. */
void times_of_visit(const struct times_paths *paths, enum visit_kind visit, uint64_t body_bytes,
                    struct times ret[static 2]);

#endif
