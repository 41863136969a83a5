/* http_forwarded: who the client is, and what we tell the next server (RFC 7239 and the X-Forwarded-* habit).
 *
 * Anyone can write these fields, and a proxy that writes one of them passes the other on as its client sent
 * it. So exactly one is believed (setting `client_field`), from trusted proxies only: it is read from its
 * right end, and the first entry that is not a trusted proxy is the client. An entry that names no address
 * (obfuscated, "unknown", malformed, empty) ends the walk: the client is nobody then, not the proxy. It has
 * no rights and no place. Scheme and host come from the same family of fields. What the next server gets is
 * written anew from what was believed, the same in both forms.
 */
#ifndef CDN_COMMON_HTTP_FORWARDED_H
#define CDN_COMMON_HTTP_FORWARDED_H
#include "common/parse.h"
#include "common/str.h"

#include <stdbool.h>
#include <sys/socket.h>

/* In the order of the setting's choices (common/config/config.h). */
enum http_client_field { HTTP_CLIENT_X_FORWARDED_FOR, HTTP_CLIENT_FORWARDED, HTTP_CLIENT_NONE };

struct http_trust { /* trusted proxies; borrowed */
    const struct cdn_cidr *proxies;
    size_t count;
    enum http_client_field field;
};
bool http_is_trusted(const struct http_trust *trust, const struct cdn_addr *peer);

/* What a request says of its way here. Values joined; p NULL when absent. */
struct http_forwarded_in {
    const struct cdn_addr *peer;
    const struct http_trust *trust;
    bool secure;         /* the request came over TLS */
    struct cdn_str host; /* as the client sent it */
    struct cdn_str x_forwarded_for, x_forwarded_proto, x_forwarded_host, forwarded;
};

#define HTTP_FORWARDED_MAX 64 /* entries on the way; a client that came over more is nobody */

/* What is believed of it. Texts are slices of what went in. */
struct http_forwarded {
    struct cdn_addr client; /* AF_UNSPEC: nobody */
    bool secure;            /* to the client's side: the first trusted proxy's word, else the request's own */
    struct cdn_str host;
    /* for the next server */
    bool peer_secure;
    struct cdn_str peer_host;
    size_t count;                                 /* of hops, the peer included: at least 1 */
    struct cdn_addr hops[HTTP_FORWARDED_MAX + 2]; /* peer first, client last; AF_UNSPEC: unknown */
};
void http_forwarded_read(const struct http_forwarded_in *in, struct http_forwarded *ret);
static inline bool http_forwarded_is_known(const struct cdn_addr *client)
{
    return client->sa.sa_family != AF_UNSPEC;
}

/* The same for a request of the server. `text` holds joined lines, as long as *ret is used. */
struct http_forwarded_text {
    struct cdn_buf x_for, x_proto, x_host, forwarded;
};
void http_forwarded_text_free(struct http_forwarded_text *text); /* fit for cleanup */
struct http_request;
void http_forwarded_of_request(struct http_request *req, const struct http_trust *trust,
                               struct http_forwarded_text *text, struct http_forwarded *ret);
/* Who asks, and nothing else. AF_UNSPEC: nobody. */
void http_forwarded_client(struct http_request *req, const struct http_trust *trust, struct cdn_addr *ret);

/* One element of Forwarded, "for=...;proto=...;host=...;by=...": slices without quotes (escapes still in),
 * empty when absent. false: malformed. */
struct http_forwarded_element {
    struct cdn_str by, for_, host, proto;
};
bool http_forwarded_parse_element(struct cdn_str element, struct http_forwarded_element *ret);
/* A node: "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80"; `bare`: also IPv6 without brackets, as
 * X-Forwarded-For has it. */
bool http_forwarded_node(struct cdn_str node, bool bare, struct cdn_addr *ret);

/* What the next server is told. */
void http_forwarded_add_for(struct cdn_buf *b, const struct http_forwarded *f); /* X-Forwarded-For */
void http_forwarded_add_proto(struct cdn_buf *b, const struct http_forwarded *f);
void http_forwarded_add_host(struct cdn_buf *b, const struct http_forwarded *f); /* may stay empty */
void http_forwarded_add(struct cdn_buf *b, const struct http_forwarded *f);      /* Forwarded */

#endif
