/* rate: a cell that another thread keeps changing is not worth a wait: after a few tries one request more
 * passes. Owners of equal hash share a rate, so neither memory nor time depends on how many there are. */
#include "common/rate.h"

#include "common/mem.h"
#include "common/mix.h"
#include "common/parse.h"
#include "common/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/banned.h"

#define WAYS 4u
#define TRIES 4
#define SECOND_US UINT64_C(1000000)
#define LIMIT_MAX UINT64_C(1000000) /* a second, a minute or an hour */
#define BURST_MAX UINT64_C(1000000)

/* A cell: 16 bits that tell owners of one set apart, then 48 bits of monotonic microseconds. */
#define TIME_BITS 48
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)
#define AHEAD_MAX (UINT64_C(1) << (TIME_BITS - 3)) /* a year */

struct cdn_rate {
    uint64_t seed;
    size_t sets; /* a power of two */
    _Atomic uint64_t cells[];
};

struct cdn_rate *cdn_rate_create(size_t cells, uint64_t seed)
{
    size_t sets = 1;
    while (sets * WAYS < cells) {
        sets *= 2;
    }
    struct cdn_rate *rate = cdn_calloc(1, sizeof(*rate) + sets * WAYS * sizeof(rate->cells[0]));
    rate->seed = seed;
    rate->sets = sets;
    return rate;
}

void cdn_rate_destroy(struct cdn_rate *rate)
{
    free(rate);
}

static bool unit_of(struct cdn_str unit, uint64_t *ret_us)
{
    static const struct {
        const char *name;
        uint64_t seconds;
    } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}};
    for (size_t i = 0; i < CDN_ARRAY_LEN(units); i++) {
        if (cdn_str_eq(unit, cdn_str(units[i].name))) {
            *ret_us = units[i].seconds * SECOND_US;
            return true;
        }
    }
    return false;
}

bool cdn_rate_parse(struct cdn_str text, uint64_t burst, struct cdn_rate_limit *ret)
{
    uint64_t n = 0, unit_us = 0;
    struct cdn_str rest = text, number = cdn_str_cut(&rest, '/');
    const bool off = cdn_str_eq(text, CDN_STR("off"));
    if (!off && (!cdn_parse_u64(number, &n) || n > LIMIT_MAX || (rest.p && rest.n != 1) ||
                 !unit_of(rest.p ? rest : CDN_STR(""), &unit_us) || burst > BURST_MAX)) {
        return false;
    }
    if (n == 0) {
        *ret = (struct cdn_rate_limit){0, 0};
        return true;
    }
    const uint64_t interval_us = unit_us / n ? unit_us / n : 1, second = SECOND_US / interval_us;
    const uint64_t most = burst ? burst : second ? second : 1, ahead_us = most * interval_us;
    *ret = (struct cdn_rate_limit){interval_us, ahead_us < AHEAD_MAX ? ahead_us : AHEAD_MAX};
    return true;
}

/* The first `prefix` bits of 8 bytes. */
static uint64_t head_of(const unsigned char *bytes, size_t n, unsigned prefix)
{
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++) {
        value = value << 8 | (i < n ? bytes[i] : 0);
    }
    return prefix == 0 ? 0 : prefix >= 64 ? value : value & ~(UINT64_MAX >> prefix);
}

uint64_t cdn_rate_owner(const struct cdn_rate *rate, const struct cdn_addr *client,
                        const struct cdn_rate_networks *networks, uint64_t kind)
{
    struct cdn_addr plain = *client;
    size_t n = 0;
    cdn_addr_unmap(&plain);
    const unsigned char *bytes = cdn_addr_bytes(&plain, &n);
    n = plain.sa.sa_family == AF_UNSPEC ? 0 : n; /* nobody */
    const unsigned prefix = n == 4 ? networks->v4 : networks->v6;
    uint64_t h = cdn_mix64(rate->seed ^ kind);
    h = cdn_mix64(h ^ (uint64_t)n);
    h = cdn_mix64(h ^ (n ? head_of(bytes, n, prefix) : 0));
    return n == 16 && prefix > 64 ? cdn_mix64(h ^ head_of(bytes + 8, 8, prefix - 64)) : h;
}

/* The owner's cell of the set, or else that of who has done least. */
static _Atomic uint64_t *cell_of(struct cdn_rate *rate, uint64_t owner, uint64_t *ret_value)
{
    _Atomic uint64_t *set = &rate->cells[(owner & (rate->sets - 1)) * WAYS], *best = NULL;
    for (size_t i = 0; i < WAYS; i++) {
        const uint64_t value = atomic_load_explicit(&set[i], memory_order_relaxed);
        const bool own = value >> TIME_BITS == owner >> TIME_BITS;
        if (!best || own || (value & TIME_MASK) < (*ret_value & TIME_MASK)) {
            best = &set[i];
            *ret_value = value;
        }
        if (own) {
            break;
        }
    }
    return best;
}

bool cdn_rate_take(struct cdn_rate *rate, uint64_t owner, const struct cdn_rate_limit *limit, int64_t now_us,
                   uint64_t *ret_wait_us)
{
    const uint64_t now = (uint64_t)now_us & TIME_MASK, tag = owner >> TIME_BITS;
    for (int tries = 0; limit->interval_us && tries < TRIES; tries++) {
        uint64_t value = 0;
        _Atomic uint64_t *cell = cell_of(rate, owner, &value);
        const uint64_t due = value >> TIME_BITS == tag ? value & TIME_MASK : 0;
        const uint64_t next = (due > now ? due : now) + limit->interval_us;
        if (next - now > limit->burst_us) {
            if (ret_wait_us) {
                *ret_wait_us = next - now - limit->burst_us;
            }
            return false;
        }
        if (atomic_compare_exchange_weak_explicit(cell, &value, tag << TIME_BITS | (next & TIME_MASK),
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return true;
        }
    }
    return true;
}
