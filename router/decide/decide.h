/* decide: the functions that route, for the HTTP listener, DNS, GET /route and `pocketcdn geo` alike.
 *
 * router_decide goes through the chain and knows everything about its answer. router_decide_brief knows the
 * edges and the reason only; it takes them from the compiled table (compiled.h) where there is one and asks
 * the chain where there is none, so both give the same edge for the same reason. Neither allocates; the trace
 * is written only when one is given.
 *
 * A place is *ambiguous* when it may be off by more than the runner-up is farther away, unless somebody named
 * the edge. Under the policy rtt a margin in ms counts as the kilometres that a usual path covers in that
 * time.
 */
#ifndef CDN_ROUTER_DECIDE_H
#define CDN_ROUTER_DECIDE_H
#include "common/parse.h"
#include "router/base/reason.h"
#include "router/choice/overrides.h"
#include "router/choice/select.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"

#include <stdbool.h>
#include <stdint.h>

struct router_decision {
    struct router_where where;
    enum router_reason reason;
    struct router_choice choice; /* choice.edge ROUTER_NO_EDGE: there is no edge to send anybody to */
    float margin_ms;             /* what the runner-up would cost more, modelled; 0 without one */
    bool ambiguous;              /* the place may be off by more than the runner-up is farther away */
    unsigned scope_len;          /* see router_decide_scope; of the address that asked */
};

void router_decide(const struct router_table *table, const struct router_question *question,
                   struct router_trace *trace, struct router_decision *ret);

/* The same in two steps, for callers that can do without the second: router_resolve fills ret->where, then
 * this the rest. For one table in one state, the rest depends on ret->where and the question's path
 * alone. */
void router_decide_where(const struct router_table *table, const struct router_question *question,
                         struct router_trace *trace, struct router_decision *ret);

struct router_brief {
    _Alignas(8) uint8_t reason; /* enum router_reason */
    bool ambiguous, optimistic;
    uint8_t count;              /* 0: there is no edge to send anybody to */
    uint16_t edges[ROUTER_ROW]; /* the chosen edge, then the next ones at other places that can serve */
    bool beyond; /* decided by the place itself, so that router_decide_scope may be too wide for it */
};
/* `want`: 2 to ROUTER_ROW edges; there may be fewer. */
void router_decide_brief(const struct router_table *table, const struct router_question *question,
                         unsigned want, struct router_brief *ret);

/* The prefix length of the widest network around the client's address in which every address is sent to the
 * same edges, whatever their health: the scope of a DNS answer to a client subnet (RFC 7871). The whole
 * length (32, 128) while the table is not compiled and where the chain alone decides: safe, never wrong. */
unsigned router_decide_scope(const struct router_table *table, const struct cdn_addr *client);
/* See router_compiled_prefetch; nothing where the table is not compiled. */
void router_decide_prefetch(const struct router_table *table, const struct cdn_addr *client, unsigned step);

/* Which edges count for a question: the override's (NULL: there is none) and those within reach. */
void router_decide_limits(const struct router_table *table, const struct router_override *override,
                          const struct router_question *question, struct router_limits *ret);

/* Why the first edge of a ranking is first. */
enum router_reason router_decide_reason_ranked(const struct router_table *table, bool by_override,
                                               enum router_reason place);

/* Whether `other` might be the better one, for all that is known of the place. */
bool router_decide_is_unclear(const struct router_table *table, const struct router_where *where,
                              const struct router_candidate *chosen, const struct router_candidate *other);

#endif
