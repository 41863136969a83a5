/* guard: what a rule says of who may have its answers, and how often: signatures, countries, rates. Read with
 * the rule, never changed afterwards.
 *
 * A rate is counted for all rules to which one line of a file gives it, or for all that take the edge's own
 * (`rate_kind`): a site that says it once has one bucket for each network, not one for each rule.
 */
#ifndef CDN_EDGE_GUARD_H
#define CDN_EDGE_GUARD_H
#include "common/rate.h"
#include "common/status.h"
#include "edge/geo/client_place.h"
#include "edge/site/rule_settings.h"

#include <stdbool.h>
#include <stdint.h>

struct edge_rates { /* of an edge's settings, or a rule's */
    struct cdn_rate_limit rate, miss;
    struct cdn_rate_networks networks;
    bool cached_only; /* over the rate hits are given still */
    uint64_t rate_kind, miss_kind;
};

struct edge_guard {
    struct edge_keys *keys; /* owned; NULL: nothing needs to be signed */
    struct edge_rates rates;
    bool has_rates;
    unsigned place_fields; /* 1 << enum edge_place_field */
    struct edge_countries allow, deny;
    bool by_country;
    unsigned deny_status;
    bool needs_places; /* a database of addresses */
};

/* "24,48" */
bool edge_guard_networks_read(const char *text, struct cdn_rate_networks *ret);

/* `from`: where each setting came from, NULL: not said; `rates`: what holds for what is not said. CDN_INVALID
 * names `place` or where it came from, and the key. */
enum cdn_status edge_guard_create(const struct edge_rule_settings *settings, char *const *from,
                                  const char *place, const char *name, const struct edge_rates *rates,
                                  struct edge_guard *ret, struct cdn_error *err) CDN_MUST_CHECK;
void edge_guard_free(struct edge_guard *guard); /* a zeroed one is fine */

#endif
