/* sites: what the router reads of `sites:` in cdn.yaml: the hosts of each site, and whether requests for them
 * are handed over or sent on (`mode`). All else there is the edges' and is passed over, as they check it.
 *
 * Life cycle: read -> (hosts_of) -> free. Not changed afterwards.
 */
#ifndef CDN_ROUTER_SITES_H
#define CDN_ROUTER_SITES_H
#include "common/config/config.h"
#include "common/status.h"
#include "common/str.h"
#include "router/base/proxy_settings.h"

#include <stdbool.h>
#include <stddef.h>

#define ROUTER_SITE_SETTINGS(X)                                                \
    X(LIST, hosts, "", 0, 1000, NULL, RUNTIME, "NAME",                         \
      "Host names of the site; '*.shop.example' is every name below it")       \
    X(CHOICE, mode, "default", 0, 0, "default|redirect|proxy", RUNTIME, "HOW", \
      "How requests for this site get to an edge; default: as router.mode says")

CDN_CONFIG_STRUCT(router_site_settings, ROUTER_SITE_SETTINGS);

struct router_host {
    char *name; /* in lower case, without the root's dot; of a wildcard without "*." */
    bool wild;
    enum router_mode mode;
    char *origin; /* "cdn.yaml:12", for messages */
};

struct router_sites { /* hosts with a mode of their own; sorted by wild and name */
    struct router_host *host;
    size_t count;
};

/* `path` NULL: none. CDN_INVALID names file, line and key, and the two places of one host. */
enum cdn_status router_sites_read(const char *path, struct router_sites *ret,
                                  struct cdn_error *err) CDN_MUST_CHECK;
void router_sites_copy(const struct router_sites *sites, struct router_sites *ret);
void router_sites_free(struct router_sites *sites); /* a zeroed one is fine */
/* Of a request's host, in any spelling; its own name before wildcards, the longest of those first. */
enum router_mode router_sites_mode(const struct router_sites *sites, struct cdn_str host,
                                   enum router_mode fallback);

#endif
