/* dns_scope: for which network an answer to one address holds (the SCOPE PREFIX-LENGTH of RFC 7871).
 *
 * A decision depends on the database's network around the address, and on the overrides and special ranges
 * that the address is in *and that lie beside it*: with 10.1.0.0/16 overridden, an answer for 10.2.0.1 holds
 * for 10.2.0.0/15 at most, however wide the database's network is. A set of cuts finds the shortest prefix
 * around an address that is wholly inside or wholly outside of each of its networks.
 *
 * Overrides by AS, country and continent depend on the database's networks alone.
 *
 * This is by the rules of the chain (resolve.h). Where the table has been compiled it knows a wider network
 * for most addresses: the one in which everybody gets the same edges (router_decide_scope).
 *
 * Read-only once built: any thread.
 */
#ifndef CDN_ROUTER_DNS_SCOPE_H
#define CDN_ROUTER_DNS_SCOPE_H
#include "common/config/config.h"
#include "common/parse.h"
#include "router/decide/resolve.h"

struct dns_cuts; /* networks of both families, sorted */

/* Of the entries whose key is a network; others are passed over. */
struct dns_cuts *dns_cuts_create(const struct cdn_config_list *networks);
struct dns_cuts *dns_cuts_create_special(void); /* of the special ranges (special.h) */
void dns_cuts_destroy(struct dns_cuts *cuts);   /* NULL is fine */
/* In bits of the address' own family; it must not be an IPv4-mapped one. */
unsigned dns_cuts_scope(const struct dns_cuts *cuts, const struct cdn_addr *address);

struct dns_scope_rules {
    const struct router_table *table;
    const struct dns_cuts *overrides, *special;
};

/* In bits of `client`, which must not be IPv4-mapped; `where` is what router_resolve said of it. */
unsigned dns_scope(const struct dns_scope_rules *rules, const struct cdn_addr *client,
                   const struct router_where *where);

#endif
