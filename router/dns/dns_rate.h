/* dns_rate: response-rate limiting, so that a forged sender's address gets little out of this server.
 *
 * Counted are answers of one kind to one network (/24, /56), in a table of common/rate: a burst of a second's
 * worth, then the rate. Threads share it without a lock.
 */
#ifndef CDN_ROUTER_DNS_RATE_H
#define CDN_ROUTER_DNS_RATE_H
#include "common/parse.h"

#include <stdint.h>

struct dns_rate;

enum dns_rate_verdict { DNS_RATE_PASS, DNS_RATE_SLIP, DNS_RATE_DROP };

struct dns_rate *dns_rate_create(uint64_t seed);
void dns_rate_destroy(struct dns_rate *rate); /* NULL is fine */

/* `limit` answers a second, 0: any number; every `slip`-th above it slips, 0: none. `kind` tells answers
 * apart. Any thread. */
enum dns_rate_verdict dns_rate_check(struct dns_rate *rate, const struct cdn_addr *client, unsigned kind,
                                     unsigned limit, unsigned slip, int64_t now_us);

#endif
