/* upstream_rule: what the site's rule says of the request to the origin: cookies that go on, the class of
 * device, where the client is, fields set, added and removed. */
#ifndef CDN_EDGE_UPSTREAM_RULE_H
#define CDN_EDGE_UPSTREAM_RULE_H
#include "common/str.h"
#include "edge/fetch/fetch.h"
#include "edge/request/txn.h"

#include <stdbool.h>

/* Whether the rule, and not the client, says what the origin gets under this name. */
bool edge_upstream_rule_has(const struct edge_txn *txn, struct cdn_str name);
/* What the origin gets under such a name; false: nothing. */
bool edge_upstream_rule_get(const struct edge_txn *txn, struct cdn_str name, struct cdn_buf *into);
void edge_upstream_rule_add(const struct edge_txn *txn, struct edge_fields *fields); /* all of them */
/* "cookie;NAME" of a rule's key: the value of that cookie as the origin gets it. */
bool edge_upstream_rule_cookie(const struct edge_txn *txn, struct cdn_str name, struct cdn_buf *into);

#endif
