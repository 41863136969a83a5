/* address: the address that stands for a place, as GeoDNS is asked with and the PROXY protocol says: one that
 * the database puts near it. The database has no index by place, so it is walked once, at the start, for all
 * cities that are known; a point between them has the address of the nearest. */
#ifndef CDN_WAN_RELAY_ADDRESS_H
#define CDN_WAN_RELAY_ADDRESS_H
#include "common/parse.h"
#include "common/status.h"

struct wan_addresses;

enum cdn_status wan_addresses_create(struct wan_addresses **ret, struct cdn_error *err) CDN_MUST_CHECK;
void wan_addresses_destroy(struct wan_addresses *addresses);
void wan_addresses_find(const struct wan_addresses *addresses, double lat, double lon, struct cdn_addr *ret);

#endif
