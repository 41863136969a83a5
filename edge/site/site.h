/* site: the sites of an edge, and which site and rule a request is for.
 *
 * Sites come from `sites:` of cdn.yaml. Without any there is one, made of the edge's own settings, with one
 * rule, for every host. Hosts are found by binary search, exact ones before wildcards, the longest wildcard
 * first; among a site's rules the first that matches counts. All is checked when it is read and never changes
 * afterwards; a reload makes another.
 */
#ifndef CDN_EDGE_SITE_H
#define CDN_EDGE_SITE_H
#include "common/status.h"
#include "common/str.h"
#include "edge/site/guard.h"
#include "edge/site/rule.h"
#include "edge/site/rule_settings.h"

#include <stdbool.h>
#include <stddef.h>

/* How this machine is named by requests: then they mean the one site. Known once it listens. */
struct edge_machine {
    char *listener; /* names besides those on loopback; "" where there is none */
    char *own;      /* host of the setting `url`; "" */
};

struct edge_site {
    char *name; /* of `sites:`; "" of the one by flags */
    char *place;
    struct edge_site_settings settings; /* owned */
    struct edge_rule *rule;
    size_t rule_count;
    struct edge_shield *shield; /* shield.h */
    size_t shield_count;
    char *key_host[2]; /* of requests that name this machine, for http and https; NULL: they cannot mean it */
    bool key_host_is_loopback; /* an origin on this machine: then it is told this machine's own name */
};

struct edge_shield;

struct edge_host {
    struct cdn_str name; /* of a wildcard: without "*." */
    struct edge_site *site;
};

struct edge_sites {
    struct edge_site *site;
    size_t count;
    struct edge_site *any;          /* for hosts that no site has; NULL: they are refused */
    struct edge_site *machine;      /* that requests mean which name this machine; NULL: none */
    struct edge_host *exact, *wild; /* sorted */
    size_t exact_count, wild_count;
    const struct edge_machine *names; /* borrowed; NULL while this machine does not listen */
};

/* `path`: a cdn.yaml, or NULL. What it has no `sites:` for, and hosts that they leave, is the default
 * origin's, if there is one. CDN_INVALID names file, line and key. */
enum cdn_status edge_sites_create(const char *path, const struct edge_rule_defaults *defaults,
                                  struct edge_sites *ret, struct cdn_error *err) CDN_MUST_CHECK;
void edge_sites_free(struct edge_sites *sites); /* a zeroed one is fine */

/* These come into force: their origins, and no others, are checked. */
void edge_sites_use(const struct edge_sites *sites, struct edge_origins *origins);
/* The site of a host (as in keys, perhaps with a port); NULL: none has it. */
struct edge_site *edge_sites_find(const struct edge_sites *sites, struct cdn_str host);
/* The first rule for a path of a key; NULL: none. */
const struct edge_rule *edge_site_rule(const struct edge_site *site, struct cdn_str path);

/* Whether the rule's origins are asked through shields; not where requests are signed, which a shield
 * could not tell. */
static inline bool edge_site_shields(const struct edge_rule *rule)
{
    return rule->site && rule->site->shield_count && !rule->guard.keys;
}

/* How keys name requests that name this machine. */
void edge_site_key_hosts(struct edge_site *site, struct cdn_str host);
void edge_site_free(struct edge_site *site); /* what it owns */
/* site_read.c: `sites:` of a file, after which hosts are put in order. */
enum cdn_status edge_sites_read(const char *path, const struct edge_rule_defaults *defaults,
                                struct edge_sites *into, struct cdn_error *err) CDN_MUST_CHECK;
/* A site without rules of its own but the one of the defaults. */
enum cdn_status edge_site_by_flags(const struct edge_rule_defaults *defaults, struct edge_site *ret,
                                   struct cdn_error *err) CDN_MUST_CHECK;

#endif
