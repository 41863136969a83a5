/* admin_address: the rule in one place, since three of them must agree: a daemon that opens its admin
 * listener, the router that probes it, and `pocketcdn up` that plans the ports. Off loopback an admin
 * listener needs a token, so the default never leaves it. */
#include "common/admin_address.h"

#include "common/str.h"

#include <stdint.h>

#include "common/banned.h"

unsigned cdn_admin_port(unsigned public_port)
{
    return public_port > 0 && public_port + CDN_ADMIN_PORT_OFFSET <= UINT16_MAX
               ? public_port + CDN_ADMIN_PORT_OFFSET
               : 0;
}

void cdn_admin_address(const char *set, const char *listen, char out[static CDN_ADDR_TEXT_SIZE])
{
    struct cdn_addr address;
    if (set[0] || !cdn_parse_host_port(cdn_str(listen), &address)) {
        (void)cdn_str_copy(out, CDN_ADDR_TEXT_SIZE, cdn_str(set));
        return;
    }
    unsigned port = cdn_addr_port(&address);
    if (!cdn_addr_is_loopback(&address)) {
        (void)cdn_parse_ip(CDN_STR("127.0.0.1"), &address);
    }
    cdn_addr_set_port(&address, cdn_admin_port(port));
    cdn_addr_format(&address, out);
}
