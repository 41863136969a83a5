/* relay: the network itself: listeners at which clients enter, and the connections that pay their way.
 *
 * A connection is taken from a client, who says by SOCKS5 (or by the listener he came to) who he is and where
 * he wants to go. One round trip is charged for opening it before he is answered; then each direction is a
 * pipe (pipe.h) whose path is that between the two places (route.h). The end of either direction (FIN) and
 * resets take their time, too.
 *
 * Everything is on one loop; there are no threads and no locks. Memory: a window a connection at most, only
 * while bytes are under way, and all together within `memory`.
 */
#ifndef CDN_WAN_RELAY_RELAY_H
#define CDN_WAN_RELAY_RELAY_H
#include "common/loop.h"
#include "common/parse.h"
#include "common/status.h"
#include "wan/relay/settings.h"
#include "wan/relay/world.h"

#include <jansson.h>
#include <stdbool.h>

struct wan_relay;

/* Borrows loop and settings, takes the world over. CDN_CONFLICT: an address is in use. */
enum cdn_status wan_relay_create(struct loop *loop, const struct wan_settings *settings,
                                 struct wan_world *take, struct wan_relay **ret,
                                 struct cdn_error *err) CDN_MUST_CHECK;
void wan_relay_destroy(struct wan_relay *relay);
/* The CDN has changed: what comes from now on meets other nodes, what is under way goes on as it began. On an
 * error nothing has changed. */
enum cdn_status wan_relay_reload(struct wan_relay *relay, struct wan_world *take,
                                 struct cdn_error *err) CDN_MUST_CHECK;
void wan_relay_address(const struct wan_relay *relay, struct cdn_addr *ret); /* of the general listener */
void wan_relay_drain(struct wan_relay *relay);
bool wan_relay_is_drained(const struct wan_relay *relay);

/* A listener of one place (or node): the one there is, or a new one, which is remembered. */
enum cdn_status wan_relay_listen(struct wan_relay *relay, const char *place, const char *profile,
                                 struct cdn_addr *ret, struct cdn_error *err) CDN_MUST_CHECK;

/* ---- what the admin listener shows and changes ---- */

const struct wan_metrics *wan_relay_metrics(struct wan_relay *relay); /* brought up to date */
const struct cdn_histogram *wan_relay_lateness(const struct wan_relay *relay);
json_t *wan_relay_listeners_json(const struct wan_relay *relay);
json_t *wan_relay_status_json(const struct wan_relay *relay); /* connections, memory, links with faults */
json_t *wan_relay_faults_json(const struct wan_relay *relay);
enum cdn_status wan_relay_set_faults(struct wan_relay *relay, json_t *body,
                                     struct cdn_error *err) CDN_MUST_CHECK;
/* The path between two places or nodes, its parameters and the closed formula's times. */
enum cdn_status wan_relay_path_json(const struct wan_relay *relay, const char *from, const char *to,
                                    const char *profile, json_t **ret, struct cdn_error *err) CDN_MUST_CHECK;

#endif
