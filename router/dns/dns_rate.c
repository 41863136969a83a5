/* dns_rate: a table of common/rate with the networks that DNS is used to, and the slip: some answers
 * above the rate are truncated instead of dropped, so that who asks truly can come back by TCP. */
#include "router/dns/dns_rate.h"

#include "common/mem.h"
#include "common/parse.h"
#include "common/rate.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/banned.h"

#define CELLS 65536u
#define SECOND_US UINT64_C(1000000)

struct dns_rate {
    struct cdn_rate *table;
    _Atomic uint32_t limited; /* for the slip */
};

struct dns_rate *dns_rate_create(uint64_t seed)
{
    struct dns_rate *rate = cdn_calloc(1, sizeof(*rate));
    rate->table = cdn_rate_create(CELLS, seed);
    return rate;
}

void dns_rate_destroy(struct dns_rate *rate)
{
    if (rate) {
        cdn_rate_destroy(rate->table);
        free(rate);
    }
}

enum dns_rate_verdict dns_rate_check(struct dns_rate *rate, const struct cdn_addr *client, unsigned kind,
                                     unsigned limit, unsigned slip, int64_t now_us)
{
    static const struct cdn_rate_networks networks = {24, 56};
    if (limit == 0) {
        return DNS_RATE_PASS;
    }
    const struct cdn_rate_limit given = {limit < SECOND_US ? SECOND_US / limit : 1, SECOND_US};
    if (cdn_rate_take(rate->table, cdn_rate_owner(rate->table, client, &networks, kind), &given, now_us,
                      NULL)) {
        return DNS_RATE_PASS;
    }
    uint32_t n = atomic_fetch_add_explicit(&rate->limited, 1, memory_order_relaxed) + 1;
    return slip > 0 && n % slip == 0 ? DNS_RATE_SLIP : DNS_RATE_DROP;
}
