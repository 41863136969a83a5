/* decide: the one function that routes. The HTTP listener, GET /route and `pocketcdn geo` all call it, so
 * they cannot disagree. It allocates nothing; the trace is written only when one is given.
 */
#ifndef CDN_ROUTER_DECIDE_H
#define CDN_ROUTER_DECIDE_H

#include "router/resolve.h"

struct router_decision {
    struct router_where where;
    enum router_reason reason;
    struct router_choice choice; /* choice.pop ROUTER_NO_POP: there is no edge to send anybody to */
    float margin_ms;             /* what the runner-up would cost more, modelled; 0 without one */
    bool ambiguous;              /* the place may be off by more than the runner-up is farther away */
};

void router_decide(const struct router_table *table, const struct router_question *question,
                   struct router_trace *trace, struct router_decision *ret);

#endif
