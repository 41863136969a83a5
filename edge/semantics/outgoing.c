/* outgoing: tables of names, and one comparison for all of them that reads '_' as '-' in any
 * case, since that is how the programs read that the tables are about. */
#include "edge/semantics/outgoing.h"

#include "common/config/config.h"
#include "common/http/syntax/http_field.h"

#include <stddef.h>

#include "common/banned.h"

#define NAME(text)             \
    {                          \
        text, sizeof(text) - 1 \
    }
#define HOP_NAME_MAX 32 /* bytes: fields of the hop are shorter */

static const struct cdn_str ours[] = {
    NAME("Host"),
    NAME("Via"),
    NAME("CDN-Loop"),
    NAME("CDN-Shield-For"),
    NAME("Forwarded"),
    NAME("X-Forwarded-For"),
    NAME("X-Forwarded-Proto"),
    NAME("X-Forwarded-Host"),
    NAME("Content-Length"),
    NAME("Expect"),
    NAME("Max-Forwards"),
    NAME("X-Request-ID"), /* ours or a trusted proxy's; in no key, even where Vary names it */
    {NULL, 0},
};

/* What a client asks of its own copy must not shape the answer that everybody gets. */
static const struct cdn_str conditions[] = {
    NAME("If-None-Match"),
    NAME("If-Modified-Since"),
    NAME("If-Match"),
    NAME("If-Unmodified-Since"),
    NAME("If-Range"),
    NAME("Range"),
    {NULL, 0},
};

/* Besides these, everything that begins with "X-Forwarded-" or "X-Original-". */
static const struct cdn_str unkeyed[] = {
    NAME("X-Rewrite-URL"), /* the URL: IIS, Symfony, Zend */
    NAME("X-Rewrite-URI"),
    NAME("X-Request-URI"),
    NAME("Request-URI"),
    NAME("X-Envoy-Original-Path"),
    NAME("X-HTTP-Path-Override"),
    NAME("X-HTTP-Method-Override"), /* the method: Rails, Laravel, Symfony, Express */
    NAME("X-HTTP-Method"),
    NAME("X-Method-Override"),
    NAME("X-Method"),
    NAME("X-Host"), /* the host */
    NAME("X-HTTP-Host-Override"),
    NAME("X-Host-Override"),
    NAME("X-Proxy-Host"),
    NAME("X-Backend-Host"),
    NAME("X-Scheme"), /* the scheme */
    NAME("X-URL-Scheme"),
    NAME("Front-End-Https"),
    NAME("X-Proto"),
    NAME("X-HTTPS"),
    NAME("X-Script-Name"), /* where the application is mounted: links are made from it */
    NAME("Script-Name"),
    NAME("Path-Info"),
    NAME("X-Base-Path"),
    NAME("Proxy"),     /* HTTP_PROXY of CGI programs */
    NAME("X-Real-IP"), /* the client */
    NAME("X-Client-IP"),
    NAME("X-Cluster-Client-IP"),
    NAME("X-Remote-IP"),
    NAME("X-Remote-Addr"),
    NAME("X-Originating-IP"),
    NAME("Client-IP"),
    NAME("True-Client-IP"),
    NAME("Cluster-Client-IP"),
    NAME("Fastly-Client-IP"),
    NAME("CF-Connecting-IP"),
    NAME("X-Accel-Redirect"), /* meant for an answer */
    NAME("X-Accel-Mapping"),
    NAME("X-Sendfile-Type"),
    {NULL, 0},
};

static char folded(char c)
{
    return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* As CGI and WSGI read them: in any case, '_' like '-'. */
static bool begins_like(struct cdn_str name, struct cdn_str with)
{
    for (size_t i = 0; i < with.n; i++) {
        if (i >= name.n || folded(name.p[i]) != folded(with.p[i])) {
            return false;
        }
    }
    return true;
}

static bool is_any(struct cdn_str name, const struct cdn_str *names)
{
    for (; names->p; names++) {
        if (name.n == names->n && begins_like(name, *names)) {
            return true;
        }
    }
    return false;
}

bool edge_outgoing_is_ours(struct cdn_str name)
{
    return is_any(name, ours);
}

bool edge_outgoing_is_condition(struct cdn_str name)
{
    return is_any(name, conditions);
}

bool edge_outgoing_is_unkeyed(struct cdn_str name)
{
    return begins_like(name, CDN_STR("X-Forwarded-")) || begins_like(name, CDN_STR("X-Original-")) ||
           is_any(name, unkeyed);
}

static bool is_of_the_hop(struct cdn_str name, struct cdn_str connection)
{
    char text[HOP_NAME_MAX];
    if (http_is_hop_by_hop(name, connection)) {
        return true;
    }
    if (name.n > sizeof(text)) {
        return false;
    }
    for (size_t i = 0; i < name.n; i++) {
        text[i] = folded(name.p[i]);
    }
    return http_is_hop_by_hop((struct cdn_str){text, name.n}, CDN_STR(""));
}

static bool is_let_through(const struct edge_outgoing *o, struct cdn_str name)
{
    for (size_t i = 0; i < o->forward->n; i++) {
        if (cdn_str_eq_nocase(name, cdn_str(o->forward->items[i].key))) {
            return true;
        }
    }
    return false;
}

bool edge_outgoing_has(const struct edge_outgoing *o, struct cdn_str name)
{
    if (is_of_the_hop(name, o->connection) || is_any(name, ours) || (o->shared && is_any(name, conditions))) {
        return false;
    }
    return !o->guarded || !(edge_outgoing_is_unkeyed(name) || cdn_str_find(name, '_') >= 0) ||
           is_let_through(o, name);
}
