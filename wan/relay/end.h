/* end: who is at an end of a path: a node of the CDN, a client somewhere, or a target that was allowed. What
 * links are named by, what their length is computed from, and the address that stands for it. */
#ifndef CDN_WAN_RELAY_END_H
#define CDN_WAN_RELAY_END_H
#include "common/parse.h"
#include "common/status.h"
#include "geo-data/latency.h"

#include <stdbool.h>
#include <stdint.h>

struct wan_end {
    char *name;  /* "fra"; of a client its place */
    char *place; /* "Frankfurt"; "" when it is nowhere: to and from there no time passes */
    bool is_node;
    double lat, lon;
    struct geo_rtt_point point;
    struct cdn_addr address; /* a client's; of family AF_UNSPEC: none */
};

/* A node, or whatever has a name; `place` may be "". CDN_NOT_FOUND names the closest spellings. */
enum cdn_status wan_end_init(struct wan_end *end, const char *name, const char *place,
                             struct cdn_error *err) CDN_MUST_CHECK;
/* Somebody who has no name but that of his place. */
enum cdn_status wan_end_init_client(struct wan_end *end, const char *place,
                                    struct cdn_error *err) CDN_MUST_CHECK;
void wan_end_fini(struct wan_end *end); /* may be zeroed */

/* The modelled round trip; 0 when either is nowhere, or both are the same node. */
int64_t wan_end_rtt_ns(const struct wan_end *a, const struct wan_end *b);
/* Whether both stand at one place: within a few km. */
bool wan_end_is_at(const struct wan_end *end, double lat, double lon);

#endif
