/* profile: the last mile of a client: what stands between a home or a telephone and the network of its city.
 * One row adds one; docs/travel.md says where the figures come from.
 */
#ifndef CDN_WAN_PATH_PROFILE_H
#define CDN_WAN_PATH_PROFILE_H
#include "common/str.h"

#include <stddef.h>
#include <stdint.h>

/* name, Mbit/s down and up, round trip in us, loss in a million segments, text */
#define WAN_PROFILE_TABLE(X)                                               \
    X("fibre", 300, 150, 1000, 0, "a passive optical network to the home") \
    X("cable", 100, 10, 7500, 0, "a television cable (DOCSIS)")            \
    X("dsl", 16, 1, 19000, 0, "a telephone line (ADSL2+)")                 \
    X("4g", 15, 13.5, 45000, 1000, "a telephone with LTE")                 \
    X("3g", 1.6, 0.768, 150000, 1000, "a telephone with UMTS or HSPA")

struct wan_profile {
    const char *name, *text;
    int64_t down, up; /* bytes a second */
    int64_t rtt_ns;   /* added to the round trip of the path */
    int64_t jitter_ns;
    double loss;
};

const struct wan_profile *wan_profile_find(struct cdn_str name); /* any case; NULL: unknown */
size_t wan_profile_count(void);
const struct wan_profile *wan_profile_at(size_t i);

#endif
