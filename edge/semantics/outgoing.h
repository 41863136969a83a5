/* outgoing: which of a client's fields go to the origin. Pure.
 *
 * What goes on must be in the key, be named by Vary, or not matter. Left out are:
 *  - fields of the hop (RFC 9110 7.6.1), those written anew here, and, where one answer is for many,
 * conditions and ranges of the client's own copy;
 *  - of GET and HEAD, whose answers may be stored: fields by which some frameworks and servers take another
 * URL, host, scheme, method or client than the request's. They are in no key, so an answer to them is
 * another's;
 *  - each of these also with '_' for '-': CGI and WSGI make one name of both. Of GET and HEAD no field with
 * '_' goes on at all, so that none is read as one that Vary names. `forward_fields` names fields that go on
 * all the same.
 */
#ifndef CDN_EDGE_OUTGOING_H
#define CDN_EDGE_OUTGOING_H
#include "common/str.h"

#include <stdbool.h>

struct edge_outgoing {
    struct cdn_str connection; /* joined; empty when absent */
    bool shared;               /* the answer is for everybody: no conditions, no ranges */
    bool guarded;              /* GET or HEAD */
    const struct cdn_config_list *forward;
};
bool edge_outgoing_has(const struct edge_outgoing *o, struct cdn_str name);
/* Written anew, or meant for us alone; also with '_' for '-'. */
bool edge_outgoing_is_ours(struct cdn_str name);
/* Fields of conditions and ranges: of the client's own copy, or of ours; no answer is stored for them. */
bool edge_outgoing_is_condition(struct cdn_str name);
/* Changes what some origins answer, and is in no key. */
bool edge_outgoing_is_unkeyed(struct cdn_str name);

#endif
