/* dns_why: a decision as the strings of one TXT record, key=value (RFC 1464):
 *
 *     client=91.1.2.0 by=subnet|resolver network=91.0.0.0/10 edge=fra place=Frankfurt reason=geo km=12
 *     rtt_ms=3.1 modelled=yes runner_up=ams margin_ms=2.4 ambiguous=no located=Offenbach, Germany
 *     precision=city scope=10
 */
#ifndef CDN_ROUTER_DNS_WHY_H
#define CDN_ROUTER_DNS_WHY_H
#include "common/parse.h"
#include "common/str.h"
#include "router/decide/decide.h"
#include "router/table/table.h"

#include <stdbool.h>

/* Appends the record's data to `out`. */
void dns_why(const struct router_table *table, const struct cdn_addr *client, bool by_subnet, unsigned scope,
             const struct router_decision *decision, struct cdn_buf *out);

#endif
