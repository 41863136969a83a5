/* http_forwarded: who the client is, and what we tell the next server (RFC 7239 and the X-Forwarded-* habit).
 *
 * Anyone can write X-Forwarded-For. The client's address is the socket's, unless the socket's peer is one of
 * the trusted proxies: then the list is read from its right end, and the first entry that is not itself a
 * trusted proxy is the client. An entry that is no address (obfuscated, "unknown", malformed) ends the walk
 * at the last one trusted.
 */
#ifndef CDN_COMMON_HTTP_FORWARDED_H
#define CDN_COMMON_HTTP_FORWARDED_H

#include "common/parse.h"
#include "common/str.h"

#include <stdbool.h>

struct http_trust { /* trusted proxies; borrowed */
    const struct cdn_cidr *proxies;
    size_t count;
};
bool http_is_trusted(const struct http_trust *trust, const struct cdn_addr *peer);

/* `x_forwarded_for` and `forwarded`: joined values, p NULL when absent. Forwarded (the standard) wins when
 * both are there. At most 64 entries are looked at. */
void http_forwarded_client(const struct cdn_addr *peer, const struct http_trust *trust,
                           struct cdn_str x_forwarded_for, struct cdn_str forwarded, struct cdn_addr *ret);

/* One element of Forwarded, "for=...;proto=...;host=...;by=...": slices without quotes (escapes still in),
 * empty when absent. false: malformed. */
struct http_forwarded_element {
    struct cdn_str by, for_, host, proto;
};
bool http_forwarded_parse_element(struct cdn_str element, struct http_forwarded_element *ret);
/* A node: "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80", also bare IPv6 as X-Forwarded-For has it. */
bool http_forwarded_node(struct cdn_str node, struct cdn_addr *ret);

/* What the next server is told. When `peer` is trusted, what came in is kept and added to; else it is
 * replaced, since anyone can write it. All values joined; p NULL when absent. */
struct http_forwarded_in {
    const struct cdn_addr *peer;
    bool peer_trusted;
    bool secure;         /* the request came over TLS */
    struct cdn_str host; /* as the client sent it */
    struct cdn_str x_forwarded_for, x_forwarded_proto, x_forwarded_host, forwarded;
};
void http_forwarded_add_for(struct cdn_buf *b, const struct http_forwarded_in *in);   /* X-Forwarded-For */
void http_forwarded_add_proto(struct cdn_buf *b, const struct http_forwarded_in *in); /* X-Forwarded-Proto */
void http_forwarded_add_host(struct cdn_buf *b,
                             const struct http_forwarded_in *in); /* X-Forwarded-Host; may stay empty */
void http_forwarded_add(struct cdn_buf *b, const struct http_forwarded_in *in); /* Forwarded */

#endif
