/* resolve: asks our GeoDNS for a name on behalf of a client, without blocking the loop.
 *
 * No time of the modelled network is charged: who asks has a resolver next door with a warm cache
 * (docs/travel.md). Each question has a socket of its own, so that an answer cannot be mistaken; it is asked
 * again when nothing comes, and over TCP when the answer is truncated. Life cycle: ask -> done() once, or
 * cancel; freed by itself.
 */
#ifndef CDN_WAN_RELAY_RESOLVE_H
#define CDN_WAN_RELAY_RESOLVE_H
#include "common/loop.h"
#include "common/parse.h"
#include "common/status.h"

struct wan_question;

/* done() is called from the loop, never before this returns. `status`: CDN_OK, CDN_NOT_FOUND (no such name),
 * CDN_REFUSED, CDN_TIMEOUT, CDN_NETWORK. */
struct wan_question *wan_resolve(
    struct loop *loop, const struct cdn_addr *server, const char *name, const struct cdn_addr *client,
    void (*done)(void *arg, enum cdn_status status, const struct cdn_addr *answer), void *arg);
void wan_resolve_cancel(struct wan_question *question); /* NULL is fine */

#endif
