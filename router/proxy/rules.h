/* rules: what a proxy decides without doing anything: what is handed on, what of it, and whether a try that
 * failed is repeated. Pure.
 */
#ifndef CDN_ROUTER_PROXY_RULES_H
#define CDN_ROUTER_PROXY_RULES_H
#include "common/http/client/http_client.h"
#include "common/http/syntax/http_message.h"
#include "common/str.h"

#include <stdbool.h>

/* Not TRACE, and nothing that purges (PURGE, PURGEKEYS, BAN, REFRESH ...), in any case. */
bool router_rule_hands_on(struct cdn_str method);
/* Safe methods (RFC 9110 9.2.1; QUERY, RFC 10008): may be sent twice. */
bool router_rule_is_safe(enum http_method method, struct cdn_str name);
/* Whether a client's field goes to the edge: not one of the hop, none that is written anew, and none that
 * edges believe from whom they trust, as they do the router: X-Forwarded-..., CDN-... (an edge that asks
 * for another one says so in CDN-Shield-For), and X-Request-ID unless the client is `trusted` itself. Also
 * with '_' for '-', as CGI reads names. */
bool router_rule_sends(struct cdn_str name, struct cdn_str connection, bool trusted);

/* Conditions and ranges of the client's (RFC 9110 13.1, 14.2). */
bool router_rule_conditions(struct cdn_str name);

struct router_failure { /* of a try, before the answer's head or in a body that was held back */
    enum http_fetch_error error;
    bool safe;
    bool body_taken; /* some of the request's body is gone */
};
bool router_rule_repeats(const struct router_failure *failure);
/* The edge itself is likely what failed: not what one URL of its origin does. */
bool router_rule_blames(enum http_fetch_error error);
unsigned router_rule_status(enum http_fetch_error error); /* of our answer: 502, 503, 504 */

#endif
