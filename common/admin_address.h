/* admin_address: where an admin listener is when nobody says: the public port + 1000. */
#ifndef CDN_COMMON_ADMIN_ADDRESS_H
#define CDN_COMMON_ADMIN_ADDRESS_H
#include "common/parse.h"

#define CDN_ADMIN_PORT_OFFSET 1000u

/* The port of the admin listener beside a public one; 0: there is no such port. */
unsigned cdn_admin_port(unsigned public_port);
/* `set`, or when that is empty the public port's (cdn_admin_port) on the public address if it is loopback,
 * else on 127.0.0.1. Empty when `listen` is not an address. */
void cdn_admin_address(const char *set, const char *listen, char out[static CDN_ADDR_TEXT_SIZE]);

#endif
