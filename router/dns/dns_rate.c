/* dns_rate: a table of times in a fixed memory, hashed with a seed that nobody outside knows.
 * Networks that share a cell are held to one rate together, so a flood of forged addresses costs no
 * memory and no search. */
#include "router/dns/dns_rate.h"

#include "common/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/banned.h"

#define SETS 16384u
#define WAYS 4u
#define SECOND_US 1000000u

/* A cell: 16 bits that tell networks of one set apart, then 48 bits of monotonic microseconds. */
#define TIME_BITS 48
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)

struct dns_rate {
    uint64_t seed;
    _Atomic uint32_t limited; /* for the slip */
    _Atomic uint64_t cells[SETS * WAYS];
};

struct dns_rate *dns_rate_create(uint64_t seed)
{
    struct dns_rate *rate = cdn_calloc(1, sizeof(*rate));
    rate->seed = seed;
    return rate;
}

void dns_rate_destroy(struct dns_rate *rate)
{
    free(rate);
}

static uint64_t network_hash(const struct dns_rate *rate, const struct cdn_addr *client, unsigned kind)
{
    uint8_t key[9] = {0};
    size_t size;
    struct cdn_addr plain = *client;
    cdn_addr_unmap(&plain);
    const uint8_t *bytes = cdn_addr_bytes(&plain, &size);
    memcpy(key, bytes, size == 4 ? 3 : 7);
    key[7] = (uint8_t)size;
    key[8] = (uint8_t)kind;
    return XXH3_64bits_withSeed(key, sizeof(key), rate->seed);
}

/* The network's cell of the set, or else the least busy one. */
static _Atomic uint64_t *cell_of(struct dns_rate *rate, uint64_t hash, uint64_t *ret_value)
{
    _Atomic uint64_t *set = &rate->cells[(hash % SETS) * WAYS], *best = NULL;
    for (size_t i = 0; i < WAYS; i++) {
        uint64_t value = atomic_load_explicit(&set[i], memory_order_relaxed);
        bool own = value >> TIME_BITS == hash >> TIME_BITS;
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

/* Whether one more fits; a cell that another thread keeps changing is not worth a wait. */
static bool fits(struct dns_rate *rate, uint64_t hash, uint64_t interval_us, uint64_t now_us)
{
    for (int tries = 0; tries < 4; tries++) {
        uint64_t value = 0, tag = hash >> TIME_BITS;
        _Atomic uint64_t *cell = cell_of(rate, hash, &value);
        uint64_t due = value >> TIME_BITS == tag ? value & TIME_MASK : 0;
        uint64_t next = (due > now_us ? due : now_us) + interval_us;
        if (next - now_us > SECOND_US) {
            return false;
        }
        if (atomic_compare_exchange_weak_explicit(cell, &value, tag << TIME_BITS | (next & TIME_MASK),
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return true;
        }
    }
    return true;
}

enum dns_rate_verdict dns_rate_check(struct dns_rate *rate, const struct cdn_addr *client, unsigned kind,
                                     unsigned limit, unsigned slip, int64_t now_us)
{
    if (limit == 0) {
        return DNS_RATE_PASS;
    }
    uint64_t interval_us = limit < SECOND_US ? SECOND_US / limit : 1;
    if (fits(rate, network_hash(rate, client, kind), interval_us, (uint64_t)now_us & TIME_MASK)) {
        return DNS_RATE_PASS;
    }
    uint32_t n = atomic_fetch_add_explicit(&rate->limited, 1, memory_order_relaxed) + 1;
    return slip > 0 && n % slip == 0 ? DNS_RATE_SLIP : DNS_RATE_DROP;
}
