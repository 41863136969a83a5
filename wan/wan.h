/* wan: the daemon pocketcdn-wan: the network between the places of a CDN, with its admin listener.
 *
 * It knows the other programs by their cdn.yaml only, and none of them knows of it: switched off it is not
 * there.
 */
#ifndef CDN_WAN_WAN_H
#define CDN_WAN_WAN_H
#include "common/status.h"
#include "wan/relay/settings.h"

struct wan;

/* Takes the settings over. */
enum cdn_status wan_create(struct wan_settings *take, int argc, char **argv, struct wan **ret,
                           struct cdn_error *err) CDN_MUST_CHECK;
void wan_run(struct wan *wan); /* until SIGTERM */
void wan_destroy(struct wan *wan);

#endif
