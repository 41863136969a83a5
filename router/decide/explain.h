/* explain: a decision as JSON, for GET /route and `pocketcdn geo --json`. The keys are fixed:
 *
 *     ip            the address that was asked about
 *     address       the address that was looked up, when another (mapped, tunnelled, simulated); else absent
 *     network       prefix of it that the place depended on, "193.0.6.0/23"
 *     scope         prefix of `ip` in which every address goes to the same edges, whatever their health;
 *                   absent while the table is not compiled (`pocketcdn geo` never does)
 *     special       word of the special range ("private"), or null; special_text says more
 *     anycast       whose network of many places the address is in ("Google Public DNS"), or null
 *     country, country_name, city, subdivision    of the place taken; null where not known
 *     lat, lon      of the place taken
 *     accuracy_km   how far off it may be; accuracy_assumed: true when the database did not say
 *     precision     exact, city, cell, region, country, default
 *     source        pinned, override, database, default
 *     override      the override that matched, {match, network, target, origin}, or null; network is null for
 *                   one by AS, country or continent
 *     reason        word of reason.h; place_reason: how the place was found, when health or load changed it
 *     edge, url     chosen; null when no edge can serve
 *     km, rtt_ms    to it; rtt_label is always "modelled"
 *     runner_up     the next edge elsewhere, or null; margin_ms: what it costs more
 *     ambiguous, optimistic
 *     policy        rtt, distance, pinned
 *     candidates    all edges, best first, then those that an override or the address' family rules out:
 *                   {edge, place, km, rtt_ms, allowed, healthy, drained, full, weight};
 *                   GET /route adds what the probes know: probe_ms (measured), load
 *     steps         the chain: {step, text}
 */
#ifndef CDN_ROUTER_EXPLAIN_H
#define CDN_ROUTER_EXPLAIN_H
#include "common/parse.h"
#include "router/decide/decide.h"
#include "router/decide/resolve.h"
#include "router/table/table.h"

#include <jansson.h>
#include <stddef.h>

/* `max_candidates` limits the list (SIZE_MAX: all); steps are left out when `trace` is NULL. The caller owns
 * the result. */
json_t *router_explain(const struct router_table *table, const struct router_question *question,
                       const struct router_decision *decision, const struct router_trace *trace,
                       size_t max_candidates);

#define ROUTER_NETWORK_TEXT_SIZE (CDN_ADDR_TEXT_SIZE + 4)
/* "193.0.6.0/23" of the answer. */
void router_explain_network(const struct router_where *where, char out[static ROUTER_NETWORK_TEXT_SIZE]);

#endif
