/* target: what a request asks for, in one form: the key it is stored under, and the path, host and scheme
 * that the origin is asked for, with the rule that says how. What is asked is what is keyed: whatever the
 * origin answers belongs to that key.
 *
 * The form is that of RFC 3986 6.2.2 and RFC 9110 4.2.3 (key.h), made once for a request. The spelling
 * that the client used goes no further. Purges, `why` and invalidation name keys by the same function.
 *
 * Requests that name this machine (a loopback address, `localhost`, the listener, the host of `url`, or no
 * host at all) mean the one site behind the edge. Their keys have the site's host: the origin's, or the
 * first of `hosts`. The origin is told one name for all of them: that host; but for an origin on loopback
 * the host of `url`, or without that the listener's. */
#ifndef CDN_EDGE_TARGET_H
#define CDN_EDGE_TARGET_H
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/semantics/key.h"
#include "edge/site/site.h"

#include <stdbool.h>

/* `url`: the setting, or "". `listen` with the port that the kernel chose; `secure`: the listener speaks TLS.
 * CDN_INVALID: `url` is no URL. */
enum cdn_status edge_target_machine_create(const char *url, const struct cdn_addr *listen, bool secure,
                                           struct edge_machine *ret, struct cdn_error *err) CDN_MUST_CHECK;
void edge_target_machine_free(struct edge_machine *machine); /* a zeroed one is fine */
bool edge_target_is_loopback(struct cdn_str host); /* "localhost" or an address on loopback, any port */

struct edge_target {
    struct cdn_str key;
    struct cdn_str host; /* as the origin is told; may carry a port */
    struct cdn_str path; /* with the query: the key's end */
    bool secure;         /* https */
    const struct edge_rule *rule;
};
/* Slices of `into`, which has EDGE_KEY_MAX bytes, and of `sites`. parts->host may be empty. */
enum edge_key_error edge_target_build(const struct edge_sites *sites, const struct edge_key_parts *parts,
                                      char *into, struct edge_target *ret);
/* The key was copied to `key`: its slices follow. */
void edge_target_moved(struct edge_target *target, const char *key);
/* For a URL, or a path of the one site, of one scheme. A port that is the default of the URL's own scheme is
 * none. Purges and listings may name what no rule is for: then there is no rule. */
enum edge_key_error edge_target_of_url(const struct edge_sites *sites, struct cdn_str url, bool secure,
                                       char *into, struct edge_target *ret);

#endif
