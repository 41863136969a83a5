/* udp: fixed relays for datagrams, such as DNS: each takes half the round trip, some are lost. One address
 * that sends is a session with a socket of its own towards the target; sessions end when nothing has come
 * for a while, and there are at most so many. */
#ifndef CDN_WAN_RELAY_UDP_H
#define CDN_WAN_RELAY_UDP_H
#include "common/status.h"
#include "wan/relay/link.h"

struct wan_relay;
struct wan_udp;

struct wan_udp *wan_udp_create(struct wan_relay *relay);
void wan_udp_destroy(struct wan_udp *udp); /* NULL is fine */
/* Takes datagrams at the link's address. CDN_CONFLICT: it is in use. */
enum cdn_status wan_udp_open(struct wan_udp *udp, const struct wan_link *link,
                             struct cdn_error *err) CDN_MUST_CHECK;

/* The links have moved: those of `from` are now those of `to`, in the same order. */
void wan_udp_move(struct wan_udp *udp, const struct wan_link *from, const struct wan_link *to);

#endif
