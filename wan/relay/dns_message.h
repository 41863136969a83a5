/* dns_message: the one question that is asked of our GeoDNS, and what its answer says. Pure; libknot writes
 * and parses, as at the other end. */
#ifndef CDN_WAN_RELAY_DNS_MESSAGE_H
#define CDN_WAN_RELAY_DNS_MESSAGE_H
#include "common/parse.h"

#include <stddef.h>
#include <stdint.h>

#define WAN_DNS_QUERY_MAX 512u
#define WAN_DNS_ANSWER_MAX 4096u

enum wan_dns_type { WAN_DNS_A = 1, WAN_DNS_AAAA = 28 };

/* The address of `name`, asked on behalf of `client` (EDNS Client Subnet, RFC 7871; AF_UNSPEC: without).
 * Returns the length; 0: it is no name. */
size_t wan_dns_query(uint16_t id, const char *name, enum wan_dns_type type, const struct cdn_addr *client,
                     uint8_t into[static WAN_DNS_QUERY_MAX]);

enum wan_dns_outcome {
    WAN_DNS_ADDRESS,   /* *ret is it */
    WAN_DNS_TRUNCATED, /* ask again over TCP */
    WAN_DNS_NONE,      /* there is no such name, or no address of it */
    WAN_DNS_ERROR,     /* refused, or a failure of the server */
    WAN_DNS_FOREIGN,   /* not an answer to this query: wait on */
};
enum wan_dns_outcome wan_dns_answer(uint8_t *message, size_t n, uint16_t id, const char *name,
                                    enum wan_dns_type type, struct cdn_addr *ret);

#endif
