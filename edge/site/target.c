/* target: one function makes the key for requests, purges, `why` and invalidation, so that a
 * purge cannot miss what a request has stored under another spelling. All names of this machine
 * are looked for in one place (names_this_machine) and stored as the one site's. */
#include "edge/site/target.h"

#include "common/mem.h"
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/key.h"
#include "edge/signed/signed.h"
#include "edge/site/guard.h"
#include "edge/site/rule.h"
#include "edge/site/site.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/banned.h"

static char *written(struct cdn_str host, bool secure)
{
    char into[EDGE_KEY_HOST_MAX];
    struct cdn_str name = {"", 0};
    return edge_key_host_write(host, secure, into, &name) ? cdn_str_dup(name) : NULL;
}

bool edge_target_is_loopback(struct cdn_str host)
{
    struct cdn_addr address;
    struct cdn_str name = host;
    if (host.n && host.p[0] != '[') {
        name = cdn_str_cut(&host, ':');
    } else {
        ptrdiff_t end = cdn_str_find(host, ']');
        name = end > 1 ? (struct cdn_str){host.p + 1, (size_t)end - 1} : name;
    }
    return cdn_str_eq(name, CDN_STR("localhost")) ||
           (cdn_parse_ip(name, &address) && cdn_addr_is_loopback(&address));
}

static bool names_this_machine(const struct edge_machine *machine, struct cdn_str host)
{
    return (machine &&
            (cdn_str_eq(host, cdn_str(machine->listener)) || cdn_str_eq(host, cdn_str(machine->own)))) ||
           edge_target_is_loopback(host);
}

static bool is_any_address(const struct cdn_addr *a)
{
    size_t n;
    const unsigned char *bytes = cdn_addr_bytes(a, &n);
    static const unsigned char zeros[16];
    return memcmp(bytes, zeros, n) == 0;
}

static char *listener_name(const struct cdn_addr *listen, bool secure)
{
    char text[CDN_ADDR_TEXT_SIZE];
    if (is_any_address(listen)) {
        CDN_AUTOFREE char *local = cdn_asprintf("localhost:%u", cdn_addr_port(listen));
        return written(cdn_str(local), secure);
    }
    cdn_addr_format(listen, text);
    return written(cdn_str(text), secure);
}

enum cdn_status edge_target_machine_create(const char *url, const struct cdn_addr *listen, bool secure,
                                           struct edge_machine *ret, struct cdn_error *err)
{
    struct edge_key_parts parts;
    char *own = !url[0]                                ? cdn_strdup("")
                : edge_key_split(cdn_str(url), &parts) ? written(parts.host, parts.secure)
                                                       : NULL;
    if (!own) {
        return cdn_error_set(err, CDN_INVALID, "--url: \"%s\" is not a URL such as http://127.0.0.1:8088",
                             url);
    }
    *ret = (struct edge_machine){.listener = listener_name(listen, secure), .own = own};
    return CDN_OK;
}

void edge_target_machine_free(struct edge_machine *machine)
{
    free(machine->listener);
    free(machine->own);
    *machine = (struct edge_machine){0};
}

/* What the origin is told for requests that name this machine. */
static struct cdn_str told(const struct edge_sites *sites, const struct edge_site *site, struct cdn_str host)
{
    const struct edge_machine *machine = sites->names;
    if (!machine || site != sites->any) {
        return host;
    }
    return machine->own[0]              ? cdn_str(machine->own)
           : site->key_host_is_loopback ? cdn_str(machine->listener)
                                        : cdn_str(site->key_host[0]);
}

/* The rule for a path, which is brought into its form for that; the query's form is the rule's to say. */
static enum edge_key_error find_rule(const struct edge_site *site, const struct edge_key_parts *keyed,
                                     char *into, const struct edge_rule **ret)
{
    static const struct edge_query_policy none = {.mode = EDGE_QUERY_NONE};
    struct cdn_str key;
    if (site->rule_count == 1 && !site->rule->prefix[1] && !site->rule->extension_count) {
        *ret = site->rule;
        return EDGE_KEY_OK;
    }
    const enum edge_key_error e = edge_key_build(keyed, &none, into, EDGE_KEY_MAX, &key);
    if (e == EDGE_KEY_OK) {
        *ret = edge_site_rule(site, edge_key_path(key));
    }
    return e != EDGE_KEY_OK ? e : *ret ? EDGE_KEY_OK : EDGE_KEY_RULE;
}

