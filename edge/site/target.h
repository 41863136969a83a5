/* target: what a request asks for, in one form: the key it is stored under, and the path, host and scheme
 * that the origin is asked for. What is asked is what is keyed: whatever the origin answers belongs to that
 * key.
 *
 * The form is that of RFC 3986 6.2.2 and RFC 9110 4.2.3 (key.h), made once for a request. The spelling that
 * the client used goes no further. Purges, `why` and invalidation name keys by the same function.
 *
 * Requests that name this machine (a loopback address, `localhost`, the listener, the host of `url`, or no
 * host at all) mean the one site behind the edge. Their keys have the origin's host; the origin is told one
 * name for all of them: the host of `url`; without that the listener's, or, when the origin has a name of its
 * own (is not on loopback), that name.
 */
#ifndef CDN_EDGE_TARGET_H
#define CDN_EDGE_TARGET_H
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "edge/base/settings.h"
#include "edge/semantics/key.h"

#include <stdbool.h>

struct edge_naming { /* fixed at the start */
    char *site[2];   /* host of the keys of requests that name this machine: for http, https */
    char *listener;  /* names of this machine besides those on loopback; "" where there is none */
    char *own;
    char *told; /* what the origin is told for `site` */
    struct edge_query_policy query;
    struct cdn_str *query_allow;
    struct cdn_str *query_ignore;
};
/* The settings' lists are borrowed. `listen` with the port that the kernel chose; `secure`: the listener
 * speaks TLS. CDN_INVALID: `url` or `origin` is no URL. */
enum cdn_status edge_naming_create(const struct edge_settings *settings, const struct cdn_addr *listen,
                                   bool secure, struct edge_naming *ret,
                                   struct cdn_error *err) CDN_MUST_CHECK;
void edge_naming_free(struct edge_naming *naming); /* a zeroed one is fine */

struct edge_target {
    struct cdn_str key;
    struct cdn_str host; /* as the origin is told; may carry a port */
    struct cdn_str path; /* with the query: the key's end */
    bool secure;         /* https */
};
/* Slices of `into`, which has EDGE_KEY_MAX bytes, and of `naming`. parts->host may be empty. */
enum edge_key_error edge_target_build(const struct edge_naming *naming, const struct edge_key_parts *parts,
                                      char *into, struct edge_target *ret);
/* The key was copied to `key`: its slices follow. */
void edge_target_moved(struct edge_target *target, const char *key);
/* For a URL, or a path of the one site, of one scheme. A port that is the default of the URL's own scheme is
 * none. */
enum edge_key_error edge_target_of_url(const struct edge_naming *naming, struct cdn_str url, bool secure,
                                       char *into, struct edge_target *ret);

#endif
