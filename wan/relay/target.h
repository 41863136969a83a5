/* target: where a CONNECT may lead. This is no open proxy: what is no node of the CDN, and was not allowed,
 * is refused. Pure. */
#ifndef CDN_WAN_RELAY_TARGET_H
#define CDN_WAN_RELAY_TARGET_H
#include "common/parse.h"
#include "common/status.h"
#include "common/str.h"
#include "wan/relay/world.h"

struct wan_target {
    const struct wan_node *node; /* NULL: our GeoDNS knows; ask it for `host`, then wan_target_of_answer() */
    struct cdn_addr address;
};

/* `host` is a name or an address. CDN_REFUSED says why not. */
enum cdn_status wan_target_find(const struct wan_world *world, struct cdn_str host, unsigned port,
                                struct wan_target *ret, struct cdn_error *err) CDN_MUST_CHECK;
/* `answer` is what DNS gave for it. */
enum cdn_status wan_target_of_answer(const struct wan_world *world, const struct cdn_addr *answer,
                                     unsigned port, struct wan_target *ret,
                                     struct cdn_error *err) CDN_MUST_CHECK;

/* What DNS is asked for when it is to say where `host` leads: it knows the names of the zone, and hosts of
 * sites are to it the zone's site. Borrowed. */
const char *wan_target_question(const struct wan_world *world, const char *host);

#endif