/* `any_path`: also where no rule is for the path; then there is none. */
static enum edge_key_error build(const struct edge_sites *sites, const struct edge_key_parts *parts,
                                 bool any_path, char *into, struct edge_target *ret)
{
    static const struct edge_query_policy as_sent = {.mode = EDGE_QUERY_ALL};
    char host[EDGE_KEY_HOST_MAX];
    struct edge_key_parts keyed = *parts;
    const struct edge_site *site = NULL;
    const struct edge_rule *rule = NULL;
    struct cdn_str key;
    if (parts->host.n && !edge_key_host_write(parts->host, parts->secure, host, &keyed.host)) {
        return EDGE_KEY_HOST;
    }
    if (parts->host.n && sites->count) { /* a site may be named by this machine's addresses, too */
        site = edge_sites_find(sites, keyed.host);
        site = site == sites->any ? NULL : site;
    }
    if (!site && (!parts->host.n || names_this_machine(sites->names, keyed.host))) {
        site = sites->machine;
        keyed.host = site ? cdn_str(site->key_host[parts->secure]) : keyed.host;
    }
    site = site ? site : sites->any;
    if (!site) {
        return EDGE_KEY_SITE;
    }
    CDN_AUTOBUF struct cdn_buf query = {0};
    enum edge_key_error e = find_rule(site, &keyed, into, &rule);
    if (rule && rule->guard.keys && keyed.query.p) {
        struct edge_signed_parts signs; /* in no key, and not for the origin */
        const bool left = edge_signed_of_query(keyed.query, &signs, &query);
        keyed.query = left ? cdn_buf_str(&query) : (struct cdn_str){0};
    }
    if (e == EDGE_KEY_OK || (e == EDGE_KEY_RULE && any_path)) {
        e = edge_key_build(&keyed, rule ? &rule->query : &as_sent, into, EDGE_KEY_MAX, &key);
    }
    if (e == EDGE_KEY_OK) {
        *ret = (struct edge_target){.key = key,
                                    .host = edge_key_host(key),
                                    .path = edge_key_target(key),
                                    .secure = parts->secure,
                                    .rule = rule};
        if (site->key_host[parts->secure] && cdn_str_eq(ret->host, cdn_str(site->key_host[parts->secure]))) {
            ret->host = told(sites, site, ret->host);
        }
    }
    return e;
}

enum edge_key_error edge_target_build(const struct edge_sites *sites, const struct edge_key_parts *parts,
                                      char *into, struct edge_target *ret)
{
    return build(sites, parts, false, into, ret);
}

void edge_target_moved(struct edge_target *t, const char *key)
{
    const struct cdn_str from = t->key;
    t->key.p = key;
    t->path.p = key + (t->path.p - from.p);
    if (t->host.p >= from.p && t->host.p < from.p + from.n) { /* else it is what the origin is told */
        t->host.p = key + (t->host.p - from.p);
    }
}

enum edge_key_error edge_target_of_url(const struct edge_sites *sites, struct cdn_str url, bool secure,
                                       char *into, struct edge_target *ret)
{
    char host[EDGE_KEY_HOST_MAX];
    struct edge_key_parts parts = {0};
    if (url.n && url.p[0] == '/') {
        struct cdn_str rest = cdn_str_cut(&url, '#');
        parts.path = cdn_str_cut(&rest, '?');
        parts.query = rest;
    } else if (!edge_key_split(url, &parts) ||
               !edge_key_host_write(parts.host, parts.secure, host, &parts.host)) {
        return EDGE_KEY_HOST;
    }
    parts.secure = secure;
    return build(sites, &parts, true, into, ret);
}
