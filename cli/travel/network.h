/* network: the network between the places (pocketcdn-wan) as the commands use it: found in the CDN that `up
 * --wan` started, asked through its admin listener.
 */
#ifndef CDN_CLI_NETWORK_H
#define CDN_CLI_NETWORK_H
#include "cli/run/control.h"
#include "common/status.h"

#include <jansson.h>

/* Its node in a CDN of control_open, borrowed; NULL: it does not run there. */
json_t *network_of(const json_t *cdn);
/* A CDN that has one. CDN_NOT_FOUND says what to do: nothing runs there, or it runs without a network. */
enum cdn_status network_open(const struct control_where *where, json_t **ret_cdn, json_t **ret_wan,
                             struct cdn_error *err) CDN_MUST_CHECK;

/* The URL ("socks5h://127.0.0.1:41001", owned by the caller) of the way into the network at a place: a
 * city, LAT,LON, a site or a node of this CDN; `profile` NULL: the default. CDN_NOT_FOUND has the
 * nearest spelling. */
enum cdn_status network_listener(const json_t *cdn, const json_t *wan, const char *place, const char *profile,
                                 char **ret_proxy, struct cdn_error *err) CDN_MUST_CHECK;

/* The last mile at such a listener, as the network calls it; owned by the caller, "" when it does not say. */
char *network_profile(const json_t *wan, const char *proxy);

/* What the model says of the way from a place to a node: its round trip and first bytes. A new
 * reference. */
enum cdn_status network_path(const json_t *wan, const char *from, const char *to, const char *profile,
                             json_t **ret, struct cdn_error *err) CDN_MUST_CHECK;

#endif
