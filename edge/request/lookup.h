/* lookup: what to do with a request, by what is stored for it. Pure. */
#ifndef CDN_EDGE_LOOKUP_H
#define CDN_EDGE_LOOKUP_H
#include "edge/cache/cache.h"
#include "edge/semantics/cause.h"
#include "edge/semantics/freshness.h"

#include <stdbool.h>

struct edge_lookup_facts {
    bool found;            /* something stored is selected, and */
    enum edge_reuse reuse; /* this may be done with it */
    bool may_refresh;      /* stale, and a background refresh is due */
    bool get;              /* not HEAD */
    bool only_cached;      /* only-if-cached (RFC 9111 5.2.1.7) */
    bool ranged;           /* the request has a Range */
    bool alone;            /* nobody waits for another's fetch of this key at the moment */
    enum edge_whole whole; /* the origin answered a range of it with the whole */
    bool wants_part;       /* a stretch of what is not stored whole is wanted, or parts of it are stored */
};

enum edge_lookup_act {
    EDGE_LOOKUP_SERVE,
    EDGE_LOOKUP_SERVE_AND_REFRESH,
    EDGE_LOOKUP_PART,
    EDGE_LOOKUP_FETCH,      /* joined, or begun for all who come meanwhile */
    EDGE_LOOKUP_PASS,       /* for this request alone */
    EDGE_LOOKUP_PASS_RANGE, /* a range of what cannot be kept: not the whole for its sake */
    EDGE_LOOKUP_REFUSE,     /* 504 */
};
enum edge_lookup_act edge_lookup_decide(const struct edge_lookup_facts *facts);
/* Why it is no plain hit; `missing`: why nothing is found. */
enum edge_cause edge_lookup_cause(const struct edge_lookup_facts *facts, enum edge_cause missing);

#endif
